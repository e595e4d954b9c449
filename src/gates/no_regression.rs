//! The version is not worse than the one now in the stage.
//!
//! A version is *not worse* if, with the confidence asked for, it is at most a small margin worse: a test of
//! non-inferiority. It is *worse* if a test says so and the margin does not cover it. Anything else cannot be told
//! yet, and waits for more examples. Two means are never compared bare.
//!
//! With a result for each example on both sides, the examples are paired: for pass and fail Newcombe's interval and
//! McNemar's exact test, for scores the bootstrap. Without them the two confidence intervals are put together. To pass,
//! every metric must pass, which needs no correction for their number (Berger 1982); to fail, one is enough, so its
//! test is held to a chance of error divided by the number of comparisons (Bonferroni).

use super::{
    Definition, Facts, Gate, Outcome, Source, Subject, Verdict, attach, define,
    evaluation::{newest, uncounted},
    named,
};
use crate::model::{
    digest::Digest,
    evidence::{Evidence, EvidenceKind, Statement},
};
use compare::{Comparison, Said};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

mod compare;

pub const GATE: Definition = define::<NoRegression>(
    "no_regression",
    "On the suites that the version now in the stage was evaluated on, this one is not worse.",
    // With nothing to compare with it may pass without.
    None,
);

/// Most metrics compared by one gate.
const COMPARISONS_MAX: usize = 200;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoRegression {
    /// What to say when there is nothing to compare with: nothing is in the stage, or it was never evaluated.
    when_no_baseline: NoBaseline,
    /// Suites to compare on. Empty: all that the version now in the stage was evaluated on.
    #[serde(default)]
    suites: Vec<String>,
    /// Metrics to compare. Empty: all that the version now in the stage was measured by.
    #[serde(default)]
    metrics: Vec<String>,
    /// How much worse is still allowed, in the metric's own unit. Without it: 0.02 for a ratio and for pass and fail,
    /// and 2 percent of the present value for anything else. With 0 it must be shown to be at least as good.
    #[serde(default)]
    margin: Option<f64>,
    /// How sure to be, of each bound by itself (one-sided). At 0.5 two bare numbers would be compared.
    #[serde(default = "confidence")]
    #[schemars(range(min = 0.8, max = 0.9999))]
    confidence: f64,
    /// Fewest examples on each side.
    #[serde(default = "min_n")]
    #[schemars(range(min = 2))]
    min_n: u64,
    /// Whose evaluations count, of both versions; empty: anyone's.
    #[serde(default)]
    from: Vec<Source>,
}

fn confidence() -> f64 {
    0.95
}

fn min_n() -> u64 {
    30
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum NoBaseline {
    Pass,
    Wait,
}

impl Gate for NoRegression {
    fn check(&self) -> Result<(), String> {
        if !(0.8..=0.9999).contains(&self.confidence) {
            return Err("confidence: 0.8 to 0.9999".to_owned());
        }
        if self.margin.is_some_and(|margin| !margin.is_finite() || margin < 0.0) {
            return Err("margin: 0 or more".to_owned());
        }
        if self.min_n < 2 {
            return Err("min_n: at least 2".to_owned());
        }
        Ok(())
    }

    fn judge(&self, facts: &Facts) -> Verdict {
        let Some(current) = &facts.current else {
            return self.no_baseline(facts, format!("nothing is in {} to compare with", facts.stage));
        };
        if current.digest == facts.candidate.digest {
            return Verdict::pass(format!("{} has the same content", current.version));
        }
        let mut measured: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for evidence in facts.of(current, EvidenceKind::Evaluation, &self.from) {
            if let Statement::Evaluation(evaluation) = &evidence.statement {
                let metrics = measured.entry(&evaluation.suite).or_default();
                metrics.extend(evaluation.metrics.keys().map(String::as_str));
            }
        }
        let missing: Vec<&String> =
            self.suites.iter().filter(|suite| !measured.contains_key(suite.as_str())).collect();
        if !missing.is_empty() && matches!(self.when_no_baseline, NoBaseline::Wait) {
            let missing = named(missing);
            return self.no_baseline(facts, format!("{} has no evaluation on {missing}", current.version));
        }
        measured.retain(|suite, metrics| {
            metrics.retain(|metric| is_wanted(&self.metrics, metric));
            is_wanted(&self.suites, suite) && !metrics.is_empty()
        });
        if measured.is_empty() {
            let others: Vec<String> =
                self.suites.iter().map(|suite| uncounted(facts, current, suite, None)).collect();
            let reason = format!(
                "{} has no evaluation that counts to compare with{}",
                current.version,
                others.concat()
            );
            return self.no_baseline(facts, reason);
        }
        let comparisons = match self.pair(facts, current, &measured) {
            Ok(found) => found,
            Err(verdict) => return verdict.next(attach(facts, EvidenceKind::Evaluation)),
        };
        if comparisons.len() > COMPARISONS_MAX {
            return Verdict::wait(format!(
                "{} metrics could be compared, at most {COMPARISONS_MAX} are; the rule should name some",
                comparisons.len()
            ));
        }
        let said: Vec<Said> =
            comparisons.iter().map(|comparison| self.compare(comparison, comparisons.len())).collect();
        let worst = said.iter().map(|(outcome, _)| *outcome).max().unwrap_or(Outcome::Wait);
        let reasons: Vec<&str> =
            said.iter().filter(|(outcome, _)| *outcome == worst).map(|(_, reason)| reason.as_str()).collect();
        let more = match reasons.len().saturating_sub(3) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let reasons = reasons[..reasons.len().min(3)].join("; ");
        let mut verdict = Verdict::new(worst, format!("against {}: {reasons}{more}", current.version));
        let used: BTreeMap<&Digest, &Evidence> = comparisons
            .iter()
            .flat_map(|comparison| [comparison.new.0, comparison.old.0])
            .map(|evidence| (&evidence.digest, evidence))
            .collect();
        verdict = verdict.by(used.into_values());
        match worst {
            Outcome::Pass => verdict,
            Outcome::Wait => verdict.next(attach(facts, EvidenceKind::Evaluation)),
            Outcome::Fail => verdict.next("push a version that is not worse"),
        }
    }
}

/// An empty list wants all.
fn is_wanted(list: &[String], name: &str) -> bool {
    list.is_empty() || list.iter().any(|wanted| wanted == name)
}

impl NoRegression {
    fn no_baseline(&self, facts: &Facts, reason: String) -> Verdict {
        match self.when_no_baseline {
            NoBaseline::Pass => Verdict::pass(reason),
            NoBaseline::Wait => {
                let evaluate = match &facts.current {
                    Some(current) => {
                        format!("gradus eval attach {}:{} RESULTS.json", facts.workload, current.version)
                    }
                    None => "an admin can let the first one in with --override -m WHY".to_owned(),
                };
                Verdict::wait(reason).next(evaluate)
            }
        }
    }

    /// What is to be compared; a wait if the candidate lacks any of it.
    fn pair<'a>(
        &'a self,
        facts: &'a Facts,
        current: &'a Subject,
        measured: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    ) -> Result<Vec<Comparison<'a>>, Verdict> {
        let mut comparisons = Vec::new();
        for (&suite, metrics) in measured {
            for &metric in metrics {
                let evaluations = facts.evidence(EvidenceKind::Evaluation, &self.from);
                let Some(new) = newest(evaluations, suite, metric) else {
                    // Leaving out what got worse must not help.
                    return Err(Verdict::wait(format!(
                        "no evaluation on suite {suite} with {metric} that counts, which {} was measured on{}",
                        current.version,
                        uncounted(facts, &facts.candidate, suite, Some(metric))
                    )));
                };
                let edition = &new.1.suite_digest;
                let is_same = |evidence: &&Evidence| match &evidence.statement {
                    Statement::Evaluation(old) => {
                        edition.is_none() || old.suite_digest.is_none() || old.suite_digest == *edition
                    }
                    _ => false,
                };
                let evaluations = facts.of(current, EvidenceKind::Evaluation, &self.from).filter(is_same);
                let Some(old) = newest(evaluations, suite, metric) else {
                    return Err(Verdict::wait(format!(
                        "another edition of suite {suite} than any {} was evaluated on: {}",
                        current.version,
                        edition.as_ref().map_or("", Digest::short)
                    ))
                    .by([new.0]));
                };
                let of = |subject: &'a Subject, evidence: &Evidence| {
                    subject.examples.get(&evidence.digest).and_then(|examples| examples.get(metric))
                };
                let examples = of(current, old.0).zip(of(&facts.candidate, new.0));
                comparisons.push(Comparison { suite, metric, old, new, examples });
            }
        }
        Ok(comparisons)
    }
}

#[cfg(test)]
mod tests;
