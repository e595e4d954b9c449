//! The choice of test, the side of the threshold, and the cases another tool treats specially.

use super::super as s;
use super::uniform;
use s::Ecdf;
use s::compat::{Invalid, Method, categorical, numeric};

fn spread(rows: usize, distinct: usize) -> Ecdf {
    Ecdf::new((0..rows).map(|i| (i % distinct) as f64).collect())
}

#[test]
fn the_default_goes_by_rows_of_the_reference_and_distinct_values_of_both() {
    let current = spread(300, 2);
    for (rows, distinct, expected) in [
        (1000, 6, Method::Ks),
        (1000, 5, Method::ChiSquare),
        (1000, 3, Method::ChiSquare),
        (1000, 2, Method::Z),
        (1001, 6, Method::Wasserstein),
        (1001, 5, Method::JensenShannon),
        (1001, 2, Method::JensenShannon),
    ] {
        let outcome = numeric(&spread(rows, distinct), &current, true, None, None).unwrap();
        assert_eq!(outcome.method, expected, "{rows} {distinct}");
        assert_eq!(outcome.threshold, expected.default_threshold());
    }
    for (r, c, expected) in [
        ([500, 500, 0], [3, 4, 0], Method::Z),
        ([500, 500, 0], [3, 4, 1], Method::ChiSquare),
        ([501, 500, 0], [3, 4, 0], Method::JensenShannon),
    ] {
        assert_eq!(categorical(&r, &c, None, None).unwrap().method, expected, "{r:?} {c:?}");
    }
}

#[test]
fn at_the_threshold_each_method_has_its_side() {
    let (u, v) = (uniform(1, 60), uniform(2, 60));
    let (a, b) = (Ecdf::new(u), Ecdf::new(v));
    for (name, drifted) in [
        ("ks", true),
        ("cramer_von_mises", true),
        ("anderson", false),
        ("es", false),
        ("mannw", false),
        ("t_test", false),
        ("wasserstein", true),
        ("psi", true),
        ("jensenshannon", true),
        ("kl_div", true),
        ("hellinger", true),
        ("ed", false),
    ] {
        let method = Method::by_name(name);
        let score = numeric(&a, &b, false, method, None).unwrap().score;
        assert_eq!(numeric(&a, &b, false, method, Some(score)).unwrap().drifted, drifted, "{name}");
    }
    for name in ["chisquare", "z", "g_test", "fisher_exact"] {
        let (r, c, method) = ([20, 30], [26, 24], Method::by_name(name));
        let score = categorical(&r, &c, method, None).unwrap().score;
        assert!(!categorical(&r, &c, method, Some(score)).unwrap().drifted, "{name}");
        assert!(categorical(&r, &c, method, Some(score.next_up())).unwrap().drifted, "{name}");
    }
}

#[test]
fn special_cases() {
    let one = categorical(&[9], &[4], None, None).unwrap();
    assert_eq!((one.method, one.score, one.drifted), (Method::Z, 1.0, false));
    let new = categorical(&[300, 200, 0], &[300, 199, 1], None, None).unwrap();
    assert_eq!((new.method, new.score, new.drifted), (Method::ChiSquare, 0.0, true));
    // Nine standard errors and more are 0 in `1 - Φ`.
    assert_eq!(categorical(&[500, 500], &[900, 100], None, None).unwrap().score, 0.0);
    let undefined = categorical(&[9], &[4], Some(Method::ChiSquare), None).unwrap();
    assert!(undefined.score.is_nan() && !undefined.drifted);
    let constant = Ecdf::new(vec![2.0; 30]);
    assert!(matches!(
        numeric(&constant, &constant, false, Some(Method::Anderson), None),
        Err(Invalid::Undefined(_))
    ));
    assert!(matches!(
        numeric(&constant, &constant, false, Some(Method::EppsSingleton), None),
        Err(Invalid::Undefined(_))
    ));
    assert_eq!(numeric(&constant, &constant, false, Some(Method::Wasserstein), None).unwrap().score, 0.0);
    assert_eq!(numeric(&Ecdf::default(), &constant, false, None, None), Err(Invalid::EmptyReference));
    // A normal that falls by one standard deviation: the one-sided test is blind to it.
    let (u, v) = (Ecdf::new(uniform(1, 500)), Ecdf::new(uniform(2, 500).iter().map(|v| v - 0.3).collect()));
    assert!(numeric(&u, &v, false, Some(Method::MannWhitney), None).unwrap().score > 0.999);
}

#[test]
fn bins_follow_the_reference_alone() {
    // 21 distinct values on the reference side make bins, on the current side they do not.
    let (many, few) = (spread(1200, 21), spread(1200, 20));
    let score = |a: &Ecdf, b: &Ecdf| numeric(a, b, true, Some(Method::JensenShannon), None).unwrap().score;
    assert!((score(&many, &few) - score(&few, &many)).abs() > 1e-6);
}
