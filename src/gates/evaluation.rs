//! A metric reaches a threshold.

use super::{Definition, Facts, Gate, Source, Subject, Verdict, define, named};
use crate::model::evidence::{Evaluation, Evidence, EvidenceKind, Metric, Statement};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeSet;

pub const GATE: Definition = define::<Threshold>(
    "evaluation",
    "A metric of the newest evaluation on a suite reaches a threshold.",
    Some(EvidenceKind::Evaluation),
);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Threshold {
    /// The suite's name, as evaluations give it.
    suite: String,
    /// The metric's name.
    metric: String,
    /// The value is at least this.
    #[serde(default)]
    at_least: Option<f64>,
    /// The value is at most this.
    #[serde(default)]
    at_most: Option<f64>,
    /// The unit the thresholds are in. An evaluation in another unit does not count.
    #[serde(default)]
    unit: Option<String>,
    /// Fewest examples behind the value.
    #[serde(default)]
    min_n: Option<u64>,
    /// The whole confidence interval, not only the value, must reach the threshold.
    #[serde(default)]
    confident: bool,
    /// Whose evaluations count; empty: anyone's.
    #[serde(default)]
    from: Vec<Source>,
}

/// The newest evaluation on a suite with a metric.
pub(super) fn newest<'a>(
    mut evidence: impl DoubleEndedIterator<Item = &'a Evidence>,
    suite: &str,
    metric: &str,
) -> Option<(&'a Evidence, &'a Evaluation, &'a Metric)> {
    evidence.by_ref().rev().find_map(|evidence| match &evidence.statement {
        Statement::Evaluation(evaluation) if evaluation.suite == suite => {
            evaluation.metrics.get(metric).map(|metric| (evidence, evaluation, metric))
        }
        _ => None,
    })
}

/// Who measured a subject on a suite although theirs does not count, as words to add.
pub(super) fn uncounted(facts: &Facts, subject: &Subject, suite: &str, metric: Option<&str>) -> String {
    let by =
        facts.of(subject, EvidenceKind::Evaluation, &[]).filter_map(|evidence| match &evidence.statement {
            Statement::Evaluation(evaluation)
                if evaluation.suite == suite
                    && metric.is_none_or(|metric| evaluation.metrics.contains_key(metric)) =>
            {
                Some(&evidence.by)
            }
            _ => None,
        });
    let by: BTreeSet<_> = by.collect();
    match by.is_empty() {
        true => String::new(),
        false => format!("; what {} attached does not count here", named(by)),
    }
}

impl Gate for Threshold {
    fn check(&self) -> Result<(), String> {
        if self.at_least.is_none() && self.at_most.is_none() {
            return Err("at_least or at_most is needed".to_owned());
        }
        Ok(())
    }

    fn judge(&self, facts: &Facts) -> Verdict {
        let Self { suite, metric, .. } = self;
        let Some((evidence, _, found)) =
            newest(facts.evidence(EvidenceKind::Evaluation, &self.from), suite, metric)
        else {
            let others = uncounted(facts, &facts.candidate, suite, Some(metric));
            return Verdict::wait(format!(
                "no evaluation on suite {suite} with {metric} that counts{others}"
            ))
            .next(format!("gradus eval attach {} RESULTS.json", facts.reference()));
        };
        if self.unit.is_some() && self.unit != found.unit {
            let (given, wanted) =
                (found.unit.as_deref().unwrap_or("none"), self.unit.as_deref().unwrap_or_default());
            return Verdict::fail(format!(
                "{metric} on {suite} is given in unit {given}, the rule is in {wanted}"
            ))
            .by([evidence]);
        }
        if let Some(min) = self.min_n
            && found.n.is_none_or(|n| n < min)
        {
            let n = found.n.map_or_else(|| "an unknown number of".to_owned(), |n| n.to_string());
            return Verdict::wait(format!("{metric} on {suite} rests on {n} examples, {min} are needed"))
                .by([evidence]);
        }
        let (low, high) = match (&found.interval, self.confident) {
            (Some(interval), true) => (interval.low, interval.high),
            (None, true) => {
                return Verdict::wait(format!("{metric} on {suite} has no confidence interval"))
                    .by([evidence]);
            }
            (_, false) => (found.value, found.value),
        };
        let value = found.value;
        match (self.at_least, self.at_most) {
            (Some(least), _) if low < least => {
                Verdict::fail(format!("{metric} on {suite} is {value}, at least {least} is needed"))
            }
            (_, Some(most)) if high > most => {
                Verdict::fail(format!("{metric} on {suite} is {value}, at most {most} is allowed"))
            }
            _ => Verdict::pass(format!("{metric} on {suite} is {value}")),
        }
        .by([evidence])
    }
}
