//! The Anderson–Darling test as SciPy's `anderson_ksamp` and Evidently compute it.

use super::super::anderson_darling::{constant, variance};
use super::super::ecdf::{Ecdf, steps};

/// `((A² - 1) / σ, p)` with midranks for ties (Scholz and Stephens 1987, equation 7). p is interpolated in their table 2
/// and never below 0.001 or above 0.25. `None` if a side is empty, if there are fewer than four values together, or if
/// all are equal.
pub fn anderson_darling(reference: &Ecdf, current: &Ecdf) -> Option<(f64, f64)> {
    let (n, m) = (reference.len() as f64, current.len() as f64);
    let total = n + m;
    if total < 4.0 || constant(reference, current)? {
        return None;
    }
    let mut sum = 0.0;
    for step in steps(reference, current) {
        let [f, g] = step.at.map(|count| count as f64);
        let [below_f, below_g] = step.below.map(|count| count as f64);
        // Midranks: half of the tied values count as below.
        let (a, b) = (below_f + 0.5 * f, below_g + 0.5 * g);
        let (tied, below) = (f + g, a + b);
        let weight = below * (total - below) - 0.25 * total * tied;
        sum += tied / weight * (m * a - n * b) * (m * a - n * b) / (n * m);
    }
    let statistic = (sum * (total - 1.0) / total - 1.0) / variance(n, m).sqrt();
    Some((statistic, interpolated(statistic)))
}

/// A parabola of `ln p` through the critical values of Scholz and Stephens' table 2 at one degree of freedom, by least
/// squares.
fn interpolated(statistic: f64) -> f64 {
    const CRITICAL: [f64; 7] = [
        0.675 - 0.245 - 0.105,
        1.281 + 0.25 - 0.305,
        1.645 + 0.678 - 0.362,
        1.96 + 1.149 - 0.391,
        2.326 + 1.822 - 0.396,
        2.573 + 2.364 - 0.345,
        3.085 + 3.615 - 0.154,
    ];
    const LEVELS: [f64; 7] = [0.25, 0.1, 0.05, 0.025, 0.01, 0.005, 0.001];
    if statistic < CRITICAL[0] {
        return LEVELS[0];
    }
    if statistic > CRITICAL[6] {
        return LEVELS[6];
    }
    // Polynomials that are orthogonal over the critical values (Forsythe 1957) need no system of equations.
    let centre = CRITICAL.iter().sum::<f64>() / 7.0;
    let moment = |power: i32| CRITICAL.iter().map(|c| (c - centre).powi(power)).sum::<f64>();
    let linear = |x: f64| x - centre;
    let square = |x: f64| linear(x) * (linear(x) - moment(3) / moment(2)) - moment(2) / 7.0;
    let basis: [&dyn Fn(f64) -> f64; 3] = [&|_| 1.0, &linear, &square];
    let log: f64 = basis
        .iter()
        .map(|f| {
            let (over, under) = CRITICAL.iter().zip(LEVELS).fold((0.0, 0.0), |(over, under), (c, level)| {
                (over + f(*c) * level.ln(), under + f(*c) * f(*c))
            });
            f(statistic) * over / under
        })
        .sum();
    log.exp()
}
