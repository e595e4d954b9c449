//! How large a schema is where what it refers to is written out.

use serde_json::Value as Json;
use std::collections::HashMap;

/// References and values within each other.
const MAX_DEPTH: usize = 512;
/// What is referred to and not found here, such as the schema of schemas.
const UNKNOWN: u64 = 1_000;

/// Schemas that are looked at while circles are followed.
const MAX_STEPS: u64 = 200_000;
/// Keywords whose schemas are of the same value.
const IN_PLACE: [&str; 9] =
    ["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"];
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// Whether a schema refers to itself; `None` if it has more than so many objects and lists, each counted as often as a
/// validator comes to it, or is nested or refers too deep. What refers back to itself counts once, but of circles around the
/// same value all ways through them count.
pub(super) fn is_circular(schema: &Json, most: u64) -> Option<bool> {
    let mut expansion = Expansion {
        anchors: HashMap::new(),
        resources: vec![("", schema)],
        known: HashMap::new(),
        is_circular: false,
    };
    expansion.index(schema, 0)?;
    expansion.weigh(schema, 0).filter(|weight| *weight <= most)?;
    expansion.longest_way(schema, 0, &mut 0).filter(|longest| *longest <= most)?;
    Some(expansion.is_circular)
}

struct Expansion<'s> {
    anchors: HashMap<&'s str, Vec<&'s Json>>,
    /// What has an identifier of its own, by the last part of it.
    resources: Vec<(&'s str, &'s Json)>,
    /// What was counted, by where it lies; nothing yet while it is being counted.
    known: HashMap<*const Json, Option<u64>>,
    is_circular: bool,
}

impl<'s> Expansion<'s> {
    fn index(&mut self, json: &'s Json, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let text = |key: &str| json.get(key).and_then(Json::as_str);
        for anchor in ["$anchor", "$dynamicAnchor"].into_iter().filter_map(text) {
            self.anchors.entry(anchor).or_default().push(json);
        }
        // Older drafts have anchors as identifiers.
        for id in ["$id", "id"].into_iter().filter_map(text) {
            match id.strip_prefix('#') {
                Some(anchor) => self.anchors.entry(anchor).or_default().push(json),
                None => self.resources.push((last_part(id), json)),
            }
        }
        children(json).into_iter().try_for_each(|child| self.index(child, depth + 1))
    }

    fn weigh(&mut self, json: &'s Json, depth: usize) -> Option<u64> {
        if !(json.is_object() || json.is_array()) {
            return Some(0);
        }
        let place: *const Json = json;
        if let Some(known) = self.known.get(&place) {
            self.is_circular |= known.is_none();
            return Some(known.unwrap_or(1));
        }
        if depth > MAX_DEPTH {
            return None;
        }
        self.known.insert(place, None);
        let mut sum: u64 = 1;
        for child in children(json) {
            sum = sum.saturating_add(self.weigh(child, depth + 1)?);
        }
        for key in REFERENCES {
            let Some(reference) = json.get(key).and_then(Json::as_str) else { continue };
            // Of several that may be meant, the largest.
            let mut largest = None;
            for target in self.targets(reference) {
                largest = largest.max(Some(self.weigh(target, depth + 1)?));
            }
            sum = sum.saturating_add(largest.unwrap_or(UNKNOWN));
        }
        self.known.insert(place, Some(sum));
        Some(sum)
    }

    /// The most schemas of one value that any reference leads to.
    fn longest_way(&self, json: &'s Json, depth: usize, steps: &mut u64) -> Option<u64> {
        if depth > MAX_DEPTH {
            return None;
        }
        let mut longest = 0;
        if REFERENCES.into_iter().any(|key| json.get(key).is_some_and(Json::is_string)) {
            let before = *steps;
            self.follow(json, &mut vec![], steps)?;
            longest = *steps - before;
        }
        for child in children(json) {
            longest = longest.max(self.longest_way(child, depth + 1, steps)?);
        }
        Some(longest)
    }

    /// Follows all ways from a schema to others of the same value, none of them twice through one schema.
    fn follow(&self, json: &'s Json, way: &mut Vec<*const Json>, steps: &mut u64) -> Option<()> {
        *steps += 1;
        let place: *const Json = json;
        if *steps > MAX_STEPS || way.len() > MAX_DEPTH {
            return None;
        }
        if way.contains(&place) {
            return Some(());
        }
        way.push(place);
        for inner in IN_PLACE.into_iter().filter_map(|key| json.get(key)) {
            self.follow(inner, way, steps)?;
            for child in children(inner) {
                self.follow(child, way, steps)?;
            }
        }
        for reference in REFERENCES.into_iter().filter_map(|key| json.get(key)?.as_str()) {
            for target in self.targets(reference) {
                self.follow(target, way, steps)?;
            }
        }
        way.pop();
        Some(())
    }

    fn targets(&self, reference: &str) -> Vec<&'s Json> {
        let (base, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let fragment = decoded(fragment);
        if !fragment.is_empty() && !fragment.starts_with('/') {
            return self.anchors.get(fragment.as_str()).cloned().unwrap_or_default();
        }
        let meant = self.resources.iter().filter(|(id, _)| base.is_empty() || *id == last_part(base));
        meant.filter_map(|(_, resource)| resource.pointer(&fragment)).collect()
    }
}

fn children(json: &Json) -> Vec<&Json> {
    match json {
        Json::Object(map) => map.values().collect(),
        Json::Array(items) => items.iter().collect(),
        _ => vec![],
    }
}

fn last_part(id: &str) -> &str {
    let id = id.trim_end_matches('#');
    id.rsplit(['/', ':']).next().unwrap_or(id)
}

/// A fragment without its `%XX`.
fn decoded(fragment: &str) -> String {
    let (mut bytes, mut rest) = (vec![], fragment.as_bytes());
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
