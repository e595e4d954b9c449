//! Tests of whole comparisons.

mod compat;
mod fixed_bins;
mod laws;
mod odd_input;
mod pinned;
mod sketches;
mod vectors;
mod verdicts;

use super::{Categories, Column, Evidently, Finding, Invalid, Options, Rules, Run, Side, Values, Verdict};

fn compare(reference: &Side, current: &Side, options: &Options, past_rows: &[u64]) -> Result<Run, Invalid> {
    Rules::Sound(options.clone()).compare(reference, current, past_rows)
}

fn compare_compat(reference: &Side, current: &Side) -> Run {
    Rules::Evidently07(Evidently::default()).compare(reference, current, &[]).unwrap()
}

/// Uniform numbers, the same in any language.
fn uniform(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / 2.0_f64.powi(53)
    };
    (0..count).map(next).collect()
}

fn numbers(name: &str, seed: u64, count: usize, change: impl Fn(f64) -> f64) -> Column {
    Column::numeric(name, uniform(seed, count).into_iter().map(change).collect(), 0, 0)
}

fn categories(name: &str, counts: &[(&str, u64)]) -> Column {
    let counts = counts.iter().map(|(category, count)| ((*category).to_owned(), *count)).collect();
    Column::categorical(name, counts, 0, 0)
}

fn side(columns: Vec<Column>) -> Side {
    Side { rows: columns.iter().map(|column| column.rows).max().unwrap_or(0), columns }
}

/// The default comparison, whose JSON must hold no undefined number and be read back as it was.
fn run(reference: &Side, current: &Side) -> Run {
    let run = compare(reference, current, &Options::default(), &[]).unwrap();
    let json = serde_json::to_string(&run).unwrap();
    assert!(!json.contains("null") && !json.contains("NaN"), "{json}");
    assert_eq!(serde_json::from_str::<Run>(&json).unwrap(), run);
    run
}

fn single(reference: Column, current: Column) -> Finding {
    run(&side(vec![reference]), &side(vec![current])).columns.remove(0)
}

fn test<'a>(finding: &'a Finding, start: &str) -> &'a super::Test {
    finding.tests.iter().find(|test| test.statistic.starts_with(start)).unwrap()
}
