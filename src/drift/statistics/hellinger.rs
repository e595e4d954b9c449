//! The Hellinger distance (1909), 0 to 1.

use super::shares::{comparable, shares};

/// `√(1 - Σ √(r c))` of shares over the same cells.
pub fn hellinger(reference: &[f64], current: &[f64]) -> f64 {
    let coefficient: f64 = reference.iter().zip(current).map(|(r, c)| (r * c).sqrt()).sum();
    (1.0 - coefficient.clamp(0.0, 1.0)).sqrt()
}

/// The same as `√(½ Σ (√r - √c)²)`, which keeps its accuracy for nearly equal sides; `None` if a side has no rows or
/// the cells differ.
pub fn of_counts(reference: &[u64], current: &[u64]) -> Option<f64> {
    comparable(reference, current).then(|| {
        let pairs = shares(reference).into_iter().zip(shares(current));
        (0.5 * pairs.map(|(r, c)| (r.sqrt() - c.sqrt()).powi(2)).sum::<f64>()).sqrt().min(1.0)
    })
}
