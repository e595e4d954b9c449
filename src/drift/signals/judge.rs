//! Whether scores moved because answers changed, or because the judge did.

use super::statistics::{
    Ecdf,
    mann_whitney::mann_whitney_less,
    special::{normal_isf, normal_sf},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Judges that are named as new or gone, at most.
const MAX_NAMED: usize = 8;
/// Rows from which on a judge is named: one of fewer may be a person.
const NAMED_FROM: u64 = 20;

/// One score of a judge. Scores that are not finite are left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rating<'a> {
    /// The judge and its version; empty if unknown.
    pub judge: &'a str,
    pub score: f64,
    /// Whether what was judged is of the frozen set, which is the same on both sides.
    pub is_anchor: bool,
}

/// The scores of one side.
#[derive(Clone, Debug, Default)]
pub struct Scored {
    pub anchors: Ecdf,
    /// All that are not of anchors.
    pub others: Ecdf,
    /// Rows of each judge.
    pub judges: BTreeMap<String, u64>,
    /// By what share of the rows a rank may be off, where the scores are a sketch.
    pub rank_error: f64,
}

impl Scored {
    pub fn of<'a>(ratings: impl Iterator<Item = Rating<'a>>) -> Self {
        let (mut anchors, mut others, mut judges) = (vec![], vec![], BTreeMap::new());
        for rating in ratings {
            (if rating.is_anchor { &mut anchors } else { &mut others }).push(rating.score);
            match judges.get_mut(rating.judge) {
                Some(rows) => *rows += 1,
                None => drop(judges.insert(rating.judge.to_owned(), 1)),
            }
        }
        Self { anchors: Ecdf::new(anchors), others: Ecdf::new(others), judges, rank_error: 0.0 }
    }
}

/// What counts as moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Significance for both questions together, 0 to 1; half of it for each (Bonferroni).
    pub alpha: f64,
    /// The least Cliff's delta that matters, 0 to 1.
    pub floor: f64,
}

impl Default for Limits {
    /// 0.05, and 0.147, below which Romano et al., "Appropriate statistics for ordinal level data", 2006, call a
    /// difference negligible.
    fn default() -> Self {
        Self { alpha: 0.05, floor: 0.147 }
    }
}

/// How the scores of one group moved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Movement {
    /// Scores on each side.
    pub rows: [u64; 2],
    /// Cliff's delta: how much more often a current score is the higher one than the lower one, -1 to 1.
    pub delta: f64,
    /// Of the Mann–Whitney test, two-sided.
    pub p_value: f64,
    /// The least delta that so many scores show with 80 % power.
    pub detectable: f64,
    /// Significant and at least the floor.
    pub moved: bool,
}

/// Why scores moved, if they did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Attribution")]
pub enum Finding {
    /// Neither group moved.
    NoDrift,
    /// Anchors moved: the judge scores the same answers otherwise. What the other scores say of the model is not known.
    JudgeDrift,
    /// The other scores moved, and anchors stand still, or more than half of the movement is beyond theirs: the model
    /// answers otherwise, or is asked otherwise.
    ModelDrift,
    /// Scores moved, and there are no anchors, or too few of them to show as large a movement of the judge; or they moved
    /// as well, a little.
    Unattributed,
    /// There are no scores, or none but anchors, on one of the sides.
    NoData,
}

/// What became of a judge's scores, told apart by the anchors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Separation {
    pub finding: Finding,
    /// Absent without any on one of the sides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchors: Option<Movement>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<Movement>,
    /// Judges that only the current side has, and those that only the reference has, at most eight each, of twenty rows at
    /// least. Scores of another judge are another measure, whatever the finding.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new_judges: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone_judges: Vec<String>,
    /// How many others only one of the sides has: the current one, the reference.
    #[serde(default, skip_serializing_if = "is_none")]
    pub unnamed_judges: [u64; 2],
}

fn is_none(counts: &[u64; 2]) -> bool {
    *counts == [0, 0]
}

/// Tells judge drift from model drift by the anchors, which cannot have changed themselves. Scores are taken as
/// ordinal. Anchors that merely show nothing are not enough for [`Finding::ModelDrift`]: they must be so many that they
/// would have shown a movement like that of the others.
pub fn separate(reference: &Scored, current: &Scored, limits: Limits) -> Separation {
    let rank_error = reference.rank_error + current.rank_error;
    let anchors = movement(&reference.anchors, &current.anchors, rank_error, limits);
    let others = movement(&reference.others, &current.others, rank_error, limits);
    let finding = match (anchors, others) {
        (Some(anchors), _) if anchors.moved => Finding::JudgeDrift,
        (_, None) => Finding::NoData,
        (_, Some(others)) if !others.moved => Finding::NoDrift,
        (Some(anchors), Some(others)) if is_of_model(&anchors, &others, limits) => Finding::ModelDrift,
        (_, Some(_)) => Finding::Unattributed,
    };
    let (new_judges, new) = only_in(&current.judges, &reference.judges);
    let (gone_judges, gone) = only_in(&reference.judges, &current.judges);
    Separation { finding, anchors, others, new_judges, gone_judges, unnamed_judges: [new, gone] }
}

/// Whether the anchors would have shown a movement like that of the others, and did not: theirs is not significant, or with
/// confidence `1 - α/2` less than half of it.
fn is_of_model(anchors: &Movement, others: &Movement, limits: Limits) -> bool {
    let level = limits.alpha / 2.0;
    let size = others.delta.abs();
    let beyond = size - anchors.delta * others.delta.signum();
    let error = standard_error(anchors.rows).hypot(standard_error(others.rows));
    let is_more = beyond - normal_isf(level / 2.0) * error > 0.5 * size;
    anchors.detectable <= size && (anchors.p_value > level || is_more)
}

/// Of delta where nothing changed: that of U, without ties, by nm/2.
fn standard_error([n, m]: [u64; 2]) -> f64 {
    let (n, m) = (n as f64, m as f64);
    ((n + m + 1.0) / (3.0 * n * m)).sqrt()
}

/// `rank_error`: of both together. Delta is then off by twice as much at most, and its p-value that of the least delta which this
/// leaves, by the normal approximation.
fn movement(reference: &Ecdf, current: &Ecdf, rank_error: f64, limits: Limits) -> Option<Movement> {
    let (u, less) = mann_whitney_less(reference, current)?;
    let (_, greater) = mann_whitney_less(current, reference)?;
    let p_value = (2.0 * less.min(greater)).min(1.0);
    // Of all scores equal, no order could be unusual.
    let p_value = if p_value.is_nan() { 1.0 } else { p_value };
    let (n, m) = (reference.len() as f64, current.len() as f64);
    let delta = 1.0 - 2.0 * u / (n * m);
    let level = limits.alpha / 2.0;
    let error = standard_error([reference.len(), current.len()]);
    let detectable = ((normal_isf(level / 2.0) + normal_isf(0.2)) * error + 2.0 * rank_error).min(1.0);
    let least = (delta.abs() - 2.0 * rank_error).max(0.0);
    let p_value =
        if rank_error > 0.0 { p_value.max(2.0 * normal_sf(least / error)).min(1.0) } else { p_value };
    let moved = p_value <= level && delta.abs() >= limits.floor;
    Some(Movement { rows: [reference.len(), current.len()], delta, p_value, detectable, moved })
}

/// The judges of one side alone: their names, and how many are not named.
fn only_in(side: &BTreeMap<String, u64>, other: &BTreeMap<String, u64>) -> (Vec<String>, u64) {
    let own = || side.iter().filter(|(judge, _)| !judge.is_empty() && !other.contains_key(*judge));
    let often = own().filter(|(_, rows)| **rows >= NAMED_FROM);
    let names: Vec<String> = often.take(MAX_NAMED).map(|(judge, _)| judge.clone()).collect();
    let unnamed = (own().count() - names.len()) as u64;
    (names, unnamed)
}
