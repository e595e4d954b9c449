//! The contract of a workload version: JSON Schemas (2020-12) of what goes in and what comes out.
//! Semver speaks of the contract, and [`diff()`] says which part of the version number a change of it moves.

mod diff;
mod facts;
mod number;
mod same;
mod scan;
mod subset;
mod validator;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod table;

pub use diff::{Change, Diff, DiffEntry, Side, diff};
pub use validator::{MAX_VALUE_DEPTH, Validator, Violation, validator};

use crate::error::{Error, Result};
use crate::model::{digest::Digest, json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A contract is at most this long in bytes, as written and in its canonical form.
pub const MAX_BYTES: usize = 256 << 10;
/// Objects and arrays nest at most this deep.
pub const MAX_DEPTH: usize = 64;

/// Two checked schemas. Only [`Contract::parse`] and [`Contract::new`] make one, so whoever holds a
/// contract holds schemas that compile, refer to nothing outside themselves, and are cheap to apply.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Contract {
    pub input: Value,
    pub output: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    input: Value,
    output: Value,
}

impl Contract {
    /// Reads `{"input": SCHEMA, "output": SCHEMA}`. Errors: `contract_too_large`, `contract_invalid`, and
    /// those of the strict JSON reader (duplicate keys, depth).
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        refuse_large(bytes.len())?;
        // One level more for the object that holds the two schemas.
        let value = json::parse_strict(bytes, MAX_DEPTH + 1)?;
        let refuse = |why: String| {
            Error::invalid("contract_invalid", format!("not a contract: {why}"))
                .hint("a contract is an object with two JSON Schemas, input and output")
        };
        if !value.is_object() {
            return Err(refuse("no object".into()));
        }
        let document: Document = serde_json::from_value(value).map_err(|error| refuse(error.to_string()))?;
        Self::new(document.input, document.output)
    }

    /// Two schemas that were checked before the registry stored them; checking compiles them, which takes its time.
    pub fn stored(input: Value, output: Value) -> Self {
        Self { input, output }
    }

    /// The contract that promises nothing: anything goes in, anything comes out.
    pub fn open() -> Self {
        Self { input: Value::Bool(true), output: Value::Bool(true) }
    }

    /// Checks two schemas that were read elsewhere, for example inline in a prompt file.
    pub fn new(input: Value, output: Value) -> Result<Self> {
        let contract = Self { input, output };
        scan::check_depth(&contract.input, "/input")?;
        scan::check_depth(&contract.output, "/output")?;
        refuse_large(contract.canonical_bytes().len())?;
        scan::check(&contract.input, "/input")?;
        scan::check(&contract.output, "/output")?;
        validator::compile(&contract.input, "/input")?;
        validator::compile(&contract.output, "/output")?;
        Ok(contract)
    }

    /// The bytes that [`Contract::digest`] is taken over: keys sorted by code point, no whitespace.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        json!({"input": sorted(&self.input), "output": sorted(&self.output)}).to_string().into_bytes()
    }

    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.canonical_bytes())
    }
}

/// The schema that `schema` refers to in its document, if it is a reference.
pub fn resolve<'a>(schema: &Value, root: &'a Value) -> Option<&'a Value> {
    scan::target(schema, root).map(|(_, target)| target)
}

fn refuse_large(bytes: usize) -> Result<()> {
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    Err(Error::too_large("contract_too_large", format!("contract is larger than {MAX_BYTES} bytes: {bytes}")))
}

/// The same value with every object's keys in order, whatever map `serde_json` was built with.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        scalar => scalar.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(bytes: impl AsRef<[u8]>) -> &'static str {
        Contract::parse(bytes.as_ref()).unwrap_err().code
    }

    fn with_input(schema: &str) -> String {
        format!(r#"{{"input": {schema}, "output": true}}"#)
    }

    #[test]
    fn digest_ignores_layout_and_key_order() {
        let one = Contract::parse(br#"{"output":{"type":"string","minLength":1},"input":true}"#).unwrap();
        let two =
            Contract::parse(b"{ \"input\": true,\n \"output\": {\"minLength\":1,\"type\":\"string\"} }")
                .unwrap();
        assert_eq!(one.canonical_bytes(), br#"{"input":true,"output":{"minLength":1,"type":"string"}}"#);
        assert_eq!(one.digest(), two.digest());
        assert_eq!(Contract::parse(&one.canonical_bytes()).unwrap(), one);
    }

    #[test]
    fn refuses_what_is_not_a_contract() {
        assert_eq!(code(r#"{"input": true}"#), "contract_invalid");
        assert_eq!(code(r#"{"input": true, "output": true, "extra": 1}"#), "contract_invalid");
        assert_eq!(code("[]"), "contract_invalid");
        assert_eq!(code("[true, true]"), "contract_invalid");
        assert_eq!(code(vec![b' '; MAX_BYTES + 1]), "contract_too_large");
        assert!(Contract::parse(b"{\"input\": true, \"output\": true, \"input\": false}").is_err());
        assert!(Contract::parse(&with_input(r#"{"type":"string","type":"null"}"#).into_bytes()).is_err());
        assert!(Contract::parse(b"\xff").is_err());
    }

    #[test]
    fn refuses_deep_documents_at_both_doors() {
        let deep = (0..MAX_DEPTH + 1).fold("true".to_owned(), |inner, _| format!(r#"{{"not":{inner}}}"#));
        assert!(Contract::parse(with_input(&deep).as_bytes()).is_err());
        let value = (0..MAX_DEPTH + 1).fold(json!(true), |inner, _| json!({"not": inner}));
        assert_eq!(Contract::new(value, json!(true)).unwrap_err().code, "contract_invalid");
        let allowed = (0..MAX_DEPTH).fold(json!(true), |inner, _| json!({"not": inner}));
        assert!(Contract::new(allowed, json!(true)).is_ok());
    }

    #[test]
    fn refuses_schemas_that_are_not_valid_or_reach_outside() {
        for (schema, place) in [
            (r#"{"type": "sting"}"#, "/input/type"),
            (r#"{"minLength": -1}"#, "/input/minLength"),
            (r#"{"properties": {"a": {"required": "b"}}}"#, "/input/properties/a/required"),
            (r#"{"items": [true]}"#, "/input/items"),
            (r#"{"$ref": "https://example.com/schema.json"}"#, "/input/$ref"),
            (r#"{"$ref": "file:///etc/passwd"}"#, "/input/$ref"),
            (r#"{"$ref": "other.json#/$defs/a"}"#, "/input/$ref"),
            (r##"{"$ref": "#/$defs/missing"}"##, "/input/$ref"),
            (r##"{"$ref": "#anchor"}"##, "/input/$ref"),
            (r##"{"$dynamicRef": "#x"}"##, "/input/$dynamicRef"),
            (r#"{"properties": {"a": {"$id": "https://example.com/"}}}"#, "/input/properties/a/$id"),
            (r#"{"$schema": "http://json-schema.org/draft-07/schema#"}"#, "/input/$schema"),
            (r#"{"pattern": "("}"#, "/input/pattern"),
            (r#"{"pattern": "(?=a)"}"#, "/input"),
            (r#"{"pattern": "(a)\\1"}"#, "/input"),
            (r##"{"$ref": "#"}"##, "/input"),
            (r##"{"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}"##, "/input"),
        ] {
            let error = Contract::parse(with_input(schema).as_bytes()).unwrap_err();
            assert_eq!(error.code, "contract_invalid", "{schema}: {error:?}");
            assert!(error.message.contains(place), "{schema}: {error:?}");
        }
    }

    #[test]
    fn names_and_data_are_not_mistaken_for_keywords() {
        for schema in [
            r#"{"properties": {"$ref": {"type": "string"}, "$id": true}}"#,
            r#"{"const": {"$ref": "https://example.com"}}"#,
            r#"{"default": {"$dynamicRef": "x"}, "examples": [{"$id": 1}]}"#,
            r##"{"$defs": {"tree": {"properties": {"left": {"$ref": "#/$defs/tree"}, "right": {"$ref": "#/$defs/tree"}}}}, "$ref": "#/$defs/tree"}"##,
            r##"{"properties": {"parent": {"$ref": "#"}}}"##,
            r##"{"$defs": {"a/b~%": true}, "$ref": "#/$defs/a~1b~0%25"}"##,
        ] {
            Contract::parse(with_input(schema).as_bytes()).unwrap();
        }
    }

    #[test]
    fn bounds_how_many_patterns_are_compiled() {
        let with = |count: usize| {
            let properties: serde_json::Map<String, Value> =
                (0..count).map(|i| (i.to_string(), json!({"pattern": format!("^a{{{i}}}$")}))).collect();
            Contract::new(json!({ "properties": properties }), json!(true))
        };
        with(64).unwrap();
        let error = with(65).unwrap_err();
        assert!(error.code == "contract_invalid" && error.message.contains("patterns"), "{error:?}");
    }

    #[test]
    fn gives_up_on_lists_that_would_take_for_ever_to_compare() {
        let numbers = |from: usize| (from..from + 15_000).collect::<Vec<_>>();
        let old = Contract::new(json!({ "enum": numbers(0) }), json!(true)).unwrap();
        let again = vec![json!({"$ref": "#/$defs/e"}); 4000];
        let new = json!({"$defs": {"e": {"enum": numbers(20_000)}}, "allOf": again});
        let new = Contract::new(new, json!(true)).unwrap();
        assert_eq!(diff(&old, &new).change, Change::Major);
        let names = |from: usize| (from..from + 10_000).map(|n| n.to_string()).collect::<Vec<_>>();
        let old = Contract::new(json!({ "required": names(0) }), json!(true)).unwrap();
        let new = Contract::new(json!({ "required": names(5) }), json!(true)).unwrap();
        assert_eq!(diff(&old, &new).change, Change::Major);
    }

    #[test]
    fn refuses_schemas_whose_application_explodes() {
        // Each definition doubles the work of the one below it.
        let doubling = |last: Value, descend: bool| {
            let mut defs = serde_json::Map::new();
            for level in 0..40 {
                let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
                let next = if descend { json!({"properties": {"x": next}}) } else { next };
                defs.insert(format!("d{level}"), json!({"anyOf": [next, next]}));
            }
            defs.insert("d40".into(), last);
            json!({"$defs": defs, "$ref": "#/$defs/d0"})
        };
        let recursive = json!({"anyOf": [
            {"properties": {"x": {"$ref": "#"}}, "required": ["y"]},
            {"properties": {"x": {"$ref": "#"}}, "required": ["z"]}]});
        for schema in [doubling(json!(true), false), doubling(json!({"type": "string"}), true), recursive] {
            let error = Contract::new(schema, json!(true)).unwrap_err();
            assert!(error.code == "contract_invalid" && error.message.contains("expensive"), "{error:?}");
        }
        let any_json = json!({"anyOf": [{"type": ["string", "number", "boolean", "null"]},
            {"type": "array", "items": {"$ref": "#"}}, {"type": "object", "additionalProperties": {"$ref": "#"}}]});
        Contract::new(any_json, json!(true)).unwrap();
    }
}
