//! Nothing panics, and nothing undefined comes out as a number.

use super::super as s;
use s::Ecdf;
use s::compat::{Invalid, Method, categorical, numeric};
use s::jensen_shannon::Base;

fn odd_samples() -> Vec<Ecdf> {
    let of = |values: &[f64]| Ecdf::new(values.to_vec());
    vec![
        of(&[]),
        of(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
        of(&[0.0]),
        of(&[-0.0, 0.0]),
        of(&[1.0, 2.0]),
        of(&[7.0; 50]),
        of(&[f64::MAX, f64::MIN]),
        of(&[f64::MIN_POSITIVE, 5e-324, 0.0, 1.0]),
        of(&(0..100).map(|i| f64::from(i) * 1e306).collect::<Vec<_>>()),
        of(&(0..30).map(f64::from).chain([9e9]).collect::<Vec<_>>()),
        Ecdf::weighted(&[(1.0, u64::MAX / 4), (2.0, u64::MAX / 4)]),
        Ecdf::weighted(&[(1.0, 1 << 40), (2.0, 1 << 41), (3.0, 3), (4.0, 1 << 38)]),
        Ecdf::weighted(&(0..40).map(|i| (f64::from(i), 1_000_000_007)).collect::<Vec<_>>()),
    ]
}

#[test]
fn two_odd_samples() {
    for a in &odd_samples() {
        for b in &odd_samples() {
            let empty = a.is_empty() || b.is_empty();
            let ks = s::ks::ks(a, b);
            assert_eq!(ks.is_none(), empty);
            assert!(
                ks.is_none_or(|ks| (0.0..=1.0).contains(&ks.statistic) && (0.0..=1.0).contains(&ks.p_value))
            );
            assert_eq!(s::wasserstein::wasserstein(a, b).is_none(), empty);
            assert_eq!(s::energy::energy(a, b).is_none(), empty);
            let cvm = s::cramer_von_mises::cramer_von_mises(a, b);
            assert!(cvm.is_none_or(|test| (0.0..=1.0).contains(&test.p_value)), "{cvm:?}");
            let anderson = s::anderson_darling::anderson_darling(a, b);
            assert!(anderson.is_none_or(|test| (0.0..=1.0).contains(&test.p_value)), "{anderson:?}");
            let _ = s::epps_singleton::epps_singleton(a, b);
            let _ = s::mann_whitney::mann_whitney_less(a, b);
            let _ = s::t_test::t_test(a, b);
            for bins in [0, 1, 2, 10] {
                for edges in [s::histogram::quantile_edges(a, bins), s::histogram::equal_width_edges(a, bins)]
                {
                    assert!(edges.windows(2).all(|pair| pair[0] < pair[1]), "{edges:?}");
                    assert_eq!(s::histogram::open_counts(b, &edges).iter().sum::<u64>(), b.len());
                }
            }
            for method in [None].into_iter().chain(Method::all().map(Some)) {
                for integers in [false, true] {
                    let outcome = numeric(a, b, integers, method, None);
                    assert!(outcome.is_err() || !empty);
                }
            }
        }
    }
}

#[test]
fn every_method_has_its_name() {
    for method in Method::all() {
        assert_eq!(Method::by_name(method.name()), Some(method));
        assert!(method.takes_numeric() || method.takes_categorical());
    }
    assert_eq!((Method::all().count(), Method::by_name("TVD")), (16, None));
}

#[test]
fn odd_counts() {
    let odd: [&[u64]; 9] = [
        &[],
        &[0],
        &[0, 0],
        &[1],
        &[3, 0],
        &[0, 3],
        &[u64::MAX, u64::MAX],
        &[u64::MAX, 0, 1],
        &[5, 1 << 62, 0],
    ];
    for r in odd {
        for c in odd {
            let comparable = r.len() == c.len() && r.iter().any(|n| *n > 0) && c.iter().any(|n| *n > 0);
            assert_eq!(s::psi::of_counts(r, c).is_some(), comparable);
            assert_eq!(s::jensen_shannon::of_counts(r, c, Base::E).is_some(), comparable);
            assert_eq!(s::hellinger::of_counts(r, c).is_some(), comparable);
            assert_eq!(s::kullback_leibler::of_counts(r, c).is_some(), comparable);
            assert_eq!(s::l_infinity::l_infinity(r, c).is_some(), comparable);
            assert_eq!(s::unseen_mass::unseen_mass(r, c).is_some(), comparable);
            let test = s::chi_square::contingency(r, c);
            assert!(test.is_none_or(|test| (0.0..=1.0).contains(&test.p_value)), "{r:?} {c:?} {test:?}");
            let pooled = s::chi_square::pool(r, c);
            assert_eq!(pooled.reference.len(), pooled.current.len());
            let _ = s::psi::p_value(r, c);
            for method in [None].into_iter().chain(Method::all().map(Some)) {
                let outcome = categorical(r, c, method, Some(0.2));
                assert!(outcome.is_err() || comparable);
            }
        }
    }
    assert_eq!(categorical(&[1], &[1, 2], None, None), Err(Invalid::DifferentCells));
    assert_eq!(categorical(&[1, 0], &[0, 0], None, None), Err(Invalid::EmptyCurrent));
    assert_eq!(categorical(&[4, 6], &[5, 5], Some(Method::Ks), None), Err(Invalid::WrongType));
    assert!(matches!(categorical(&[4, 6], &[5, 6], Some(Method::GTest), None), Err(Invalid::Undefined(_))));
}

#[test]
fn odd_rates() {
    for a in [0, 1, 5, 1000, u64::MAX] {
        for n in [0, 1, 5, 1000, u64::MAX] {
            for (b, m) in [(0, 0), (0, 9), (9, 9), (3, 1 << 50), (u64::MAX, u64::MAX)] {
                for confidence in [0.95, 0.0, 1.0, f64::NAN] {
                    let Some(test) = s::two_proportion::two_proportion((a, n), (b, m), confidence) else {
                        assert!(n == 0 || m == 0);
                        continue;
                    };
                    let (low, high) = test.interval;
                    assert!((0.0..=1.0).contains(&test.p_value), "{a}/{n} {b}/{m} {test:?}");
                    assert!(
                        -1.0 <= low && low <= test.difference && test.difference <= high && high <= 1.0,
                        "{test:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn odd_p_values_and_row_counts() {
    let adjusted = s::benjamini_hochberg::benjamini_hochberg(&[f64::NAN, -1.0, 2.0, 0.01, f64::INFINITY]);
    assert!(adjusted.iter().all(|q| (0.0..=1.0).contains(q)), "{adjusted:?}");
    assert!(s::benjamini_hochberg::benjamini_hochberg(&[]).is_empty());
    assert_eq!(s::row_count::row_count(&[1, 2, 3, 4], 5), None);
    for past in [[0; 5], [u64::MAX; 5], [0, 0, 0, u64::MAX, u64::MAX]] {
        for count in [0, 1, u64::MAX] {
            let found = s::row_count::row_count(&past, count).unwrap();
            assert!((0.0..=1.0).contains(&found.p_value), "{found:?}");
        }
    }
}

#[test]
fn odd_vectors() {
    let mmd = |a: &[Vec<f32>], b: &[Vec<f32>]| s::mmd::mmd(a, b, 99, 1);
    let v = |x: f32| vec![x, -x];
    assert_eq!(mmd(&[], &[]), None);
    assert_eq!(mmd(&[v(1.0)], &[v(1.0), v(2.0)]), None);
    assert_eq!(mmd(&[v(1.0), vec![1.0]], &[v(1.0), v(2.0)]), None);
    assert_eq!(mmd(&[v(1.0), v(f32::NAN)], &[v(1.0), v(2.0)]), None);
    assert!(mmd(&[vec![], vec![]], &[vec![], vec![]]).is_some_and(|mmd| mmd.p_value == 1.0));
    let constant = mmd(&vec![v(3.0); 9], &vec![v(3.0); 7]).unwrap();
    assert!(constant.p_value == 1.0 && constant.statistic.abs() < 1e-12);
    let far = mmd(&[v(f32::MAX), v(f32::MIN), v(0.0)], &[v(1.0), v(2.0)]).unwrap();
    assert!(far.statistic.is_finite() && far.p_value <= 1.0);
}

#[test]
fn special_functions_outside_of_their_domain() {
    use s::special as f;
    assert!(f::gamma_pq(-1.0, 1.0).0.is_nan() && f::gamma_pq(f64::NAN, 1.0).0.is_nan());
    assert_eq!(f::chi_square_sf(f64::INFINITY, 3.0), 0.0);
    assert_eq!((f::chi_square_sf(-1.0, 3.0), f::chi_square_sf(0.0, 3.0)), (1.0, 1.0));
    assert!(f::chi_square_isf(0.0, 3.0).is_nan() && f::normal_isf(1.0).is_nan());
    assert_eq!((f::normal_sf(f64::INFINITY), f::normal_sf(f64::NEG_INFINITY)), (0.0, 1.0));
    assert!(f::beta_inc(0.0, 1.0, 0.5, 0.5).is_nan());
    assert_eq!(
        (f::binomial_sf(0, 10, 0.3), f::binomial_sf(11, 10, 0.3), f::binomial_sf(3, 10, 0.0)),
        (1.0, 0.0, 0.0)
    );
    assert!(f::student_two_sided(f64::NAN, 3.0).is_nan());
    assert_eq!((f::ln_gamma(0.0), f::stirling_error(-1.0)), (f64::INFINITY, 0.0));
    use s::kolmogorov as k;
    assert!(k::survival(f64::NAN, 0.1).is_nan() && k::survival(0.0, 0.1).is_nan());
    assert_eq!((k::survival(10.0, 2.0), k::survival(10.0, -1.0)), (0.0, 1.0));
    assert_eq!(
        (k::two_sample_exact(0, 5, 3), k::two_sample_exact(5, 5, 99), k::two_sample_exact(5, 7, 0)),
        (1.0, 0.0, 1.0)
    );
    assert_eq!(s::weighted_chi_square::cramer_von_mises_sf(f64::INFINITY), 0.0);
    assert_eq!(s::weighted_chi_square::anderson_darling_sf(-3.0), 1.0);
}
