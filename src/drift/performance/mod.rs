//! Performance: are the answers as good as they were? Answers are compared with what they should have been, once that
//! is known; and where it is not yet, and probabilities are there, it is estimated.
//!
//! | task | metric | p-value | effect, at its floor |
//! |---|---|---|---|
//! | classification | accuracy | two proportions | Cohen's h, 0.1 |
//! | | macro F1 | delta method | Cohen's h, 0.1 |
//! | | ROC AUC | DeLong | Cohen's h, 0.1 |
//! | | log loss, Brier score | Welch's t, losses of rows | standard deviations of the reference, 0.1 |
//! | regression | mean absolute, root mean squared error, bias | Welch's t, errors of rows | the same |
//!
//! p-values are two-sided and corrected with all others of the run. Only what is worse is drift: the effect of what is
//! better is 0. An estimate warns at most, as what it assumes cannot be tested without labels.

mod accuracy;
mod brier;
mod calibration;
mod classes;
mod collect;
mod compare;
mod errors;
mod estimate;
mod f1;
mod isotonic;
mod log_loss;
mod losses;
mod measures;
mod report;
mod roc_auc;
mod sample;
mod several;
mod shares;
#[cfg(test)]
mod tests;

pub use classes::MAX_CLASSES;
pub use collect::{Collector, Label};
pub use compare::{Comparison, PREFIX, compare, explain};
pub use measures::{BINS, Classification, Measures, Of, Probabilities, Regression};
pub use report::{ASSUMPTION, Better, ConfusionCell, Estimate, EstimatedMetric, Metric, Value};
pub use sample::{SCORES_MAX, Sample};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    Classification,
    Regression,
}

/// The answers of one side.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    pub measures: Measures,
    /// Rows with their probabilities, also those without labels; a profile has none.
    pub sample: Option<Sample>,
}
