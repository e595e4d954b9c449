//! What the report says of performance.

use super::super::report::Input;
use crate::drift::performance::{ConfusionCell, Estimate, Metric, Of, Sample, Side, Task};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PerformanceReport {
    pub task: Task,
    pub target: String,
    pub prediction: String,
    /// The class, or the classes, that there are probabilities of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probabilities_of: Vec<String>,
    pub reference: Answered,
    pub current: Answered,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelsReport>,
    pub metrics: Vec<Metric>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// Of at most 20 classes; one that few rows of a side are of is `__rare__`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<ConfusionCell>,
}

/// The rows of one side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    pub rows: u64,
    /// Rows with a label.
    pub labelled: u64,
    /// Their share, 0 to 1; 0 of no rows.
    pub labelled_share: f64,
    /// Labelled rows whose label or prediction is missing or of another kind. They are not measured.
    pub failed: u64,
    /// Measured rows whose probabilities are missing, not between 0 and 1, or do not add up to 1.
    pub unusable_probabilities: u64,
    /// Whether what needs all probabilities at once was computed of all rows.
    pub exact: bool,
}

/// Labels that came from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelsReport {
    pub inputs: Vec<Input>,
    pub rows: u64,
    /// Labels whose id had one already.
    pub repeated: u64,
    /// Ids with different labels; their rows count as unlabelled.
    pub contradictory: u64,
    /// Labels of which no row has the id.
    pub unmatched: u64,
    /// Rows whose id another row had already; each of them gets the label.
    pub rows_of_one_id: u64,
    /// Labels whose id is missing, empty, blank or NaN. They are those of no row.
    #[serde(default)]
    pub without_id: u64,
    /// Rows whose id is missing, empty, blank or NaN. No label is theirs.
    #[serde(default)]
    pub rows_without_id: u64,
}

impl Answered {
    pub(super) fn of(side: &Side) -> Self {
        let measures = &side.measures;
        let labelled = measures.rows.saturating_sub(measures.unlabelled);
        let probabilities = match &measures.of {
            Of::Classification(it) => it.probabilities.as_ref(),
            Of::Regression(_) => None,
        };
        Self {
            rows: measures.rows,
            labelled,
            labelled_share: if measures.rows > 0 { labelled as f64 / measures.rows as f64 } else { 0.0 },
            failed: measures.failed,
            unusable_probabilities: probabilities.map_or(0, |it| it.unusable),
            exact: side.sample.as_ref().map_or(probabilities.is_none(), Sample::is_exact),
        }
    }
}
