//! Evidently 0.7's decisions in the types of this report.

use super::super::statistics::compat::{self, Comparator, Method, Outcome};
use super::column::summary;
use super::result::{Finding, Mode, Run, Test, Verdict};
use super::run::{count, rank};
use super::side::{Categories, Column, Values};
use std::collections::BTreeSet;

/// The data set drifts if at least this share of its columns does.
const DRIFT_SHARE: f64 = 0.5;

/// Each column by one test, without correction or effect; drift of the run if half of the columns that have a score
/// drift.
///
/// Where Evidently would end its whole report with an error the column is [`Verdict::Invalid`] or
/// [`Verdict::NoData`]; texts, for which it trains a classifier, and sketches have no score here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidently {
    /// The first of these that takes a column's kind is its test; without any, the default for its kind and size.
    pub methods: Vec<Method>,
    /// Columns whose numbers are not whole by their type, though their values may be: that decides their bins.
    pub fractions: BTreeSet<String>,
}

pub(super) fn judge(mut columns: Vec<Finding>, [reference_rows, current_rows]: [u64; 2]) -> Run {
    rank(&mut columns);
    let drifted = count(&columns, Verdict::Drift);
    let scored = columns.iter().filter(|finding| !finding.tests.is_empty()).count();
    let verdict = match scored {
        0 => columns.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::NoData),
        scored if drifted as f64 / scored as f64 >= DRIFT_SHARE => Verdict::Drift,
        _ => Verdict::Ok,
    };
    Run {
        mode: Mode::Evidently07,
        options: None,
        verdict,
        reason: format!(
            "{drifted} of {scored} columns drifted; the data set does from a share of {DRIFT_SHARE} on."
        ),
        reference_rows,
        current_rows,
        p_values: 0,
        drifted,
        columns,
        row_count: None,
    }
}

pub(super) fn examine(
    reference: Option<&Column>,
    current: Option<&Column>,
    evidently: &Evidently,
) -> Option<Finding> {
    let either = reference.or(current)?;
    let (test, verdict, reason) = match (reference, current) {
        (Some(reference), Some(current)) => match score(reference, current, evidently) {
            Ok(outcome) => scored(reference, current, outcome),
            Err((verdict, reason)) => (None, verdict, reason.to_owned()),
        },
        _ => (None, Verdict::Invalid, "A side has no such column.".to_owned()),
    };
    Some(Finding {
        column: either.name.clone(),
        kind: either.kind(),
        concern: super::Concern::default(),
        verdict,
        reason,
        effect_per_floor: test.as_ref().and_then(|test| test.effect.as_ref()).map(super::Effect::per_floor),
        reference: reference.map(summary),
        current: current.map(summary),
        tests: test.into_iter().collect(),
        edges: vec![],
        bins: vec![],
    })
}

fn score(
    reference: &Column,
    current: &Column,
    evidently: &Evidently,
) -> Result<Outcome, (Verdict, &'static str)> {
    let asked = |takes: fn(Method) -> bool| evidently.methods.iter().copied().find(|method| takes(*method));
    if !(reference.is_exact() && current.is_exact()) {
        return Err((Verdict::InsufficientData, "The scores need all values, and a side is a sketch."));
    }
    let outcome = match (&reference.values, &current.values) {
        (Values::Numeric(r), Values::Numeric(c)) => {
            let is_whole =
                |side: &super::Sample| side.ecdf.distinct().iter().all(|value| value.fract() == 0.0);
            let integers = !evidently.fractions.contains(&reference.name) && is_whole(r) && is_whole(c);
            compat::numeric(&r.ecdf, &c.ecdf, integers, asked(Method::takes_numeric), None)
        }
        (Values::Categorical(r), Values::Categorical(c)) | (Values::Boolean(r), Values::Boolean(c)) => {
            let (r, c) = over_all_names(r, c);
            compat::categorical(&r, &c, asked(Method::takes_categorical), None)
        }
        (Values::Text { .. }, Values::Text { .. }) => {
            return Err((Verdict::NoData, "Texts have no score here."));
        }
        (Values::Time(_), Values::Time(_)) => return Err((Verdict::NoData, "Times have no score.")),
        _ => return Err((Verdict::Invalid, "The two sides are of different kinds.")),
    };
    outcome.map_err(|why| match why {
        compat::Invalid::EmptyReference => (Verdict::NoData, "The reference has no values."),
        compat::Invalid::EmptyCurrent => (Verdict::NoData, "The current data have no values."),
        compat::Invalid::Undefined(why) => (Verdict::Invalid, why),
        compat::Invalid::WrongType | compat::Invalid::DifferentCells => {
            (Verdict::Invalid, "There is no such score.")
        }
    })
}

fn over_all_names(reference: &Categories, current: &Categories) -> (Vec<u64>, Vec<u64>) {
    let names: BTreeSet<&String> = reference.counts.keys().chain(current.counts.keys()).collect();
    let mut names: Vec<&String> = names.into_iter().collect();
    // Of numbers the smallest is the first.
    let numbers: Option<Vec<f64>> = names.iter().map(|name| name.parse().ok()).collect();
    if numbers.is_some() {
        let number = |name: &String| name.parse().unwrap_or(0.0);
        names.sort_by(|a, b| f64::total_cmp(&number(a), &number(b)));
    }
    let count = |side: &Categories, name: &String| side.counts.get(name).copied().unwrap_or(0);
    names.into_iter().map(|name| (count(reference, name), count(current, name))).unzip()
}

fn scored(reference: &Column, current: &Column, outcome: Outcome) -> (Option<Test>, Verdict, String) {
    let Outcome { method, score, threshold, drifted } = outcome;
    let comparator = match method.comparator() {
        Comparator::Below => "below",
        Comparator::AtOrBelow => "at or below",
        Comparator::AtOrAbove => "at or above",
        Comparator::Above => "above",
    };
    let verdict = if drifted { Verdict::Drift } else { Verdict::Ok };
    let reason = format!("{} {score:?}; drift is {comparator} {threshold}.", method.name());
    let score = Some(score).filter(|score| score.is_finite());
    // What is drift where it is small is a p-value.
    let is_p = matches!(method.comparator(), Comparator::Below | Comparator::AtOrBelow);
    let test = Test {
        method: format!("drift is {comparator} {threshold}"),
        verdict: Some(verdict),
        reason: reason.clone(),
        value: score,
        p_value: score.filter(|_| is_p),
        ..Test::new(method.name(), reference.values.finite(), current.values.finite())
    };
    (Some(test), verdict, reason)
}
