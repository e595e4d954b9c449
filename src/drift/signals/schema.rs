//! Whether a text is JSON that satisfies a schema, and what it violates.

use super::expansion::is_circular;
use super::{Invalid, Kind, Signal, Text, Value};
use jsonschema::{PatternOptions, Validator};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::sync::Arc;

const MAX_BYTES: usize = 1 << 20;
/// What refers twice to what refers twice makes work that doubles each time.
const MAX_EXPANDED: u64 = 100_000;
const MAX_PATTERN_BYTES: usize = 256 << 10;
/// Lists and objects within each other in which the place is found that violates a schema that refers to itself.
const DEEP: usize = 8;
/// Characters of a label.
const MAX_LABEL: usize = 200;

/// A JSON Schema, compiled once. Nothing is fetched, and no pattern can be made to backtrack.
#[derive(Clone, Debug)]
pub struct Schema {
    validator: Arc<Validator>,
    digest: String,
    is_circular: bool,
}

impl Schema {
    /// Of the draft that `$schema` names, else 2020-12. `format` is checked.
    ///
    /// Errors: it is no schema, or refers to something outside; a pattern with look-around or back-references; more
    /// than 1 MiB, or 100,000 objects and lists where references are written out.
    pub fn new(schema: &Json) -> Result<Self, Invalid> {
        let text = schema.to_string();
        if text.len() > MAX_BYTES {
            return Err(Invalid::new("a schema is at most 1 MiB"));
        }
        let too_large = || Invalid::new("a schema with its references written out has at most 100,000 parts");
        let is_circular = is_circular(schema, MAX_EXPANDED).ok_or_else(too_large)?;
        let patterns =
            PatternOptions::regex().size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_PATTERN_BYTES);
        let validator = jsonschema::options()
            .offline()
            .with_pattern_options(patterns)
            .should_validate_formats(true)
            .should_ignore_unknown_formats(true)
            .build(schema)
            .map_err(|error| {
                Invalid::new(shorten(&format!("no schema at {:?}: {error}", error.instance_path().as_str())))
            })?;
        Ok(Self {
            validator: Arc::new(validator),
            digest: super::patterns::hex(&Sha256::digest(text)),
            is_circular,
        })
    }

    /// `schema_valid`, and `schema_violation`: `valid`, `not JSON`, or the place in the schema that the text violates
    /// first, such as `/properties/urgency/enum`. The place is of the schema, so nothing of the text is in it. It is
    /// `deep` where the schema refers to itself and the text is nested more than 8 deep. Both are missing for a text of more
    /// than 1 MiB.
    pub fn signals(self) -> [Signal; 2] {
        let version = format!("schema sha256:{}", &self.digest[..16]);
        let same = self.clone();
        [
            Signal::new(
                "schema_valid",
                Kind::Boolean,
                "the text is JSON that satisfies the schema",
                move |text| {
                    if text.is_whole() { Value::Boolean(same.is_valid(text)) } else { Value::Missing }
                },
            ),
            Signal::new(
                "schema_violation",
                Kind::Categorical,
                "what of the schema is violated first",
                move |text| {
                    if text.is_whole() { self.violation(text) } else { Value::Missing }
                },
            ),
        ]
        .map(|signal| signal.with_version(&version))
    }

    pub fn is_valid(&self, text: &Text<'_>) -> bool {
        text.json().is_some_and(|json| self.validator.is_valid(json))
    }

    fn violation(&self, text: &Text<'_>) -> Value {
        let Some(json) = text.json() else { return Value::label("not JSON") };
        if self.validator.is_valid(json) {
            return Value::label("valid");
        }
        // Only what is valid is remembered while a circle is followed, and the way to an error may fork in each list.
        if self.is_circular && is_deeper(json, DEEP) {
            return Value::label("deep");
        }
        match self.validator.validate(json) {
            Ok(()) => Value::label("valid"),
            Err(error) => Value::label(shorten(error.schema_path().as_str())),
        }
    }
}

fn is_deeper(json: &Json, levels: usize) -> bool {
    let inner = |json| levels == 0 || is_deeper(json, levels - 1);
    match json {
        Json::Array(items) => items.iter().any(inner),
        Json::Object(map) => map.values().any(inner),
        _ => false,
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(MAX_LABEL).collect()
}
