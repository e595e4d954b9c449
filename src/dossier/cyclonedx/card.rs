//! The `modelCard` of the bill: what the model takes and gives, what was measured, what to consider.

use super::parts::{data_ref, property};
use crate::dossier::{
    facts::Facts,
    page::{clean, one_line},
};
use serde_json::{Map, Value, json};

/// Most metrics, newest evaluations first.
const METRICS_MAX: usize = 5000;
/// Most properties of an input or an output.
const PROPERTIES_MAX: usize = 200;

/// Licenses by the names that people and model hubs write, where an SPDX identifier is the same thing.
const SPDX: [&str; 16] = [
    "Apache-2.0",
    "MIT",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MPL-2.0",
    "CC0-1.0",
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
    "CC-BY-NC-4.0",
    "CC-BY-NC-SA-4.0",
    "CC-BY-ND-4.0",
    "CC-BY-NC-ND-4.0",
    "Unlicense",
    "BSL-1.0",
    "Artistic-2.0",
];

pub(super) fn licenses(facts: &Facts) -> Option<Value> {
    let (_, text, _) = facts.part(&["license"])?;
    let text = one_line(text);
    let license = match SPDX.iter().find(|id| id.eq_ignore_ascii_case(&text)) {
        Some(id) => json!({ "id": id }),
        None => json!({ "name": text }),
    };
    Some(json!([{ "license": license }]))
}

pub(super) fn model_card(facts: &Facts) -> Value {
    let mut card = Map::new();
    card.insert("modelParameters".into(), parameters(facts));
    let (metrics, left_out) = metrics(facts);
    if !metrics.is_empty() {
        card.insert("quantitativeAnalysis".into(), json!({ "performanceMetrics": metrics }));
    }
    if let Some(considerations) = considerations(facts) {
        card.insert("considerations".into(), considerations);
    }
    let mut properties = Vec::new();
    properties.extend(facts.card().map(|(evidence, _)| property("card", &evidence.digest)));
    properties.extend((left_out > 0).then(|| property("metrics_left_out", left_out)));
    if !properties.is_empty() {
        card.insert("properties".into(), json!(properties));
    }
    Value::Object(card)
}

fn parameters(facts: &Facts) -> Value {
    let contract = &facts.document.contract;
    let mut parameters = json!({
        "inputs": formats(&contract.input),
        "outputs": formats(&contract.output),
    });
    let of_adapter = facts.inspection.adapter.as_ref().and_then(|adapter| adapter.task_type.as_deref());
    let task = facts.part(&["pipeline_tag"]).map(|(_, text, _)| text).or(of_adapter);
    if let Some(task) = task {
        parameters["task"] = json!(one_line(task));
    }
    if let Some(architecture) = &facts.inspection.architecture {
        parameters["modelArchitecture"] = json!(one_line(architecture));
    }
    let datasets = facts.datasets();
    if !datasets.is_empty() {
        let refs: Vec<Value> = datasets.iter().map(|one| json!({ "ref": data_ref(&one.digest) })).collect();
        parameters["datasets"] = json!(refs);
    }
    parameters
}

/// What a side of the contract is made of: `NAME: TYPE` for each property, or that it is JSON.
fn formats(schema: &Value) -> Vec<Value> {
    let Some(properties) = schema["properties"].as_object().filter(|properties| !properties.is_empty())
    else {
        return vec![json!({ "format": "application/json" })];
    };
    let required = schema["required"].as_array();
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|one| one == name));
    let format = |(name, property): (&String, &Value)| {
        let kind = match &property["type"] {
            Value::String(kind) => kind.clone(),
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
            _ if property["enum"].is_array() => "enum".to_owned(),
            _ => "any".to_owned(),
        };
        let optional = if is_required(name) { "" } else { " (optional)" };
        json!({ "format": one_line(&format!("{name}: {kind}{optional}")) })
    };
    properties.iter().take(PROPERTIES_MAX).map(format).collect()
}

/// The metrics, and how many there is no room for.
fn metrics(facts: &Facts) -> (Vec<Value>, usize) {
    let mut all: Vec<Value> = Vec::new();
    let mut left_out = 0;
    for (_, evaluation) in facts.evaluations() {
        for (name, metric) in &evaluation.metrics {
            if all.len() == METRICS_MAX {
                left_out += 1;
                continue;
            }
            let unit =
                metric.unit.as_deref().map(|unit| format!(" ({})", one_line(unit))).unwrap_or_default();
            let mut one = json!({
                "type": format!("{}{unit}", one_line(name)),
                "value": metric.value.to_string(),
                "slice": one_line(&evaluation.suite),
            });
            if let Some(interval) = metric.interval {
                one["confidenceInterval"] = json!({ "lowerBound": interval.low.to_string(), "upperBound": interval.high.to_string() });
            }
            all.push(one);
        }
    }
    (all, left_out)
}

fn considerations(facts: &Facts) -> Option<Value> {
    let said = |names: &[&str]| facts.part(names).map(|(_, text, _)| clean(text));
    let mut all = Map::new();
    for (key, names) in [
        ("users", &["users"][..]),
        ("useCases", &["intended_use"]),
        ("technicalLimitations", &["limitations"]),
        ("performanceTradeoffs", &["tradeoffs"]),
    ] {
        if let Some(text) = said(names) {
            all.insert(key.to_owned(), json!([text]));
        }
    }
    if let Some(text) = said(&["ethical_considerations", "risks"]) {
        all.insert("ethicalConsiderations".to_owned(), json!([{ "name": text }]));
    }
    (!all.is_empty()).then_some(Value::Object(all))
}
