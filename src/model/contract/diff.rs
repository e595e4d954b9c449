//! Which part of the version number a change of contract moves.
//!
//! Semver protects the consumers of a workload: those who send inputs and read outputs. Read a schema as the set
//! of values it accepts, and everything follows from two inclusions:
//!
//! | side | every old value is accepted by new | every new value is accepted by old | change |
//! | --- | --- | --- | --- |
//! | input | yes | yes | equal |
//! | input | yes | no | minor: accepts more |
//! | input | no | (any) | major: an input that worked is refused |
//! | output | yes | yes | equal |
//! | output | no | yes | minor: promises more |
//! | output | (any) | no | major: a consumer may read what it was never promised |
//!
//! What that means for common edits, by what a consumer can observe:
//!
//! - *A new required output property* is minor where the old output was open (no `additionalProperties: false`):
//!   consumers already had to live with properties they did not know. In a closed output any new property is
//!   major: a consumer that validates strictly would refuse it. So leave outputs open.
//! - *A new optional input property* is minor where the old input was closed. In an open input it is major,
//!   unless its schema is `true`: callers were free to send anything under that name. So close inputs.
//! - *A new required input property* is major: no caller sends it. *No longer guaranteeing an output property* is
//!   major. *A new value of an output enum* is major: a consumer's `match` does not have it.
//! - `format` counts as a constraint, since values are checked against it. Patterns are compared as text.
//! - Annotations (`title`, `description`, `default`, `examples`, `$comment`, `deprecated`, `readOnly`, `writeOnly`,
//!   `x-…`) never matter.
//!
//! Inclusion of JSON Schemas is undecidable in practice, so the walk proves what it can and **what it cannot
//! prove is major**, with the path. Where only the way back cannot be proven the change is known to be
//! compatible, and is minor.

use super::Contract;
use super::subset::{Gap, gaps};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Ordered by severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Equal,
    Minor,
    Major,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Input,
    Output,
}

impl std::fmt::Display for Side {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Input => "input",
            Self::Output => "output",
        })
    }
}

/// One place where the contracts differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiffEntry {
    pub side: Side,
    /// JSON pointer into the side's schema, in whichever contract is stricter at this place; where that one does
    /// not name a property, where it would.
    pub path: String,
    pub change: Change,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diff {
    /// The worst of the entries.
    pub change: Change,
    pub entries: Vec<DiffEntry>,
}

/// Compares two contracts of one workload; see the module's documentation for the rules.
pub fn diff(old: &Contract, new: &Contract) -> Diff {
    let mut entries = Vec::new();
    // Consumers feed inputs and read outputs: what must be included in what is turned round.
    let input = Pair { side: Side::Input, from: &old.input, to: &new.input, names: ["old", "new"] };
    let output = Pair { side: Side::Output, from: &new.output, to: &old.output, names: ["new", "old"] };
    for pair in [input, output] {
        pair.compare(&mut entries);
    }
    let change = entries.iter().map(|entry| entry.change).max().unwrap_or(Change::Equal);
    Diff { change, entries }
}

struct Pair<'a> {
    side: Side,
    /// Must be included in `to`, or the change is major.
    from: &'a Value,
    to: &'a Value,
    names: [&'static str; 2],
}

impl Pair<'_> {
    fn compare(&self, entries: &mut Vec<DiffEntry>) {
        if self.from == self.to {
            return;
        }
        let [from, to] = self.names;
        let breaking = gaps(self.from, self.to);
        let (change, found, names) = if breaking.is_empty() {
            (Change::Minor, gaps(self.to, self.from), [to, from])
        } else {
            (Change::Major, breaking, [from, to])
        };
        entries.extend(found.into_iter().map(|gap| DiffEntry {
            side: self.side,
            change,
            reason: reason(&gap, names),
            path: gap.path,
        }));
    }
}

fn reason(gap: &Gap, [wide, narrow]: [&str; 2]) -> String {
    if gap.certain {
        format!("{wide} allows {}, {narrow} does not", gap.what)
    } else {
        format!("cannot tell whether {narrow} allows all that {wide} does: {}", gap.what)
    }
}
