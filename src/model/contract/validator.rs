//! Applying a schema to a value. Nothing is fetched, and no pattern can be made to backtrack.

use crate::error::{Error, Result};
use crate::model::digest::shorten;
use serde_json::Value;

/// Values nested deeper than this are invalid under every contract.
pub const MAX_VALUE_DEPTH: usize = 64;
/// A compiled pattern may take this many bytes.
pub(super) const MAX_PATTERN_BYTES: usize = 256 << 10;
/// What one error lists; a caller mends these first.
const MAX_VIOLATIONS: usize = 20;

/// One reason why a value is not valid.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Violation {
    /// JSON pointer into the value; empty for the value itself.
    pub path: String,
    /// Names the constraint, never the value: inputs may be confidential.
    pub reason: String,
}

pub struct Validator(jsonschema::Validator);

/// Compiles a schema of draft 2020-12. `format` is checked. Patterns run on an automaton in time linear in the
/// text, so look-around and back-references are refused (`contract_invalid`), as is any external reference.
pub fn validator(schema: &Value) -> Result<Validator> {
    compile(schema, "")
}

/// The same, with what the paths of errors begin with.
pub(super) fn compile(schema: &Value, place: &str) -> Result<Validator> {
    let patterns =
        jsonschema::PatternOptions::regex().size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_PATTERN_BYTES);
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .offline()
        .with_pattern_options(patterns)
        .should_validate_formats(true)
        .should_ignore_unknown_formats(true)
        .build(schema)
        .map(Validator)
        .map_err(|error| {
            let reason = shorten(&error.to_string());
            Error::invalid(
                "contract_invalid",
                format!("schema does not compile, {reason}: {place}{}", error.instance_path()),
            )
            .hint("patterns may not use look-around or back-references; references must stay in the document")
        })
}

impl Validator {
    /// The first violations, at most 20; empty if the value is valid.
    pub fn violations(&self, value: &Value) -> Vec<Violation> {
        if depth(value) > MAX_VALUE_DEPTH {
            let reason = format!("nested deeper than {MAX_VALUE_DEPTH} levels");
            return vec![Violation { path: String::new(), reason }];
        }
        let errors = self.0.iter_errors(value).take(MAX_VIOLATIONS);
        errors
            .map(|error| Violation {
                path: error.instance_path().to_string(),
                reason: error.masked().to_string(),
            })
            .collect()
    }

    pub fn is_valid(&self, value: &Value) -> bool {
        depth(value) <= MAX_VALUE_DEPTH && self.0.is_valid(value)
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_the_place_and_not_the_value() {
        let schema = json!({"properties": {"card": {"type": "array", "items": {"maxLength": 4}}}});
        let found = validator(&schema).unwrap().violations(&json!({"card": ["ok", "4111-1111"]}));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "/card/1");
        assert!(!found[0].reason.contains("4111"), "{}", found[0].reason);
    }

    #[test]
    fn patterns_do_not_backtrack() {
        let schema = json!({"pattern": "^(a+)+$"});
        let text = format!("{}!", "a".repeat(200_000));
        assert!(!validator(&schema).unwrap().is_valid(&json!(text)));
        assert!(validator(&json!({"pattern": "(\\w{1000}){1000}"})).is_err());
    }

    #[test]
    fn nothing_is_fetched() {
        for reference in ["https://127.0.0.1:1/x", "file:///etc/hostname"] {
            assert_eq!(validator(&json!({"$ref": reference})).err().unwrap().code, "contract_invalid");
        }
    }

    #[test]
    fn formats_are_checked_and_depth_is_bounded() {
        let email = validator(&json!({"format": "email"})).unwrap();
        assert!(email.is_valid(&json!("a@example.com")) && !email.is_valid(&json!("nobody")));
        let deep = (0..=MAX_VALUE_DEPTH).fold(json!(1), |inner, _| json!([inner]));
        let any = validator(&json!(true)).unwrap();
        assert!(!any.is_valid(&deep));
        assert_eq!(any.violations(&deep).len(), 1);
    }
}
