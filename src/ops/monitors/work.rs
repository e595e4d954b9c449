//! A run is made by whoever takes it: the data are read and compared, and what comes of it is recorded in one transaction, if
//! the run is still theirs. Whoever dies loses the lease, and another one makes the run again, with the same result.

use super::{
    super::Context,
    Run, consequence,
    gather::{Gathered, gather},
    key, monitor_itself,
    runs::REPORT_MAX,
};
use crate::{
    check::{Report, Request, Source, check},
    db::{
        drift_runs::{self as rows, Ended, Past},
        log,
        monitors::{self, MonitorRow},
        namespaces, stages,
        stages::Move,
    },
    drift::compare::Verdict,
    error::{Error, Kind, Result},
    model::{
        event::Change,
        monitor::{Cause, RunState},
    },
    telemetry::DriftRunLabels,
};
use chrono::TimeDelta;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a worker may be silent before another one takes its run.
const LEASE: TimeDelta = TimeDelta::seconds(90);
/// How long a run may take: others wait for their turn.
const LONGEST: Duration = Duration::from_secs(3600);
const TRIES_MAX: i64 = 5;
/// Before the second try; each later wait is four times as long.
const FIRST_WAIT: TimeDelta = TimeDelta::minutes(1);
/// Past runs that say how drift stands, and how many rows are usual.
const PAST_MAX: i64 = 1_000;
const USUAL_ROWS: usize = 30;

/// Makes one run that waits. Answers false if none does.
pub async fn work(cx: &Arc<Context>) -> Result<bool> {
    let (lease, now) = (cx.clock.id().simple().to_string(), cx.clock.now());
    let mut tx = cx.db.write().await?;
    let Some(run) = rows::claim(&mut tx, &lease, now, now + LEASE).await? else { return Ok(false) };
    tx.commit().await?;
    let Some(monitor) = monitors::by_id(&mut cx.db.read().await?, &run.monitor).await? else {
        return drop_run(cx, &run, &lease).await.map(|()| true);
    };
    let began = Instant::now();
    let made = tokio::select! {
        made = tokio::time::timeout(LONGEST, make(cx, &monitor, &run)) => made.unwrap_or_else(|_| Err(slow())),
        lost = keep(cx, &run, &lease) => return lost.map(|()| true),
    };
    let (verdict, recorded) = match made {
        Ok(made) => (made.verdict.name(), consequence::record(cx, &monitor, &run, &lease, made).await),
        Err(error) => ("", Err(error)),
    };
    let outcome = if recorded.is_ok() { verdict } else { "failed" };
    cx.metrics.drift_runs.get_or_create(&DriftRunLabels { outcome }).inc();
    cx.metrics.drift_run_seconds.observe(began.elapsed().as_secs_f64());
    if let Err(error) = recorded {
        give_up_or_wait(cx, &run, &lease, error).await?;
    }
    Ok(true)
}

fn slow() -> Error {
    Error::too_large("run_slow", format!("it took more than {} minutes", LONGEST.as_secs() / 60))
        .hint("check fewer columns, or shorter windows")
}

/// Keeps the lease for as long as a run takes; returns once it is lost.
async fn keep(cx: &Context, run: &Run, lease: &str) -> Result<()> {
    loop {
        tokio::time::sleep(Duration::from_secs(20)).await;
        let mut tx = cx.db.write().await?;
        let is_ours = rows::keep(&mut tx, run, lease, cx.clock.now() + LEASE).await?;
        tx.commit().await?;
        if !is_ours {
            tracing::warn!(monitor = run.monitor, "a drift run was taken over");
            return Ok(());
        }
    }
}

/// The monitor was taken away while the run waited.
async fn drop_run(cx: &Context, run: &Run, lease: &str) -> Result<()> {
    let mut tx = cx.db.write().await?;
    let ended = Ended { reason: "The monitor was taken away.", ..Ended::failed(cx.clock.now()) };
    rows::end(&mut tx, run, lease, &ended).await?;
    tx.commit().await
}

/// What a run came to.
pub(super) struct Made {
    /// What was in the stage.
    pub held: Option<Move>,
    pub verdict: Verdict,
    pub reason: String,
    pub report: Option<(Report, Vec<u8>)>,
    /// The same data against the version that the stage would go back to.
    pub other: Option<consequence::Other>,
    pub past: Vec<Past>,
}

impl Made {
    fn nothing(held: Option<Move>, past: Vec<Past>, reason: String) -> Self {
        Self { held, verdict: Verdict::NoData, reason, report: None, other: None, past }
    }
}

async fn make(cx: &Arc<Context>, monitor: &MonitorRow, run: &Run) -> Result<Made> {
    if run.tries > TRIES_MAX {
        let message = format!("it was begun {TRIES_MAX} times, and never came to an end");
        return Err(
            Error::too_large("run_never_ends", message).hint("check fewer columns, or shorter windows")
        );
    }
    let (workload, stage) = (&monitor.workload, &monitor.stage);
    let plan = monitor.spec.plan()?;
    let mut tx = cx.db.read().await?;
    let past = rows::past(&mut tx, &monitor.id, run.window.end, PAST_MAX).await?;
    // Where nothing was there yet, the data are compared with what came: it may be why somebody asks.
    let held = match stages::held_before(&mut tx, workload, stage, run.window.end).await? {
        Some(held) => Some(held),
        None => stages::current(&mut tx, workload, stage).await?,
    };
    drop(tx);
    let Some(there) = &held else {
        return Ok(Made::nothing(held, past, format!("Nothing is in {workload}:{stage}.")));
    };
    plan.check_reference(run.window.end)?;
    let gathered = match gather(cx, monitor, &plan, run, there).await? {
        Ok(gathered) => gathered,
        Err(reason) => return Ok(Made::nothing(held, past, reason)),
    };
    let other = consequence::other(cx, monitor, there).await?;
    let mut request =
        Request { hash_key: Some(key::of(cx, &workload.namespace())?), ..request(monitor, &past) };
    if gathered.is_unlabelled {
        request.performance = None;
    }
    let work = move || compare(gathered, other, &request);
    let ended = |source| Error::internal("drift_ended", "the check ended before its time").source(source);
    let (report, other) = tokio::task::spawn_blocking(work).await.map_err(ended)??;
    let bytes = serde_json::to_vec(&report).map_err(|source| {
        Error::internal("report_encoding", "a report could not be written").source(source)
    })?;
    if bytes.len() as u64 > REPORT_MAX {
        let message = format!("the report has {} bytes, at most {REPORT_MAX} are kept", bytes.len());
        return Err(Error::too_large("report_too_large", message).hint("check fewer columns"));
    }
    let (verdict, reason) = (report.run.verdict, report.run.reason.clone());
    Ok(Made { held, verdict, reason, report: Some((report, bytes)), other, past })
}

/// Blocking.
fn compare(
    gathered: Gathered,
    other: Option<consequence::Other>,
    request: &Request,
) -> Result<(Report, Option<consequence::Other>)> {
    let threads = request.threads;
    let (reference, current) = (gathered.reference.open(threads)?, gathered.current.open(threads)?);
    let labels = match gathered.labels.is_empty() {
        true => None,
        false => Some(Source::open(gathered.labels, None, threads)?),
    };
    let report = check(&reference, &current, labels.as_ref(), request)?;
    let other = match other {
        Some(other) if report.run.verdict == Verdict::Drift => {
            Some(other.check(&current, labels.as_ref(), request)?)
        }
        other => other,
    };
    Ok((report, other))
}

/// What the monitor asks for, with how many rows are usual.
fn request(monitor: &MonitorRow, past: &[Past]) -> Request {
    let past_rows = past.iter().rev().take(USUAL_ROWS).map(|past| past.rows).collect();
    Request { past_rows, ..monitor.spec.request() }
}

/// What may pass is waited for, and everything else ends the run.
async fn give_up_or_wait(cx: &Context, run: &Run, lease: &str, error: Error) -> Result<()> {
    let now = cx.clock.now();
    // As it is now: somebody may have muted it meanwhile, or taken it away.
    let Some(monitor) = monitors::by_id(&mut cx.db.read().await?, &run.monitor).await? else {
        return drop_run(cx, run, lease).await;
    };
    let may_pass = matches!(error.kind, Kind::Unavailable | Kind::Internal);
    tracing::warn!(workload = %monitor.workload, monitor = %monitor.name, ?error, "a drift run failed");
    let hint = error.hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    let reason: String = format!("{}{hint} [{}]", error.message, error.code).chars().take(1000).collect();
    let mut tx = cx.db.write().await?;
    if may_pass && run.tries < TRIES_MAX {
        let wait = FIRST_WAIT * 4_i32.pow(u32::try_from(run.tries - 1).unwrap_or(0));
        rows::postpone(&mut tx, run, lease, now + wait, &reason).await?;
        return tx.commit().await;
    }
    namespaces::lock_repository(&mut tx, &monitor.workload).await?;
    log::lock(&mut tx).await?;
    let before = rows::at(&mut tx, &run.monitor, None).await?;
    if !rows::end(&mut tx, run, lease, &Ended { reason: &reason, ..Ended::failed(now) }).await? {
        return Ok(());
    }
    // Told once, until a run does not fail.
    let is_news = before.is_none_or(|before| before.state != RunState::Failed);
    if is_news && !monitor.is_muted(now) && run.cause != Cause::Backfill {
        let change = Change::MonitorFailed {
            workload: monitor.workload.clone(),
            stage: monitor.stage.clone(),
            monitor: monitor.name.clone(),
            window: run.window,
            reason,
        };
        log::append(&mut tx, now, &monitor_itself(), vec![change]).await?;
    }
    tx.commit().await
}
