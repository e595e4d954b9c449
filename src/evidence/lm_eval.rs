//! Results files of lm-evaluation-harness (field names checked against lm-eval 0.4.13: `result_schema.py`,
//! `evaluator_utils.py`). One file holds many tasks, and groups of them: each with metrics is an evaluation.
//!
//! Left out, because nothing sound can be said of it: a metric of which no one says which way it improves, or whose
//! subtasks disagree about that; values that are lists or objects; the placeholder `bypass` of prediction-only runs.

use super::document::Document;
use super::interval::{around, wilson};
use super::metrics::{checked, invalid};
use super::{About, Format, Read, as_name, malformed};
use crate::error::{Error, Result};
use crate::model::digest::{Digest, shorten};
use crate::model::evidence::{Better, Evaluation, EvidenceKind, Examples, Metric};
use serde_json::{Value, json};

pub(super) const FORMAT: Format = Format {
    name: "results of lm-evaluation-harness",
    kind: EvidenceKind::Evaluation,
    recognises: |document| {
        let file = document.json();
        file["results"].is_object()
            && !file["results"]["results"].is_array()
            && (file["lm_eval_version"].is_string()
                || (file["configs"].is_object() && file["versions"].is_object()))
    },
    read,
};

const MAX_SUITES: usize = 1000;
/// Entries of a task's list of metrics that are looked at, again for each of its metrics.
const MAX_CONFIGURED: usize = 100;
/// Means of 0 and 1 wherever the harness computes them.
const SHARES: [&str; 3] = ["acc", "acc_norm", "exact_match"];
/// Ratios in most tasks, percents in some: what they are is told by the value.
const RATIOS: [&str; 8] = [
    "f1",
    "em",
    "pass@1",
    "acc_mutual_info",
    "prompt_level_strict_acc",
    "prompt_level_loose_acc",
    "inst_level_strict_acc",
    "inst_level_loose_acc",
];
const LOWER: [&str; 5] = ["perplexity", "bits_per_byte", "brier_score", "word_perplexity", "byte_perplexity"];

fn read(document: Document, _: &About) -> Result<Vec<Read>> {
    let file = document.json();
    let tasks = file["results"].as_object().into_iter().flatten();
    // Newer versions list groups among the results too.
    let groups = file["groups"].as_object().into_iter().flatten();
    let groups = groups.filter(|(name, _)| file["results"][name.as_str()].is_null());
    let mut reads = Vec::new();
    for (task, found) in tasks.chain(groups) {
        if !found.is_object() {
            return Err(malformed(format!("the results of a task are not an object: {}", shorten(task))));
        }
        let evaluation = evaluation(file, task, found)?;
        if evaluation.metrics.is_empty() {
            continue;
        }
        reads.push(checked(evaluation, Examples::new())?);
        if reads.len() > MAX_SUITES {
            let message = format!("more than {MAX_SUITES} tasks in one file");
            return Err(Error::too_large("evidence_too_large", message));
        }
    }
    if reads.is_empty() {
        return Err(Error::invalid(
            "metric_missing",
            "the file has no metric of which it says which way it improves",
        ));
    }
    Ok(reads)
}

fn evaluation(file: &Value, task: &str, found: &Value) -> Result<Evaluation> {
    let version = file["lm_eval_version"].as_str().map(|version| as_name(version, 100)).unwrap_or_default();
    let mut evaluation = Evaluation {
        suite: task.to_owned(),
        suite_digest: Some(suite_digest(file, task)?),
        tool: Some(format!("lm-eval {version}").trim_end().to_owned()),
        ..Evaluation::default()
    };
    for (key, value) in found.as_object().into_iter().flatten() {
        // A metric's key is its name, a comma and the name of the filter. Other keys describe the task.
        let Some((name, filter)) = key.rsplit_once(',') else { continue };
        if name.ends_with("_stderr") || name == "bypass" || value.is_array() || value.is_object() {
            continue;
        }
        let place = format!("{key} of {task}");
        let Some(value) = value.as_f64() else {
            return Err(invalid(
                &place,
                format!("its value is not a number: {}", shorten(&value.to_string())),
            ));
        };
        let Some(better) = direction(file, task, name) else { continue };
        let label = if filter == "none" { name } else { key };
        let metric = metric(file, task, found, (name, filter), value, better);
        evaluation.metrics.insert(label.to_owned(), metric);
    }
    Ok(evaluation)
}

fn metric(file: &Value, task: &str, found: &Value, key: (&str, &str), value: f64, better: Better) -> Metric {
    let (name, filter) = key;
    let is_share = SHARES.contains(&name);
    let is_within = (0.0..=1.0).contains(&value);
    let is_ratio = is_share || (RATIOS.contains(&name) && is_within);
    // Groups count by metric; `n-samples` is of tasks only in some versions.
    let n = found["sample_count"][format!("{name},{filter}")]
        .as_u64()
        .or_else(|| file["n-samples"][task]["effective"].as_u64())
        .or_else(|| found["sample_len"].as_u64());
    let mut interval = match found[format!("{name}_stderr,{filter}")].as_f64() {
        // All right or all wrong: the harness's error is 0, as if five examples proved everything.
        Some(0.0) if is_share => n.and_then(|n| wilson(value, n)),
        Some(error) => around(value, error),
        None => None,
    };
    if let Some(interval) = interval.as_mut().filter(|_| is_ratio && is_within) {
        interval.low = interval.low.max(0.0);
        interval.high = interval.high.min(1.0);
    }
    Metric { value, n, interval, unit: is_ratio.then(|| "ratio".to_owned()), better }
}

fn direction(file: &Value, task: &str, metric: &str) -> Option<Better> {
    let of = |is_higher: bool| if is_higher { Better::Higher } else { Better::Lower };
    match &file["higher_is_better"][task][metric] {
        Value::Bool(is_higher) => return Some(of(*is_higher)),
        // Written, and null: the subtasks of a group disagree.
        Value::Null if file["higher_is_better"][task].get(metric).is_some() => return None,
        _ => {}
    }
    let configured =
        file["configs"][task]["metric_list"].as_array().into_iter().flatten().take(MAX_CONFIGURED);
    let configured = configured.filter(|entry| entry["metric"] == metric);
    if let Some(is_higher) = configured.filter_map(|entry| entry["higher_is_better"].as_bool()).next() {
        return Some(of(is_higher));
    }
    match metric {
        _ if SHARES.contains(&metric) || RATIOS.contains(&metric) => Some(Better::Higher),
        _ if LOWER.contains(&metric) => Some(Better::Lower),
        _ => None,
    }
}

/// What makes two runs of a task comparable. The whole configuration would not do: it holds addresses in memory.
fn suite_digest(file: &Value, task: &str) -> Result<Digest> {
    let config = &file["configs"][task];
    let mut suite = json!([
        task,
        file["versions"][task],
        file["n-shot"][task],
        config["dataset_path"],
        config["dataset_name"],
        config["test_split"],
        file["config"]["limit"],
        file["group_subtasks"][task],
    ]);
    suite.sort_all_objects();
    let bytes = serde_json::to_vec(&suite).map_err(|error| malformed(error.to_string()))?;
    Ok(Digest::sha256(&bytes))
}

#[cfg(test)]
#[path = "lm_eval_tests.rs"]
mod tests;
