//! Long lists in JSON: base64 of little-endian values, which is half the size of digits, exact in any language, and
//! one `numpy.frombuffer` away from an array. A short list of numbers is an array a person can read.

use base64::{Engine, prelude::BASE64_STANDARD};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A list in the shorter of its two forms.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Packed<T>(pub(super) Vec<T>);

/// A value of a fixed number of bytes.
pub trait Element: Copy + Serialize + for<'de> Deserialize<'de> {
    const TYPE: &'static str;
    const BYTES: usize;
    /// Up to here a list is an array; longer ones are text. Hashes always are: not every language reads a number of
    /// 64 bits exactly.
    const ARRAY: usize;
    fn write(self, out: &mut Vec<u8>);
    fn read(bytes: &[u8]) -> Option<Self>;
}

macro_rules! element {
    ($type:ty, $array:literal) => {
        impl Element for $type {
            const TYPE: &'static str = stringify!($type);
            const BYTES: usize = size_of::<$type>();
            const ARRAY: usize = $array;

            fn write(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn read(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self::from_le_bytes)
            }
        }
    };
}

element!(f64, 64);
element!(u64, 0);
element!(u8, 0);

impl<T: Element> Serialize for Packed<T> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if self.0.len() <= T::ARRAY {
            return self.0.serialize(out);
        }
        let mut bytes = Vec::with_capacity(self.0.len() * T::BYTES);
        self.0.iter().for_each(|value| value.write(&mut bytes));
        out.serialize_str(&BASE64_STANDARD.encode(bytes))
    }
}

impl<'de, T: Element> Deserialize<'de> for Packed<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(Form(PhantomData))
    }
}

struct Form<T>(PhantomData<T>);

impl<'de, T: Element> Visitor<'de> for Form<T> {
    type Value = Packed<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "an array of at most {} or base64 of more {}", T::ARRAY, T::TYPE)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Packed<T>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            if values.len() == T::ARRAY {
                return Err(A::Error::custom("an array this long is written as base64"));
            }
            values.push(value);
        }
        Ok(Packed(values))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Packed<T>, E> {
        let bytes = BASE64_STANDARD.decode(text).map_err(E::custom)?;
        let values: Option<Vec<T>> = bytes.chunks(T::BYTES).map(T::read).collect();
        match values {
            Some(values) if values.len() > T::ARRAY => Ok(Packed(values)),
            Some(_) => Err(E::custom("a list this short is written as an array")),
            None => Err(E::custom(format_args!("base64 that is not of {}", T::TYPE))),
        }
    }
}

impl<T: Element> JsonSchema for Packed<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Packed_{}", T::TYPE).into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": format!("{}: an array up to {}, beyond that little-endian in base64", T::TYPE, T::ARRAY),
            "anyOf": [
                { "type": "array", "items": { "type": "number" }, "maxItems": T::ARRAY },
                { "type": "string", "contentEncoding": "base64" },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Packed<f64>, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn both_forms_come_back() {
        for n in [0, 1, 64, 65, 1_000] {
            let list = Packed((0..n).map(|i| f64::from(i).sqrt()).collect());
            let json = serde_json::to_string(&list).unwrap();
            assert_eq!(json.starts_with('['), n <= 64);
            assert_eq!(read(&json).unwrap(), list);
        }
    }

    #[test]
    fn each_list_has_one_form() {
        assert!(read(&format!("{:?}", [1.5; 65])).is_err(), "too long for an array");
        assert!(read(&format!("{:?}", BASE64_STANDARD.encode([0; 64 * 8]))).is_err(), "too short for text");
        assert!(read(&format!("{:?}", BASE64_STANDARD.encode([0; 66 * 8 + 1]))).is_err(), "bytes left over");
        for json in ["null", "1.5", "\"*\"", "[null]", "[\"1\"]", "{}", "\"\""] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
