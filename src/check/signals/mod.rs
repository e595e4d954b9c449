//! Signals of texts: what a check is asked for, and what it says of them.

mod concern;
mod fields;
mod fit;
mod judge;
mod vectors;
mod watch;

pub use crate::drift::signals::Signals;
pub(super) use judge::{attribute, is_kept, judge, with_scores};
pub(super) use vectors::vectors;
pub(super) use watch::Watch;

use crate::drift::signals::{Finding, Movement, Role, Separation, Tier};
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What the columns were taken for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recognised {
    pub preset: Tier,
    pub roles: BTreeMap<String, Role>,
    /// Name, version and digest of the lists, patterns and schemas that signals rest on.
    pub lexicons: BTreeSet<String>,
    /// Ordinary columns: the preset has no use for them.
    pub unrecognised: Vec<String>,
    /// What the preset would use and neither side has.
    pub absent: Vec<Role>,
    /// What could not be done, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A role as people write it, or `none`. Errors: there is no such role.
pub fn role(text: &str) -> Result<Option<Role>> {
    if text == "none" {
        return Ok(None);
    }
    let unknown = || {
        Error::invalid("drift_role", format!("there is no role {text}")).hint(
            "input, context, output, tools, model, fingerprint, finish_reason, latency, cost, tokens, retries, \
             judge_score, judge_id, anchor, base_digest, win, vector or none",
        )
    };
    Role::by_name(text).map(Some).ok_or_else(unknown)
}

impl Recognised {
    /// In a sentence or a few.
    pub(super) fn lines(&self) -> Vec<String> {
        let named = |role: &Role| role.name().replace('_', " ");
        let taken = self.roles.iter().map(|(column, role)| format!("{column} for {}", named(role)));
        let taken: Vec<String> = taken.collect();
        let mut lines = vec![match taken.as_slice() {
            [] => "No column was taken for one of a model's log: say which are, with roles.".to_owned(),
            taken => format!("Taken: {}.", taken.join(", ")),
        }];
        let absent: Vec<String> = self.absent.iter().map(named).collect();
        if !absent.is_empty() {
            lines.push(format!("Nothing was taken for {}.", absent.join(", ")));
        }
        lines.extend(self.notes.iter().cloned());
        lines
    }
}

/// What became of the judge, in a line.
pub(super) fn judged(it: &Separation) -> String {
    let delta = |movement: Option<Movement>| {
        movement.map_or("none".to_owned(), |moved| format!("{:+.3}", moved.delta))
    };
    let finding = match it.finding {
        Finding::NoDrift => "its scores did not move",
        Finding::JudgeDrift => "it scores the same answers otherwise: the judge drifted",
        Finding::ModelDrift => {
            "it scores the anchors as before and the other answers otherwise: the model drifted"
        }
        Finding::Unattributed => {
            "its scores moved, and the anchors are too few, or moved as well, to say whether the judge or the model drifted"
        }
        Finding::NoData => "there are no scores to compare",
    };
    let mut line = format!(
        "Judge: {finding} (Cliff's delta of anchors {}, of others {}).",
        delta(it.anchors),
        delta(it.others)
    );
    if !it.new_judges.is_empty() || it.unnamed_judges[0] > 0 {
        line.push_str(" There is another judge; its scores are another measure.");
    }
    line
}
