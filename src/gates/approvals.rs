//! People who may, and who did not make it, said yes to this promotion, and nobody's no is left unanswered.

use super::{Definition, Facts, Gate, Verdict, attach, define, named};
use crate::model::{
    access::{PrincipalKind, Role},
    evidence::{Approval, Decision, Evidence, EvidenceKind, Statement},
    name::PrincipalName,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

pub const GATE: Definition = define::<Approvals>(
    "approvals",
    "Enough people who did not push it approved it for this stage under these rules; no rejection is unanswered.",
    Some(EvidenceKind::Approval),
);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Approvals {
    /// How many; 1 if nothing is said.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 20))]
    count: usize,
    /// Whose count: people who have one of these roles now. Approvers if nothing is said.
    #[serde(default = "approvers")]
    roles: Vec<Role>,
    /// Each approval must stand for another one of the roles.
    #[serde(default)]
    distinct_roles: bool,
}

fn one() -> usize {
    1
}

fn approvers() -> Vec<Role> {
    vec![Role::Approver]
}

/// What was decided about the candidate and the stage, sorted out.
pub(super) struct Decisions<'a> {
    /// One for each person, oldest first.
    pub(super) valid: Vec<&'a Evidence>,
    /// The newest rejection that no valid approval came after.
    pub(super) rejection: Option<(&'a Evidence, &'a Approval)>,
    /// Approvals that do not count, and why.
    worthless: Vec<(&'a Evidence, String)>,
}

impl<'a> Decisions<'a> {
    pub(super) fn sort_out(facts: &'a Facts, roles: &[Role]) -> Self {
        let decisions =
            facts.evidence(EvidenceKind::Approval, &[]).filter_map(|evidence| match &evidence.statement {
                Statement::Approval(approval) if approval.stage == facts.stage => Some((evidence, approval)),
                _ => None,
            });
        // By person: the place and the evidence of the newest decision that means anything.
        let mut newest: BTreeMap<&PrincipalName, (usize, &Evidence)> = BTreeMap::new();
        let mut worthless = BTreeMap::new();
        let mut rejection = None;
        for (place, (evidence, approval)) in decisions.enumerate() {
            match (approval.decision, flaw(facts, roles, evidence, approval)) {
                // Whoever said no could when they did, or it would not be here. That they may no longer answers nothing.
                (Decision::Reject, _) => {
                    newest.remove(&evidence.by);
                    rejection = Some((place, evidence, approval));
                }
                (Decision::Approve, Some(why)) => {
                    worthless.insert(&evidence.by, (evidence, why));
                }
                (Decision::Approve, None) => {
                    newest.insert(&evidence.by, (place, evidence));
                }
            }
        }
        let mut valid: Vec<(usize, &Evidence)> = newest.into_values().collect();
        valid.sort_by_key(|(place, _)| *place);
        let last = valid.last().map(|(place, _)| *place);
        Self {
            rejection: rejection
                .filter(|(place, ..)| last.is_none_or(|last| last < *place))
                .map(|(_, evidence, approval)| (evidence, approval)),
            worthless: worthless
                .into_values()
                .filter(|(evidence, _)| !valid.iter().any(|(_, other)| other.by == evidence.by))
                .collect(),
            valid: valid.into_iter().map(|(_, evidence)| evidence).collect(),
        }
    }
}

/// Why an approval does not count.
fn flaw(facts: &Facts, roles: &[Role], evidence: &Evidence, approval: &Approval) -> Option<String> {
    let by = &evidence.by;
    if facts.authors.contains(by) {
        return Some(format!("{by} pushed it"));
    }
    match facts.people.get(by) {
        Some(person) if person.kind == PrincipalKind::Service => Some(format!("{by} is a service")),
        Some(person) if roles.iter().any(|role| person.roles.contains(role)) => (approval.rules
            != facts.rules)
            .then(|| format!("{by} approved under other rules, {}", approval.rules.short())),
        _ => Some(format!("{by} is not {} now", either(roles))),
    }
}

fn either(roles: &[Role]) -> String {
    roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(" or ")
}

impl Approvals {
    /// How many of the valid approvals count.
    fn counted(&self, facts: &Facts, valid: &[&Evidence]) -> usize {
        if !self.distinct_roles {
            return valid.len();
        }
        // A largest matching of people to roles, by augmenting paths (Kuhn 1955).
        let mut taken: Vec<Option<usize>> = vec![None; self.roles.len()];
        (0..valid.len()).filter(|person| self.place(facts, valid, *person, &mut taken, &mut vec![])).count()
    }

    fn place(
        &self,
        facts: &Facts,
        valid: &[&Evidence],
        person: usize,
        taken: &mut [Option<usize>],
        tried: &mut Vec<usize>,
    ) -> bool {
        for (at, role) in self.roles.iter().enumerate() {
            let has = facts.people.get(&valid[person].by).is_some_and(|known| known.roles.contains(role));
            if !has || tried.contains(&at) {
                continue;
            }
            tried.push(at);
            if taken[at].is_none_or(|other| self.place(facts, valid, other, taken, tried)) {
                taken[at] = Some(person);
                return true;
            }
        }
        false
    }
}

impl Gate for Approvals {
    fn check(&self) -> Result<(), String> {
        let mut roles = self.roles.clone();
        roles.sort();
        roles.dedup();
        if !(1..=20).contains(&self.count) {
            return Err("count: 1 to 20".to_owned());
        }
        if roles.is_empty() || roles.len() != self.roles.len() {
            return Err("roles: at least one, each once".to_owned());
        }
        if self.distinct_roles && roles.len() < self.count {
            return Err(format!(
                "distinct_roles: {} roles cannot give {} approvals",
                roles.len(),
                self.count
            ));
        }
        Ok(())
    }

    fn judge(&self, facts: &Facts) -> Verdict {
        let decisions = Decisions::sort_out(facts, &self.roles);
        let approve = attach(facts, EvidenceKind::Approval);
        if let Some((evidence, rejection)) = decisions.rejection {
            return Verdict::fail(format!(
                "{} rejected it: {}; 0 approvals came after that",
                evidence.by, rejection.message
            ))
            .by([evidence])
            .next(format!("answer it with a new version, or with: {approve}"));
        }
        let (valid, count) = (&decisions.valid, self.count);
        let counted = self.counted(facts, valid);
        let by = named(valid.iter().map(|evidence| &evidence.by));
        if counted >= count {
            return Verdict::pass(format!("{count} approvals are needed, {counted} are there: {by}"))
                .by(valid.iter().copied());
        }
        let mut reason = format!("{counted} of {count} approvals");
        if !by.is_empty() {
            reason += &format!(", by {by}");
        }
        if self.distinct_roles && count > 1 {
            reason += &format!("; each from another role of {}", either(&self.roles));
        }
        if !decisions.worthless.is_empty() {
            let why = named(decisions.worthless.iter().map(|(_, why)| why));
            reason += &format!("; {} do not count: {why}", decisions.worthless.len());
        }
        let own = decisions.worthless.iter().any(|(evidence, _)| facts.authors.contains(&evidence.by));
        let mut next = format!("somebody who is {} and did not push it: {approve}", either(&self.roles));
        if own {
            next += "; with nobody else there, an admin can insist with --override -m WHY, and the policy solo asks \
                     for no approvals";
        }
        Verdict::wait(reason)
            .by(valid.iter().copied().chain(decisions.worthless.iter().map(|(evidence, _)| *evidence)))
            .next(next)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{approval, facts, gate, say};
    use super::super::{Facts, Outcome};
    use super::*;
    use crate::model::digest::Digest;
    use serde_json::json;

    fn decide(facts: &mut Facts, by: &str, minute: i64, decision: Decision) {
        let statement = approval(facts, decision);
        say(facts, by, minute, statement);
    }

    fn judge(facts: &Facts) -> Verdict {
        gate("approvals", json!({})).judge(facts)
    }

    #[test]
    fn who_counts() {
        use Decision::Approve;
        for (by, why) in [
            ("bob", "bob pushed it"),
            ("ci", "ci is a service"),
            ("eve", "eve is not approver now"),
            ("gone", "gone is not approver now"),
            ("nobody", "nobody is not approver now"),
        ] {
            let mut facts = facts();
            decide(&mut facts, by, 1, Approve);
            let verdict = judge(&facts);
            assert_eq!(verdict.outcome, Outcome::Wait, "{by}");
            assert_eq!(verdict.reason, format!("0 of 1 approvals; 1 do not count: {why}"));
            assert_eq!(verdict.next.unwrap().contains("policy solo"), by == "bob");
        }
        let mut facts = facts();
        decide(&mut facts, "ann", 1, Approve);
        decide(&mut facts, "ann", 2, Approve);
        let twice = gate("approvals", json!({ "count": 2 }));
        assert_eq!(twice.judge(&facts).reason, "1 of 2 approvals, by ann");
        assert_eq!(judge(&facts).outcome, Outcome::Pass);
        facts.rules = Digest::sha256(b"edited");
        assert!(judge(&facts).reason.contains("ann approved under other rules"));
    }

    #[test]
    fn another_stage_or_digest_is_another_matter() {
        let mut facts = facts();
        decide(&mut facts, "ann", 1, Decision::Approve);
        let mut elsewhere = facts.clone();
        elsewhere.stage = "staging".parse().unwrap();
        assert_eq!(judge(&elsewhere).reason, "0 of 1 approvals");
        facts.candidate.digest = Digest::sha256(b"other");
        assert_eq!(judge(&facts).reason, "0 of 1 approvals");
    }

    #[test]
    fn a_rejection_stands_until_an_approval_answers_it() {
        use Decision::{Approve, Reject};
        let mut facts = facts();
        decide(&mut facts, "ann", 1, Approve);
        decide(&mut facts, "eve", 2, Reject);
        let mut left = facts.clone();
        assert_eq!(judge(&left).outcome, Outcome::Fail, "whoever has lost the role since has still said no");
        decide(&mut left, "ann", 3, Approve);
        assert_eq!(judge(&left).outcome, Outcome::Pass, "and an approval answers it");
        decide(&mut facts, "root", 3, Reject);
        let verdict = judge(&facts);
        assert_eq!(verdict.outcome, Outcome::Fail);
        assert_eq!(verdict.reason, "root rejected it: because; 0 approvals came after that");
        decide(&mut facts, "bob", 4, Approve);
        assert_eq!(judge(&facts).outcome, Outcome::Fail, "an author's approval answers nothing");
        let rules = std::mem::replace(&mut facts.rules, Digest::sha256(b"edited"));
        assert_eq!(judge(&facts).outcome, Outcome::Fail, "a rejection under older rules still stands");
        facts.rules = rules;
        decide(&mut facts, "ann", 5, Approve);
        assert_eq!(judge(&facts).outcome, Outcome::Pass);
        decide(&mut facts, "ann", 6, Reject);
        assert_eq!(judge(&facts).outcome, Outcome::Fail, "she changed her mind");
        decide(&mut facts, "max", 7, Approve);
        let twice = gate("approvals", json!({ "count": 2 }));
        assert_eq!(twice.judge(&facts).reason, "1 of 2 approvals, by max; 1 do not count: bob pushed it");
        decide(&mut facts, "bob", 8, Reject);
        assert_eq!(judge(&facts).outcome, Outcome::Fail, "an author may speak against it");
    }

    #[test]
    fn each_from_another_role() {
        let rule = json!({ "count": 2, "roles": ["approver", "releaser"], "distinct_roles": true });
        let mut facts = facts();
        decide(&mut facts, "ann", 1, Decision::Approve);
        decide(&mut facts, "max", 2, Decision::Approve);
        let verdict = gate("approvals", rule.clone()).judge(&facts);
        assert_eq!(
            verdict.reason,
            "1 of 2 approvals, by ann, max; each from another role of approver or releaser"
        );
        decide(&mut facts, "both", 3, Decision::Approve);
        assert_eq!(gate("approvals", rule.clone()).judge(&facts).outcome, Outcome::Pass);
        // Whoever has both roles leaves either to the other.
        facts.candidate.evidence.retain(|evidence| evidence.by.as_str() != "max");
        assert_eq!(gate("approvals", rule.clone()).judge(&facts).outcome, Outcome::Pass);
        facts.candidate.evidence.reverse();
        assert_eq!(gate("approvals", rule).judge(&facts).outcome, Outcome::Pass);
    }

    #[test]
    fn refuses_what_nobody_can_meet() {
        for bad in [
            json!({ "count": 0 }),
            json!({ "roles": [] }),
            json!({ "roles": ["approver", "approver"] }),
            json!({ "count": 2, "distinct_roles": true }),
        ] {
            let parameters = bad.as_object().cloned().unwrap();
            assert!(super::super::GateSpec::new("approvals", parameters).is_err(), "{bad}");
        }
    }
}
