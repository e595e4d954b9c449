use super::super::hash::mix;
use super::*;

const SMALL: Settings = Settings { k: 128, exact_limit: 300, categories: 1, halvings: 0 };

fn of(seed: u64, values: &[f64]) -> Quantiles {
    let mut quantiles = Quantiles::new(Seed(seed), &SMALL).unwrap();
    quantiles.add(values);
    checked(quantiles)
}

fn checked(quantiles: Quantiles) -> Quantiles {
    quantiles.check().unwrap();
    let points = quantiles.points();
    assert_eq!(
        points.iter().map(|(_, weight)| weight).sum::<u64>(),
        quantiles.count(),
        "weights sum up to n"
    );
    assert!(points.is_sorted_by(|a, b| a.0 < b.0), "points rise");
    quantiles
}

fn merge(a: &Quantiles, b: &Quantiles) -> Quantiles {
    checked(a.merge(b).unwrap())
}

fn shuffled(n: u64, seed: u64) -> Vec<f64> {
    let mut order: Vec<u64> = (0..n).collect();
    order.sort_by_key(|i| mix(mix(seed) ^ i));
    order.into_iter().map(|i| i as f64).collect()
}

/// The largest error of any rank, as a share of all values.
fn worst(quantiles: &Quantiles, values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let error = |(i, value): (usize, &f64)| {
        let below = sorted.partition_point(|other| other < value);
        let until = sorted[i..].partition_point(|other| other <= value) + i;
        let at = quantiles.rank(*value).abs_diff(until as u64);
        let before = quantiles.rank(value.next_down()).abs_diff(below as u64);
        at.max(before)
    };
    let worst = sorted.iter().enumerate().step_by(61).map(error).max().unwrap_or(0);
    worst as f64 / values.len() as f64
}

#[test]
fn few_values_are_all_there() {
    let few = of(1, &[3.0, -0.0, 1.0, 3.0, 0.0, -5.5]);
    assert!(few.is_exact());
    assert_eq!(few.points(), [(-5.5, 1), (0.0, 2), (1.0, 1), (3.0, 2)]);
    assert_eq!((few.rank(-6.0), few.rank(0.0), few.rank(2.9), few.rank(f64::INFINITY)), (0, 3, 4, 6));
    assert_eq!([0.0, 0.5, 0.51, 0.9, 1.0].map(|q| few.quantile(q).unwrap()), [-5.5, 0.0, 1.0, 3.0, 3.0]);
    assert_eq!((few.quantile(-0.1), few.quantile(f64::NAN)), (None, None));
    assert_eq!((few.rank_error(0.01), few.uniform_rank_error(0.01), few.different()), (0.0, 0.0, Some(4)));
}

#[test]
fn few_different_values_are_exact_at_any_number_of_rows() {
    let values: Vec<f64> = shuffled(100_000, 1).iter().map(|value| value % 300.0).collect();
    let all = of(1, &values);
    assert!(all.is_exact() && all.points().iter().all(|(_, count)| [333, 334].contains(count)));
    let parts = values.chunks(1_234).map(|slice| of(1, slice)).reduce(|a, b| merge(&a, &b)).unwrap();
    assert_eq!(parts.points(), all.points());
    let doubled = (0..36).fold(all, |sum, _| merge(&sum, &sum));
    assert_eq!(doubled.count(), 100_000 << 36);
    assert!(doubled.merge(&doubled).is_err(), "more than 2^53 rows");
}

#[test]
fn nothing_and_hardly_anything() {
    let none = of(1, &[]);
    assert_eq!((none.count(), none.min(), none.quantile(0.5), none.rank(0.0)), (0, None, None, 0));
    let one = of(1, &[7.0]);
    assert_eq!(merge(&none, &one).points(), one.points());
    assert_eq!([0.0, 0.3, 1.0].map(|q| one.quantile(q)), [Some(7.0); 3]);
    let equal = of(1, &[2.5; 5_000]);
    assert_eq!((equal.points(), equal.quantile(0.7)), (vec![(2.5, 5_000)], Some(2.5)));
    let huge = of(1, &[f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324]);
    assert_eq!((huge.min(), huge.quantile(0.5), huge.max()), (Some(f64::MIN), Some(5e-324), Some(f64::MAX)));
}

/// 40 seeds each.
#[test]
fn ranks_are_off_by_no_more_than_stated() {
    let n = 10_000;
    let rising: Vec<f64> = (0..n).map(|i| i as f64).collect();
    let falling: Vec<f64> = rising.iter().rev().copied().collect();
    let outside_in: Vec<f64> = (0..n / 2).flat_map(|i| [i as f64, (n - 1 - i) as f64]).collect();
    let ties: Vec<f64> = shuffled(n, 3).iter().map(|value| (value / 20.0).floor()).collect();
    for (name, values) in
        [("rising", rising), ("falling", falling), ("outside in", outside_in), ("ties", ties)]
    {
        bounded(name, |_| values.clone());
    }
    bounded("shuffled", |seed| shuffled(n, seed));
}

fn bounded(name: &str, values: impl Fn(u64) -> Vec<f64>) {
    let (mut over, mut bias, mut squares, mut stated) = (0, 0.0, 0.0f64, 0.0);
    for seed in 0..40 {
        let values = values(seed);
        let sketch = of(seed, &values);
        assert!(!sketch.is_exact() && sketch.points().len() < 128 * 4);
        assert!(worst(&sketch, &values) <= sketch.uniform_rank_error(0.01), "{name}: seed {seed}");
        let n = values.len() as f64;
        let median = values.len() as f64 / 2.0;
        let x = if name == "ties" { median / 20.0 } else { median };
        let truth = values.iter().filter(|value| **value <= x).count() as f64;
        let error = (sketch.rank(x) as f64 - truth) / n;
        over += u32::from(error.abs() > sketch.rank_error(0.05));
        bias += error / 40.0;
        squares += error * error / 40.0;
        stated = sketch.rank_error(0.05);
    }
    // 5 % are allowed to be beyond; Hoeffding's bound is generous.
    assert!(over <= 3, "{name}: {over} of 40 beyond {stated}");
    // Four standard errors of the mean.
    assert!(bias.abs() <= 4.0 * (squares / 40f64).sqrt(), "{name}: bias {bias}");
}

#[test]
fn merging_commutes_exactly_and_associates_within_the_error() {
    for seed in 0..8 {
        let values = shuffled(30_000, seed);
        let cuts = [0, 100, 9_000, 9_001, 20_000, 30_000];
        let parts: Vec<Quantiles> = cuts
            .windows(2)
            .enumerate()
            .map(|(i, cut)| of(seed * 10 + i as u64, &values[cut[0]..cut[1]]))
            .collect();
        for (a, b) in parts.iter().zip(&parts[1..]) {
            assert_eq!(merge(a, b), merge(b, a));
        }
        let in_order = parts[1..].iter().fold(parts[0].clone(), |sum, part| merge(&sum, part));
        let backwards = parts[..4].iter().rev().fold(parts[4].clone(), |sum, part| merge(&sum, part));
        let tree = merge(&merge(&parts[3], &merge(&parts[0], &parts[4])), &merge(&parts[1], &parts[2]));
        for merged in [in_order, backwards, tree] {
            assert_eq!((merged.count(), merged.min(), merged.max()), (30_000, Some(0.0), Some(29_999.0)));
            assert!(worst(&merged, &values) <= merged.uniform_rank_error(0.01));
            assert!(merged.uniform_rank_error(0.01) < 4.0 / 128.0);
        }
    }
}

#[test]
fn a_thousand_parts_are_no_worse_than_a_few() {
    let values = shuffled(60_000, 5);
    let parts = values.chunks(60).enumerate().map(|(i, slice)| of(i as u64, slice));
    let merged = parts.reduce(|a, b| merge(&a, &b)).unwrap();
    assert!(worst(&merged, &values) <= merged.uniform_rank_error(0.01));
    assert!(merged.uniform_rank_error(0.01) < 4.0 / 128.0, "{}", merged.uniform_rank_error(0.01));
}

#[test]
fn heavy_values_move_into_the_sketch_with_all_their_weight() {
    let heavy: Vec<f64> = (0..20_000).map(|i| f64::from(i % 3)).collect();
    let light = shuffled(5_000, 1);
    let values = [heavy.clone(), light.clone()].concat();
    let merged = merge(&of(1, &heavy), &of(2, &light));
    assert!(!merged.is_exact());
    assert!(worst(&merged, &values) <= merged.uniform_rank_error(0.01));
    assert!(merged.rank(0.0) >= 6_667, "{}", merged.rank(0.0));
}

#[test]
fn the_same_seed_gives_the_same_sketch_and_another_one_does_not() {
    let values = shuffled(10_000, 1);
    assert_eq!(of(1, &values), of(1, &values));
    assert_ne!(of(1, &values).points(), of(2, &values).points());
}

/// 40 seeds each: what the sketch does not see adds to the error it states, and to no bias.
#[test]
fn of_many_values_few_need_be_seen() {
    let n = 100_000;
    for (name, values) in [("shuffled", shuffled(n, 5)), ("rising", (0..n).map(|i| i as f64).collect())] {
        let halved = |seed: u64, halvings: u32| {
            let mut quantiles = of(seed, &values[..5_000]);
            let mut seen = 5_000;
            for block in values[5_000..].chunks(4_096) {
                seen += block.len();
                let low = values[..seen].iter().copied().fold(f64::INFINITY, f64::min);
                let high = values[..seen].iter().copied().fold(f64::NEG_INFINITY, f64::max);
                quantiles.add_halved(block, Some((low, high)), halvings);
            }
            assert_eq!(quantiles.count(), n);
            checked(quantiles)
        };
        let plain = of(1, &values).uniform_rank_error(0.01);
        for halvings in [1, 3, 6] {
            let (mut bias, mut worst_of_all) = (0.0, 0.0f64);
            for seed in 0..40 {
                let sketch = halved(seed, halvings);
                let off = worst(&sketch, &values);
                assert!(off <= sketch.uniform_rank_error(0.01), "{name}, {halvings} halvings: {off}");
                assert!(sketch.uniform_rank_error(0.01) > plain);
                bias += (sketch.rank(n as f64 / 2.0) as f64 - n as f64 / 2.0) / n as f64 / 40.0;
                worst_of_all = worst_of_all.max(off);
            }
            let stated = halved(1, halvings).rank_error(0.05);
            assert!(bias.abs() < stated / 2.0, "{name}, {halvings} halvings: {bias} of {stated}");
            assert!(worst_of_all > stated / 20.0, "the bound says something");
        }
    }
}
