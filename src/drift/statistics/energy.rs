//! The energy distance (Székely and Rizzo, "Energy statistics", Journal of Statistical Planning and Inference 143,
//! 2013).

use super::ecdf::Ecdf;
use super::wasserstein::integral;

/// `√(2 ∫ (F - G)² dx)`, in the square root of the values' unit; `None` if a side is empty.
pub fn energy(reference: &Ecdf, current: &Ecdf) -> Option<f64> {
    integral(reference, current, |d| d * d).map(|area| (2.0 * area).sqrt())
}
