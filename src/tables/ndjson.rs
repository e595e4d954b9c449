//! NDJSON: a JSON object on each line.

use super::cell::{Cell, Rows};
use crate::error::Result;
use serde_json::Value;
use std::collections::HashSet;

/// Rows that are looked at together.
const ROWS: usize = 4_096;

/// A column: its name, and the keys that lead to it through objects within objects.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub name: String,
    pub keys: Vec<String>,
}

/// The columns of the first rows, in the order in which they come; those of one row by name.
pub(super) fn members(chunk: &[u8], rows: usize) -> Vec<Member> {
    let (mut found, mut known) = (vec![], HashSet::new());
    for line in lines(chunk).take(rows) {
        if let Ok(Value::Object(object)) = serde_json::from_slice(line) {
            collect(&object, &[], &mut |member: Member| {
                if known.insert(member.name.clone()) {
                    found.push(member);
                }
            });
        }
    }
    found
}

fn collect(object: &serde_json::Map<String, Value>, keys: &[String], found: &mut impl FnMut(Member)) {
    for (key, value) in object {
        let keys: Vec<String> = keys.iter().chain([key]).cloned().collect();
        match value {
            Value::Object(inner) => collect(inner, &keys, found),
            // What is nothing here may be an object elsewhere.
            Value::Null => {}
            _ => found(Member { name: keys.join("."), keys }),
        }
    }
}

fn lines(chunk: &[u8]) -> impl Iterator<Item = &[u8]> {
    chunk.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty())
}

/// Reads these columns out of a chunk of lines, some thousands at a time. A line that is no JSON object cannot be read.
pub(super) fn read(chunk: &[u8], members: &[&Member], each: &mut Rows<'_>) -> Result<()> {
    let mut lines = lines(chunk).peekable();
    while lines.peek().is_some() {
        let rows: Vec<Option<Value>> =
            lines.by_ref().take(ROWS).map(|line| serde_json::from_slice(line).ok()).collect();
        let column = |member: &&Member| rows.iter().map(|row| cell(row.as_ref(), &member.keys)).collect();
        each(rows.len() as u64, &members.iter().map(column).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn cell<'a>(row: Option<&'a Value>, keys: &[String]) -> Cell<'a> {
    let Some(row @ Value::Object(_)) = row else { return Cell::Other };
    match keys.iter().try_fold(row, |value, key| value.get(key)) {
        None | Some(Value::Null) => Cell::Missing,
        Some(Value::Bool(value)) => Cell::Boolean(*value),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Cell::Whole(whole),
            (None, Some(number)) => Cell::Number(number),
            (None, None) => Cell::Other,
        },
        Some(Value::String(text)) => Cell::Text(text.into()),
        Some(Value::Array(_) | Value::Object(_)) => Cell::Other,
    }
}
