//! The version says what it is for.

use super::{Definition, Facts, Gate, Source, Verdict, attach, define, named};
use crate::model::evidence::{self, Evidence, EvidenceKind, Statement};
use schemars::JsonSchema;
use serde::Deserialize;

pub const GATE: Definition = define::<ModelCard>(
    "model_card",
    "The newest model card has the parts that are asked for.",
    Some(EvidenceKind::ModelCard),
);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ModelCard {
    /// Parts that must be there and say something; intended_use, limitations and license if nothing is said.
    #[serde(default = "usual")]
    parts: Vec<String>,
    /// Whose cards count; empty: anyone's.
    #[serde(default)]
    from: Vec<Source>,
}

fn usual() -> Vec<String> {
    ["intended_use", "limitations", "license"].map(str::to_owned).into()
}

/// The newest card that counts.
pub(super) fn newest<'a>(
    facts: &'a Facts,
    from: &'a [Source],
) -> Option<(&'a Evidence, &'a evidence::ModelCard)> {
    facts.evidence(EvidenceKind::ModelCard, from).rev().find_map(|evidence| match &evidence.statement {
        Statement::ModelCard(card) => Some((evidence, card)),
        _ => None,
    })
}

impl Gate for ModelCard {
    fn judge(&self, facts: &Facts) -> Verdict {
        let Some((evidence, card)) = newest(facts, &self.from) else {
            return Verdict::wait("0 model cards that count").next(attach(facts, EvidenceKind::ModelCard));
        };
        let says = |part: &&String| card.parts.get(*part).is_some_and(|text| !text.trim().is_empty());
        let missing: Vec<&String> = self.parts.iter().filter(|part| !says(part)).collect();
        let all = self.parts.len();
        match missing.is_empty() {
            true => Verdict::pass(format!("the card has all {all} parts")),
            false => Verdict::wait(format!(
                "the card lacks {} of {all} parts: {}",
                missing.len(),
                named(missing.iter().copied())
            ))
            .next(attach(facts, EvidenceKind::ModelCard)),
        }
        .by([evidence])
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{card, facts, gate, say};
    use super::super::{Facts, Outcome};
    use serde_json::json;

    #[test]
    fn blank_parts_are_missing_and_the_newest_card_counts() {
        let mut facts = facts();
        let judge = |facts: &Facts| gate("model_card", json!({})).judge(facts);
        assert_eq!(judge(&facts).outcome, Outcome::Wait);
        say(&mut facts, "eve", 1, card(&[("intended_use", "a"), ("limitations", "b"), ("license", "MIT")]));
        assert_eq!(judge(&facts).outcome, Outcome::Pass);
        say(&mut facts, "eve", 2, card(&[("intended_use", "a"), ("limitations", " \n")]));
        assert_eq!(judge(&facts).reason, "the card lacks 2 of 3 parts: limitations, license");
        let one = gate("model_card", json!({ "parts": ["intended_use"] }));
        assert_eq!(one.judge(&facts).outcome, Outcome::Pass);
    }
}
