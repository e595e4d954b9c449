use super::super::{Finding, Limits, Rating, Scored, Separation, separate};

/// Scores of 1 to 5 around a middle, the same for the same arguments.
fn ratings(judge: &'static str, is_anchor: bool, n: u64, shift: f64) -> Vec<Rating<'static>> {
    let score = |row: u64| {
        // Of a normal form by adding up, from bits that look random.
        let bits = (row + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ n << 3 ^ u64::from(is_anchor));
        let sum: u64 = (0..4).map(|part| bits >> (12 * part + 8) & 0xfff).sum();
        (3.0 + (sum as f64 / 4095.0 - 2.0) * 1.7 + shift).round().clamp(1.0, 5.0)
    };
    (0..n).map(|row| Rating { judge, score: score(row), is_anchor }).collect()
}

fn side(judge: &'static str, anchors: (u64, f64), others: (u64, f64)) -> Vec<Rating<'static>> {
    [ratings(judge, true, anchors.0, anchors.1), ratings(judge, false, others.0, others.1)].concat()
}

fn found(reference: &[Rating<'_>], current: &[Rating<'_>]) -> Separation {
    let scored = |side: &[Rating<'_>]| Scored::of(side.iter().copied());
    separate(&scored(reference), &scored(current), Limits::default())
}

#[test]
fn anchors_tell_whose_drift_it_is() {
    let reference = side("judge-1", (200, 0.0), (1_000, 0.0));
    for (anchors, others, finding) in [
        ((201, 0.0), (900, 0.0), Finding::NoDrift),
        ((201, 0.0), (900, -0.8), Finding::ModelDrift),
        ((201, -0.8), (900, -0.8), Finding::JudgeDrift),
        ((201, -0.8), (900, 0.0), Finding::JudgeDrift),
        ((201, 0.8), (0, 0.0), Finding::JudgeDrift),
        ((0, 0.0), (900, 0.8), Finding::Unattributed),
        ((5, 0.0), (900, 0.5), Finding::Unattributed),
        ((201, 0.0), (0, 0.0), Finding::NoData),
        ((0, 0.0), (0, 0.0), Finding::NoData),
    ] {
        let separation = found(&reference, &side("judge-1", anchors, others));
        assert_eq!(separation.finding, finding, "{anchors:?} {others:?} {separation:?}");
        assert!(separation.new_judges.is_empty());
    }
}

#[test]
fn the_measure_has_a_direction_and_two_sides() {
    let (low, high) = (side("j", (100, 0.0), (100, 0.0)), side("j", (100, 0.0), (100, 1.0)));
    let (up, down) = (found(&low, &high).others.unwrap(), found(&high, &low).others.unwrap());
    assert!(up.delta > 0.3 && (up.delta + down.delta).abs() < 1e-12);
    assert!((up.p_value - down.p_value).abs() < 1e-15 && up.p_value < 1e-4);
    assert_eq!(up.rows, [100, 100]);
    // (z(0.9875) + z(0.8)) √(201 / 30000)
    assert!(
        (up.detectable - (2.241_402_727_604_947 + 0.841_621_233_572_914_2) * (201.0_f64 / 30_000.0).sqrt())
            .abs()
            < 1e-9
    );
}

#[test]
fn small_movements_and_odd_scores_are_no_drift() {
    let many = side("j", (0, 0.0), (60_000, 0.0));
    let slightly = side("j", (0, 0.0), (60_000, 0.05));
    let others = found(&many, &slightly).others.unwrap();
    assert!(others.p_value < 0.01 && !others.moved, "{others:?}");

    let equal = vec![Rating { judge: "", score: 4.0, is_anchor: false }; 50];
    let others = found(&equal, &equal).others.unwrap();
    assert_eq!((others.p_value, others.delta, others.moved), (1.0, 0.0, false));
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(|score| Rating {
        judge: "j",
        score,
        is_anchor: true,
    });
    assert_eq!(found(&odd, &odd).finding, Finding::NoData);
    assert_eq!(found(&[], &[]).finding, Finding::NoData);
}

#[test]
fn another_judge_is_named() {
    let (old, new) = (side("judge-1", (100, 0.0), (100, 0.0)), side("judge-2", (100, 0.0), (100, 0.0)));
    let separation = found(&old, &new);
    assert_eq!(separation.finding, Finding::NoDrift);
    assert_eq!(
        (separation.new_judges, separation.gone_judges),
        (vec!["judge-2".to_owned()], vec!["judge-1".to_owned()])
    );
    let both = [old.clone(), new].concat();
    assert_eq!((found(&old, &both).new_judges.len(), found(&old, &both).gone_judges.len()), (1, 0));
}

/// A p-value is that of the least movement which the error of a sketch leaves.
#[test]
fn a_sketch_says_less_than_rows() {
    let (low, high) = (side("j", (400, 0.0), (400, 0.0)), side("j", (400, 0.0), (400, 0.3)));
    let scored = |side: &[Rating<'_>], rank_error| Scored { rank_error, ..Scored::of(side.iter().copied()) };
    let moved = |rank_error| {
        separate(&scored(&low, rank_error), &scored(&high, rank_error), Limits::default()).others.unwrap()
    };
    let (exact, rough, hopeless) = (moved(0.0), moved(0.005), moved(0.2));
    assert_eq!(exact.delta, rough.delta);
    assert!(exact.p_value < rough.p_value && rough.p_value < hopeless.p_value, "{exact:?} {rough:?}");
    assert!(exact.detectable < rough.detectable && exact.moved && !hopeless.moved && hopeless.p_value == 1.0);
}

/// A judge of a few rows may be a person.
#[test]
fn a_judge_of_few_rows_is_only_counted() {
    let usual = side("judge-1", (100, 0.0), (100, 0.0));
    let with = |rows| [usual.clone(), ratings("jane.doe@example.org", false, rows, 0.0)].concat();
    let few = found(&usual, &with(19));
    assert_eq!((few.new_judges.len(), few.unnamed_judges), (0, [1, 0]));
    assert!(!serde_json::to_string(&few).unwrap().contains("jane"));
    let gone = found(&with(20), &usual);
    assert_eq!((gone.gone_judges.len(), gone.unnamed_judges), (1, [0, 0]));
}

/// Anchors that moved by less than matters have moved all the same.
#[test]
fn what_the_anchors_share_is_not_the_models() {
    let reference = side("j", (4_000, 0.0), (4_000, 0.0));
    for (anchors, others, finding) in [
        (0.2, 0.3, Finding::Unattributed),
        (-0.2, -0.3, Finding::Unattributed),
        (0.2, 1.0, Finding::ModelDrift),
        (0.0, 0.3, Finding::ModelDrift),
    ] {
        let separation = found(&reference, &side("j", (4_001, anchors), (4_001, others)));
        assert_eq!(separation.finding, finding, "{anchors} {others} {separation:?}");
        let moved = separation.anchors.unwrap();
        assert!(!moved.moved && (anchors == 0.0) == (moved.p_value > 0.025), "{moved:?}");
    }
}
