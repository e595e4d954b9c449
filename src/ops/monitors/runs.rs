//! Runs of a monitor: asked for, looked at, and their reports.

use super::{super::Context, Run, find, lock};
use crate::{
    check::Report,
    db::{
        Tx,
        drift_runs::{self as rows, Wanted},
        monitors::MonitorRow,
    },
    error::{Error, Result},
    model::{
        access::Actor,
        monitor::{Cause, MonitorName, Plan, Window},
        name::Workload,
    },
    ops::blobs,
};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

/// Windows that are asked for at once.
const WINDOWS_MAX: usize = 1_000;
/// Times of a schedule that are looked through for them.
const TIMES_MAX: usize = 50_000;
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
pub async fn now(cx: &Context, actor: &Actor, workload: &Workload, name: &MonitorName) -> Result<Asked> {
    let (mut tx, row) = lock(cx, workload, name).await?;
    let at = cx.clock.now();
    let window = row.spec.plan()?.window(at);
    let asked =
        ask(&mut tx, &row, window, &Wanted { cause: Cause::Now, by: Some(&actor.principal), at }).await?;
    tx.commit().await?;
    cx.runs.notify_one();
    Ok(asked)
}

/// Asks for the windows of the schedule that lie within a time, oldest first. Those that end in the future are left out.
pub async fn backfill(
    cx: &Context,
    actor: &Actor,
    workload: &Workload,
    name: &MonitorName,
    within: Window,
) -> Result<Vec<Asked>> {
    if within.start >= within.end {
        return Err(Error::invalid("backfill_range", "the time to make up for ends before it begins")
            .hint("give its first day with --from and the day after its last with --to"));
    }
    let row = find(&mut cx.db.read().await?, workload, name).await?;
    let (plan, at) = (row.spec.plan()?, cx.clock.now());
    // Reckoned before anything is locked: it may take a while.
    let windows = tokio::task::spawn_blocking(move || windows(&plan, within, at));
    let ended =
        |source| Error::internal("windows_ended", "reckoning windows ended before its time").source(source);
    let windows = windows.await.map_err(ended)??;
    let (mut tx, row) = lock(cx, workload, name).await?;
    let wanted = Wanted { cause: Cause::Backfill, by: Some(&actor.principal), at };
    let mut all = Vec::new();
    for window in windows {
        all.push(ask(&mut tx, &row, window, &wanted).await?);
    }
    tx.commit().await?;
    cx.runs.notify_one();
    Ok(all)
}

fn windows(plan: &Plan, within: Window, now: DateTime<Utc>) -> Result<Vec<Window>> {
    let times = std::iter::successors(plan.schedule.next(within.start), |at| plan.schedule.next(*at));
    let (mut last, mut found) = (None, Vec::new());
    for (count, at) in times.enumerate() {
        let window = plan.window(at);
        if window.end > within.end.min(now) {
            return Ok(found);
        }
        // Many times of a schedule may have one window, as those of an hour that of the day before.
        if last.replace(window) != Some(window) && within.start <= window.start {
            found.push(window);
        }
        if found.len() > WINDOWS_MAX || count > TIMES_MAX {
            break;
        }
    }
    Err(Error::too_large(
        "backfill_range",
        format!("there are more than {WINDOWS_MAX} windows, or {TIMES_MAX} times"),
    )
    .hint("make up for a shorter time"))
}

async fn ask(tx: &mut Tx, row: &MonitorRow, window: Window, wanted: &Wanted<'_>) -> Result<Asked> {
    let is_new = rows::queue(tx, &row.id, window, wanted).await?
        || rows::again(tx, &row.id, window, wanted, DateTime::UNIX_EPOCH).await?;
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
