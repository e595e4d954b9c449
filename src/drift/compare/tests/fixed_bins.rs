//! Bins that somebody fixed.

use super::super::{Options, Side, Verdict};
use super::{compare, numbers, side, test, uniform};
use crate::drift::profile::{ColumnPlan, Kind, Plan, ProfileBuilder, Seed, Settings};
use std::collections::BTreeMap;

fn options(edges: &[f64]) -> Options {
    Options { bins: BTreeMap::from([("x".to_owned(), edges.to_vec())]), ..Options::default() }
}

fn sketch(values: &[f64], edges: Option<&[f64]>) -> Side {
    let settings = Settings { exact_limit: 1_024, ..Settings::default() };
    let column = ColumnPlan { name: "x".into(), kind: Kind::Numeric, bins: edges.map(<[f64]>::to_vec) };
    let plan = Plan { seed: Seed(1), settings, columns: vec![column] };
    let mut builder = ProfileBuilder::new(&plan, 0).unwrap();
    builder.columns()[0].numbers(values, None).unwrap();
    Side::from(&builder.finish().unwrap())
}

#[test]
fn bins_are_compared_as_categories_are() {
    let reference = side(vec![numbers("x", 1, 4_000, |x| x)]);
    // Which side of 0.5 a number is on stays as it was.
    let within = side(vec![numbers("x", 2, 4_000, |x| (x * 2.0).floor() / 2.0 + 0.25)]);
    let options = options(&[0.0, 0.5, 1.0]);
    let finding = compare(&reference, &within, &options, &[]).unwrap().columns.remove(0);
    assert_eq!(finding.edges, [0.0, 0.5, 1.0]);
    let labels: Vec<&str> = finding.bins.iter().map(|cell| cell.label.as_str()).collect();
    assert_eq!(labels, ["< 0.0", "0.0 to < 0.5", "0.5 to 1.0", "> 1.0"]);
    let counted: u64 = finding.bins.iter().map(|cell| cell.reference).sum();
    assert_eq!(counted, 4_000);
    assert_eq!(test(&finding, "chi_square_of_fixed_bins").verdict, Some(Verdict::Ok));
    assert_eq!(test(&finding, "kolmogorov").verdict, Some(Verdict::Drift), "the numbers themselves moved");
    let across = side(vec![numbers("x", 2, 4_000, |x| x.powf(1.5))]);
    let finding = compare(&reference, &across, &options, &[]).unwrap().columns.remove(0);
    let found = test(&finding, "chi_square_of_fixed_bins");
    assert_eq!((found.verdict, found.cells.len()), (Some(Verdict::Drift), 2));
}

/// A sketch is off by its error, and what it was counted in beforehand is not.
#[test]
fn bins_of_a_profile_are_exact() {
    let edges = [0.0, 0.25, 0.5, 1.0];
    let (first, second) = (uniform(1, 60_000), uniform(2, 60_000));
    let options = options(&edges);
    let exact = |values: &[f64]| side(vec![super::Column::numeric("x", values.to_vec(), 0, 0)]);
    let of = |reference: &Side, current: &Side| {
        let finding = compare(reference, current, &options, &[]).unwrap().columns.remove(0);
        finding.tests.into_iter().find(|test| test.statistic == "chi_square_of_fixed_bins")
    };
    let (sketched, whole) = (
        of(&sketch(&first, Some(&edges)), &sketch(&second, Some(&edges))).unwrap(),
        of(&exact(&first), &exact(&second)).unwrap(),
    );
    assert_eq!((sketched.p_value, &sketched.cells), (whole.p_value, &whole.cells));
    assert!(of(&sketch(&first, Some(&edges)), &exact(&second)).is_some());
    for other in [None, Some(&[0.0, 0.5, 1.0][..])] {
        let run = compare(&sketch(&first, other), &exact(&second), &options, &[]).unwrap();
        assert_eq!(run.verdict, Verdict::Invalid);
        assert!(run.reason.contains('x') && run.columns[0].reason.contains("--bins"), "{:?}", run.columns[0]);
    }
}

#[test]
fn bins_that_cannot_be() {
    for edges in [&[][..], &[1.0], &[1.0, 1.0], &[2.0, 1.0], &[0.0, f64::NAN], &[0.0, f64::INFINITY]] {
        assert!(options(edges).check().is_err(), "{edges:?}");
    }
    let words = || side(vec![super::categories("x", &[("a", 1_000), ("b", 1_000)])]);
    let run = compare(&words(), &words(), &options(&[0.0, 1.0]), &[]).unwrap();
    assert_eq!((run.verdict, run.columns[0].verdict), (Verdict::Invalid, Verdict::Invalid));
    // All are within one bin: there is nothing to compare.
    let same = || side(vec![numbers("x", 1, 2_000, |x| x)]);
    let run = compare(&same(), &same(), &options(&[-5.0, 5.0]), &[]).unwrap();
    assert!(run.columns[0].tests.iter().all(|test| !test.statistic.ends_with("bins")));
}
