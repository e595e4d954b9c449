//! What the version was trained on is named by digest.

use super::{Definition, Facts, Gate, Subject, Verdict, define, named};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

pub const GATE: Definition =
    define::<Lineage>("dataset_lineage", "The data it was trained on is named, with digests.", None);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Lineage {
    /// Fewest datasets; 1 if nothing is said.
    #[serde(default = "one")]
    min: usize,
}

fn one() -> usize {
    1
}

/// What a version was trained on: digest → name. A vendor's training files are such data too.
pub(super) fn trained_on(subject: &Subject) -> BTreeMap<String, &str> {
    let datasets = subject.datasets.iter().map(|dataset| (dataset.digest.to_string(), dataset.name.as_str()));
    let files = subject.inspection.finetune.iter().flat_map(|finetune| &finetune.training_files);
    datasets.chain(files.map(|file| (format!("sha256:{}", file.sha256), file.name.as_str()))).collect()
}

impl Gate for Lineage {
    fn check(&self) -> Result<(), String> {
        if self.min == 0 { Err("min: at least 1".to_owned()) } else { Ok(()) }
    }

    fn judge(&self, facts: &Facts) -> Verdict {
        let datasets = trained_on(&facts.candidate);
        if datasets.len() >= self.min {
            let names = named(datasets.values());
            return Verdict::pass(format!("{} datasets with digests: {names}", datasets.len()));
        }
        Verdict::fail(format!("{} datasets are named by digest, {} are needed", datasets.len(), self.min))
            .next("push it again with --dataset NAME=FILE for what it was trained on")
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, tests::facts};
    use super::*;

    #[test]
    fn counts_each_content_once() {
        let mut facts = facts();
        let gate = |min| Lineage { min };
        assert_eq!(gate(1).judge(&facts).outcome, Outcome::Pass);
        let again = facts.candidate.datasets[0].clone();
        facts.candidate.datasets.push(again);
        assert_eq!(gate(2).judge(&facts).outcome, Outcome::Fail);
        facts.candidate.inspection.finetune = Some(super::super::tests::finetune());
        assert_eq!(gate(2).judge(&facts).outcome, Outcome::Pass);
        facts.candidate.inspection.finetune = None;
        facts.candidate.datasets.clear();
        assert_eq!(gate(1).judge(&facts).reason, "0 datasets are named by digest, 1 are needed");
        assert!(gate(0).check().is_err());
    }
}
