//! Whether a rate changed: missing values, violations of a schema, values out of range, refusals.

use super::chi_square::SPARSE;
use super::fisher_exact::fisher_exact;
use super::special::{normal_isf, normal_sf};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoProportion {
    /// The current rate minus the reference rate, -1 to 1.
    pub difference: f64,
    /// Newcombe's hybrid score interval of the difference.
    pub interval: (f64, f64),
    /// The pooled z statistic; 0 where the rates are both 0 or both 1.
    pub z: f64,
    /// Two-sided: from z, or exact where z would rest on fewer than five expected rows.
    pub p_value: f64,
    pub exact: bool,
}

/// `hits` of `rows` on each side, with an interval of the given `confidence` (such as 0.95; what lies outside of 0 to 1
/// counts as 0.95). Hits above the rows count as all rows. `None` if a side has no rows.
pub fn two_proportion(reference: (u64, u64), current: (u64, u64), confidence: f64) -> Option<TwoProportion> {
    let ((a, n), (b, m)) =
        ((reference.0.min(reference.1), reference.1), (current.0.min(current.1), current.1));
    if n == 0 || m == 0 {
        return None;
    }
    let (nf, mf) = (n as f64, m as f64);
    let (p, q) = (a as f64 / nf, b as f64 / mf);
    let z = pooled_z((a as f64, nf), (b as f64, mf));
    // The least expected count of the 2 × 2 table.
    let hits = a as f64 + b as f64;
    let exact = hits.min(nf + mf - hits) * (nf.min(mf) / (nf + mf)) < SPARSE;
    let p_value = if exact { fisher_exact(a, n, b, m) } else { 2.0 * normal_sf(z.abs()) };
    let confidence = if confidence > 0.0 && confidence < 1.0 { confidence } else { 0.95 };
    let interval = newcombe((q, mf), (p, nf), normal_isf(0.5 * (1.0 - confidence)));
    Some(TwoProportion { difference: q - p, interval, z, p_value, exact })
}

/// Cohen's h (1988), the difference of two rates on the scale on which their error does not depend on the rate.
pub fn cohens_h(p: f64, q: f64) -> f64 {
    (2.0 * p.clamp(0.0, 1.0).sqrt().asin() - 2.0 * q.clamp(0.0, 1.0).sqrt().asin()).abs()
}

/// `(b/m - a/n)` over its standard error under one common rate.
fn pooled_z((a, n): (f64, f64), (b, m): (f64, f64)) -> f64 {
    let common = (a + b) / (n + m);
    let error = (common * (1.0 - common) * (1.0 / n + 1.0 / m)).sqrt();
    if error > 0.0 { (b / m - a / n) / error } else { 0.0 }
}

/// The interval of `a - b` for two independent shares, each with its number of rows (Newcombe, "Interval estimation
/// for the difference between independent proportions", Statistics in Medicine 17, 1998, method 10).
fn newcombe((a, n): (f64, f64), (b, m): (f64, f64), z: f64) -> (f64, f64) {
    let ((a_low, a_high), (b_low, b_high)) = (wilson(a, n, z), wilson(b, m, z));
    let d = a - b;
    let low = d - (a - a_low).hypot(b_high - b);
    let high = d + (a_high - a).hypot(b - b_low);
    (low.max(-1.0), high.min(1.0))
}

/// Wilson's score interval (1927) of a share `p` of `n`, at `z` standard errors.
pub fn wilson(p: f64, n: f64, z: f64) -> (f64, f64) {
    let z2 = z * z;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    ((centre - half).clamp(0.0, p), (centre + half).clamp(p, 1.0))
}
