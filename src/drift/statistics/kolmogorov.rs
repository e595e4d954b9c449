//! The distributions of Kolmogorov and Smirnov's statistic: exact for two samples, and for one sample of `n` by the
//! selection of Simard and L'Ecuyer, "Computing the two-sided Kolmogorov–Smirnov distribution", Journal of
//! Statistical Software 39(11), 2011, with the limits that `scipy.stats.kstwo` uses.

use super::special::{binomial_below, sqrt_tau, stirling_error};
use std::f64::consts::{PI, TAU};

/// The chance that two samples of `n` and `m` values of one continuous distribution have `D >= h / lcm(n, m)`.
///
/// `O(n)` where the sizes are equal, else `O(n m D)`. With ties the true chance is smaller. 1 of an empty sample.
pub fn two_sample_exact(n: u64, m: u64, h: u128) -> f64 {
    let (long, short) = (n.max(m), n.min(m));
    if short == 0 || h == 0 {
        return 1.0;
    }
    let g = gcd(long, short);
    if h > u128::from(long) * u128::from(short / g) {
        return 0.0;
    }
    // By the bound of Dvoretzky, Kiefer, Wolfowitz and Massart, which Wei and Dudley (2012) show for
    // two samples up to a factor e: below the least positive number.
    let (a, b) = (long as f64, short as f64);
    let d = h as f64 / (a * (b / g as f64));
    if 2.0 * a * b / (a + b) * d * d > 760.0 {
        return 0.0;
    }
    if long == short { equal_sizes(long, h as u64) } else { paths_outside(long, short, g, h) }
}

pub(super) fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// By the reflections of Gnedenko and Korolyuk (1951): `2 (C(2n,n-h) - C(2n,n-2h) + …) / C(2n,n)`, nested so that
/// nothing cancels.
fn equal_sizes(n: u64, h: u64) -> f64 {
    let mut p = 0.0;
    for k in (0..=n / h).rev() {
        let mut ratio = 1.0;
        for j in 0..h.min(n) {
            ratio *= (n as f64 - (k * h) as f64 - j as f64) / ((n + k * h + j) as f64 + 1.0);
            if ratio <= 0.0 {
                break;
            }
        }
        p = ratio * (1.0 - p);
    }
    (2.0 * p).clamp(0.0, 1.0)
}

/// Of all orders in which `i` values of one sample and `j` of the other can come, the share that leaves the band
/// `|i/m - j/n| < h/lcm` on its way, for growing `i` and `j` (Hodges 1958). Only additions of positive numbers.
fn paths_outside(m: u64, n: u64, g: u64, h: u128) -> f64 {
    let (mg, ng) = (i128::from(m / g), i128::from(n / g));
    let (h, rows) = (h as i128, i128::from(n));
    let mut outside = vec![1.0_f64; n as usize + 1];
    // Within the band at i = 0 no order has left it yet.
    let mut last = 0;
    let mut end = ((h + mg - 1) / mg).min(rows + 1) as usize;
    outside[..end].fill(0.0);
    for i in 1..=i128::from(m) {
        let start = ((ng * i - h).div_euclid(mg) + 1).clamp(0, rows) as usize;
        end = ((ng * i + h + mg - 1) / mg).min(rows + 1) as usize;
        if end <= start {
            return 1.0;
        }
        outside[last..start].fill(1.0);
        last = start;
        let column = i as f64;
        let mut value = if start == 0 { 0.0 } else { 1.0 };
        for (j, cell) in outside[start..end].iter_mut().enumerate() {
            let row = (start + j) as f64;
            value = (*cell * column + value * row) / (column + row);
            *cell = value;
        }
    }
    outside[end - 1].clamp(0.0, 1.0)
}

/// The chance that `D >= d` for one sample of `n` values and the continuous distribution they come from.
///
/// For two large samples of `a` and `b` values the same at `n = ab/(a+b)` (Hodges 1958).
pub fn survival(n: f64, d: f64) -> f64 {
    if d.is_nan() || n.is_nan() || n < 1.0 {
        return f64::NAN;
    }
    let t = n * d;
    if t <= 0.5 {
        return 1.0;
    }
    if d >= 1.0 {
        return 0.0;
    }
    if t <= 1.0 {
        // Ruben and Gambino (1982): n! (2d - 1/n)^n.
        let log = 0.5 * (TAU * n).ln() + stirling_error(n) - n + n * (2.0 * t - 1.0).ln();
        return -log.exp_m1();
    }
    if t >= n - 1.0 {
        return (2.0 * (n * (-d).ln_1p()).exp()).min(1.0);
    }
    let square = t * d;
    let one_sided = if n <= 140.0 { 4.0 } else { 2.2 };
    if d >= 0.5 || square > one_sided {
        return (2.0 * one_sided_survival(n, d)).min(1.0);
    }
    let small = if n <= 140.0 { true } else { n <= 100_000.0 && t * d.sqrt() <= 1.4 };
    let cdf = if small { durbin(n, d) } else { pelz_good(n, d) };
    (1.0 - cdf).clamp(0.0, 1.0)
}

/// The chance that `D⁺ >= d` for one sample of `n` values: Smirnov's sum (Birnbaum and Tingey 1951) over binomial
/// probabilities, `Σ_j P(Bin(n, d + j/n) = j) · d / (d + j/n)`. All terms are positive.
pub fn one_sided_survival(n: f64, d: f64) -> f64 {
    // Above this many terms a smooth bell that vanishes at both ends is summed at every so many.
    const TERMS: f64 = 16_384.0;
    if 2.0 * n * d * d > 800.0 {
        return 0.0;
    }
    let end = (n * (1.0 - d)).floor();
    let stride = (n / TERMS).floor().max(1.0);
    let (mut sum, mut j) = (0.0, 0.0);
    while j <= end {
        sum += binomial_below(j, n, d) * d / (d + j / n);
        j += stride;
    }
    (sum * stride).min(1.0)
}

/// `P(D < d)` by Durbin's matrix (1968), as Marsaglia, Tsang and Wang, "Evaluating Kolmogorov's distribution",
/// Journal of Statistical Software 8(18), 2003, raise it to the power `n`.
fn durbin(n: f64, d: f64) -> f64 {
    let t = n * d;
    let k = t.ceil() as usize;
    let h = k as f64 - t;
    let size = 2 * k - 1;
    let mut matrix = vec![0.0; size * size];
    let mut inverse_factorials = vec![1.0; size + 1];
    for j in 1..=size {
        inverse_factorials[j] = inverse_factorials[j - 1] / j as f64;
    }
    for row in 0..size {
        for column in 0..size.min(row + 2) {
            matrix[row * size + column] = inverse_factorials[row + 1 - column];
        }
    }
    for i in 0..size {
        let lost = h.powi(i as i32 + 1) * inverse_factorials[i + 1];
        matrix[i * size] -= lost;
        matrix[(size - 1) * size + (size - 1 - i)] -= lost;
    }
    if h > 0.5 {
        matrix[(size - 1) * size] += (2.0 * h - 1.0).powi(size as i32) * inverse_factorials[size];
    }
    let (power, exponent) = matrix_power(matrix, size, n as u64);
    let middle = power[(k - 1) * size + k - 1];
    // n! / n^n.
    let log = 0.5 * (TAU * n).ln() + stirling_error(n) - n;
    if middle <= 0.0 { 0.0 } else { (middle.ln() + f64::from(exponent) * std::f64::consts::LN_2 + log).exp() }
}

/// `matrix` to the power `n`, and the power of two it was divided by.
fn matrix_power(mut matrix: Vec<f64>, size: usize, mut n: u64) -> (Vec<f64>, i32) {
    const SCALE: i32 = 300;
    let rescale = |matrix: &mut [f64], exponent: &mut i32| {
        if matrix.iter().fold(0.0_f64, |most, value| most.max(*value)) > 2.0_f64.powi(SCALE) {
            matrix.iter_mut().for_each(|value| *value *= 2.0_f64.powi(-SCALE));
            *exponent += SCALE;
        }
    };
    let mut power = vec![0.0; size * size];
    (0..size).for_each(|i| power[i * (size + 1)] = 1.0);
    let (mut power_exponent, mut exponent) = (0, 0);
    while n > 0 {
        if n % 2 == 1 {
            power = product(&power, &matrix, size);
            power_exponent += exponent;
            rescale(&mut power, &mut power_exponent);
        }
        n /= 2;
        if n > 0 {
            matrix = product(&matrix, &matrix, size);
            exponent *= 2;
            rescale(&mut matrix, &mut exponent);
        }
    }
    (power, power_exponent)
}

fn product(left: &[f64], right: &[f64], size: usize) -> Vec<f64> {
    let mut result = vec![0.0; size * size];
    for (row, out) in left.chunks_exact(size).zip(result.chunks_exact_mut(size)) {
        for (factor, other) in row.iter().zip(right.chunks_exact(size)) {
            for (cell, value) in out.iter_mut().zip(other) {
                *cell += factor * value;
            }
        }
    }
    result
}

/// `P(D < d)` by Kolmogorov's limit with three corrections: Pelz and Good, "Approximating the lower tail-areas of the
/// Kolmogorov–Smirnov one-sample statistic", Journal of the Royal Statistical Society B 38(2), 1976.
fn pelz_good(n: f64, d: f64) -> f64 {
    let root = n.sqrt();
    let z = root * d;
    let (z2, pi2) = (z * z, PI * PI);
    let (z4, z6) = (z2 * z2, z2 * z2 * z2);
    let mut k = [0.0_f64; 4];
    let mut extra = [0.0_f64; 2];
    for i in 1..=(16.0 * z / PI).ceil() as u32 + 1 {
        let odd = f64::from(2 * i - 1);
        let m2 = odd * odd * pi2 / 4.0;
        let q = (-m2 / (2.0 * z2)).exp();
        k[0] += q;
        k[1] += q * (m2 - z2);
        k[2] += q * (6.0 * z6 + 2.0 * z4 + (2.0 * z4 - 5.0 * z2) * m2 + (1.0 - 2.0 * z2) * m2 * m2);
        k[3] += q
            * (-30.0 * z6 - 90.0 * z4 * z4
                + (135.0 * z4 - 96.0 * z6) * m2
                + (212.0 * z4 - 60.0 * z2) * m2 * m2
                + (5.0 - 30.0 * z2) * m2 * m2 * m2);
        let whole = f64::from(i) * PI;
        let w2 = whole * whole;
        let q = (-w2 / (2.0 * z2)).exp();
        extra[0] += q * w2;
        extra[1] += q * w2 * (3.0 * z2 - w2);
    }
    let first = k[0] / z;
    let second = k[1] / (6.0 * z4);
    let third = k[2] / (72.0 * z6 * z) - extra[0] / (36.0 * z2 * z);
    let fourth = k[3] / (6480.0 * z6 * z4) + extra[1] / (216.0 * z6);
    sqrt_tau() * (first + second / root + third / n + fourth / (n * root))
}
