//! JSON that reads one way only: duplicate keys and deep nesting are refused, because two parsers that
//! disagree about the same signed bytes are how a manifest says two things at once.

use crate::error::{Error, Result};
use crate::model::digest::shorten;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// Parses one JSON document. `max_depth` counts nested arrays and objects: a scalar has depth 0, `[]`
/// depth 1; above 127 the limit of `serde_json` holds. The caller bounds the number of bytes.
///
/// Errors: `json_invalid`, `json_duplicate_key`, `json_too_deep`.
pub fn parse_strict(bytes: &[u8], max_depth: usize) -> Result<Value> {
    let code = Cell::new("json_invalid");
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Strict { depth_left: max_depth, code: &code }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| Error::invalid(code.get(), format!("not acceptable as JSON: {error}")))
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    depth_left: usize,
    /// The error code travels beside serde's error, which carries text only.
    code: &'a Cell<&'static str>,
}

impl Strict<'_> {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left, ..self }),
            None => {
                self.code.set("json_too_deep");
                Err(E::custom("nested too deeply"))
            }
        }
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
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                self.code.set("json_duplicate_key");
                return Err(duplicate(&key));
            }
            let value = entries.next_value_seed(inner)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

fn duplicate<E: de::Error>(key: &str) -> E {
    E::custom(format_args!("duplicate key: {}", shorten(key)))
}

/// A JSON object of one value type that refuses duplicate keys, for documents too large for `Value`.
#[derive(Debug, Default)]
pub struct UniqueMap<V>(pub BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for UniqueMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueVisitor(PhantomData))
    }
}

struct UniqueVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for UniqueVisitor<V> {
    type Value = UniqueMap<V>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<UniqueMap<V>, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(duplicate(&key));
            }
            let value = entries.next_value()?;
            map.insert(key, value);
        }
        Ok(UniqueMap(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_what_serde_json_reads() {
        let text =
            r#" {"a":[1,-2,0.5,1e3,true,false,null,"\u00e9\n"],"big":18446744073709551615,"o":{"":{}}} "#;
        let value = parse_strict(text.as_bytes(), 3).unwrap();
        assert_eq!(value, serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(value["big"], json!(u64::MAX));
        assert_eq!(parse_strict(b"7", 0).unwrap(), json!(7));
    }

    #[test]
    fn refuses_what_could_be_read_two_ways() {
        let code = |bytes: &[u8]| parse_strict(bytes, 4).unwrap_err().code;
        assert_eq!(code(br#"{"a":1,"a":1}"#), "json_duplicate_key");
        assert_eq!(code(br#"{"x":[{"a":1,"\u0061":2}]}"#), "json_duplicate_key");
        assert_eq!(code(b"[[[[[]]]]]"), "json_too_deep");
        assert!(parse_strict(b"[[[[]]]]", 4).is_ok());
        for bad in [
            &b""[..],
            b"{",
            b"[1,]",
            b"{}{}",
            b"nul",
            b"\"\xff\"",
            b"\"\x00\"",
            b"1e999",
            b"'a'",
            b"\xef\xbb\xbf{}",
            b"{\"a\":1}x",
        ] {
            assert_eq!(code(bad), "json_invalid", "{bad:?}");
        }
    }

    #[test]
    fn a_hostile_depth_ends_early() {
        let bytes = vec![b'['; 1 << 20];
        assert_eq!(parse_strict(&bytes, 64).unwrap_err().code, "json_too_deep");
        assert!(parse_strict(&bytes, usize::MAX).is_err());
    }

    #[test]
    fn unique_maps_refuse_duplicates() {
        let good: UniqueMap<u64> = serde_json::from_str(r#"{"b":2,"a":1}"#).unwrap();
        assert_eq!(good.0.into_iter().collect::<Vec<_>>(), [("a".to_owned(), 1), ("b".to_owned(), 2)]);
        assert!(serde_json::from_str::<UniqueMap<u64>>(r#"{"a":2,"a":1}"#).is_err());
    }
}
