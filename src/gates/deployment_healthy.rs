//! The content has been running somewhere for a while, and fares well.

use super::{Definition, Facts, Gate, Source, Verdict, attach, define, named};
use crate::model::{
    deployment::BAKE_MAX,
    evidence::{Evidence, EvidenceKind, HEALTH_ALL_MAX, HEALTH_MAX, HEALTH_STILL_MAX, Statement},
    name::PrincipalName,
    stage::Stage,
};
use chrono::{DateTime, TimeDelta, Utc};
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

/// How content fares on a target.
pub struct Standing<'a> {
    /// What was said last.
    pub evidence: &'a Evidence,
    pub healthy: bool,
    /// Since when the same has been said.
    pub since: DateTime<Utc>,
}

/// How the content fares on each target, by what those have said who count, oldest evidence first: while the target
/// followed this stage, or any. A target follows one stage at a time. One that is retired, or follows another stage and fares
/// well there, speaks no more of what it had; but a bad word is taken back only by whoever counts.
pub fn standing<'a>(
    evidence: impl IntoIterator<Item = &'a Evidence>,
    counts: impl Fn(&Evidence) -> bool,
    stage: Option<&Stage>,
) -> BTreeMap<&'a str, Standing<'a>> {
    let mut standing: BTreeMap<&str, Standing<'_>> = BTreeMap::new();
    for evidence in evidence {
        let Statement::DeploymentHealth(health) = &evidence.statement else { continue };
        let (target, counts) = (health.target.as_str(), counts(evidence));
        let before = standing.get(target);
        let is_elsewhere = stage.is_some_and(|stage| health.stage.as_ref() != Some(stage));
        let spoke_well = before.is_some_and(|before| before.healthy);
        if health.retired {
            if counts || spoke_well {
                standing.remove(target);
            }
        } else if counts && is_elsewhere {
            // A second bad word, wherever, does not take the first one back.
            if health.healthy || spoke_well {
                standing.remove(target);
            }
        } else if counts {
            // Content that went and came back begins anew.
            let stayed = |before: &&Standing<'_>| health.since.is_none_or(|came| came <= before.evidence.at);
            let same = before.filter(|before| before.healthy == health.healthy).filter(stayed);
            let since = same.map_or(evidence.at, |before| before.since);
            standing.insert(target, Standing { evidence, healthy: health.healthy, since });
        }
    }
    standing
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
        let said = || facts.evidence(EvidenceKind::DeploymentHealth, &[]);
        let counts = |evidence: &Evidence| facts.counts(&evidence.by, &self.from);
        let mut pieces: BTreeMap<&PrincipalName, usize> = BTreeMap::new();
        said().filter(|evidence| counts(evidence)).for_each(|it| *pieces.entry(&it.by).or_default() += 1);
        let most = pieces.into_values().max().unwrap_or(0);
        if most >= HEALTH_MAX || said().count() >= HEALTH_ALL_MAX {
            return Verdict::fail("so much was said of its health that some of it was not kept")
                .next("push a new version".to_owned());
        }
        let standing = standing(said(), counts, Some(stage));
        let all = standing.values().map(|it| it.evidence);
        let bad: Vec<_> = standing.iter().filter(|(_, it)| !it.healthy).collect();
        if !bad.is_empty() {
            let names = named(bad.iter().map(|(target, _)| *target));
            let because = bad.iter().map(|(_, it)| it.evidence);
            return Verdict::fail(format!("unhealthy in {stage}: {names}")).by(because);
        }
        let lasted = |it: &Standing<'_>| (it.evidence.at - it.since).max(TimeDelta::zero()).num_minutes();
        let baked: Vec<_> = standing.iter().filter(|(_, it)| lasted(it) >= minutes).collect();
        if baked.len() >= wanted {
            let names = named(baked.iter().map(|(target, _)| *target));
            return Verdict::pass(format!("healthy in {stage} for {minutes} minutes: {names}")).by(all);
        }
        let so_far = standing.iter().map(|(target, it)| format!("{target} for {}", lasted(it)));
        let mut so_far =
            if standing.is_empty() { String::new() } else { format!("; so far {}", named(so_far)) };
        if most >= HEALTH_STILL_MAX {
            so_far.push_str(", and no more is kept of what only lasts, so much was said: push a new version");
        }
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
    use crate::model::evidence::DeploymentHealth;

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
        health(&mut facts, "us-1", true, 42, 0);
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
    fn whoever_does_not_count_neither_vouches_nor_takes_back() {
        let gate = DeploymentHealthy { minutes: 60, targets: 1, stage: None, from: vec![Source::Service] };
        let mut facts = facts();
        let mut say = |healthy, minute, by: &str, retired| {
            health(&mut facts, "eu-1", healthy, minute, minute);
            if let Some(last) = facts.candidate.evidence.last_mut() {
                last.by = by.parse().unwrap();
                if let Statement::DeploymentHealth(said) = &mut last.statement {
                    said.retired = retired;
                }
            }
            gate.judge(&facts).outcome
        };
        assert_eq!(say(true, 0, "max", false), Outcome::Wait, "a person is no service");
        assert_eq!(say(true, 61, "ci", false), Outcome::Wait, "the service has said so once");
        assert_eq!(say(true, 122, "ci", false), Outcome::Pass);
        assert_eq!(say(false, 123, "max", false), Outcome::Pass);
        assert_eq!(say(false, 124, "ci", false), Outcome::Fail);
        assert_eq!(say(false, 125, "max", true), Outcome::Fail);
        assert_eq!(say(false, 126, "ci", true), Outcome::Wait);
    }

    #[test]
    fn content_that_went_and_came_back_bakes_anew() {
        let gate = DeploymentHealthy { minutes: 60, targets: 1, stage: None, from: vec![] };
        let mut facts = facts();
        health(&mut facts, "eu-1", true, 0, 0);
        // Another version ran there in between.
        health(&mut facts, "eu-1", true, 100, 0);
        assert_eq!(gate.judge(&facts).outcome, Outcome::Wait);
        health(&mut facts, "eu-1", true, 160, 60);
        assert_eq!(gate.judge(&facts).outcome, Outcome::Pass);
    }

    #[test]
    fn a_second_bad_word_without_a_stage_does_not_take_the_first_back() {
        let gate = DeploymentHealthy { minutes: 0, targets: 1, stage: None, from: vec![] };
        let mut facts = facts();
        let elsewhere = |facts: &mut Facts, healthy, minute| {
            health(facts, "eu-1", healthy, minute, 0);
            if let Some(Evidence { statement: Statement::DeploymentHealth(said), .. }) =
                facts.candidate.evidence.last_mut()
            {
                said.stage = None;
            }
            gate.judge(facts).outcome
        };
        health(&mut facts, "us-1", true, 0, 0);
        health(&mut facts, "eu-1", false, 1, 0);
        assert_eq!(elsewhere(&mut facts, false, 2), Outcome::Fail);
        assert_eq!(elsewhere(&mut facts, true, 3), Outcome::Pass, "it fares well, elsewhere");
    }

    #[test]
    fn nobody_fills_the_place_of_others_and_a_full_one_is_said_so() {
        let gate = DeploymentHealthy { minutes: 60, targets: 1, stage: None, from: vec![Source::Service] };
        let mut facts = facts();
        let many = |facts: &mut Facts, by: &str, pieces: usize| {
            for minute in 0..pieces {
                health(facts, "eu-1", true, minute as i64, 0);
                facts.candidate.evidence.last_mut().unwrap().by = by.parse().unwrap();
            }
            gate.judge(facts)
        };
        assert_eq!(many(&mut facts, "max", HEALTH_MAX).outcome, Outcome::Wait);
        let verdict = many(&mut facts, "ci", HEALTH_STILL_MAX);
        assert!(verdict.outcome == Outcome::Wait && verdict.reason.ends_with("push a new version"));
        let verdict = many(&mut facts, "ci", HEALTH_MAX - HEALTH_STILL_MAX);
        assert_eq!(verdict.outcome, Outcome::Fail, "{}", verdict.reason);
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
