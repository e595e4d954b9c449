//! Metrics between 0 and 1: values with standard errors, and the test of two of them.

use super::super::compare::power::{self, Scale};
use super::super::compare::{Direction, Effect, Options, Test};
use super::super::statistics::special::normal_sf;
use super::super::statistics::two_proportion::cohens_h;
use super::report::{Value, Z_95};

/// A class needs so many rows on each side that has labels.
pub(super) const CLASS_ROWS: u64 = 20;

/// A value between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Share {
    pub value: f64,
    /// Its standard error.
    pub error: f64,
    pub rows: u64,
}

impl Share {
    /// The variance is that of the value. `cases`: what the value was counted on; without any spread it is taken to be
    /// half a case away from where it is, as nothing is known for certain from few cases.
    pub fn new(value: f64, variance: f64, rows: u64, cases: u64) -> Option<Self> {
        let error = if variance > 0.0 {
            variance.sqrt()
        } else {
            let half = 0.5 / cases.max(1) as f64;
            (half * (1.0 - half) / cases.max(1) as f64).sqrt()
        };
        (value.is_finite() && error.is_finite()).then_some(Self { value: value.clamp(0.0, 1.0), error, rows })
    }

    pub fn reported(self) -> Option<Value> {
        Value::new(self.value, self.error, self.rows, [0.0, 1.0])
    }
}

/// Whether two shares differ, by how many standard errors their difference is from 0. The effect is Cohen's h of what
/// was lost, and what these rows can find follows from the standard error.
pub(super) fn test(statistic: &str, method: &str, r: Share, c: Share, options: &Options) -> Test {
    let difference = c.value - r.value;
    let error = r.error.hypot(c.error);
    let p = if difference == 0.0 { 1.0 } else { 2.0 * normal_sf((difference / error).abs()) };
    let (n, m) = (r.rows, c.rows);
    // The slope of Cohen's scale between the two; at its ends that of half a row.
    let least = 0.5 / (n.min(m).max(1)) as f64;
    let middle = (0.5 * (r.value + c.value)).clamp(least, 1.0 - least);
    let worse = if difference < 0.0 { cohens_h(r.value, c.value) } else { 0.0 };
    let slope = 1.0 / (middle * (1.0 - middle)).sqrt();
    Test {
        method: method.to_owned(),
        value: Some(difference),
        p_value: Some(p).filter(|p| p.is_finite()),
        effect: effect(
            "Cohen's h of what was lost",
            worse,
            options.floors.rate,
            error * slope,
            (n, m),
            options,
        ),
        interval: Some([difference - Z_95 * error, difference + Z_95 * error]),
        direction: (difference != 0.0).then_some(if difference > 0.0 {
            Direction::Higher
        } else {
            Direction::Lower
        }),
        ..Test::new(statistic, n, m)
    }
}

/// An effect of which these rows know the standard error.
pub(super) fn effect(
    name: &str,
    value: f64,
    floor: f64,
    error: f64,
    (n, m): (u64, u64),
    options: &Options,
) -> Option<Effect> {
    // Of two sides whose difference has the standard error 1.
    let detectable = error * power::detectable(Scale::Shift, 2, 2, options.alpha);
    let needed = detectable / (2.0 * floor);
    let rows_needed = (2.0 * power::effective_rows(n, m) * needed * needed).ceil() as u64;
    ((value / floor).is_finite() && detectable.is_finite()).then(|| Effect {
        name: name.to_owned(),
        value,
        floor,
        detectable,
        rows_needed,
    })
}
