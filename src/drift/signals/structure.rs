//! Whether a text is JSON.

use super::{Kind, Signal, Text, Value};

pub(super) fn json() -> Signal {
    let about = "all of the text is one JSON value (RFC 8259), nested at most 127 deep; missing above 1 MiB";
    Signal::new("json", Kind::Boolean, about, |text: &Text<'_>| {
        if text.is_whole() { Value::Boolean(text.json().is_some()) } else { Value::Missing }
    })
}
