//! Performance, as the page shows it.

use super::super::performance::{Answered, LabelsReport, PerformanceReport};
use super::picture::number;
use crate::drift::performance::{ConfusionCell, Value};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct View {
    about: Vec<String>,
    metrics: Vec<[String; 4]>,
    estimates: Vec<[String; 4]>,
    estimate: String,
    classes: Vec<String>,
    /// The true class, then how many rows of either side were taken for each class.
    confusion: Vec<Vec<String>>,
}

pub(super) fn view(report: &PerformanceReport) -> View {
    let mut about = vec![
        format!("What {} says is compared with {}.", report.prediction, report.target),
        answered("reference", &report.reference),
        answered("current data", &report.current),
    ];
    about.extend(report.labels.as_ref().map(labels));
    let metrics = report
        .metrics
        .iter()
        .map(|it| [it.name.clone(), shown(it.reference), shown(it.current), it.note.clone()]);
    let estimates = report.estimate.iter().flat_map(|estimate| {
        let row = |it: &crate::drift::performance::EstimatedMetric| {
            [it.name.clone(), shown(it.reference), shown(Some(it.current)), estimate.note.clone()]
        };
        estimate.metrics.iter().map(row)
    });
    let estimate = report.estimate.as_ref().map(|it| {
        let [before, after] = it.calibration_error.map(number);
        let calibrated = if it.calibrated { "calibrated" } else { "taken as they are" };
        format!(
            "Estimated without labels, from probabilities {calibrated} (calibration error {before} as they are, {after} \
             calibrated): it {}.",
            it.assumption
        )
    });
    let (classes, confusion) = confusion(&report.confusion);
    View {
        about,
        metrics: metrics.collect(),
        estimates: estimates.collect(),
        estimate: estimate.unwrap_or_default(),
        classes,
        confusion,
    }
}

/// Labels that came from elsewhere, and what is wrong with some of them, in words.
pub fn labels(it: &LabelsReport) -> String {
    let counts = [
        (it.unmatched, "of no row"),
        (it.repeated, "repeated"),
        (it.contradictory, "ids with contradictory ones"),
        (it.without_id, "without an id"),
        (it.rows_of_one_id, "rows with the id of another row"),
        (it.rows_without_id, "rows without an id"),
    ];
    let some = counts.iter().filter(|(count, _)| *count > 0);
    let told: Vec<String> = some.map(|(count, what)| format!("{count} {what}")).collect();
    let colon = if told.is_empty() { "" } else { ": " };
    format!("{} labels came from elsewhere{colon}{}.", it.rows, told.join(", "))
}

/// Labels for how many rows, in words.
pub fn answered(side: &str, it: &Answered) -> String {
    let percent = 100.0 * it.labelled_share;
    let mut text = format!("The {side}: labels for {percent:.0} % of {} rows", it.rows);
    if it.failed > 0 {
        text += &format!(", {} of them unusable", it.failed);
    }
    if it.unusable_probabilities > 0 {
        text += &format!(", {} without usable probabilities", it.unusable_probabilities);
    }
    text + "."
}

/// A value with its interval.
pub fn shown(value: Option<Value>) -> String {
    value.map_or_else(String::new, |Value { value, interval: [low, high], .. }| {
        format!("{} ({} to {})", number(value), number(low), number(high))
    })
}

fn confusion(cells: &[ConfusionCell]) -> (Vec<String>, Vec<Vec<String>>) {
    let mut classes: Vec<String> =
        cells.iter().flat_map(|cell| [&cell.target, &cell.prediction]).cloned().collect();
    classes.sort_unstable();
    classes.dedup();
    let row = |target: &String| {
        let count = |prediction: &String| {
            let cell = cells.iter().find(|cell| cell.target == *target && cell.prediction == *prediction);
            cell.map_or_else(String::new, |cell| format!("{} / {}", cell.reference, cell.current))
        };
        std::iter::once(target.clone()).chain(classes.iter().map(count)).collect()
    };
    let rows = classes.iter().map(row).collect();
    (classes, rows)
}
