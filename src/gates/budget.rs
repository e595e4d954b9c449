//! What the version costs, in time or money, stays within bounds.

use super::{Definition, Facts, Gate, Source, Verdict, attach, define};
use crate::model::evidence::{Evidence, EvidenceKind, Metric, Statement};
use schemars::JsonSchema;
use serde::Deserialize;

pub const GATE: Definition = define::<Budget>(
    "budget",
    "A measured cost or latency stays below a bound, or near that of the version now in the stage.",
    Some(EvidenceKind::Evaluation),
);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Budget {
    /// For example `latency_p95` or `cost_per_1000`.
    metric: String,
    /// The suite it was measured on. Without it: the newest evaluation that has the metric.
    #[serde(default)]
    suite: Option<String>,
    /// The value is at most this.
    #[serde(default)]
    at_most: Option<f64>,
    /// The value is at most this many times that of the version now in the stage, for example 1.1. With nothing in
    /// the stage, or nothing measured there, only `at_most` holds.
    #[serde(default)]
    at_most_ratio: Option<f64>,
    /// The unit the bound is in. A measurement in another unit does not count.
    #[serde(default)]
    unit: Option<String>,
    /// Whose evaluations count; empty: anyone's.
    #[serde(default)]
    from: Vec<Source>,
}

/// The newest evaluation that has the metric, on a suite or on any.
fn newest<'a>(
    evidence: impl DoubleEndedIterator<Item = &'a Evidence>,
    suite: Option<&str>,
    metric: &str,
) -> Option<(&'a Evidence, &'a Metric, &'a str)> {
    evidence.rev().find_map(|evidence| match &evidence.statement {
        Statement::Evaluation(evaluation) if suite.is_none_or(|suite| suite == evaluation.suite) => {
            evaluation.metrics.get(metric).map(|metric| (evidence, metric, evaluation.suite.as_str()))
        }
        _ => None,
    })
}

impl Gate for Budget {
    fn check(&self) -> Result<(), String> {
        if self.at_most.is_none() && self.at_most_ratio.is_none() {
            return Err("at_most or at_most_ratio is needed".to_owned());
        }
        if self.at_most_ratio.is_some_and(|ratio| ratio <= 0.0) {
            return Err("at_most_ratio: above 0".to_owned());
        }
        Ok(())
    }

    fn judge(&self, facts: &Facts) -> Verdict {
        let name = &self.metric;
        let attach = attach(facts, EvidenceKind::Evaluation);
        let evaluations = facts.evidence(EvidenceKind::Evaluation, &self.from);
        let Some((evidence, metric, suite)) = newest(evaluations, self.suite.as_deref(), name) else {
            let suite = self.suite.as_ref().map(|suite| format!(" on suite {suite}")).unwrap_or_default();
            return Verdict::wait(format!("no evaluation{suite} with {name} that counts")).next(attach);
        };
        let (value, unit) = (metric.value, metric.unit.as_deref().unwrap_or("(no unit)"));
        if let Some(wanted) = &self.unit
            && wanted != unit
        {
            return Verdict::wait(format!("{name} on {suite} is {value} {unit}, the rule is in {wanted}"))
                .by([evidence])
                .next(attach);
        }
        if let Some(most) = self.at_most
            && value > most
        {
            return Verdict::fail(format!("{name} on {suite} is {value} {unit}, at most {most} is allowed"))
                .by([evidence]);
        }
        let enough = format!("{name} on {suite} is {value} {unit}");
        let Some(ratio) = self.at_most_ratio else { return Verdict::pass(enough).by([evidence]) };
        // Compared within one suite only.
        let current = facts.current.as_ref().and_then(|current| {
            let evaluations = facts.of(current, EvidenceKind::Evaluation, &self.from);
            newest(evaluations, Some(suite), name).map(|(before, old, _)| (before, old, &current.version))
        });
        let Some((before, old, version)) = current else {
            return Verdict::pass(format!("{enough}; nothing in {} to compare with", facts.stage))
                .by([evidence]);
        };
        let both =
            format!("{enough}, {version} has {} {}", old.value, old.unit.as_deref().unwrap_or("(no unit)"));
        if old.unit != metric.unit {
            Verdict::wait(format!("{both}: units differ"))
        } else if value > old.value * ratio {
            Verdict::fail(format!("{both}, at most {ratio} times that is allowed"))
        } else {
            Verdict::pass(both)
        }
        .by([evidence, before])
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{facts, measured, say, say_of_current};
    use super::super::{Outcome, tests::gate};
    use super::*;
    use serde_json::json;

    #[test]
    fn bounds_are_absolute_or_relative() {
        let mut facts = facts();
        let judge = |facts: &Facts, parameters| gate("budget", parameters).judge(facts);
        let absolute = json!({ "metric": "latency", "at_most": 200, "unit": "ms" });
        let relative = json!({ "metric": "latency", "at_most_ratio": 1.1 });
        assert_eq!(judge(&facts, absolute.clone()).outcome, Outcome::Wait);
        say(&mut facts, "ci", 1, measured("load", "latency", 150.0, "ms"));
        assert_eq!(judge(&facts, absolute.clone()).reason, "latency on load is 150 ms");
        assert!(judge(&facts, relative.clone()).reason.ends_with("nothing in production to compare with"));
        say_of_current(&mut facts, "ci", 1, measured("load", "latency", 100.0, "ms"));
        assert_eq!(judge(&facts, relative.clone()).outcome, Outcome::Fail);
        say(&mut facts, "ci", 2, measured("load", "latency", 110.0, "ms"));
        assert_eq!(judge(&facts, relative.clone()).evidence.len(), 2);
        say(&mut facts, "ci", 3, measured("load", "latency", 210.0, "ms"));
        assert_eq!(judge(&facts, absolute.clone()).outcome, Outcome::Fail);
        say(&mut facts, "ci", 4, measured("load", "latency", 0.11, "s"));
        assert_eq!(judge(&facts, absolute).outcome, Outcome::Wait);
        assert!(judge(&facts, relative).reason.ends_with("units differ"));
    }

    #[test]
    fn a_bound_is_needed() {
        let parameters = |value: serde_json::Value| value.as_object().cloned().unwrap_or_default();
        let spec = super::super::GateSpec::new("budget", parameters(json!({ "metric": "latency" })));
        assert!(spec.unwrap_err().contains("at_most or at_most_ratio"));
    }
}
