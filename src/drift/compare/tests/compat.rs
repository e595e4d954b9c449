//! Evidently's decisions.

use super::super::Mode;
use super::*;

fn exponential(seed: u64, count: usize, scale: f64) -> Column {
    numbers("x", seed, count, move |u| -(-u).ln_1p() * scale)
}

/// Evidently 0.7.23 gives these scores.
#[test]
fn its_choices_and_scores() {
    let reference = side(vec![
        exponential(1, 2_000, 1.0),
        Column::boolean("flag", 1_400, 600, 0, 0),
        Column::time("t", &[1, 2, 3], 0, 0),
    ]);
    let current = side(vec![
        exponential(2, 500, 1.1),
        Column::boolean("flag", 340, 160, 0, 0),
        Column::time("t", &[1, 2, 3], 0, 0),
    ]);
    let run = compare_compat(&reference, &current);
    assert_eq!((run.mode, run.verdict, run.drifted), (Mode::Evidently07, Verdict::Drift, 1));
    let x = &run.columns[0].tests[0];
    assert_eq!((x.statistic.as_str(), x.p_value), ("wasserstein", None));
    assert!((x.value.unwrap() - 0.12007162240244276).abs() < 1e-9);
    let flag = run.columns.iter().find(|finding| finding.column == "flag").unwrap();
    assert_eq!((flag.tests[0].statistic.as_str(), flag.verdict), ("jensenshannon", Verdict::Ok));
    let t = run.columns.iter().find(|finding| finding.column == "t").unwrap();
    assert_eq!((t.verdict, t.tests.len()), (Verdict::NoData, 0));
}

#[test]
fn less_than_half_of_the_columns_is_no_drift() {
    let table = |shift: f64| {
        let column =
            |i: u64| numbers(&format!("x{i}"), 50 + i, 800, move |u| u + if i == 0 { shift } else { 0.0 });
        side((0..3).map(column).collect())
    };
    let run = compare_compat(&table(0.0), &table(0.5));
    assert_eq!((run.verdict, run.drifted), (Verdict::Ok, 1));
    let ks = &run.columns[0].tests[0];
    assert_eq!((ks.statistic.as_str(), ks.value), ("ks", ks.p_value));
}

#[test]
fn what_ends_its_report_is_a_verdict_here() {
    let reference =
        side(vec![numbers("x", 1, 100, |u| u), numbers("gone", 1, 100, |u| u), numbers("k", 1, 100, |u| u)]);
    let current = side(vec![Column::numeric("x", vec![], 100, 0), categories("k", &[("a", 100)])]);
    let run = compare_compat(&reference, &current);
    let found: Vec<_> =
        run.columns.iter().map(|finding| (finding.column.as_str(), finding.verdict)).collect();
    assert_eq!(found, [("gone", Verdict::Invalid), ("k", Verdict::Invalid), ("x", Verdict::NoData)]);
    assert_eq!(run.verdict, Verdict::Invalid);
    assert!(!serde_json::to_string(&run).unwrap().contains("null"));
    assert_eq!(compare_compat(&Side::default(), &Side::default()).verdict, Verdict::NoData);
}
