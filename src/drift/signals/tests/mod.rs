mod fields;
mod judges;
mod languages;
mod laws;
mod lengths;
mod lexicons;
mod patterns;
mod presets;
mod repetition;
mod schemas;
mod tools;

use super::{Library, Role, Signal, Text, Value};
use std::sync::LazyLock;

static LIBRARY: LazyLock<Library> = LazyLock::new(|| Library::built_in().unwrap());
static ANSWERS: LazyLock<Vec<Signal>> = LazyLock::new(|| LIBRARY.signals(Role::Output));

/// What a signal for answers says of a text.
fn of(signal: &str, text: &str) -> Value {
    ANSWERS.iter().find(|its| its.name() == signal).unwrap().of(&Text::new(text))
}

fn number(signal: &str, text: &str) -> f64 {
    match of(signal, text) {
        Value::Number(number) => number,
        other => panic!("{signal} of {text:?} is {other:?}"),
    }
}

fn label(text: &str) -> Value {
    Value::Label(text.to_owned().into())
}
