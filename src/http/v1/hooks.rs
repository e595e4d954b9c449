//! Hooks and their deliveries.

use crate::{
    error::{Error, Result},
    hooks::{cloud_event, webhook::Secret},
    http::{
        App, Caller,
        answer::{Answer, JsonBody, Query, page},
        error::Problem,
    },
    model::hook::{HookState, TEST_LANE, Template},
    ops::hooks,
    wire,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};

fn hook_view(row: hooks::Hook) -> wire::HookView {
    wire::HookView {
        id: row.id,
        scope: row.scope.to_string(),
        on: row.filter.to_string(),
        to: row.shown,
        state: row.state,
        reason: row.reason,
        failing_since: row.failing_since,
        created_at: row.created_at,
        created_by: row.created_by,
    }
}

fn delivery_view(app: &App, row: hooks::DeliveryRow) -> wire::DeliveryView {
    let is_workload = !row.lane.is_empty() && row.lane != TEST_LANE;
    wire::DeliveryView {
        hook: row.hook,
        position: row.position,
        id: cloud_event::id(&hooks::registry(app), row.epoch, row.position),
        kind: row.kind,
        workload: is_workload.then_some(row.lane),
        state: row.state,
        attempts: row.attempts,
        queued_at: row.queued_at,
        ended_at: row.ended_at,
    }
}

pub async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    mut query: Query,
) -> Answer<wire::Page<wire::HookView>> {
    let (cursor, limit) = query.page()?;
    let scope = query.parse("scope")?;
    query.done()?;
    let rows = hooks::list(&app, &actor, scope.as_ref(), &cursor, limit + 1).await?;
    Ok(Json(page(rows, limit, |row| row.id.clone(), hook_view)))
}

pub async fn add(
    State(app): State<App>,
    Caller(actor): Caller,
    JsonBody(new): JsonBody<wire::NewHook>,
) -> Result<(StatusCode, Json<wire::HookAdded>), Problem> {
    let new = hooks::NewHook {
        scope: new.scope.parse()?,
        url: new.url,
        on: new.on.parse()?,
        template: new.template.unwrap_or(Template::Cloudevents),
        secret: new.secret.as_deref().map(Secret::parse).transpose()?,
        is_asymmetric: new.asymmetric,
        token: new.token,
        git_ref: new.git_ref,
        subject: new.subject,
    };
    let (row, verify_by) = hooks::add(&app, &actor, new).await?;
    Ok((StatusCode::CREATED, Json(wire::HookAdded { hook: hook_view(row), verify_by })))
}

pub async fn show(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(hook): Path<String>,
) -> Answer<wire::HookDetails> {
    let shown = hooks::show(&app, &actor, &hook).await?;
    Ok(Json(wire::HookDetails {
        hook: hook_view(shown.row),
        template: shown.template,
        public_keys: shown.public_keys,
        rotating_until: shown.rotating_until,
        pending: shown.pending,
        dead: shown.dead,
    }))
}

pub async fn remove(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(hook): Path<String>,
) -> Result<StatusCode, Problem> {
    hooks::remove(&app, &actor, &hook).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn pause(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(hook): Path<String>,
    JsonBody(body): JsonBody<wire::PauseHook>,
) -> Answer<wire::HookView> {
    Ok(Json(hook_view(hooks::pause(&app, &actor, &hook, body.reason.as_deref()).await?)))
}

pub async fn resume(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(hook): Path<String>,
) -> Answer<wire::HookView> {
    Ok(Json(hook_view(hooks::resume(&app, &actor, &hook).await?)))
}

pub async fn test(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(hook): Path<String>,
) -> Answer<wire::HookTested> {
    Ok(Json(wire::HookTested { position: hooks::test(&app, &actor, &hook).await? }))
}

pub async fn rotate(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(hook): Path<String>,
    JsonBody(body): JsonBody<wire::RotateHook>,
) -> Answer<wire::HookRotated> {
    let secret = body.secret.as_deref().map(Secret::parse).transpose()?;
    let hours = body.keep_hours.unwrap_or(24);
    let (verify_by, until) = hooks::rotate(&app, &actor, &hook, secret, hours).await?;
    Ok(Json(wire::HookRotated { verify_by, until }))
}

pub async fn deliveries(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(hook): Path<String>,
    mut query: Query,
) -> Answer<wire::Page<wire::DeliveryView>> {
    let (cursor, limit) = query.page()?;
    let state = query.parse("state")?;
    query.done()?;
    let before = match cursor.as_str() {
        "" => i64::MAX,
        text => text
            .parse()
            .map_err(|_| Error::invalid("cursor_invalid", "the cursor of deliveries is a position"))?,
    };
    let rows = hooks::deliveries(&app, &actor, &hook, state, before, limit + 1).await?;
    Ok(Json(page(rows, limit, |row| row.position.to_string(), |row| delivery_view(&app, row))))
}

/// A position in a path.
fn position(text: &str) -> Result<i64> {
    let parsed = text.parse().ok().filter(|position| *position >= 0);
    parsed
        .ok_or_else(|| Error::invalid("position_invalid", "a delivery is named by the position of its event"))
}

pub async fn delivery(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((hook, at)): Path<(String, String)>,
) -> Answer<wire::DeliveryDetails> {
    let (row, attempts) = hooks::delivery(&app, &actor, &hook, position(&at)?).await?;
    let attempt = |row: hooks::AttemptRow| wire::AttemptView {
        number: row.number,
        at: row.started_at,
        millis: row.millis,
        request_digest: row.request_digest,
        request_bytes: row.request_bytes,
        status: row.status,
        error: row.error,
        answer_digest: row.answer_digest,
        answer_bytes: row.answer_bytes,
        answer: row.answer,
    };
    let tries = attempts.into_iter().map(attempt).collect();
    Ok(Json(wire::DeliveryDetails { delivery: delivery_view(&app, row), tries }))
}

pub async fn replay(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((hook, at)): Path<(String, String)>,
) -> Answer<wire::Replayed> {
    let (row, state) = hooks::replay(&app, &actor, &hook, position(&at)?).await?;
    // Tests are sent whatever the hook's state.
    let waits = (state != HookState::Active && row.lane != TEST_LANE)
        .then(|| format!("the hook is {state}; it is sent after: gradus hook resume {hook}"));
    Ok(Json(wire::Replayed { delivery: delivery_view(&app, row), waits }))
}
