//! The Anderson–Darling test of two samples (Scholz and Stephens, "K-sample Anderson–Darling tests", Journal of the
//! American Statistical Association 82, 1987).

use super::ecdf::{Ecdf, steps};
use super::weighted_chi_square::anderson_darling_sf;
use std::f64::consts::PI;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AndersonDarling {
    /// `A² = nm / (n+m) · mean of (F - G)² / H(1 - H)` over all values of both samples, where `H` is their common
    /// distribution function: around 1 if nothing changed. Where values are tied, what holds just left and just right
    /// of them is averaged: the version with midranks alarms twice as often as it should where few values are distinct.
    pub statistic: f64,
    /// From the limit of the statistic in large samples, at any distance.
    pub p_value: f64,
}

/// `None` if a side is empty, if there are fewer than four values together, or if all are equal. With ties the p-value
/// is slightly conservative.
pub fn anderson_darling(reference: &Ecdf, current: &Ecdf) -> Option<AndersonDarling> {
    let (n, m) = (reference.len() as f64, current.len() as f64);
    let total = n + m;
    if total < 4.0 || constant(reference, current)? {
        return None;
    }
    let (mut sum, mut left) = (0.0, 0.0);
    for step in steps(reference, current) {
        let [f, c] = step.up_to().map(|count| count as f64);
        let rest = (n - f) + (m - c);
        let distance = f / n - c / m;
        let right = if rest > 0.0 { distance * distance / ((f + c) / total * (rest / total)) } else { 0.0 };
        sum += 0.5 * (left + right) * ((step.at[0] as f64 + step.at[1] as f64) / total);
        left = right;
    }
    let statistic = n / total * m * sum;
    // Scaled to the limit's mean 1 and variance 2 (π² - 9) / 3.
    let scaled = 1.0 + (statistic - 1.0) * (2.0 * (PI * PI - 9.0) / 3.0 / variance(n, m)).sqrt();
    Some(AndersonDarling { statistic, p_value: anderson_darling_sf(scaled) })
}

/// Whether all values are equal; `None` if a side is empty.
pub(super) fn constant(reference: &Ecdf, current: &Ecdf) -> Option<bool> {
    Some(reference.min()?.min(current.min()?) == reference.max()?.max(current.max()?))
}

/// The variance of `A²` for two samples (Scholz and Stephens 1987, equation 4).
pub(super) fn variance(n: f64, m: f64) -> f64 {
    let total = n + m;
    let big_h = 1.0 / n + 1.0 / m;
    let (h, g) = harmonic_sums(total);
    let a = (4.0 * g - 6.0) + (10.0 - 6.0 * g) * big_h;
    let b = 4.0 * (2.0 * g - 4.0) + 16.0 * h + (2.0 * g - 14.0 * h - 4.0) * big_h - 8.0 * h + 4.0 * g - 6.0;
    let c =
        4.0 * (6.0 * h + 2.0 * g - 2.0) + 2.0 * (4.0 * h - 4.0 * g + 6.0) + (2.0 * h - 6.0) * big_h + 4.0 * h;
    let d = 4.0 * (2.0 * h + 6.0) - 8.0 * h;
    // The polynomial over (N-1)(N-2)(N-3), divided through by N³.
    let r = 1.0 / total;
    (a + r * (b + r * (c + r * d))) / ((1.0 - r) * (1.0 - 2.0 * r) * (1.0 - 3.0 * r))
}

/// `Σ_{i=1}^{N-1} 1/i` and `Σ_{i=1}^{N-2} 1/(N-i) Σ_{j=i+1}^{N-1} 1/j`; for many values by their expansions, whose
/// error is below 1e-11 there.
fn harmonic_sums(total: f64) -> (f64, f64) {
    const SUMMED_MAX: f64 = 1e6;
    const EULER: f64 = 0.577_215_664_901_532_9;
    if total > SUMMED_MAX {
        let h = total.ln() + EULER - 0.5 / total;
        return (h, PI * PI / 6.0 - (2.0 * h + 1.0) / total);
    }
    let (mut inner, mut g, mut j) = (0.0, 0.0, 2.0);
    while j < total {
        inner += 1.0 / (total + 1.0 - j);
        g += inner / j;
        j += 1.0;
    }
    (inner + 1.0, g)
}
