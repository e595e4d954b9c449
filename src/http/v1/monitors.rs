//! Drift monitors and their runs.

use super::versions::workload;
use crate::{
    drift::signals::HashKey,
    error::{Error, Result},
    http::{
        App, Caller,
        answer::{Answer, JsonBody, Query, page, read_body},
        error::Problem,
    },
    model::{
        digest::hex,
        evidence::MAX_BYTES,
        monitor::MonitorName,
        name::{Namespace, Workload},
        reference::{Reference, Selector},
    },
    ops::monitors::{self, key, pushed, runs},
    wire,
};
use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use chrono::{DateTime, SecondsFormat, Utc};

type TwoSegments = Path<(String, String)>;
type ThreeSegments = Path<(String, String, String)>;

fn monitor_view(row: monitors::Monitor) -> wire::MonitorView {
    wire::MonitorView {
        workload: row.workload,
        name: row.name,
        stage: row.stage,
        spec: row.spec,
        due_at: row.due_at,
        drifting: row.told,
        muted: row.muted.map(|mute| wire::MuteView { until: mute.until, by: mute.by, reason: mute.why }),
        armed_at: row.armed_at,
        created_at: row.created_at,
        created_by: row.created_by,
    }
}

fn run_view(row: monitors::Run) -> wire::RunView {
    wire::RunView {
        window: row.window,
        cause: row.cause,
        asked_by: row.asked_by,
        state: row.state,
        queued_at: row.queued_at,
        ended_at: row.ended_at,
        version: row.version,
        digest: row.digest,
        verdict: row.verdict,
        reason: row.reason,
        alert: row.alert,
        rows: row.data_rows,
        drifted: row.drifted,
        followed: row.followed,
        evidence: row.evidence,
    }
}

fn asked_view(asked: runs::Asked) -> wire::AskedView {
    wire::AskedView { new: asked.is_new, run: run_view(asked.run) }
}

fn meant(namespace: &str, name: &str, monitor: &str) -> Result<(Workload, MonitorName)> {
    Ok((workload(namespace, name)?, monitor.parse()?))
}

fn time(text: &str) -> Result<DateTime<Utc>> {
    let parsed = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    parsed.map_err(|_| {
        Error::invalid("time_invalid", "not a time").hint("as in RFC 3339, for example 2026-11-25T23:00:00Z")
    })
}

pub async fn add(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name)): TwoSegments,
    JsonBody(new): JsonBody<wire::NewMonitor>,
) -> Result<(StatusCode, Json<wire::MonitorView>), Problem> {
    let reference =
        Reference { workload: workload(&namespace, &name)?, selector: Selector::parse(new.stage.as_str())? };
    let row = monitors::add(&app, &actor, &reference, &new.name, new.spec).await?;
    Ok((StatusCode::CREATED, Json(monitor_view(row))))
}

pub async fn list(
    State(app): State<App>,
    Path((namespace, name)): TwoSegments,
    mut query: Query,
) -> Answer<wire::Page<wire::MonitorView>> {
    let (cursor, limit) = query.page()?;
    query.done()?;
    let rows = monitors::list(&app, &workload(&namespace, &name)?, &cursor, limit + 1).await?;
    Ok(Json(page(rows, limit, |row| row.name.to_string(), monitor_view)))
}

pub async fn show(
    State(app): State<App>,
    Path((namespace, name, monitor)): ThreeSegments,
) -> Answer<wire::MonitorView> {
    let (workload, monitor) = meant(&namespace, &name, &monitor)?;
    Ok(Json(monitor_view(monitors::show(&app, &workload, &monitor).await?)))
}

pub async fn remove(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name, monitor)): ThreeSegments,
) -> Result<StatusCode, Problem> {
    let (workload, monitor) = meant(&namespace, &name, &monitor)?;
    monitors::remove(&app, &actor, &workload, &monitor).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn mute(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name, monitor)): ThreeSegments,
    JsonBody(body): JsonBody<wire::MuteMonitor>,
) -> Answer<wire::MonitorView> {
    let (workload, monitor) = meant(&namespace, &name, &monitor)?;
    let row = monitors::mute(&app, &actor, &workload, &monitor, body.until, &body.reason).await?;
    Ok(Json(monitor_view(row)))
}

pub async fn arm(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name, monitor)): ThreeSegments,
) -> Answer<wire::MonitorView> {
    let (workload, monitor) = meant(&namespace, &name, &monitor)?;
    Ok(Json(monitor_view(monitors::arm(&app, &actor, &workload, &monitor).await?)))
}

pub async fn run(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name, monitor)): ThreeSegments,
    JsonBody(body): JsonBody<wire::RunMonitor>,
) -> Answer<wire::Page<wire::AskedView>> {
    let (workload, monitor) = meant(&namespace, &name, &monitor)?;
    let asked = match body.within {
        Some(within) => runs::backfill(&app, &actor, &workload, &monitor, within).await?,
        None => vec![runs::now(&app, &actor, &workload, &monitor).await?],
    };
    Ok(Json(wire::Page { items: asked.into_iter().map(asked_view).collect(), next: None }))
}

pub async fn key(State(app): State<App>, Path(namespace): Path<String>) -> Result<Response, Problem> {
    let namespace: Namespace = namespace.parse()?;
    let key = key::show(&app, &namespace).await?;
    let view = wire::DriftKey { key: hex(&key), id: HashKey::new(&key).id().to_owned() };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(view)).into_response())
}

pub async fn push(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name, monitor)): ThreeSegments,
    mut query: Query,
    body: Body,
) -> Answer<wire::AskedView> {
    let at = query.take("at");
    query.done()?;
    let at = at.map(|at| time(&at)).transpose()?;
    let (workload, monitor) = meant(&namespace, &name, &monitor)?;
    let bytes = read_body(&app, body, MAX_BYTES).await?.to_vec();
    Ok(Json(asked_view(pushed::push(&app, &actor, &workload, &monitor, at, bytes).await?)))
}

pub async fn runs(
    State(app): State<App>,
    Path((namespace, name, monitor)): ThreeSegments,
    mut query: Query,
) -> Answer<wire::Page<wire::RunView>> {
    let (cursor, limit) = query.page()?;
    query.done()?;
    let (workload, monitor) = meant(&namespace, &name, &monitor)?;
    let before = if cursor.is_empty() { None } else { Some(time(&cursor)?) };
    let rows = runs::list(&app, &workload, &monitor, before, limit + 1).await?;
    let cursor = |row: &monitors::Run| row.window.end.to_rfc3339_opts(SecondsFormat::Micros, true);
    Ok(Json(page(rows, limit, cursor, run_view)))
}

pub async fn report(
    State(app): State<App>,
    Path((namespace, name, monitor, run)): Path<(String, String, String, String)>,
) -> Answer<wire::RunDetails> {
    let (workload, monitor) = meant(&namespace, &name, &monitor)?;
    let end = if run == "newest" { None } else { Some(time(&run)?) };
    let (run, report) = runs::show(&app, &workload, &monitor, end).await?;
    Ok(Json(wire::RunDetails { run: run_view(run), report }))
}
