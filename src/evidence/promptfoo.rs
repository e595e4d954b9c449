//! Output of `promptfoo eval -o out.json` (field names checked against promptfoo 0.121.20: `OutputFile`,
//! `EvaluateSummaryV3`, `EvaluateResult`). The file must be of one prompt with one provider: a column of the table.
//!
//! A test that ended in an error counts as failed, with the score the file gives it: a version that does not answer
//! is not better for it. Errors and answers from promptfoo's cache say nothing about latency and cost and are left
//! out of these. Scores named by the user count where a test has them, so not where it ended in an error.

use super::document::Document;
use super::interval::{mean, of_mean, wilson};
use super::metrics::checked;
use super::{About, Format, Read, as_name, malformed};
use crate::error::{Error, Result};
use crate::model::digest::{Digest, shorten};
use crate::model::evidence::{Better, Evaluation, EvidenceKind, Examples, Metric};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const FORMAT: Format = Format {
    name: "output of promptfoo",
    kind: EvidenceKind::Evaluation,
    recognises: |document| document.json()["results"]["results"].is_array(),
    read,
};

const MAX_NAMED: usize = 100;
/// `ResultFailureReason.ERROR`
const ERROR: u64 = 2;

/// What was measured in the tests: by test for those compared test by test, as a list for the others.
#[derive(Default)]
struct Measured {
    passed: BTreeMap<String, f64>,
    scores: BTreeMap<String, f64>,
    named: BTreeMap<String, BTreeMap<String, f64>>,
    latencies: Vec<f64>,
    costs: Vec<f64>,
}

fn read(document: Document, _: &About) -> Result<Vec<Read>> {
    let file = document.json();
    let results = file["results"]["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    if results.is_empty() {
        return Err(Error::invalid("metric_missing", "the file has no results"));
    }
    one_column(results)?;
    all_there(&file["results"]["stats"], results.len())?;
    let mut measured = Measured::default();
    for (at, result) in results.iter().enumerate() {
        measured.add(result, &format!("/results/results/{at}"))?;
    }
    let suite_digest = suite_digest(results)?;
    let named = file["config"]["description"].as_str().map(|text| as_name(text, 200));
    let suite = named.filter(|name| !name.is_empty());
    let version = file["metadata"]["promptfooVersion"].as_str().map(|version| as_name(version, 100));
    let (metrics, examples) = measured.conclude();
    let evaluation = Evaluation {
        suite: suite.unwrap_or_else(|| format!("promptfoo {}", suite_digest.short())),
        suite_digest: Some(suite_digest),
        metrics,
        tool: Some(format!("promptfoo {}", version.unwrap_or_default()).trim_end().to_owned()),
        ..Evaluation::default()
    };
    Ok(vec![checked(evaluation, examples)?])
}

/// One version is one prompt; which of several is meant cannot be told from the file.
fn one_column(results: &[Value]) -> Result<()> {
    let columns: BTreeSet<_> = results.iter().map(|result| result["promptIdx"].as_u64()).collect();
    let providers: BTreeSet<_> = results.iter().map(|result| result["provider"]["id"].as_str()).collect();
    let number = columns.len().max(providers.len());
    if number == 1 {
        return Ok(());
    }
    Err(Error::invalid(
        "evidence_ambiguous",
        format!("the file compares prompts or providers, one is needed, there are: {number}"),
    )
    .hint("run promptfoo eval with --filter-prompts and --filter-providers so that one of each is left"))
}

/// A file with the failed tests only, or without them, is not an evaluation of the suite.
fn all_there(stats: &Value, number: usize) -> Result<()> {
    let counts = ["successes", "failures", "errors"].map(|key| stats[key].as_u64());
    let told: Option<u64> = counts.into_iter().try_fold(0u64, |sum, count| sum.checked_add(count?));
    match told.filter(|told| *told != number as u64) {
        Some(told) => Err(Error::invalid(
            "metric_contradicts_examples",
            format!("the file's stats count {told} results, it holds: {number}"),
        )),
        None => Ok(()),
    }
}

impl Measured {
    fn add(&mut self, result: &Value, at: &str) -> Result<()> {
        let test = result["testIdx"].as_u64().ok_or_else(|| {
            malformed(format!("not a number: {at}/testIdx")).hint("write the file with a newer promptfoo")
        })?;
        let test = test.to_string();
        let passed = result["success"]
            .as_bool()
            .ok_or_else(|| malformed(format!("not true or false: {at}/success")))?;
        let score = result["score"].as_f64().ok_or_else(|| malformed(format!("not a number: {at}/score")))?;
        self.scores.insert(test.clone(), score);
        if self.passed.insert(test.clone(), f64::from(u8::from(passed))).is_some() {
            return Err(malformed(format!("two results for one test: {at}/testIdx is {test} again")));
        }
        for (name, score) in result["namedScores"].as_object().into_iter().flatten() {
            let score = score
                .as_f64()
                .ok_or_else(|| malformed(format!("not a number: {at}/namedScores/{}", shorten(name))))?;
            self.named.entry(as_name(name, 90)).or_default().insert(test.clone(), score);
        }
        if self.named.len() > MAX_NAMED {
            let message = format!("more than {MAX_NAMED} named scores in one file");
            return Err(Error::too_large("evidence_too_large", message));
        }
        let is_error = result["failureReason"].as_u64() == Some(ERROR);
        if !is_error && result["response"]["cached"] != true {
            self.latencies.extend(result["latencyMs"].as_f64().filter(|latency| *latency >= 0.0));
            self.costs.extend(result["cost"].as_f64().filter(|cost| *cost >= 0.0));
        }
        Ok(())
    }

    fn conclude(self) -> (BTreeMap<String, Metric>, Examples) {
        let mut metrics = BTreeMap::new();
        for (name, unit, values) in
            [("latency_ms", "ms", &self.latencies), ("cost_per_call", "usd", &self.costs)]
        {
            if !values.is_empty() {
                metrics.insert(name.to_owned(), metric(values, Some(unit), Better::Lower));
            }
        }
        let mut examples = Examples::new();
        for (name, scores) in self.named {
            // Names of the user's own must not take the place of these.
            let is_taken = ["pass_rate", "score", "latency_ms", "cost_per_call"].contains(&name.as_str());
            examples.insert(if is_taken { format!("named:{name}") } else { name }, scores);
        }
        examples.insert("score".to_owned(), self.scores);
        for (name, scores) in &examples {
            let scores: Vec<_> = scores.values().copied().collect();
            metrics.insert(name.clone(), metric(&scores, None, Better::Higher));
        }
        let passed: Vec<_> = self.passed.values().copied().collect();
        let mut rate = metric(&passed, Some("ratio"), Better::Higher);
        rate.interval = wilson(rate.value, passed.len() as u64);
        metrics.insert("pass_rate".to_owned(), rate);
        examples.insert("pass_rate".to_owned(), self.passed);
        (metrics, examples)
    }
}

fn metric(values: &[f64], unit: Option<&str>, better: Better) -> Metric {
    let (value, n) = (mean(values), Some(values.len() as u64));
    Metric { value, n, interval: of_mean(values), unit: unit.map(str::to_owned), better }
}

/// Of the tests in their order: their variables and what is asserted.
fn suite_digest(results: &[Value]) -> Result<Digest> {
    let mut tests: Vec<_> =
        results.iter().map(|result| (result["testIdx"].as_u64(), &result["testCase"])).collect();
    tests.sort_by_key(|(at, _)| *at);
    let mut suite: Value = tests.iter().map(|(_, test)| json!([test["vars"], test["assert"]])).collect();
    suite.sort_all_objects();
    let bytes = serde_json::to_vec(&suite).map_err(|error| malformed(error.to_string()))?;
    Ok(Digest::sha256(&bytes))
}

#[cfg(test)]
#[path = "promptfoo_tests.rs"]
mod tests;
