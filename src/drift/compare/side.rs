//! One side of a comparison: the reference or what is current.

use super::super::profile::{Bins, Kind};
use super::super::statistics::Ecdf;
use std::collections::BTreeMap;

/// A table, column by column. Of two columns with one name neither is compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    pub rows: u64,
    pub columns: Vec<Column>,
}

/// A column: `rows = missing + failed +` the number of its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    pub rows: u64,
    /// Rows without a value.
    pub missing: u64,
    /// Rows whose value is not of the column's kind.
    pub failed: u64,
    pub values: Values,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    Numeric(Sample),
    Time(Sample),
    Categorical(Categories),
    /// The categories `false` and `true`.
    Boolean(Categories),
    /// Lengths of texts, and how many different texts there are (an estimate, if so many).
    Text {
        lengths: Sample,
        distinct: Option<u64>,
    },
}

/// Numbers or times.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// The finite ones.
    pub ecdf: Ecdf,
    /// The least and the greatest finite value, exact also where the rest is a sketch.
    pub range: Option<(f64, f64)>,
    /// NaN and infinities.
    pub not_finite: u64,
    /// By which share of the values any rank of `ecdf` may be off, for all ranks at once: 0 if exact.
    pub rank_error: f64,
    /// Exact counts in bins that were fixed beforehand.
    pub bins: Option<Bins>,
}

/// Categories with the number of rows of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Categories {
    pub counts: BTreeMap<String, u64>,
    /// Rows of all categories, also of those not counted.
    pub total: u64,
    /// By how much any count may be too low: 0 if exact.
    pub error: u64,
}

impl Column {
    /// Numbers that are there, in any order, and rows that have none.
    pub fn numeric(name: &str, values: Vec<f64>, missing: u64, failed: u64) -> Self {
        Self::new(name, Values::Numeric(Sample::exact(values)), missing, failed)
    }

    /// Microseconds since 1970, UTC.
    pub fn time(name: &str, values: &[i64], missing: u64, failed: u64) -> Self {
        let values = values.iter().map(|value| *value as f64).collect();
        Self::new(name, Values::Time(Sample::exact(values)), missing, failed)
    }

    pub fn categorical(name: &str, counts: BTreeMap<String, u64>, missing: u64, failed: u64) -> Self {
        Self::new(name, Values::Categorical(Categories::exact(counts)), missing, failed)
    }

    pub fn boolean(name: &str, no: u64, yes: u64, missing: u64, failed: u64) -> Self {
        Self::new(name, Values::Boolean(Categories::boolean(no, yes)), missing, failed)
    }

    pub fn new(name: &str, values: Values, missing: u64, failed: u64) -> Self {
        let rows = values.total().saturating_add(missing).saturating_add(failed);
        Self { name: name.to_owned(), rows, missing, failed, values }
    }

    pub fn kind(&self) -> Kind {
        match self.values {
            Values::Numeric(_) => Kind::Numeric,
            Values::Time(_) => Kind::Time,
            Values::Categorical(_) => Kind::Categorical,
            Values::Boolean(_) => Kind::Boolean,
            Values::Text { .. } => Kind::Text,
        }
    }

    /// Whether every number about it is exact.
    pub fn is_exact(&self) -> bool {
        match &self.values {
            Values::Numeric(sample) | Values::Time(sample) | Values::Text { lengths: sample, .. } => {
                sample.error() == 0.0
            }
            Values::Categorical(categories) | Values::Boolean(categories) => categories.error == 0,
        }
    }
}

impl Values {
    /// Values, whether finite or not.
    pub fn total(&self) -> u64 {
        self.finite().saturating_add(self.not_finite())
    }

    /// Values a distribution is made of.
    pub fn finite(&self) -> u64 {
        match self {
            Self::Numeric(sample) | Self::Time(sample) | Self::Text { lengths: sample, .. } => {
                sample.ecdf.len()
            }
            Self::Categorical(categories) | Self::Boolean(categories) => categories.total,
        }
    }

    pub fn not_finite(&self) -> u64 {
        match self {
            Self::Numeric(sample) => sample.not_finite,
            _ => 0,
        }
    }
}

impl Sample {
    /// The rank error; what cannot be one tells nothing of the ranks.
    pub(super) fn error(&self) -> f64 {
        if (0.0..=1.0).contains(&self.rank_error) { self.rank_error } else { 1.0 }
    }

    /// The range, if it is one.
    pub(super) fn bounds(&self) -> Option<(f64, f64)> {
        self.range.filter(|(min, max)| min <= max && min.is_finite() && max.is_finite())
    }

    pub fn exact(values: Vec<f64>) -> Self {
        let all = values.len() as u64;
        let ecdf = Ecdf::new(values);
        let not_finite = all.saturating_sub(ecdf.len());
        Self { range: ecdf.min().zip(ecdf.max()), ecdf, not_finite, rank_error: 0.0, bins: None }
    }
}

impl Categories {
    pub fn exact(mut counts: BTreeMap<String, u64>) -> Self {
        counts.retain(|_, count| *count > 0);
        let total = counts.values().fold(0, |sum: u64, count| sum.saturating_add(*count));
        Self { counts, total, error: 0 }
    }

    pub fn boolean(no: u64, yes: u64) -> Self {
        Self::exact(BTreeMap::from([("false".to_owned(), no), ("true".to_owned(), yes)]))
    }
}
