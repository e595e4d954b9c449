//! Confidence intervals for what other tools report without one.

use crate::model::evidence::Interval;

/// Of the normal distribution, for two sides of 95 percent.
pub(super) const Z: f64 = 1.959_963_984_540_054;
pub(super) const LEVEL: f64 = 0.95;

/// Wilson's interval of a share. Sound for few examples and for shares of 0 and 1, where the usual one has no width.
pub(super) fn wilson(share: f64, n: u64) -> Option<Interval> {
    if n == 0 || !(0.0..=1.0).contains(&share) {
        return None;
    }
    let n = n as f64;
    let scale = 1.0 + Z * Z / n;
    let middle = (share + Z * Z / (2.0 * n)) / scale;
    let half = Z / scale * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    // Rounding must not push the value out of its own interval.
    let low = (middle - half).clamp(0.0, share);
    let high = (middle + half).clamp(share, 1.0);
    Some(Interval { low, high, level: LEVEL })
}

/// The usual interval of a mean. None where the values do not differ: that says nothing about how sure it is.
pub(super) fn of_mean(values: &[f64]) -> Option<Interval> {
    if values.len() < 2 {
        return None;
    }
    let n = values.len() as f64;
    let mean = mean(values);
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    around(mean, (variance / n).sqrt())
}

/// A value with its standard error.
pub(super) fn around(value: f64, error: f64) -> Option<Interval> {
    let (low, high) = (value - Z * error, value + Z * error);
    let is_good = error > 0.0 && low.is_finite() && high.is_finite();
    is_good.then_some(Interval { low, high, level: LEVEL })
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_textbook() {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 5e-4, "{a} {b}");
        let found = wilson(0.9, 10).unwrap();
        near(found.low, 0.5958);
        near(found.high, 0.9821);
        let found = wilson(1.0, 5).unwrap();
        near(found.low, 0.5655);
        assert_eq!(found.high, 1.0);
        assert_eq!(wilson(0.0, 5).unwrap().low, 0.0);
        assert_eq!(wilson(0.5, 0), None);
        assert_eq!(wilson(50.0, 10), None);

        let found = of_mean(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        near(found.low, 2.5 - 1.96 * 0.6455);
        near(found.high, 2.5 + 1.96 * 0.6455);
        assert_eq!(of_mean(&[1.0, 1.0, 1.0]), None);
        assert_eq!(of_mean(&[1.0]), None);
        assert_eq!(of_mean(&[f64::MAX, -f64::MAX]), None);
    }
}
