//! The Jensen–Shannon distance: the root of the divergence of Lin (1991), a metric (Endres and Schindelin 2003).

use super::kullback_leibler::relative_entropy;
use super::shares::{comparable, shares};

/// The base of the logarithm. Numbers of different bases must not be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// Nats: 0 to `√ln 2` = 0.8326, as SciPy and Evidently give it.
    E,
    /// Bits: 0 to 1, as NannyML gives it.
    Two,
}

/// The distance of non-negative weights over the same cells, each side scaled to sum to 1. No smoothing is needed;
/// NaN where a side is all 0.
pub fn jensen_shannon(reference: &[f64], current: &[f64], base: Base) -> f64 {
    let (r_sum, c_sum) = (reference.iter().sum::<f64>(), current.iter().sum::<f64>());
    if !(r_sum > 0.0 && c_sum > 0.0) {
        return f64::NAN;
    }
    let (mut left, mut right) = (0.0, 0.0);
    for (r, c) in reference.iter().zip(current) {
        let (r, c) = (r / r_sum, c / c_sum);
        let middle = 0.5 * (r + c);
        left += relative_entropy(r, middle);
        right += relative_entropy(c, middle);
    }
    let divergence = 0.5 * (left + right).max(0.0);
    match base {
        Base::E => divergence.sqrt(),
        Base::Two => (divergence / std::f64::consts::LN_2).sqrt().min(1.0),
    }
}

/// The distance of counts; `None` if a side has no rows or the cells differ.
pub fn of_counts(reference: &[u64], current: &[u64], base: Base) -> Option<f64> {
    comparable(reference, current).then(|| jensen_shannon(&shares(reference), &shares(current), base))
}
