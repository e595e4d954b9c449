//! Vendor-managed fine-tunes: the vendor keeps the weights, the registry keeps a descriptor,
//! `finetune.yaml` (or `.yml`, `.json`), in the strict format below.

use super::reader::malformed;
use super::{Files, Format, Inspection};
use crate::error::{Error, Result};
use crate::model::digest::shorten;
use crate::model::json::parse_strict;
use crate::model::kind::Kind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(super) const FORMAT: Format = Format {
    kind: Kind::VendorFinetune,
    recognises: |files| NAMES.iter().any(|name| files.get(name).is_some()),
    inspect,
};

const NAMES: [&str; 3] = ["finetune.yaml", "finetune.yml", "finetune.json"];
const MAX_BYTES: usize = 1 << 20;
const MAX_DEPTH: usize = 8;
const MAX_FILES: usize = 10_000;
const MAX_TEXT: usize = 500;

/// A fine-tune that lives at a vendor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finetune {
    /// Who keeps and serves the weights, e.g. `openai`.
    pub vendor: String,
    /// The vendor's id of the fine-tuned model: what a consumer calls.
    pub model: String,
    /// The vendor's id of the model it was made from.
    pub base: String,
    /// How, e.g. `supervised`, `dpo`.
    pub method: String,
    /// What it was trained on: lineage that can be checked.
    pub training_files: Vec<TrainingFile>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hyperparameters: BTreeMap<String, Scalar>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainingFile {
    pub name: String,
    /// 64 lower-case hexadecimal digits, without prefix.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    Truth(bool),
    Whole(i64),
    Fraction(f64),
    Text(String),
}

impl Finetune {
    /// Reads and checks a descriptor; JSON if `path` ends in `.json`, otherwise YAML. At most 1 MiB.
    /// Errors: `finetune_invalid`, and those of [`parse_strict`].
    pub fn parse(path: &str, bytes: &[u8]) -> Result<Self> {
        let invalid = |what: String| {
            Error::invalid("finetune_invalid", format!("not a fine-tune descriptor: {what}")).hint(
                "a descriptor has vendor, model, base, method, training_files and optional hyperparameters",
            )
        };
        if bytes.len() > MAX_BYTES {
            return Err(invalid(format!("larger than {MAX_BYTES} bytes")));
        }
        let parsed: Self = if path.ends_with(".json") {
            serde_json::from_value(parse_strict(bytes, MAX_DEPTH)?)
                .map_err(|error| invalid(error.to_string()))?
        } else {
            serde_norway::from_slice(bytes).map_err(|error| invalid(error.to_string()))?
        };
        parsed.check().map_err(invalid)?;
        Ok(parsed)
    }

    fn check(&self) -> Result<(), String> {
        let files = self.training_files.iter().map(|file| &file.name);
        let texts = [&self.vendor, &self.model, &self.base, &self.method].into_iter().chain(files);
        for text in texts.chain(self.hyperparameters.keys()) {
            if text.trim() != text
                || text.is_empty()
                || text.len() > MAX_TEXT
                || text.contains(char::is_control)
            {
                return Err(format!("a text is empty, padded, too long or not printable: {}", shorten(text)));
            }
        }
        if self.training_files.is_empty() || self.training_files.len() > MAX_FILES {
            return Err(format!("needs 1 to {MAX_FILES} training files"));
        }
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match self.training_files.iter().find(|file| file.sha256.len() != 64 || !file.sha256.bytes().all(hex))
        {
            Some(file) => Err(format!("not a SHA-256 of a training file: {}", shorten(&file.sha256))),
            None => Ok(()),
        }
    }
}

fn inspect(files: &Files, found: &mut Inspection) {
    let mut descriptors = NAMES.iter().filter_map(|name| files.get(name));
    let Some(view) = descriptors.next() else { return };
    if descriptors.next().is_some() {
        return found.problem(view.path, "the artifact has more than one fine-tune descriptor");
    }
    let parsed = files.reader(view).whole(MAX_BYTES).and_then(|bytes| Finetune::parse(view.path, &bytes));
    match parsed {
        Ok(finetune) => {
            found.base = Some(finetune.base.clone());
            found.facts.insert("finetune.vendor".into(), finetune.vendor.clone());
            found.finetune = Some(finetune);
        }
        Err(error) => found.failed(view.path, &malformed(error.message)),
    }
}
