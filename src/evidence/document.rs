//! An evidence file before its format is known: one JSON object, or text. JSON is read strictly, and counted
//! before it is read, because a tree of values takes many times the bytes of its text.

use super::{bounded, malformed};
use crate::error::{Error, Result};
use crate::model::digest::shorten;
use crate::model::json::parse_strict;
use serde::de::DeserializeOwned;
use serde_json::Value;

const MAX_DEPTH: usize = 100;
/// Values in one document, and how many of them may be arrays or objects.
const MAX_VALUES: usize = 1_500_000;
const MAX_CONTAINERS: usize = 200_000;

static NULL: Value = Value::Null;

pub(super) enum Document<'a> {
    Json { bytes: &'a [u8], value: Value },
    Text(&'a str),
}

impl<'a> Document<'a> {
    /// Errors: `evidence_unrecognised`, `evidence_too_large`, `metric_invalid`, and those of `parse_strict`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        if bytes.trim_ascii_start().starts_with(b"{") {
            return Ok(Self::Json { bytes, value: parse_json(bytes)? });
        }
        match std::str::from_utf8(bytes) {
            Ok(text) if !text.trim().is_empty() => {
                Ok(Self::Text(text.strip_prefix('\u{feff}').unwrap_or(text)))
            }
            Ok(_) => Err(Error::invalid("evidence_unrecognised", "the file is empty")),
            Err(_) => {
                Err(Error::invalid("evidence_unrecognised", "the file is neither JSON nor text in UTF-8"))
            }
        }
    }

    /// The JSON value; null for text.
    pub fn json(&self) -> &Value {
        match self {
            Self::Json { value, .. } => value,
            Self::Text(_) => &NULL,
        }
    }

    pub fn text(&self) -> Option<&'a str> {
        match self {
            Self::Json { .. } => None,
            Self::Text(text) => Some(text),
        }
    }

    /// Which of Gradus' own formats it claims to be.
    pub fn gradus(&self) -> Option<&str> {
        self.json()["gradus"].as_str()
    }

    /// Reads one of Gradus' own formats, with line and column in the error. Duplicate keys were refused before.
    pub fn typed<T: DeserializeOwned>(self, what: &str) -> Result<T> {
        let Self::Json { bytes, value } = self else {
            return Err(malformed(format!("not {what}: the file is not JSON")));
        };
        // Two trees of a large document need not exist at once.
        drop(value);
        serde_json::from_slice(bytes)
            .map_err(|error| malformed(format!("not {what}: {}", bounded(&error.to_string()))))
    }
}

/// Also for a document inside another.
pub(super) fn parse_json(bytes: &[u8]) -> Result<Value> {
    let survey = survey(bytes);
    // As Python writes them. Refused by name, because a metric that is not a number is the likely reason.
    if let Some((literal, place)) = survey.not_finite {
        return Err(not_finite(format!("not a number: {literal} at {}", shorten(&place))));
    }
    if survey.values > MAX_VALUES || survey.containers > MAX_CONTAINERS {
        return Err(Error::too_large(
            "evidence_too_large",
            format!(
                "about {} JSON values and {} arrays and objects in one file",
                survey.values, survey.containers
            ),
        )
        .hint(format!("at most {MAX_VALUES} values, and {MAX_CONTAINERS} arrays and objects")));
    }
    parse_strict(bytes, MAX_DEPTH).map_err(|error| match error.message.contains("number out of range") {
        true => not_finite(error.message),
        false => error,
    })
}

fn not_finite(message: String) -> Error {
    Error::invalid("metric_invalid", message).hint("every number must be finite")
}

#[derive(Default)]
struct Survey {
    values: usize,
    containers: usize,
    /// The first literal that is not a finite number, and the keys that lead to it.
    not_finite: Option<(&'static str, String)>,
}

/// Walks over JSON text without building anything. What is not JSON is left to the parser to refuse.
fn survey(bytes: &[u8]) -> Survey {
    let mut survey = Survey::default();
    let mut keys: Vec<&[u8]> = Vec::new();
    let mut last: &[u8] = b"";
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let end = end_of_string(bytes, at + 1);
                last = bytes.get(at + 1..end).unwrap_or_default();
                at = end;
            }
            b':' => {
                if let Some(key) = keys.last_mut() {
                    *key = last;
                }
            }
            b'{' | b'[' => {
                survey.containers += 1;
                survey.values += 1;
                // Deeper, the parser refuses.
                if keys.len() <= MAX_DEPTH {
                    keys.push(b"");
                }
            }
            b'}' | b']' => drop(keys.pop()),
            b',' => survey.values += 1,
            b'N' | b'I' if survey.not_finite.is_none() => {
                let literal = ["NaN", "Infinity"];
                let found = literal.into_iter().find(|literal| bytes[at..].starts_with(literal.as_bytes()));
                survey.not_finite = found.map(|literal| (literal, path(&keys)));
            }
            _ => {}
        }
        at += 1;
    }
    survey
}

/// Where the closing quote is.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn path(keys: &[&[u8]]) -> String {
    let keys = keys.iter().filter(|key| !key.is_empty()).map(|key| String::from_utf8_lossy(key));
    keys.collect::<Vec<_>>().join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Error {
        Document::parse(text.as_bytes()).err().unwrap()
    }

    #[test]
    fn numbers_that_are_none_are_refused_by_name() {
        let error = refused(r#"{"results": {"wikitext": {"a\"{": "NaN", "word_perplexity,none": NaN}}}"#);
        assert_eq!(error.code, "metric_invalid");
        assert_eq!(error.message, "not a number: NaN at results / wikitext / word_perplexity,none");
        let error = refused(r#"{"a": {"b": 1}, "c": [1, -Infinity]}"#);
        assert_eq!(error.message, "not a number: Infinity at c");
        assert_eq!(refused(r#"{"a": 1e999}"#).code, "metric_invalid");
        assert!(Document::parse(br#"{"a": "NaN Infinity"}"#).is_ok());
    }

    #[test]
    fn documents_that_would_take_much_memory_are_refused() {
        let many = format!("{{\"a\":[{}{{}}]}}", "{},".repeat(MAX_CONTAINERS));
        assert_eq!(refused(&many).code, "evidence_too_large");
        let many = format!("{{\"a\":[{}0]}}", "0,".repeat(MAX_VALUES));
        assert_eq!(refused(&many).code, "evidence_too_large");
        assert_eq!(refused(&"{\"a\":".repeat(1000)).code, "json_too_deep");
    }

    #[test]
    fn what_is_no_document_is_refused_and_never_panics() {
        for (text, code) in [
            ("", "evidence_unrecognised"),
            (" \n", "evidence_unrecognised"),
            ("{", "json_invalid"),
            ("{\"", "json_invalid"),
            ("{\"\\", "json_invalid"),
            ("{}]]]]}", "json_invalid"),
            ("{\"a\":N", "json_invalid"),
            ("{\"a\":1,\"a\":2}", "json_duplicate_key"),
        ] {
            assert_eq!(refused(text).code, code, "{text}");
        }
        assert_eq!(Document::parse(b"\xff\xfe").err().unwrap().code, "evidence_unrecognised");
    }
}
