//! Accuracy: the share of rows whose predicted class is the true one.

use super::super::compare::power::Scale;
use super::super::compare::{Cell, Direction, Effect, Options, Test};
use super::super::statistics::two_proportion::{cohens_h, two_proportion, wilson};
use super::measures::Classification;
use super::report::{Value, Z_95};
use super::shares::Share;

pub(super) fn value(of: &Classification) -> Option<Value> {
    let (right, rows) = (of.right(), of.total());
    if rows == 0 {
        return None;
    }
    let value = right as f64 / rows as f64;
    let (low, high) = wilson(value, rows as f64, Z_95);
    Some(Value { value, interval: [low, high], rows })
}

/// For comparing with an estimate.
pub(super) fn share(of: &Classification) -> Option<Share> {
    let rows = of.total();
    let value = of.right() as f64 / rows as f64;
    Share::new(value, value * (1.0 - value) / rows as f64, rows, rows)
}

/// Two proportions. `None` if a side has no rows.
pub(super) fn test(r: &Classification, c: &Classification, options: &Options) -> Option<Test> {
    let [(a, n), (b, m)] = [r, c].map(|side| (side.right(), side.total()));
    let found = two_proportion((a, n), (b, m), 0.95)?;
    let worse = if found.difference < 0.0 { cohens_h(a as f64 / n as f64, b as f64 / m as f64) } else { 0.0 };
    let (floor, alpha) = (options.floors.rate, options.alpha);
    Some(Test {
        method: if found.exact { "Fisher's exact test" } else { "pooled z test" }.to_owned(),
        value: Some(found.difference),
        p_value: Some(found.p_value).filter(|p| p.is_finite()),
        effect: Effect::new("Cohen's h of what was lost", worse, floor, Scale::Rate, (n, m), alpha, 0.0),
        interval: Some([found.interval.0, found.interval.1]),
        direction: (found.difference != 0.0).then(|| Direction::of(found.difference > 0.0)),
        cells: vec![Cell::new("right", a, b), Cell::new("wrong", n - a, m - b)],
        ..Test::new("accuracy_difference", n, m)
    })
}
