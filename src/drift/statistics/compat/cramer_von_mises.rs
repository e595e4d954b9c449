//! The Cramér–von Mises test as SciPy's `cramervonmises_2samp` and Evidently compute it.

use super::super::cramer_von_mises::{EXACT_MAX, exact_p, scaled};
use super::super::ecdf::{Ecdf, steps};
use super::super::kolmogorov::gcd;
use super::super::special::{bessel_k_damped, ln_gamma};
use std::f64::consts::PI;

/// Above this scaled `T`, p is given as 0.
const SERIES_MAX: f64 = 1e8;

/// `(T, p)`, by midranks: ties alone make `T` large and p small. p is `1 - cdf` of a series that stops at terms of
/// 1e-7: below about 1e-6 it is not the limit's tail, below 1e-9 rounding noise.
///
/// For at most 20 values a side p is exact. Evidently's own copy of that part counts in half and single precision,
/// or fails, with NumPy 2; this is what SciPy gives.
pub fn cramer_von_mises(reference: &Ecdf, current: &Ecdf) -> Option<(f64, f64)> {
    let (n, m) = (reference.len(), current.len());
    if n.min(m) < 2 {
        return None;
    }
    let (nf, mf) = (n as f64, m as f64);
    let product = nf * mf;
    let statistic =
        (twelve_u(reference, current) / product - 2.0 * (4.0 * product - 1.0)) / (12.0 * (nf + mf));
    if n.max(m) <= EXACT_MAX {
        // Rounded down to a sum that an order can have.
        let unit = unit(n, m);
        return Some((statistic, exact_p((statistic / unit + 1e-6).floor() * unit, n, m)));
    }
    let scaled = scaled(statistic, nf, mf);
    let p = match scaled {
        ..0.003 => 1.0,
        // Here the series takes as many terms as the root of this; no rounding noise is worth more.
        SERIES_MAX.. => 0.0,
        _ => (1.0 - limit_cdf(scaled)).max(0.0),
    };
    Some((statistic, p))
}

/// The step of the exact statistic.
fn unit(n: u64, m: u64) -> f64 {
    let lcm = n / gcd(n, m) * m;
    (n * m) as f64 / (lcm * lcm * (n + m) * (n + m)) as f64
}

/// `12 U`, where `U` is the criterion of Anderson's equation 10: of each sample the squared distances of its ranks in
/// both samples together from its own ranks, times its size. A whole number also with midranks.
fn twelve_u(reference: &Ecdf, current: &Ecdf) -> f64 {
    // Summed as a head and what rounding cut off (Neumaier 1974): the statistic is a small difference from it.
    let (mut head, mut rest) = (0.0_f64, 0.0_f64);
    let mut add = |term: f64| {
        let sum = head + term;
        rest += if head.abs() >= term.abs() { (head - sum) + term } else { (term - sum) + head };
        head = sum;
    };
    let (n, m) = (reference.len() as f64, current.len() as f64);
    // Of f tied values among which the other sample has g, after b of the other sample: midrank minus own ranks.
    let squares = |f: f64, g: f64, b: f64| f * (3.0 * (2.0 * b + g) * (2.0 * b + g) + (f - 1.0) * (f + 1.0));
    for step in steps(reference, current) {
        let ([f, g], [below_f, below_g]) = (step.at.map(|c| c as f64), step.below.map(|c| c as f64));
        add(n * squares(f, g, below_g));
        add(m * squares(g, f, below_f));
    }
    head + rest
}

/// The limit's distribution function by the series of Anderson and Darling (1952; Csörgő and Faraway 1996, 1.3), with
/// SciPy's end: the first term below 1e-7 is the last.
fn limit_cdf(x: f64) -> f64 {
    let mut sum = 0.0;
    for k in 0..100_000 {
        let k = f64::from(k);
        let y = 4.0 * k + 1.0;
        let factor = (ln_gamma(k + 0.5) - ln_gamma(k + 1.0)).exp() / (PI.powf(1.5) * x.sqrt());
        let term = factor * y.sqrt() * bessel_k_damped(0.25, y * y / (16.0 * x));
        sum += term;
        if term < 1e-7 {
            break;
        }
    }
    sum
}
