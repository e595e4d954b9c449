//! Everything a profile keeps of a column of numbers.

use super::invalid::{Invalid, require};
use super::{Bins, Distinct, Moments, Quantiles, Seed, Settings, add_rows, ascending};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Numbers. Moments, quantiles, distinct count and bins are of the finite ones; the others are counted apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Numbers {
    pub(super) not_a_number: u64,
    pub(super) negative_infinities: u64,
    pub(super) positive_infinities: u64,
    pub(super) moments: Moments,
    pub(super) quantiles: Quantiles,
    pub(super) distinct: Distinct,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bins: Option<Bins>,
}

impl Numbers {
    /// Errors: settings out of bounds.
    pub(super) fn new(seed: Seed, settings: &Settings, bins: Option<Bins>) -> Result<Self, Invalid> {
        Ok(Self {
            not_a_number: 0,
            negative_infinities: 0,
            positive_infinities: 0,
            moments: Moments::default(),
            quantiles: Quantiles::new(seed, settings)?,
            distinct: Distinct::default(),
            bins,
        })
    }

    /// NaN, which is a value that is there and no number; what is not there is missing.
    pub fn not_a_number(&self) -> u64 {
        self.not_a_number
    }

    pub fn negative_infinities(&self) -> u64 {
        self.negative_infinities
    }

    pub fn positive_infinities(&self) -> u64 {
        self.positive_infinities
    }

    pub fn moments(&self) -> &Moments {
        &self.moments
    }

    pub fn quantiles(&self) -> &Quantiles {
        &self.quantiles
    }

    pub fn bins(&self) -> Option<&Bins> {
        self.bins.as_ref()
    }

    /// Different finite numbers, and the standard error as a share of them: exact as long as the quantiles are.
    pub fn distinct(&self) -> (u64, f64) {
        match self.quantiles.different() {
            Some(exact) => (exact, 0.0),
            None => (self.distinct.count(), self.distinct.relative_error()),
        }
    }

    pub(super) fn total(&self) -> u64 {
        let others = [self.not_a_number, self.negative_infinities, self.positive_infinities];
        others.into_iter().fold(self.quantiles.count(), u64::saturating_add)
    }

    /// How many numbers to add together.
    pub(super) fn block(&self, halvings: u32) -> usize {
        let halvings = if self.is_halved(halvings) { halvings.min(3) } else { 0 };
        self.quantiles.block() << halvings
    }

    fn is_halved(&self, halvings: u32) -> bool {
        halvings > 0 && self.bins.is_none() && !self.quantiles.is_exact()
    }

    /// Adds numbers and empties the list; the sketch may see one of 2^`halvings` only. The bytes of a profile depend on how
    /// numbers are cut into blocks.
    pub(super) fn add(&mut self, block: &mut Vec<f64>, halvings: u32) {
        if !block.iter().fold(true, |all, value| all & value.is_finite()) {
            block.retain(|value| value.is_finite() || self.count_special(*value));
        }
        block.iter_mut().for_each(|value| *value += 0.0);
        // A short block is left over, or has many that are not finite.
        if self.is_halved(halvings) && block.len() >= 64 << halvings {
            // Most of the time goes into sorting, which nothing else asks for.
            self.moments.add(block);
            self.distinct.add_numbers(block);
            let range = self.moments.min().zip(self.moments.max());
            self.quantiles.add_halved(block, range, halvings);
            return block.clear();
        }
        block.sort_unstable_by(ascending);
        self.moments.add(block);
        self.quantiles.add_sorted(block);
        block.chunk_by(|a, b| a == b).for_each(|run| self.distinct.add_number(run[0]));
        if let Some(bins) = &mut self.bins {
            bins.add_sorted(block);
        }
        block.clear();
    }

    /// Counts a number that is not finite; it is not retained.
    fn count_special(&mut self, value: f64) -> bool {
        let count = if value.is_nan() {
            &mut self.not_a_number
        } else if value < 0.0 {
            &mut self.negative_infinities
        } else {
            &mut self.positive_infinities
        };
        *count += 1;
        false
    }

    /// Errors: bins with other edges, or too many rows.
    pub(super) fn merge(&self, other: &Self) -> Result<Self, Invalid> {
        let bins = match (&self.bins, &other.bins) {
            (Some(a), Some(b)) => Some(a.merge(b)?),
            (None, None) => None,
            _ => return Err(Invalid::new("bins in one of the two only")),
        };
        Ok(Self {
            not_a_number: add_rows(self.not_a_number, other.not_a_number)?,
            negative_infinities: add_rows(self.negative_infinities, other.negative_infinities)?,
            positive_infinities: add_rows(self.positive_infinities, other.positive_infinities)?,
            moments: self.moments.merge(&other.moments)?,
            quantiles: self.quantiles.merge(&other.quantiles)?,
            distinct: self.distinct.merge(&other.distinct),
            bins,
        })
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        self.moments.check()?;
        self.quantiles.check()?;
        let count = self.quantiles.count();
        self.distinct.check(count)?;
        if let Some(bins) = &self.bins {
            bins.check()?;
            require(bins.total() == count, "the bins do not hold all numbers")?;
        }
        let moments = (self.moments.count(), self.moments.min(), self.moments.max());
        let quantiles = (count, self.quantiles.min(), self.quantiles.max());
        require(moments == quantiles, "moments and quantiles are not of the same numbers")?;
        if !self.quantiles.is_exact() {
            return Ok(());
        }
        let mut distinct = Distinct::default();
        self.quantiles.points().iter().for_each(|(value, _)| distinct.add_number(*value));
        require(self.distinct == distinct, "the different values counted are not those listed")
    }
}
