//! What Evidently 0.7.23 with SciPy 1.17.1 and NumPy 2.4.6 gives for four pairs of samples.

use super::super as s;
use super::{near, uniform};
use s::Ecdf;
use s::compat::{Method, categorical, numeric};

fn sample(values: impl Iterator<Item = f64>) -> Ecdf {
    Ecdf::new(values.collect())
}

fn check(reference: &Ecdf, current: &Ecdf, integers: bool, expected: &[(&str, f64)]) {
    for (name, expected) in expected {
        let outcome = numeric(reference, current, integers, Method::by_name(name), None).unwrap();
        near(outcome.score, *expected, name);
    }
}

#[test]
fn set_a_heavy_right_tail() {
    let (u, v) = (uniform(1, 2000), uniform(2, 500));
    let (a, b) = (sample(u.iter().map(|u| -(-u).ln_1p())), sample(v.iter().map(|v| -(-v).ln_1p() * 1.1)));
    check(
        &a,
        &b,
        false,
        &[
            ("psi", 0.04273357772738099),
            ("jensenshannon", 0.07254804884683713),
            ("kl_div", 0.019486575090637705),
            ("wasserstein", 0.12007162240244276),
            ("hellinger", 0.07364269178568923),
            ("ed", 0.09249590745730599),
            ("ks", 0.0629136861531235),
            ("cramer_von_mises", 0.02102078747517344),
            ("anderson", 0.0201885864263541),
            ("es", 0.09363265384783834),
            ("mannw", 0.006606700884986415),
            ("t_test", 0.03565807601980423),
        ],
    );
    near(s::wasserstein::wasserstein(&a, &b).unwrap(), 0.12202450913925045, "W1");
    near(a.variance().unwrap().sqrt(), 1.0162643487089915, "standard deviation");
    let default = numeric(&a, &b, false, None, None).unwrap();
    assert_eq!((default.method, default.drifted), (Method::Wasserstein, true));
}

#[test]
fn set_b_small_and_continuous() {
    let (u, v) = (uniform(1, 2000), uniform(2, 500));
    let (a, b) = (sample(u[..800].iter().copied()), sample(v[..300].iter().map(|v| v.powf(1.2))));
    check(
        &a,
        &b,
        false,
        &[
            ("psi", 0.0774142871381326),
            ("jensenshannon", 0.09795344220163704),
            ("kl_div", 0.039918630866249964),
            ("wasserstein", 0.1626027982571555),
            ("hellinger", 0.0981608723507583),
            ("ed", 0.07299533051287498),
            ("ks", 0.048150351059868354),
        ],
    );
    let ks = s::ks::ks(&a, &b).unwrap();
    near(ks.statistic, 0.09166666666666667, "D");
    near(s::ks::asymptotic(800, 300, ks.statistic), 0.048082724915812336, "asymptotic");
    let equal = s::ks::ks(&sample(u[..300].iter().copied()), &b).unwrap();
    near(equal.statistic, 0.09, "D of equal sizes");
    near(equal.p_value, 0.17609362474930004, "p of equal sizes");
    let default = numeric(&a, &b, false, None, None).unwrap();
    assert_eq!((default.method, default.drifted), (Method::Ks, true));
}

#[test]
fn set_c_few_integers() {
    let (u, v) = (uniform(1, 2000), uniform(2, 500));
    let (a, b) =
        (sample(u.iter().map(|u| (10.0 * u).floor())), sample(v.iter().map(|v| (10.0 * v * v).floor())));
    check(
        &a,
        &b,
        true,
        &[
            ("psi", 0.3222995021882221),
            ("jensenshannon", 0.19758718772027817),
            ("kl_div", 0.14904007321208362),
            ("wasserstein", 0.5195652831848457),
            ("hellinger", 0.18511250106511581),
        ],
    );
    let (r, c) = s::ecdf::cells(&a, &b);
    for (method, expected) in [("hellinger", 0.19912133071720975), ("chisquare", 2.124587501872216e-43)] {
        near(categorical(&r, &c, Method::by_name(method), None).unwrap().score, expected, method);
    }
}

#[test]
fn set_f_two_categories() {
    let (u, v) = (uniform(1, 2000), uniform(2, 500));
    let count = |values: &[f64], below: f64| {
        let hits = values.iter().filter(|value| **value < below).count() as u64;
        [values.len() as u64 - hits, hits]
    };
    let (r, c) = (count(&u, 0.3), count(&v, 0.35));
    for (method, expected) in [
        ("z", 0.1634891318417755),
        ("jensenshannon", 0.024423343417124578),
        ("psi", 0.0047735734302392354),
        ("chisquare", 0.1170018739027725),
    ] {
        near(categorical(&r, &c, Method::by_name(method), None).unwrap().score, expected, method);
    }
    assert_eq!(categorical(&r, &c, None, None).unwrap().method, Method::JensenShannon);
}

#[test]
fn benjamini_and_hochbergs_example() {
    let p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216];
    let expected = [0.01, 0.04, 0.084, 0.084, 0.084, 0.1, 0.10571428571428572, 0.216, 0.216, 0.216];
    for (found, expected) in s::benjamini_hochberg::benjamini_hochberg(&p).iter().zip(expected) {
        near(*found, expected, "adjusted");
    }
}
