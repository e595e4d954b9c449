//! The checks that every evaluation passes, whatever file it came from.

use super::interval::mean;
use super::{Read, check_name};
use crate::error::{Error, Result};
use crate::model::digest::shorten;
use crate::model::evidence::{Evaluation, Examples, Metric, Statement};
use std::collections::BTreeMap;

pub(super) const MAX_METRICS: usize = 1000;
pub(super) const MAX_DATASETS: usize = 1000;
/// Examples of all metrics together.
pub(super) const MAX_EXAMPLES: usize = 1_000_000;
const MAX_ID: usize = 200;
/// How far a value may be from the mean of its examples: what is lost by writing it with six digits.
const TOLERANCE: f64 = 1e-6;

/// Errors: `metric_missing`, `metric_invalid`, `metric_interval`, `metric_unit`, `metric_contradicts_examples`,
/// `evidence_name_invalid`, `evidence_too_large`.
pub(super) fn checked(mut evaluation: Evaluation, examples: Examples) -> Result<Read> {
    check_name("a suite", &evaluation.suite, 200)?;
    if let Some(tool) = &evaluation.tool {
        check_name("a tool", tool, 200)?;
    }
    if evaluation.metrics.is_empty() {
        let suite = shorten(&evaluation.suite);
        return Err(Error::invalid("metric_missing", format!("the evaluation on {suite} has no metrics")));
    }
    at_most("metrics", evaluation.metrics.len(), MAX_METRICS)?;
    at_most("datasets", evaluation.datasets.len(), MAX_DATASETS)?;
    at_most("examples", examples.values().map(BTreeMap::len).sum(), MAX_EXAMPLES)?;
    for (name, results) in &examples {
        let metric = evaluation.metrics.get_mut(name).ok_or_else(|| {
            let name = shorten(name);
            Error::invalid(
                "metric_missing",
                format!("there are examples for a metric that is missing: {name}"),
            )
        })?;
        check_examples(name, metric, results)?;
    }
    for (name, metric) in &evaluation.metrics {
        check_metric(name, metric)?;
    }
    evaluation.with_examples = examples.keys().cloned().collect();
    Ok(Read { statement: Statement::Evaluation(evaluation), examples })
}

fn check_metric(name: &str, metric: &Metric) -> Result<()> {
    check_name("a metric", name, 100)?;
    let value = metric.value;
    if !value.is_finite() {
        return Err(invalid(name, format!("its value is not a finite number: {value}")));
    }
    if metric.n == Some(0) {
        return Err(invalid(name, "no example is behind it: n is 0"));
    }
    if let Some(interval) = metric.interval {
        let (low, high, level) = (interval.low, interval.high, interval.level);
        let wrong =
            |what: String| Error::invalid("metric_interval", format!("metric {}: {what}", shorten(name)));
        if !(low.is_finite() && high.is_finite() && low <= value && value <= high) {
            return Err(wrong(format!("the value {value} is not within its interval: {low} to {high}")));
        }
        if !(level > 0.0 && level < 1.0) {
            return Err(wrong(format!("the interval's level is not between 0 and 1: {level}")));
        }
    }
    let Some(unit) = &metric.unit else { return Ok(()) };
    if unit.is_empty()
        || unit.chars().count() > 32
        || !unit.chars().all(|c| c.is_alphanumeric() || "%/_.-".contains(c))
    {
        return Err(wrong_unit(name, format!("not a unit: {}", shorten(unit)))
            .hint("one word of at most 32 characters, for example ratio, percent, ms, usd, tokens"));
    }
    let most = most_of(unit);
    let interval = metric.interval.iter().flat_map(|interval| [interval.low, interval.high]);
    match interval.chain([value]).find(|number| most.is_some_and(|most| !(0.0..=most).contains(number))) {
        Some(number) => Err(wrong_unit(name, format!("out of range for unit {unit}: {number}"))
            .hint("a ratio is 0 to 1, a percent 0 to 100")),
        None => Ok(()),
    }
}

/// The largest value in units that have one; their smallest is 0.
fn most_of(unit: &str) -> Option<f64> {
    match unit {
        "ratio" => Some(1.0),
        "percent" => Some(100.0),
        _ => None,
    }
}

fn check_examples(name: &str, metric: &mut Metric, results: &BTreeMap<String, f64>) -> Result<()> {
    let wrong = |what: String| {
        Error::invalid("metric_contradicts_examples", format!("metric {}: {what}", shorten(name)))
    };
    if results.is_empty() {
        return Err(wrong("its list of examples is empty".to_owned()));
    }
    let most = metric.unit.as_deref().and_then(most_of);
    for (id, result) in results {
        check_name("an example", id, MAX_ID)?;
        if !result.is_finite() || most.is_some_and(|most| !(0.0..=most).contains(result)) {
            return Err(wrong(format!("not a result in its unit: {result}, example {}", shorten(id))));
        }
    }
    let number = results.len() as u64;
    if let Some(n) = metric.n.filter(|n| *n != number) {
        return Err(wrong(format!("n is {n}, there are {number} examples")));
    }
    metric.n = Some(number);
    let mean = mean(&results.values().copied().collect::<Vec<_>>());
    // Not `>`: what is not a number must not agree with anything.
    let agrees = (mean - metric.value).abs() <= TOLERANCE * metric.value.abs().max(1.0);
    if !agrees {
        return Err(wrong(format!("its value is {}, the mean of its examples is {mean}", metric.value)));
    }
    Ok(())
}

fn at_most(what: &str, number: usize, most: usize) -> Result<()> {
    if number <= most {
        return Ok(());
    }
    Err(Error::too_large("evidence_too_large", format!("{number} {what} in one evaluation, at most: {most}")))
}

pub(super) fn invalid(metric: &str, what: impl std::fmt::Display) -> Error {
    Error::invalid("metric_invalid", format!("metric {}: {what}", shorten(metric)))
}

fn wrong_unit(metric: &str, what: String) -> Error {
    Error::invalid("metric_unit", format!("metric {}: {what}", shorten(metric)))
}
