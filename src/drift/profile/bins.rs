//! Counts between edges a monitor fixed.

use super::invalid::{Invalid, require};
use super::{MAX_ROWS, add_rows, ascending};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const MAX_EDGES: usize = 1_025;

/// Counts of finite numbers in bins: bin i holds `edges[i] <= x < edges[i + 1]`, the last one also its upper edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bins {
    edges: Vec<f64>,
    below: u64,
    counts: Vec<u64>,
    above: u64,
}

impl Bins {
    /// Empty bins. Errors: fewer than 2 edges, more than 1,025, or edges that are not finite and rising.
    pub fn new(edges: Vec<f64>) -> Result<Self, Invalid> {
        let counts = vec![0; edges.len().saturating_sub(1)];
        let bins = Self { edges: edges.iter().map(|edge| edge + 0.0).collect(), below: 0, counts, above: 0 };
        bins.check().map(|()| bins)
    }

    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// One count for each bin: one fewer than edges.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Numbers below the first edge.
    pub fn below(&self) -> u64 {
        self.below
    }

    /// Numbers above the last edge.
    pub fn above(&self) -> u64 {
        self.above
    }

    /// All numbers, inside and outside.
    pub fn total(&self) -> u64 {
        self.counts
            .iter()
            .fold(self.below.saturating_add(self.above), |sum, count| sum.saturating_add(*count))
    }

    /// Adds the finite ones of these numbers, in any order.
    pub fn add(&mut self, values: &[f64]) {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        sorted.sort_unstable_by(ascending);
        self.add_sorted(&sorted);
    }

    /// Adds finite ascending numbers: one search for each edge instead of one for each number.
    pub(super) fn add_sorted(&mut self, values: &[f64]) {
        let last = self.counts.len();
        let mut before = 0;
        for (i, edge) in self.edges.iter().enumerate() {
            let rest = &values[before..];
            let here = rest.partition_point(|value| if i == last { value <= edge } else { value < edge });
            let count = if i == 0 { &mut self.below } else { &mut self.counts[i - 1] };
            *count += here as u64;
            before += here;
        }
        self.above += (values.len() - before) as u64;
    }

    /// The counts of both. Errors: other edges, or more than [`MAX_ROWS`] numbers.
    pub fn merge(&self, other: &Self) -> Result<Self, Invalid> {
        require(self.edges == other.edges, "bins with other edges cannot be merged")?;
        add_rows(self.total(), other.total())?;
        let counts = self.counts.iter().zip(&other.counts).map(|(a, b)| a + b).collect();
        let edges = self.edges.clone();
        Ok(Self { edges, below: self.below + other.below, counts, above: self.above + other.above })
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        require((2..=MAX_EDGES).contains(&self.edges.len()), "bins have 2 to 1,025 edges")?;
        require(self.counts.len() + 1 == self.edges.len(), "bins have one edge more than counts")?;
        require(self.edges.iter().all(|edge| edge.is_finite()), "an edge of a bin is not finite")?;
        require(self.edges.is_sorted_by(|a, b| a < b), "the edges of bins do not rise")?;
        require(self.total() <= MAX_ROWS, "more than 2^53 numbers in bins")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_half_open_and_the_last_is_closed() {
        let mut bins = Bins::new(vec![0.0, 1.0, 2.5]).unwrap();
        bins.add(&[2.5, -0.1, 0.0, 0.999, 1.0, 2.6, f64::MAX, -0.0]);
        assert_eq!((bins.below(), bins.counts(), bins.above()), (1, &[3, 2][..], 2));
        let both = bins.merge(&bins).unwrap();
        assert_eq!((both.counts(), both.total()), (&[6, 4][..], 16));
        assert_eq!(bins.total(), 8);
    }

    #[test]
    fn edges_must_rise_and_agree() {
        for edges in
            [vec![], vec![1.0], vec![1.0, 1.0], vec![2.0, 1.0], vec![0.0, f64::NAN], vec![0.0, f64::INFINITY]]
        {
            assert!(Bins::new(edges).is_err());
        }
        let [a, b] = [vec![0.0, 1.0], vec![0.0, 2.0]].map(|edges| Bins::new(edges).unwrap());
        assert!(a.merge(&b).is_err());
    }
}
