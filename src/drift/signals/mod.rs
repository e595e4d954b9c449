//! Signals: what can be said of a text, such as a prompt's input or a model's answer, without any model. Each is a
//! value for each text, so that it is profiled and compared like any other column.
//!
//! | file | signals | kind |
//! |---|---|---|
//! | `lengths` | characters, words, sentences, tokens, lines | numeric |
//! | `language`, `script` | language, script; share of the script | categorical; numeric |
//! | `lexicon` | refusal, hedging, and phrases of one's own | boolean |
//! | `patterns` | personal data and secrets, one for each shape and one for any | boolean |
//! | `repetition` | compression, distinct pairs and triples of words, repeated lines | numeric |
//! | `structure`, `schema` | is it JSON; does it satisfy a schema; what it violates | boolean, categorical |
//! | `field` | one value inside of JSON each | as the values are |
//! | `tools` | how many were called, the first, which | numeric, categorical |
//! | `hashed` | a keyed hash in the place of a value that is not to be told | categorical |
//!
//! A [`Text`] is made once and asked by all signals, which share what they find out about it. A signal keeps nothing of
//! a text; only fields and names of tools are values that were in it.
//!
//! Lexicons and patterns are data with a version and a digest, for the report to name ([`Signal::version`]): another
//! list finds something else without anything having drifted.

mod asked;
mod chars;
mod compare;
mod expansion;
mod field;
mod hashed;
mod judge;
mod language;
mod lengths;
mod lexicon;
mod library;
mod patterns;
mod personal;
mod preset;
mod propose;
mod repetition;
mod role;
mod schema;
mod script;
mod signal;
mod structure;
#[cfg(test)]
mod tests;
mod text;
mod tools;
mod words;

pub use asked::Signals;
pub use compare::{base_mismatch, win};
pub use field::{Field, MAX_DEPTH};
pub use hashed::HashKey;
pub use judge::{Finding, Limits, Movement, Rating, Scored, Separation, separate};
pub use language::language;
pub use lexicon::Lexicon;
pub use library::Library;
pub use patterns::Patterns;
pub use preset::{Derived, Plain, Preset, Tier};
pub use propose::{MAX_FIELDS, SAMPLE, propose};
pub use role::{Role, Roles};
pub use schema::Schema;
pub use signal::{Signal, Value};
pub use text::{LOOKED_AT, Text};

use super::profile::{Invalid, Kind};
use super::statistics;
