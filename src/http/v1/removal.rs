//! Holds, purges, retention, and names that are given up.

use super::versions::{reference, workload};
use crate::{
    http::{
        App, Caller,
        answer::{Answer, JsonBody, Query, page},
        error::Problem,
    },
    model::{
        name::{Namespace, Workload},
        removal::HoldScope,
    },
    ops::{along, delete, erase, hold, namespaces, purge, retention},
    wire,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};

type TwoSegments = Path<(String, String)>;
type ThreeSegments = Path<(String, String, String)>;

fn hold_view(row: hold::Hold) -> wire::HoldView {
    wire::HoldView { scope: row.place(), id: row.id, reason: row.reason, at: row.set_at, by: row.set_by }
}

pub async fn set_hold(
    State(app): State<App>,
    Caller(actor): Caller,
    JsonBody(new): JsonBody<wire::NewHold>,
) -> Result<(StatusCode, Json<wire::HoldView>), Problem> {
    let scope: HoldScope = new.scope.parse()?;
    let row = hold::set(&app, &actor, &scope, &new.reason).await?;
    Ok((StatusCode::CREATED, Json(hold_view(row))))
}

pub async fn clear_hold(
    State(app): State<App>,
    Caller(actor): Caller,
    JsonBody(body): JsonBody<wire::ClearHold>,
) -> Answer<wire::HoldView> {
    let scope: HoldScope = body.scope.parse()?;
    let row = hold::clear(&app, &actor, &scope, body.id.as_deref(), &body.reason).await?;
    Ok(Json(hold_view(row)))
}

pub async fn list_holds(
    State(app): State<App>,
    Caller(actor): Caller,
    mut query: Query,
) -> Answer<wire::Page<wire::HoldView>> {
    let (cursor, limit) = query.page()?;
    let scope: Option<HoldScope> = query.parse("scope")?;
    query.done()?;
    let rows = hold::list(&app, &actor, scope.as_ref(), &cursor, limit + 1).await?;
    Ok(Json(page(rows, limit, |row| row.id.clone(), hold_view)))
}

fn kept_view(kept: erase::Kept) -> wire::KeptBlob {
    let erase::Kept { digest, size, used_by, others } = kept;
    wire::KeptBlob { digest, size, used_by, others }
}

fn along_view(along: along::TakenAlong) -> wire::TakenAlong {
    wire::TakenAlong { digest: along.digest, tags: along.tags }
}

fn purge_view(row: purge::Purge, along: purge::WouldGo, done: Option<erase::Done>) -> wire::PurgeView {
    wire::PurgeView {
        id: row.id,
        workload: row.workload,
        version: row.version,
        digest: row.digest,
        state: row.state,
        reason: row.reason,
        requested_at: row.requested_at,
        requested_by: row.requested_by,
        expires_at: row.expires_at,
        ended_at: row.ended_at,
        ended_by: row.ended_by,
        ended_because: row.ended_because,
        along: along.first.into_iter().map(along_view).collect(),
        along_total: along.total,
        done: done.map(|done| wire::PurgeDone {
            versions: done.versions,
            manifests: done.manifests.into_iter().map(along_view).collect(),
            bytes: done.bytes,
            kept: done.kept.into_iter().map(kept_view).collect(),
            notes: done.notes,
        }),
    }
}

pub async fn purge(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name, tag)): ThreeSegments,
    JsonBody(body): JsonBody<wire::Removal>,
) -> Answer<wire::PurgeView> {
    let reference = reference(&namespace, &name, &tag)?;
    let purge::Outcome { row, along, done } = purge::purge(&app, &actor, &reference, &body.reason).await?;
    Ok(Json(purge_view(row, along, done)))
}

pub async fn withdraw_purge(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name, tag)): ThreeSegments,
    JsonBody(body): JsonBody<wire::Removal>,
) -> Answer<wire::PurgeView> {
    let reference = reference(&namespace, &name, &tag)?;
    let row = purge::withdraw(&app, &actor, &reference, &body.reason).await?;
    Ok(Json(purge_view(row, purge::WouldGo::default(), None)))
}

pub async fn list_purges(
    State(app): State<App>,
    Caller(actor): Caller,
    mut query: Query,
) -> Answer<wire::Page<wire::PurgeView>> {
    let (cursor, limit) = query.page()?;
    let namespace: Option<Namespace> = query.parse("namespace")?;
    query.done()?;
    let rows = purge::list(&app, &actor, namespace.as_ref(), &cursor, limit + 1).await?;
    if let Some(namespace) = namespace.filter(|_| rows.is_empty()) {
        namespaces::show(&app, &namespace).await?;
    }
    Ok(Json(page(rows, limit, |(row, _)| row.id.clone(), |(row, along)| purge_view(row, along, None))))
}

fn rule_view(row: retention::Rule) -> wire::RetentionView {
    wire::RetentionView {
        namespace: row.namespace,
        older_than_days: row.older_than_days,
        keep_newest: row.keep_newest,
        set_at: row.set_at,
        set_by: row.set_by,
    }
}

pub async fn show_retention(
    State(app): State<App>,
    Path(namespace): Path<String>,
) -> Answer<wire::RetentionView> {
    Ok(Json(rule_view(retention::show(&app, &namespace.parse()?).await?)))
}

pub async fn set_retention(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(namespace): Path<String>,
    JsonBody(body): JsonBody<wire::SetRetention>,
) -> Answer<wire::RetentionView> {
    let namespace: Namespace = namespace.parse()?;
    let row = retention::set(&app, &actor, &namespace, body.older_than_days, body.keep_newest).await?;
    Ok(Json(rule_view(row)))
}

pub async fn remove_retention(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(namespace): Path<String>,
) -> Result<StatusCode, Problem> {
    retention::remove(&app, &actor, &namespace.parse()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn run_retention(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(namespace): Path<String>,
    JsonBody(body): JsonBody<wire::RunRetention>,
) -> Answer<wire::RetentionRun> {
    let report = retention::run(&app, &actor, &namespace.parse()?, body.delete).await?;
    let going = |going: retention::Going| wire::GoingView {
        workload: going.workload,
        versions: going.versions,
        digest: going.digest,
        created_at: going.created_at,
    };
    let failed = |failed: retention::Failed| wire::RetentionFailed {
        scope: failed.scope,
        versions: failed.versions,
        code: failed.error.code.to_owned(),
        message: failed.error.message,
    };
    Ok(Json(wire::RetentionRun {
        rule: rule_view(report.rule),
        deleted: report.deleted,
        going: report.going.into_iter().map(going).collect(),
        versions: report.count,
        kept: report.kept,
        bytes: report.bytes,
        files: report.files.into_values().map(kept_view).collect(),
        notes: report.notes,
        failed: report.failed.into_iter().map(failed).collect(),
    }))
}

pub async fn delete_workload(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name)): TwoSegments,
    JsonBody(body): JsonBody<wire::Removal>,
) -> Answer<wire::DeletedView> {
    let workload: Workload = workload(&namespace, &name)?;
    let outcome = delete::workload(&app, &actor, &workload, &body.reason).await?;
    Ok(Json(wire::DeletedView {
        workload,
        deleted: outcome.deleted,
        requested_by: outcome.requested_by,
        expires_at: outcome.expires_at,
        versions: outcome.versions,
        bytes: outcome.bytes,
        kept: outcome.kept.into_iter().map(kept_view).collect(),
        notes: outcome.notes,
    }))
}

fn deletion_view(row: delete::Deletion) -> wire::DeletionView {
    let delete::Deletion { workload, reason, requested_at, requested_by, expires_at, .. } = row;
    wire::DeletionView { workload, reason, requested_at, requested_by, expires_at }
}

pub async fn withdraw_deletion(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name)): TwoSegments,
    JsonBody(body): JsonBody<wire::Removal>,
) -> Answer<wire::DeletionView> {
    let workload: Workload = workload(&namespace, &name)?;
    Ok(Json(deletion_view(delete::withdraw(&app, &actor, &workload, &body.reason).await?)))
}

pub async fn list_deletions(
    State(app): State<App>,
    Caller(actor): Caller,
    mut query: Query,
) -> Answer<wire::Page<wire::DeletionView>> {
    let (cursor, limit) = query.page()?;
    let namespace: Option<Namespace> = query.parse("namespace")?;
    query.done()?;
    let rows = delete::list(&app, &actor, namespace.as_ref(), &cursor, limit + 1).await?;
    if let Some(namespace) = namespace.filter(|_| rows.is_empty()) {
        namespaces::show(&app, &namespace).await?;
    }
    Ok(Json(page(rows, limit, |row| row.workload.to_string(), deletion_view)))
}

pub async fn delete_namespace(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(namespace): Path<String>,
    JsonBody(body): JsonBody<wire::Removal>,
) -> Result<StatusCode, Problem> {
    delete::namespace(&app, &actor, &namespace.parse()?, &body.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}
