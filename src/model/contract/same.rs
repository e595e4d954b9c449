//! Equality of schemas from two documents: annotations aside, lists of names as sets, references by what they
//! lead to. It decides the keywords that [`subset`](super::subset) does not reason about.

use super::number::{among, equal};
use super::scan::{Holds, holds, target};
use serde_json::{Map, Value};

/// Pairs compared before giving up (and answering "not the same").
const MAX_PAIRS: usize = 20_000;

pub(super) struct Same<'a> {
    pub(super) roots: [&'a Value; 2],
    assumed: Vec<(usize, usize)>,
    pairs: usize,
}

impl<'a> Same<'a> {
    pub(super) fn new(a: &'a Value, b: &'a Value) -> Self {
        Self { roots: [a, b], assumed: Vec::new(), pairs: 0 }
    }

    pub(super) fn schemas(&mut self, a: &'a Value, b: &'a Value) -> bool {
        self.pairs += 1;
        if self.pairs > MAX_PAIRS {
            return false;
        }
        match (a, b) {
            (Value::Object(a), Value::Object(b)) => self.keywords(a, b),
            (Value::Bool(true), Value::Object(map)) | (Value::Object(map), Value::Bool(true)) => {
                map.is_empty()
            }
            _ => a == b,
        }
    }

    /// Compares two schemas keyword by keyword, in either order.
    pub(super) fn keywords(&mut self, a: &'a Map<String, Value>, b: &'a Map<String, Value>) -> bool {
        let matters = |keyword: &&String| {
            holds(keyword) != Holds::Annotation && *keyword != "$defs" && *keyword != "definitions"
        };
        a.keys().filter(matters).count() == b.keys().filter(matters).count()
            && a.iter()
                .filter(|(keyword, _)| matters(keyword))
                .all(|(keyword, a)| b.get(keyword).is_some_and(|b| self.keyword(keyword, a, b)))
    }

    /// Compares what stands under one keyword.
    pub(super) fn keyword(&mut self, keyword: &str, a: &'a Value, b: &'a Value) -> bool {
        match (holds(keyword), a, b) {
            (Holds::Schema, a, b) => self.schemas(a, b),
            (Holds::Schemas, Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.schemas(a, b))
            }
            (Holds::SchemaMap, Value::Object(a), Value::Object(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| self.schemas(a, b)))
            }
            (Holds::Data, a, b) if keyword == "$ref" => self.references(a, b),
            (Holds::Data, Value::Array(a), Value::Array(b))
                if matches!(keyword, "enum" | "required" | "type") =>
            {
                let within = |a: &[Value], b: &[Value]| a.iter().all(among(b));
                within(a, b) && within(b, a)
            }
            _ => equal(a, b),
        }
    }

    /// Two references are the same if what they lead to is, taking for granted that these two are.
    fn references(&mut self, a: &Value, b: &Value) -> bool {
        let find = |root: &'a Value, reference: &Value| {
            target(&serde_json::json!({"$ref": reference}), root).map(|(_, target)| target)
        };
        let (Some(a), Some(b)) = (find(self.roots[0], a), find(self.roots[1], b)) else { return false };
        let pair = (std::ptr::from_ref(a) as usize, std::ptr::from_ref(b) as usize);
        if self.assumed.contains(&pair) {
            return true;
        }
        self.assumed.push(pair);
        let same = self.schemas(a, b);
        self.assumed.pop();
        same
    }
}
