//! Evidence of a kind is not too old.

use super::{Definition, Facts, Gate, Source, Verdict, attach, define, moment};
use crate::model::evidence::EvidenceKind;
use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::Deserialize;

pub const GATE: Definition = define::<Fresh>(
    "evidence_fresh",
    "The newest evidence of a kind is there and not older than so many days.",
    None,
);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Fresh {
    /// The kind of evidence.
    kind: EvidenceKind,
    /// Oldest it may be, in days.
    #[schemars(range(min = 1, max = 3660))]
    max_days: u32,
    /// Whose evidence counts; empty: anyone's.
    #[serde(default)]
    from: Vec<Source>,
}

impl Gate for Fresh {
    fn check(&self) -> Result<(), String> {
        if (1..=3660).contains(&self.max_days) { Ok(()) } else { Err("max_days: 1 to 3660".to_owned()) }
    }

    fn judge(&self, facts: &Facts) -> Verdict {
        let Self { kind, max_days, .. } = self;
        let renew = attach(facts, *kind);
        let Some(evidence) = facts.evidence(*kind, &self.from).next_back() else {
            return Verdict::wait(format!("no {kind} that counts, one of at most {max_days} days is needed"))
                .next(renew);
        };
        if evidence.at > facts.now {
            return Verdict::wait(format!(
                "the newest {kind} is from {}, which is yet to come: the clock was moved back",
                moment(evidence.at)
            ))
            .by([evidence])
            .until(Some(evidence.at));
        }
        let age = facts.now - evidence.at;
        let days = age.num_days();
        let limit = TimeDelta::days(i64::from(*max_days));
        match age <= limit {
            true => Verdict::pass(format!("the newest {kind} is {days} days old, {max_days} are allowed"))
                // At the limit itself it still counts.
                .until(evidence.at.checked_add_signed(limit + TimeDelta::microseconds(1))),
            false => Verdict::wait(format!("the newest {kind} is {days} days old, {max_days} are allowed"))
                .next(renew),
        }
        .by([evidence])
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{card, facts, gate, say};
    use super::super::{Facts, Outcome};
    use super::*;
    use serde_json::json;

    #[test]
    fn ages_and_says_when() {
        let mut facts = facts();
        let judge = |facts: &Facts| {
            gate("evidence_fresh", json!({ "kind": "model_card", "max_days": 7 })).judge(facts)
        };
        assert_eq!(judge(&facts).outcome, Outcome::Wait);
        say(&mut facts, "eve", 1, card(&[]));
        let verdict = judge(&facts);
        assert_eq!(verdict.outcome, Outcome::Pass);
        let changes_at = verdict.changes_at.unwrap();
        facts.now = changes_at - TimeDelta::microseconds(1);
        assert_eq!(judge(&facts).outcome, Outcome::Pass);
        facts.now = changes_at;
        assert_eq!(judge(&facts).reason, "the newest model_card is 7 days old, 7 are allowed");
        assert_eq!(judge(&facts).outcome, Outcome::Wait);
        facts.now -= TimeDelta::days(8);
        assert!(judge(&facts).reason.ends_with("the clock was moved back"));
    }
}
