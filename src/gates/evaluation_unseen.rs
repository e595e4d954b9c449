//! The version was not trained on what it is measured by.

use super::{Definition, Facts, Gate, Source, Verdict, attach, dataset_lineage::trained_on, define};
use crate::model::{
    evidence::{EvidenceKind, Statement},
    kind::Tier,
};
use schemars::JsonSchema;
use serde::Deserialize;

pub const GATE: Definition = define::<Unseen>(
    "evaluation_unseen",
    "No evaluation was made on data the version was trained on, by digest.",
    Some(EvidenceKind::Evaluation),
);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Unseen {
    /// Look at the evaluations on this suite only. Without it: at all.
    #[serde(default)]
    suite: Option<String>,
    /// Whose evaluations count; empty: anyone's.
    #[serde(default)]
    from: Vec<Source>,
}

impl Gate for Unseen {
    fn judge(&self, facts: &Facts) -> Verdict {
        let evaluations: Vec<_> = facts
            .evidence(EvidenceKind::Evaluation, &self.from)
            .filter_map(|evidence| match &evidence.statement {
                Statement::Evaluation(evaluation) => Some((evidence, evaluation)),
                _ => None,
            })
            .filter(|(_, evaluation)| self.suite.as_ref().is_none_or(|suite| *suite == evaluation.suite))
            .collect();
        let attach = attach(facts, EvidenceKind::Evaluation);
        if evaluations.is_empty() {
            let suite = self.suite.as_ref().map(|suite| format!(" on suite {suite}")).unwrap_or_default();
            return Verdict::wait(format!("0 evaluations{suite} that count")).next(attach);
        }
        let trained = trained_on(&facts.candidate);
        for (evidence, evaluation) in &evaluations {
            for dataset in &evaluation.datasets {
                if let Some(name) = trained.get(dataset.as_str()) {
                    return Verdict::fail(format!(
                        "suite {} evaluates on {}, which it was trained on as {name}",
                        evaluation.suite,
                        dataset.short()
                    ))
                    .by([*evidence]);
                }
            }
        }
        if let Some((evidence, evaluation)) =
            evaluations.iter().find(|(_, evaluation)| evaluation.datasets.is_empty())
        {
            return Verdict::wait(format!(
                "the evaluation {} on suite {} does not say on which data",
                evidence.digest.short(),
                evaluation.suite
            ))
            .by([*evidence])
            .next(format!("{attach}, with the digests of the data in it"));
        }
        let all = evaluations.iter().map(|(evidence, _)| *evidence);
        // A prompt is not trained. Anything else that names no training data leaves the question open.
        if trained.is_empty() && facts.candidate.inspection.tier != Tier::Prompt {
            return Verdict::wait("nothing says what it was trained on").by(all);
        }
        let count = evaluations.len();
        Verdict::pass(format!("{count} evaluations, none on its {} training datasets", trained.len())).by(all)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{evaluation, facts, say};
    use super::super::{Outcome, Subject};
    use super::*;
    use crate::model::digest::Digest;

    fn gate() -> Unseen {
        Unseen { suite: None, from: vec![] }
    }

    fn on(datasets: Vec<Digest>) -> Statement {
        match evaluation("s", 0.9) {
            Statement::Evaluation(evaluation) => {
                Statement::Evaluation(crate::model::evidence::Evaluation { datasets, ..evaluation })
            }
            other => other,
        }
    }

    #[test]
    fn one_on_training_data_is_enough_to_fail() {
        let mut facts = facts();
        assert_eq!(gate().judge(&facts).outcome, Outcome::Wait);
        say(&mut facts, "ci", 1, on(vec![Digest::sha256(b"held out")]));
        assert_eq!(gate().judge(&facts).outcome, Outcome::Pass);
        let seen = facts.candidate.datasets[0].digest.clone();
        say(&mut facts, "ci", 2, on(vec![Digest::sha256(b"other"), seen]));
        say(&mut facts, "ci", 3, on(vec![Digest::sha256(b"held out")]));
        let verdict = gate().judge(&facts);
        assert_eq!((verdict.outcome, verdict.evidence.len()), (Outcome::Fail, 1));
    }

    #[test]
    fn what_is_not_said_is_not_known() {
        let mut facts = facts();
        say(&mut facts, "ci", 1, on(vec![]));
        assert!(gate().judge(&facts).reason.contains("does not say on which data"));
        let other = Unseen { suite: Some("other".into()), from: vec![] };
        assert_eq!(other.judge(&facts).reason, "0 evaluations on suite other that count");
        facts.candidate.evidence.clear();
        say(&mut facts, "ci", 1, on(vec![Digest::sha256(b"held out")]));
        facts.candidate = Subject { datasets: vec![], ..facts.candidate };
        assert_eq!(gate().judge(&facts).outcome, Outcome::Wait);
        facts.candidate.inspection.tier = Tier::Prompt;
        assert_eq!(gate().judge(&facts).outcome, Outcome::Pass);
    }
}
