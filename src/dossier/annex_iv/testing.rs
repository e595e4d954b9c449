//! Point 2(g): what was measured, on what, by whom, and what the gates made of it.

use super::{Point, code, inline, source};
use crate::{
    dossier::{Facts, facts::Step},
    gates::{GateReport, Outcome, Report},
    model::evidence::{Evaluation, Evidence, Metric},
};
use std::collections::BTreeSet;

/// Rows of the table of metrics.
const ROWS_MAX: usize = 2000;

pub(super) fn tests(point: &mut Point<'_>) {
    let facts = point.facts;
    let mut rows: Vec<Vec<String>> = rows(facts).collect();
    if rows.is_empty() {
        let filler = point.attach("RESULTS.json");
        point.gap("it was never evaluated", filler);
    } else {
        let left_out = rows.len().saturating_sub(ROWS_MAX);
        rows.truncate(ROWS_MAX);
        point.page.table(&["suite", "metric", "value", "examples", "interval", "evidence"], &rows);
        if left_out > 0 {
            point.fact(format!("and {left_out} more: `gradus eval list {}`", facts.reference()));
        }
        evaluated_on(point);
    }
    for lint in &facts.lint_errors {
        point.fact(format!("error that the prompt's lints found: {}", inline(lint)));
    }
    for step in &facts.moves {
        judged(point, step);
    }
    point.card(&["evaluation"], "how validation and testing were done");
    point.card(&["fairness"], "which potentially discriminatory impacts were tested for");
}

fn rows(facts: &Facts) -> impl Iterator<Item = Vec<String>> {
    facts.evaluations().flat_map(|(evidence, evaluation)| {
        evaluation.metrics.iter().map(move |(name, metric)| row(evidence, evaluation, name, metric))
    })
}

fn row(evidence: &Evidence, evaluation: &Evaluation, name: &str, metric: &Metric) -> Vec<String> {
    let unit = metric.unit.as_deref().map(|unit| format!(" {}", inline(unit))).unwrap_or_default();
    let interval = metric
        .interval
        .map(|interval| format!("{} to {} at {}", interval.low, interval.high, interval.level));
    vec![
        inline(&evaluation.suite),
        inline(name),
        format!("{}{unit}", metric.value),
        metric.n.map_or_else(|| "not stated".to_owned(), |n| n.to_string()),
        interval.unwrap_or_else(|| "not stated".to_owned()),
        code(&evidence.digest),
    ]
}

/// The data behind each evaluation, who measured it and with what.
fn evaluated_on(point: &mut Point<'_>) {
    let facts = point.facts;
    let trained_on: BTreeSet<_> = facts.datasets().into_iter().map(|dataset| dataset.digest).collect();
    let mut unpinned = BTreeSet::new();
    for (evidence, evaluation) in facts.evaluations() {
        let tool =
            evaluation.tool.as_deref().map(|tool| format!(" with {}", inline(tool))).unwrap_or_default();
        point.fact(format!("suite {} measured{tool}; {}", inline(&evaluation.suite), source(evidence)));
        if let Some(digest) = &evaluation.suite_digest {
            point.fact(format!("content of the suite {}: {}", inline(&evaluation.suite), code(digest)));
        }
        for digest in &evaluation.datasets {
            let again = if trained_on.contains(digest) { ", which it was also trained on" } else { "" };
            point.fact(format!("evaluated on the data {}{again}", code(digest)));
        }
        if evaluation.suite_digest.is_none() && evaluation.datasets.is_empty() {
            unpinned.insert(inline(&evaluation.suite));
        }
    }
    if !unpinned.is_empty() {
        let suites: Vec<String> = unpinned.into_iter().collect();
        let filler =
            "attach the results with the digest of the suite or of its data (`suite_digest`, `datasets`)";
        point.gap(format!("on which data is not recorded for: {}", suites.join(", ")), filler);
    }
}

fn judged(point: &mut Point<'_>, step: &Step) {
    let Some((document, report)) = &step.report else { return };
    point.fact(format!(
        "gates of {} for version {}: {}, judged at {}, report {}",
        step.stage,
        step.version,
        word(report.outcome),
        super::moment(report.judged_at),
        code(document)
    ));
    about_tests(report).for_each(|gate| point.fact(said(gate)));
}

/// Gates that look at measurements.
fn about_tests(report: &Report) -> impl Iterator<Item = &GateReport> {
    const NAMES: [&str; 5] = ["evaluation", "no_regression", "evaluation_unseen", "budget", "expression"];
    report.gates.iter().filter(|gate| NAMES.contains(&gate.gate.as_str()))
}

pub(super) fn said(gate: &GateReport) -> String {
    let evidence: Vec<String> = gate.evidence.iter().map(code).collect();
    let on = if evidence.is_empty() { String::new() } else { format!(", on {}", evidence.join(", ")) };
    format!("gate {}: {}: {}{on}", inline(&gate.gate), word(gate.outcome), inline(&gate.reason))
}

pub(super) fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Wait => "wait",
        Outcome::Fail => "fail",
    }
}
