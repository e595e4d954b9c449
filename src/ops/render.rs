//! Filling in a workload's prompt: the same at every tier.

use super::{Context, memo::Resolved, resolve::resolve};
use crate::{
    error::{Error, Result},
    kinds::prompt::{self, Rendered},
    model::contract::Contract,
};
use serde_json::Value;
use std::sync::Arc;

/// Renders the prompt of a reference with an input that satisfies its contract, for `model` where the prompt
/// has something special for it. Answers what the reference meant, too.
pub async fn render(
    cx: &Context,
    reference: &str,
    input: Value,
    model: Option<String>,
) -> Result<(Arc<Resolved>, Rendered)> {
    let resolved = resolve(cx, reference).await?;
    let resolution = &resolved.resolution;
    let file = resolution.document.invoke.prompt_file.clone().ok_or_else(|| {
        Error::not_found(
            "prompt_missing",
            format!("this version has no prompt: {}:{}", resolution.workload, resolution.version),
        )
        .hint("push the version with --prompt FILE")
    })?;
    let bytes =
        super::blobs::read_whole(cx, &resolution.workload, &file.digest, prompt::MAX_BYTES as u64).await?;
    let contract = &resolution.document.contract;
    let contract = Contract::stored(contract.input.clone(), contract.output.clone());
    // Rendering may take all of its budget, which is too long for a thread that serves others.
    let work = tokio::task::spawn_blocking(move || {
        prompt::parse(file.path.as_str(), &bytes)?.render(&input, &contract, model.as_deref())
    });
    let rendered = work
        .await
        .map_err(|error| Error::internal("render_stopped", "rendering has stopped").source(error))??;
    Ok((resolved, rendered))
}
