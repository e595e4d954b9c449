//! The licence is one of those that are allowed.

use super::{Definition, Facts, Gate, Source, Verdict, attach, define, model_card, named};
use crate::model::{digest::shorten, evidence::EvidenceKind};
use schemars::JsonSchema;
use serde::Deserialize;

pub const GATE: Definition = define::<Licence>(
    "licence",
    "The licence in the newest model card is one of those allowed.",
    Some(EvidenceKind::ModelCard),
);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Licence {
    /// SPDX ids, for example `Apache-2.0`; upper and lower case are the same.
    allow: Vec<String>,
    /// Whose cards count; empty: anyone's.
    #[serde(default)]
    from: Vec<Source>,
}

impl Gate for Licence {
    fn check(&self) -> Result<(), String> {
        if self.allow.is_empty() { Err("allow: at least one licence".to_owned()) } else { Ok(()) }
    }

    fn judge(&self, facts: &Facts) -> Verdict {
        let Some((evidence, card)) = model_card::newest(facts, &self.from) else {
            return Verdict::wait("0 model cards that count").next(attach(facts, EvidenceKind::ModelCard));
        };
        let licence = card.parts.get("license").map_or("", |text| text.trim());
        if licence.is_empty() {
            return Verdict::wait("the model card names no license")
                .by([evidence])
                .next(attach(facts, EvidenceKind::ModelCard));
        }
        match self.allow.iter().any(|allowed| allowed.trim().eq_ignore_ascii_case(licence)) {
            true => Verdict::pass(format!("the licence is {}", shorten(licence))),
            false => Verdict::fail(format!(
                "the licence is {}, the {} allowed are {}",
                shorten(licence),
                self.allow.len(),
                named(&self.allow)
            )),
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
    fn only_what_is_on_the_list() {
        let mut facts = facts();
        let judge = |facts: &Facts| gate("licence", json!({ "allow": ["Apache-2.0", "MIT"] })).judge(facts);
        assert_eq!(judge(&facts).outcome, Outcome::Wait);
        say(&mut facts, "eve", 1, card(&[("license", " apache-2.0 ")]));
        assert_eq!(judge(&facts).outcome, Outcome::Pass);
        say(&mut facts, "eve", 2, card(&[("license", "Apache-2.0 WITH something")]));
        assert_eq!(judge(&facts).outcome, Outcome::Fail);
        say(&mut facts, "eve", 3, card(&[("license", "")]));
        assert_eq!(judge(&facts).outcome, Outcome::Wait);
    }
}
