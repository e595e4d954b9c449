//! Laws that hold whatever the data: symmetry, invariance, growth with contamination, bounds.

use super::super as s;
use super::{relative, uniform};
use s::Ecdf;
use s::jensen_shannon::Base;

/// Pairs of samples of several shapes, some with ties.
fn pairs() -> Vec<(Vec<f64>, Vec<f64>)> {
    let sizes = [(1, 1), (2, 3), (7, 5), (20, 20), (21, 64), (300, 200), (1000, 1000), (4000, 500)];
    let shapes: [fn(f64) -> f64; 4] =
        [|u| u, |u| (u / (1.0 - u)).ln(), |u| (8.0 * u).floor(), |u| (u - 0.5).signum() * (4.0 * u).exp()];
    let mut pairs = vec![];
    for (index, (n, m)) in sizes.into_iter().enumerate() {
        for (shape, of) in shapes.into_iter().enumerate() {
            let seed = (index * 10 + shape) as u64;
            let second = |u: f64| of((0.9 * u + 0.05).powf(1.1));
            pairs.push((
                uniform(2 * seed + 11, n).into_iter().map(of).collect(),
                uniform(2 * seed + 12, m).into_iter().map(second).collect(),
            ));
        }
    }
    pairs
}

/// Every statistic of two distribution functions, by name; p-values are marked.
fn all(a: &Ecdf, b: &Ecdf) -> Vec<(&'static str, f64)> {
    let ks = s::ks::ks(a, b).unwrap();
    let mut found = vec![
        ("D", ks.statistic),
        ("p of D", ks.p_value),
        ("W1", s::wasserstein::wasserstein(a, b).unwrap()),
        ("energy", s::energy::energy(a, b).unwrap()),
    ];
    if let Some(test) = s::cramer_von_mises::cramer_von_mises(a, b) {
        found.extend([("T", test.statistic), ("p of T", test.p_value)]);
    }
    if let Some(test) = s::anderson_darling::anderson_darling(a, b) {
        found.extend([("A", test.statistic), ("p of A", test.p_value)]);
    }
    found
}

fn same(left: &[(&str, f64)], right: &[(&str, f64)], why: &str) {
    assert_eq!(left.len(), right.len());
    for ((name, l), (_, r)) in left.iter().zip(right) {
        assert!((l - r).abs() <= 1e-9 * l.abs().max(1.0), "{why}: {name} {l} {r}");
    }
}

#[test]
fn neither_side_is_special() {
    for (x, y) in pairs() {
        let (a, b) = (Ecdf::new(x), Ecdf::new(y));
        same(&all(&a, &b), &all(&b, &a), "swapped");
        let (r, c) = s::ecdf::cells(&a, &b);
        same(&categorical(&r, &c), &categorical(&c, &r), "swapped");
    }
}

/// The symmetric statistics of counts.
fn categorical(r: &[u64], c: &[u64]) -> Vec<(&'static str, f64)> {
    let mut found = vec![
        ("psi", s::psi::of_counts(r, c).unwrap()),
        ("js", s::jensen_shannon::of_counts(r, c, Base::Two).unwrap()),
        ("hellinger", s::hellinger::of_counts(r, c).unwrap()),
        ("l-infinity", s::l_infinity::l_infinity(r, c).unwrap().0),
    ];
    if let Some(test) = s::chi_square::contingency(r, c) {
        found.extend([("chi-square", test.statistic), ("p", test.p_value), ("v", test.cramers_v)]);
    }
    found
}

#[test]
fn a_unit_or_an_origin_changes_nothing_but_the_unit() {
    for (x, y) in pairs() {
        let moved = |values: &[f64], scale: f64, shift: f64| {
            Ecdf::new(values.iter().map(|v| v * scale + shift).collect())
        };
        let before = all(&moved(&x, 1.0, 0.0), &moved(&y, 1.0, 0.0));
        // Powers of two scale without rounding; a shift may round distinct values together, so a small one.
        for scale in [0.25, 8.0, -1.0, -1024.0] {
            let after = all(&moved(&x, scale, 0.0), &moved(&y, scale, 0.0));
            for ((name, l), (_, r)) in before.iter().zip(after) {
                let expected = match *name {
                    "W1" => l * scale.abs(),
                    "energy" => l * scale.abs().sqrt(),
                    _ => *l,
                };
                relative(r, expected, 1e-9, name);
            }
        }
        let grid = |values: &[f64]| -> Vec<f64> { values.iter().map(|v| (v * 1024.0).round()).collect() };
        let (p, q) = (grid(&x), grid(&y));
        same(
            &all(&moved(&p, 1.0, 0.0), &moved(&q, 1.0, 0.0)),
            &all(&moved(&p, 1.0, 4096.0), &moved(&q, 1.0, 4096.0)),
            "shift",
        );
        let norm =
            |shift| s::wasserstein::normalised(&moved(&p, 1.0, shift), &moved(&q, 1.0, shift)).unwrap();
        relative(norm(65_536.0), norm(0.0), 1e-9, "normalised W1");
    }
}

#[test]
fn the_order_of_cells_and_empty_ones_change_nothing() {
    let (r, c) = ([40, 7, 0, 190, 25], [31, 12, 3, 150, 0]);
    let (back, other) = ([25, 190, 0, 7, 40], [0, 150, 3, 12, 31]);
    same(&categorical(&r, &c), &categorical(&back, &other), "order");
    let (test, wider) = (
        s::chi_square::contingency(&r, &c),
        s::chi_square::contingency(&[40, 7, 0, 190, 25, 0], &[31, 12, 3, 150, 0, 0]),
    );
    assert_eq!(test, wider);
}

#[test]
fn equal_sides_do_not_differ() {
    for (x, _) in pairs() {
        let a = Ecdf::new(x);
        for (name, value) in all(&a, &a) {
            match name {
                "D" | "W1" | "energy" | "T" => assert_eq!(value, 0.0, "{name}"),
                "p of D" => assert_eq!(value, 1.0, "{name}"),
                _ => {}
            }
        }
        let (r, c) = s::ecdf::cells(&a, &a);
        for (name, value) in categorical(&r, &c) {
            assert_eq!(value, f64::from(u8::from(name == "p")), "{name}");
        }
    }
}

#[test]
fn more_contamination_is_more_drift() {
    let u = uniform(5, 3000);
    let (reference, clean) = u.split_at(2000);
    let a = Ecdf::new(reference.to_vec());
    let edges = s::histogram::quantile_edges(&a, 10);
    let mut last: Option<Vec<(&str, f64)>> = None;
    for share in 0..=20 {
        let dirty = share * 50;
        let sample = clean.iter().enumerate().map(|(i, v)| if i < dirty { v + 1.0 } else { *v }).collect();
        let b = Ecdf::new(sample);
        let (r, c) = (s::histogram::open_counts(&a, &edges), s::histogram::open_counts(&b, &edges));
        let mut now = all(&a, &b);
        now.extend(
            categorical(&r, &c)
                .into_iter()
                .map(|(name, value)| (if name == "p" { "p of chi-square" } else { name }, value)),
        );
        // From a tenth on, where it is above the noise.
        if let Some(last) = last.filter(|_| share > 2) {
            for ((name, before), (_, after)) in last.iter().zip(&now) {
                let grows = !name.contains("p of");
                assert!(
                    if grows { after >= before } else { after <= before },
                    "{name} at {dirty}: {before} {after}"
                );
            }
        }
        last = Some(now);
    }
}

#[test]
fn everything_stays_in_its_bounds() {
    for (x, y) in pairs() {
        let (a, b) = (Ecdf::new(x), Ecdf::new(y));
        for (name, value) in all(&a, &b) {
            assert!(value.is_finite() && (value >= 0.0 || name == "A"), "{name} {value}");
            assert!(value <= 1.0 || !(name.contains('p') || name == "D"), "{name} {value}");
        }
        let (r, c) = s::ecdf::cells(&a, &b);
        for (name, value) in categorical(&r, &c) {
            assert!(
                value.is_finite() && value >= 0.0 && (value <= 1.0 || matches!(name, "psi" | "chi-square")),
                "{name}"
            );
        }
    }
}

#[test]
fn pooling_keeps_every_row_and_leaves_no_sparse_cell() {
    for seed in 0..50 {
        let draw = |seed, most: f64| -> Vec<u64> {
            uniform(seed, 40).iter().map(|u| (u.powi(6) * most) as u64).collect()
        };
        let (r, c) = (draw(seed, 300.0), draw(seed + 1000, 90.0));
        let pooled = s::chi_square::pool(&r, &c);
        let (n, m): (u64, u64) = (r.iter().sum(), c.iter().sum());
        assert_eq!((pooled.reference.iter().sum::<u64>(), pooled.current.iter().sum::<u64>()), (n, m));
        if pooled.reference.len() > 1 {
            for (r, c) in pooled.reference.iter().zip(&pooled.current) {
                assert!((r + c) as f64 * n.min(m) as f64 / (n + m) as f64 >= 5.0);
            }
        }
    }
    let even = s::chi_square::pool(&[50, 50], &[40, 60]);
    assert_eq!((even.pooled.len(), even.reference), (0, vec![50, 50]));
}

#[test]
fn a_sketchs_points_count_as_their_weight() {
    let points = [(1.0, 3), (2.5, 1), (4.0, 6)];
    let written_out: Vec<f64> = points.iter().flat_map(|(v, w)| vec![*v; *w as usize]).collect();
    let (a, b) = (Ecdf::weighted(&points), Ecdf::new(vec![0.0, 1.0, 2.5, 2.5, 9.0]));
    assert_eq!(a, Ecdf::new(written_out));
    assert_eq!(all(&a, &b).len(), 8);
}

#[test]
fn histograms_count_every_row_and_bear_an_outlier() {
    let mut values = uniform(3, 5000);
    let bulk = s::histogram::equal_width_edges(&Ecdf::new(values.clone()), 10);
    values.push(9e9);
    let sample = Ecdf::new(values);
    let (quantiles, widths) =
        (s::histogram::quantile_edges(&sample, 10), s::histogram::equal_width_edges(&sample, 10));
    for edges in [&quantiles, &widths] {
        assert_eq!(s::histogram::open_counts(&sample, edges).iter().sum::<u64>(), 5001);
    }
    for count in s::histogram::open_counts(&sample, &quantiles) {
        assert!((500..=501).contains(&count), "{count}");
    }
    assert!(bulk.iter().zip(&widths).all(|(a, b)| (a - b).abs() < 1e-9), "{widths:?}");
    let closed = s::histogram::sturges_edges(0.0, 1.0, 5000, false).unwrap();
    assert_eq!(s::histogram::counts(&sample, &closed).iter().sum::<u64>(), 5000);
    // Sturges: log2(8) + 1 = 4 bins; of integers no bin is narrower than 1.
    assert_eq!(s::histogram::sturges_edges(0.0, 8.0, 8, true).unwrap(), [0.0, 2.0, 4.0, 6.0, 8.0]);
    assert_eq!(s::histogram::sturges_edges(0.0, 2.0, 8, true).unwrap(), [0.0, 1.0, 2.0]);
    assert_eq!(s::histogram::sturges_edges(4.0, 4.0, 8, false).unwrap(), [3.5, 4.5]);
    // Half of the values are one: it has a part of its own.
    let heavy = Ecdf::new([vec![5.0; 500], uniform(4, 500)].concat());
    let edges = s::histogram::quantile_edges(&heavy, 4);
    assert_eq!(s::histogram::open_counts(&heavy, &edges), [250, 250, 500]);
}
