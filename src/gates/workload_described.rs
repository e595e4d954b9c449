//! Somebody answers for the workload, says what it is for, and looks at it again in time.

use super::{Definition, Facts, Gate, Verdict, define, named};
use crate::model::card::{Card, Part};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeSet;

pub const GATE: Definition = define::<WorkloadDescribed>(
    "workload_described",
    "The workload has an owner, a purpose, limits of use, a class of risk and a review that is not overdue.",
    None,
);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WorkloadDescribed {
    /// What the workload's card must say: any of owner, purpose, limits, risk and review; all if nothing is said.
    #[serde(default = "all")]
    parts: BTreeSet<Part>,
}

fn all() -> BTreeSet<Part> {
    Part::ALL.into()
}

/// What is set by `gradus workload set`, for this part.
fn option(part: Part) -> String {
    let value = match part {
        Part::Owner => "TEAM",
        Part::Purpose | Part::Limits => "TEXT",
        Part::Risk => "CLASS",
        Part::Review => "YYYY-MM-DD",
    };
    format!("--{part} {value}")
}

fn command(facts: &Facts, parts: &[Part]) -> String {
    let options: Vec<String> = parts.iter().map(|part| option(*part)).collect();
    format!("gradus workload set {} {}", facts.workload, options.join(" "))
}

impl Gate for WorkloadDescribed {
    fn check(&self) -> Result<(), String> {
        if self.parts.is_empty() { Err("parts: at least one".to_owned()) } else { Ok(()) }
    }

    fn judge(&self, facts: &Facts) -> Verdict {
        let nothing = Card::default();
        let card = facts.card.as_ref().unwrap_or(&nothing);
        let missing: Vec<Part> = self.parts.iter().copied().filter(|part| !card.has(*part)).collect();
        let review = card.review_on.filter(|_| self.parts.contains(&Part::Review));
        if let Some(day) = review.filter(|_| card.overdue_days(facts.now).is_some()) {
            let mut to_set = missing;
            to_set.push(Part::Review);
            return Verdict::fail(format!("the review of the workload is overdue, it was due on {day}"))
                .next(command(facts, &to_set));
        }
        // Once it is overdue it does not pass any more.
        let until = review.map(|day| day.end());
        if !missing.is_empty() {
            let all = self.parts.len();
            let reason = format!(
                "the workload's card lacks {} of {all} parts: {}",
                missing.len(),
                named(missing.iter().copied())
            );
            return Verdict::wait(reason).until(until).next(command(facts, &missing));
        }
        let review = review.map(|day| format!(", and is looked at again by {day}")).unwrap_or_default();
        Verdict::pass(format!("the workload's card has all {} parts{review}", self.parts.len())).until(until)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Outcome,
        tests::{facts, gate},
    };
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_missing_is_named_with_the_command_that_sets_it() {
        let mut facts = facts();
        facts.card = None;
        let described = gate("workload_described", json!({}));
        let verdict = described.judge(&facts);
        assert_eq!(verdict.outcome, Outcome::Wait);
        assert!(
            verdict.reason.contains("lacks 5 of 5 parts: owner, purpose, limits, risk, review"),
            "{verdict:?}"
        );
        let next = verdict.next.unwrap();
        assert!(next.starts_with("gradus workload set acme/model --owner TEAM --purpose TEXT"), "{next}");
        assert!(next.ends_with("--review YYYY-MM-DD"), "{next}");

        let whole = super::super::tests::facts().card.unwrap();
        for part in Part::ALL {
            let mut card = whole.clone();
            card.clear(part);
            facts.card = Some(card);
            let verdict = described.judge(&facts);
            assert_eq!(verdict.outcome, Outcome::Wait, "{part}");
            assert!(verdict.reason.ends_with(&format!("lacks 1 of 5 parts: {part}")), "{}", verdict.reason);
            assert_eq!(verdict.next.unwrap(), format!("gradus workload set acme/model {}", option(part)));
        }
    }

    #[test]
    fn it_holds_until_the_review_is_overdue() {
        let mut facts = facts();
        let described = gate("workload_described", json!({}));
        let verdict = described.judge(&facts);
        let day = facts.card.as_ref().unwrap().review_on.unwrap();
        assert_eq!((verdict.outcome, verdict.changes_at), (Outcome::Pass, Some(day.end())));
        facts.now = day.end() - chrono::TimeDelta::microseconds(1);
        assert_eq!(described.judge(&facts).outcome, Outcome::Pass, "that day is in time");
        facts.now = day.end();
        let verdict = described.judge(&facts);
        assert_eq!((verdict.outcome, verdict.changes_at), (Outcome::Fail, None));
        assert!(verdict.reason.contains(&format!("was due on {day}")), "{}", verdict.reason);
        assert_eq!(verdict.next.unwrap(), "gradus workload set acme/model --review YYYY-MM-DD");
    }

    #[test]
    fn a_policy_may_ask_for_less() {
        let mut facts = facts();
        facts.card = Some(Card { owner: Some("triage team".into()), ..Card::default() });
        let of = |parts| gate("workload_described", json!({ "parts": parts }));
        assert_eq!(of(json!(["owner"])).judge(&facts).outcome, Outcome::Pass);
        assert_eq!(of(json!(["owner", "risk"])).judge(&facts).outcome, Outcome::Wait);
        facts.card.as_mut().unwrap().review_on = Some("2020-01-01".parse().unwrap());
        assert_eq!(of(json!(["owner"])).judge(&facts).outcome, Outcome::Pass, "nobody asked for reviews");
        let read = |parameters| (super::GATE.read)(parameters).err().unwrap();
        assert!(read(json!({ "parts": [] })).contains("at least one"));
        assert!(read(json!({ "parts": ["colour"] })).contains("colour"));
    }
}
