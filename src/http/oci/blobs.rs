//! Blobs: HEAD, GET with ranges, DELETE.

use super::{CONTENT_DIGEST, Reply, reply, repository};
use crate::{
    error::{Error, Kind, Result},
    http::{
        App, Caller,
        answer::{etag, matches},
        peer::Peer,
    },
    model::{digest::Digest, name::Workload, read::How},
    ops::{blobs, quarantine, reads},
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
};
use std::ops::Range;

type Params = Path<(String, String, String)>;

pub async fn head(State(app): State<App>, Path((namespace, name, digest)): Params) -> Reply {
    let digest: Digest = digest.parse()?;
    let row = blobs::stat(&app, &repository(&namespace, &name)?, &digest).await?;
    Ok(reply(
        StatusCode::OK,
        &[
            (CONTENT_DIGEST, digest.as_str()),
            (header::CONTENT_LENGTH, &row.size.to_string()),
            (header::CONTENT_TYPE, "application/octet-stream"),
            (header::ACCEPT_RANGES, "bytes"),
        ],
    ))
}

pub async fn get(
    State(app): State<App>,
    Caller(actor): Caller,
    peer: Peer,
    headers: HeaderMap,
    Path((namespace, name, digest)): Params,
) -> Reply {
    let digest: Digest = digest.parse()?;
    let repository = repository(&namespace, &name)?;
    quarantine::check_file(&app, &repository, &digest).await?;
    let response = fetch(&app, &headers, &repository, &digest).await?;
    let read = reads::Read { workload: &repository, digest: &digest, version: None, how: How::Blob };
    reads::note(&app, &actor, peer.0, &read);
    Ok(response)
}

/// The bytes, where they are, or that the client has them.
async fn fetch(app: &App, headers: &HeaderMap, repository: &Workload, digest: &Digest) -> Reply {
    let row = blobs::open(app, repository, digest).await?;
    let tag = etag(digest.as_str().as_bytes());
    if matches(headers.get(header::IF_NONE_MATCH), &tag) {
        return Ok(reply(StatusCode::NOT_MODIFIED, &[(header::ETAG, &tag)]));
    }
    let wanted = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let range = wanted.map(|text| parse_range(text, row.size)).transpose()?.flatten();
    let (status, range) = match range {
        Some(range) => (StatusCode::PARTIAL_CONTENT, range),
        None => (StatusCode::OK, 0..row.size),
    };
    let stream = match blobs::download(app, repository, &row, range.clone()).await? {
        blobs::Download::Redirect(url) => {
            return Ok(reply(
                StatusCode::TEMPORARY_REDIRECT,
                &[(header::LOCATION, &url), (CONTENT_DIGEST, digest.as_str())],
            ));
        }
        blobs::Download::Stream(stream) => stream,
    };
    let mut response = reply(
        status,
        &[
            (CONTENT_DIGEST, digest.as_str()),
            (header::CONTENT_LENGTH, &(range.end - range.start).to_string()),
            (header::CONTENT_TYPE, "application/octet-stream"),
            (header::ACCEPT_RANGES, "bytes"),
            (header::ETAG, &tag),
            (header::CACHE_CONTROL, "private, max-age=31536000, immutable"),
        ],
    );
    if status == StatusCode::PARTIAL_CONTENT {
        let content_range = format!("bytes {}-{}/{}", range.start, range.end - 1, row.size);
        if let Ok(value) = content_range.parse() {
            response.headers_mut().insert(header::CONTENT_RANGE, value);
        }
    }
    *response.body_mut() = Body::from_stream(stream);
    Ok(response)
}

/// One range of `bytes=…`. What is not understood, or several ranges, is answered with the whole (RFC 9110).
fn parse_range(text: &str, size: u64) -> Result<Option<Range<u64>>> {
    let Some((start, end)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Ok(None);
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let range = match (start.trim().is_empty(), end.trim().is_empty()) {
        (true, true) => return Ok(None),
        (true, false) => number(end).map(|last| size.saturating_sub(last)..size),
        (false, true) => number(start).map(|start| start..size),
        (false, false) => match (number(start), number(end)) {
            (Some(start), Some(end)) => Some(start..end.saturating_add(1).min(size)),
            _ => None,
        },
    };
    match range {
        Some(range) if range.start < range.end => Ok(Some(range)),
        Some(_) => Err(Error::new(
            Kind::Range,
            "range_invalid",
            format!("the blob has {size} bytes, the range is outside: {text}"),
        )),
        None => Ok(None),
    }
}

pub async fn delete(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name, digest)): Params,
) -> Reply {
    blobs::unlink(&app, &actor, &repository(&namespace, &name)?, &digest.parse()?).await?;
    Ok(reply(StatusCode::ACCEPTED, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_rfc_9110() {
        let check = |text: &str, expected: Option<Range<u64>>| {
            assert_eq!(parse_range(text, 10).unwrap(), expected, "{text}")
        };
        check("bytes=0-0", Some(0..1));
        check("bytes=2-5", Some(2..6));
        check("bytes=5-", Some(5..10));
        check("bytes=-3", Some(7..10));
        check("bytes=-30", Some(0..10));
        check("bytes=8-100", Some(8..10));
        check("bytes=0-1,3-4", None);
        check("lines=1-2", None);
        check("bytes=-", None);
        for outside in ["bytes=5-2", "bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(parse_range(outside, 10).unwrap_err().code, "range_invalid", "{outside}");
        }
    }
}
