//! Plain files: whatever no other kind recognises. Also reads `config.json`, the description that
//! Hugging Face style directories carry beside their weights.

use super::inspection::bounded;
use super::{Files, Format, Inspection};
use crate::model::json::parse_strict;
use crate::model::kind::{Kind, Tier};
use serde_json::Value;

pub(super) const FORMAT: Format = Format { kind: Kind::Files, recognises: |_| true, inspect: |_, _| () };

const MAX_CONFIG: usize = 1 << 20;
const MAX_DEPTH: usize = 32;

/// Fills what the weights themselves did not say: architecture, context length, quantisation.
pub(super) fn read_config(files: &Files, found: &mut Inspection) {
    let Some(view) = files.get("config.json").filter(|_| found.tier == Tier::Weights) else { return };
    let config = files.reader(view).whole(MAX_CONFIG).and_then(|bytes| parse_strict(&bytes, MAX_DEPTH));
    let config = match config {
        Ok(config) => config,
        Err(error) => return found.failed(view.path, &error),
    };
    let architecture = config["architectures"].get(0).unwrap_or(&config["model_type"]);
    let fill = |slot: &mut Option<String>, value: &Value| {
        if slot.is_none() {
            *slot = value.as_str().map(bounded);
        }
    };
    fill(&mut found.architecture, architecture);
    fill(&mut found.quantization, &config["quantization_config"]["quant_method"]);
    found.context_length = found.context_length.or(config["max_position_embeddings"].as_u64());
}
