//! Metrics of regression: mean absolute error, root mean squared error, bias.

use super::super::compare::{Options, Test};
use super::losses::{self, increase};
use super::measures::Regression;
use super::report::{Better, Value};

/// One of them: its name, the value on a side, and the test of two.
pub(super) struct ErrorMetric {
    pub name: &'static str,
    pub better: Better,
    pub value: fn(&Regression) -> Option<Value>,
    pub test: fn(&Regression, &Regression, &Options) -> Option<Test>,
}

pub(super) const ALL: [ErrorMetric; 3] = [
    ErrorMetric {
        name: "mean absolute error",
        better: Better::Lower,
        value: |side| losses::value(&side.absolute, 0.0),
        test: |r, c, options| {
            losses::test("mean_absolute_error_difference", &r.absolute, &c.absolute, increase, options)
        },
    },
    ErrorMetric {
        name: "root mean squared error",
        better: Better::Lower,
        // Of the mean square and its interval.
        value: |side| {
            let Value { value, interval, rows } = losses::value(&side.square, 0.0)?;
            Some(Value { value: value.sqrt(), interval: interval.map(f64::sqrt), rows })
        },
        test: |r, c, options| {
            losses::test("mean_squared_error_difference", &r.square, &c.square, increase, options)
        },
    },
    ErrorMetric {
        name: "bias",
        better: Better::Zero,
        value: |side| losses::value(&side.error, f64::NEG_INFINITY),
        // A bias to the other side is as good or bad as one of its size.
        test: |r, c, options| {
            losses::test("mean_error_difference", &r.error, &c.error, |a, b| b.abs() - a.abs(), options)
        },
    },
];
