//! All columns together.

use super::super::statistics::benjamini_hochberg::{benjamini_hochberg, benjamini_yekutieli};
use super::column;
use super::compat::{self, Evidently};
use super::decide::decide;
use super::invalid::Invalid;
use super::options::{Correction, Options};
use super::result::{Effect, Finding, Mode, Run, Test, Verdict};
use super::row_count;
use super::side::{Column, Side};
use std::collections::BTreeMap;

/// By which rules two sides are compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Rules {
    Sound(Options),
    Evidently07(Evidently),
}

impl Rules {
    /// Errors: options out of bounds.
    pub fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::Sound(options) => options.check(),
            Self::Evidently07(_) => Ok(()),
        }
    }

    /// What is found in the columns of one name, of which each side should have one; absent if none has any. `is_rowless`:
    /// a side has no rows, and so may lack columns.
    pub fn examine(&self, reference: &[&Column], current: &[&Column], is_rowless: bool) -> Option<Finding> {
        let (first, second) = (reference.first().copied(), current.first().copied());
        let mut finding = match self {
            Self::Sound(options) => column::examine(first, second, options),
            Self::Evidently07(evidently) => compat::examine(first, second, evidently),
        }?;
        if reference.len() > 1 || current.len() > 1 {
            finding.tests.clear();
            finding.verdict = Verdict::Invalid;
            "A side has two columns of this name.".clone_into(&mut finding.reason);
        } else if is_rowless && (reference.is_empty() || current.is_empty()) {
            finding.verdict = Verdict::NoData;
            "A side has no rows.".clone_into(&mut finding.reason);
        }
        Some(finding)
    }

    /// Decides over all columns together, in whatever order they come. `rows` of the reference and of the current side;
    /// `past_rows` are those of past windows, if there are any.
    ///
    /// A column in which nothing is significant makes no other drift; one that is significant can, as the correction
    /// allows the more false alarms the more true ones there seem to be.
    pub fn judge(&self, columns: Vec<Finding>, rows: [u64; 2], past_rows: &[u64]) -> Run {
        match self {
            Self::Sound(options) => judge(columns, rows, options, past_rows),
            Self::Evidently07(_) => compat::judge(columns, rows),
        }
    }

    /// Compares two sides that are in memory. Errors: options out of bounds. No data make an error.
    pub fn compare(&self, reference: &Side, current: &Side, past_rows: &[u64]) -> Result<Run, Invalid> {
        self.check()?;
        let mut names: BTreeMap<&str, [Vec<&Column>; 2]> = BTreeMap::new();
        for (side, columns) in [&reference.columns, &current.columns].into_iter().enumerate() {
            columns.iter().for_each(|column| names.entry(&column.name).or_default()[side].push(column));
        }
        let is_rowless = reference.rows == 0 || current.rows == 0;
        let columns = names.values().filter_map(|[r, c]| self.examine(r, c, is_rowless)).collect();
        Ok(self.judge(columns, [reference.rows, current.rows], past_rows))
    }
}

fn judge(
    mut columns: Vec<Finding>,
    [reference_rows, current_rows]: [u64; 2],
    options: &Options,
    past_rows: &[u64],
) -> Run {
    columns.sort_by(|a, b| a.column.cmp(&b.column));
    let p: Vec<f64> =
        columns.iter().flat_map(|finding| &finding.tests).filter_map(|test| test.p_value).collect();
    let corrected = match options.correction {
        Correction::BenjaminiHochberg => benjamini_hochberg(&p),
        Correction::BenjaminiYekutieli => benjamini_yekutieli(&p),
    };
    let mut corrected = corrected.into_iter();
    for test in
        columns.iter_mut().flat_map(|finding| &mut finding.tests).filter(|test| test.p_value.is_some())
    {
        test.q_value = corrected.next();
        decide(test, options);
    }
    columns.iter_mut().for_each(conclude);
    rank(&mut columns);
    let row_count = row_count::test(past_rows, current_rows, options);
    let verdict = columns.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::NoData);
    let warned = row_count.as_ref().and_then(|test| test.verdict).filter(|verdict| *verdict == Verdict::Warn);
    let mut run = Run {
        mode: Mode::Sound,
        options: Some(options.clone()),
        verdict: verdict.max(warned.unwrap_or(Verdict::NoData)),
        reason: String::new(),
        reference_rows,
        current_rows,
        p_values: p.len() as u64,
        drifted: count(&columns, Verdict::Drift),
        columns,
        row_count,
    };
    run.reason = reason(&run);
    run
}

/// The verdict of the column's gravest test; of equals that of the largest effect, or of the one that needs most rows.
/// What could not be compared stays so unless one of its rates drifted.
fn conclude(finding: &mut Finding) {
    let structural = !finding.reason.is_empty();
    let weight = |test: &Test| match (test.verdict, &test.effect) {
        (Some(Verdict::InsufficientData), Some(effect)) => effect.rows_needed as f64,
        (_, effect) => effect.as_ref().map_or(0.0, Effect::per_floor),
    };
    let judged = finding.tests.iter().filter(|test| test.verdict.is_some());
    // The last of the greatest is found, and should be the first.
    let gravest = judged.rev().max_by(|a, b| a.verdict.cmp(&b.verdict).then(weight(a).total_cmp(&weight(b))));
    let Some(test) = gravest.filter(|test| !structural || test.verdict >= Some(Verdict::Warn)) else {
        if !structural {
            "There is nothing to test.".clone_into(&mut finding.reason);
        }
        return;
    };
    finding.verdict = test.verdict.unwrap_or(Verdict::Ok);
    finding.effect_per_floor = test.effect.as_ref().map(Effect::per_floor);
    finding.reason = format!("{}: {}", test.statistic.replace('_', " "), test.reason);
}

/// The gravest first, within a verdict the largest effect relative to its floor, then by name.
pub(super) fn rank(columns: &mut [Finding]) {
    columns.sort_by(|a, b| {
        let size = |finding: &Finding| finding.effect_per_floor.unwrap_or(0.0);
        b.verdict.cmp(&a.verdict).then(size(b).total_cmp(&size(a))).then(a.column.cmp(&b.column))
    });
}

pub(super) fn count(columns: &[Finding], verdict: Verdict) -> u64 {
    columns.iter().filter(|finding| finding.verdict == verdict).count() as u64
}

fn reason(run: &Run) -> String {
    let names = |verdict: Verdict| -> String {
        let named = run.columns.iter().filter(|finding| finding.verdict == verdict);
        let first: Vec<&str> = named.take(5).map(|finding| finding.column.as_str()).collect();
        let more = count(&run.columns, verdict).saturating_sub(5);
        if more > 0 { format!("{} and {more} more", first.join(", ")) } else { first.join(", ") }
    };
    let all = run.columns.len();
    match run.verdict {
        Verdict::Drift => format!("{} of {all} columns drifted: {}.", run.drifted, names(Verdict::Drift)),
        Verdict::Invalid => format!("Columns that cannot be compared: {}.", names(Verdict::Invalid)),
        Verdict::Warn if count(&run.columns, Verdict::Warn) == 0 => "An unusual number of rows.".to_owned(),
        Verdict::Warn => format!("No drift; worth a look: {}.", names(Verdict::Warn)),
        Verdict::InsufficientData => format!("Too few rows to judge: {}.", names(Verdict::InsufficientData)),
        Verdict::NoData => "There is nothing to compare.".to_owned(),
        Verdict::Ok => match count(&run.columns, Verdict::NoData) as usize {
            0 => format!("No drift in {all} columns."),
            none => format!("No drift in {} columns; {none} have nothing to compare.", all - none),
        },
    }
}
