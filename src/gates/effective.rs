//! What holds for a workload: the policies of registry, namespace and workload laid over each other.

use super::policy::{BUILT_IN, FreezeWindow, Policy, QuarantineRule, Rule, releasers};
use crate::{
    error::{Error, Result},
    model::{access::Role, digest::Digest, kind::Tier, stage::Stage},
};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

const PENDING_DAYS: u32 = 14;

/// A policy where it was applied: `*`, a namespace or a workload.
#[derive(Clone, Debug)]
pub struct Level {
    pub scope: String,
    /// Of the exact bytes of the file.
    pub digest: Digest,
    pub policy: Arc<Policy>,
}

/// What holds for a workload: the built-in policy with the levels laid over it, farthest first.
#[derive(Clone, Debug)]
pub struct Effective {
    pub stages: Vec<Stage>,
    pub ranges_from: Option<Stage>,
    pub pending_days: u32,
    pub rollback: Vec<Role>,
    pub quarantine: QuarantineRule,
    pub freezes: Vec<FreezeWindow>,
    /// The policies it is made of, farthest first, by scope and digest.
    pub levels: Vec<(String, Digest)>,
    rules: BTreeMap<(Tier, Stage), (Rule, Digest)>,
}

/// The rule of one transition, and where it comes from.
#[derive(Clone, Debug)]
pub struct Rules<'a> {
    pub stage: Stage,
    pub before: Option<Stage>,
    pub rule: &'a Rule,
    /// The digest of the policy that has the rule.
    pub policy: Digest,
    /// Of the rule and the transition alone: unrelated edits of a policy do not change it.
    pub digest: Digest,
}

impl Rules<'_> {
    /// Whether a gate looks at results example by example.
    pub fn compares_examples(&self) -> bool {
        self.rule.gates.iter().any(|gate| gate.definition.name == super::no_regression::GATE.name)
    }
}

impl Effective {
    /// Lays levels over the built-in policy.
    pub fn merge(levels: &[Level]) -> Result<Self> {
        let (name, text) = BUILT_IN[0];
        let built_in = Level {
            scope: format!("built-in {name}"),
            digest: Digest::sha256(text.as_bytes()),
            policy: Arc::new(Policy::parse(text.as_bytes())?),
        };
        let mut merged = Self {
            stages: Vec::new(),
            ranges_from: None,
            pending_days: PENDING_DAYS,
            rollback: releasers(),
            quarantine: QuarantineRule::default(),
            freezes: Vec::new(),
            levels: Vec::new(),
            rules: BTreeMap::new(),
        };
        for level in std::iter::once(&built_in).chain(levels) {
            merged.lay(level);
        }
        Ok(merged)
    }

    fn lay(&mut self, level: &Level) {
        let policy = &level.policy;
        if let Some(stages) = &policy.stages {
            self.stages.clone_from(stages);
        }
        if policy.ranges_from.is_some() {
            self.ranges_from.clone_from(&policy.ranges_from);
        }
        self.pending_days = policy.pending_days.unwrap_or(self.pending_days);
        if let Some(rollback) = &policy.rollback {
            self.rollback.clone_from(rollback);
        }
        self.quarantine = policy.quarantine.unwrap_or(self.quarantine);
        self.freezes.extend(policy.freezes.iter().cloned());
        for (tier, stages) in &policy.rules {
            for (stage, rule) in stages {
                self.rules.insert((*tier, stage.clone()), (rule.clone(), level.digest.clone()));
            }
        }
        self.levels.push((level.scope.clone(), level.digest.clone()));
    }

    /// What is missing for every tier to have a rule for every stage; or a stage that is named and not there.
    pub fn check(&self) -> Result<()> {
        let incomplete = |why: String| {
            Err(Error::invalid("policy_incomplete", format!("with this policy, {why}"))
                .hint("give the policy a rule for each tier and stage that the levels above have none for"))
        };
        for stage in &self.stages {
            for tier in Tier::ALL {
                if !self.rules.contains_key(&(tier, stage.clone())) {
                    return incomplete(format!(
                        "nothing says what it takes for tier {tier} to enter stage {stage}"
                    ));
                }
            }
        }
        let named = self.freezes.iter().flat_map(|freeze| &freeze.stages).chain(&self.ranges_from);
        for stage in named {
            if !self.stages.contains(stage) {
                return incomplete(format!("a stage is named that is not among the stages: {stage}"));
            }
        }
        Ok(())
    }

    pub fn rules(&self, tier: Tier, stage: &Stage) -> Result<Rules<'_>> {
        let at = self
            .stages
            .iter()
            .position(|known| known == stage)
            .ok_or_else(|| self.unknown(stage.as_str()))?;
        let (rule, policy) = self.rules.get(&(tier, stage.clone())).ok_or_else(|| {
            Error::not_found(
                "rule_missing",
                format!("no policy says what it takes for tier {tier} to enter: {stage}"),
            )
            .hint("an admin can add the rule with: gradus policy apply FILE")
        })?;
        let before = at.checked_sub(1).map(|at| self.stages[at].clone());
        let named = serde_json::json!({ "tier": tier, "stage": stage, "before": before, "rule": rule });
        Ok(Rules {
            stage: stage.clone(),
            before,
            rule,
            policy: policy.clone(),
            digest: Digest::sha256(named.to_string().as_bytes()),
        })
    }

    /// The stage of this name.
    pub fn stage(&self, name: &str) -> Result<&Stage> {
        self.stages.iter().find(|stage| stage.as_str() == name).ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> Error {
        let names: Vec<&str> = self.stages.iter().map(Stage::as_str).collect();
        Error::not_found("stage_unknown", format!("no such stage: {}", crate::model::digest::shorten(name)))
            .hint(format!("stages are {}", names.join(", ")))
    }

    pub fn first(&self) -> Option<&Stage> {
        self.stages.first()
    }

    pub fn last(&self) -> Option<&Stage> {
        self.stages.last()
    }

    /// All rules, for showing.
    pub fn all_rules(&self) -> BTreeMap<Tier, BTreeMap<Stage, Rule>> {
        let mut all: BTreeMap<Tier, BTreeMap<Stage, Rule>> = BTreeMap::new();
        for ((tier, stage), (rule, _)) in &self.rules {
            if self.stages.contains(stage) {
                all.entry(*tier).or_default().insert(stage.clone(), rule.clone());
            }
        }
        all
    }

    /// Whether a freeze that names no stage is of this one: every stage after the first, or the only one.
    pub fn freezes_by_default(&self, stage: &Stage) -> bool {
        self.stages.len() == 1 || self.first() != Some(stage)
    }

    /// What of one level's own policy names stages that are not in the line, and so would never be asked.
    pub fn check_own(&self, policy: &Policy) -> Result<()> {
        let gates = policy.rules.values().flat_map(BTreeMap::values).flat_map(|rule| &rule.gates);
        let looking_back = [super::soak::GATE.name, super::deployment_healthy::GATE.name];
        let gates = gates.filter(|gate| looking_back.contains(&gate.definition.name));
        let looked_at = gates.filter_map(|gate| gate.parameters.get("stage").and_then(Value::as_str));
        let ruled = policy.rules.values().flat_map(BTreeMap::keys).map(Stage::as_str);
        let frozen = policy.freezes.iter().flat_map(|freeze| &freeze.stages).map(Stage::as_str);
        for name in ruled.chain(frozen).chain(looked_at) {
            if !self.stages.iter().any(|stage| stage.as_str() == name) {
                let names: Vec<&str> = self.stages.iter().map(Stage::as_str).collect();
                return Err(Error::invalid(
                    "policy_incomplete",
                    format!("the policy names a stage that is not in the line: {name}"),
                )
                .hint(format!("stages are {}", names.join(", "))));
            }
        }
        Ok(())
    }

    /// The windows of the policies in which nothing enters a stage.
    pub fn freezes_of<'a>(&'a self, stage: &'a Stage) -> impl Iterator<Item = &'a FreezeWindow> {
        self.freezes.iter().filter(move |freeze| match freeze.stages.is_empty() {
            true => self.freezes_by_default(stage),
            false => freeze.stages.contains(stage),
        })
    }
}
