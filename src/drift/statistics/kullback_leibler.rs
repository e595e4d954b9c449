//! The Kullback–Leibler divergence (1951).

use super::shares::{comparable, smoothed};

/// `Σ r ln(r / c)` in nats of non-negative weights over the same cells, each side scaled to sum to 1; infinite where
/// only `c` is 0, NaN where a side is all 0.
pub fn kullback_leibler(reference: &[f64], current: &[f64]) -> f64 {
    let (r_sum, c_sum) = (reference.iter().sum::<f64>(), current.iter().sum::<f64>());
    if !(r_sum > 0.0 && c_sum > 0.0) {
        return f64::NAN;
    }
    reference.iter().zip(current).map(|(r, c)| relative_entropy(r / r_sum, c / c_sum)).sum()
}

/// `r ln(r / c)`, 0 where `r` is.
pub(super) fn relative_entropy(r: f64, c: f64) -> f64 {
    if r == 0.0 { 0.0 } else { r * (r / c).ln() }
}

/// The divergence of counts, smoothed by half a row a cell; `None` if a side has no rows or the cells differ.
pub fn of_counts(reference: &[u64], current: &[u64]) -> Option<f64> {
    comparable(reference, current).then(|| kullback_leibler(&smoothed(reference), &smoothed(current)))
}
