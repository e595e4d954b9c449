//! Which tools a model called.

use super::{Kind, Signal, Text, Value};
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// Names are cut at so many characters.
const MAX_NAME: usize = 64;
/// The set names at most so many.
const MAX_NAMED: usize = 8;
/// What stands for no call, so that a model that stops calling tools shows.
const NONE: &str = "(none)";

/// For a column of tool calls: a JSON list of names or of calls, in the forms of common interfaces (`name`,
/// `function.name`, `tool`, `tool_name`), one such call, or names with commas between them. Such a
/// name is of letters, digits and `_.:/-`; anything else is `?`, and so is JSON that does not end, as its pieces may be
/// arguments.
pub(super) fn signals() -> Vec<Signal> {
    vec![
        Signal::new("tool_calls", Kind::Numeric, "how many tools were called", |text| {
            Value::count(names(text).len())
        }),
        Signal::new("tool_first", Kind::Categorical, "the tool that was called first, or (none)", |text| {
            Value::label(names(text).into_iter().next().unwrap_or_else(|| NONE.to_owned()))
        })
        .quoting(),
        Signal::new(
            "tool_set",
            Kind::Categorical,
            "the tools that were called, each once, by name; or (none)",
            |text| {
                let names: BTreeSet<String> = names(text).into_iter().collect();
                let mut named: Vec<String> = names.iter().take(MAX_NAMED).cloned().collect();
                named.extend((names.len() > MAX_NAMED).then(|| "…".to_owned()));
                Value::label(if named.is_empty() { NONE.to_owned() } else { named.join(" + ") })
            },
        )
        .quoting(),
    ]
}

fn names(text: &Text<'_>) -> Vec<String> {
    let cut = |name: &str| name.trim().chars().take(MAX_NAME).collect::<String>();
    let names: Vec<String> = match text.json() {
        Some(Json::Array(calls)) => calls.iter().map(|call| cut(name(call))).collect(),
        Some(Json::Null) => vec![],
        Some(call @ (Json::Object(_) | Json::String(_))) => vec![cut(name(call))],
        // JSON that was cut: the pieces of it may be arguments.
        _ if text.as_str().contains(['{', '[', '"']) => vec!["?".to_owned()],
        _ => text.as_str().split(',').map(|piece| listed(piece.trim()).to_owned()).collect(),
    };
    names.into_iter().filter(|name| !name.is_empty()).collect()
}

/// A name of a list with commas; `?` of what is none.
fn listed(piece: &str) -> &str {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.:/-".contains(c);
    if piece.len() <= MAX_NAME && piece.chars().all(is_plain) { piece } else { "?" }
}

/// The name in a call; `?` if it has none.
fn name(call: &Json) -> &str {
    let places = ["/name", "/function/name", "/tool", "/tool_name"];
    let named = || places.iter().find_map(|place| call.pointer(place)?.as_str());
    call.as_str().or_else(named).unwrap_or("?")
}
