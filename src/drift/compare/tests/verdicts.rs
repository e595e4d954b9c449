//! Every verdict, and why.

use super::*;

#[test]
fn no_change_is_ok() {
    let finding = single(numbers("x", 1, 5_000, |u| u), numbers("x", 2, 1_000, |u| u));
    assert_eq!(finding.verdict, Verdict::Ok, "{finding:?}");
    assert_eq!(finding.tests.len(), 3);
    let run = run(&side(vec![numbers("x", 1, 5_000, |u| u)]), &side(vec![numbers("x", 2, 1_000, |u| u)]));
    assert_eq!((run.verdict, run.drifted, run.p_values), (Verdict::Ok, 0, 3));
}

#[test]
fn significance_and_size_together_are_drift() {
    let finding = single(numbers("x", 1, 5_000, |u| u), numbers("x", 2, 1_000, |u| u + 0.1));
    assert_eq!(finding.verdict, Verdict::Drift);
    assert!(finding.effect_per_floor.unwrap() > 2.0, "{finding:?}");
    // D can be computed again from the two cells.
    let ks = test(&finding, "kolmogorov");
    let [up_to, above] = &ks.cells[..] else { panic!("{ks:?}") };
    let share = |below: u64, above: u64| below as f64 / (below + above) as f64;
    let d = share(up_to.reference, above.reference) - share(up_to.current, above.current);
    assert!((d - ks.value.unwrap()).abs() < 1e-12);
    assert_eq!(ks.direction, Some(super::super::Direction::Higher));
    assert!(ks.interval.unwrap()[0] > 0.02 && ks.interval.unwrap()[1] < 0.2);
}

#[test]
fn significance_without_size_is_no_drift() {
    let bent = |power: f64| {
        single(numbers("x", 1, 200_000, |u| u), numbers("x", 2, 200_000, move |u| u.powf(power)))
    };
    let warned = bent(1.12);
    assert!(test(&warned, "kolmogorov").q_value.unwrap() < 1e-6);
    assert_eq!(warned.verdict, Verdict::Warn, "{warned:?}");
    let ok = bent(1.03);
    assert!(test(&ok, "kolmogorov").q_value.unwrap() < 0.05);
    assert_eq!(ok.verdict, Verdict::Ok, "{ok:?}");
}

#[test]
fn few_rows_are_insufficient_unless_the_change_is_plain() {
    let few = single(numbers("x", 1, 50, |u| u), numbers("x", 2, 50, |u| u));
    assert_eq!(few.verdict, Verdict::InsufficientData);
    assert!(few.reason.contains("633 rows would be enough"), "{}", few.reason);
    let plain = single(numbers("x", 1, 50, |u| u), numbers("x", 2, 50, |u| u + 5.0));
    assert_eq!(plain.verdict, Verdict::Drift);
    // Iris: eight rows of one half against eight of the other.
    assert_eq!(
        single(numbers("x", 1, 8, |u| u), numbers("x", 2, 8, |u| u)).verdict,
        Verdict::InsufficientData
    );
}

#[test]
fn one_row_is_no_distribution_even_if_far_away() {
    let finding = single(numbers("x", 1, 5_000, |u| u), Column::numeric("x", vec![99.0], 0, 0));
    assert_eq!(finding.verdict, Verdict::InsufficientData);
    assert!(finding.reason.contains("one value"));
    let finding = single(numbers("x", 1, 5_000, |u| u), Column::numeric("x", vec![], 1, 0));
    assert_eq!(finding.verdict, Verdict::NoData);
}

#[test]
fn missing_extra_and_mistyped_columns_are_invalid_and_the_run_goes_on() {
    let reference = side(vec![
        numbers("gone", 1, 1_000, |u| u),
        numbers("kind", 2, 1_000, |u| u),
        numbers("x", 3, 1_000, |u| u),
    ]);
    let current = side(vec![
        numbers("new", 4, 1_000, |u| u),
        categories("kind", &[("a", 1_000)]),
        numbers("x", 5, 1_000, |u| u + 1.0),
    ]);
    let run = run(&reference, &current);
    let found: Vec<_> =
        run.columns.iter().map(|finding| (finding.column.as_str(), finding.verdict)).collect();
    use Verdict::{Drift, Invalid};
    assert_eq!(found, [("x", Drift), ("gone", Invalid), ("kind", Invalid), ("new", Invalid)]);
    assert_eq!((run.verdict, run.drifted), (Drift, 1));
    assert_eq!(run.reason, "1 of 4 columns drifted: x.");
    let reasons: Vec<_> = run.columns[1..].iter().map(|finding| finding.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "The current data has no such column.",
            "The reference is numeric, the current data categorical.",
            "The reference has no such column."
        ]
    );
    let twice = side(vec![numbers("x", 1, 900, |u| u), numbers("x", 1, 900, |u| u)]);
    assert_eq!(super::run(&twice, &reference).columns.last().unwrap().verdict, Invalid);
}

#[test]
fn nothing_to_compare_is_no_data() {
    let some = side(vec![numbers("x", 1, 1_000, |u| u), categories("c", &[("a", 500), ("b", 500)])]);
    for none in [Side::default(), side(vec![numbers("x", 1, 0, |u| u), categories("c", &[])])] {
        for (reference, current) in [(&some, &none), (&none, &some), (&none, &none)] {
            let run = run(reference, current);
            assert_eq!(run.verdict, Verdict::NoData);
            assert!(run.columns.iter().all(|finding| finding.verdict == Verdict::NoData));
        }
    }
    // Columns without any value do not speak for the others, and have no kind.
    let all_missing = || Column::numeric("m", vec![], 1_000, 0);
    let mut with = some.clone();
    with.columns.push(all_missing());
    let mut current = with.clone();
    current.columns[2] = Column::categorical("m", [].into(), 1_000, 0);
    let run = run(&with, &current);
    assert_eq!((run.verdict, run.columns[2].verdict), (Verdict::Ok, Verdict::NoData));
}

#[test]
fn values_that_go_missing_are_drift() {
    let finding = single(numbers("x", 1, 1_000, |u| u), Column::numeric("x", vec![], 1_000, 0));
    assert_eq!(finding.verdict, Verdict::Drift);
    assert!(finding.reason.starts_with("missing rate: "));
    let finding =
        single(Column::numeric("x", uniform(1, 4_950), 50, 0), Column::numeric("x", uniform(2, 960), 40, 0));
    let missing = test(&finding, "missing_rate");
    assert!((missing.value.unwrap() - 0.03).abs() < 1e-12 && missing.verdict == Some(Verdict::Drift));
    let [low, high] = missing.interval.unwrap();
    assert!(low > 0.01 && high < 0.05);
}

#[test]
fn failures_and_infinities_are_drift() {
    let failed =
        single(Column::numeric("x", uniform(1, 4_950), 0, 50), Column::numeric("x", uniform(2, 960), 0, 40));
    assert!(failed.reason.starts_with("type failure rate: "), "{}", failed.reason);
    let mut values = uniform(2, 960);
    values.extend([f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY].repeat(10));
    let infinite = single(numbers("x", 1, 5_000, |u| u), Column::numeric("x", values, 0, 0));
    assert!(infinite.reason.starts_with("not finite rate: "), "{}", infinite.reason);
}

#[test]
fn constants() {
    let constant = |value: f64, rows: usize| Column::numeric("x", vec![value; rows], 0, 0);
    assert_eq!(single(constant(3.0, 5_000), constant(3.0, 1_000)).verdict, Verdict::Ok);
    assert_eq!(single(constant(3.0, 5_000), constant(4.0, 1_000)).verdict, Verdict::Drift);
    assert_eq!(single(constant(0.5, 5_000), numbers("x", 1, 1_000, |u| u)).verdict, Verdict::Drift);
    let one = single(categories("c", &[("a", 900)]), categories("c", &[("a", 800)]));
    assert_eq!(one.verdict, Verdict::Ok);
}

#[test]
fn new_and_vanished_categories() {
    let finding = single(
        categories("c", &[("a", 3_000), ("b", 2_000)]),
        categories("c", &[("a", 550), ("b", 400), ("new", 50)]),
    );
    let new = test(&finding, "new_category_mass");
    assert_eq!((new.value, new.verdict), (Some(0.05), Some(Verdict::Drift)));
    assert_eq!(test(&finding, "vanished").verdict, Some(Verdict::Ok));
    // As many unseen ones as the reference's singletons promise.
    let singles = |from: u32| (from..from + 1_000).map(|i| (i.to_string(), 1)).collect();
    let long_tail =
        single(Column::categorical("c", singles(0), 0, 0), Column::categorical("c", singles(1_000), 0, 0));
    assert_ne!(long_tail.verdict, Verdict::Drift, "{}", long_tail.reason);
}

#[test]
fn cells_add_up_to_the_statistic_and_rare_categories_are_not_named() {
    let names: Vec<String> = (0..60).map(|i| format!("c{i}")).collect();
    let of = |weight: fn(u64) -> u64| -> Vec<(&str, u64)> {
        names.iter().enumerate().map(|(i, name)| (name.as_str(), weight(i as u64))).collect()
    };
    let mut current = of(|i| if i < 50 { 40 + i % 3 } else { i % 2 });
    current.push(("secret", 500));
    let finding = single(categories("c", &of(|i| if i < 50 { 100 } else { 1 })), categories("c", &current));
    let chi_square = test(&finding, "chi_square");
    assert!(chi_square.cells.len() <= 21);
    let sum: f64 = chi_square.cells.iter().filter_map(|cell| cell.term).sum();
    assert!((sum / chi_square.value.unwrap() - 1.0).abs() < 1e-9);
    let rows: u64 = chi_square.cells.iter().map(|cell| cell.current).sum();
    assert_eq!(rows, chi_square.current_n);
    let json = serde_json::to_string(&finding).unwrap();
    assert!(!json.contains("secret") && json.contains("__rare__") && json.contains("__pooled__"));
}

#[test]
fn times_and_texts() {
    let times = |from: i64| Column::time("t", &(from..from + 1_000).collect::<Vec<_>>(), 0, 0);
    let later = single(times(0), times(5_000));
    assert_eq!((later.verdict, later.tests.len()), (Verdict::Ok, 1));
    assert_eq!(later.tests[0].value, Some(1.0));
    let text = |seed, by: f64, distinct| {
        let lengths = super::super::Sample::exact(
            uniform(seed, 1_000).iter().map(|u| (50.0 * u + by).floor()).collect(),
        );
        Column::new("t", Values::Text { lengths, distinct: Some(distinct) }, 0, 0)
    };
    assert_eq!(single(text(1, 0.0, 900), text(2, 0.0, 950)).verdict, Verdict::Ok);
    let longer = single(text(1, 0.0, 900), text(2, 20.0, 450));
    assert_eq!(longer.verdict, Verdict::Drift);
    assert_eq!(test(&longer, "difference_of").value, Some(-0.45));
}

#[test]
fn an_unusual_number_of_rows_warns() {
    let [reference, current] = [1, 2].map(|seed| side(vec![numbers("x", seed, 1_000, |u| u)]));
    let run = |past: &[u64]| compare(&reference, &current, &Options::default(), past).unwrap();
    let usual = run(&[990, 1_020, 1_000, 980, 1_010, 1_003]);
    assert_eq!((usual.verdict, usual.row_count.unwrap().verdict), (Verdict::Ok, Some(Verdict::Ok)));
    let unusual = run(&[5_000, 5_100, 4_900, 5_050, 4_990, 5_010]);
    assert_eq!((unusual.verdict, unusual.reason.as_str()), (Verdict::Warn, "An unusual number of rows."));
    let short = run(&[1_000, 1_000]);
    assert_eq!(short.row_count.unwrap().verdict, Some(Verdict::InsufficientData));
    assert_eq!((short.verdict, run(&[]).row_count), (Verdict::Ok, None));
}
