//! Which fields the JSON of a column has.

use super::field::MAX_LABEL;
use super::{Field, Kind, MAX_DEPTH, Text};
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};

/// So many fields are proposed, those that most texts have.
pub const MAX_FIELDS: usize = 64;
/// So many texts are looked at.
pub const SAMPLE: usize = 10_000;
/// While looking, fields after so many are passed over.
const MAX_SEEN: usize = 1_024;
/// A field is in at least one of so many texts that are JSON; keys that are data, such as names of people, are rarer.
const COMMON: u64 = 20;
/// And in so many of them at least, so that few texts do not make their keys columns.
const LEAST: u64 = 20;
/// Whole numbers of at most so many different values are categories.
const FEW: usize = 10;
/// Among fewer texts none are categories: they may be answers as they are.
const TEXTS: u64 = 200;
/// Beyond so many different ones a field is no category.
const MANY: usize = 1_000;

/// The fields of the texts that are JSON, with the kinds of their values, in the order of their paths. What at least
/// nine of ten values are decides, as in the columns of a table: truth values; numbers, which are categories if they
/// are whole and at most ten different ones; texts, which are categories if they are of two hundred at least, all short, and at most half as many different ones
/// as there are values. Lists are known by their length; what is in them is not looked at.
pub fn propose<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<(Field, Kind)> {
    let mut seen = BTreeMap::new();
    let mut hasher = RandomState::new();
    let mut documents = 0;
    for text in texts.into_iter().take(SAMPLE) {
        if let Some(json) = Text::new(text).json() {
            documents += 1;
            look(json, &mut vec![], &mut seen, &mut hasher);
        }
    }
    let is_common = |values: u64| values >= LEAST && values * COMMON >= documents;
    let kinds = seen.into_iter().filter(|(_, seen): &(Field, Seen)| is_common(seen.values));
    let mut fields: Vec<(u64, Field, Kind)> =
        kinds.filter_map(|(field, seen)| Some((seen.values, field, seen.kind()?))).collect();
    fields.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    fields.truncate(MAX_FIELDS);
    fields.sort_by(|a, b| a.1.cmp(&b.1));
    fields.into_iter().map(|(_, field, kind)| (field, kind)).collect()
}

fn look(json: &Json, keys: &mut Vec<String>, seen: &mut BTreeMap<Field, Seen>, hasher: &mut RandomState) {
    if let Json::Object(map) = json {
        let is_deeper = keys.len() < MAX_DEPTH;
        for (key, value) in map.iter().filter(|_| is_deeper) {
            keys.push(key.clone());
            look(value, keys, seen, hasher);
            keys.pop();
        }
        return;
    }
    let field = Field { keys: keys.clone(), is_length: json.is_array() };
    if seen.len() < MAX_SEEN || seen.contains_key(&field) {
        // One whose path is too long to be parsed again is of no use.
        if Field::parse(&field.to_string()).is_ok_and(|same| same == field) {
            seen.entry(field).or_default().add(json, hasher);
        }
    }
}

/// How many values of a field were what.
#[derive(Default)]
struct Seen {
    values: u64,
    booleans: u64,
    whole: u64,
    numbers: u64,
    texts: u64,
    lists: u64,
    /// Texts that are too long for a category.
    long: u64,
    different: HashSet<u64>,
}

impl Seen {
    fn add(&mut self, json: &Json, hasher: &RandomState) {
        let count = match json {
            Json::Null | Json::Object(_) => return,
            Json::Bool(_) => &mut self.booleans,
            Json::Number(number) if number.is_i64() || number.is_u64() => &mut self.whole,
            Json::Number(_) => &mut self.numbers,
            Json::String(_) => &mut self.texts,
            Json::Array(_) => &mut self.lists,
        };
        *count += 1;
        self.values += 1;
        self.long += u64::from(json.as_str().is_some_and(|text| text.len() > MAX_LABEL));
        if self.different.len() <= MANY && !json.is_array() {
            self.different.insert(hasher.hash_one(json));
        }
    }

    fn kind(&self) -> Option<Kind> {
        let Self { values, booleans, whole, numbers, texts, lists, long, different } = self;
        let is_most = |count: u64| *values > 0 && count as f64 >= 0.9 * *values as f64;
        let is_category = || {
            *values >= TEXTS && *long == 0 && different.len() <= MANY && 2 * different.len() as u64 <= *values
        };
        if is_most(*booleans) {
            Some(Kind::Boolean)
        } else if is_most(*whole) && different.len() <= FEW {
            Some(Kind::Categorical)
        } else if is_most(whole + numbers) || is_most(*lists) {
            Some(Kind::Numeric)
        } else if !is_most(*texts) {
            None
        } else if is_category() {
            Some(Kind::Categorical)
        } else {
            Some(Kind::Text)
        }
    }
}
