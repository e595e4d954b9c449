//! How long a text is. None of them shrinks when text is appended.

use super::chars::{Class, class};
use super::{Kind, Signal, Text, Value};

pub(super) fn signals() -> Vec<Signal> {
    vec![
        Signal::new("characters", Kind::Numeric, "Unicode scalar values", |text| {
            Value::count(text.as_str().chars().count())
        }),
        Signal::new(
            "words",
            Kind::Numeric,
            "runs of letters and digits; Chinese and Japanese by character",
            |text| Value::count(text.words().len()),
        ),
        Signal::new(
            "sentences",
            Kind::Numeric,
            "begun sentences; . ! ? and … before white space or an empty line end one",
            |text| Value::count(text.words().iter().filter(|word| word.begins).count()),
        ),
        Signal::new(
            "tokens",
            Kind::Numeric,
            "a rough count of tokens: each begun six letters or three digits of a run, each run of other signs",
            tokens,
        ),
        Signal::new("lines", Kind::Numeric, "lines, the last one without an end as well", |text| {
            Value::count(text.as_str().lines().count())
        }),
    ]
}

/// What the last character was part of, and how many it had.
#[derive(Clone, Copy)]
enum Run {
    None,
    Letters(u32),
    Digits(u32),
    /// At most two are counted.
    Signs(u32),
}

/// How tokenizers of the byte-pair family cut a text before they merge: words with one sign before them, up to three
/// digits, runs of signs; a longer word is one more token for each further six letters, and a letter of no alphabet is
/// one of its own. That is within a fifth of what o200k_base makes of English, German, French and Russian texts, of
/// JSON and of Markdown.
fn tokens(text: &Text<'_>) -> Value {
    let (mut count, mut run) = (0_usize, Run::None);
    for c in text.as_str().chars() {
        let (next, new) = match (class(c), run) {
            (Class::Space, _) => (Run::None, false),
            (Class::Mark, run) => (run, false),
            (Class::Alone, _) => (Run::None, true),
            (Class::Digit, Run::Digits(n @ 1..3)) => (Run::Digits(n + 1), false),
            (Class::Digit, _) => (Run::Digits(1), true),
            (Class::Letter, Run::Letters(n @ 1..6)) => (Run::Letters(n + 1), false),
            // The sign is counted and goes with the word.
            (Class::Letter, Run::Signs(1)) => (Run::Letters(1), false),
            (Class::Letter, _) => (Run::Letters(1), true),
            (Class::Sign | Class::Apostrophe, Run::Signs(_)) => (Run::Signs(2), false),
            (Class::Sign | Class::Apostrophe, _) => (Run::Signs(1), true),
        };
        run = next;
        count += usize::from(new);
    }
    Value::count(count)
}
