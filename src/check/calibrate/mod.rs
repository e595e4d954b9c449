//! What a check of so many rows would say of data that did not change, and what it would find.
//!
//! Windows are drawn from the reference itself and compared with the rest of it: how often that is called drift is what
//! the rule costs, whatever the data are like. Then the windows are changed by more and more, until four of five are found.
//! Columns are drawn apart from each other.

mod change;
mod null;
mod pool;

pub use change::FoundChange;
pub use null::Null;

use super::request::Request;
use super::run::look;
use super::side::Source;
use crate::drift::compare::{Column, Run, Side, Test, Verdict};
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
    /// Rows that it is compared with; `None`: all that are not in it.
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
    let looked = look([source], request)?;
    let loaded = source.load(&looked, request)?;
    let all = loaded.rows.min(ROWS_MAX);
    // Of which as much as of the window has to be left to compare with.
    let against = windows.against.unwrap_or(windows.rows);
    if windows.rows.saturating_add(against) > all {
        let message = format!(
            "windows of {} rows, and {against} to compare each with, cannot be drawn from {} rows",
            windows.rows, loaded.rows
        );
        return Err(Error::invalid("calibration_windows", message).hint(format!(
            "both together at most as many rows as the reference has, and at most {ROWS_MAX}"
        )));
    }
    let against = windows.against.unwrap_or(all - windows.rows);
    let mut random = SplitMix(source.seed().0);
    let mut pools = vec![];
    let names = source.names();
    let derived = looked.watch.derivations.keys().map(String::as_str).filter(|name| !names.contains(name));
    for name in names.iter().copied().chain(derived) {
        if let Some(column) = loaded.column(name)?.filter(|_| looked.kinds.contains_key(name)) {
            pools.push(Pool::new(&column, [windows.rows, against], &mut random));
        }
    }
    let runs = draw(&pools, request, windows, &mut random)?;
    let alarms = runs.iter().filter(|run| run.verdict == Verdict::Drift).count() as f64;
    let share = alarms / windows.count as f64;
    let (low, high) = wilson(share, windows.count as f64, 1.96);
    let columns = on_all_cores(&pools, request.threads, &mut random, |pool, random| {
        let mine =
            || runs.iter().filter_map(|run| run.columns.iter().find(|column| column.column == pool.name));
        let drifted = mine().filter(|column| column.verdict == Verdict::Drift).count();
        Ok(ColumnCalibration {
            column: pool.name.clone(),
            false_alarms: drifted as f64 / windows.count as f64,
            nulls: null::nulls(mine()),
            found: if windows.changes { change::smallest(pool, request, random)? } else { vec![] },
        })
    })?;
    Ok(Calibration {
        reference_rows: loaded.rows,
        window_rows: windows.rows,
        against_rows: against,
        windows: windows.count,
        false_alarms: share,
        interval: [low, high],
        false_alarms_per_month: share * windows.runs_per_month,
        columns,
        alpha_for_one_a_quarter: alpha_for(
            runs.iter().map(smallest_alpha).collect(),
            1.0 / (3.0 * windows.runs_per_month),
        ),
    })
}

/// Compares windows without any change.
fn draw(pools: &[Pool], request: &Request, windows: Windows, random: &mut SplitMix) -> Result<Vec<Run>> {
    let numbers: Vec<u64> = (0..windows.count).collect();
    on_all_cores(&numbers, request.threads, random, |_, random| {
        let (reference, current) =
            pools.iter().map(|pool| pool.split(None, random)).unzip::<_, _, Vec<_>, Vec<_>>();
        let mut run = compared(reference, current, request)?;
        // The counts and bins are not looked at, and are most of it.
        for column in &mut run.columns {
            column.tests.iter_mut().for_each(|test| test.cells.clear());
            (column.bins, column.edges) = (vec![], vec![]);
        }
        Ok(run)
    })
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
    // With none allowed the windows are too few to say.
    let first_too_many = *alphas.get(allowed).filter(|_| allowed > 0)?;
    Some((first_too_many * 0.99).min(0.5)).filter(|alpha| *alpha > 0.0)
}

fn compared(reference: Vec<Column>, current: Vec<Column>, request: &Request) -> Result<Run> {
    let side = |columns: Vec<Column>| Side { rows: columns.first().map_or(0, |column| column.rows), columns };
    let run = request.rules.compare(&side(reference), &side(current), &[]);
    run.map_err(|error| Error::invalid("drift_options", error.to_string()))
}

/// What the work makes of each item, in their order. Each has random numbers of its own, so that it does not matter how many
/// threads there are.
fn on_all_cores<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    random: &mut SplitMix,
    work: impl Fn(&T, &mut SplitMix) -> Result<R> + Sync,
) -> Result<Vec<R>> {
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
    let mut all: Vec<(usize, Result<R>)> = std::thread::scope(|scope| {
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
        assert_eq!(alpha_for(alphas, 0.0005), None);
    }

    #[test]
    fn work_comes_back_in_order_whatever_the_threads() {
        let items: Vec<u64> = (0..50).collect();
        let made = |threads| {
            on_all_cores(&items, threads, &mut SplitMix(1), |item, random| Ok((*item, random.bits())))
                .unwrap()
        };
        assert_eq!(made(1), made(7));
        assert!(made(3).iter().map(|(item, _)| *item).eq(0..50));
    }
}
