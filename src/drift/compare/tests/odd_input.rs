//! Nothing panics, nothing undefined gets into the JSON.

use super::super::super::statistics::Ecdf;
use super::super::{Correction, Floors, Sample};
use super::*;

fn samples() -> Vec<Vec<f64>> {
    vec![
        vec![],
        vec![1.0],
        vec![f64::NAN],
        vec![f64::NAN; 500],
        vec![f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.0, -0.0],
        vec![7.0; 900],
        vec![f64::MAX, f64::MIN, f64::MAX, f64::MIN],
        vec![f64::MIN_POSITIVE, 5e-324, 0.0],
        vec![1.0, 2.0],
        uniform(1, 300),
        uniform(2, 1_000).into_iter().chain([9e9]).collect(),
        uniform(3, 2_000).into_iter().map(|u| (u - 0.5) * f64::MAX).collect(),
    ]
}

#[test]
fn odd_numbers() {
    for r in samples() {
        for c in samples() {
            for (missing, failed) in [(0, 0), (1, 1), (u64::MAX, u64::MAX)] {
                single(
                    Column::numeric("x", r.clone(), missing, 0),
                    Column::numeric("x", c.clone(), 3, failed),
                );
            }
        }
    }
}

#[test]
fn odd_counts() {
    let all = [
        vec![],
        vec![("a", 1)],
        vec![("a", u64::MAX), ("b", u64::MAX)],
        vec![("a", 1), ("b", 0), ("", 3)],
        vec![("a", u64::MAX), ("__other__", 1)],
        vec![("x", 1_000), ("y", 2_000)],
    ];
    for r in &all {
        for c in &all {
            single(categories("c", r), categories("c", c));
            single(
                Column::boolean("b", r.len() as u64, u64::MAX, 0, 0),
                Column::boolean("b", c.len() as u64, 5, 0, 0),
            );
        }
    }
}

#[test]
fn huge_and_contradictory_sides() {
    let huge = Ecdf::weighted(&[(1.0, u64::MAX), (2.0, u64::MAX)]);
    for rank_error in [0.0, 0.01, 1.0, f64::NAN] {
        for range in [None, Some((1.0, 2.0)), Some((2.0, 1.0)), Some((f64::NAN, f64::NAN))] {
            let sample = Sample { ecdf: huge.clone(), range, not_finite: u64::MAX, rank_error, bins: None };
            let column = Column::new("x", Values::Numeric(sample), u64::MAX, 1);
            single(column.clone(), numbers("x", 1, 1_000, |u| u));
            single(numbers("x", 1, 1_000, |u| u), column);
        }
    }
    for (rows, missing, failed) in [(5, 9, 0), (9, 5, 9), (0, 1, 1), (u64::MAX, 1, u64::MAX)] {
        let column = Column { rows, missing, failed, ..numbers("x", 1, 100, |u| u) };
        single(column.clone(), numbers("x", 2, 100, |u| u));
        single(numbers("x", 2, 100, |u| u), column);
    }
    let lying = Categories { counts: [("a".to_owned(), 900)].into(), total: 10, error: u64::MAX };
    let column = Column::new("c", Values::Categorical(lying), 0, 0);
    single(column.clone(), categories("c", &[("b", 50)]));
    single(categories("c", &[("a", 50), ("b", 9)]), column);
}

#[test]
fn one_outlier_changes_nothing() {
    let with: Vec<f64> = uniform(2, 1_000).into_iter().chain([9e9]).collect();
    let finding = single(numbers("x", 1, 5_000, |u| u), Column::numeric("x", with, 0, 0));
    assert_eq!(finding.verdict, Verdict::Ok, "{}", finding.reason);
    assert!(finding.bins.len() <= 20 && finding.edges.last() < Some(&1.1));
}

#[test]
fn options_have_bounds() {
    let none = Side::default();
    let refused = |options: Options| compare(&none, &none, &options, &[]).is_err();
    for alpha in [0.0, -1.0, 0.6, f64::NAN, f64::INFINITY] {
        assert!(refused(Options { alpha, ..Options::default() }));
    }
    for floor in [0.0, -0.1, f64::NAN, f64::INFINITY] {
        let default = Floors::default();
        for floors in [
            Floors { distance: floor, ..default.clone() },
            Floors { shift: floor, ..default.clone() },
            Floors { rate: floor, ..default.clone() },
            Floors { unseen: floor, ..default.clone() },
        ] {
            assert!(refused(Options { floors, ..Options::default() }));
        }
    }
    let strict = Options { alpha: 1e-300, correction: Correction::BenjaminiYekutieli, ..Options::default() };
    assert!(!refused(strict));
}

#[test]
fn the_schema_names_the_types() {
    let schema = super::super::schema().to_value().to_string();
    for name in ["Finding", "INSUFFICIENT_DATA", "compat:evidently@0.7", "q_value"] {
        assert!(schema.contains(name), "{name}");
    }
}
