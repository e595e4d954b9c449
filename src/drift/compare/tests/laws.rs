//! What must hold whatever the data are.

use super::*;

/// A table of columns that differ more and less from what seed 0 gives.
fn table(seed: u64, rows: usize) -> Side {
    let part = |i: u64| 1_000 * (i + 1) + seed;
    let count = |share: f64| (rows as f64 * share) as u64;
    let moved = if seed == 0 { 0.0 } else { 0.06 };
    side(vec![
        numbers("same", part(1), rows, |u| u),
        numbers("shifted", part(2), rows, move |u| u + moved),
        numbers("wider", part(3), rows, move |u| (u - 0.5) * (1.0 + 2.0 * moved)),
        categories("mix", &[("a", count(0.3 + moved)), ("b", count(0.4)), ("c", count(0.3 - moved))]),
        Column::boolean("flag", count(0.5), count(0.5), 0, 0),
        Column::numeric("holes", uniform(part(4), count(0.95 - moved) as usize), count(0.05 + moved), 0),
    ])
}

#[test]
fn the_order_of_columns_does_not_matter() {
    let (reference, current) = (table(0, 2_000), table(7, 1_500));
    let expected = run(&reference, &current);
    assert!(expected.drifted > 1 && expected.drifted < 6);
    let mut turned = current.clone();
    for _ in 0..6 {
        turned.columns.rotate_left(1);
        assert_eq!(run(&reference, &turned), expected);
        assert_eq!(
            run(&side(reference.columns.iter().rev().cloned().collect()), &turned).columns,
            expected.columns
        );
    }
}

#[test]
fn drifted_columns_come_first_the_largest_effect_first() {
    let columns = run(&table(0, 2_000), &table(7, 1_500)).columns;
    let key = |finding: &Finding| (finding.verdict, finding.effect_per_floor.unwrap_or(0.0));
    assert!(columns.is_sorted_by(|a, b| key(a) >= key(b)));
}

/// But for the range, which is the reference's, and for new and vanished categories, which change places.
#[test]
fn sides_may_change_places() {
    let (a, b) = (table(0, 2_000), table(7, 1_500));
    let (there, back) = (run(&a, &b), run(&b, &a));
    for finding in &there.columns {
        let other = back.columns.iter().find(|other| other.column == finding.column).unwrap();
        for test in &finding.tests {
            let name = match test.statistic.as_str() {
                "new_category_mass" => "vanished_category_mass",
                "vanished_category_mass" => "new_category_mass",
                "share_outside_the_range_of_the_reference" => continue,
                name => name,
            };
            let turned = super::test(other, name);
            let near = |x: Option<f64>, y: Option<f64>| {
                let (x, y) = (x.unwrap(), y.unwrap());
                assert!((x - y).abs() <= 1e-9 * x.abs().max(1e-300), "{name}: {x} {y}");
            };
            near(test.value.map(f64::abs), turned.value.map(f64::abs));
            if let Some(p) = test.p_value {
                near(Some(p), turned.p_value);
                near(test.effect.as_ref().map(|e| e.value), turned.effect.as_ref().map(|e| e.value));
            }
        }
    }
}

/// Nothing becomes drift because a column joins the run in which nothing is significant.
#[test]
fn an_undrifted_column_makes_no_other_drift() {
    let reference = side((0..6).map(|i| numbers(&format!("x{i}"), 100 + i, 400, |u| u)).collect());
    let mut drifted = 0;
    for seed in 0..60 {
        let column = |i: u64| {
            numbers(&format!("x{i}"), 1_000 * (seed + 1) + i, 300, move |u| u + 0.025 * (i % 5) as f64)
        };
        let current = side((0..6).map(column).collect());
        let all = run(&reference, &current);
        drifted += all.drifted;
        let undrifted =
            |finding: &&Finding| finding.tests.iter().all(|test| test.q_value.is_none_or(|q| q > 0.05));
        for left_out in all.columns.iter().filter(undrifted) {
            let without = |side: &Side| Side {
                columns: side
                    .columns
                    .iter()
                    .filter(|column| column.name != left_out.column)
                    .cloned()
                    .collect(),
                ..side.clone()
            };
            let fewer = run(&without(&reference), &without(&current));
            for finding in all.columns.iter().filter(|finding| finding.verdict == Verdict::Drift) {
                let same = fewer.columns.iter().find(|other| other.column == finding.column).unwrap();
                assert_eq!(same.verdict, Verdict::Drift, "without {}", left_out.column);
            }
        }
    }
    assert!(drifted > 60);
}

#[test]
fn more_contamination_is_never_less_effect() {
    let reference = numbers("x", 1, 2_000, |u| u);
    let mut last = [0.0; 3];
    for step in 0..10 {
        let part = 0.05 * f64::from(step);
        let finding =
            single(reference.clone(), numbers("x", 2, 2_000, move |u| if u < part { u + 2.0 } else { u }));
        let effects = ["kolmogorov", "anderson", "share"]
            .map(|name| test(&finding, name).effect.as_ref().unwrap().value);
        assert!(effects.iter().zip(&last).all(|(now, before)| now + 0.02 >= *before), "{effects:?} {last:?}");
        last = effects;
    }
    assert!(last.iter().all(|effect| *effect > 0.2));
}

#[test]
fn cramers_v_does_not_depend_on_which_side_is_larger() {
    let shares = [("a", 250), ("b", 150), ("c", 200), ("d", 200), ("e", 200)];
    let v = |times: u64| {
        let reference = categories("c", &shares.map(|(name, _)| (name, 20_000 * times)));
        let finding = single(reference, categories("c", &shares.map(|(name, count)| (name, 100 * count))));
        test(&finding, "chi_square").effect.as_ref().unwrap().value
    };
    assert!((v(1) - v(100)).abs() < 1e-3 && (v(1) - 0.079).abs() < 1e-3, "{} {}", v(1), v(100));
}

#[test]
fn yekutieli_finds_no_more() {
    let (reference, current) = (table(0, 2_000), table(7, 1_500));
    let options = Options { correction: super::super::Correction::BenjaminiYekutieli, ..Options::default() };
    let strict = compare(&reference, &current, &options, &[]).unwrap();
    assert!(strict.drifted <= run(&reference, &current).drifted);
}
