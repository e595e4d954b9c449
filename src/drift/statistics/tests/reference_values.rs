//! Values from arithmetic of fifty digits (mpmath 1.3) and exact counts of paths, far into the tails; `kstwo` from
//! SciPy 1.17.1.

use super::super as s;
use super::{near, relative};
use s::special as f;

#[test]
fn tails_of_the_chi_square_and_normal_distributions() {
    for (x, df, expected) in [
        (0.3, 1.0, 0.5838824207703652),
        (30.0, 30.0, 0.46565370894400965),
        (1400.0, 3.0, 2.945619361016309e-303),
        (1500.0, 40.0, 6.78166673230225e-289),
        (31500.0, 30000.0, 8.338652494398444e-10),
        (3.0, 1000.0, 1.0),
    ] {
        relative(f::chi_square_sf(x, df), expected, 1e-10, "chi-square");
    }
    assert_eq!(f::chi_square_sf(45000.0, 30000.0), 0.0);
    for (z, expected) in [
        (-3.0, 0.9986501019683699),
        (0.0, 0.5),
        (1.0, 0.15865525393145705),
        (8.0, 6.220960574271784e-16),
        (20.0, 2.7536241186062337e-89),
        (37.0, 5.725571222524577e-300),
    ] {
        relative(f::normal_sf(z), expected, 1e-10, "normal");
        near(f::normal_isf(expected) - z, 0.0, "normal quantile");
    }
    for p in [0.999, 0.5, 0.05, 1e-12, 1e-200] {
        relative(f::chi_square_sf(f::chi_square_isf(p, 7.0), 7.0), p, 1e-10, "chi-square quantile");
    }
}

#[test]
fn gamma_beta_and_bessel_functions() {
    for (z, expected) in [
        (0.001, 6.907178885383853),
        (0.5, 0.5723649429247001),
        (1.0, 0.0),
        (2.0, 0.0),
        (3.7, 1.428072326665388),
        (15.0, 25.191221182738683),
        (123.4, 469.3360974421906),
        (1e6, 12815504.569147613),
    ] {
        assert!((f::ln_gamma(z) - expected).abs() <= 2e-15 * expected.max(1.0), "ln gamma of {z}");
    }
    for (a, b, x, expected) in [
        (0.5, 0.5, 0.3, 0.36901011956554536),
        (2.0, 3.0, 0.6, 0.8208),
        (50.0, 0.5, 0.2, 9.994267861336983e-37),
        (300.0, 4.0, 0.5, 2.845192754243395e-85),
        (1000.0, 1000.0, 0.4, 8.231611354869308e-20),
    ] {
        relative(f::beta_inc(a, b, x, 1.0 - x), expected, 1e-10, "incomplete beta");
    }
    for (t, df, expected) in [
        (0.0, 5.0, 1.0),
        (2.0, 1.0, 0.2951672353008665),
        (5.0, 10.0, 0.0005373336027564526),
        (40.0, 300.0, 2.8524180395311874e-122),
        (60.0, 2498.0, 0.0),
    ] {
        relative(f::student_two_sided(t, df), expected, 1e-10, "Student");
    }
    for (k, n, p, expected) in [
        (3, 10, 0.25, 0.4744071960449219),
        (20, 100, 0.01, 2.4944165604029184e-20),
        (400, 1000, 0.1, 2.0909420178111235e-137),
    ] {
        relative(f::binomial_sf(k, n, p), expected, 1e-10, "binomial");
    }
    for (x, expected) in
        [(0.01, 6.10439111350144), (1.0, 0.15846030751445875), (30.0, 1.9975382592493083e-27)]
    {
        relative(f::bessel_k_damped(0.25, x), expected, 1e-13, "Bessel");
    }
}

#[test]
fn kolmogorovs_distribution_for_one_sample() {
    for (n, d, expected) in [
        (5.0, 0.3, 0.34282),
        (100.0, 0.2, 0.0002775963664037337),
        (1000.0, 0.5, 5.32258645778891e-232),
        (3000.0, 0.3, 3.0139683805753146e-240),
    ] {
        relative(s::kolmogorov::one_sided_survival(n, d), expected, 1e-10, "one-sided");
    }
    // One or two of each branch.
    for (n, d, expected) in [
        (10.0, 0.04, 1.0),
        (10.0, 0.06, 0.9999999999628411),
        (10.0, 0.08, 0.9999978058034054),
        (10.0, 0.95, 2.0 * 0.05_f64.powi(10)),
        (100.0, 0.05, 0.9532159710635725),
        (140.0, 0.1, 0.11353657290090946),
        (140.0, 0.2, 2.1981563302200222e-5),
        (1000.0, 0.02, 0.8108971656895577),
        (1000.0, 0.04, 0.07933956059000224),
        (20000.0, 0.002, 0.9999979895410975),
        (500000.0, 0.001, 0.698980144366366),
        (500000.0, 0.02, 3.6481966551764204e-174),
        (500000.0, 0.0005, 0.9996286945544336),
    ] {
        near(s::kolmogorov::survival(n, d), expected, "kstwo");
    }
    // Where the sum is taken at every so many terms only, it is the same.
    let sums = |n: f64| s::kolmogorov::one_sided_survival(n, 0.9 / n.sqrt());
    relative(sums(32_768.0), sums(32_767.0), 2e-5, "stride");
    relative(sums(1e12), (-2.0_f64 * 0.81).exp(), 1e-5, "limit");
}

#[test]
fn kolmogorov_and_smirnov_for_two_samples() {
    for (n, m, h, expected) in [
        (5, 5, 3, 0.35714285714285715),
        (100, 100, 20, 0.03638428787491731),
        (1000, 1000, 300, 4.231712281869178e-40),
        (5000, 5000, 1300, 6.6746818288130985e-149),
        (3, 5, 9, 0.4642857142857143),
        (30, 20, 25, 0.02435120690367748),
        (80, 120, 200, 2.310631281097347e-34),
        (150, 100, 280, 1.465910406471983e-57),
    ] {
        relative(s::kolmogorov::two_sample_exact(n, m, h), expected, 1e-11, "exact");
        relative(s::kolmogorov::two_sample_exact(m, n, h), expected, 1e-11, "exact, swapped");
    }
}

#[test]
fn tails_of_the_limits_of_squared_statistics() {
    for (x, expected) in [
        (0.5, 0.0398332175656076),
        (1.0, 0.00246045218013396),
        (2.0, 1.27807361727817e-5),
        (20.0, 1.0972093165653867e-44),
        (60.0, 1.1921523064994654e-130),
        (130.0, 7.720848533128202e-281),
    ] {
        relative(s::weighted_chi_square::cramer_von_mises_sf(x), expected, 1e-12, "Cramér–von Mises");
    }
    for (x, expected) in [(2.0, 0.0918367749412521), (4.0, 0.00871818691391329), (10.0, 1.38150354106859e-5)]
    {
        relative(s::weighted_chi_square::anderson_darling_sf(x), expected, 1e-13, "Anderson–Darling");
    }
    // The textbook's 5 % points (Anderson and Darling 1952; Scholz and Stephens 1987).
    relative(s::weighted_chi_square::cramer_von_mises_sf(0.461_36), 0.05, 1e-4, "5 %");
    relative(s::weighted_chi_square::anderson_darling_sf(2.492), 0.05, 1e-3, "5 %");
    assert!(s::weighted_chi_square::cramer_von_mises_sf(0.004) > 1.0 - 1e-9);
    assert!(s::weighted_chi_square::anderson_darling_sf(0.031) > 1.0 - 1e-9);
}

#[test]
fn fishers_exact_test() {
    for (a, n, b, m, expected) in [
        (3, 10, 7, 12, 0.23053107882829246),
        (0, 20, 9, 20, 0.0012285012285012285),
        (5, 1000, 40, 500, 5.44007765678463e-15),
        (2, 5, 3, 5, 1.0),
        (400, 1000, 900, 1100, 3.6081363019728595e-89),
    ] {
        relative(s::fisher_exact::fisher_exact(a, n, b, m), expected, 1e-11, "Fisher");
        relative(s::fisher_exact::fisher_exact(b, m, a, n), expected, 1e-11, "Fisher, swapped");
        relative(s::fisher_exact::fisher_exact(n - a, n, m - b, m), expected, 1e-11, "Fisher, negated");
    }
}

/// `statsmodels.stats.proportion.confint_proportions_2indep(c1, n1, c2, n2, method="newcomb", compare="diff")`.
#[test]
fn newcombes_interval() {
    for ((a, n), (b, m), low, high) in [
        ((48, 80), (56, 70), 0.052431472402364, 0.33387265403690),
        ((3, 10), (9, 10), 0.170522723934502, 0.80901797353548),
        ((0, 20), (10, 10), 0.679086037141914, 1.0),
    ] {
        let found = s::two_proportion::two_proportion((a, n), (b, m), 0.95).unwrap();
        near(found.interval.0, low, "low");
        near(found.interval.1, high, "high");
    }
}
