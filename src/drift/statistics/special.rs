//! Special functions with relative accuracy about 1e-13 wherever the result is a normal f64, so that a p-value of
//! 1e-300 is right in its digits and not only in being small.

use std::f64::consts::{PI, SQRT_2, TAU};

/// The smallest positive f64 that keeps a continued fraction off zero (Lentz's method).
const TINY: f64 = 1e-300;
/// A series or continued fraction needs about the square root of its largest parameter in steps.
const STEPS: usize = 5_000_000;

/// The error of Stirling's formula: `ln Γ(z+1) - (z+½) ln z + z - ½ ln 2π` for `z > 0`; 0 at and below 0.
///
/// Loader, "Fast and accurate computation of binomial probabilities" (2000), extended to real `z` by the recurrence
/// `δ(z) = δ(z+1) + (z+½) ln(1+1/z) - 1`.
pub fn stirling_error(z: f64) -> f64 {
    if z <= 0.0 {
        return 0.0;
    }
    let (mut at, mut sum) = (z, 0.0);
    while at < 15.0 {
        sum += (at + 0.5) * (1.0 / at).ln_1p() - 1.0;
        at += 1.0;
    }
    let r = 1.0 / (at * at);
    let series = 1.0 / 12.0
        - r * (1.0 / 360.0
            - r * (1.0 / 1260.0 - r * (1.0 / 1680.0 - r * (1.0 / 1188.0 - r * 691.0 / 360_360.0))));
    sum + series / at
}

/// `ln Γ(z)` for `z > 0`; infinite at and below 0.
pub fn ln_gamma(z: f64) -> f64 {
    if z <= 0.0 {
        return f64::INFINITY;
    }
    // Near 1 and 2 the result is near 0: step away from there, where the terms would cancel.
    (z + 0.5) * z.ln() - z + 0.5 * TAU.ln() + stirling_error(z) - z.ln()
}

/// The deviance `x ln(x/m) + m - x`, without cancellation where `x` is near `m` (Loader 2000, `bd0`).
pub fn deviance(x: f64, m: f64) -> f64 {
    if x <= 0.0 {
        return m;
    }
    deviance_by(x, m, x - m)
}

/// As [`deviance`], where the caller knows `x - m` better than a subtraction would.
fn deviance_by(x: f64, m: f64, difference: f64) -> f64 {
    if difference.abs() >= 0.1 * (x + m) {
        return x * (x / m).ln() - difference;
    }
    let v = difference / (x + m);
    let (mut sum, mut power) = (difference * v, 2.0 * x * v);
    for j in 1..1000 {
        power *= v * v;
        let next = sum + power / f64::from(2 * j + 1);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

/// `Γ(n+1) / (Γ(x+1) Γ(n-x+1)) · p^x (1-p)^(n-x)` for real `0 <= x <= n`, with `rest = n - x` and `q = 1 - p` as the
/// caller knows them: the binomial probability, by Loader's saddle point form.
pub fn binomial(x: f64, rest: f64, p: f64, q: f64) -> f64 {
    let n = x + rest;
    if p <= 0.0 || q <= 0.0 {
        return if (p <= 0.0 && x <= 0.0) || (q <= 0.0 && rest <= 0.0) { 1.0 } else { 0.0 };
    }
    if x <= 0.0 {
        return (n * if p < 0.1 { (-p).ln_1p() } else { q.ln() }).exp();
    }
    if rest <= 0.0 {
        return (n * if q < 0.1 { (-q).ln_1p() } else { p.ln() }).exp();
    }
    let log = stirling_error(n)
        - stirling_error(x)
        - stirling_error(rest)
        - deviance(x, n * p)
        - deviance(rest, n * q);
    log.exp() * (n / (TAU * x * rest)).sqrt()
}

/// `binomial(j, n-j, j/n + d, …)`, where the mean lies exactly `n·d` above `j`.
pub(super) fn binomial_below(j: f64, n: f64, d: f64) -> f64 {
    let rest = n - j;
    if j <= 0.0 {
        return (n * (-d).ln_1p()).exp();
    }
    if rest <= n * d {
        return 0.0;
    }
    let off = n * d;
    let log = stirling_error(n)
        - stirling_error(j)
        - stirling_error(rest)
        - deviance_by(j, j + off, -off)
        - deviance_by(rest, rest - off, off);
    log.exp() * (n / (TAU * j * rest)).sqrt()
}

/// `x^a e^-x / Γ(a+1)`, the Poisson probability of a real `a`.
fn poisson(a: f64, x: f64) -> f64 {
    if a <= 0.0 {
        return (-x).exp();
    }
    (-stirling_error(a) - deviance(a, x)).exp() / (TAU * a).sqrt()
}

/// The regularised incomplete gamma functions `(P(a, x), Q(a, x))` for `a > 0`, `x >= 0`: a series below `a + 1`, a
/// continued fraction above (Abramowitz and Stegun 6.5.29 and 6.5.31). NaN for parameters outside.
pub fn gamma_pq(a: f64, x: f64) -> (f64, f64) {
    if !(a > 0.0 && x >= 0.0) || a.is_infinite() {
        return (f64::NAN, f64::NAN);
    }
    if x == 0.0 {
        return (0.0, 1.0);
    }
    if x.is_infinite() {
        return (1.0, 0.0);
    }
    if x < a + 1.0 {
        let (mut term, mut sum) = (1.0, 1.0);
        for k in 1..STEPS {
            term *= x / (a + k as f64);
            sum += term;
            if term < sum * f64::EPSILON * 0.1 {
                break;
            }
        }
        let p = (poisson(a, x) * sum).min(1.0);
        return (p, 1.0 - p);
    }
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for k in 1..STEPS {
        let k = k as f64;
        let factor = -k * (k - a);
        b += 2.0;
        d = off_zero(factor * d + b).recip();
        c = off_zero(b + factor / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    let q = (poisson(a, x) * a * fraction).min(1.0);
    (1.0 - q, q)
}

fn off_zero(x: f64) -> f64 {
    if x.abs() < TINY { TINY } else { x }
}

/// The chance that a chi-square variable of `df > 0` degrees of freedom exceeds `x`.
pub fn chi_square_sf(x: f64, df: f64) -> f64 {
    gamma_pq(0.5 * df, 0.5 * x.max(0.0)).1
}

/// The value that a chi-square variable exceeds with chance `p`, by bisection; NaN unless `0 < p < 1`, `df > 0`.
pub fn chi_square_isf(p: f64, df: f64) -> f64 {
    if !(p > 0.0 && p < 1.0 && df > 0.0) || df.is_infinite() {
        return f64::NAN;
    }
    let (mut low, mut high) = (0.0, df + 1.0);
    while chi_square_sf(high, df) > p {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if chi_square_sf(middle, df) > p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// `1 - erf(x)`.
pub fn erfc(x: f64) -> f64 {
    let (p, q) = gamma_pq(0.5, x * x);
    if x >= 0.0 { q } else { 1.0 + p }
}

/// The chance that a standard normal variable exceeds `z`.
pub fn normal_sf(z: f64) -> f64 {
    0.5 * erfc(z / SQRT_2)
}

/// The value that a standard normal variable exceeds with chance `p`, by bisection; NaN unless `0 < p < 1`.
pub fn normal_isf(p: f64) -> f64 {
    if !(p > 0.0 && p < 1.0) {
        return f64::NAN;
    }
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if normal_sf(middle) > p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The regularised incomplete beta function `I_x(a, b)` with `y = 1 - x` as the caller knows it, for `a, b > 0`: the
/// continued fraction of Abramowitz and Stegun 26.5.8, on the side where it converges fast.
pub fn beta_inc(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if !(a > 0.0 && b > 0.0 && x >= 0.0 && y >= 0.0) {
        return f64::NAN;
    }
    if x == 0.0 {
        return 0.0;
    }
    if y == 0.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_fraction(b, a, y, x);
    }
    beta_fraction(a, b, x, y)
}

fn beta_fraction(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let mut c = 1.0;
    let mut d = off_zero(1.0 - (a + b) * x / (a + 1.0)).recip();
    let mut fraction = d;
    for k in 1..STEPS {
        let k = k as f64;
        let even = k * (b - k) * x / ((a + 2.0 * k - 1.0) * (a + 2.0 * k));
        d = off_zero(1.0 + even * d).recip();
        c = off_zero(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + k) * (a + b + k) * x / ((a + 2.0 * k) * (a + 2.0 * k + 1.0));
        d = off_zero(1.0 + odd * d).recip();
        c = off_zero(1.0 + odd / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    // x^a y^b / (a B(a,b)), by the binomial probability of a out of a + b.
    (binomial(a, b, x, y) * b / (a + b) * fraction).min(1.0)
}

/// The chance that a Student variable of `df > 0` degrees of freedom lies farther from 0 than `t`.
pub fn student_two_sided(t: f64, df: f64) -> f64 {
    if t.is_nan() || df.is_nan() || df <= 0.0 {
        return f64::NAN;
    }
    if t.is_infinite() {
        return 0.0;
    }
    let s = t * t;
    beta_inc(0.5 * df, 0.5, df / (df + s), s / (df + s))
}

/// The chance of at least `k` successes in `n` trials of chance `p`.
pub fn binomial_sf(k: u64, n: u64, p: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    if k > n || p <= 0.0 {
        return 0.0;
    }
    if p >= 1.0 {
        return 1.0;
    }
    beta_inc(k as f64, (n - k) as f64 + 1.0, p, 1.0 - p)
}

/// `e^-x K_ν(x)` for `0 < x < 40`, above which it is below 1e-35 and less accurate: the modified Bessel function of the
/// second kind, by the trapezoidal rule on `∫ exp(-x cosh t) cosh(νt) dt`, which converges exponentially (Trefethen
/// and Weideman, "The exponentially convergent trapezoidal rule", SIAM Review 56, 2014).
pub fn bessel_k_damped(nu: f64, x: f64) -> f64 {
    const STEP: f64 = 1.0 / 8.0;
    let mut sum = 0.5 * (-2.0 * x).exp();
    for k in 1..1_000 {
        let t = f64::from(k) * STEP;
        let term = (-x * (t.cosh() + 1.0)).exp() * (nu * t).cosh();
        sum += term;
        if term <= sum * 1e-18 {
            break;
        }
    }
    sum * STEP
}

/// `√(2π)`.
pub(super) fn sqrt_tau() -> f64 {
    (2.0 * PI).sqrt()
}
