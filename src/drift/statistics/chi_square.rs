//! Pearson's chi-square tests (1900): of two samples against each other, and of one against given expectations.

use super::shares::{comparable, total};
use super::special::chi_square_sf;

/// A cell is sparse where fewer rows than this are expected in it (Cochran 1954).
pub const SPARSE: f64 = 5.0;

/// Cells with the sparse ones poured together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pooled {
    pub reference: Vec<u64>,
    pub current: Vec<u64>,
    /// The cells that were poured together, ascending; their sums are the last cell.
    pub pooled: Vec<usize>,
}

/// Pours into one cell all cells in which fewer than five rows of the smaller side are expected if nothing changed,
/// and with them the next smallest until five are expected in it. Which cells these are depends on both sides'
/// sums only, so that a test on what is left stays honest.
pub fn pool(reference: &[u64], current: &[u64]) -> Pooled {
    let (n, m) = (total(reference), total(current));
    let sums: Vec<f64> = reference.iter().zip(current).map(|(r, c)| *r as f64 + *c as f64).collect();
    let expected = |sum: f64| sum * n.min(m) / (n + m);
    let mut order: Vec<usize> = (0..sums.len()).collect();
    order.sort_by(|a, b| sums[*a].total_cmp(&sums[*b]).then(b.cmp(a)));
    let mut pooled = vec![];
    let mut sum = 0.0;
    for cell in order {
        if expected(sums[cell]) < SPARSE || (!pooled.is_empty() && expected(sum) < SPARSE) {
            pooled.push(cell);
            sum += sums[cell];
        }
    }
    pooled.sort_unstable();
    let pour = |counts: &[u64]| {
        let kept = (0..sums.len()).filter(|cell| pooled.binary_search(cell).is_err());
        let mut cells: Vec<u64> = kept.map(|cell| counts[cell]).collect();
        if !pooled.is_empty() {
            cells.push(pooled.iter().fold(0, |sum: u64, cell| sum.saturating_add(counts[*cell])));
        }
        cells
    };
    Pooled { reference: pour(reference), current: pour(current), pooled }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChiSquare {
    pub statistic: f64,
    pub degrees_of_freedom: f64,
    pub p_value: f64,
    /// Cramér's V without its bias (Bergsma 2013), 0 to 1: the effect.
    pub cramers_v: f64,
}

/// Whether two samples have the same shares: the test of a 2 × k table, without continuity correction. Both sides are
/// taken as samples, unlike in [`goodness_of_fit`]. Cells that are empty on both sides do not count. [`pool`] sparse
/// cells first. `None` if a side has no rows, the cells differ, or fewer than two are not empty.
pub fn contingency(reference: &[u64], current: &[u64]) -> Option<ChiSquare> {
    if !comparable(reference, current) {
        return None;
    }
    let (n, m) = (total(reference), total(current));
    let (mut statistic, mut cells) = (0.0, 0_u32);
    for (r, c) in reference.iter().zip(current).filter(|(r, c)| **r > 0 || **c > 0) {
        let (r, c) = (*r as f64, *c as f64);
        // Both expectations at once: (r - n s)² / (n s) + (c - m s)² / (m s) for s = (r + c) / (n + m).
        let difference = r * (m / (n + m)) - c * (n / (n + m));
        statistic += difference * difference * (n + m) / (r + c) * ((n + m) / n / m);
        cells += 1;
    }
    let degrees_of_freedom = f64::from(cells.checked_sub(1).filter(|df| *df > 0)?);
    let p_value = chi_square_sf(statistic, degrees_of_freedom);
    // Of a table with two rows the smaller corrected dimension is always the rows'.
    let rest = n + m - 1.0;
    let phi2 = (statistic / (n + m) - degrees_of_freedom / rest).max(0.0);
    let cramers_v = if phi2 > 0.0 { (phi2 / (1.0 - 1.0 / rest)).min(1.0).sqrt() } else { 0.0 };
    Some(ChiSquare { statistic, degrees_of_freedom, p_value, cramers_v })
}

/// Whether one sample has the shares of the reference, which are taken as known exactly: `(statistic, p)`. A row in a
/// cell that the reference lacks makes the statistic infinite and p 0. `None` as for [`contingency`].
pub fn goodness_of_fit(reference: &[u64], current: &[u64]) -> Option<(f64, f64)> {
    if !comparable(reference, current) {
        return None;
    }
    let scale = total(current) / total(reference);
    let (mut statistic, mut cells) = (0.0, 0_u32);
    for (r, c) in reference.iter().zip(current).filter(|(r, c)| **r > 0 || **c > 0) {
        let expected = *r as f64 * scale;
        statistic += (*c as f64 - expected) * (*c as f64 - expected) / expected;
        cells += 1;
    }
    let degrees_of_freedom = cells.checked_sub(1).filter(|df| *df > 0)?;
    Some((statistic, chi_square_sf(statistic, f64::from(degrees_of_freedom))))
}
