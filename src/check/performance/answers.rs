//! Reading answers together with what they should have been.

use super::super::side::Source;
use super::labels::Labels;
use super::request::{Performance, class};
use super::{Plan, has_column};
use crate::drift::performance::{Collector, Label, Side, Task};
use crate::drift::profile::Invalid;
use crate::error::{Error, Result};
use crate::tables::{Cell, Cells, Fold, fold};
use std::borrow::Cow;

/// The answers of a table; or why there are none, of which it is the subject. A label that came for a row takes the
/// place of its own.
/// `needs_target`: it is the reference, which says nothing without one.
pub(super) fn read(
    source: &Source,
    labels: Option<&Labels>,
    asked: &Performance,
    plan: &Plan,
    needs_target: bool,
    threads: usize,
) -> Result<Result<Side, String>> {
    let Some(table) = source.table() else { return Ok(Err("is a profile".to_owned())) };
    let mut columns = vec![asked.prediction.as_str()];
    columns.extend(plan.probabilities.iter().map(|(_, column)| column.as_str()));
    columns.extend(labels.and(asked.id.as_deref()));
    let needs_target = needs_target && labels.is_none();
    let own = Some(asked.target.as_str()).filter(|target| needs_target || has_column(source, target));
    columns.extend(own);
    // A file without any row may lack its header too.
    let is_empty = table.names().is_empty();
    if let Some(name) = columns.iter().find(|name| !is_empty && !has_column(source, name)) {
        return Ok(Err(format!("has no column {name}")));
    }
    if let Some(name) = columns.iter().find(|name| table.is_ambiguous(name)) {
        return Ok(Err(format!("has two columns {name}")));
    }
    let of: Vec<String> = plan.probabilities.iter().map(|(class, _)| class.clone()).collect();
    let answers = Answers { task: plan.task, of, seed: source.seed().0, labels };
    let collected = fold(table, &columns, threads, &answers)?.unwrap_or_else(|| answers.begin(0));
    let refused = |error: Invalid| Error::invalid("performance_classes", format!("the target has {error}"));
    let side = collected.finish().map_err(refused);
    Ok(Ok(side.map_err(|error| error.hint("of a target that holds numbers: --task regression"))?))
}

/// The columns are the prediction, the probabilities, with labels the id, and the row's own label if it has one.
struct Answers<'a> {
    task: Task,
    of: Vec<String>,
    seed: u64,
    labels: Option<&'a Labels>,
}

impl Fold for Answers<'_> {
    type Made = Collector;

    fn begin(&self, chunk: u64) -> Collector {
        match self.task {
            Task::Classification => Collector::classes(&self.of, self.seed, chunk),
            Task::Regression => Collector::numbers(),
        }
    }

    fn add(&self, made: &mut Collector, columns: &[Cells<'_>]) -> Result<()> {
        let (prediction, rest) = columns.split_first().ok_or_else(lacking)?;
        let (probabilities, rest) = rest.split_at_checked(self.of.len()).ok_or_else(lacking)?;
        let ids = rest.first().filter(|_| self.labels.is_some());
        let own = rest.get(usize::from(self.labels.is_some()));
        let mut scores = vec![0.0; probabilities.len()];
        for (row, prediction) in prediction.iter().enumerate() {
            let [id, own] = [ids, own].map(|cells| cells.map_or(&Cell::Missing, |cells| &cells[row]));
            if self.task == Task::Regression {
                let late = self.labels.and_then(|labels| labels.number(id));
                let label = late.unwrap_or_else(|| number_label(own));
                made.number(label, prediction.number());
                continue;
            }
            for (score, cells) in scores.iter_mut().zip(probabilities) {
                // What is no number is no probability.
                *score = cells[row].number().unwrap_or(f64::NAN);
            }
            let own = class_label(own);
            let label = match (self.labels.and_then(|labels| labels.class(id)), &own) {
                (Some(late), _) => late,
                (None, Label::Known(class)) => Label::Known(&**class),
                (None, Label::Missing) => Label::Missing,
                (None, Label::Failed) => Label::Failed,
            };
            made.class(label, class(prediction).as_deref(), Some(&scores));
        }
        Ok(())
    }

    fn merge(&self, made: Collector, next: Collector) -> Result<Collector, Invalid> {
        made.merge(next)
    }
}

fn lacking() -> Error {
    Error::internal("performance_columns", "columns that were asked for were not read")
}

pub(super) fn number_label(cell: &Cell<'_>) -> Label<f64> {
    match cell {
        Cell::Missing => Label::Missing,
        _ => match cell.number() {
            // As pandas writes what is missing among numbers.
            Some(value) if value.is_nan() => Label::Missing,
            Some(value) if value.is_finite() => Label::Known(value),
            _ => Label::Failed,
        },
    }
}

pub(super) fn class_label<'a>(cell: &'a Cell<'_>) -> Label<Cow<'a, str>> {
    match cell {
        Cell::Missing => Label::Missing,
        Cell::Number(value) if value.is_nan() => Label::Missing,
        _ => class(cell).map_or(Label::Failed, Label::Known),
    }
}
