//! YAML read strictly: every key once, plain JSON values only, and bounds that hold after aliases are expanded.

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::fmt;

/// Values in a document, and bytes of text, counted each time an alias repeats them.
const MAX_VALUES: usize = 50_000;
const MAX_TEXT: usize = 4 << 20;
const MAX_DEPTH: usize = 64;
/// Nested brackets make the scanner's time quadratic, so they are counted before it starts.
const MAX_BRACKETS: usize = 10_000;

/// Reads one document. The error says what is wrong, with line and column.
pub fn read(text: &str) -> Result<Value, String> {
    // Brackets in quoted text count too; the limit leaves room for them.
    if text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() > MAX_BRACKETS {
        return Err(format!("more opening brackets than: {MAX_BRACKETS}"));
    }
    let budget = Budget { values: Cell::new(MAX_VALUES), text: Cell::new(MAX_TEXT) };
    let seed = Strict { depth: MAX_DEPTH, budget: &budget };
    seed.deserialize(serde_norway::Deserializer::from_str(text)).map_err(|error| error.to_string())
}

/// Reads one document into a type: first the bounds and duplicate keys, for which a typed reader has no eye; then
/// the fields, with their place in the error.
pub fn read_into<T: de::DeserializeOwned>(text: &str) -> Result<T, String> {
    if read(text)?.is_null() {
        return Err("the document is empty".to_owned());
    }
    serde_norway::from_str(text).map_err(|error| error.to_string())
}

struct Budget {
    values: Cell<usize>,
    text: Cell<usize>,
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    budget: &'a Budget,
}

impl Strict<'_> {
    fn spend<E: de::Error>(&self, text: usize) -> Result<(), E> {
        let values = self.budget.values.get().checked_sub(1);
        let rest = self.budget.text.get().checked_sub(text);
        let (Some(values), Some(rest)) = (values, rest) else {
            return Err(E::custom("document is too large once its aliases are expanded"));
        };
        self.budget.values.set(values);
        self.budget.text.set(rest);
        Ok(())
    }

    fn inner<E: de::Error>(&self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1);
        let depth = depth.ok_or_else(|| E::custom(format!("nested deeper than {MAX_DEPTH} levels")))?;
        Ok(Self { depth, budget: self.budget })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a plain value without a tag")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.spend(0).map(|()| Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        self.spend(0).map(|()| value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        self.spend(0).map(|()| value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        self.spend(0).map(|()| value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        self.spend(0)?;
        serde_json::Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number is not finite"))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.spend(value.len()).map(|()| value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.spend(0)?;
        let inner = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.spend(0)?;
        let inner = self.inner()?;
        let mut map = Map::new();
        while let Some(key) = access.next_key_seed(inner)? {
            let Value::String(key) = key else {
                return Err(de::Error::custom(format!("key is not text, quote it: {key}")));
            };
            if key == "<<" {
                return Err(de::Error::custom("merge keys are not supported"));
            }
            if map.contains_key(&key) {
                return Err(de::Error::custom(format!(
                    "duplicate key: {}",
                    crate::model::digest::shorten(&key)
                )));
            }
            let value = access.next_value_seed(inner)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
