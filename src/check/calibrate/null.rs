//! What a statistic comes to where nothing has changed.

use crate::drift::compare::{Finding, Test};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A test over all windows without any change in which it could be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Null {
    pub statistic: String,
    /// How many windows.
    pub windows: u64,
    /// What the effect is called, and from which value on it is large enough to be drift.
    pub effect: String,
    pub floor: f64,
    /// The effect that half, 95 % and 99 % of these windows do not exceed.
    pub median: f64,
    pub p95: f64,
    pub p99: f64,
    /// The share of windows whose p-value was at most 0.05, before any correction.
    pub significant: f64,
}

/// By statistic, in the order in which they first come.
pub(super) fn nulls<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<Null> {
    let mut all: Vec<Vec<&Test>> = vec![];
    for test in findings.flat_map(|finding| &finding.tests).filter(|test| test.effect.is_some()) {
        match all.iter_mut().find(|tests| tests[0].statistic == test.statistic) {
            Some(tests) => tests.push(test),
            None => all.push(vec![test]),
        }
    }
    all.iter().filter_map(|tests| null(tests)).collect()
}

fn null(tests: &[&Test]) -> Option<Null> {
    let first = tests[0].effect.as_ref()?;
    let mut effects: Vec<f64> = tests.iter().filter_map(|test| Some(test.effect.as_ref()?.value)).collect();
    effects.sort_by(f64::total_cmp);
    let at =
        |share: f64| effects[((share * effects.len() as f64).ceil() as usize).clamp(1, effects.len()) - 1];
    let significant = tests.iter().filter(|test| test.p_value.is_some_and(|p| p <= 0.05)).count();
    Some(Null {
        statistic: tests[0].statistic.clone(),
        windows: tests.len() as u64,
        effect: first.name.clone(),
        floor: first.floor,
        median: at(0.5),
        p95: at(0.95),
        p99: at(0.99),
        significant: significant as f64 / tests.len() as f64,
    })
}
