//! Garbage collection, scrubbing.

use crate::{
    http::{
        App, Caller,
        answer::{Answer, JsonBody},
    },
    ops::{garbage, scrub},
    wire,
};
use axum::{Json, extract::State};
use chrono::TimeDelta;

pub async fn gc(
    State(app): State<App>,
    Caller(actor): Caller,
    JsonBody(body): JsonBody<wire::CollectGarbage>,
) -> Answer<wire::GarbageView> {
    let grace = body.grace_hours.map_or(app.grace(), |hours| TimeDelta::hours(i64::from(hours)));
    let report = garbage::collect(&app, &actor, grace, body.delete).await?;
    Ok(Json(wire::GarbageView {
        deleted: report.deleted,
        links: report.links.len() as u64,
        blobs: report.blobs.len() as u64,
        uploads: report.uploads.len() as u64,
        orphans: report.orphans.len() as u64,
        bytes: report.bytes,
        stopped: report.stopped,
    }))
}

pub async fn scrub(
    State(app): State<App>,
    Caller(actor): Caller,
    JsonBody(body): JsonBody<wire::Scrub>,
) -> Answer<wire::ScrubView> {
    let report =
        if body.reindex { scrub::reindex(&app, &actor).await? } else { scrub::scrub(&app, &actor).await? };
    let rotten = report.rotten.into_iter();
    Ok(Json(wire::ScrubView {
        checked: report.checked,
        bytes: report.bytes,
        rotten: rotten
            .map(|rotten| wire::RottenView {
                store: rotten.store,
                digest: rotten.digest,
                found: rotten.found,
                versions: rotten.versions,
            })
            .collect(),
        restored: report.restored,
        reindexed: report.reindexed,
    }))
}
