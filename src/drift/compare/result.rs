//! What a comparison found: the types of the JSON report. Every number is finite and in full precision; what is
//! undefined is absent.

use super::super::profile::Kind;
use super::invalid::Invalid;
use super::options::Options;
use super::power::{self, Scale};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::str::FromStr;

/// From the one that says least to the one that matters most; a column has that of its gravest test, a run that of
/// its gravest column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// A side has nothing to compare.
    NoData,
    Ok,
    /// Too few rows, or too coarse a sketch, to find an effect that matters; and none was found.
    InsufficientData,
    /// Not drift by the rule, and yet worth a look: significant with at least half the effect that matters, or twice
    /// that effect with a q-value of at most 2α.
    Warn,
    /// The columns cannot be compared: one is missing, or of another kind.
    Invalid,
    Drift,
}

impl Verdict {
    const NAMES: [(Self, &'static str); 6] = [
        (Self::NoData, "NO_DATA"),
        (Self::Ok, "OK"),
        (Self::InsufficientData, "INSUFFICIENT_DATA"),
        (Self::Warn, "WARN"),
        (Self::Invalid, "INVALID"),
        (Self::Drift, "DRIFT"),
    ];

    /// As in the report.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(it, _)| *it == self).map_or("", |(_, name)| name)
    }
}

impl FromStr for Verdict {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let known = Self::NAMES.into_iter().find(|(_, name)| *name == text).map(|(it, _)| it);
        known.ok_or(Invalid("there is no such verdict"))
    }
}

/// Whose rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    #[serde(rename = "sound")]
    Sound,
    #[serde(rename = "compat:evidently@0.7")]
    Evidently07,
}

/// What a column tells of, which decides what may follow from its drift.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Concern {
    /// What a model is given or answers. That it has changed does not say that anything is worse.
    #[default]
    Data,
    /// Answers that break a rule, as a schema of outputs.
    Violations,
    /// How the service does that answers: it is slower, or fails or tries again more often.
    Health,
    /// How good the answers are.
    Performance,
}

/// A whole comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Run {
    pub mode: Mode,
    /// Absent in a mode that has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Options>,
    pub verdict: Verdict,
    pub reason: String,
    pub reference_rows: u64,
    pub current_rows: u64,
    /// How many p-values were corrected together.
    pub p_values: u64,
    /// How many columns drifted: the first ones of `columns`.
    pub drifted: u64,
    /// The gravest verdict first, within a verdict the largest effect relative to its floor, then by name.
    pub columns: Vec<Finding>,
    /// The number of current rows against past ones, where these were given. It is not among the corrected p-values and
    /// warns at most: it says nothing of any distribution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_count: Option<Test>,
}

/// What was found in one column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    pub column: String,
    pub kind: Kind,
    #[serde(default, skip_serializing_if = "Concern::is_data")]
    pub concern: Concern,
    pub verdict: Verdict,
    pub reason: String,
    /// The largest effect relative to its floor among the tests that led to the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect_per_floor: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Summary>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Summary>,
    pub tests: Vec<Test>,
    /// Between each two bins of `bins` an edge, which belongs to the upper one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<f64>,
    /// Counts of numbers on both sides, for a picture; the first and the last bin are open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bins: Vec<Cell>,
}

/// One side of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    pub rows: u64,
    pub missing: u64,
    pub failed: u64,
    pub not_finite: u64,
    /// Whether all values are known, or a sketch of them.
    pub exact: bool,
    /// Numbers, times or lengths at 0, 5, 25, 50, 75, 95 and 100 % of the values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantiles: Option<[f64; 7]>,
    /// Different values, texts or categories; absent where unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct: Option<u64>,
}

/// One statistic of one column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// With base and bins, as `jensen_shannon_distance_base_2_of_categories`.
    pub statistic: String,
    /// How the p-value was found, or why there is none.
    pub method: String,
    /// Absent for a test that only describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// The p-value corrected for all p-values of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q_value: Option<f64>,
    pub reference_n: u64,
    pub current_n: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// Of the value, with confidence 0.95 at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// Of a rate, or of the numbers where the distance is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// What the value was computed from, at most 21.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<Cell>,
}

/// Where the current side lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Higher,
    Lower,
}

/// How large a difference is, on a scale that does not depend on the number of rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Effect {
    pub name: String,
    pub value: f64,
    /// Less does not matter.
    pub floor: f64,
    /// What these rows find with power 0.8. More than twice the floor: too few rows.
    pub detectable: f64,
    /// Rows each of two equal sides needs to find twice the floor.
    pub rows_needed: u64,
}

/// A count on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    pub label: String,
    pub reference: u64,
    pub current: u64,
    /// Cells of the statistic that were added up in this one.
    pub cells: u64,
    /// What the cell adds to a statistic that is a sum over cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<f64>,
}

/// The JSON Schema of a [`Run`].
pub fn schema() -> Schema {
    schemars::schema_for!(Run)
}

impl Test {
    /// A test that only describes so far.
    pub(crate) fn new(statistic: &str, reference_n: u64, current_n: u64) -> Self {
        Self {
            statistic: statistic.to_owned(),
            method: String::new(),
            verdict: None,
            reason: String::new(),
            value: None,
            p_value: None,
            q_value: None,
            reference_n,
            current_n,
            effect: None,
            interval: None,
            direction: None,
            cells: vec![],
        }
    }

    /// One that could not be made.
    pub(crate) fn insufficient(statistic: &str, n: u64, m: u64, reason: &str) -> Self {
        let verdict = Some(Verdict::InsufficientData);
        Self {
            verdict,
            method: "not tested".to_owned(),
            reason: reason.to_owned(),
            ..Self::new(statistic, n, m)
        }
    }
}

impl Finding {
    /// Of performance that could not be measured.
    pub(crate) fn stopped(column: &str, verdict: Verdict, why: &str) -> Self {
        Self {
            verdict,
            reason: why.to_owned(),
            ..Self::of_tests(column, Concern::Performance, [None, None], vec![])
        }
    }

    /// Of tests that are still to be judged.
    pub(crate) fn of_tests(
        column: &str,
        concern: Concern,
        sides: [Option<Summary>; 2],
        tests: Vec<Test>,
    ) -> Self {
        let [reference, current] = sides;
        Self {
            column: column.to_owned(),
            kind: Kind::Numeric,
            concern,
            verdict: Verdict::NoData,
            reason: String::new(),
            effect_per_floor: None,
            reference,
            current,
            tests,
            edges: vec![],
            bins: vec![],
        }
    }
}

impl Concern {
    fn is_data(&self) -> bool {
        *self == Self::Data
    }
}

impl Run {
    /// What the columns tell of that drifted.
    pub fn drifted_concerns(&self) -> BTreeSet<Concern> {
        let drifted = self.columns.iter().filter(|finding| finding.verdict == Verdict::Drift);
        drifted.map(|finding| finding.concern).collect()
    }
}

impl Effect {
    /// `error` is by how much a sketch may be off on this scale. `None` of what is no number, also in floors.
    pub(crate) fn new(
        name: &str,
        value: f64,
        floor: f64,
        scale: Scale,
        (n, m): (u64, u64),
        alpha: f64,
        error: f64,
    ) -> Option<Self> {
        let detectable = power::detectable(scale, n, m, alpha) + error;
        let rows_needed = power::rows_needed(scale, 2.0 * floor, alpha);
        ((value / floor).is_finite() && detectable.is_finite()).then(|| Self {
            name: name.to_owned(),
            value,
            floor,
            detectable,
            rows_needed,
        })
    }

    /// Whether there are rows enough to find what matters.
    pub(crate) fn is_resolved(&self) -> bool {
        self.detectable <= 2.0 * self.floor
    }

    pub(super) fn per_floor(&self) -> f64 {
        self.value / self.floor
    }
}

impl Direction {
    pub(crate) fn of(higher: bool) -> Self {
        if higher { Self::Higher } else { Self::Lower }
    }
}

impl Cell {
    pub(crate) fn new(label: impl Into<String>, reference: u64, current: u64) -> Self {
        Self { label: label.into(), reference, current, cells: 1, term: None }
    }
}
