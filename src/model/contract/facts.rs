//! What is known of every value that a conjunction of schemas accepts. Each fact may be weaker than the truth,
//! never stronger: a fact used to prove that a value is accepted elsewhere must hold of all values.

use super::number::{among, compare, integer};
use super::scan::target;
use serde_json::{Map, Number, Value};
use std::cmp::Ordering;

pub(super) type Keywords = Map<String, Value>;

/// A set of JSON types. Whole numbers and other numbers are kept apart, so `number` is two bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    pub(super) const ALL: Self = Self(0b111_1111);
    pub(super) const NULL: Self = Self(1);
    pub(super) const BOOLEAN: Self = Self(2);
    pub(super) const OBJECT: Self = Self(4);
    pub(super) const ARRAY: Self = Self(8);
    pub(super) const STRING: Self = Self(16);
    pub(super) const INTEGER: Self = Self(32);
    pub(super) const FRACTION: Self = Self(64);
    pub(super) const NUMBER: Self = Self(96);

    /// What the keyword `type` says.
    pub(super) fn of_keyword(value: &Value) -> Self {
        let one = |name: &Value| match name.as_str() {
            Some("null") => Self::NULL,
            Some("boolean") => Self::BOOLEAN,
            Some("object") => Self::OBJECT,
            Some("array") => Self::ARRAY,
            Some("string") => Self::STRING,
            Some("integer") => Self::INTEGER,
            Some("number") => Self::NUMBER,
            _ => Self(0),
        };
        match value {
            Value::Array(names) => names.iter().map(one).fold(Self(0), |all, one| Self(all.0 | one.0)),
            name => one(name),
        }
    }

    pub(super) fn of_value(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Object(_) => Self::OBJECT,
            Value::Array(_) => Self::ARRAY,
            Value::String(_) => Self::STRING,
            // A whole number too large for `integer` counts as either, so that no type excludes it.
            Value::Number(number) => match (integer(number), number.as_f64()) {
                (Some(_), _) => Self::INTEGER,
                (None, Some(value)) if value.fract() != 0.0 => Self::FRACTION,
                _ => Self::NUMBER,
            },
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn each(self) -> impl Iterator<Item = Self> {
        (0..7).map(|bit| Self(1 << bit)).filter(move |one| self.0 & one.0 != 0)
    }

    pub(super) fn names(self) -> String {
        const NAMES: [&str; 6] = ["null", "boolean", "object", "array", "string", "integer"];
        let mut names: Vec<&str> =
            (0..6).filter(|bit| self.0 & (1 << bit) != 0).map(|bit| NAMES[bit]).collect();
        if self.0 & Self::FRACTION.0 != 0 {
            names.retain(|name| *name != "integer");
            names.push("number");
        }
        names.join(", ")
    }
}

/// A conjunction of schemas of one document, references and `allOf` already followed.
#[derive(Clone)]
pub(super) struct Facts<'a> {
    pub(super) root: &'a Value,
    pub(super) all: Vec<&'a Keywords>,
    /// `anyOf` and `oneOf` lists that have not been split into their branches yet.
    pub(super) choices: Vec<&'a Vec<Value>>,
    pub(super) types: Types,
    /// All values, if they can be listed.
    pub(super) values: Option<Vec<Value>>,
    /// No value at all is accepted.
    pub(super) nothing: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn new(root: &'a Value, schemas: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut facts = Self {
            root,
            all: Vec::new(),
            choices: Vec::new(),
            types: Types::ALL,
            values: None,
            nothing: false,
        };
        schemas.into_iter().for_each(|schema| facts.gather(schema));
        facts.settle();
        facts
    }

    /// The same conjunction and one more schema.
    pub(super) fn and(&self, schema: &'a Value) -> Self {
        let mut facts = self.clone();
        facts.gather(schema);
        facts.settle();
        facts
    }

    /// The values among these that have one of `types`.
    pub(super) fn of_types(&self, types: Types) -> Self {
        let mut facts = self.clone();
        facts.types = facts.types.and(types);
        facts.settle();
        facts
    }

    pub(super) fn only(&self, value: Value) -> Self {
        let mut facts = self.clone();
        facts.values = Some(vec![value]);
        facts.settle();
        facts
    }

    /// Whether both speak of the same values, by identity of the schemas.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        self.types == other.types
            && self.all.len() == other.all.len()
            && self.choices.len() == other.choices.len()
            && self.all.iter().zip(&other.all).all(|(a, b)| std::ptr::eq(*a, *b))
            && self.choices.iter().zip(&other.choices).all(|(a, b)| std::ptr::eq(*a, *b))
            && self.values == other.values
    }

    fn gather(&mut self, schema: &'a Value) {
        let keywords = match schema {
            Value::Object(keywords) => keywords,
            Value::Bool(false) => return self.nothing = true,
            _ => return,
        };
        if self.all.iter().any(|known| std::ptr::eq(*known, keywords)) {
            return;
        }
        self.all.push(keywords);
        if let Some((_, target)) = target(schema, self.root) {
            self.gather(target);
        }
        for (keyword, value) in keywords {
            match (keyword.as_str(), value) {
                ("allOf", Value::Array(schemas)) => schemas.iter().for_each(|schema| self.gather(schema)),
                ("anyOf" | "oneOf", Value::Array(schemas)) => self.choices.push(schemas),
                ("type", names) => self.types = self.types.and(Types::of_keyword(names)),
                ("const", value) => self.restrict(std::slice::from_ref(value)),
                ("enum", Value::Array(values)) => self.restrict(values),
                _ => {}
            }
        }
    }

    fn restrict(&mut self, values: &[Value]) {
        self.values = Some(match self.values.take() {
            None => values.to_vec(),
            Some(known) => {
                let listed = among(values);
                known.into_iter().filter(|known| listed(known)).collect()
            }
        });
    }

    /// Brings types and listed values into agreement.
    fn settle(&mut self) {
        if self.values.is_none() && self.types.minus(Types(Types::NULL.0 | Types::BOOLEAN.0)).is_empty() {
            let listed = [Value::Null, Value::Bool(true), Value::Bool(false)];
            self.values = Some(listed.into());
        }
        if let Some(values) = &mut self.values {
            values.retain(|value| !Types::of_value(value).and(self.types).is_empty());
            let present = values.iter().map(|value| Types::of_value(value).0).fold(0, |all, one| all | one);
            self.types = self.types.and(Types(present));
        }
        self.nothing |= self.types.is_empty();
    }

    /// What stands under `keyword` in each schema that has it.
    pub(super) fn each(&self, keyword: &str) -> impl Iterator<Item = &'a Value> {
        self.all.iter().filter_map(move |keywords| keywords.get(keyword))
    }

    fn numbers(&self, keyword: &str) -> impl Iterator<Item = &'a Number> {
        self.each(keyword).filter_map(Value::as_number)
    }

    /// The strongest `min…` (or, with `largest` false, `max…`) count under `keyword`.
    pub(super) fn count(&self, keyword: &str, largest: bool) -> Option<u64> {
        let counts = self.numbers(keyword).filter_map(|number| u64::try_from(integer(number)?).ok());
        if largest { counts.max() } else { counts.min() }
    }

    /// The tightest bound on numbers and whether it is excluded: from below for sign 1, from above for -1.
    pub(super) fn bound(&self, sign: i8) -> Option<(Number, bool)> {
        let (inclusive, exclusive) =
            if sign > 0 { ("minimum", "exclusiveMinimum") } else { ("maximum", "exclusiveMaximum") };
        let mut tightest: Option<(Number, bool)> = None;
        let bounds =
            self.numbers(inclusive).map(|n| (n, false)).chain(self.numbers(exclusive).map(|n| (n, true)));
        for (number, excluded) in bounds {
            let bound = (number.clone(), excluded);
            if tightest.as_ref().is_none_or(|known| !implies(sign, known, &bound)) {
                tightest = Some(bound);
            }
        }
        if self.types.and(Types::NUMBER) == Types::INTEGER {
            // Between whole numbers an excluded bound is the next one, included.
            tightest = tightest.map(|(number, excluded)| match (excluded, integer(&number)) {
                (true, Some(whole)) => match i64::try_from(whole + i128::from(sign)) {
                    Ok(next) => (next.into(), false),
                    Err(_) => (number, true),
                },
                _ => (number, excluded),
            });
        }
        tightest
    }

    /// Whether every number here is a multiple of `step`, where that can be told.
    pub(super) fn multiple_of(&self, step: &Number) -> bool {
        let whole = |number: &Number| match (integer(number), integer(step)) {
            (Some(number), Some(step)) => step != 0 && number % step == 0,
            _ => compare(number, step) == Some(Ordering::Equal),
        };
        let unit = self.types.and(Types::NUMBER) == Types::INTEGER && integer(step) == Some(1);
        unit || self.numbers("multipleOf").any(whole)
    }

    pub(super) fn required(&self) -> impl Iterator<Item = &'a str> {
        self.each("required").filter_map(Value::as_array).flatten().filter_map(Value::as_str)
    }
}

/// Whether a number within bound `a` is within bound `b`, both from below (sign 1) or above (-1).
pub(super) fn implies(sign: i8, a: &(Number, bool), b: &(Number, bool)) -> bool {
    let order = compare(&a.0, &b.0).map(|order| if sign > 0 { order } else { order.reverse() });
    match order {
        Some(Ordering::Greater) => true,
        Some(Ordering::Equal) => a.1 || !b.1,
        _ => false,
    }
}
