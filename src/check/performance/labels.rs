//! Labels that come later, found by the ids of rows.

use super::super::report::Input;
use super::super::side::Source;
use super::answers::{class_label, number_label};
use super::request::Performance;
use super::section::LabelsReport;
use crate::drift::performance::{Label, MAX_CLASSES, Task};
use crate::drift::profile::Invalid;
use crate::error::{Error, Result};
use crate::tables::{Cell, Cells, Fold, fold};
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// All labels are in memory, 33 bytes each.
const LABELS_MAX: usize = 8 << 20;
/// In place of a label: one of another kind, and several that contradict each other.
const FAILED: f64 = f64::INFINITY;
const CONTRADICTORY: f64 = f64::NEG_INFINITY;

pub(super) struct Labels {
    inputs: Vec<Input>,
    hasher: Hasher,
    rows: u64,
    repeated: u64,
    contradictory: u64,
    /// Hashes of ids in their order, each with a number or the place of a class.
    known: Vec<(u128, f64)>,
    classes: Vec<String>,
    used: Vec<AtomicBool>,
    found: AtomicU64,
    without_id: u64,
    rows_without_id: AtomicU64,
}

/// What a row is found by. What is empty, blank or no number is no id: rows that lack theirs are not one row.
pub(super) fn id_of<'a>(cell: &'a Cell<'_>) -> Option<Cow<'a, str>> {
    cell.label().filter(|id| !matches!(id.trim(), "" | "NaN" | "nan"))
}

/// Hashes of 128 bits: two of 8 million ids have the same once in 10^25 times. Their keys are drawn anew each time, so
/// that nobody can look for such ids; nothing else depends on them.
#[derive(Clone, Default)]
struct Hasher([RandomState; 2]);

impl Hasher {
    fn hash(&self, id: &str) -> u128 {
        let [high, low] = self.0.each_ref().map(|state| u128::from(state.hash_one(id)));
        high << 64 | low
    }
}

impl Labels {
    /// Errors: the request names no ids, the files lack a column, more labels or classes than there is room for, or what
    /// reading gives.
    pub fn read(source: &Source, asked: &Performance, task: Task, threads: usize) -> Result<Self> {
        let Some(id) = asked.id.as_deref() else {
            return Err(Error::invalid("labels_id", "labels find their rows by the column of an id")
                .hint("name it with --id"));
        };
        let Some(table) = source.table() else {
            return Err(Error::invalid("labels_profile", "labels are rows, and not a profile"));
        };
        for name in [id, &asked.target] {
            let is_there = table.names().iter().any(|known| known == name) && !table.is_ambiguous(name);
            // Files may be empty as long as there is no label.
            if !is_there && !table.names().is_empty() {
                return Err(Error::invalid(
                    "labels_column",
                    format!("the labels have no column {name}, or two"),
                ));
            }
        }
        let reading = Reading { task, hasher: Hasher::default() };
        let read = fold(table, &[id, &asked.target], threads, &reading)?.unwrap_or_default();
        let Read { rows, without_id, mut known, classes, .. } = read;
        known.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let (all, mut contradictory) = (known.len(), 0);
        known.dedup_by(|next, first| {
            let is_same = next.0 == first.0;
            if is_same && next.1 != first.1 && first.1 != CONTRADICTORY {
                first.1 = CONTRADICTORY;
                contradictory += 1;
            }
            is_same
        });
        known.shrink_to_fit();
        Ok(Self {
            inputs: source.inputs()?,
            hasher: reading.hasher,
            rows,
            repeated: (all - known.len()) as u64,
            contradictory,
            used: known.iter().map(|_| AtomicBool::new(false)).collect(),
            known,
            classes,
            found: AtomicU64::new(0),
            without_id,
            rows_without_id: AtomicU64::new(0),
        })
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }

    fn find(&self, id: &Cell<'_>) -> Option<f64> {
        let Some(id) = id_of(id) else {
            self.rows_without_id.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let hash = self.hasher.hash(&id);
        let place = self.known.binary_search_by(|(known, _)| known.cmp(&hash)).ok()?;
        self.used[place].store(true, Ordering::Relaxed);
        self.found.fetch_add(1, Ordering::Relaxed);
        Some(self.known[place].1)
    }

    /// `None` if none came for this id. Those that contradict each other came, and say nothing.
    pub fn number(&self, id: &Cell<'_>) -> Option<Label<f64>> {
        Some(match self.find(id)? {
            CONTRADICTORY => Label::Missing,
            FAILED => Label::Failed,
            value => Label::Known(value),
        })
    }

    /// As [`Self::number`].
    pub fn class(&self, id: &Cell<'_>) -> Option<Label<&str>> {
        Some(match self.number(id)? {
            Label::Known(place) => {
                self.classes.get(place as usize).map_or(Label::Failed, |name| Label::Known(name))
            }
            Label::Missing => Label::Missing,
            Label::Failed => Label::Failed,
        })
    }

    fn matched(&self) -> u64 {
        self.used.iter().filter(|used| used.load(Ordering::Relaxed)).count() as u64
    }

    /// There are labels, and none of them was asked for.
    pub fn match_none(&self) -> bool {
        !self.known.is_empty() && self.matched() == 0
    }

    /// Once all rows have asked for theirs.
    pub fn report(self) -> LabelsReport {
        let matched = self.matched();
        LabelsReport {
            rows: self.rows,
            repeated: self.repeated,
            contradictory: self.contradictory,
            unmatched: self.known.len() as u64 - matched,
            rows_of_one_id: self.found.load(Ordering::Relaxed) - matched,
            without_id: self.without_id,
            rows_without_id: self.rows_without_id.load(Ordering::Relaxed),
            inputs: self.inputs,
        }
    }
}

struct Reading {
    task: Task,
    hasher: Hasher,
}

#[derive(Default)]
struct Read {
    rows: u64,
    without_id: u64,
    known: Vec<(u128, f64)>,
    classes: Vec<String>,
    places: HashMap<String, usize>,
}

impl Read {
    fn place(&mut self, class: &str) -> Result<f64, Invalid> {
        if let Some(place) = self.places.get(class) {
            return Ok(*place as f64);
        }
        let place = self.classes.len();
        if place == MAX_CLASSES {
            return Err(Invalid::new("the labels have more than 256 classes"));
        }
        self.classes.push(class.to_owned());
        self.places.insert(class.to_owned(), place);
        Ok(place as f64)
    }
}

fn refused(error: Invalid) -> Error {
    Error::invalid("labels_too_many", error.to_string())
}

impl Fold for Reading {
    type Made = Read;

    fn begin(&self, _: u64) -> Read {
        Read::default()
    }

    fn add(&self, made: &mut Read, columns: &[Cells<'_>]) -> Result<()> {
        for (id, target) in columns[0].iter().zip(columns[1].iter()) {
            made.rows += 1;
            let Some(id) = id_of(id) else {
                made.without_id += 1;
                continue;
            };
            let value = match self.task {
                Task::Regression => number_label(target),
                Task::Classification => match class_label(target) {
                    Label::Known(class) => Label::Known(made.place(&class).map_err(refused)?),
                    Label::Missing => Label::Missing,
                    Label::Failed => Label::Failed,
                },
            };
            match value {
                // It comes later still.
                Label::Missing => {}
                Label::Failed => made.known.push((self.hasher.hash(&id), FAILED)),
                Label::Known(value) => made.known.push((self.hasher.hash(&id), value)),
            }
        }
        Ok(())
    }

    fn merge(&self, mut made: Read, next: Read) -> Result<Read, Invalid> {
        let places = next.classes.iter().map(|class| made.place(class)).collect::<Result<Vec<_>, _>>()?;
        let moved = |(id, value): (u128, f64)| match self.task {
            Task::Classification if value != FAILED => (id, places[value as usize]),
            _ => (id, value),
        };
        made.rows += next.rows;
        made.without_id += next.without_id;
        made.known.extend(next.known.into_iter().map(moved));
        if made.known.len() > LABELS_MAX {
            return Err(Invalid::new("more than 8,388,608 labels; take those of a shorter time"));
        }
        Ok(made)
    }
}
