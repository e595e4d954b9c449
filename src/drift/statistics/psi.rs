//! The population stability index, the symmetrised Kullback–Leibler divergence of binned data (Jeffreys 1946; Siddiqi,
//! "Credit Risk Scorecards", 2006), with the threshold that its sampling error asks for.

use super::shares::{comparable, smoothed, total};
use super::special::{chi_square_isf, chi_square_sf};

/// `Σ (r - c) ln(r / c)` of shares over the same cells, in nats; infinite where only one of two is 0.
pub fn psi(reference: &[f64], current: &[f64]) -> f64 {
    reference.iter().zip(current).filter(|(r, c)| r != c).map(|(r, c)| (r - c) * (r / c).ln()).sum()
}

/// The index of counts, smoothed by half a row a cell; `None` if a side has no rows or the cells differ.
pub fn of_counts(reference: &[u64], current: &[u64]) -> Option<f64> {
    comparable(reference, current).then(|| psi(&smoothed(reference), &smoothed(current)))
}

/// What the index exceeds with chance `alpha` though nothing changed, for `n` and `m` rows over `cells` cells:
/// `(1/n + 1/m) χ²(cells - 1)` (Yurdakul and Naranjo, "Statistical properties of the population stability index",
/// Journal of Risk Model Validation 14, 2020). NaN unless `0 < alpha < 1`. Good where no cell is sparse.
pub fn threshold(n: f64, m: f64, cells: usize, alpha: f64) -> f64 {
    if cells < 2 { 0.0 } else { (1.0 / n + 1.0 / m) * chi_square_isf(alpha, cells as f64 - 1.0) }
}

/// The chance of an index at least this large though nothing changed, by the same law; `None` as [`of_counts`], and of
/// a single cell.
pub fn p_value(reference: &[u64], current: &[u64]) -> Option<f64> {
    let index = of_counts(reference, current)?;
    let scale = 1.0 / total(reference) + 1.0 / total(current);
    (reference.len() > 1).then(|| chi_square_sf(index / scale, reference.len() as f64 - 1.0))
}
