//! Evidence: attach and list.

use super::{stages::promotion_view, versions::reference};
use crate::{
    error::Error,
    http::{
        App, Caller,
        answer::{Answer, Query, read_body},
    },
    model::evidence::{Evidence, MAX_BYTES},
    ops::evidence,
    wire,
};
use axum::{
    Json,
    body::Body,
    extract::{Path, State},
};

type OfVersion = Path<(String, String, String)>;

pub async fn attach(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name, tag)): OfVersion,
    mut query: Query,
    body: Body,
) -> Answer<wire::AttachedView> {
    let kind = query.parse("kind")?;
    let public_key = query.take("public_key");
    query.done()?;
    let reference = reference(&namespace, &name, &tag)?;
    let bytes = read_body(&app, body, MAX_BYTES).await?;
    if bytes.is_empty() {
        return Err(Error::invalid("evidence_empty", "the body is empty; it is the file to attach").into());
    }
    let outcome = evidence::attach(&app, &actor, &reference, kind, bytes.to_vec(), public_key).await?;
    Ok(Json(wire::AttachedView {
        workload: reference.workload,
        version: outcome.version,
        evidence: outcome.attached.into_iter().map(attached_view).collect(),
        promoted: outcome.promoted.into_iter().map(promotion_view).collect(),
    }))
}

pub fn attached_view(one: evidence::Attached) -> wire::AttachedEvidence {
    wire::AttachedEvidence { created: one.created, evidence: one.evidence }
}

pub async fn list(
    State(app): State<App>,
    Path((namespace, name, tag)): OfVersion,
) -> Answer<wire::Page<Evidence>> {
    let items = evidence::list(&app, &reference(&namespace, &name, &tag)?).await?;
    Ok(Json(wire::Page { items, next: None }))
}
