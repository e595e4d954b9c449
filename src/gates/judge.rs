//! Judging a promotion: every gate of the rule, and what always holds.

use super::Gate as _;
use super::{Facts, Outcome, Rules, Verdict, frozen::Frozen};
use crate::model::digest::Digest;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a promotion was judged by, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The worst of the gates' outcomes.
    pub outcome: Outcome,
    pub gates: Vec<GateReport>,
    /// The digest of the policy that has the rule.
    pub policy: Digest,
    /// The digest of the rule and the transition.
    pub rules: Digest,
    pub judged_at: DateTime<Utc>,
    /// When time alone may change the outcome; until then it stands while nothing else changes.
    pub changes_at: Option<DateTime<Utc>>,
}

impl Report {
    /// Adds something else to wait for.
    pub fn wait_for(&mut self, what: &str, reason: String, next: String) {
        self.outcome = self.outcome.max(Outcome::Wait);
        self.gates.push(GateReport {
            gate: what.to_owned(),
            outcome: Outcome::Wait,
            reason,
            evidence: Vec::new(),
            next: Some(next),
        });
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateReport {
    pub gate: String,
    pub outcome: Outcome,
    pub reason: String,
    /// The digests of the evidence it rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Digest>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

fn not_yanked(facts: &Facts) -> Verdict {
    match &facts.yanked {
        Some(version) => Verdict::fail(format!("its content was yanked, as {version}"))
            .next("push what is wanted as a version of its own"),
        None => Verdict::pass("not yanked"),
    }
}

fn not_blocked(facts: &Facts) -> Verdict {
    let blocks: Vec<String> =
        facts.blocks.iter().map(|block| format!("monitor {}: {}", block.monitor, block.reason)).collect();
    Verdict::fail(format!("blocked while its data drift, by {}", blocks.join("; ")))
        .next("push a version that mends it; or mute the monitor: gradus drift mute")
}

fn not_quarantined(facts: &Facts) -> Verdict {
    let why: Vec<String> = facts.quarantines.iter().map(ToString::to_string).collect();
    Verdict::fail(format!("in quarantine, by {}", why.join("; ")))
        .next("push a version that is made of other things; an admin can insist with --override -m WHY")
}

/// Judges by a rule. What no rule can leave out comes first: the stage before, no way back to what was rolled
/// back or yanked, no freeze.
pub fn judge(rules: &Rules<'_>, facts: &Facts) -> Report {
    let mut verdicts = vec![
        ("previous_stage", previous_stage(rules, facts)),
        ("not_rolled_back", not_rolled_back(facts)),
        ("not_yanked", not_yanked(facts)),
    ];
    // Only where one does: a gate that nobody asked for need not be read each time.
    if !facts.blocks.is_empty() {
        verdicts.push(("not_blocked", not_blocked(facts)));
    }
    if !facts.quarantines.is_empty() {
        verdicts.push(("not_quarantined", not_quarantined(facts)));
    }
    verdicts.push((super::frozen::GATE.name, Frozen {}.judge(facts)));
    for spec in &rules.rule.gates {
        if spec.definition.name != super::frozen::GATE.name {
            verdicts.push((spec.definition.name, spec.gate().judge(facts)));
        }
    }
    let gate = |(gate, verdict): (&str, Verdict)| GateReport {
        gate: gate.to_owned(),
        outcome: verdict.outcome,
        reason: verdict.reason,
        evidence: verdict.evidence,
        next: verdict.next,
    };
    Report {
        outcome: verdicts.iter().map(|(_, verdict)| verdict.outcome).max().unwrap_or(Outcome::Pass),
        changes_at: verdicts
            .iter()
            .filter_map(|(_, verdict)| verdict.changes_at)
            .filter(|at| *at > facts.now)
            .min(),
        gates: verdicts.into_iter().map(gate).collect(),
        policy: rules.policy.clone(),
        rules: rules.digest.clone(),
        judged_at: facts.now,
    }
}

fn previous_stage(rules: &Rules<'_>, facts: &Facts) -> Verdict {
    let Some(before) = &facts.before else { return Verdict::pass("the first stage") };
    if facts.rolled_back_from.contains(before) {
        return Verdict::fail(format!("its content was rolled back from {before}, the stage before"))
            .next("push a version that mends it");
    }
    if facts.stays.iter().any(|stay| stay.stage == *before) {
        return Verdict::pass(format!("it has been in {before}"));
    }
    if rules.rule.skip {
        return Verdict::pass(format!("the rule lets it skip {before}"));
    }
    Verdict::fail(format!("it has not been in {before}, the stage before"))
        .next(format!("gradus promote {} --to {before}", facts.reference()))
}

fn not_rolled_back(facts: &Facts) -> Verdict {
    if facts.rolled_back_from.contains(&facts.stage) {
        return Verdict::fail(format!("its content was rolled back from {}", facts.stage))
            .next("push a version that mends it; an admin can insist with --override -m WHY");
    }
    Verdict::pass("never rolled back from here")
}
