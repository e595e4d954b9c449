//! Sides from profiles.

use super::super::profile::{self, ColumnProfile, Distinct, Numbers, Profile};
use super::super::statistics::Ecdf;
use super::side::{Categories, Column, Sample, Side, Values};

/// The chance that some rank of a sketch is off by more than its stated error. It is added to each p-value that rests
/// on a sketch.
pub const RANK_ERROR_CHANCE: f64 = 1e-9;

impl From<&Profile> for Side {
    /// A column that no part of the profile had is left out.
    fn from(profile: &Profile) -> Self {
        let there = profile.columns().iter().filter(|column| column.rows() > 0 || column.absent() == 0);
        Self { rows: profile.rows(), columns: there.map(Column::from).collect() }
    }
}

impl From<&ColumnProfile> for Column {
    /// Rows of parts that lack the column count as missing.
    fn from(column: &ColumnProfile) -> Self {
        let values = match column.values() {
            profile::Values::Numeric(numbers) => Values::Numeric(numbers.into()),
            profile::Values::Time(numbers) => Values::Time(numbers.into()),
            profile::Values::Boolean { no, yes } => Values::Boolean(Categories::boolean(*no, *yes)),
            profile::Values::Categorical { frequent, .. } => Values::Categorical(Categories {
                counts: frequent.items().into_iter().map(|(item, count)| (item.to_owned(), count)).collect(),
                total: frequent.total(),
                error: frequent.error(),
            }),
            profile::Values::Text { distinct, lengths } => {
                Values::Text { lengths: lengths.into(), distinct: Some(Distinct::count(distinct)) }
            }
        };
        Self::new(column.name(), values, column.missing().saturating_add(column.absent()), column.failed())
    }
}

impl From<&Numbers> for Sample {
    fn from(numbers: &Numbers) -> Self {
        let quantiles = numbers.quantiles();
        let others = [numbers.not_a_number(), numbers.negative_infinities(), numbers.positive_infinities()];
        Self {
            ecdf: Ecdf::weighted(&quantiles.points()),
            range: quantiles.min().zip(quantiles.max()),
            not_finite: others.into_iter().fold(0, u64::saturating_add),
            rank_error: quantiles.uniform_rank_error(RANK_ERROR_CHANCE),
            bins: numbers.bins().cloned(),
        }
    }
}
