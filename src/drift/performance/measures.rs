//! What is kept of answers with what they should have been: sums, which can be added and kept in a profile.

use super::super::profile::{Invalid, MAX_ROWS, Moments};
use super::classes::MAX_CLASSES;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Probabilities of a class are counted in so many bins of equal width.
pub const BINS: usize = 1_000;

/// `rows = unlabelled + failed +` those that are measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measures {
    /// The columns that were measured, where that is known: sums of others are not to be added or compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction: Option<String>,
    pub rows: u64,
    /// Rows without a label, which say nothing.
    pub unlabelled: u64,
    /// Labelled rows whose label or prediction is missing or of another kind.
    pub failed: u64,
    pub of: Of,
}

/// By task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    Classification(Classification),
    Regression(Regression),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Classification {
    /// Classes of labels and of predictions, by name.
    pub classes: Vec<String>,
    /// Places of the true and of the predicted class, and how many rows; in this order, where there are any.
    pub confusion: Vec<[u64; 3]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probabilities: Option<Probabilities>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probabilities {
    /// The class they are of, or all classes.
    pub of: Vec<String>,
    /// Rows whose probabilities are missing, not between 0 and 1, or do not add up to 1.
    pub unusable: u64,
    pub log_loss: Moments,
    pub brier: Moments,
    /// Of one class, by probability: rows of other classes and of this one, in two halves drawn at random.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bins: Vec<[u64; 4]>,
}

/// Predictions less what should have been predicted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Regression {
    pub error: Moments,
    pub absolute: Moments,
    pub square: Moments,
}

impl Measures {
    /// The same, as what was measured of these columns.
    pub fn of_columns(self, target: &str, prediction: &str) -> Self {
        Self { target: Some(target.to_owned()), prediction: Some(prediction.to_owned()), ..self }
    }

    /// Whether it was not measured of other columns than these.
    pub fn is_of(&self, target: &str, prediction: &str) -> bool {
        let is = |known: &Option<String>, name| known.as_deref().is_none_or(|known| known == name);
        is(&self.target, target) && is(&self.prediction, prediction)
    }

    /// Of both. Errors: different columns, tasks or classes of probabilities, or too many rows or classes.
    pub fn merge(&self, other: &Self) -> Result<Self, Invalid> {
        let is_same = self.target == other.target && self.prediction == other.prediction;
        holds(is_same, "performance of different targets or predictions")?;
        let of = match (&self.of, &other.of) {
            (Of::Classification(a), Of::Classification(b)) => Of::Classification(a.merge(b)?),
            (Of::Regression(a), Of::Regression(b)) => Of::Regression(Regression {
                error: a.error.merge(&b.error)?,
                absolute: a.absolute.merge(&b.absolute)?,
                square: a.square.merge(&b.square)?,
            }),
            _ => return Err(Invalid::new("performance of different tasks")),
        };
        let merged = Self {
            target: self.target.clone(),
            prediction: self.prediction.clone(),
            rows: self.rows.saturating_add(other.rows),
            unlabelled: self.unlabelled.saturating_add(other.unlabelled),
            failed: self.failed.saturating_add(other.failed),
            of,
        };
        merged.check().map(|()| merged)
    }

    /// Rows that are measured.
    pub fn measured(&self) -> u64 {
        self.rows.saturating_sub(self.unlabelled).saturating_sub(self.failed)
    }

    /// Errors: sums that no rows have.
    pub fn check(&self) -> Result<(), Invalid> {
        let without = self.unlabelled.checked_add(self.failed).filter(|without| *without <= self.rows);
        let measured = match &self.of {
            Of::Classification(it) => it.check()?,
            Of::Regression(Regression { error, absolute, square }) => {
                [error, absolute, square].into_iter().try_for_each(Moments::check)?;
                let n = error.count();
                holds(n == absolute.count() && n == square.count(), "errors of different numbers of rows")?;
                n
            }
        };
        holds(self.rows <= MAX_ROWS, "more than 2^53 rows")?;
        holds(without.is_some() && measured == self.measured(), "performance of another number of rows")
    }
}

impl Classification {
    pub fn total(&self) -> u64 {
        self.confusion.iter().fold(0, |sum, cell| sum.saturating_add(cell[2]))
    }

    /// Rows whose prediction is right.
    pub fn right(&self) -> u64 {
        self.confusion.iter().filter(|[t, p, _]| t == p).fold(0, |sum, cell| sum.saturating_add(cell[2]))
    }

    /// How many rows are of each class.
    pub fn actual(&self) -> BTreeMap<&str, u64> {
        self.counts(0)
    }

    /// How many rows were taken for each class.
    pub fn predicted(&self) -> BTreeMap<&str, u64> {
        self.counts(1)
    }

    fn counts(&self, by: usize) -> BTreeMap<&str, u64> {
        let mut counts: BTreeMap<&str, u64> = self.classes.iter().map(|name| (name.as_str(), 0)).collect();
        for cell in &self.confusion {
            *counts.entry(self.name(cell[by])).or_default() += cell[2];
        }
        counts
    }

    pub fn name(&self, place: u64) -> &str {
        self.classes.get(place as usize).map_or("", String::as_str)
    }

    fn merge(&self, other: &Self) -> Result<Self, Invalid> {
        let mut classes: Vec<String> = self.classes.iter().chain(&other.classes).cloned().collect();
        classes.sort_unstable();
        classes.dedup();
        let mut cells: BTreeMap<[u64; 2], u64> = BTreeMap::new();
        for side in [self, other] {
            let place = |class: u64| classes.partition_point(|name| name.as_str() < side.name(class)) as u64;
            for [target, prediction, rows] in &side.confusion {
                let cell = cells.entry([place(*target), place(*prediction)]).or_default();
                *cell = cell.saturating_add(*rows);
            }
        }
        let probabilities = match (&self.probabilities, &other.probabilities) {
            (Some(a), Some(b)) => Some(a.merge(b)?),
            (None, None) => None,
            _ => return Err(Invalid::new("performance with and without probabilities")),
        };
        let confusion = cells.into_iter().map(|([t, p], rows)| [t, p, rows]).collect();
        Ok(Self { classes, confusion, probabilities })
    }

    /// How many rows there are.
    fn check(&self) -> Result<u64, Invalid> {
        holds(self.classes.len() <= MAX_CLASSES, "more than 256 classes")?;
        holds(self.classes.is_sorted_by(|a, b| a < b), "classes that are not in their order")?;
        let cells = |cell: &[u64; 3]| [cell[0], cell[1]];
        let known = self
            .confusion
            .iter()
            .all(|[t, p, rows]| (*t).max(*p) < self.classes.len() as u64 && (1..=MAX_ROWS).contains(rows));
        let ordered = self.confusion.is_sorted_by(|a, b| cells(a) < cells(b));
        holds(known && ordered, "a confusion matrix that is none")?;
        if let Some(it) = &self.probabilities {
            it.log_loss.check()?;
            it.brier.check()?;
            let n = it.log_loss.count();
            let binned = it.bins.iter().flatten().fold(0_u64, |sum, rows| sum.saturating_add(*rows));
            let bins =
                if it.of.len() == 1 { it.bins.len() == BINS && binned == n } else { it.bins.is_empty() };
            let all = n.saturating_add(it.unusable);
            let fits = n == it.brier.count() && all == self.total() && !it.of.is_empty();
            holds(bins && fits && it.of.is_sorted_by(|a, b| a < b), "probabilities that fit no rows")?;
        }
        Ok(self.total())
    }
}

impl Probabilities {
    fn merge(&self, other: &Self) -> Result<Self, Invalid> {
        holds(self.of == other.of, "probabilities of different classes")?;
        let bins = self.bins.iter().zip(&other.bins);
        let sum = |(a, b): (&[u64; 4], &[u64; 4])| std::array::from_fn(|i| a[i].saturating_add(b[i]));
        Ok(Self {
            of: self.of.clone(),
            unusable: self.unusable.saturating_add(other.unusable),
            log_loss: self.log_loss.merge(&other.log_loss)?,
            brier: self.brier.merge(&other.brier)?,
            bins: bins.map(sum).collect(),
        })
    }
}

fn holds(holds: bool, why: &str) -> Result<(), Invalid> {
    if holds { Ok(()) } else { Err(Invalid::new(why)) }
}
