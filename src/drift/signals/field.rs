//! One value inside of JSON, as a column.

use super::{Invalid, Kind, Signal, Text, Value};
use serde_json::Value as Json;
use std::fmt;

/// Objects within each other that a path can lead through.
pub const MAX_DEPTH: usize = 8;
const MAX_NAME: usize = 256;
/// Bytes of a text that can be a category.
pub(super) const MAX_LABEL: usize = 64;

/// A place in JSON, such as `$.customer.city`, or `$.items[]` for how many elements a list has. A key that is not of
/// letters, digits, `_` and `-` only is in quotes, as in `$."first name"`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field {
    pub(super) keys: Vec<String>,
    pub(super) is_length: bool,
}

impl Field {
    /// Errors: it is not of that form, leads through more than 8 objects, or is longer than 256 bytes.
    pub fn parse(path: &str) -> Result<Self, Invalid> {
        let invalid =
            || Invalid::new("a path is like $.customer.city or $.items[], at most 8 keys and 256 bytes");
        let (is_length, keys) = match path.strip_suffix("[]") {
            // Unless a quoted key ends so.
            Some(keys) if !keys.is_empty() => (true, keys),
            _ => (false, path),
        };
        let mut rest = keys.strip_prefix('$').filter(|_| path.len() <= MAX_NAME).ok_or_else(invalid)?;
        let mut keys = vec![];
        while !rest.is_empty() {
            rest = rest.strip_prefix('.').ok_or_else(invalid)?;
            let key;
            if rest.starts_with('"') {
                let mut quoted = serde_json::Deserializer::from_str(rest).into_iter::<String>();
                key = quoted.next().and_then(Result::ok).ok_or_else(invalid)?;
                rest = &rest[quoted.byte_offset()..];
            } else {
                let end = rest.find(|c| !is_plain(c)).unwrap_or(rest.len());
                key = rest[..end].to_owned();
                rest = &rest[end..];
                if key.is_empty() {
                    return Err(invalid());
                }
            }
            keys.push(key);
        }
        if keys.len() > MAX_DEPTH { Err(invalid()) } else { Ok(Self { keys, is_length }) }
    }

    /// The keys that lead there, one inside the other.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The value there: missing if the text is no JSON, or has nothing or null there; [`Value::Other`] for a list or an
    /// object, or for anything but a list where its length is asked for.
    pub fn of(&self, text: &Text<'_>) -> Value {
        let mut json = text.json();
        for key in &self.keys {
            json = json.and_then(|json| json.get(key));
        }
        match (json, self.is_length) {
            (None | Some(Json::Null), _) => Value::Missing,
            (Some(Json::Array(items)), true) => Value::count(items.len()),
            (Some(Json::Bool(value)), false) => Value::Boolean(*value),
            (Some(Json::Number(number)), false) => number.as_f64().into(),
            (Some(Json::String(text)), false) => Value::label(text.clone()),
            _ => Value::Other,
        }
    }

    /// As a signal whose values are to be of this kind. A text that is too long for a category is none: it would be kept
    /// as it is.
    pub fn signal(self, kind: Kind) -> Signal {
        let is_long = move |text: &str| kind == Kind::Categorical && text.len() > MAX_LABEL;
        Signal::new(self.to_string(), kind, "the value at a path of the text as JSON", move |text| match self
            .of(text)
        {
            Value::Label(text) if is_long(&text) => Value::Other,
            value => value,
        })
    }
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

impl fmt::Display for Field {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("$")?;
        for key in &self.keys {
            if !key.is_empty() && key.chars().all(is_plain) {
                write!(out, ".{key}")?;
            } else {
                write!(out, ".{}", Json::from(key.as_str()))?;
            }
        }
        out.write_str(if self.is_length { "[]" } else { "" })
    }
}
