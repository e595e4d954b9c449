//! The report, as JSON.

use super::performance::PerformanceReport;
use super::signals::{Recognised, judged};
use crate::drift::compare::Run;
use crate::drift::signals::Separation;
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
    /// What the columns of a model's log were taken for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signals: Option<Recognised>,
    /// The drift of a judge apart from that of the model, where there are scores of anchors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Separation>,
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
    /// What else there is to say, for people, in a line each.
    pub fn notes(&self) -> Vec<String> {
        let judge = self.judge.iter().map(judged);
        judge.chain(self.signals.iter().flat_map(Recognised::lines)).collect()
    }

    /// The JSON Schema of the report.
    pub fn schema() -> Schema {
        schemars::schema_for!(Report)
    }
}
