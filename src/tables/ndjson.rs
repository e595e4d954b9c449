//! NDJSON: a JSON object on each line.

use super::cell::{Cell, Rows, rows_at_once};
use super::table::column_name;
use crate::error::Result;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// A column: its name, and the keys that lead to it through objects within objects.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub name: String,
    pub keys: Vec<String>,
}

/// The columns of the first rows, in the order in which they come; those of one row by name. What is nothing in all of
/// them is a column, unless it is an object elsewhere.
pub(super) fn members(chunk: &[u8], rows: usize) -> Vec<Member> {
    let (mut found, mut empty, mut known) = (vec![], vec![], HashSet::new());
    for line in lines(chunk).take(rows) {
        if let Some(Value::Object(object)) = parse(line) {
            collect(&object, &[], &mut |keys: Vec<String>, is_nothing| {
                if known.insert((keys.clone(), is_nothing)) {
                    if is_nothing { &mut empty } else { &mut found }.push(keys);
                }
            });
        }
    }
    let is_new = |keys: &Vec<String>| !found.iter().any(|other: &Vec<String>| other.starts_with(keys));
    empty.retain(is_new);
    found.append(&mut empty);
    found.into_iter().map(|keys| Member { name: column_name(&keys.join("."), 0), keys }).collect()
}

/// The objects that columns lie in.
pub(super) fn outers(members: &[Member]) -> Vec<Member> {
    let mut known: HashSet<&[String]> = members.iter().map(|member| member.keys.as_slice()).collect();
    let mut outers = vec![];
    for member in members {
        for keys in (1..member.keys.len()).map(|length| &member.keys[..length]) {
            if known.insert(keys) {
                outers.push(Member { name: column_name(&keys.join("."), 0), keys: keys.to_vec() });
            }
        }
    }
    outers
}

fn collect(object: &Map<String, Value>, keys: &[String], found: &mut impl FnMut(Vec<String>, bool)) {
    for (key, value) in object {
        let keys: Vec<String> = keys.iter().chain([key]).cloned().collect();
        match value {
            Value::Object(inner) => collect(inner, &keys, found),
            _ => found(keys, value.is_null()),
        }
    }
}

fn lines(chunk: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines =
        chunk.split(|byte| *byte == b'\n').map(|line| line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line));
    lines.filter(|line| !line.trim_ascii().is_empty())
}

/// A line. Numbers that are none, as Python writes them and JSON does not know, stand for nothing.
fn parse(line: &[u8]) -> Option<Value> {
    serde_json::from_slice(line).ok().or_else(|| {
        let (mut is_quoted, mut is_escaped) = (false, false);
        let mut text = String::new();
        let mut rest = std::str::from_utf8(line).ok()?;
        while let Some(c) = rest.chars().next() {
            let none = ["NaN", "-Infinity", "Infinity"]
                .into_iter()
                .find(|none| !is_quoted && rest.starts_with(none));
            text.push_str(if none.is_some() { "null" } else { &rest[..c.len_utf8()] });
            rest = &rest[none.map_or(c.len_utf8(), str::len)..];
            is_quoted ^= c == '"' && !is_escaped;
            is_escaped = is_quoted && c == '\\' && !is_escaped;
        }
        serde_json::from_str(&text).ok()
    })
}

/// Reads these columns out of a chunk of lines, some thousands at a time. A line that is no JSON object cannot be read.
pub(super) fn read(chunk: &[u8], members: &[&Member], each: &mut Rows<'_>) -> Result<()> {
    let mut lines = lines(chunk).peekable();
    while lines.peek().is_some() {
        let rows: Vec<Option<Value>> = lines.by_ref().take(rows_at_once(members.len())).map(parse).collect();
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
        Some(nested @ (Value::Array(_) | Value::Object(_))) => Cell::Nested(nested),
    }
}
