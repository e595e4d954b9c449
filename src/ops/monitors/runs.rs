//! Runs of a monitor: asked for, looked at, and their reports.

use super::{super::Context, Run, find, lock};
use crate::{
    check::Report,
    db::{Tx, drift_runs as rows, monitors::MonitorRow},
    error::{Error, Result},
    model::{
        monitor::{Cause, MonitorName, Window},
        name::Workload,
    },
    ops::blobs,
};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

/// Windows that are asked for at once.
const WINDOWS_MAX: usize = 1_000;
/// After all windows: the largest time that sorts right as text.
const END: DateTime<Utc> =
    NaiveDate::from_ymd_opt(9999, 12, 31).expect("a day").and_time(NaiveTime::MIN).and_utc();
/// Most bytes of a report.
pub(super) const REPORT_MAX: u64 = crate::model::evidence::MAX_BYTES as u64;

/// A run that was asked for. `is_new`: it is made, and was not before; one that failed or had no data is made anew.
pub struct Asked {
    pub run: Run,
    pub is_new: bool,
}

/// Asks for the window that ends now.
pub async fn now(cx: &Context, workload: &Workload, name: &MonitorName) -> Result<Asked> {
    let (mut tx, row) = lock(cx, workload, name).await?;
    let window = row.spec.plan()?.window(cx.clock.now());
    let asked = ask(cx, &mut tx, &row, window, Cause::Now).await?;
    tx.commit().await?;
    cx.runs.notify_one();
    Ok(asked)
}

/// Asks for the windows of the schedule that lie within a time, oldest first. Those that end in the future are left out.
pub async fn backfill(
    cx: &Context,
    workload: &Workload,
    name: &MonitorName,
    within: Window,
) -> Result<Vec<Asked>> {
    let (mut tx, row) = lock(cx, workload, name).await?;
    let (plan, now) = (row.spec.plan()?, cx.clock.now());
    if within.start >= within.end {
        return Err(Error::invalid("backfill_range", "the time to make up for ends before it begins")
            .hint("give its first day with --from and the day after its last with --to"));
    }
    let times = std::iter::successors(plan.schedule.next(within.start), |at| plan.schedule.next(*at));
    let mut last = None;
    // Many times of a schedule may have one window, as those of an hour that of the day before.
    let windows = times.map(|at| plan.window(at)).filter(|window| last.replace(*window) != Some(*window));
    let windows = windows.take_while(|window| window.end <= within.end.min(now));
    let windows: Vec<Window> =
        windows.filter(|window| within.start <= window.start).take(WINDOWS_MAX + 1).collect();
    if windows.len() > WINDOWS_MAX {
        return Err(Error::too_large("backfill_range", format!("there are more than {WINDOWS_MAX} windows"))
            .hint("make up for a shorter time"));
    }
    let mut all = Vec::new();
    for window in windows {
        all.push(ask(cx, &mut tx, &row, window, Cause::Backfill).await?);
    }
    tx.commit().await?;
    cx.runs.notify_one();
    Ok(all)
}

async fn ask(cx: &Context, tx: &mut Tx, row: &MonitorRow, window: Window, cause: Cause) -> Result<Asked> {
    let now = cx.clock.now();
    let is_new = rows::queue(tx, &row.id, window, cause, now).await?
        || rows::again(tx, &row.id, window, cause, now).await?;
    let gone = || Error::internal("run_gone", "a run that was asked for is not there");
    let run = rows::find(tx, &row.id, window).await?.ok_or_else(gone)?;
    Ok(Asked { run, is_new })
}

/// Runs by their windows, newest first; before one that ends then.
pub async fn list(
    cx: &Context,
    workload: &Workload,
    name: &MonitorName,
    before: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<Run>> {
    let mut tx = cx.db.read().await?;
    let row = find(&mut tx, workload, name).await?;
    rows::newest(&mut tx, &row.id, before.unwrap_or(END), limit).await
}

/// A run with its report, if one was made and kept: the one whose window ends then, or the newest that has ended.
pub async fn show(
    cx: &Context,
    workload: &Workload,
    name: &MonitorName,
    end: Option<DateTime<Utc>>,
) -> Result<(Run, Option<Report>)> {
    let mut tx = cx.db.read().await?;
    let row = find(&mut tx, workload, name).await?;
    let run = rows::at(&mut tx, &row.id, end).await?.ok_or_else(|| {
        let which = end.map_or_else(
            || "no run has ended".to_owned(),
            |end| format!("no run of a window that ends at {end}"),
        );
        Error::not_found("run_unknown", format!("monitor {workload}/{name}: {which}"))
            .hint(format!("see those there are: gradus drift runs {workload}/{name}"))
    })?;
    drop(tx);
    let Some(digest) = run.report.as_ref().filter(|_| run.evidence.is_some()) else { return Ok((run, None)) };
    let bytes = blobs::read_whole(cx, workload, digest, REPORT_MAX).await?;
    let report = serde_json::from_slice(&bytes)
        .map_err(|_| Error::corrupt("drift_runs", &run.monitor, "a report cannot be read"))?;
    Ok((run, Some(report)))
}
