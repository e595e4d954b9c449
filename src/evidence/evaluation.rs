//! Gradus' own format of an evaluation.

use super::document::Document;
use super::metrics::{checked, invalid};
use super::{About, Format, Read, check_subject};
use crate::error::Result;
use crate::model::digest::{Digest, shorten};
use crate::model::evidence::{Evaluation, EvidenceKind, Metric};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const FORMAT: Format = Format {
    name: "an evaluation (gradus: evaluation/v1)",
    kind: EvidenceKind::Evaluation,
    recognises: |document| document.gradus() == Some("evaluation/v1"),
    read,
};

/// Metrics of one version on one suite of examples.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Gradus evaluation file")]
struct EvaluationFile {
    #[expect(dead_code, reason = "checked by reading it; there is one version")]
    gradus: FormatVersion,
    /// The suite's name. Evaluations are compared within one suite only.
    suite: String,
    /// The digest of the suite's content. Two evaluations that both have one are compared only if they are equal.
    #[serde(default)]
    suite_digest: Option<Digest>,
    /// The manifest digest of the version that was evaluated. If given, the file can be attached to that one only.
    #[serde(default)]
    subject: Option<Digest>,
    /// Digests of the data that was evaluated on.
    #[serde(default)]
    datasets: Vec<Digest>,
    /// By name; at least one. In unit `ratio` values are 0 to 1, in `percent` 0 to 100; other units are free.
    metrics: BTreeMap<String, Metric>,
    /// What measured it, for example `lm-eval 0.4.9`.
    #[serde(default)]
    tool: Option<String>,
    /// Results example by example: metric, then example id, then true or false for pass and fail (1 and 0), or a
    /// score in the metric's unit. The metric's value must be their mean, and its `n` their number. With them two
    /// versions are compared example by example, which needs far fewer examples.
    #[serde(default)]
    examples: BTreeMap<String, BTreeMap<String, ExampleResult>>,
}

#[derive(Deserialize, JsonSchema)]
enum FormatVersion {
    #[serde(rename = "evaluation/v1")]
    V1,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "an example's result is true, false or a number")]
enum ExampleResult {
    PassFail(bool),
    Score(f64),
}

/// The JSON Schema of the format, as published in `schemas/evaluation.schema.json`.
pub fn schema() -> Value {
    schemars::schema_for!(EvaluationFile).to_value()
}

fn read(document: Document, about: &About) -> Result<Vec<Read>> {
    name_metrics_without_value(&document.json()["metrics"])?;
    let file: EvaluationFile = document.typed("an evaluation file")?;
    check_subject(file.subject.as_ref(), about)?;
    let result = |result| match result {
        ExampleResult::PassFail(passed) => f64::from(u8::from(passed)),
        ExampleResult::Score(score) => score,
    };
    let of_metric = |results: BTreeMap<String, ExampleResult>| {
        results.into_iter().map(|(id, found)| (id, result(found))).collect()
    };
    let examples = file.examples.into_iter().map(|(metric, results)| (metric, of_metric(results))).collect();
    let evaluation = Evaluation {
        suite: file.suite,
        suite_digest: file.suite_digest,
        datasets: file.datasets,
        metrics: file.metrics,
        tool: file.tool,
        with_examples: Vec::new(),
    };
    Ok(vec![checked(evaluation, examples)?])
}

/// JavaScript writes null for what is not a number: the metric's name tells more than line and column do.
fn name_metrics_without_value(metrics: &Value) -> Result<()> {
    let bad = metrics.as_object().into_iter().flatten().find(|(_, metric)| !metric["value"].is_number());
    match bad {
        Some((name, metric)) => Err(invalid(
            name,
            match &metric["value"] {
                Value::Null if metric.get("value").is_none() => "it has no value".to_owned(),
                Value::String(text) => format!("its value is a text, not a number: {}", shorten(text)),
                other => format!("its value is not a number: {}", shorten(&other.to_string())),
            },
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "evaluation_tests.rs"]
mod tests;
