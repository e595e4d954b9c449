//! Policies, gates and freezes.

use crate::{
    error::Result,
    gates::GATES,
    http::{
        App, Caller,
        answer::{Answer, JsonBody, Query, read_body},
        error::Problem,
    },
    model::{digest::Digest, scope::Scope, stage::Stage},
    ops::{freeze as ops_freeze, policy},
    wire,
};
use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;

/// Most bytes of a policy in a body; the policy itself says how many it takes.
const BODY_MAX: usize = 1 << 20;
const TESTED_MAX: i64 = 200;

/// `*`, a namespace or a workload, from one or two path segments.
#[derive(Deserialize)]
pub struct ScopePath {
    namespace: String,
    name: Option<String>,
}

impl ScopePath {
    fn scope(&self) -> Result<Scope> {
        match &self.name {
            Some(name) => format!("{}/{name}", self.namespace).parse(),
            None => self.namespace.parse(),
        }
    }
}

pub async fn show(State(app): State<App>, Path(path): Path<ScopePath>) -> Answer<wire::PolicyView> {
    let scope = path.scope()?;
    let policy::Shown { effective, applied, text } = policy::show(&app, &scope).await?;
    let level = |(scope, digest): &(String, Digest)| wire::PolicyLevel {
        scope: scope.clone(),
        digest: digest.clone(),
    };
    let applied_view = |row: policy::PolicyRow| wire::AppliedView {
        number: row.number,
        digest: row.digest,
        at: row.applied_at,
        by: row.applied_by,
    };
    Ok(Json(wire::PolicyView {
        scope: scope.to_string(),
        stages: effective.stages.clone(),
        ranges_from: effective.ranges_from.clone(),
        pending_days: effective.pending_days,
        rollback: effective.rollback.clone(),
        quarantine: effective.quarantine,
        freezes: effective.freezes.clone(),
        rules: effective.all_rules(),
        levels: effective.levels.iter().map(level).collect(),
        applied: applied.into_iter().map(applied_view).collect(),
        text,
    }))
}

pub async fn apply(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(path): Path<ScopePath>,
    body: Body,
) -> Answer<wire::PolicyApplied> {
    let text = read_body(&app, body, BODY_MAX).await?;
    let scope = path.scope()?;
    let number = policy::apply(&app, &actor, &scope, &text).await?;
    Ok(Json(wire::PolicyApplied {
        scope: scope.to_string(),
        digest: Digest::sha256(&text),
        changed: number.is_some(),
    }))
}

pub async fn remove(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(path): Path<ScopePath>,
) -> Result<StatusCode, Problem> {
    policy::remove(&app, &actor, &path.scope()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn test(
    State(app): State<App>,
    Path(path): Path<ScopePath>,
    body: Body,
) -> Answer<wire::Page<wire::PolicyTested>> {
    let text = read_body(&app, body, BODY_MAX).await?;
    let tested = policy::test(&app, &path.scope()?, &text, TESTED_MAX).await?;
    let view = |tested: policy::Tested| {
        let now = tested.now.ok();
        let row = tested.promotion;
        wire::PolicyTested {
            changed: now.as_ref().is_none_or(|now| now.outcome != tested.then.outcome),
            id: row.id,
            workload: row.workload,
            version: row.version,
            stage: row.stage,
            state: row.state,
            requested_at: row.requested_at,
            then: tested.then,
            now,
        }
    };
    Ok(Json(wire::Page { items: tested.into_iter().map(view).collect(), next: None }))
}

pub async fn gates() -> Answer<wire::Page<wire::GateView>> {
    let view = |gate: &&crate::gates::Definition| {
        // Whole in itself: what a parameter refers to comes with it.
        let mut generator = schemars::generate::SchemaSettings::draft2020_12()
            .with(|settings| settings.inline_subschemas = true)
            .into_generator();
        wire::GateView {
            name: gate.name.to_owned(),
            summary: gate.summary.to_owned(),
            asks_for: gate.asks_for,
            parameters: (gate.schema)(&mut generator).to_value(),
        }
    };
    Ok(Json(wire::Page { items: GATES.iter().map(view).collect(), next: None }))
}

fn freeze_view(row: ops_freeze::FreezeRow) -> wire::FreezeView {
    wire::FreezeView {
        id: row.id,
        scope: row.scope,
        stage: row.stage,
        at: row.made_at,
        by: row.made_by,
        until: row.until,
        reason: row.reason,
    }
}

pub async fn freeze(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(path): Path<ScopePath>,
    JsonBody(body): JsonBody<wire::NewFreeze>,
) -> Answer<wire::FreezeView> {
    let scope = path.scope()?;
    let row = ops_freeze::freeze(&app, &actor, &scope, body.stage, body.until, &body.reason).await?;
    Ok(Json(freeze_view(row)))
}

pub async fn unfreeze(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(path): Path<ScopePath>,
    mut query: Query,
) -> Answer<wire::Page<wire::FreezeView>> {
    let stage: Option<Stage> = query.parse("stage")?;
    query.done()?;
    let rows = ops_freeze::unfreeze(&app, &actor, &path.scope()?, stage.as_ref()).await?;
    Ok(Json(wire::Page { items: rows.into_iter().map(freeze_view).collect(), next: None }))
}
