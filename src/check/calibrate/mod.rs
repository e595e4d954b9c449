//! What a check of so many rows would say of data that did not change, and what it would find.
//!
//! Windows are drawn from the reference itself and compared with the rest of it: how often that is called drift is what
//! the rule costs, whatever the data are like. Then the windows are changed by more and more, until four of five are found.
//! Columns are drawn apart from each other.

mod change;
mod draw;
mod null;
mod pool;

pub use change::{Change, FoundChange};
pub use null::Null;

use super::request::Request;
use super::run::look;
use super::side::Source;
use crate::drift::compare::Verdict;
use crate::drift::statistics::random::SplitMix;
use crate::drift::statistics::two_proportion::wilson;
use crate::error::{Error, Result};
use draw::{Judged, draw};
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
    /// Also say what is found in each column, and from which size on, which takes longest.
    pub details: bool,
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
    /// Columns of a profile with more categories than it counts: nothing can be drawn from what is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
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
    let wrong = |why: &str| Err(Error::invalid("calibration_windows", why.to_owned()));
    if !(20..=100_000).contains(&windows.count) {
        return wrong("20 to 100,000 windows can be drawn");
    }
    if [Some(windows.rows), windows.against].contains(&Some(0)) || !is_rate {
        return wrong(
            "a window has at least one row, as has what it is compared with, and there are some runs a month",
        );
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
    let (mut pools, mut left_out) = (vec![], vec![]);
    let names = source.names();
    let derived = looked.watch.derivations.keys().map(String::as_str).filter(|name| !names.contains(name));
    for name in names.iter().copied().chain(derived) {
        if let Some(column) = loaded.column(name)?.filter(|_| looked.kinds.contains_key(name)) {
            match Pool::can_be_drawn(&column) {
                true => pools.push(Pool::new(&column, [windows.rows, against], &mut random)),
                false => left_out.push(name.to_owned()),
            }
        }
    }
    let rules = Judged { request, watch: &looked.watch };
    let runs = draw(&pools, &rules, windows, &mut random);
    if let Some((column, why)) = runs.iter().find_map(|run| run.invalid.as_ref()) {
        let message = format!("{column} cannot be compared: {why}");
        return Err(Error::invalid("calibration_column", message).hint("leave it out with --ignore"));
    }
    let alarms = runs.iter().filter(|run| run.is_drift).count() as f64;
    let share = alarms / windows.count as f64;
    let (low, high) = wilson(share, windows.count as f64, 1.96);
    let tried = pools.iter().filter(|_| windows.details);
    let tried: Vec<(&Pool, Change)> = tried
        .flat_map(|pool| pool.changes().iter().map(move |change| (pool, *change)))
        .filter(|(pool, change)| pool.most(*change) > 0.0)
        .collect();
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
        left_out,
        alpha_for_one_a_quarter: alpha_for(
            runs.iter().map(|run| run.alpha).collect(),
            1.0 / (3.0 * windows.runs_per_month),
        ),
    })
}

/// The largest alpha at which at most this share of windows is drift.
fn alpha_for(mut alphas: Vec<f64>, share: f64) -> Option<f64> {
    alphas.sort_by(f64::total_cmp);
    // A little more, as the share may be rounded down.
    let allowed = (share * alphas.len() as f64 + 1e-6).floor() as usize;
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
