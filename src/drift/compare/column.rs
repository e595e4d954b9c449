//! The tests of one column, or why there are none.

use super::super::profile::Kind;
use super::options::Options;
use super::result::{Finding, Summary, Test, Verdict};
use super::side::{Column, Sample, Values};
use super::{categories, described, fixed_bins, numeric, rates};

/// The column on both sides. A verdict that is set here stands unless a rate drifted.
pub(super) fn examine(
    reference: Option<&Column>,
    current: Option<&Column>,
    options: &Options,
) -> Option<Finding> {
    let either = reference.or(current)?;
    let mut finding = Finding {
        column: either.name.clone(),
        kind: either.kind(),
        concern: super::Concern::default(),
        verdict: Verdict::Ok,
        reason: String::new(),
        effect_per_floor: None,
        reference: reference.map(summary),
        current: current.map(summary),
        tests: vec![],
        edges: vec![],
        bins: vec![],
    };
    let (Some(reference), Some(current)) = (reference, current) else {
        let side = if reference.is_none() { "reference" } else { "current data" };
        return Some(stop(finding, Verdict::Invalid, &format!("The {side} has no such column.")));
    };
    if let Some(side) = empty(reference.rows, current.rows) {
        return Some(stop(finding, Verdict::NoData, &format!("The {side} has no rows.")));
    }
    let [n, m] = [reference, current].map(|column| column.values.finite());
    // Without values a kind says nothing: it may have been guessed.
    if n > 0 && m > 0 && reference.kind() != current.kind() {
        let [r, c] = [reference, current].map(|column| name(column.kind()));
        return Some(stop(
            finding,
            Verdict::Invalid,
            &format!("The reference is {r}, the current data {c}."),
        ));
    }
    if n > 0 && m > 0 && options.bins.contains_key(&finding.column) && reference.kind() != Kind::Numeric {
        let why = format!(
            "Bins are for numbers, and the column is {}: say --type {}=num.",
            name(reference.kind()),
            finding.column
        );
        return Some(stop(finding, Verdict::Invalid, &why));
    }
    finding.tests = rates::tests(reference, current, options);
    let is_other = |column: &Column, values: u64| values == 0 && column.failed > 0;
    if is_other(reference, n) || is_other(current, m) {
        let side = if is_other(reference, n) { "reference" } else { "current data" };
        let why = format!("The {side} has values, and none is {}.", name(reference.kind()));
        return Some(stop(finding, Verdict::Invalid, &why));
    }
    if let Some(side) = empty(n, m) {
        return Some(stop(
            finding,
            Verdict::NoData,
            &format!("The {side} has rows, but no value among them."),
        ));
    }
    if n < 2 || m < 2 {
        let side = if n < 2 { "reference" } else { "current data" };
        let why = format!("The {side} has one value, which is no distribution.");
        return Some(stop(finding, Verdict::InsufficientData, &why));
    }
    finding.tests.extend(match (&reference.values, &current.values) {
        (Values::Numeric(r), Values::Numeric(c))
        | (Values::Text { lengths: r, .. }, Values::Text { lengths: c, .. }) => {
            let fixed = options.bins.get(&finding.column);
            (finding.edges, finding.bins) = match fixed.map(|edges| (edges, fixed_bins::cells(r, c, edges))) {
                Some((edges, Some(cells))) => (edges.clone(), cells),
                Some((_, None)) => {
                    let why = "A side is a profile that was not counted in the bins asked for: make it with --bins, too.";
                    return Some(stop(finding, Verdict::Invalid, why));
                }
                None => numeric::bins(r, c),
            };
            let of_bins = fixed.and_then(|_| fixed_bins::test(&finding.bins, options));
            let described = described::of_numbers(&r.ecdf, &c.ecdf, &finding.bins, options);
            numeric::tests(r, c, options).into_iter().chain(of_bins).chain(described).collect()
        }
        (Values::Time(r), Values::Time(c)) => {
            (finding.edges, finding.bins) = numeric::bins(r, c);
            numeric::range_of_times(r, c).into_iter().collect()
        }
        (Values::Categorical(r), Values::Categorical(c)) | (Values::Boolean(r), Values::Boolean(c)) => {
            let described = described::of_categories(r, c, options);
            categories::tests(r, c, options).into_iter().chain(described).collect()
        }
        _ => vec![],
    });
    finding.tests.extend(distinct_texts(reference, current));
    Some(finding)
}

fn stop(finding: Finding, verdict: Verdict, reason: &str) -> Finding {
    Finding { verdict, reason: reason.to_owned(), ..finding }
}

/// Which side is.
fn empty(reference: u64, current: u64) -> Option<&'static str> {
    (reference == 0).then_some("reference").or((current == 0).then_some("current data"))
}

pub(super) fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Numeric => "numeric",
        Kind::Categorical => "categorical",
        Kind::Boolean => "boolean",
        Kind::Time => "a time",
        Kind::Text => "text",
    }
}

/// Different texts per text. It falls with the number of rows, so it only describes.
fn distinct_texts(reference: &Column, current: &Column) -> Option<Test> {
    let share = |column: &Column| match column.values {
        Values::Text { distinct: Some(distinct), .. } => Some(distinct as f64 / column.values.total() as f64),
        _ => None,
    };
    Some(Test {
        method: "described only: it depends on the number of rows".to_owned(),
        value: Some(share(current)? - share(reference)?).filter(|value| value.is_finite()),
        ..Test::new(
            "difference_of_the_share_of_different_texts",
            reference.values.total(),
            current.values.total(),
        )
    })
}

pub(super) fn summary(column: &Column) -> Summary {
    let quantiles = |sample: &Sample| {
        let (min, max) = sample.bounds()?;
        let at = |p| sample.ecdf.quantile(p);
        Some([min, at(0.05)?, at(0.25)?, at(0.5)?, at(0.75)?, at(0.95)?, max])
    };
    let (quantiles, distinct) = match &column.values {
        Values::Numeric(sample) | Values::Time(sample) => {
            let distinct = (sample.error() == 0.0).then_some(sample.ecdf.distinct().len() as u64);
            (quantiles(sample), distinct)
        }
        Values::Text { lengths, distinct } => (quantiles(lengths), *distinct),
        Values::Categorical(categories) | Values::Boolean(categories) => {
            (None, (categories.error == 0).then_some(categories.counts.len() as u64))
        }
    };
    Summary {
        rows: column.rows,
        missing: column.missing,
        failed: column.failed,
        not_finite: column.values.not_finite(),
        exact: column.is_exact(),
        quantiles: quantiles.filter(|values| values.iter().all(|value| value.is_finite())),
        distinct,
    }
}
