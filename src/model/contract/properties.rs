//! Properties that must hold of every pair of schemas, tried on many small random ones. The generator is seeded,
//! so a failure repeats. The oracle is the validator: what is claimed of schemas must hold of values.

use super::{Change, Contract, diff, validator};
use serde_json::{Map, Value, json};

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        // xorshift64*: short, and its quality is ample for choosing test cases.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let index = self.below(items.len());
        items.get(index).expect("index is below the length")
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 9 } else { 13 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2..4 => json!(*self.pick(&["", "a", "ab", "abc", "b", "1", "éé"])),
            4..7 => json!(self.below(7) as i64 - 2),
            7 => json!(*self.pick(&[0.5, 1.0, 2.5, -0.5, 4.0])),
            8 => json!(self.below(3)),
            9 | 10 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            _ => {
                let members = (0..self.below(4))
                    .map(|_| ((*self.pick(&["a", "b", "c"])).to_owned(), self.value(depth - 1)));
                Value::Object(members.collect::<Vec<_>>().into_iter().collect::<Map<_, _>>())
            }
        }
    }

    fn schemas(&mut self, depth: usize) -> Value {
        (0..1 + self.below(3)).map(|_| self.schema(depth)).collect()
    }

    fn schema(&mut self, depth: usize) -> Value {
        if self.below(12) == 0 {
            return json!(self.below(3) > 0);
        }
        let mut schema = Map::new();
        for _ in 0..1 + self.below(4) {
            let (keyword, value) = self.keyword(depth);
            schema.insert(keyword.into(), value);
        }
        Value::Object(schema)
    }

    fn keyword(&mut self, depth: usize) -> (&'static str, Value) {
        const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "string", "number", "integer"];
        let number = json!(self.below(5) as i64 - 1);
        let count = json!(self.below(4));
        match self.below(if depth == 0 { 15 } else { 30 }) {
            0..3 => ("type", json!(self.pick(&TYPES))),
            3 => {
                let types = [*self.pick(&TYPES), *self.pick(&TYPES)];
                ("type", if types[0] == types[1] { json!(types[0]) } else { json!(types) })
            }
            4 => ("enum", (0..1 + self.below(3)).map(|_| self.value(1)).collect::<Vec<_>>().into()),
            5 => ("const", self.value(1)),
            6 => (*self.pick(&["minimum", "maximum"]), number),
            7 => (*self.pick(&["exclusiveMinimum", "exclusiveMaximum"]), number),
            8 => ("multipleOf", json!(*self.pick(&[1.0, 2.0, 4.0, 0.5]))),
            9 => (*self.pick(&["minLength", "maxLength"]), count),
            10 => ("pattern", json!(*self.pick(&["^a", "b"]))),
            11 => (*self.pick(&["minItems", "maxItems"]), count),
            12 => (*self.pick(&["minProperties", "maxProperties"]), count),
            13 => ("required", json!([self.pick(&["a", "b"])])),
            14 => ("uniqueItems", json!(self.below(2) == 0)),
            15..19 => {
                let names: Vec<&str> = (0..1 + self.below(2)).map(|_| *self.pick(&["a", "b", "c"])).collect();
                let members = names.into_iter().map(|name| (name.to_owned(), self.schema(depth - 1)));
                ("properties", Value::Object(members.collect::<Vec<_>>().into_iter().collect()))
            }
            19 | 20 => ("additionalProperties", self.schema(depth - 1)),
            21 => ("patternProperties", json!({*self.pick(&["^a", "[bc]"]): self.schema(depth - 1)})),
            22 => ("items", self.schema(depth - 1)),
            23 => ("prefixItems", self.schemas(depth - 1)),
            24 => ("anyOf", self.schemas(depth - 1)),
            25 => ("oneOf", self.schemas(depth - 1)),
            26 => ("allOf", self.schemas(depth - 1)),
            27 => ("not", self.schema(depth - 1)),
            28 => ("contains", self.schema(depth - 1)),
            _ => (
                *self.pick(&["if", "then", "unevaluatedProperties", "propertyNames"]),
                self.schema(depth - 1),
            ),
        }
    }

    /// A small edit, so that pairs are often related.
    fn edit(&mut self, schema: &Value, depth: usize) -> Value {
        let mut edited = schema.clone();
        match &mut edited {
            Value::Object(map) if !map.is_empty() && self.below(5) > 0 => {
                let keys: Vec<String> = map.keys().cloned().collect();
                let key = self.pick(&keys).clone();
                match (self.below(3), map.get_mut(&key)) {
                    (0, _) => drop(map.remove(&key)),
                    (1, Some(inner @ Value::Object(_))) if depth > 0 && key != "const" => {
                        let first = inner.as_object_mut().and_then(|inner| inner.values_mut().next());
                        if let Some(one) = first.filter(|one| one.is_object()) {
                            *one = self.edit(&one.clone(), depth - 1);
                        }
                    }
                    _ => {
                        let (keyword, value) = self.keyword(depth);
                        map.insert(keyword.into(), value);
                    }
                }
            }
            _ => return self.schema(depth),
        }
        edited
    }
}

#[test]
fn claims_about_schemas_hold_of_values() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut seen = [0usize; 3];
    let mut checked = 0;
    for _ in 0..6_000 {
        let old = random.schema(2);
        let new = random.edit(&old, 2);
        let (Ok(a), Ok(b)) =
            (Contract::new(old.clone(), new.clone()), Contract::new(new.clone(), old.clone()))
        else {
            continue;
        };
        assert_eq!(diff(&a, &a).change, Change::Equal);
        let input = diff(
            &Contract::new(old.clone(), json!(true)).unwrap(),
            &Contract::new(new.clone(), json!(true)).unwrap(),
        );
        // As outputs, the other way round, the same inclusion decides.
        let output = diff(
            &Contract::new(json!(true), new.clone()).unwrap(),
            &Contract::new(json!(true), old.clone()).unwrap(),
        );
        assert_eq!(input.change, output.change, "duality: {old} to {new}");
        let both = diff(&a, &b);
        assert_eq!(both.change, input.change.max(output.change));
        seen[input.change as usize] += 1;
        if input.change == Change::Major {
            continue;
        }
        let (before, after) = (validator(&old).unwrap(), validator(&new).unwrap());
        for _ in 0..60 {
            let value = random.value(3);
            checked += 1;
            if before.is_valid(&value) {
                assert!(
                    after.is_valid(&value),
                    "{old} to {new} is said to be {:?}, but: {value}",
                    input.change
                );
            } else if input.change == Change::Equal {
                assert!(!after.is_valid(&value), "{old} to {new} is said to be equal, but: {value}");
            }
        }
    }
    // The test means something only if each answer came up often.
    assert!(seen.iter().all(|count| *count > 300) && checked > 50_000, "{seen:?} {checked}");
}

/// A major change is often truly one: the walk is not just saying "major" to everything.
#[test]
fn most_major_changes_have_a_witness() {
    let mut random = Random(42);
    let (mut major, mut witnessed) = (0, 0);
    for _ in 0..1_500 {
        let old = random.schema(1);
        let new = random.edit(&old, 1);
        let pair = [&old, &new].map(|schema| Contract::new(schema.clone(), json!(true)));
        let [Ok(a), Ok(b)] = pair else { continue };
        if diff(&a, &b).change == Change::Major {
            major += 1;
            let (before, after) = (validator(&old).unwrap(), validator(&new).unwrap());
            let mut values = (0..400).map(|_| random.value(2));
            witnessed += usize::from(values.any(|value| before.is_valid(&value) && !after.is_valid(&value)));
        }
    }
    assert!(major > 300 && witnessed * 10 > major * 7, "{witnessed} of {major}");
}
