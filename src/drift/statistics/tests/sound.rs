//! Few alarms where nothing changed and alarms where something did, over fixed seeds.

use super::super as s;
use super::uniform;
use s::Ecdf;

/// The share of `p <= 0.05`.
fn rate(p_values: impl Iterator<Item = f64>) -> f64 {
    let (alarms, all) = p_values.fold((0, 0), |(alarms, all), p| (alarms + u32::from(p <= 0.05), all + 1));
    f64::from(alarms) / f64::from(all)
}

fn normal(seed: u64, count: usize) -> Vec<f64> {
    let u = uniform(seed, 2 * count);
    let pair = |i: usize| (-2.0 * (-u[2 * i]).ln_1p()).sqrt() * (std::f64::consts::TAU * u[2 * i + 1]).cos();
    (0..count).map(pair).collect()
}

#[test]
fn continuous_tests_keep_their_level() {
    let tests = |seed: u64| {
        let u = normal(1_000_003 * seed, 1200);
        let (a, b) = (Ecdf::new(u[..1000].to_vec()), Ecdf::new(u[1000..].to_vec()));
        [
            s::ks::ks(&a, &b).unwrap().p_value,
            s::cramer_von_mises::cramer_von_mises(&a, &b).unwrap().p_value,
            s::anderson_darling::anderson_darling(&a, &b).unwrap().p_value,
        ]
    };
    let all: Vec<[f64; 3]> = (1..=2000).map(tests).collect();
    for test in 0..3 {
        let rate = rate(all.iter().map(|p| p[test]));
        assert!((0.03..=0.07).contains(&rate), "test {test}: {rate}");
    }
}

/// Where ranks with ties make SciPy's Cramér–von Mises p 0 always.
#[test]
fn ties_raise_no_alarm() {
    let tests = |seed: u64| {
        let u = uniform(1_000_003 * seed, 600);
        let of = |values: &[f64]| Ecdf::new(values.iter().map(|u| (3.0 * u).floor()).collect());
        let (a, b) = (of(&u[..400]), of(&u[400..]));
        assert!(s::compat::cramer_von_mises::cramer_von_mises(&a, &b).unwrap().1 < 1e-6);
        [
            s::ks::ks(&a, &b).unwrap().p_value,
            s::cramer_von_mises::cramer_von_mises(&a, &b).unwrap().p_value,
            s::anderson_darling::anderson_darling(&a, &b).unwrap().p_value,
        ]
    };
    let all: Vec<[f64; 3]> = (1..=1000).map(tests).collect();
    for test in 0..3 {
        let rate = rate(all.iter().map(|p| p[test]));
        assert!(rate <= 0.07, "test {test}: {rate}");
    }
}

#[test]
fn rates_keep_their_level_and_find_one_to_four_per_cent() {
    let hits =
        |values: &[f64], p: f64| (values.iter().filter(|u| **u < p).count() as u64, values.len() as u64);
    let p = |seed: u64, before: f64, after: f64, n: usize, m: usize| {
        let u = uniform(7_919 * seed, n + m);
        s::two_proportion::two_proportion(hits(&u[..n], before), hits(&u[n..], after), 0.95).unwrap().p_value
    };
    for (share, n, m) in [(0.3, 1000, 1000), (0.01, 5000, 500), (0.002, 1000, 100), (0.5, 100, 100)] {
        let rate = rate((1..=2000).map(|seed| p(seed, share, share, n, m)));
        assert!(rate <= 0.07, "{share} {n}/{m}: {rate}");
    }
    let power = rate((1..=500).map(|seed| p(seed, 0.01, 0.04, 5000, 1000)));
    assert!(power >= 0.9, "{power}");
}

#[test]
fn new_categories_are_found_and_rare_ones_forgiven() {
    // Zipf's law over 400 categories: some of the current ones are always new.
    let weights: Vec<f64> = (1..=400).map(|k| 1.0 / f64::from(k)).collect();
    let all: f64 = weights.iter().sum();
    let draw = |values: &[f64], new: f64| {
        let mut counts = vec![0_u64; 401];
        for u in values {
            let mut rest = u * (all + new * all);
            let place = weights.iter().position(|weight| {
                rest -= weight;
                rest < 0.0
            });
            counts[place.unwrap_or(400)] += 1;
        }
        counts
    };
    let p = |seed: u64, new: f64| {
        let u = uniform(104_729 * seed, 1500);
        s::unseen_mass::unseen_mass(&draw(&u[..1000], 0.0), &draw(&u[1000..], new)).unwrap()
    };
    assert!((1..=300).any(|seed| p(seed, 0.0).mass > 0.02));
    let (level, power) =
        (rate((1..=300).map(|s| p(s, 0.0).p_value)), rate((1..=300).map(|s| p(s, 0.2).p_value)));
    assert!(level <= 0.07 && power >= 0.9, "{level} {power}");
}

#[test]
fn row_counts_keep_their_level_and_bear_outliers() {
    // Counts that vary by a tenth, over and above Poisson's variation.
    let counts = |seed: u64, k: usize| -> Vec<u64> {
        normal(15_485_863 * seed, k).iter().map(|z| (10_000.0 * (0.1 * z).exp()) as u64).collect()
    };
    for k in [5, 7, 14, 30, 90] {
        let level = rate((1..=2000).map(|seed| {
            let counts = counts(seed, k + 1);
            s::row_count::row_count(&counts[..k], counts[k]).unwrap().p_value
        }));
        assert!((0.02..=0.07).contains(&level), "{k}: {level}");
    }
    let mut past = counts(3, 30);
    past[..8].fill(0);
    assert!(s::row_count::row_count(&past, 10_000).unwrap().p_value > 0.5);
    assert!(s::row_count::row_count(&past, 2_000).unwrap().p_value < 0.01);
    // Without any variation a few rows are no anomaly, many are.
    assert!(s::row_count::row_count(&[1000; 20], 1040).unwrap().p_value > 0.05);
    assert!(s::row_count::row_count(&[1000; 20], 500).unwrap().p_value < 1e-4);
}

#[test]
fn mmd_keeps_its_level_and_finds_a_shift() {
    let vectors = |seed: u64, shift: f32| -> Vec<Vec<f32>> {
        normal(seed, 30 * 8).chunks(8).map(|v| v.iter().map(|x| *x as f32 + shift).collect()).collect()
    };
    let p = |seed: u64, shift: f32| {
        s::mmd::mmd(&vectors(2 * seed + 900_001, 0.0), &vectors(2 * seed + 900_002, shift), 99, seed)
            .unwrap()
            .p_value
    };
    let (level, power) = (rate((1..=400).map(|seed| p(seed, 0.0))), rate((1..=100).map(|seed| p(seed, 0.5))));
    assert!((0.02..=0.08).contains(&level) && power > 0.9, "{level} {power}");
    let (a, b) = (vectors(1, 0.0), vectors(2, 0.2));
    assert_eq!(s::mmd::mmd(&a, &b, 99, 5), s::mmd::mmd(&a, &b, 99, 5));
    // Two far clusters: no shuffle comes near, and p is still not 0.
    assert_eq!(s::mmd::mmd(&a, &vectors(2, 9.0), 999, 5).unwrap().p_value, 0.001);
}

#[test]
fn fifty_columns_raise_one_run_in_twenty() {
    let run = |seed: u64| {
        let p: Vec<f64> = (0..50)
            .map(|column| {
                let u = uniform((seed * 64 + column).wrapping_mul(0x9e37_79b9_7f4a_7c15), 400);
                s::ks::ks(&Ecdf::new(u[..200].to_vec()), &Ecdf::new(u[200..].to_vec())).unwrap().p_value
            })
            .collect();
        s::benjamini_hochberg::benjamini_hochberg(&p).into_iter().fold(1.0, f64::min)
    };
    let alarms = rate((1..=400).map(run));
    assert!(alarms <= 0.07, "{alarms}");
}

#[test]
fn the_thresholds_of_psi_count_both_samples() {
    let (n, m) = (1000.0, 1000.0);
    let two_sample = s::psi::threshold(n, m, 10, 0.05);
    assert!((two_sample - 0.002 * 16.91897760462045).abs() < 1e-9, "{two_sample}");
    assert_eq!(s::psi::threshold(n, m, 1, 0.05), 0.0);
    assert!(s::psi::threshold(n, m, 10, 0.0).is_nan());
}
