//! What a check of so many rows would say of data that did not change, and what it would find.
//!
//! Windows are drawn from the reference itself and compared with the rest of it: how often that is called drift is what
//! the rule costs, whatever the data are like. Then the windows are changed by more and more, until four of five are found.
//! Columns are drawn apart from each other.

mod change;
mod null;
mod pool;

pub use change::{Change, FoundChange};
pub use null::Null;

use super::request::Request;
use super::run::look;
use super::side::Source;
use super::signals::Watch;
use crate::drift::compare::{Column, Run, Test, Verdict};
use crate::drift::statistics::random::SplitMix;
use crate::drift::statistics::two_proportion::wilson;
use crate::error::{Error, Result};
use pool::{Pool, ROWS_MAX};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is to be found out.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// Rows of a window.
    pub rows: u64,
    /// Rows that it is compared with, at most; `None`: all that are not in it.
    pub against: Option<u64>,
    /// How many are drawn.
    pub count: u64,
    pub runs_per_month: f64,
    /// Also look for the smallest changes that are found, which takes longest.
    pub changes: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Rows that windows were drawn from.
    pub reference_rows: u64,
    pub window_rows: u64,
    /// Rows that each window was compared with.
    pub against_rows: u64,
    pub windows: u64,
    /// The share of windows without any change that were called drift, and its interval of confidence 0.95.
    pub false_alarms: f64,
    pub interval: [f64; 2],
    pub false_alarms_per_month: f64,
    /// The largest alpha that would have given at most one false alarm in three months. Absent if these windows are too few
    /// to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha_for_one_a_quarter: Option<f64>,
    pub columns: Vec<ColumnCalibration>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnCalibration {
    pub column: String,
    /// The share of windows in which this column was called drift.
    pub false_alarms: f64,
    /// What each of its tests comes to without any change.
    pub nulls: Vec<Null>,
    /// The smallest changes that are found with power 0.8 in a run of this column alone.
    pub found: Vec<FoundChange>,
}

/// Errors: windows that do not fit into the reference, too few of them, or what reading gave.
pub fn calibrate(source: &Source, request: &Request, windows: Windows) -> Result<Calibration> {
    request.rules.check().map_err(|error| Error::invalid("drift_options", error.to_string()))?;
    let is_rate = windows.runs_per_month > 0.0 && windows.runs_per_month.is_finite();
    if !(20..=100_000).contains(&windows.count)
        || [Some(windows.rows), windows.against].contains(&Some(0))
        || !is_rate
    {
        return Err(Error::invalid("calibration_windows", "these numbers of windows cannot be")
            .hint("at least one row, 20 to 100,000 windows, and some runs a month"));
    }
    request.check_bins_wanted()?;
    if let Some(profile) = source.as_profile() {
        request.check_bins(profile)?;
    }
    let looked = look([source], request)?;
    let loaded = source.load(&looked, request)?;
    let all = loaded.rows.min(ROWS_MAX);
    // As much as of the window has to be left to compare with.
    if windows.rows > all / 2 {
        let message = format!("windows of {} rows cannot be drawn from {} rows", windows.rows, loaded.rows);
        return Err(Error::invalid("calibration_windows", message)
            .hint(format!("windows of at most half the reference, and at most {} rows", ROWS_MAX / 2)));
    }
    let against = windows.against.unwrap_or(u64::MAX).min(all - windows.rows);
    let mut random = SplitMix(source.seed().0);
    let mut pools = vec![];
    let names = source.names();
    let derived = looked.watch.derivations.keys().map(String::as_str).filter(|name| !names.contains(name));
    for name in names.iter().copied().chain(derived) {
        if let Some(column) = loaded.column(name)?.filter(|_| looked.kinds.contains_key(name)) {
            pools.push(Pool::new(&column, [windows.rows, against], &mut random));
        }
    }
    let rules = Judged { request, watch: &looked.watch };
    let runs = draw(&pools, &rules, windows, &mut random);
    if let Some(column) = runs.iter().flat_map(|run| &run.columns).find(|it| it.verdict == Verdict::Invalid) {
        let message = format!("{} cannot be compared: {}", column.column, column.reason);
        return Err(Error::invalid("calibration_column", message).hint("leave it out with --ignore"));
    }
    let alarms = runs.iter().filter(|run| run.verdict == Verdict::Drift).count() as f64;
    let share = alarms / windows.count as f64;
    let (low, high) = wilson(share, windows.count as f64, 1.96);
    let tried = pools.iter().filter(|_| windows.changes);
    let tried: Vec<(&Pool, Change)> =
        tried.flat_map(|pool| pool.changes().iter().map(move |change| (pool, *change))).collect();
    let found = on_all_cores(&tried, request.threads, &mut random, |(pool, change), random| {
        change::smallest(pool, *change, &rules, random)
    });
    let columns = pools.iter().map(|pool| {
        let mine =
            || runs.iter().filter_map(|run| run.columns.iter().find(|column| column.column == pool.name));
        let drifted = mine().filter(|column| column.verdict == Verdict::Drift).count();
        let found = tried.iter().zip(&found).filter(|((tried, _), _)| tried.name == pool.name);
        ColumnCalibration {
            column: pool.name.clone(),
            false_alarms: drifted as f64 / windows.count as f64,
            nulls: null::nulls(mine()),
            found: found.map(|(_, found)| found.clone()).collect(),
        }
    });
    Ok(Calibration {
        reference_rows: loaded.rows,
        window_rows: windows.rows,
        against_rows: against,
        windows: windows.count,
        false_alarms: share,
        interval: [low, high],
        false_alarms_per_month: share * windows.runs_per_month,
        columns: columns.collect(),
        alpha_for_one_a_quarter: alpha_for(
            runs.iter().map(smallest_alpha).collect(),
            1.0 / (3.0 * windows.runs_per_month),
        ),
    })
}

/// Compares windows without any change.
fn draw(pools: &[Pool], rules: &Judged<'_>, windows: Windows, random: &mut SplitMix) -> Vec<Run> {
    let numbers: Vec<u64> = (0..windows.count).collect();
    on_all_cores(&numbers, rules.request.threads, random, |_, random| {
        let pairs: Vec<_> = pools.iter().map(|pool| pool.split(None, random)).collect();
        let mut run = rules.compare(&pairs);
        // The counts and bins are not looked at, and are most of it.
        for column in &mut run.columns {
            column.tests.iter_mut().for_each(|test| test.cells = vec![]);
            (column.bins, column.edges) = (vec![], vec![]);
        }
        run
    })
}

/// How columns are compared and judged: as in a check of them, but for vectors and how good answers are.
struct Judged<'a> {
    request: &'a Request,
    watch: &'a Watch,
}

impl Judged<'_> {
    /// References and windows of columns.
    fn compare(&self, pairs: &[(Column, Column)]) -> Run {
        let rules = &self.request.rules;
        let examined = pairs.iter().filter_map(|(reference, current)| {
            let mut finding = rules.examine(&[reference], &[current], false)?;
            self.watch.mark(&mut finding, [Some(reference), Some(current)], rules);
            Some(finding)
        });
        let rows = pairs.first().map_or([0, 0], |(reference, current)| [reference.rows, current.rows]);
        let mut run = rules.judge(examined.collect(), rows, &[]);
        run.columns.iter_mut().for_each(|finding| self.watch.settle(finding));
        run
    }
}

/// The smallest alpha by which a run would be drift.
fn smallest_alpha(run: &Run) -> f64 {
    let is_large = |test: &&Test| test.effect.as_ref().is_some_and(|effect| effect.value >= effect.floor);
    let tests = run.columns.iter().flat_map(|column| &column.tests).filter(is_large);
    tests.filter_map(|test| test.q_value).fold(1.0, f64::min)
}

/// The largest alpha at which at most this share of windows is drift.
fn alpha_for(mut alphas: Vec<f64>, share: f64) -> Option<f64> {
    alphas.sort_by(f64::total_cmp);
    let allowed = (share * alphas.len() as f64).floor() as usize;
    if allowed >= alphas.len() {
        return Some(0.5);
    }
    // With none allowed the windows are too few to say.
    let first_too_many = *alphas.get(allowed).filter(|_| allowed > 0)?;
    Some((first_too_many * 0.99).min(0.5)).filter(|alpha| *alpha > 0.0)
}

/// What the work makes of each item, in their order. Each has random numbers of its own, so that it does not matter how many
/// threads there are.
fn on_all_cores<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    random: &mut SplitMix,
    work: impl Fn(&T, &mut SplitMix) -> R + Sync,
) -> Vec<R> {
    let seeds: Vec<u64> = items.iter().map(|_| random.bits()).collect();
    let next = AtomicUsize::new(0);
    let run = || {
        let mut made = vec![];
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return made };
            made.push((index, work(item, &mut SplitMix(seeds[index]))));
        }
    };
    let mut all: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(run)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, made)| made).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_is_what_few_windows_exceed() {
        let alphas: Vec<f64> = (1..=1_000).map(|index| f64::from(index) / 1_000.0).collect();
        let alpha = alpha_for(alphas.clone(), 0.01).unwrap();
        assert_eq!(alphas.iter().filter(|one| **one <= alpha).count(), 10);
        assert_eq!(alpha_for(alphas.clone(), 0.0005), None);
        assert_eq!(alpha_for(alphas, 1.1), Some(0.5), "runs are so rare");
    }

    #[test]
    fn work_comes_back_in_order_whatever_the_threads() {
        let items: Vec<u64> = (0..50).collect();
        let made =
            |threads| on_all_cores(&items, threads, &mut SplitMix(1), |item, random| (*item, random.bits()));
        assert_eq!(made(1), made(7));
        assert!(made(3).iter().map(|(item, _)| *item).eq(0..50));
    }
}
