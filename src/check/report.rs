//! The report, as JSON.

use super::performance::PerformanceReport;
use crate::drift::compare::Run;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

pub const FORMAT: &str = "drift-report/v1";

/// What was compared, and what was found. The same inputs give the same report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    #[schemars(extend("const" = FORMAT))]
    pub format: String,
    pub reference: SideReport,
    pub current: SideReport,
    pub run: Run,
    /// How good the answers are, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performance: Option<PerformanceReport>,
}

/// One side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SideReport {
    pub inputs: Vec<Input>,
    pub rows: u64,
    /// Whether all numbers were used, or a sketch of them. Each column says it for itself as well.
    pub exact: bool,
    /// The side is a profile that was made before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub profile: bool,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub name: String,
    pub bytes: u64,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
}

impl Report {
    /// The JSON Schema of the report.
    pub fn schema() -> Schema {
        schemars::schema_for!(Report)
    }
}
