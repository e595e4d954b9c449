//! Tests of numbers.

use super::super::statistics::Ecdf;
use super::super::statistics::anderson_darling::anderson_darling;
use super::super::statistics::ecdf::steps;
use super::super::statistics::histogram::{equal_width_edges, open_counts};
use super::super::statistics::ks::{asymptotic, ks};
use super::super::statistics::two_proportion::wilson;
use super::super::statistics::wasserstein::wasserstein;
use super::from_profile::RANK_ERROR_CHANCE;
use super::options::Options;
use super::out_of_range::out_of_range_p;
use super::power::Scale;
use super::result::{Cell, Direction, Effect, Test};
use super::side::Sample;

/// The distance of the quartiles of a normal distribution, in standard deviations.
const NORMAL_QUARTILES: f64 = 1.348_979_500_392_163_5;
/// Standard errors on each side of an interval of confidence 0.95.
pub(super) const Z_95: f64 = 1.959_963_984_540_054;
const BINS: usize = 18;

/// The tests of two samples of at least two finite numbers each.
pub(super) fn tests(reference: &Sample, current: &Sample, options: &Options) -> Vec<Test> {
    [kolmogorov_smirnov, shift, out_of_range]
        .into_iter()
        .filter_map(|test| test(reference, current, options))
        .collect()
}

/// From sketches, significance is that of the least distance the true distributions can have: `D` less both rank
/// errors.
fn kolmogorov_smirnov(reference: &Sample, current: &Sample, options: &Options) -> Option<Test> {
    let sizes @ (n, m) = (reference.ecdf.len(), current.ecdf.len());
    let error = reference.error() + current.error();
    let ks = ks(&reference.ecdf, &current.ecdf)?;
    let (p, method) = if error > 0.0 {
        let least = (ks.statistic - error).max(0.0);
        let method =
            format!("asymptotic, of {least}: the distance less the rank errors {error} of the sketches");
        (sketched_p(least, reference, current), method)
    } else {
        (ks.p_value, if ks.exact { "exact" } else { "asymptotic" }.to_owned())
    };
    let effect =
        Effect::new("D", ks.statistic, options.floors.distance, Scale::Distance, sizes, options.alpha, error);
    let up_to = [reference, current].map(|side| side.ecdf.count_up_to(ks.location));
    let x = ks.location;
    Some(Test {
        method,
        value: Some(ks.statistic),
        p_value: Some(if p.is_nan() { 1.0 } else { p.min(1.0) }),
        effect,
        interval: Some(interval(ks.statistic, sizes, error)),
        direction: (ks.statistic > 0.0).then(|| Direction::of(ks.upward)),
        cells: vec![
            Cell::new(format!("<= {x:?}"), up_to[0], up_to[1]),
            Cell::new(format!("> {x:?}"), n - up_to[0], m - up_to[1]),
        ],
        ..Test::new("kolmogorov_smirnov_distance", n, m)
    })
}

/// The chance of a distance of at least `least`, and that a sketch errs by more than it says.
fn sketched_p(least: f64, reference: &Sample, current: &Sample) -> f64 {
    if least <= 0.0 {
        return 1.0;
    }
    let sketches = [reference, current].iter().filter(|side| side.error() > 0.0).count() as f64;
    asymptotic(reference.ecdf.len(), current.ecdf.len(), least) + sketches * RANK_ERROR_CHANCE
}

/// The interval of `D` with confidence 0.95: each empirical distribution function is off by at most
/// `√(ln(2/0.025) / 2n)` with chance 0.975 (Massart, "The tight constant in the Dvoretzky–Kiefer–Wolfowitz inequality",
/// Annals of Probability 18, 1990).
fn interval(distance: f64, (n, m): (u64, u64), error: f64) -> [f64; 2] {
    let off = |rows: u64| ((2.0_f64 / 0.025).ln() / (2.0 * rows as f64)).sqrt();
    let reach = off(n) + off(m) + error;
    [(distance - reach).max(0.0), (distance + reach).min(1.0)]
}

/// Anderson and Darling's test, which sees changes of scale and tails better than `D`, with the distance in spreads as
/// effect.
fn shift(reference: &Sample, current: &Sample, options: &Options) -> Option<Test> {
    if reference.error() + current.error() > 0.0 {
        return sketched_shift(reference, current, options);
    }
    let (n, m) = (reference.ecdf.len(), current.ecdf.len());
    let distance = wasserstein(&reference.ecdf, &current.ecdf)? / spread(reference, current)?;
    let test = anderson_darling(&reference.ecdf, &current.ecdf)?;
    Some(Test {
        method: "asymptotic".to_owned(),
        value: Some(test.statistic).filter(|value| value.is_finite()),
        p_value: Some(test.p_value).filter(|p| p.is_finite()),
        effect: Some(shift_effect(distance, 0.0, (n, m), options)?),
        ..Test::new("anderson_darling_a_squared", n, m)
    })
}

/// From sketches the distance is the least that the true distributions can have, `∫ max(0, |F - G| - error) dx`, and
/// significance that of the least `D`.
fn sketched_shift(reference: &Sample, current: &Sample, options: &Options) -> Option<Test> {
    let (n, m) = (reference.ecdf.len(), current.ecdf.len());
    let error = reference.error() + current.error();
    let (mut least, mut most, mut height, mut last) = (0.0, 0.0_f64, 0.0_f64, None);
    for step in steps(&reference.ecdf, &current.ecdf) {
        let width = last.map_or(0.0, |last| step.value - last);
        least += (height - error).max(0.0) * width;
        let [f, c] = step.up_to();
        height = (f as f64 / n as f64 - c as f64 / m as f64).abs();
        most = most.max(height);
        last = Some(step.value);
    }
    let spread = spread(reference, current)?;
    let distance = least / spread;
    let lost = wasserstein(&reference.ecdf, &current.ecdf)? / spread - distance;
    let effect = shift_effect(distance, lost.max(0.0), (n, m), options)?;
    let p = sketched_p(most - error, reference, current);
    Some(Test {
        method: "the least distance that the sketches leave; its p is that of the least Kolmogorov–Smirnov distance"
            .to_owned(),
        value: Some(distance),
        p_value: Some(if p.is_nan() { 1.0 } else { p.min(1.0) }),
        effect: Some(effect),
        ..Test::new("wasserstein_1_per_spread", n, m)
    })
}

fn shift_effect(distance: f64, error: f64, sizes: (u64, u64), options: &Options) -> Option<Effect> {
    let name = "Wasserstein / spread";
    Effect::new(name, distance, options.floors.shift, Scale::Shift, sizes, options.alpha, error)
}

/// A standard deviation of both sides alike that outliers do not stretch: the smaller distance of the quartiles that is
/// not 0, in those of a normal distribution; where both are 0, the root of the mean variance. `None` of constants.
fn spread(reference: &Sample, current: &Sample) -> Option<f64> {
    let sides = [&reference.ecdf, &current.ecdf];
    let quartiles = |side: &&Ecdf| Some(side.quantile(0.75)? - side.quantile(0.25)?);
    let smaller = sides.iter().filter_map(quartiles).filter(|distance| *distance > 0.0).reduce(f64::min);
    let spread = match smaller {
        Some(distance) => distance / NORMAL_QUARTILES,
        None => sides.iter().try_fold(0.0, |sum, side| Some(sum + 0.5 * side.variance()?))?.sqrt(),
    };
    (spread > 0.0 && spread.is_finite()).then_some(spread)
}

/// The share of current values outside the reference's range. Of a sketch at least as many as its rank error leaves.
fn out_of_range(reference: &Sample, current: &Sample, options: &Options) -> Option<Test> {
    let (n, m) = (reference.ecdf.len(), current.ecdf.len());
    let cells = range_cells(reference, current)?;
    let outside = cells[0].current + cells[2].current;
    // Two ranks, each off by the error.
    let slack = (2.0 * current.error() * m as f64).ceil() as u64;
    let mut p = out_of_range_p(outside.saturating_sub(slack), n, m);
    if current.error() > 0.0 {
        p = (p + RANK_ERROR_CHANCE).min(1.0);
    }
    let share = outside as f64 / m as f64;
    let floor = options.floors.out_of_range;
    let error = 2.0 * current.error();
    let (low, high) = wilson(share, m as f64, Z_95);
    let exact = if slack > 0 { "exact, of the rows that the sketch's rank error leaves" } else { "exact" };
    Some(Test {
        method: exact.to_owned(),
        value: Some(share),
        p_value: Some(p),
        effect: Effect::new("share out of range", share, floor, Scale::Share, (n, m), options.alpha, error),
        interval: Some([(low - error).max(0.0), (high + error).min(1.0)]),
        cells,
        ..Test::new("share_outside_the_range_of_the_reference", n, m)
    })
}

/// Times lie outside the range of older ones as a matter of course, so the share only describes.
pub(super) fn range_of_times(reference: &Sample, current: &Sample) -> Option<Test> {
    let (n, m) = (reference.ecdf.len(), current.ecdf.len());
    let cells = range_cells(reference, current)?;
    let share = (cells[0].current + cells[2].current) as f64 / m as f64;
    Some(Test {
        method: "described only: time goes on".to_owned(),
        value: Some(share),
        cells,
        ..Test::new("share_outside_the_range_of_the_reference", n, m)
    })
}

fn range_cells(reference: &Sample, current: &Sample) -> Option<Vec<Cell>> {
    let (min, max) = reference.bounds()?;
    let (n, m) = (reference.ecdf.len(), current.ecdf.len());
    let below = current.ecdf.count_below(min);
    let above = m.saturating_sub(current.ecdf.count_up_to(max));
    Some(vec![
        Cell::new(format!("< {min:?}"), 0, below),
        Cell::new(format!("{min:?} to {max:?}"), n, m.saturating_sub(below).saturating_sub(above)),
        Cell::new(format!("> {max:?}"), 0, above),
    ])
}

/// Inner edges of bins of equal width over the bulk of both sides, and the counts: for a picture. Outliers fall into the
/// first and the last bin, which are open.
pub(super) fn bins(reference: &Sample, current: &Sample) -> (Vec<f64>, Vec<Cell>) {
    let sides = [reference, current].map(|side| equal_width_edges(&side.ecdf, BINS));
    let from = sides.iter().filter_map(|edges| edges.first().copied()).reduce(f64::min);
    let to = sides.iter().filter_map(|edges| edges.last().copied()).reduce(f64::max);
    let Some((from, to)) = from.zip(to) else { return (vec![], vec![]) };
    let share = |i: usize| i as f64 / (BINS - 2) as f64;
    let mut edges: Vec<f64> = (0..BINS - 1).map(|i| from * (1.0 - share(i)) + to * share(i)).collect();
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    let counts = open_counts(&reference.ecdf, &edges).into_iter().zip(open_counts(&current.ecdf, &edges));
    let label = |i: usize| match (i.checked_sub(1).and_then(|i| edges.get(i)), edges.get(i)) {
        (Some(low), Some(high)) => format!("{low:?} to < {high:?}"),
        (None, Some(high)) => format!("< {high:?}"),
        (Some(low), None) => format!(">= {low:?}"),
        (None, None) => "all".to_owned(),
    };
    let cells = counts.enumerate().map(|(i, (r, c))| Cell::new(label(i), r, c)).collect();
    (edges, cells)
}
