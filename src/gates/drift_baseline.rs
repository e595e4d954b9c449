//! There is something to compare later data with.

use super::{Definition, Facts, Gate, Source, Verdict, attach, define};
use crate::model::evidence::{EvidenceKind, Statement};
use schemars::JsonSchema;
use serde::Deserialize;

pub const GATE: Definition = define::<DriftBaseline>(
    "drift_baseline",
    "A profile of data is attached, for drift checks to compare with.",
    Some(EvidenceKind::DriftBaseline),
);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DriftBaseline {
    /// Rows the newest profile stands for, at least: of few rows no drift can be told.
    #[serde(default = "usual")]
    rows: u64,
    /// Whose profiles count; empty: anyone's.
    #[serde(default)]
    from: Vec<Source>,
}

fn usual() -> u64 {
    1_000
}

impl Gate for DriftBaseline {
    fn judge(&self, facts: &Facts) -> Verdict {
        let newest =
            facts.evidence(EvidenceKind::DriftBaseline, &self.from).rev().find_map(
                |evidence| match &evidence.statement {
                    Statement::DriftBaseline(baseline) => Some((evidence, baseline)),
                    _ => None,
                },
            );
        let Some((evidence, baseline)) = newest else {
            return Verdict::wait("0 drift baselines that count")
                .next(attach(facts, EvidenceKind::DriftBaseline));
        };
        let told = format!("{} rows and {} columns", baseline.rows, baseline.columns);
        if baseline.rows < self.rows {
            return Verdict::fail(format!(
                "the drift baseline has {told}, at least {} rows are asked for",
                self.rows
            ))
            .by([evidence])
            .next(attach(facts, EvidenceKind::DriftBaseline));
        }
        Verdict::pass(format!("a drift baseline of {told}")).by([evidence])
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Outcome,
        tests::{baseline, facts, gate, say},
    };
    use serde_json::json;

    #[test]
    fn the_newest_baseline_must_have_rows_enough() {
        let mut facts = facts();
        let drift_baseline = gate("drift_baseline", json!({ "rows": 500 }));
        let verdict = drift_baseline.judge(&facts);
        assert_eq!(verdict.outcome, Outcome::Wait);
        assert!(verdict.next.unwrap().contains("drift baseline"));
        say(&mut facts, "ci", 1, baseline(499));
        assert_eq!(drift_baseline.judge(&facts).outcome, Outcome::Fail);
        say(&mut facts, "ci", 2, baseline(500));
        assert_eq!(drift_baseline.judge(&facts).outcome, Outcome::Pass);
    }
}
