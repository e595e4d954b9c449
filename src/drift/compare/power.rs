//! Which effects a number of rows can find, and how many rows an effect needs.
//!
//! Everything is said in the effective number of rows `n m / (n + m)` of two sides: half of each for equal sides, nearly
//! the smaller side's if the other is much larger. An effect that `n m / (n + m)` rows find with power 0.8 at level α
//! is `c / √(n m / (n + m))`, with a constant `c` for each scale of effects:
//!
//! | scale | c | why |
//! |---|---|---|
//! | shift in standard deviations, Cohen's h | `z(α/2) + z(0.2)` = 2.80 | the test of two normal means; Cohen 1988, 6.4 |
//! | Kolmogorov–Smirnov's D | `√(ln(2/α) / 2) + z(0.2) / 2` = 1.78 | the limit's upper α quantile; a rank's standard deviation is at most 1/2 |
//! | Cramér's V of a 2 × k table | `√λ / 2`, 1.38 for k = 2 | noncentral chi-square with mean `k-1+λ`, variance `2 (k-1+2λ)`, taken as normal |
//! | share of what should not be there | as h from 0, `sin²(h/2)` | |
//!
//! There are rows enough if **twice** the floor of the effect can be found: at its floor an effect is as often seen
//! below as above, so no number of rows finds it reliably. For the default floors that is 633 rows on each side for
//! numbers, 393 for rates, 383 for two, 587 for five and 2,742 for 200 categories.

use super::super::statistics::special::{chi_square_isf, normal_isf};

/// The power asked for.
pub const POWER: f64 = 0.8;

/// What an effect is measured in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// Kolmogorov and Smirnov's D.
    Distance,
    /// Standard deviations.
    Shift,
    /// Cohen's h.
    Rate,
    /// A share that is expected to be nearly 0.
    Share,
    /// Cramér's V of a table with this many degrees of freedom.
    Table(f64),
}

/// `n m / (n + m)`, 0 if a side has no rows.
pub fn effective_rows(n: u64, m: u64) -> f64 {
    let (n, m) = (n as f64, m as f64);
    if n > 0.0 && m > 0.0 { n / (n + m) * m } else { 0.0 }
}

/// The effect that these sides find with power 0.8 at level `alpha`. More than the scale holds, or infinite without
/// rows, where no effect is large enough.
pub fn detectable(scale: Scale, n: u64, m: u64, alpha: f64) -> f64 {
    let effect = constant(scale, alpha) / effective_rows(n, m).sqrt();
    match scale {
        Scale::Share => (0.5 * effect.min(std::f64::consts::PI)).sin().powi(2),
        _ => effect,
    }
}

/// How many rows each of two equal sides needs to find the effect.
pub fn rows_needed(scale: Scale, effect: f64, alpha: f64) -> u64 {
    let effect = match scale {
        Scale::Share => 2.0 * effect.clamp(0.0, 1.0).sqrt().asin(),
        _ => effect,
    };
    (2.0 * (constant(scale, alpha) / effect).powi(2)).ceil() as u64
}

fn constant(scale: Scale, alpha: f64) -> f64 {
    let z = normal_isf(1.0 - POWER);
    match scale {
        Scale::Distance => (0.5 * (2.0 / alpha).ln()).sqrt() + 0.5 * z,
        Scale::Shift | Scale::Rate | Scale::Share => normal_isf(0.5 * alpha) + z,
        Scale::Table(df) => {
            // λ with (df + λ - critical) / √(2 (df + 2 λ)) = z.
            let excess = chi_square_isf(alpha, df) - df;
            let half = excess + 2.0 * z * z;
            let lambda = half + (half * half - excess * excess + 2.0 * z * z * df).max(0.0).sqrt();
            0.5 * lambda.sqrt()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_effects_fit_each_other() {
        for scale in [Scale::Distance, Scale::Shift, Scale::Rate, Scale::Share, Scale::Table(4.0)] {
            for effect in [0.02, 0.1, 0.3] {
                let n = rows_needed(scale, effect, 0.05);
                assert!(detectable(scale, n, n, 0.05) <= effect, "{scale:?} {effect}");
                assert!(detectable(scale, n - 2, n - 2, 0.05) > effect, "{scale:?} {effect}");
            }
        }
    }

    /// Cohen 1988: h = 0.2 needs 392 rows a side; exact noncentralities for power 0.8 are 7.849 and 11.935.
    #[test]
    fn known_numbers() {
        assert_eq!(rows_needed(Scale::Rate, 0.2, 0.05), 393);
        assert_eq!(rows_needed(Scale::Rate, 0.1, 0.05), 1570);
        for (df, lambda) in [(1.0, 7.849), (4.0, 11.935)] {
            let approximate = (2.0 * constant(Scale::Table(df), 0.05)).powi(2);
            assert!((approximate / lambda - 1.0).abs() < 0.03, "{approximate}");
        }
    }

    #[test]
    fn no_rows_find_nothing() {
        assert!(detectable(Scale::Shift, 0, 10, 0.05).is_infinite());
        assert_eq!(detectable(Scale::Share, 0, 10, 0.05), 1.0);
    }
}
