//! What a schema may contain: the keywords that hold schemas, references that stay inside the document,
//! and a bound on what applying the schema to one value can cost.

use super::validator::MAX_VALUE_DEPTH;
use crate::error::{Error, Result};
use crate::model::digest::shorten;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// A schema may send one part of a value through at most this many subschemas.
const MAX_STEPS: u64 = 10_000;

/// Different patterns in a schema: each is compiled, and may take `validator::MAX_PATTERN_BYTES`.
const MAX_PATTERNS: usize = 64;

/// What stands under a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// Plain data: numbers, names, values.
    Data,
    /// Says nothing about validity.
    Annotation,
    Schema,
    Schemas,
    SchemaMap,
}

/// The table of JSON Schema 2020-12 (core, applicator, validation, metadata vocabularies), plus `definitions`.
pub(super) fn holds(keyword: &str) -> Holds {
    match keyword {
        "additionalProperties"
        | "contains"
        | "else"
        | "if"
        | "items"
        | "not"
        | "propertyNames"
        | "then"
        | "unevaluatedItems"
        | "unevaluatedProperties" => Holds::Schema,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Holds::Schemas,
        "$defs" | "definitions" | "dependentSchemas" | "patternProperties" | "properties" => Holds::SchemaMap,
        "$comment" | "$id" | "$schema" | "default" | "deprecated" | "description" | "examples"
        | "readOnly" | "title" | "writeOnly" => Holds::Annotation,
        _ if keyword.starts_with("x-") => Holds::Annotation,
        _ => Holds::Data,
    }
}

/// Calls `visit` for each schema directly under `schema`, with its keyword and its pointer.
pub(super) fn children<'a>(schema: &'a Value, at: &str, mut visit: impl FnMut(&'a str, String, &'a Value)) {
    let Some(map) = schema.as_object() else { return };
    for (keyword, value) in map {
        match (holds(keyword), value) {
            (Holds::Schema, value) => visit(keyword, format!("{at}/{keyword}"), value),
            (Holds::Schemas, Value::Array(items)) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(i, item)| visit(keyword, format!("{at}/{keyword}/{i}"), item));
            }
            (Holds::SchemaMap, Value::Object(map)) => map
                .iter()
                .for_each(|(name, item)| visit(keyword, format!("{at}/{keyword}/{}", escape(name)), item)),
            _ => {}
        }
    }
}

/// One token of a JSON pointer.
pub(super) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The JSON pointer behind a local reference: what follows `#`, percent-decoded.
pub(super) fn pointer(reference: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = reference.strip_prefix('#')?.bytes();
    while let Some(byte) = rest.next() {
        let decoded = match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?
            }
            plain => plain,
        };
        bytes.push(decoded);
    }
    String::from_utf8(bytes).ok().filter(|pointer| pointer.is_empty() || pointer.starts_with('/'))
}

/// The target of `schema`'s `$ref` and its pointer; references were checked when the contract was read.
pub(super) fn target<'a>(schema: &Value, root: &'a Value) -> Option<(String, &'a Value)> {
    let pointer = pointer(schema.get("$ref")?.as_str()?)?;
    root.pointer(&pointer).map(|target| (pointer, target))
}

/// Refuses deep nesting before anything walks the schema recursively.
pub(super) fn check_depth(schema: &Value, side: &str) -> Result<()> {
    let mut level: Vec<&Value> = vec![schema];
    for _ in 0..=super::MAX_DEPTH {
        level = level.into_iter().flat_map(parts).collect();
        if level.is_empty() {
            return Ok(());
        }
    }
    Err(invalid(side, format!("nested deeper than {} levels", super::MAX_DEPTH)))
}

fn parts(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(map) => map.values().collect(),
        _ => Vec::new(),
    }
}

/// Checks a whole schema; `side` begins each path of an error.
pub(super) fn check(root: &Value, side: &str) -> Result<()> {
    if let Err(error) = jsonschema::draft202012::meta::validate(root) {
        return Err(invalid(
            &format!("{side}{}", error.instance_path()),
            shorten(&error.masked().to_string()),
        ));
    }
    let mut pending = vec![(String::new(), root)];
    let (mut seen, mut patterns) = (BTreeSet::new(), BTreeSet::new());
    while let Some((at, schema)) = pending.pop() {
        check_keywords(schema, &at)
            .map_err(|(keyword, reason)| invalid(&format!("{side}{at}/{keyword}"), reason))?;
        children(schema, &at, |_, at, child| pending.push((at, child)));
        patterns.extend(schema.get("pattern").and_then(Value::as_str));
        let named = schema.get("patternProperties").and_then(Value::as_object);
        patterns.extend(named.into_iter().flat_map(|map| map.keys()).map(String::as_str));
        seen.insert(at);
    }
    if patterns.len() > MAX_PATTERNS {
        return Err(invalid(side, format!("more than {MAX_PATTERNS} different patterns")));
    }
    for at in &seen {
        let Some(schema) = root.pointer(at) else { continue };
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { continue };
        if !pointer(reference).is_some_and(|pointer| seen.contains(&pointer)) {
            return Err(invalid(
                &format!("{side}{at}/$ref"),
                format!("refers to no schema in this document: {}", shorten(reference)),
            )
            .hint("put the definition under $defs and refer to it as #/$defs/NAME; nothing is fetched"));
        }
    }
    match (Cost { root, known: HashMap::new() }).of(root, MAX_VALUE_DEPTH) {
        Some(steps) if steps.total() <= MAX_STEPS => Ok(()),
        Some(_) => Err(invalid(
            side,
            "too expensive to apply: variants refer to each other more than once for the same part of a value",
        )),
        None => Err(invalid(side, "a reference leads back to itself without entering a property or an item")),
    }
}

/// Keywords whose meaning depends on more than the document, or on the route by which a schema was reached.
fn check_keywords(schema: &Value, at: &str) -> Result<(), (String, String)> {
    const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        let reason = match keyword.as_str() {
            "$anchor" | "$dynamicAnchor" | "$dynamicRef" | "$recursiveRef" | "$recursiveAnchor"
            | "$vocabulary" => "is not supported in a contract; refer to definitions by pointer",
            "$id" if !at.is_empty() => "is allowed at the top of a schema only",
            "$schema"
                if !at.is_empty() || value.as_str().map(|uri| uri.trim_end_matches('#')) != Some(DRAFT) =>
            {
                "must be absent or name draft 2020-12, at the top of a schema"
            }
            _ => continue,
        };
        return Err((keyword.clone(), reason.into()));
    }
    Ok(())
}

/// Counts the subschemas that one part of a value can be sent through, to the depth values may have.
struct Cost<'a> {
    root: &'a Value,
    known: HashMap<(usize, usize), Option<Steps>>,
}

/// Steps spent on a value itself, on its dearest property, and on its dearest item. Different properties are
/// different parts of the value, so within one schema the dearest counts; variants of one value add up.
#[derive(Clone, Copy, Default)]
struct Steps {
    here: u64,
    property: u64,
    item: u64,
}

impl Steps {
    /// A value is an object or an array, never both.
    fn total(self) -> u64 {
        (self.here + self.property.max(self.item)).min(MAX_STEPS + 1)
    }
}

impl<'a> Cost<'a> {
    /// `None` if applying the schema never ends.
    fn of(&mut self, schema: &'a Value, depth: usize) -> Option<Steps> {
        let key = (std::ptr::from_ref(schema) as usize, depth);
        // An entry that is still `None` while its own schema is being counted means it led back to itself.
        if let Some(known) = self.known.insert(key, None) {
            self.known.insert(key, known);
            return known;
        }
        let root = self.root;
        let mut same_part: Vec<&Value> = target(schema, root).map(|(_, target)| target).into_iter().collect();
        let (mut named, mut other, mut items) = (Vec::new(), Vec::new(), Vec::new());
        children(schema, "", |keyword, _, child| match keyword {
            "$defs" | "definitions" => {}
            "properties" => named.push(child),
            "additionalProperties" | "patternProperties" | "unevaluatedProperties" => other.push(child),
            "items" | "prefixItems" | "contains" | "unevaluatedItems" => items.push(child),
            _ => same_part.push(child),
        });
        let mut steps = Steps { here: 1, ..Steps::default() };
        if let Some(below) = depth.checked_sub(1) {
            for child in named {
                steps.property = steps.property.max(self.of(child, below)?.total());
            }
            for child in other {
                steps.property += self.of(child, below)?.total();
            }
            for child in items {
                steps.item += self.of(child, below)?.total();
            }
        }
        for child in same_part {
            let inner = self.of(child, depth)?;
            steps.here += inner.here;
            steps.property += inner.property;
            steps.item += inner.item;
        }
        let capped = |steps: u64| steps.min(MAX_STEPS + 1);
        steps =
            Steps { here: capped(steps.here), property: capped(steps.property), item: capped(steps.item) };
        self.known.insert(key, Some(steps));
        Some(steps)
    }
}

fn invalid(path: &str, reason: impl AsRef<str>) -> Error {
    Error::invalid("contract_invalid", format!("schema is not acceptable, {}: {path}", reason.as_ref()))
}
