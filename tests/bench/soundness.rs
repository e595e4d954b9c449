//! How often the sound decision alarms though nothing changed, and how often it finds what did.
//!
//! Six sizes × six distributions, then runs of 50 columns, then five changes at 5000/1000. 2,000 replicates a cell, or
//! as many as the first argument says; the second picks `alarms`, `runs` or `power` alone. Every replicate has a seed of
//! its own, derived from `SEED` and the places of the cell and the replicate. Ends with 1 if a target is missed.

#![allow(clippy::print_stdout)]

use gradus::drift::compare::{Column, Finding, Options, Rules, Run, Side, Test, Verdict};
use std::collections::BTreeMap;

const SEED: u64 = 20_261_126;
const SIZES: [(usize, usize); 6] =
    [(100, 100), (1000, 100), (1000, 1000), (1001, 200), (5000, 500), (5000, 5000)];

struct SplitMix(u64);

impl SplitMix {
    fn new(cell: u64, replicate: u64) -> Self {
        let mut random = Self(SEED);
        for place in [cell, replicate] {
            random.0 = random.next().wrapping_add(place);
        }
        random.0 = random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / 2.0_f64.powi(53)
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * (-self.uniform()).ln_1p()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

fn numbers(random: &mut SplitMix, rows: usize, draw: impl Fn(&mut SplitMix) -> f64) -> Column {
    Column::numeric("x", (0..rows).map(|_| draw(random)).collect(), 0, 0)
}

fn categories(random: &mut SplitMix, rows: usize, weights: &[f64]) -> Column {
    let cumulative: Vec<f64> = weights
        .iter()
        .scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect();
    let mut counts = vec![0; weights.len()];
    for _ in 0..rows {
        let u = random.uniform() * cumulative[cumulative.len() - 1];
        counts[cumulative.partition_point(|c| *c <= u).min(weights.len() - 1)] += 1;
    }
    let named = counts.into_iter().enumerate().map(|(i, count)| (format!("{i:03}"), count));
    Column::categorical("x", named.collect::<BTreeMap<_, _>>(), 0, 0)
}

fn side(columns: Vec<Column>) -> Side {
    Side { rows: columns.first().map_or(0, |column| column.rows), columns }
}

fn compared(reference: &Side, current: &Side) -> Run {
    Rules::Sound(Options::default()).compare(reference, current, &[]).expect("the default options")
}

fn single(reference: Column, current: Column) -> Finding {
    compared(&side(vec![reference]), &side(vec![current])).columns.remove(0)
}

type Draw = Box<dyn Fn(&mut SplitMix, usize) -> Column>;

/// Prints its table for so many replicates, and answers how many targets were missed.
type Part = fn(u64) -> u32;

fn main() {
    let replicates: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(2_000);
    println!("{replicates} replicates a cell, seed {SEED}\n");
    println!("defaults: {:?}\n", Options::default());
    let wanted = std::env::args().nth(2);
    let parts: [(&str, Part); 3] = [("alarms", false_alarms), ("runs", runs), ("power", power)];
    let picked = parts.into_iter().filter(|(name, _)| wanted.as_deref().is_none_or(|wanted| wanted == *name));
    let missed: u32 = picked.map(|(_, part)| part(replicates)).sum();
    println!("\n{missed} targets missed");
    std::process::exit(i32::from(missed > 0));
}

fn false_alarms(replicates: u64) -> u32 {
    let weights =
        |weights: Vec<f64>| -> Draw { Box::new(move |random, rows| categories(random, rows, &weights)) };
    let distributions: [(&str, Draw); 6] = [
        ("normal", Box::new(|random, rows| numbers(random, rows, SplitMix::normal))),
        ("lognormal", Box::new(|random, rows| numbers(random, rows, |random| random.normal().exp()))),
        ("binary", weights(vec![0.7, 0.3])),
        ("5 categories", weights(vec![0.2; 5])),
        ("Zipf, 50", weights((1..=50).map(|k| 1.0 / f64::from(k)).collect())),
        ("uniform, 200", weights(vec![1.0; 200])),
    ];
    println!(
        "No drift, one column. p: share of p <= 0.05 of Kolmogorov–Smirnov or chi-square; p2: of Anderson–Darling;"
    );
    println!("q: of any q <= 0.05. Targets: p and DRIFT <= 0.07, p >= 0.03 for numbers from 1000/1000 on.\n");
    println!(
        "| data | sizes | p | p2 | q | DRIFT | WARN | INSUFFICIENT | reached |\n|---|---|---|---|---|---|---|---|---|"
    );
    let mut missed = 0;
    for (d, (name, draw)) in distributions.iter().enumerate() {
        for (s, (n, m)) in SIZES.into_iter().enumerate() {
            let mut counts = [0_u32; 6];
            for replicate in 0..replicates {
                let mut random = SplitMix::new((10 * d + s) as u64, replicate);
                let finding = single(draw(&mut random, n), draw(&mut random, m));
                let p = |start: &str| {
                    finding.tests.iter().any(|test| {
                        test.statistic.starts_with(start)
                            && test.p_value <= Some(0.05)
                            && test.p_value.is_some()
                    })
                };
                let q = finding.tests.iter().any(|test| test.q_value.is_some_and(|q| q <= 0.05));
                let is = |verdict| finding.verdict == verdict;
                let hits = [
                    p("kolmogorov") || p("chi_square"),
                    p("anderson"),
                    q,
                    is(Verdict::Drift),
                    is(Verdict::Warn),
                    is(Verdict::InsufficientData),
                ];
                counts.iter_mut().zip(hits).for_each(|(count, hit)| *count += u32::from(hit));
            }
            let shares = counts.map(|count| f64::from(count) / replicates as f64);
            let continuous = d < 2 && n.min(m) >= 500 && n >= 1000;
            let reached = shares[0] <= 0.07 && shares[3] <= 0.07 && !(continuous && shares[0] < 0.03);
            missed += u32::from(!reached);
            let cells = shares.map(|share| format!("{share:.4}")).join(" | ");
            println!("| {name} | {n}/{m} | {cells} | {} |", yes(reached));
        }
    }
    missed
}

/// Columns of each kind side by side.
fn runs(replicates: u64) -> u32 {
    println!(
        "\nNo drift, 50 columns (30 normal, 10 lognormal, 5 of 5 categories, 5 binary). Target: DRIFT <= 0.07.\n"
    );
    println!("| sizes | any p <= 0.05 | any q <= 0.05 | DRIFT | WARN | reached |\n|---|---|---|---|---|---|");
    let mut missed = 0;
    for (s, (n, m)) in [(500, 500), (1000, 1000), (5000, 1000)].into_iter().enumerate() {
        let mut counts = [0_u32; 4];
        for replicate in 0..replicates {
            let mut random = SplitMix::new(100 + s as u64, replicate);
            let mut table = |rows: usize| {
                let columns = (0..50).map(|i| {
                    let column = match i {
                        0..30 => numbers(&mut random, rows, SplitMix::normal),
                        30..40 => numbers(&mut random, rows, |random| random.normal().exp()),
                        40..45 => categories(&mut random, rows, &[0.2; 5]),
                        _ => categories(&mut random, rows, &[0.7, 0.3]),
                    };
                    Column { name: format!("x{i:02}"), ..column }
                });
                side(columns.collect())
            };
            let (reference, current) = (table(n), table(m));
            let run = compared(&reference, &current);
            let any = |pick: fn(&Test) -> Option<f64>| {
                run.columns.iter().flat_map(|finding| &finding.tests).filter_map(pick).any(|p| p <= 0.05)
            };
            let hits = [
                any(|t| t.p_value),
                any(|t| t.q_value),
                run.verdict == Verdict::Drift,
                run.verdict == Verdict::Warn,
            ];
            counts.iter_mut().zip(hits).for_each(|(count, hit)| *count += u32::from(hit));
        }
        let shares = counts.map(|count| f64::from(count) / replicates as f64);
        missed += u32::from(shares[2] > 0.07);
        let cells = shares.map(|share| format!("{share:.4}")).join(" | ");
        println!("| {n}/{m} | {cells} | {} |", yes(shares[2] <= 0.07));
    }
    missed
}

fn power(replicates: u64) -> u32 {
    const N: usize = 5000;
    const M: usize = 1000;
    let normal: fn(&mut SplitMix, usize) -> Column = |random, rows| numbers(random, rows, SplitMix::normal);
    let failures = |random: &mut SplitMix, rows: usize, rate: f64| {
        let failed = (0..rows).filter(|_| random.uniform() < rate).count();
        Column::numeric("x", (failed..rows).map(|_| random.normal()).collect(), 0, failed as u64)
    };
    let changes: [(&str, &str, Draw, Draw); 6] = [
        (
            "mean 0.2 sd",
            "",
            Box::new(normal),
            Box::new(|random, rows| numbers(random, rows, |random| random.normal() + 0.2)),
        ),
        (
            "scale × 1.25",
            "",
            Box::new(normal),
            Box::new(|random, rows| numbers(random, rows, |random| random.normal() * 1.25)),
        ),
        (
            "0.05 moved between two of five categories",
            "",
            Box::new(|random, rows| categories(random, rows, &[0.2; 5])),
            Box::new(|random, rows| categories(random, rows, &[0.25, 0.15, 0.2, 0.2, 0.2])),
        ),
        (
            "5 % out of range (by that statistic)",
            "share_outside",
            Box::new(|random, rows| numbers(random, rows, SplitMix::uniform)),
            Box::new(|random, rows| {
                numbers(random, rows, |random| {
                    let out = random.uniform() < 0.05;
                    random.uniform() + f64::from(u8::from(out))
                })
            }),
        ),
        (
            "violations 1 → 4 %, as failures",
            "",
            Box::new(move |random, rows| failures(random, rows, 0.01)),
            Box::new(move |random, rows| failures(random, rows, 0.04)),
        ),
        (
            "violations 1 → 4 %, as categories",
            "",
            Box::new(|random, rows| categories(random, rows, &[0.99, 0.01])),
            Box::new(|random, rows| categories(random, rows, &[0.96, 0.04])),
        ),
    ];
    println!("\nPower in a run of one column, {N}/{M}. Target: DRIFT >= 0.9.\n");
    println!("| change | DRIFT | median effect / floor | reached |\n|---|---|---|---|");
    let mut missed = 0;
    for (c, (name, statistic, reference, current)) in changes.iter().enumerate() {
        let (mut found, mut effects) = (0_u32, vec![]);
        for replicate in 0..replicates {
            let mut random = SplitMix::new(200 + c as u64, replicate);
            let finding = single(reference(&mut random, N), current(&mut random, M));
            let mut tests = finding.tests.iter().filter(|test| test.statistic.starts_with(statistic));
            found += u32::from(tests.any(|test| test.verdict == Some(Verdict::Drift)));
            effects.push(finding.effect_per_floor.unwrap_or(0.0));
        }
        effects.sort_by(f64::total_cmp);
        let share = f64::from(found) / replicates as f64;
        missed += u32::from(share < 0.9);
        println!("| {name} | {share:.4} | {:.2} | {} |", effects[effects.len() / 2], yes(share >= 0.9));
    }
    missed
}

fn yes(reached: bool) -> &'static str {
    if reached { "yes" } else { "NO" }
}
