//! The promotion line: promote, approve, reject, withdraw, ratify, roll back, status, history, pending.

use super::{
    cards::card_view,
    deployments::deployment_view,
    versions::{reference, workload},
};
use crate::{
    error::Result,
    http::{
        App, Caller,
        answer::{Answer, JsonBody, Query, page},
    },
    model::{
        evidence::Decision,
        name::{Namespace, Workload},
        stage::Stage,
    },
    ops::{
        decide,
        promote::{self, Promotion},
        rollback as ops_rollback, status as ops_status,
    },
    wire,
};
use axum::{
    Json,
    extract::{Path, State},
};

type OfWorkload = Path<(String, String)>;
type OfStage = Path<(String, String, String)>;

/// The name of a stage in a path or a query; whether the workload has it, the verb finds.
fn stage(text: &str) -> Result<Stage> {
    text.parse()
}

pub(super) fn promotion_view(promotion: Promotion) -> wire::PromotionView {
    let Promotion { row, report, from, number, overridden, recorded } = promotion;
    wire::PromotionView {
        id: row.id,
        workload: row.workload,
        version: row.version,
        digest: row.digest,
        stage: row.stage,
        state: row.state,
        from,
        number,
        overridden,
        recorded,
        position: recorded.then_some(row.position),
        requested_by: row.requested_by,
        requested_at: row.requested_at,
        expires_at: row.expires_at,
        ended_at: row.ended_at,
        ended_by: row.ended_by,
        reason: row.reason,
        report,
    }
}

fn move_view(step: ops_status::Move, report: Option<crate::gates::Report>) -> wire::MoveView {
    wire::MoveView {
        stage: step.stage,
        number: step.number,
        kind: step.kind,
        version: step.version,
        digest: step.digest,
        from: step.from,
        at: step.at,
        by: step.by,
        reason: step.reason,
        position: step.position,
        ratified_by: step.ratified_by,
        ratified_at: step.ratified_at,
        report,
    }
}

pub async fn promote(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name, to)): OfStage,
    JsonBody(body): JsonBody<wire::Promote>,
) -> Answer<wire::PromotionView> {
    let ask = promote::Ask {
        reference: reference(&namespace, &name, &body.version)?,
        stage: stage(&to)?,
        dry_run: body.dry_run,
        overriding: body.overriding,
        expect: body.expect,
    };
    Ok(Json(promotion_view(promote::promote(&app, &actor, &ask).await?)))
}

async fn decided(
    app: &App,
    actor: &crate::model::access::Actor,
    (namespace, name, to): (String, String, String),
    body: wire::Decide,
    decision: Decision,
) -> Answer<wire::DecidedView> {
    let reference = reference(&namespace, &name, &body.version)?;
    let decided = decide::decide(app, actor, &reference, &stage(&to)?, decision, &body.message).await?;
    Ok(Json(wire::DecidedView {
        workload: reference.workload,
        version: decided.version,
        digest: decided.digest,
        stage: decided.stage,
        decision,
        evidence: decided.evidence.digest,
        position: decided.position,
        created: decided.created,
        promoted: decided.promoted.into_iter().map(promotion_view).collect(),
    }))
}

pub async fn approve(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(path): OfStage,
    JsonBody(body): JsonBody<wire::Decide>,
) -> Answer<wire::DecidedView> {
    decided(&app, &actor, path, body, Decision::Approve).await
}

pub async fn reject(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(path): OfStage,
    JsonBody(body): JsonBody<wire::Decide>,
) -> Answer<wire::DecidedView> {
    decided(&app, &actor, path, body, Decision::Reject).await
}

pub async fn withdraw(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name, to)): OfStage,
    JsonBody(body): JsonBody<wire::Decide>,
) -> Answer<wire::PromotionView> {
    let reference = reference(&namespace, &name, &body.version)?;
    let row = decide::withdraw(&app, &actor, &reference, &stage(&to)?, &body.message).await?;
    Ok(Json(recorded(row)?))
}

/// An attempt as it is recorded.
fn recorded(row: ops_status::PromotionRow) -> Result<wire::PromotionView> {
    let report = ops_status::report_of(&row)?;
    let overridden = row.state == crate::model::promotion::State::Promoted
        && report.outcome != crate::gates::Outcome::Pass;
    Ok(promotion_view(Promotion { row, report, from: None, number: None, overridden, recorded: true }))
}

pub async fn promotion(
    State(app): State<App>,
    Path((namespace, name, id)): OfStage,
) -> Answer<wire::PromotionView> {
    let row = ops_status::promotion(&app, &workload(&namespace, &name)?, &id).await?;
    Ok(Json(recorded(row)?))
}

pub async fn ratify(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name, of)): OfStage,
) -> Answer<wire::Page<wire::MoveView>> {
    let steps = decide::ratify(&app, &actor, &workload(&namespace, &name)?, &stage(&of)?).await?;
    let items = steps.into_iter().map(|step| move_view(step, None)).collect();
    Ok(Json(wire::Page { items, next: None }))
}

pub async fn rollback(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name, of)): OfStage,
    JsonBody(body): JsonBody<wire::Rollback>,
) -> Answer<wire::RolledBackView> {
    let (workload, stage) = (workload(&namespace, &name)?, stage(&of)?);
    let to = body.to.as_ref();
    let done =
        ops_rollback::rollback(&app, &actor, &workload, &stage, to, &body.reason, body.dry_run).await?;
    Ok(Json(rolled_back_view(workload, stage, done, body.dry_run)))
}

pub(super) fn rolled_back_view(
    workload: Workload,
    stage: Stage,
    done: ops_rollback::RolledBack,
    dry_run: bool,
) -> wire::RolledBackView {
    wire::RolledBackView {
        workload,
        stage,
        from: done.from,
        to: done.to,
        digest: done.digest,
        number: done.number,
        position: done.position,
        marked: done.marked,
        dry_run,
    }
}

fn pending_view(waiting: ops_status::Waiting) -> wire::PendingView {
    let promotion = Promotion {
        row: waiting.row,
        report: waiting.report,
        from: waiting.from,
        number: None,
        overridden: false,
        recorded: true,
    };
    wire::PendingView { promotion: promotion_view(promotion), for_you: waiting.is_mine }
}

pub async fn status(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name)): OfWorkload,
) -> Answer<wire::StatusView> {
    let workload = workload(&namespace, &name)?;
    let status = ops_status::status(&app, &actor, &workload).await?;
    let frozen = |freeze: crate::gates::Freeze| wire::FrozenView {
        from: freeze.from,
        until: freeze.until,
        reason: freeze.reason,
    };
    let stage = |stage: ops_status::StageStatus| wire::StageView {
        stage: stage.stage,
        current: stage.current.map(|step| move_view(step, None)),
        yanked: stage.is_yanked,
        quarantined: stage.quarantined,
        freezes: stage.freezes.into_iter().map(frozen).collect(),
        deployments: stage.deployments.into_iter().map(deployment_view).collect(),
        targets: stage.targets.0,
        targets_running: stage.targets.1,
    };
    let card = status.card.map(|row| card_view(workload.clone(), Some(row), app.clock.now()));
    Ok(Json(wire::StatusView {
        card,
        workload,
        stages: status.stages.into_iter().map(stage).collect(),
        pending: status.pending.into_iter().map(pending_view).collect(),
        unratified: status.unratified.into_iter().map(|step| move_view(step, None)).collect(),
    }))
}

pub async fn history(
    State(app): State<App>,
    Path((namespace, name, of)): OfStage,
    mut query: Query,
) -> Answer<wire::Page<wire::MoveView>> {
    let (cursor, limit) = query.page()?;
    query.done()?;
    let below = match cursor.as_str() {
        "" => i64::MAX,
        text => text.parse().map_err(|_| {
            crate::error::Error::invalid("cursor_invalid", "the cursor is not that of a page before")
        })?,
    };
    let (workload, stage) = (workload(&namespace, &name)?, stage(&of)?);
    let steps = ops_status::history(&app, &workload, &stage, below, limit + 1).await?;
    let view = |step: ops_status::Step| move_view(step.step, step.report);
    Ok(Json(page(steps, limit, |step| step.step.number.to_string(), view)))
}

pub async fn pending(
    State(app): State<App>,
    Caller(actor): Caller,
    mut query: Query,
) -> Answer<wire::Page<wire::PendingView>> {
    let (cursor, limit) = query.page()?;
    let namespace: Option<Namespace> = query.parse("namespace")?;
    let mine = query.flag("mine")?.unwrap_or(false);
    query.done()?;
    let rows = ops_status::pending(&app, &actor, namespace.as_ref(), mine, &cursor, limit + 1).await?;
    Ok(Json(page(rows, limit, |waiting| waiting.row.id.clone(), pending_view)))
}
