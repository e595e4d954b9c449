//! Model cards: Gradus' own JSON, and what makes a part of a card say something.

use super::document::Document;
use super::{About, Format, Read, check_subject, malformed};
use crate::error::{Error, Result};
use crate::model::digest::{Digest, shorten};
use crate::model::evidence::{EvidenceKind, ModelCard, Statement};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const FORMAT: Format = Format {
    name: "a model card (gradus: model_card/v1)",
    kind: EvidenceKind::ModelCard,
    recognises: |document| document.gradus() == Some("model_card/v1"),
    read,
};

/// Of one part. What is longer is cut; the file itself is kept whole.
const MAX_PART: usize = 20_000;
pub(super) const MAX_PARTS: usize = 100;
pub(super) const MAX_NAME: usize = 64;

/// What a model is for, what it is not for, and how it came to be.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Gradus model card file")]
struct ModelCardFile {
    #[expect(dead_code, reason = "checked by reading it; there is one version")]
    gradus: FormatVersion,
    /// The manifest digest of the version the card is about. If given, the file can be attached to that one only.
    #[serde(default)]
    subject: Option<Digest>,
    /// The card's parts: text by name, for example `license`, `intended_use`, `limitations`, `training_data`. Names
    /// are lower-case letters, digits and `_`. A part that is blank, or says that it has yet to be written, does not
    /// count.
    parts: BTreeMap<String, String>,
}

#[derive(Deserialize, JsonSchema)]
enum FormatVersion {
    #[serde(rename = "model_card/v1")]
    V1,
}

/// The JSON Schema of the format, as published in `schemas/model-card.schema.json`.
pub fn schema() -> Value {
    schemars::schema_for!(ModelCardFile).to_value()
}

fn read(document: Document, about: &About) -> Result<Vec<Read>> {
    let file: ModelCardFile = document.typed("a model card file")?;
    check_subject(file.subject.as_ref(), about)?;
    let is_name = |name: &str| {
        (1..=MAX_NAME).contains(&name.len())
            && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    if let Some(name) = file.parts.keys().find(|name| !is_name(name)) {
        return Err(malformed(format!("not a name for a part: {}", shorten(name)))
            .hint(format!("1 to {MAX_NAME} lower-case letters, digits and _")));
    }
    if file.parts.len() > MAX_PARTS {
        let message = format!("{} parts in one model card, at most: {MAX_PARTS}", file.parts.len());
        return Err(Error::too_large("evidence_too_large", message));
    }
    card(file.parts)
}

/// The card of those parts that say something.
pub(super) fn card(parts: impl IntoIterator<Item = (String, String)>) -> Result<Vec<Read>> {
    let parts: BTreeMap<_, _> =
        parts.into_iter().filter_map(|(name, text)| Some((name, said(&text)?))).collect();
    if parts.is_empty() {
        return Err(Error::invalid("model_card_empty", "the model card says nothing: every part is blank")
            .hint(
                "write sections such as Intended uses and Limitations, and a license in the front matter",
            ));
    }
    Ok(vec![Statement::ModelCard(ModelCard { parts }).into()])
}

/// What a text says, without lines of a template that wait to be filled in. `None` if that is nothing.
fn said(text: &str) -> Option<String> {
    let is_waiting = |line: &str| line.to_ascii_lowercase().contains("more information needed");
    let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !is_waiting(line)).collect();
    let text = lines.join("\n");
    let text = text.trim();
    // Signs without words, such as a rule or an empty list, say nothing either.
    let says = text.chars().any(char::is_alphanumeric)
        && !["todo", "tbd"]
            .contains(&text.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase().as_str());
    says.then(|| cut(text, MAX_PART).to_owned())
}

/// At most `max` bytes, on a character's boundary.
pub(super) fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests {
    use super::super::tests::{DIGEST, code, only};
    use super::*;

    #[test]
    fn blank_parts_do_not_count() {
        let file = format!(
            r#"{{"gradus": "model_card/v1", "subject": "{DIGEST}", "parts": {{
                "license": "apache-2.0", "limitations": "[More Information Needed]", "ethics": " \n---",
                "evaluation": "**TODO**", "intended_use": "Sorting tickets.\n\n- [more information needed]\n",
                "long": "{}ä"}}}}"#,
            "x".repeat(MAX_PART - 1)
        );
        let Statement::ModelCard(card) = only(&file) else { panic!() };
        let names: Vec<_> = card.parts.keys().map(String::as_str).collect();
        assert_eq!(names, ["intended_use", "license", "long"]);
        assert_eq!(card.parts["intended_use"], "Sorting tickets.");
        assert_eq!(card.parts["long"].len(), MAX_PART - 1);
    }

    #[test]
    fn bad_cards_are_refused() {
        for (file, wanted) in [
            (r#"{"gradus": "model_card/v1", "parts": {}}"#, "model_card_empty"),
            (r#"{"gradus": "model_card/v1", "parts": {"limitations": "tbd"}}"#, "model_card_empty"),
            (r#"{"gradus": "model_card/v1", "parts": {"Intended use": "x"}}"#, "evidence_malformed"),
            (r#"{"gradus": "model_card/v1", "parts": {"license": ["mit"]}}"#, "evidence_malformed"),
            (
                r#"{"gradus": "model_card/v1", "parts": {"license": "mit", "license": "x"}}"#,
                "json_duplicate_key",
            ),
            (r#"{"gradus": "model_card/v1", "license": "mit"}"#, "evidence_malformed"),
        ] {
            assert_eq!(code(file), wanted, "{file}");
        }
    }
}
