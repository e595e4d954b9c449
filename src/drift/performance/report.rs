//! What is said of performance: types of the JSON report.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an estimate without labels rests on.
pub const ASSUMPTION: &str = "assumes that what the probabilities mean has not changed (no concept drift)";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    Higher,
    Lower,
    /// The nearer to 0 the better.
    Zero,
}

/// A metric on both sides, as far as it is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    pub name: String,
    pub better: Better,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Value>,
    /// What is special about these numbers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Value {
    pub value: f64,
    /// Of the value, with confidence 0.95.
    pub interval: [f64; 2],
    /// Rows it is of.
    pub rows: u64,
}

/// Performance on the current side, estimated without its labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    pub assumption: String,
    /// Whether probabilities were calibrated on the reference, which is done where it lowers their error.
    pub calibrated: bool,
    /// The calibration error of the reference's probabilities on rows held out, as they are and calibrated on the others.
    pub calibration_error: [f64; 2],
    pub metrics: Vec<EstimatedMetric>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EstimatedMetric {
    pub name: String,
    /// As measured on the reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Value>,
    /// Its interval is that of what would be measured on these rows, once their labels are known.
    pub current: Value,
}

/// How many rows of a class were taken for which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfusionCell {
    pub target: String,
    pub prediction: String,
    pub reference: u64,
    pub current: u64,
}

impl Value {
    /// A value with its standard error, within bounds. `None` of what is no number.
    pub(super) fn new(value: f64, error: f64, rows: u64, [low, high]: [f64; 2]) -> Option<Self> {
        let half = Z_95 * error;
        let interval = [(value - half).clamp(low, high), (value + half).clamp(low, high)];
        (value.is_finite() && interval.into_iter().all(f64::is_finite)).then_some(Self {
            value,
            interval,
            rows,
        })
    }
}

/// The normal quantile of 0.975.
pub(super) const Z_95: f64 = 1.959_963_984_540_054;
