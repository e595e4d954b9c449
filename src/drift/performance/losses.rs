//! Metrics that are means over rows: log loss and Brier score, and those of errors.

use super::super::compare::power::{self, Scale};
use super::super::compare::{Direction, Options, Test};
use super::super::profile::Moments;
use super::super::statistics::special::student_two_sided;
use super::report::{Value, Z_95};
use super::shares::effect;

/// Mean, variance with `n - 1`, and number of rows; `None` of fewer than two.
fn parts(of: &Moments) -> Option<(f64, f64, f64)> {
    let n = of.count() as f64;
    (n >= 2.0).then_some((of.mean()?, of.variance()? * n / (n - 1.0), n))
}

/// The mean, not below `least`.
pub(super) fn value(of: &Moments, least: f64) -> Option<Value> {
    let (mean, variance, n) = parts(of)?;
    Value::new(mean, (variance / n).sqrt(), of.count(), [least, f64::INFINITY])
}

/// Welch's t test of two means (Biometrika 34, 1947). The effect is by how much it got worse, in standard deviations of
/// the reference: `worse` of the two means. `None` of fewer than two rows.
pub(super) fn test(
    statistic: &str,
    r: &Moments,
    c: &Moments,
    worse: fn(f64, f64) -> f64,
    options: &Options,
) -> Option<Test> {
    let ((a, v, n), (b, w, m)) = (parts(r)?, parts(c)?);
    let difference = b - a;
    let (left, right) = (v / n, w / m);
    let error = (left + right).sqrt();
    let degrees = (left + right).powi(2) / (left * left / (n - 1.0) + right * right / (m - 1.0));
    let p = match () {
        () if difference == 0.0 => 1.0,
        () if error > 0.0 => student_two_sided(difference / error, degrees),
        // Losses that are all the same, and others before.
        () => 0.0,
    };
    // What does not vary is measured by what does, or else by the difference itself.
    let unit = [v.sqrt(), w.sqrt(), difference.abs()].into_iter().find(|unit| *unit > 0.0).unwrap_or(1.0);
    let sizes = (r.count(), c.count());
    let mut effect = effect(
        "increase in standard deviations",
        worse(a, b).max(0.0) / unit,
        options.floors.shift,
        error / unit,
        sizes,
        options,
    );
    if let Some(effect) = &mut effect {
        // Few rows that agree are still few.
        effect.detectable =
            effect.detectable.max(power::detectable(Scale::Shift, sizes.0, sizes.1, options.alpha));
        let least = power::rows_needed(Scale::Shift, 2.0 * effect.floor, options.alpha);
        effect.rows_needed = effect.rows_needed.max(least);
    }
    Some(Test {
        method: "Welch's t test".to_owned(),
        value: Some(difference).filter(|value| value.is_finite()),
        p_value: Some(p).filter(|p| p.is_finite()),
        effect,
        interval: Some([difference - Z_95 * error, difference + Z_95 * error])
            .filter(|interval| interval.iter().all(|bound| bound.is_finite())),
        direction: (difference != 0.0).then(|| Direction::of(difference > 0.0)),
        ..Test::new(statistic, sizes.0, sizes.1)
    })
}

/// More is worse.
pub(super) fn increase(reference: f64, current: f64) -> f64 {
    current - reference
}
