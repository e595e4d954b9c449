//! Tests of rates: missing values, values of another type, numbers that are not finite.

use super::super::statistics::two_proportion::{cohens_h, two_proportion};
use super::options::Options;
use super::power::Scale;
use super::result::{Cell, Direction, Effect, Test};
use super::side::Column;

pub(super) const MISSING: &str = "missing_rate";
pub(super) const FAILED: &str = "type_failure_rate";
const NOT_FINITE: &str = "not_finite_rate";

impl Test {
    /// Whether it is of the values, and not of how many rows have one.
    pub fn is_of_values(&self) -> bool {
        ![MISSING, FAILED, NOT_FINITE].contains(&self.statistic.as_str())
    }
}

/// The rates that are not 0, or 1, on both sides alike: there nothing could have changed.
pub(super) fn tests(reference: &Column, current: &Column, options: &Options) -> Vec<Test> {
    let there = |column: &Column| column.rows.saturating_sub(column.missing);
    let typed = |column: &Column| there(column).saturating_sub(column.failed);
    let not_finite = |column: &Column| column.values.not_finite();
    let sides = [reference, current];
    [
        (MISSING, sides.map(|side| (side.missing, side.rows))),
        (FAILED, sides.map(|side| (side.failed, there(side)))),
        (NOT_FINITE, sides.map(|side| (not_finite(side), typed(side)))),
    ]
    .into_iter()
    .filter_map(|(name, [r, c])| test(name, r, c, options))
    .collect()
}

pub(super) fn test(
    name: &str,
    reference: (u64, u64),
    current: (u64, u64),
    options: &Options,
) -> Option<Test> {
    let [(a, n), (b, m)] = [reference, current].map(|(hits, rows)| (hits.min(rows), rows));
    let constant = (a == 0 && b == 0) || (a == n && b == m);
    if constant || n < 2 || m < 2 {
        return None;
    }
    let found = two_proportion(reference, current, 0.95)?;
    let [p, q] = [a as f64 / n as f64, b as f64 / m as f64];
    let effect = Effect::new(
        "Cohen's h",
        cohens_h(p, q),
        options.floors.rate,
        Scale::Rate,
        (n, m),
        options.alpha,
        0.0,
    );
    Some(Test {
        method: if found.exact { "Fisher's exact test" } else { "pooled z test" }.to_owned(),
        value: Some(found.difference),
        p_value: Some(found.p_value).filter(|p| p.is_finite()),
        interval: Some([found.interval.0, found.interval.1]),
        direction: (found.difference != 0.0).then(|| Direction::of(found.difference > 0.0)),
        effect,
        cells: vec![Cell::new("yes", a, b), Cell::new("no", n - a, m - b)],
        ..Test::new(name, n, m)
    })
}
