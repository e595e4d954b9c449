//! The content has been running somewhere for a while, and fares well.

use super::{Definition, Facts, Gate, Source, Verdict, attach, define, named};
use crate::model::{
    deployment::BAKE_MAX,
    evidence::{DeploymentHealth, Evidence, EvidenceKind, Statement},
    stage::Stage,
};
use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

pub const GATE: Definition = define::<DeploymentHealthy>(
    "deployment_healthy",
    "Targets that run the content have been healthy for so long, and none is unhealthy.",
    Some(EvidenceKind::DeploymentHealth),
);

const MINUTES_MAX: u32 = BAKE_MAX.num_minutes() as u32;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeploymentHealthy {
    /// For how long a target must have been healthy, up to its newest report.
    #[schemars(range(min = 0, max = 43200))]
    minutes: u32,
    /// So many targets must have been.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    targets: u32,
    /// The stage the targets follow. Without it: the stage before the one to be entered.
    #[serde(default)]
    stage: Option<Stage>,
    /// Whose reports count; empty: anyone's who may report.
    #[serde(default)]
    from: Vec<Source>,
}

/// What was said last of the content on each target by whom counts, oldest evidence first: while the target followed this
/// stage, or any. A target follows one stage at a time, and one that anybody has retired speaks no more.
pub fn newest<'a>(
    evidence: impl IntoIterator<Item = &'a Evidence>,
    counts: impl Fn(&Evidence) -> bool,
    stage: Option<&Stage>,
) -> BTreeMap<&'a str, (&'a Evidence, &'a DeploymentHealth)> {
    let mut newest = BTreeMap::new();
    for evidence in evidence {
        let Statement::DeploymentHealth(health) = &evidence.statement else { continue };
        let is_there = stage.is_none_or(|stage| health.stage.as_ref() == Some(stage));
        if health.retired || (!is_there && counts(evidence)) {
            newest.remove(health.target.as_str());
        } else if is_there && counts(evidence) {
            newest.insert(health.target.as_str(), (evidence, health));
        }
    }
    newest
}

fn one() -> u32 {
    1
}

impl Gate for DeploymentHealthy {
    fn check(&self) -> Result<(), String> {
        match self.minutes <= MINUTES_MAX && (1..=1000).contains(&self.targets) {
            true => Ok(()),
            false => Err(format!("minutes: 0 to {MINUTES_MAX}; targets: 1 to 1000")),
        }
    }

    fn judge(&self, facts: &Facts) -> Verdict {
        let (wanted, minutes) = (self.targets as usize, i64::from(self.minutes));
        let Some(stage) = self.stage.as_ref().or(facts.before.as_ref()) else {
            return Verdict::pass("the first stage has none before it");
        };
        let all = facts.evidence(EvidenceKind::DeploymentHealth, &[]);
        let newest = newest(all, |evidence| facts.counts(&evidence.by, &self.from), Some(stage));
        let all = newest.values().map(|(evidence, _)| *evidence);
        let bad: Vec<_> = newest.iter().filter(|(_, (_, health))| !health.healthy).collect();
        if !bad.is_empty() {
            let names = named(bad.iter().map(|(target, _)| *target));
            let because = bad.iter().map(|(_, (evidence, _))| *evidence);
            return Verdict::fail(format!("unhealthy in {stage}: {names}")).by(because);
        }
        let lasted = |(evidence, health): &(&Evidence, &DeploymentHealth)| {
            let since = health.since.unwrap_or(evidence.at);
            (evidence.at - since).max(TimeDelta::zero()).num_minutes()
        };
        let baked: Vec<_> = newest.iter().filter(|(_, said)| lasted(said) >= minutes).collect();
        if baked.len() >= wanted {
            let names = named(baked.iter().map(|(target, _)| *target));
            return Verdict::pass(format!("healthy in {stage} for {minutes} minutes: {names}")).by(all);
        }
        let so_far = newest.iter().map(|(target, said)| format!("{target} for {}", lasted(said)));
        let so_far = if newest.is_empty() { String::new() } else { format!("; so far {}", named(so_far)) };
        Verdict::wait(format!(
            "{} of {wanted} targets in {stage} were healthy for {minutes} minutes{so_far}",
            baked.len()
        ))
        .by(all)
        .next(format!("{} --stage {stage}", attach(facts, EvidenceKind::DeploymentHealth)))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Outcome,
            tests::{facts, say},
        },
        *,
    };

    fn health(facts: &mut Facts, target: &str, healthy: bool, minute: i64, lasted: i64) {
        let since = facts.now - TimeDelta::minutes(1000) + TimeDelta::minutes(minute - lasted);
        let statement = Statement::DeploymentHealth(DeploymentHealth {
            target: target.to_owned(),
            healthy,
            retired: false,
            stage: facts.before.clone(),
            since: Some(since),
            message: None,
        });
        say(facts, "ci", minute, statement);
        if let Some(last) = facts.candidate.evidence.last_mut() {
            last.at = since + TimeDelta::minutes(lasted);
        }
    }

    #[test]
    fn targets_must_have_been_healthy_long_enough_and_none_unhealthy() {
        let gate = DeploymentHealthy { minutes: 60, targets: 2, stage: None, from: vec![] };
        let mut facts = facts();
        let verdict = gate.judge(&facts);
        assert_eq!(verdict.outcome, Outcome::Wait);
        assert!(verdict.next.unwrap().contains("deployment report"));
        health(&mut facts, "eu-1", true, 0, 0);
        health(&mut facts, "eu-1", true, 61, 61);
        health(&mut facts, "us-1", true, 62, 20);
        let verdict = gate.judge(&facts);
        assert_eq!(verdict.outcome, Outcome::Wait);
        assert!(verdict.reason.starts_with("1 of 2 targets"), "{}", verdict.reason);
        assert!(verdict.reason.ends_with("us-1 for 20"), "{}", verdict.reason);
        health(&mut facts, "us-1", true, 102, 60);
        assert_eq!(gate.judge(&facts).outcome, Outcome::Pass);
        health(&mut facts, "ap-1", false, 103, 0);
        let verdict = gate.judge(&facts);
        assert_eq!((verdict.outcome, verdict.evidence.len()), (Outcome::Fail, 1));
        let elsewhere = DeploymentHealthy { stage: Some("canary".parse().unwrap()), ..gate };
        assert_eq!(elsewhere.judge(&facts).outcome, Outcome::Wait, "other stages do not count");
    }

    #[test]
    fn a_retired_target_speaks_neither_for_nor_against() {
        let gate = DeploymentHealthy { minutes: 0, targets: 1, stage: None, from: vec![] };
        let mut facts = facts();
        let retire = |facts: &mut Facts, minute| {
            health(facts, "eu-1", false, minute, 0);
            if let Some(Evidence { statement: Statement::DeploymentHealth(said), .. }) =
                facts.candidate.evidence.last_mut()
            {
                (said.retired, said.stage) = (true, None);
            }
        };
        health(&mut facts, "eu-1", false, 0, 0);
        assert_eq!(gate.judge(&facts).outcome, Outcome::Fail);
        retire(&mut facts, 1);
        assert_eq!(gate.judge(&facts).outcome, Outcome::Wait);
        health(&mut facts, "eu-1", true, 2, 0);
        assert_eq!(gate.judge(&facts).outcome, Outcome::Pass, "it is there again");
        retire(&mut facts, 3);
        assert_eq!(gate.judge(&facts).outcome, Outcome::Wait);
    }

    #[test]
    fn the_first_stage_passes_and_numbers_are_bounded() {
        let mut facts = facts();
        facts.before = None;
        let gate = |minutes, targets| DeploymentHealthy { minutes, targets, stage: None, from: vec![] };
        assert_eq!(gate(60, 1).judge(&facts).outcome, Outcome::Pass);
        assert!(gate(60, 0).check().is_err() && gate(MINUTES_MAX + 1, 1).check().is_err());
    }
}
