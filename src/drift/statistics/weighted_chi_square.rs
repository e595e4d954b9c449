//! The tails of `Σ Z_j² / μ_j` for independent standard normal `Z_j`: the limits of Cramér and von Mises's statistic
//! (`μ_j = π² j²`) and of Anderson and Darling's (`μ_j = j (j+1)`).

use std::f64::consts::PI;

/// The chance that Cramér and von Mises's `ω²` exceeds `x` in large samples.
pub fn cramer_von_mises_sf(x: f64) -> f64 {
    if x < 0.003 {
        return 1.0; // 1 - 1e-18
    }
    let derivative_over_y = |t: f64| 2.0 / t;
    tail(x, |t| PI * PI * t * t, |t| derivative_over_y(t) * (PI * t).sqrt())
}

/// The chance that Anderson and Darling's `A²` exceeds `x` in large samples.
pub fn anderson_darling_sf(x: f64) -> f64 {
    if x < 0.03 {
        return 1.0; // 1 - 1e-16
    }
    tail(x, |t| t * (t + 1.0), |t| (2.0 * t + 1.0) / (t * (t + 1.0)) * (PI * t * (t + 1.0)).sqrt())
}

/// Smirnov's alternating series (1937; Martynov 1975):
/// `1/π Σ_k (-1)^(k-1) ∫_{2k-1}^{2k} exp(-x y(t)/2) y'(t)/y(t) |D(t)|^-½ dt`, where `D(t) = Π (1 - y(t)/μ_j)` is `sin πt`
/// times something smooth and `weight` is `y'/y · (|D| / |sin πt|)^-½`. The first term is the far tail.
///
/// With `t = 2k-1 + (1 - cos θ)/2` the square root at both ends goes away and the trapezoidal rule converges
/// exponentially.
fn tail(x: f64, y: impl Fn(f64) -> f64, weight: impl Fn(f64) -> f64) -> f64 {
    if x.is_nan() {
        return f64::NAN;
    }
    // The integrand narrows in θ as 1/√x.
    let nodes = (64.0 + 32.0 * x.min(1_000.0).sqrt()).ceil();
    let step = PI / nodes;
    let mut sum = 0.0;
    for k in 1..200_u32 {
        let start = f64::from(2 * k - 1);
        if k > 1 && 0.5 * x * y(start) > 750.0 {
            break;
        }
        let mut area = 0.0;
        let mut theta = 0.5 * step;
        while theta < PI {
            let u = (0.5 * theta).sin().powi(2); // (1 - cos θ) / 2
            let t = start + u;
            // sin πt = sin πu: u is near 0 or 1 where it vanishes.
            let sine = (PI * u.min((0.5 * theta).cos().powi(2))).sin();
            area += (-0.5 * x * y(t)).exp() * weight(t) * 0.5 * theta.sin() / sine.sqrt();
            theta += step;
        }
        area *= step / PI;
        sum += if k % 2 == 1 { area } else { -area };
        if area <= sum.abs() * 1e-17 {
            break;
        }
    }
    sum.clamp(0.0, 1.0)
}
