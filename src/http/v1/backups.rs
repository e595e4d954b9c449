//! Backups: begun, held, read and ended by whoever takes them.

use crate::{
    http::{App, Caller, answer::Answer, error::Problem},
    model::digest::Digest,
    ops::backup::{self, Held},
    wire,
};
use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};

fn view(held: Held) -> wire::BackupView {
    wire::BackupView { id: held.id, held_until: held.until }
}

pub async fn begin(State(app): State<App>, Caller(actor): Caller) -> Answer<wire::BackupView> {
    Ok(Json(view(backup::begin(&app, &actor).await?)))
}

pub async fn renew(State(app): State<App>, Path(id): Path<String>) -> Answer<wire::BackupView> {
    Ok(Json(view(backup::renew(&app, &id).await?)))
}

pub async fn end(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    backup::end(&app, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn facts(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    let lines = backup::facts(&app, &id).await?;
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(lines)).into_response())
}

pub async fn blob(
    State(app): State<App>,
    Path((id, store, digest)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let digest: Digest = digest.parse()?;
    let (size, bytes) = backup::blob(&app, &id, &store, &digest).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, size.to_string()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(bytes)).into_response())
}
