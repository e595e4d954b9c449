//! Quotas of namespaces, and what is used.

use crate::{
    http::{
        App, Caller,
        answer::{Answer, JsonBody, Query, page},
        error::Problem,
    },
    ops::quotas::{self, Standing},
    wire,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};

fn view(standing: Standing) -> wire::QuotaView {
    let Standing { namespace, quota, used, versions, uploading } = standing;
    let (bytes, most) = quota.as_ref().map_or((None, None), |quota| (quota.bytes, quota.versions));
    wire::QuotaView {
        namespace,
        bytes,
        versions: most,
        set_at: quota.as_ref().map(|quota| quota.set_at),
        set_by: quota.map(|quota| quota.set_by),
        used: wire::UsageView {
            versions,
            blobs: used.blobs,
            bytes: used.bytes,
            own_bytes: used.own_bytes,
            shared_bytes: used.bytes - used.own_bytes,
            uploading_bytes: uploading,
        },
    }
}

pub async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    mut query: Query,
) -> Answer<wire::Page<wire::QuotaView>> {
    let (cursor, limit) = query.page()?;
    query.done()?;
    let standings = quotas::list(&app, &actor, &cursor, limit + 1).await?;
    Ok(Json(page(standings, limit, |standing| standing.namespace.to_string(), view)))
}

pub async fn show(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(namespace): Path<String>,
) -> Answer<wire::QuotaView> {
    Ok(Json(view(quotas::show(&app, &actor, &namespace.parse()?).await?)))
}

pub async fn set(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(namespace): Path<String>,
    JsonBody(asked): JsonBody<wire::SetQuota>,
) -> Answer<wire::QuotaView> {
    let standing = quotas::set(&app, &actor, &namespace.parse()?, asked.bytes, asked.versions).await?;
    Ok(Json(view(standing)))
}

pub async fn remove(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(namespace): Path<String>,
) -> Result<StatusCode, Problem> {
    quotas::remove(&app, &actor, &namespace.parse()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
