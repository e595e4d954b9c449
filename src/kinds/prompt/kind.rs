//! A prompt as an artifact: one prompt file, alone.

use super::super::{Files, Format, inspection::Inspection};
use crate::model::kind::Kind;

pub(in crate::kinds) const FORMAT: Format = Format { kind: Kind::Prompt, recognises, inspect };

/// As much of a file as is looked at.
const HEAD: usize = 64 << 10;

fn recognises(files: &Files) -> bool {
    let [view] = files.views else { return false };
    let head = view.source.read_at(0, HEAD).unwrap_or_default();
    super::sniff(view.path, &head).is_some()
}

fn inspect(files: &Files, found: &mut Inspection) {
    let Some(view) = files.views.first() else { return };
    let length = usize::try_from(view.source.size()).unwrap_or(usize::MAX);
    let read = view.source.read_at(0, length.min(super::MAX_BYTES + 1));
    match read.and_then(|bytes| super::parse(view.path, &bytes)) {
        Ok(prompt) => {
            found.formats.insert("prompt".to_owned());
            for model in prompt.models() {
                found.facts.insert(format!("prompt.model.{model}"), "has its own settings".to_owned());
            }
        }
        Err(error) => found.problem(view.path, &error.message),
    }
}
