//! Is every value that schema A accepts accepted by schema B? A structural walk that proves "yes" or names the
//! places where it could not. It never says "yes" wrongly; it may fail to prove what is true.

use super::facts::{Facts, Keywords, Types, implies};
use super::number::{among, compare, integer};
use super::same::Same;
use super::scan::{Holds, escape, holds, target};
use crate::model::digest::shorten;
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Questions asked before the walk gives up; one about many values, names or schemas counts as several.
const MAX_STEPS: usize = 20_000;
const PER_STEP: usize = 16;
const MAX_DEPTH: usize = 100;
const MAX_GAPS: usize = 100;

/// A place in B where something of A may not fit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Gap {
    /// JSON pointer into B.
    pub(super) path: String,
    /// What A allows and B does not; or, if not certain, what could not be compared.
    pub(super) what: String,
    pub(super) certain: bool,
}

/// The gaps between two documents; none means that B accepts everything A does.
pub(super) fn gaps<'a>(a: &'a Value, b: &'a Value) -> Vec<Gap> {
    let mut walk =
        Walk { same: Same::new(a, b), steps: 0, depth: 0, first: false, asked: Vec::new(), gaps: Vec::new() };
    walk.within(Facts::new(a, [a]), b, "");
    walk.gaps
}

struct Walk<'a> {
    same: Same<'a>,
    steps: usize,
    depth: usize,
    /// Stop at the first gap: only the answer is wanted.
    first: bool,
    /// Questions being answered. A recursive schema asks the same one again further down in the value; it may
    /// take the answer for granted, since any gap would be found on the way round.
    asked: Vec<(Facts<'a>, &'a Value)>,
    gaps: Vec<Gap>,
}

impl<'a> Walk<'a> {
    fn gap(&mut self, path: &str, what: impl Into<String>, certain: bool) {
        let gap = Gap { path: path.into(), what: what.into(), certain };
        if self.gaps.len() < MAX_GAPS && !self.gaps.contains(&gap) {
            self.gaps.push(gap);
        }
    }

    fn within(&mut self, a: Facts<'a>, b: &'a Value, path: &str) {
        self.steps += 1 + (a.values.as_ref().map_or(0, Vec::len) + a.all.len() + members_of(b)) / PER_STEP;
        if a.nothing || b == &Value::Bool(true) || (self.first && !self.gaps.is_empty()) {
            return;
        }
        if self.steps > MAX_STEPS || self.depth > MAX_DEPTH {
            return self.gap(path, "the schema is too large or too deep to compare", false);
        }
        let Value::Object(keywords) = b else {
            return self.gap(path, format!("a value here ({})", a.types.names()), true);
        };
        if self.asked.iter().any(|(known, schema)| std::ptr::eq(*schema, b) && known.same_as(&a)) {
            return;
        }
        self.asked.push((a.clone(), b));
        self.depth += 1;
        self.split(a, keywords, b, path);
        self.depth -= 1;
        self.asked.pop();
    }

    /// A union is within B if each of its branches is. `oneOf` accepts at most what `anyOf` does.
    fn split(&mut self, mut a: Facts<'a>, keywords: &'a Keywords, b: &'a Value, path: &str) {
        if keywords.keys().all(|keyword| holds(keyword) == Holds::Annotation) {
            return;
        }
        match a.choices.pop() {
            Some(branches) => branches.iter().for_each(|branch| self.within(a.and(branch), b, path)),
            None => self.keywords(&a, keywords, b, path),
        }
    }

    /// B is the conjunction of its keywords, so each is proven by itself.
    fn keywords(&mut self, a: &Facts<'a>, b: &'a Keywords, schema: &'a Value, path: &str) {
        let whole = ["unevaluatedProperties", "unevaluatedItems"];
        if whole.iter().any(|keyword| b.contains_key(*keyword)) {
            // These depend on everything beside them, so only the same schema is known to imply them.
            let same = a.all.iter().any(|known| self.same.keywords(known, b));
            return if same {
            } else {
                self.gap(path, "unevaluated members or items", false)
            };
        }
        if let Some((at, target)) = target(schema, self.same.roots[1]) {
            self.within(a.clone(), target, &at);
        }
        for (keyword, value) in b {
            let at = format!("{path}/{keyword}");
            match (keyword.as_str(), value) {
                ("type", names) => {
                    let excess = a.types.minus(Types::of_keyword(names));
                    if !excess.is_empty() {
                        self.gap(&at, format!("values of type {}", excess.names()), true);
                    }
                }
                ("const", value) => self.listed(a, std::slice::from_ref(value), &at),
                ("enum", Value::Array(values)) => self.listed(a, values, &at),
                ("allOf", Value::Array(schemas)) => {
                    for (index, schema) in schemas.iter().enumerate() {
                        self.within(a.clone(), schema, &format!("{at}/{index}"));
                    }
                }
                ("anyOf", Value::Array(schemas)) => self.union(a, schemas, &at),
                ("oneOf", Value::Array(schemas)) => self.exactly_one(a, schemas, value, &at),
                ("not", schema) => {
                    let excluded = Facts::new(self.same.roots[1], [schema]);
                    let same = a.each("not").any(|known| self.same.schemas(known, schema));
                    if !same && !self.disjoint(a, &excluded, 8) {
                        self.gap(&at, "the schemas under not", false);
                    }
                }
                ("minimum", _) => self.bound(a, 1, value, false, &at),
                ("exclusiveMinimum", _) => self.bound(a, 1, value, true, &at),
                ("maximum", _) => self.bound(a, -1, value, false, &at),
                ("exclusiveMaximum", _) => self.bound(a, -1, value, true, &at),
                ("multipleOf", Value::Number(step)) if !a.types.and(Types::NUMBER).is_empty() => {
                    let listed = a.values.as_ref().is_some_and(|values| {
                        let multiple =
                            |number| Some(integer(number)? % integer(step).filter(|step| *step != 0)? == 0);
                        values
                            .iter()
                            .filter_map(Value::as_number)
                            .all(|number| multiple(number) == Some(true))
                    });
                    if !listed && !a.multiple_of(step) {
                        let known = a.each("multipleOf").next().is_none();
                        self.gap(&at, format!("numbers that are not multiples of {step}"), known);
                    }
                }
                ("minLength" | "maxLength", _) => {
                    let measure = |value: &Value| value.as_str().map(|text| text.chars().count());
                    self.count(a, keyword, value, Types::STRING, measure, "strings", &at);
                }
                ("minItems" | "maxItems", _) => {
                    self.count(
                        a,
                        keyword,
                        value,
                        Types::ARRAY,
                        |value| value.as_array().map(Vec::len),
                        "arrays",
                        &at,
                    );
                }
                ("minProperties" | "maxProperties", _) => {
                    let measure = |value: &Value| value.as_object().map(|map| map.len());
                    self.count(a, keyword, value, Types::OBJECT, measure, "objects", &at);
                }
                ("pattern" | "format", _) if !a.types.and(Types::STRING).is_empty() => {
                    if !a.each(keyword).any(|known| known == value) {
                        let certain = a.each(keyword).next().is_none() && a.values.is_none();
                        let what = format!(
                            "strings that do not match the {keyword} {}",
                            shorten(&value.to_string())
                        );
                        self.gap(&at, what, certain);
                    }
                }
                ("uniqueItems", Value::Bool(true)) if !a.types.and(Types::ARRAY).is_empty() => {
                    let single = max_items(a).is_some_and(|max| max <= 1);
                    if !single && !a.each("uniqueItems").any(|known| known == value) {
                        self.gap(&at, "arrays with equal items", true);
                    }
                }
                ("required", Value::Array(names)) if !a.types.and(Types::OBJECT).is_empty() => {
                    let required: BTreeSet<&str> = a.required().collect();
                    self.steps +=
                        (names.len() * a.values.as_ref().map_or(0, Vec::len) + required.len()) / PER_STEP;
                    for name in names.iter().filter_map(Value::as_str) {
                        if self.steps > MAX_STEPS {
                            return self.gap(&at, "the schema is too large or too deep to compare", false);
                        }
                        let present =
                            |value: &Value| value.as_object().is_none_or(|map| map.contains_key(name));
                        let listed = a.values.as_ref().is_some_and(|values| values.iter().all(present));
                        if !listed && !required.contains(name) {
                            self.gap(&at, format!("objects without property {}", shorten(name)), true);
                        }
                    }
                }
                (
                    "$ref" | "$defs" | "definitions" | "uniqueItems" | "multipleOf" | "pattern" | "format"
                    | "required",
                    _,
                ) => {}
                (
                    "properties" | "patternProperties" | "additionalProperties" | "items" | "prefixItems",
                    _,
                ) => {}
                _ if holds(keyword) == Holds::Annotation => {}
                _ => self.opaque(a, b, keyword, &at),
            }
        }
        let has = |names: &[&str]| names.iter().any(|name| b.contains_key(*name));
        if has(&["properties", "patternProperties", "additionalProperties"])
            && !a.types.and(Types::OBJECT).is_empty()
        {
            self.members(a, b, path);
        }
        if has(&["items", "prefixItems"]) && !a.types.and(Types::ARRAY).is_empty() {
            self.items(a, b, path);
        }
    }

    /// Keywords without reasoning of their own: A must say the same.
    fn opaque(&mut self, a: &Facts<'a>, b: &'a Keywords, keyword: &str, at: &str) {
        let (group, types): (&[&str], _) = match keyword {
            "contains" | "minContains" | "maxContains" => {
                (&["contains", "minContains", "maxContains"], Types::ARRAY)
            }
            "if" | "then" | "else" => (&["if", "then", "else"], Types::ALL),
            "dependentRequired" | "dependentSchemas" | "propertyNames" => (&[keyword], Types::OBJECT),
            _ => (&[keyword], Types::ALL),
        };
        let same = a.types.and(types).is_empty()
            || a.all.iter().any(|known| {
                group.iter().all(|name| match (known.get(*name), b.get(*name)) {
                    (Some(a), Some(b)) => self.same.keyword(name, a, b),
                    (a, b) => a.is_none() && b.is_none(),
                })
            });
        if !same {
            self.gap(at, format!("the keyword {} differs", shorten(keyword)), false);
        }
    }

    fn listed(&mut self, a: &Facts<'a>, allowed: &[Value], at: &str) {
        let Some(values) = &a.values else {
            return self.gap(at, "values that are not listed", true);
        };
        let is_allowed = among(allowed);
        for value in values.iter().filter(|value| !is_allowed(value)).take(MAX_GAPS) {
            self.gap(at, format!("the value {}", shorten(&value.to_string())), true);
        }
    }

    fn bound(&mut self, a: &Facts<'a>, sign: i8, value: &Value, excluded: bool, at: &str) {
        let Value::Number(limit) = value else { return };
        if a.types.and(Types::NUMBER).is_empty() {
            return;
        }
        let wanted = (limit.clone(), excluded);
        let fits = match &a.values {
            Some(values) => values
                .iter()
                .filter_map(Value::as_number)
                .all(|number| implies(sign, &(number.clone(), false), &wanted)),
            None => a.bound(sign).is_some_and(|known| implies(sign, &known, &wanted)),
        };
        if !fits {
            let side = if sign > 0 { "below" } else { "above" };
            let equals = if excluded { "or equal to " } else { "" };
            self.gap(at, format!("numbers {side} {equals}{limit}"), true);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one rule for six keywords")]
    fn count(
        &mut self,
        a: &Facts<'a>,
        keyword: &str,
        value: &Value,
        types: Types,
        measure: fn(&Value) -> Option<usize>,
        noun: &str,
        at: &str,
    ) {
        let Some(limit) = value.as_number().and_then(integer).and_then(|limit| u64::try_from(limit).ok())
        else {
            return self.gap(at, "the number is not a count", false);
        };
        if a.types.and(types).is_empty() {
            return;
        }
        let least = keyword.starts_with("min");
        let fits = match &a.values {
            Some(values) => values.iter().filter_map(measure).all(|count| {
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                if least { count >= limit } else { count <= limit }
            }),
            None if least => {
                let required: BTreeSet<&str> = a.required().collect();
                let present = if keyword == "minProperties" { required.len() as u64 } else { 0 };
                a.count(keyword, true).unwrap_or(0).max(present) >= limit
            }
            None => match keyword {
                "maxItems" => max_items(a),
                "maxProperties" => a.count(keyword, false).into_iter().chain(closed_size(a)).min(),
                _ => a.count(keyword, false),
            }
            .is_some_and(|known| known <= limit),
        };
        if !fits {
            let order = if least { "shorter" } else { "longer" };
            self.gap(at, format!("{noun} {order} than {limit}"), true);
        }
    }

    fn union(&mut self, a: &Facts<'a>, branches: &'a [Value], at: &str) {
        if !self.in_some(a, branches) {
            self.gap(at, format!("values ({}) that no variant is known to accept", a.types.names()), false);
        }
    }

    /// A lies in one branch; or each of its types, or each of its values, does.
    fn in_some(&mut self, a: &Facts<'a>, branches: &'a [Value]) -> bool {
        if branches.iter().any(|branch| self.holds(a, branch)) {
            return true;
        }
        if self.steps > MAX_STEPS {
            return false;
        }
        match &a.values {
            Some(values) if values.len() > 1 => {
                values.iter().all(|value| self.in_some(&a.only(value.clone()), branches))
            }
            Some(_) => false,
            None => {
                let types: Vec<Types> = a.types.each().collect();
                types.len() > 1 && types.into_iter().all(|one| self.in_some(&a.of_types(one), branches))
            }
        }
    }

    /// The answer without the gaps.
    fn holds(&mut self, a: &Facts<'a>, b: &'a Value) -> bool {
        let gaps = std::mem::take(&mut self.gaps);
        let first = std::mem::replace(&mut self.first, true);
        self.within(a.clone(), b, "");
        self.first = first;
        std::mem::replace(&mut self.gaps, gaps).is_empty()
    }

    /// `oneOf` is `anyOf` if no value can match two branches; otherwise A must say the same.
    fn exactly_one(&mut self, a: &Facts<'a>, branches: &'a [Value], value: &'a Value, at: &str) {
        let root = self.same.roots[1];
        let facts: Vec<Facts> = branches.iter().map(|branch| Facts::new(root, [branch])).collect();
        let apart = facts
            .iter()
            .enumerate()
            .all(|(index, one)| facts.iter().skip(index + 1).all(|other| self.disjoint(one, other, 8)));
        if apart {
            self.union(a, branches, at);
        } else if !a.each("oneOf").any(|known| self.same.keyword("oneOf", known, value)) {
            self.gap(at, "variants under oneOf that may overlap", false);
        }
    }

    /// Whether no value can be in both; `false` if that cannot be told.
    fn disjoint(&mut self, a: &Facts<'a>, b: &Facts<'a>, depth: usize) -> bool {
        self.steps += 1;
        let types = a.types.and(b.types);
        if a.nothing || b.nothing || types.is_empty() {
            return true;
        }
        if depth == 0 || self.steps > MAX_STEPS {
            return false;
        }
        for (split, whole, swap) in [(a, b, false), (b, a, true)] {
            let mut rest = split.clone();
            if let Some(branches) = rest.choices.pop() {
                return branches.iter().all(|branch| {
                    let branch = rest.and(branch);
                    if swap {
                        self.disjoint(whole, &branch, depth - 1)
                    } else {
                        self.disjoint(&branch, whole, depth - 1)
                    }
                });
            }
        }
        if let (Some(a), Some(b)) = (&a.values, &b.values) {
            self.steps += (a.len() + b.len()) / PER_STEP;
            return !a.iter().any(among(b));
        }
        if types.and(Types::NUMBER) == types {
            let above = |low: &Facts, high: &Facts| match (low.bound(1), high.bound(-1)) {
                (Some(low), Some(high)) => match compare(&low.0, &high.0) {
                    Some(Ordering::Greater) => true,
                    Some(Ordering::Equal) => low.1 || high.1,
                    _ => false,
                },
                _ => false,
            };
            return above(a, b) || above(b, a);
        }
        // Objects that must both have a property, with nothing in common for its value.
        let both: BTreeSet<&str> =
            a.required().filter(|name| b.required().any(|other| other == *name)).collect();
        types == Types::OBJECT
            && both.into_iter().any(|name| self.disjoint(&member(a, name), &member(b, name), depth - 1))
    }

    fn members(&mut self, a: &Facts<'a>, b: &'a Keywords, path: &str) {
        let object = |keyword: &str| b.get(keyword).and_then(Value::as_object);
        let known = object("properties");
        for (name, schema) in known.into_iter().flatten() {
            self.within(member(a, name), schema, &format!("{path}/properties/{}", escape(name)));
        }
        let patterns = object("patternProperties").filter(|patterns| !patterns.is_empty());
        if let Some(value) = b.get("patternProperties").filter(|_| patterns.is_some())
            && !a.each("patternProperties").any(|known| self.same.keyword("patternProperties", known, value))
        {
            self.gap(&format!("{path}/patternProperties"), "properties by pattern", false);
        }
        let Some(other) = b.get("additionalProperties") else { return };
        let names: BTreeSet<&str> = a
            .each("properties")
            .filter_map(Value::as_object)
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        self.steps += names.len() / PER_STEP;
        for name in names.into_iter().filter(|name| !known.is_some_and(|known| known.contains_key(*name))) {
            self.within(member(a, name), other, &format!("{path}/properties/{}", escape(name)));
        }
        let at = format!("{path}/additionalProperties");
        for value in a.each("patternProperties") {
            let covered =
                b.get("patternProperties").is_some_and(|b| self.same.keyword("patternProperties", value, b));
            for schema in
                value.as_object().into_iter().flatten().map(|(_, schema)| schema).filter(|_| !covered)
            {
                self.within(Facts::new(a.root, [schema]), other, &at);
            }
        }
        self.within(Facts::new(a.root, a.each("additionalProperties")), other, &at);
    }

    fn items(&mut self, a: &Facts<'a>, b: &'a Keywords, path: &str) {
        let prefix = b.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let rest = b.get("items");
        let positions = prefixes(a).map(Vec::len).max().unwrap_or(0).max(prefix.len());
        let most = max_items(a).unwrap_or(u64::MAX);
        for index in (0..positions).take_while(|index| (*index as u64) < most) {
            let (schema, at) = match (prefix.get(index), rest) {
                (Some(schema), _) => (schema, format!("{path}/prefixItems/{index}")),
                (None, Some(schema)) => (schema, format!("{path}/items")),
                (None, None) => continue,
            };
            self.within(item(a, index), schema, &at);
        }
        if let Some(schema) = rest.filter(|_| most > positions as u64) {
            self.within(Facts::new(a.root, a.each("items")), schema, &format!("{path}/items"));
        }
    }
}

/// How much stands right under a schema's keywords.
fn members_of(schema: &Value) -> usize {
    let size = |value: &Value| match value {
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        _ => 1,
    };
    schema.as_object().map_or(0, |keywords| keywords.values().map(size).sum())
}

/// What A says of property `name`. Where a pattern might speak of the name, less is known, never more.
fn member<'a>(a: &Facts<'a>, name: &str) -> Facts<'a> {
    let schema = |keywords: &&'a Keywords| {
        let named = keywords.get("properties").and_then(|known| known.get(name));
        let patterns = keywords.get("patternProperties").and_then(Value::as_object);
        let other = keywords
            .get("additionalProperties")
            .filter(|_| patterns.is_none_or(|patterns| patterns.is_empty()));
        named.or(other)
    };
    Facts::new(a.root, a.all.iter().filter_map(schema))
}

fn item<'a>(a: &Facts<'a>, index: usize) -> Facts<'a> {
    let schema = |keywords: &&'a Keywords| {
        let prefix = keywords.get("prefixItems").and_then(Value::as_array);
        prefix.and_then(|prefix| prefix.get(index)).or_else(|| keywords.get("items"))
    };
    Facts::new(a.root, a.all.iter().filter_map(schema))
}

fn prefixes<'a>(a: &Facts<'a>) -> impl Iterator<Item = &'a Vec<Value>> {
    a.each("prefixItems").filter_map(Value::as_array)
}

/// The most items an array can have: `maxItems`, or the prefix where no item may follow it.
fn max_items(a: &Facts) -> Option<u64> {
    let closed = a.all.iter().filter(|keywords| keywords.get("items") == Some(&Value::Bool(false)));
    let prefix = |keywords: &&Keywords| {
        keywords.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len) as u64
    };
    a.count("maxItems", false).into_iter().chain(closed.map(prefix)).min()
}

/// How many properties a closed object can have.
fn closed_size(a: &Facts) -> Option<u64> {
    let closed = a.all.iter().filter(|keywords| {
        let patterns = keywords.get("patternProperties").and_then(Value::as_object);
        keywords.get("additionalProperties") == Some(&Value::Bool(false))
            && patterns.is_none_or(|map| map.is_empty())
    });
    closed
        .map(|keywords| {
            keywords.get("properties").and_then(Value::as_object).map_or(0, |map| map.len()) as u64
        })
        .min()
}
