//! Manifests, tags and referrers.

use super::{CONTENT_DIGEST, Reply, location, reply, repository};
use crate::{
    error::{Error, Result},
    http::{
        App, Caller,
        answer::{Query, etag, matches, read_body},
        peer::Peer,
    },
    model::{
        digest::{Digest, shorten},
        manifest::{INDEX, MANIFEST_MAX},
        name::Workload,
        read::How,
    },
    ops::{
        PAGE_MAX,
        manifests::{self, Stored, Wanted},
        reads,
        tags::list_tags,
    },
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
};

type Params = Path<(String, String, String)>;
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

async fn find(app: &App, namespace: &str, name: &str, reference: &str) -> Result<Stored> {
    let wanted = Wanted::parse(reference).map_err(|_| unknown(reference))?;
    manifests::get(app, &repository(namespace, name)?, &wanted).await
}

fn unknown(reference: &str) -> Error {
    Error::not_found("manifest_unknown", format!("no such manifest: {}", shorten(reference)))
}

fn found(stored: &Stored) -> axum::response::Response {
    reply(
        StatusCode::OK,
        &[
            (CONTENT_DIGEST, stored.digest.as_str()),
            (header::CONTENT_TYPE, &stored.media_type),
            (header::CONTENT_LENGTH, &stored.bytes.len().to_string()),
            (header::ETAG, &etag(stored.digest.as_str().as_bytes())),
        ],
    )
}

pub async fn head(State(app): State<App>, Path((namespace, name, reference)): Params) -> Reply {
    Ok(found(&find(&app, &namespace, &name, &reference).await?))
}

pub async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    peer: Peer,
    headers: HeaderMap,
    Path((namespace, name, reference)): Params,
) -> Reply {
    let stored = find(&app, &namespace, &name, &reference).await?;
    let workload = &repository(&namespace, &name)?;
    let read = reads::Read { workload, digest: &stored.digest, version: None, how: How::Manifest };
    reads::note(&app, &actor, peer.0, &read);
    let tag = etag(stored.digest.as_str().as_bytes());
    if matches(headers.get(header::IF_NONE_MATCH), &tag) {
        return Ok(reply(StatusCode::NOT_MODIFIED, &[(header::ETAG, &tag)]));
    }
    let mut response = found(&stored);
    *response.body_mut() = Body::from(stored.bytes);
    Ok(response)
}

pub async fn put(
    State(app): State<App>,
    Caller(actor): Caller,
    headers: HeaderMap,
    Path((namespace, name, reference)): Params,
    body: Body,
) -> Reply {
    let repository = repository(&namespace, &name)?;
    let wanted = Wanted::parse(&reference)?;
    let bytes = read_body(&app, body, MANIFEST_MAX).await.map_err(|error| match error.code {
        "body_too_large" => {
            Error::too_large("manifest_too_large", format!("a manifest has at most {MANIFEST_MAX} bytes"))
        }
        _ => error,
    })?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let put = manifests::put(&app, &actor, &repository, &wanted, &bytes, content_type).await?;
    let at = location(&app, &format!("/v2/{repository}/manifests/{}", put.digest));
    let mut response =
        reply(StatusCode::CREATED, &[(header::LOCATION, &at), (CONTENT_DIGEST, put.digest.as_str())]);
    if let Some(value) = put.subject.and_then(|subject| subject.as_str().parse().ok()) {
        response.headers_mut().insert(SUBJECT, value);
    }
    Ok(response)
}

pub async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name, reference)): Params,
) -> Reply {
    let wanted = Wanted::parse(&reference)?;
    manifests::delete(&app, &actor, &repository(&namespace, &name)?, &wanted).await?;
    Ok(reply(StatusCode::ACCEPTED, &[]))
}

fn json(value: &serde_json::Value, content_type: &str) -> axum::response::Response {
    let mut response = reply(StatusCode::OK, &[(header::CONTENT_TYPE, content_type)]);
    *response.body_mut() = Body::from(value.to_string());
    response
}

/// How many entries a client asked for, within our cap. Zero is a valid question.
fn count(query: &mut Query) -> Result<i64> {
    let refuse = || Error::invalid("limit_invalid", "n is a number of entries");
    let asked = query.take("n").map(|text| text.parse::<u32>()).transpose().map_err(|_| refuse())?;
    Ok(asked.map_or(PAGE_MAX, i64::from).min(PAGE_MAX))
}

fn link(app: &App, path: &str) -> String {
    format!("<{}>; rel=\"next\"", location(app, path))
}

pub async fn tags(
    State(app): State<App>,
    Path((namespace, name)): Path<(String, String)>,
    mut query: Query,
) -> Reply {
    let repository = repository(&namespace, &name)?;
    let (limit, last) = (count(&mut query)?, query.take("last").unwrap_or_default());
    let mut tags = list_tags(&app, &repository, &last, limit + 1).await?;
    let more = tags.len() as i64 > limit;
    tags.truncate(usize::try_from(limit).unwrap_or(0));
    let mut response = json(&serde_json::json!({ "name": repository, "tags": tags }), "application/json");
    if let (true, Some(last)) = (more, tags.last())
        && let Ok(value) = link(&app, &format!("/v2/{repository}/tags/list?n={limit}&last={last}")).parse()
    {
        response.headers_mut().insert(header::LINK, value);
    }
    Ok(response)
}

pub async fn referrers(
    State(app): State<App>,
    Path((namespace, name, digest)): Params,
    mut query: Query,
) -> Reply {
    let repository = repository(&namespace, &name)?;
    let subject: Digest = digest.parse()?;
    let (limit, last) = (count(&mut query)?, query.take("last").unwrap_or_default());
    let artifact_type = query.take("artifactType");
    let mut entries =
        manifests::referrers(&app, &repository, &subject, artifact_type.as_deref(), &last, limit + 1).await?;
    let more = entries.len() as i64 > limit;
    entries.truncate(usize::try_from(limit).unwrap_or(0));
    let index = serde_json::json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
    let mut response = json(&index, INDEX);
    if artifact_type.is_some() {
        response.headers_mut().insert(FILTERS_APPLIED, axum::http::HeaderValue::from_static("artifactType"));
    }
    if let (true, Some(last)) = (more, entries.last()) {
        let path = next_referrers(&repository, &subject, limit, &last.digest, artifact_type.as_deref());
        if let Ok(value) = link(&app, &path).parse() {
            response.headers_mut().insert(header::LINK, value);
        }
    }
    Ok(response)
}

fn next_referrers(
    repository: &Workload,
    subject: &Digest,
    limit: i64,
    last: &Digest,
    artifact_type: Option<&str>,
) -> String {
    let mut path = format!("/v2/{repository}/referrers/{subject}?n={limit}&last={last}");
    if let Some(artifact_type) = artifact_type {
        path.push_str("&artifactType=");
        path.extend(artifact_type.bytes().map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        }));
    }
    path
}
