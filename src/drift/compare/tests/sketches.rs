//! Sides from profiles.

use super::super::super::profile::{ColumnPlan, Kind, Plan, Profile, ProfileBuilder, Seed, Settings};
use super::*;

fn profile(
    kind: Kind,
    settings: Settings,
    feed: impl Fn(&mut super::super::super::profile::ColumnBuilder),
) -> Side {
    let columns = vec![ColumnPlan { name: "x".to_owned(), kind, bins: None }];
    let mut builder = ProfileBuilder::new(&Plan { seed: Seed(7), settings, columns }, 0).unwrap();
    feed(&mut builder.columns()[0]);
    let profile: Profile = builder.finish().unwrap();
    Side::from(&profile)
}

fn of_numbers(values: &[f64], k: u32, exact_limit: u32) -> Side {
    let settings = Settings { k, exact_limit, ..Settings::default() };
    profile(Kind::Numeric, settings, |column| column.numbers(values, None).unwrap())
}

#[test]
fn while_all_is_kept_a_profile_decides_as_the_data() {
    let (a, b) = (uniform(1, 3_000), uniform(2, 2_000));
    let exact = |values: &Vec<f64>| side(vec![Column::numeric("x", values.clone(), 0, 0)]);
    assert_eq!(
        run(&of_numbers(&a, 2_048, 65_536), &of_numbers(&b, 2_048, 65_536)),
        run(&exact(&a), &exact(&b))
    );
}

#[test]
fn a_sketch_never_claims_more_than_the_data() {
    for (seed, power) in [(2, 1.0), (3, 1.03), (4, 1.08), (5, 1.5)] {
        let a = uniform(1, 60_000);
        let b: Vec<f64> = uniform(seed, 50_000).into_iter().map(|u| u.powf(power)).collect();
        let sketched = run(&of_numbers(&a, 2_048, 1_024), &of_numbers(&b, 2_048, 1_024)).columns.remove(0);
        let exact = single(Column::numeric("x", a, 0, 0), Column::numeric("x", b, 0, 0));
        let [s, e] = [&sketched, &exact].map(|finding| test(finding, "kolmogorov"));
        assert!(s.p_value >= e.p_value, "{s:?} {e:?}");
        let error = (s.value.unwrap() - e.value.unwrap()).abs();
        assert!(error < 0.006, "{error}");
        assert!(s.method.contains("rank errors"));
        assert_eq!(sketched.verdict == Verdict::Drift, power > 1.1, "{}", sketched.reason);
        let shift = test(&sketched, "wasserstein");
        assert!((shift.p_value.unwrap() - s.p_value.unwrap()).abs() < 1e-9);
        let exact_shift = test(&exact, "anderson").effect.as_ref().unwrap().value;
        assert!(shift.value.unwrap() <= 1.02 * exact_shift, "{shift:?} {exact_shift}");
        let range = test(&sketched, "share_outside");
        assert!(range.p_value >= test(&exact, "share_outside").p_value);
        assert_eq!(sketched.current.as_ref().unwrap().distinct, None);
    }
}

#[test]
fn a_sketch_finds_a_change_of_scale() {
    let centred = |seed: u64, scale: f64| -> Vec<f64> {
        let pairs = uniform(seed, 200_000);
        let normal =
            |pair: &[f64]| (-2.0 * (-pair[0]).ln_1p()).sqrt() * (std::f64::consts::TAU * pair[1]).cos();
        pairs.chunks(2).map(|pair| scale * normal(pair)).collect()
    };
    let of = |values: Vec<f64>| of_numbers(&values, 2_048, 1_024);
    let finding = run(&of(centred(1, 1.0)), &of(centred(2, 1.25))).columns.remove(0);
    assert_eq!(test(&finding, "wasserstein").verdict, Some(Verdict::Drift), "{finding:?}");
    assert_eq!(run(&of(centred(1, 1.0)), &of(centred(3, 1.0))).verdict, Verdict::Ok);
}

/// The same data: whylogs' p from a sketch was 3e-7 here.
#[test]
fn a_sketch_of_the_same_data_is_not_drift() {
    let values = uniform(1, 400_000);
    let (first, second) = values.split_at(200_000);
    let finding = run(&of_numbers(first, 256, 1_024), &of_numbers(second, 256, 1_024)).columns.remove(0);
    assert_ne!(finding.verdict, Verdict::Drift);
    assert!(test(&finding, "kolmogorov").p_value.unwrap() > 0.5);
}

#[test]
fn a_sketch_too_coarse_is_insufficient_unless_the_change_is_plain() {
    let a = uniform(1, 100_000);
    let coarse = |values: &[f64]| of_numbers(values, 64, 64);
    let same = run(&coarse(&a), &coarse(&uniform(2, 100_000))).columns.remove(0);
    assert_eq!(same.verdict, Verdict::InsufficientData);
    assert!(same.reason.contains("a larger sketch"), "{}", same.reason);
    let far: Vec<f64> = a.iter().map(|u| u + 0.6).collect();
    assert_eq!(run(&coarse(&a), &coarse(&far)).verdict, Verdict::Drift);
}

#[test]
fn categories_that_explode() {
    let settings = Settings { categories: 64, ..Settings::default() };
    let names: Vec<String> = (0..5_000).map(|i| format!("id{i}")).collect();
    let few = ["a", "b", "c"].repeat(2_000);
    let of = |values: &[&str]| {
        profile(Kind::Categorical, settings, |column| column.strings(values, None).unwrap())
    };
    let many: Vec<&str> = names.iter().map(String::as_str).collect();
    let exploded = run(&of(&few), &of(&many)).columns.remove(0);
    assert_eq!(exploded.verdict, Verdict::Drift, "{}", exploded.reason);
    assert!(exploded.reason.starts_with("new category mass: "));
    assert_eq!(test(&exploded, "chi_square").verdict, Some(Verdict::InsufficientData));
    assert_eq!(run(&of(&many), &of(&many)).verdict, Verdict::InsufficientData);
}

#[test]
fn rows_of_parts_without_the_column_are_missing() {
    let profile = |names: &[&str]| {
        let plan = |name: &&str| ColumnPlan { name: (*name).to_owned(), kind: Kind::Numeric, bins: None };
        let columns = names.iter().map(plan).collect();
        let plan = Plan { seed: Seed(names.len() as u64), settings: Settings::default(), columns };
        let mut builder = ProfileBuilder::new(&plan, 0).unwrap();
        builder.columns().iter_mut().for_each(|column| column.numbers(&uniform(1, 1_000), None).unwrap());
        builder.finish().unwrap()
    };
    let (both, one) = (profile(&["x", "y"]), profile(&["x"]));
    let merged = both.merge(&one).unwrap();
    let run = run(&Side::from(&both), &Side::from(&merged));
    assert_eq!((run.columns[0].column.as_str(), run.columns[0].verdict), ("y", Verdict::Drift));
    assert!(run.columns[0].reason.starts_with("missing rate"));
}
