//! The first Wasserstein distance: how far, on average, the mass of one distribution must move to become the other.

use super::ecdf::{Ecdf, steps};

/// `∫ |F - G| dx`, in the unit of the values; `None` if a side is empty.
pub fn wasserstein(reference: &Ecdf, current: &Ecdf) -> Option<f64> {
    integral(reference, current, f64::abs)
}

/// The distance in standard deviations (divisor `n`) of the reference, which count as at least 0.001.
pub fn normalised(reference: &Ecdf, current: &Ecdf) -> Option<f64> {
    Some(wasserstein(reference, current)? / reference.variance()?.sqrt().max(0.001))
}

/// `∫ g(F - G) dx` between the least and the greatest value.
pub(super) fn integral(reference: &Ecdf, current: &Ecdf, g: impl Fn(f64) -> f64) -> Option<f64> {
    if reference.is_empty() || current.is_empty() {
        return None;
    }
    let (n, m) = (reference.len() as f64, current.len() as f64);
    let (mut sum, mut height, mut last) = (0.0, 0.0, 0.0);
    for step in steps(reference, current) {
        // Zero height first: the first step has no left neighbour, and 0 · ∞ must not be formed.
        if height != 0.0 {
            sum += height * (step.value - last);
        }
        let [f, c] = step.up_to();
        height = g(f as f64 / n - c as f64 / m);
        last = step.value;
    }
    Some(sum)
}
