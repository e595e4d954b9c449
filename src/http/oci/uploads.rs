//! Uploads: monolithic, chunked, resumable, mounted.

use super::{CONTENT_DIGEST, Reply, location, reply, repository};
use crate::{
    blobs::ByteStream,
    error::{Error, Result},
    http::{App, Caller, answer::Query, peer::Peer},
    model::{
        access::Permission,
        digest::{Algorithm, Digest},
        name::Workload,
        read::How,
    },
    ops::{blobs, reads, uploads},
};
use axum::{
    body::{Body, HttpBody as _},
    extract::{Path, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
};
use futures_util::{StreamExt as _, TryStreamExt as _};

type Params = Path<(String, String, String)>;

/// The digest of the bytes so far, for clients that trust the server to hash (the in-process one).
const SO_FAR: HeaderName = HeaderName::from_static("gradus-digest");
/// Bytes received, where the inclusive `Range` cannot tell one byte from none.
const RECEIVED: HeaderName = HeaderName::from_static("gradus-received");
const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

fn stream(body: Body) -> ByteStream {
    let cut = |error: axum::Error| {
        Error::invalid("body_incomplete", "the body ended before it was whole")
            .source(error)
            .hint("go on from where the upload stands")
    };
    body.into_data_stream().map_err(cut).boxed()
}

fn created(app: &App, repository: &Workload, digest: &Digest) -> axum::response::Response {
    let at = location(app, &format!("/v2/{repository}/blobs/{digest}"));
    reply(StatusCode::CREATED, &[(header::LOCATION, &at), (CONTENT_DIGEST, digest.as_str())])
}

/// Where the session is and how far it got. `Range` is inclusive, so nothing received is `0-0` too.
fn progress(
    app: &App,
    status: StatusCode,
    repository: &Workload,
    id: &str,
    received: u64,
) -> axum::response::Response {
    let at = location(app, &format!("/v2/{repository}/blobs/uploads/{id}"));
    let range = format!("0-{}", received.saturating_sub(1));
    reply(
        status,
        &[
            (header::LOCATION, &at),
            (header::RANGE, &range),
            (UPLOAD_ID, id),
            (RECEIVED, &received.to_string()),
        ],
    )
}

pub async fn begin(
    State(app): State<App>,
    Caller(actor): Caller,
    peer: Peer,
    Path((namespace, name)): Path<(String, String)>,
    mut query: Query,
    body: Body,
) -> Reply {
    let repository = repository(&namespace, &name)?;
    if let Some(digest) = query.parse::<Digest>("mount")? {
        let from = query.take("from");
        let search = match from.as_deref().map(str::parse::<Workload>) {
            // As if it were not there: a stranger's repository is not told from a missing one.
            Some(Ok(from)) if !actor.may(Permission::Read, &from.namespace()) => None,
            Some(Ok(from)) => Some(blobs::Search::In(from)),
            Some(Err(_)) => None,
            None => Some(blobs::Search::Everywhere),
        };
        if let Some(search) = search
            && let Some(from) = blobs::mount(&app, &actor, &repository, &digest, search).await?
        {
            // Whoever takes a file of another repository has read it there.
            if from != repository {
                let read = reads::Read { workload: &from, digest: &digest, version: None, how: How::Blob };
                reads::note(&app, &actor, peer.0, &read);
            }
            return Ok(created(&app, &repository, &digest));
        }
    } else if let Some(digest) = query.parse::<Digest>("digest")? {
        uploads::put(&app, &repository, &digest, body.size_hint().exact(), stream(body)).await?;
        return Ok(created(&app, &repository, &digest));
    }
    let algorithm = query.parse::<Algorithm>("digest-algorithm")?.unwrap_or(Algorithm::Sha256);
    let begun = uploads::begin(&app, &repository, algorithm).await?;
    Ok(progress(&app, StatusCode::ACCEPTED, &repository, &begun.id, 0))
}

pub async fn status(State(app): State<App>, Path((namespace, name, id)): Params) -> Reply {
    let repository = repository(&namespace, &name)?;
    let status = uploads::status(&app, &repository, &id).await?;
    Ok(progress(&app, StatusCode::NO_CONTENT, &repository, &id, status.received))
}

/// The offset a request starts at, from `Content-Range: START-END`, checked against Content-Length.
fn offset(headers: &HeaderMap) -> Result<Option<u64>> {
    let Some(value) = headers.get(header::CONTENT_RANGE) else { return Ok(None) };
    let refuse = || {
        Error::new(crate::error::Kind::Range, "upload_offset", "Content-Range is not START-END of this body")
            .hint("both are inclusive and count from the upload's first byte")
    };
    let text = value.to_str().map_err(|_| refuse())?;
    let (start, end) = text.trim_start_matches("bytes ").split_once('-').ok_or_else(refuse)?;
    let end = end.split('/').next().unwrap_or(end);
    let (start, end): (u64, u64) = (start.parse().map_err(|_| refuse())?, end.parse().map_err(|_| refuse())?);
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length)
            if end.checked_sub(start).and_then(|span| span.checked_add(1)) != Some(length) && length > 0 =>
        {
            Err(refuse())
        }
        _ => Ok(Some(start)),
    }
}

/// How long the body is, where that is known. In the same process only the header says so.
fn length(headers: &HeaderMap, body: &Body) -> Option<u64> {
    let said = || headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    body.size_hint().exact().or_else(said)
}

pub async fn append(
    State(app): State<App>,
    headers: HeaderMap,
    Path((namespace, name, id)): Params,
    body: Body,
) -> Reply {
    let repository = repository(&namespace, &name)?;
    let (offset, length) = (offset(&headers)?, length(&headers, &body));
    let status = uploads::append(&app, &repository, &id, offset, length, stream(body)).await?;
    let mut response = progress(&app, StatusCode::ACCEPTED, &repository, &id, status.received);
    if let Ok(value) = status.digest.as_str().parse() {
        response.headers_mut().insert(SO_FAR, value);
    }
    Ok(response)
}

pub async fn finish(
    State(app): State<App>,
    headers: HeaderMap,
    Path((namespace, name, id)): Params,
    mut query: Query,
    body: Body,
) -> Reply {
    let repository = repository(&namespace, &name)?;
    let digest = query.parse::<Digest>("digest")?.ok_or_else(|| {
        Error::invalid("digest_invalid", "the digest of the upload is missing")
            .hint("end with PUT …?digest=sha256:…")
    })?;
    let (offset, length) = (offset(&headers)?, length(&headers, &body));
    uploads::finish(&app, &repository, &id, offset, &digest, length, stream(body)).await?;
    Ok(created(&app, &repository, &digest))
}

pub async fn cancel(State(app): State<App>, Path((namespace, name, id)): Params) -> Reply {
    uploads::cancel(&app, &repository(&namespace, &name)?, &id).await?;
    Ok(reply(StatusCode::NO_CONTENT, &[]))
}
