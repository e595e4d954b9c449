//! Monitors: made, looked at, muted, armed, taken away, and told to run. Whoever may release in the namespace may, as the
//! stage can move by them.

mod baseline;
mod consequence;
mod data;
mod gather;
pub mod key;
pub mod pushed;
pub mod runs;
pub mod tick;
pub mod work;

use super::{Context, check_text, policy::effective, resolve, status};
use crate::{
    check::Source,
    db::{
        Tx, drift_runs, log,
        monitors::{self as rows, MonitorRow, Mute},
        namespaces, promotions, stages, versions,
    },
    error::{Error, Result},
    gates::Block,
    model::{
        access::Actor,
        digest::Digest,
        event::Change,
        monitor::{Alert, Compared, MonitorName, OnDrift, SPEC_MAX, Spec},
        name::{PrincipalName, Workload},
        reference::Reference,
        stage::Stage,
    },
};
use chrono::{DateTime, TimeDelta, Utc};

pub use drift_runs::RunRow as Run;
pub use rows::MonitorRow as Monitor;

/// Monitors of one namespace.
const MONITORS_MAX: i64 = 1_000;
const MUTE_MAX: TimeDelta = TimeDelta::days(366);

/// Who does by itself what a monitor brings about.
fn monitor_itself() -> PrincipalName {
    PrincipalName::local("monitor")
}

/// Adds a monitor to a stage. It runs at the next time of its schedule.
///
/// Errors: the reference names no stage, a part of the spec makes no sense, a source that the namespace may not read, a name
/// that is taken.
pub async fn add(
    cx: &Context,
    actor: &Actor,
    reference: &Reference,
    name: &MonitorName,
    spec: Spec,
) -> Result<MonitorRow> {
    let workload = &reference.workload;
    let plan = spec.plan()?;
    let now = cx.clock.now();
    for source in plan.source.iter().chain(&plan.labels) {
        let paths = source.paths(plan.window(now), plan.schedule.zone());
        data::check(cx, &workload.namespace(), source, &paths)?;
    }
    // In the middle of a month other files meet than at its beginning.
    plan.check_reference(now)?;
    plan.check_reference(now + TimeDelta::days(15))?;
    if plan.reference == Compared::Baseline && !spec.options.bins.is_empty() {
        check_baseline(cx, reference, &spec).await?;
    }
    let mut tx = cx.db.write().await?;
    if namespaces::lock_repository(&mut tx, workload).await?.is_none() {
        return Err(status::unknown_workload(workload));
    }
    log::lock(&mut tx).await?;
    let stage = stage_of(cx, &mut tx, reference).await?;
    let namespace = workload.namespace();
    if rows::count(&mut tx, namespace.as_str()).await? >= MONITORS_MAX {
        return Err(Error::conflict(
            "monitors_many",
            format!("namespace {namespace} has {MONITORS_MAX} monitors already"),
        )
        .hint("take some away with: gradus drift monitor rm WORKLOAD/NAME"));
    }
    let row = MonitorRow {
        id: cx.clock.id().simple().to_string(),
        workload: workload.clone(),
        name: name.clone(),
        stage,
        handled_at: now,
        due_at: plan.due_at(now),
        armed_at: None,
        told: None,
        muted: None,
        created_at: now,
        created_by: actor.principal.clone(),
        spec,
    };
    let text = serde_json::to_string(&row.spec).map_err(|source| {
        Error::internal("monitor_encoding", "a monitor could not be written").source(source)
    })?;
    if text.len() > SPEC_MAX {
        return Err(Error::too_large(
            "monitor_too_large",
            format!("the monitor is described by {} bytes", text.len()),
        )
        .hint(format!("at most {SPEC_MAX}; name fewer columns")));
    }
    if !rows::insert(&mut tx, &row, &text).await? {
        return Err(Error::conflict(
            "monitor_exists",
            format!("{workload} has a monitor of this name: {name}"),
        )
        .hint("name it otherwise, or take the other one away: gradus drift monitor rm WORKLOAD/NAME"));
    }
    let change = Change::MonitorAdded {
        workload: row.workload.clone(),
        stage: row.stage.clone(),
        monitor: row.name.clone(),
        every: row.spec.every.clone(),
        zone: row.spec.zone.clone(),
        on_drift: row.spec.on_drift,
    };
    record(tx, now, &actor.principal, change).await?;
    Ok(row)
}

/// Refuses bins that the baseline of what is in the stage was not counted in, or of columns that it does not have.
async fn check_baseline(cx: &Context, reference: &Reference, spec: &Spec) -> Result<()> {
    let workload = &reference.workload;
    let mut tx = cx.db.read().await?;
    let stage = stage_of(cx, &mut tx, reference).await?;
    let Some(there) = stages::current(&mut tx, workload, &stage).await? else { return Ok(()) };
    drop(tx);
    let found = baseline::of(cx, workload, &there.version, &there.digest).await?;
    let Some(profile) = found.as_ref().and_then(Source::as_profile) else { return Ok(()) };
    if let Some(column) = spec.options.bins.keys().find(|column| profile.column(column).is_none()) {
        let message = format!("the drift baseline of {workload}:{} has no column {column}", there.version);
        return Err(Error::invalid("drift_column", message).hint("leave out its --bins"));
    }
    spec.request().check_bins(profile)
}

/// The stage that a reference names.
async fn stage_of(cx: &Context, tx: &mut Tx, reference: &Reference) -> Result<Stage> {
    let workload = &reference.workload;
    let stage = resolve::stage(cx, tx, workload, &reference.selector).await?.ok_or_else(|| {
        Error::invalid(
            "monitor_stage",
            format!("a monitor is of a stage, which this names none of: {reference}"),
        )
        .hint(format!("for example {workload}:production"))
    })?;
    Ok(effective(cx, tx, workload.as_str()).await?.stage(stage.as_str())?.clone())
}

async fn record(mut tx: Tx, now: DateTime<Utc>, who: &PrincipalName, change: Change) -> Result<()> {
    log::append(&mut tx, now, who, vec![change]).await?;
    tx.commit().await
}

/// Monitors of a workload after a name.
pub async fn list(cx: &Context, workload: &Workload, after: &str, limit: i64) -> Result<Vec<MonitorRow>> {
    let mut tx = cx.db.read().await?;
    if !versions::any(&mut tx, workload).await? {
        return Err(status::unknown_workload(workload));
    }
    rows::list(&mut tx, workload, after, limit).await
}

pub async fn show(cx: &Context, workload: &Workload, name: &MonitorName) -> Result<MonitorRow> {
    find(&mut cx.db.read().await?, workload, name).await
}

async fn find(tx: &mut Tx, workload: &Workload, name: &MonitorName) -> Result<MonitorRow> {
    rows::find(tx, workload, name).await?.ok_or_else(|| {
        Error::not_found("monitor_unknown", format!("no such monitor: {workload}/{name}"))
            .hint(format!("list those there are with: gradus drift monitor list {workload}"))
    })
}

/// Locks the workload and the log, and finds the monitor.
async fn lock(cx: &Context, workload: &Workload, name: &MonitorName) -> Result<(Tx, MonitorRow)> {
    let mut tx = cx.db.write().await?;
    namespaces::lock_repository(&mut tx, workload).await?;
    log::lock(&mut tx).await?;
    let row = find(&mut tx, workload, name).await?;
    Ok((tx, row))
}

/// Takes a monitor away. What waits of it is not made; what it reported stays.
pub async fn remove(cx: &Context, actor: &Actor, workload: &Workload, name: &MonitorName) -> Result<()> {
    let (mut tx, row) = lock(cx, workload, name).await?;
    let now = cx.clock.now();
    rows::remove(&mut tx, &row.id, now).await?;
    drift_runs::forget(&mut tx, &row.id).await?;
    // What it held up may pass now.
    promotions::stir(&mut tx, workload.as_str(), now).await?;
    let change = Change::MonitorRemoved { workload: row.workload, stage: row.stage, monitor: row.name };
    record(tx, now, &actor.principal, change).await
}

/// Lets a monitor say nothing, and nothing follow from it, until then; it runs on. `None`: it speaks again.
pub async fn mute(
    cx: &Context,
    actor: &Actor,
    workload: &Workload,
    name: &MonitorName,
    until: Option<DateTime<Utc>>,
    reason: &str,
) -> Result<MonitorRow> {
    check_text("reason", reason, 1000)?;
    let now = cx.clock.now();
    if until.is_some() && reason.trim().is_empty() {
        return Err(Error::invalid("reason_missing", "a reason is needed").hint("give it with: -m \"…\""));
    }
    if until.is_some_and(|until| until <= now || until - now > MUTE_MAX) {
        return Err(Error::invalid("mute_until", "a monitor is muted until a time within a year from now")
            .hint("for example --for 3d"));
    }
    let (mut tx, row) = lock(cx, workload, name).await?;
    let mute = until.map(|until| Mute { until, by: actor.principal.clone(), why: reason.to_owned() });
    rows::mute(&mut tx, &row.id, mute.as_ref()).await?;
    promotions::stir(&mut tx, row.workload.as_str(), now).await?;
    let (workload, stage, monitor) = (row.workload.clone(), row.stage.clone(), row.name.clone());
    let change = Change::MonitorMuted { workload, stage, monitor, until, reason: reason.to_owned() };
    record(tx, now, &actor.principal, change).await?;
    Ok(MonitorRow { muted: mute, ..row })
}

/// Lets a monitor move the stage back once more, though it was moved back and nobody has promoted since.
pub async fn arm(cx: &Context, actor: &Actor, workload: &Workload, name: &MonitorName) -> Result<MonitorRow> {
    let (mut tx, row) = lock(cx, workload, name).await?;
    if row.spec.on_drift != OnDrift::Rollback {
        return Err(Error::conflict("monitor_arm", format!("monitor {name} never moves the stage back"))
            .hint("only one that was added with --on-drift rollback does"));
    }
    let now = cx.clock.now();
    rows::arm(&mut tx, &row.id, now).await?;
    let (workload, stage, monitor) = (row.workload.clone(), row.stage.clone(), row.name.clone());
    record(tx, now, &actor.principal, Change::MonitorArmed { workload, stage, monitor }).await?;
    Ok(MonitorRow { armed_at: Some(now), ..row })
}

/// Monitors that stop content of a workload, as it drifts by their newest run about it.
pub(super) async fn blocks(
    tx: &mut Tx,
    workload: &Workload,
    digest: &Digest,
    now: DateTime<Utc>,
) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    for row in rows::list(tx, workload, "", MONITORS_MAX).await? {
        if row.spec.on_drift == OnDrift::Notify || row.is_muted(now) {
            continue;
        }
        let newest = drift_runs::newest_about(tx, &row.id, digest).await?;
        // Of what may move the stage back only what is a reason to.
        let lasts = |run: &Run| {
            let is_grave = row.spec.on_drift == OnDrift::Block || run.grave == Some(true);
            is_grave && matches!(run.alert, Some(Alert::Begun | Alert::Lasts))
        };
        if let Some(run) = newest.filter(lasts) {
            blocks.push(Block { monitor: row.name.to_string(), reason: run.reason.unwrap_or_default() });
        }
    }
    Ok(blocks)
}
