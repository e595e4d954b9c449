//! The two-sample Kolmogorov–Smirnov test, two-sided.

use super::ecdf::{Ecdf, steps};
use super::kolmogorov::{gcd, survival, two_sample_exact};

/// Up to this size of the larger sample the p-value is exact, as SciPy's `auto` has it.
pub const EXACT_MAX: u64 = 10_000;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ks {
    /// `D`, the largest distance of the two distribution functions, 0 to 1.
    pub statistic: f64,
    /// The value at which it is reached first.
    pub location: f64,
    /// Whether the reference's distribution function is the higher one there: the current values lie higher.
    pub upward: bool,
    pub p_value: f64,
    pub exact: bool,
}

/// `None` if a side is empty. With ties the p-value is conservative.
pub fn ks(reference: &Ecdf, current: &Ecdf) -> Option<Ks> {
    if reference.is_empty() || current.is_empty() {
        return None;
    }
    let (n, m) = (reference.len(), current.len());
    let g = gcd(n, m);
    let (ng, mg) = (i128::from(n / g), i128::from(m / g));
    // In units of 1 / lcm(n, m), so without rounding.
    let (mut most, mut location, mut upward) = (0_i128, reference.min()?, true);
    for step in steps(reference, current) {
        let [f, c] = step.up_to().map(i128::from);
        let distance = f * mg - c * ng;
        if distance.abs() > most {
            (most, location, upward) = (distance.abs(), step.value, distance > 0);
        }
    }
    let statistic = most as f64 / (n as f64 * mg as f64);
    let exact = n.max(m) <= EXACT_MAX;
    let p_value =
        if exact { two_sample_exact(n, m, most.unsigned_abs()) } else { asymptotic(n, m, statistic) };
    Some(Ks { statistic, location, upward, p_value, exact })
}

/// The p-value of `D` for two large samples of `n` and `m` values.
pub fn asymptotic(n: u64, m: u64, statistic: f64) -> f64 {
    let (n, m) = (n as f64, m as f64);
    survival((n * m / (n + m)).round_ties_even(), statistic)
}
