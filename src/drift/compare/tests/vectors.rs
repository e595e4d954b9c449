//! Columns of vectors.

use super::super::{Vectors, examine_vectors};
use super::*;

/// Vectors of four numbers that are moved by so many of their standard deviations.
fn drawn(seed: u64, count: usize, moved: f64) -> Vectors {
    let numbers = uniform(seed, 4 * count);
    let number = |x: &f64| (x * 12.0_f64.sqrt() + moved) as f32;
    let drawn = numbers.chunks(4).map(|vector| vector.iter().map(number).collect()).collect();
    Vectors { rows: count as u64, missing: 0, failed: 0, drawn }
}

fn found(reference: Option<&Vectors>, current: Option<&Vectors>) -> Finding {
    let options = Options::default();
    let finding = examine_vectors("v", reference, current, &options, 7);
    let rows = [reference, current].map(|side| side.map_or(0, |side| side.rows));
    Rules::Sound(options).judge(vec![finding], rows, &[]).columns.remove(0)
}

#[test]
fn what_moved_is_found_and_what_did_not_is_not() {
    let reference = drawn(1, 80, 0.0);
    let same = found(Some(&reference), Some(&drawn(2, 80, 0.0)));
    assert!(same.verdict < Verdict::Warn, "{}", same.reason);
    let moved = found(Some(&reference), Some(&drawn(3, 80, 1.0)));
    assert_eq!(moved.verdict, Verdict::Drift, "{}", moved.reason);
    let effect = moved.tests[0].effect.as_ref().unwrap();
    assert!(effect.value > effect.floor && effect.rows_needed > 0);
    assert_eq!(moved, found(Some(&reference), Some(&drawn(3, 80, 1.0))));
}

#[test]
fn what_cannot_be_compared_is_a_verdict() {
    let some = drawn(1, 10, 0.0);
    let none = Vectors { rows: 1, missing: 1, ..Vectors::default() };
    let one = Vectors { rows: 1, drawn: vec![vec![0.0; 4]], ..Vectors::default() };
    let longer = Vectors { rows: 2, drawn: vec![vec![0.0; 5]; 2], ..Vectors::default() };
    let equal = Vectors { rows: 9, drawn: vec![vec![1.0; 4]; 9], ..Vectors::default() };
    let huge = Vectors { rows: 9, drawn: vec![vec![f32::MAX; 4]; 9], ..Vectors::default() };
    for (a, b, verdict) in [
        (Some(&some), None, Verdict::Invalid),
        (None, Some(&some), Verdict::Invalid),
        (Some(&some), Some(&none), Verdict::NoData),
        (Some(&one), Some(&some), Verdict::InsufficientData),
        (Some(&some), Some(&longer), Verdict::Invalid),
        (Some(&equal), Some(&equal), Verdict::Ok),
    ] {
        let finding = found(a, b);
        assert_eq!(finding.verdict, verdict, "{}", finding.reason);
        assert!(!finding.reason.is_empty());
    }
    let json = serde_json::to_string(&found(Some(&huge), Some(&some))).unwrap();
    assert!(!json.contains("null"), "{json}");
}

#[test]
fn one_odd_vector_is_one_that_failed() {
    let reference = drawn(1, 80, 0.0);
    let odd = |moved: f64| {
        let mut side = drawn(3, 80, moved);
        side.drawn[0].pop();
        side
    };
    let moved = found(Some(&reference), Some(&odd(1.0)));
    assert_eq!(moved.verdict, Verdict::Drift, "{}", moved.reason);
    assert_eq!(moved.current.unwrap().failed, 1);
    assert!(found(Some(&odd(0.0)), Some(&drawn(2, 80, 0.0))).verdict < Verdict::Warn);
    // Of two lengths that are as common that of the reference is meant.
    let mut both = drawn(4, 80, 0.0);
    both.drawn[..40].iter_mut().for_each(|vector| vector.push(0.0));
    let half = found(Some(&reference), Some(&both));
    assert_eq!(half.current.as_ref().unwrap().failed, 40);
    assert!(
        half.verdict == Verdict::Drift && half.reason.starts_with("type failure rate"),
        "{}",
        half.reason
    );
}

#[test]
fn vectors_that_are_missing_are_drift() {
    let (reference, current) = (drawn(1, 80, 0.0), drawn(2, 80, 0.0));
    let missing = Vectors { rows: 200, missing: 120, ..current };
    let found = |side: &Vectors| found(Some(&reference), Some(side));
    let some = found(&missing);
    assert_eq!(some.verdict, Verdict::Drift, "{}", some.reason);
    assert!(some.reason.starts_with("missing rate"), "{}", some.reason);
    let all = found(&Vectors { rows: 200, missing: 200, ..Vectors::default() });
    assert_eq!(all.verdict, Verdict::Drift, "{}", all.reason);
}
