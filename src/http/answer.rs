//! Answers: JSON with entity tags, pages with cursors, bodies with bounds.

use super::{App, error::Problem};
use crate::{
    error::{Error, Result},
    model::{
        digest::{Digest, shorten},
        json,
    },
    ops::{PAGE_DEFAULT, PAGE_MAX},
    wire,
};
use axum::{
    body::{Body, to_bytes},
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Nesting of a JSON body.
const DEPTH_MAX: usize = 100;
/// A JSON answer is at most this large (a page of long entries).
const ANSWER_MAX: usize = 64 * 1024 * 1024;

pub type Answer<T> = Result<axum::Json<T>, Problem>;

/// Adds an entity tag to a JSON answer, or answers 304 when the client has it already.
pub async fn conditional(response: Response, if_none_match: Option<HeaderValue>) -> Response {
    if response.status() != StatusCode::OK || response.headers().contains_key(header::ETAG) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, ANSWER_MAX).await else {
        return Problem(Error::internal("answer_too_large", "the answer is too large")).into_response();
    };
    let tag = etag(&bytes);
    if matches(if_none_match.as_ref(), &tag) {
        return not_modified(&tag);
    }
    insert_etag(&mut parts.headers, &tag);
    Response::from_parts(parts, Body::from(bytes))
}

pub fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", &Digest::sha256(bytes).hex()[..32])
}

/// Whether If-None-Match names the tag.
pub fn matches(if_none_match: Option<&HeaderValue>, tag: &str) -> bool {
    let given = if_none_match.and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(',').map(|one| one.trim().trim_start_matches("W/")).any(|one| one == tag || one == "*")
}

pub fn not_modified(tag: &str) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    insert_etag(response.headers_mut(), tag);
    response
}

pub fn insert_etag(headers: &mut HeaderMap, tag: &str) {
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }
}

/// A JSON body: strict (duplicate keys, unknown fields and deep nesting are refused) and bounded.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let bytes = read_body(app, request.into_body(), app.config.limits.body_bytes).await?;
        let refuse = |why: String| {
            Error::invalid("body_invalid", format!("the body is not what this route takes: {why}"))
        };
        let value = json::parse_strict(&bytes, DEPTH_MAX).map_err(|error| refuse(error.message))?;
        if !value.is_object() {
            // A struct would also be read from a list of its fields.
            return Err(refuse("it is not an object".to_owned()).into());
        }
        serde_json::from_value(value).map(Self).map_err(|error| refuse(shorten(&error.to_string())).into())
    }
}

/// A whole body, up to a bound, and within a time: it is short, whatever the route does with it takes.
pub async fn read_body(app: &App, body: Body, max: usize) -> Result<bytes::Bytes> {
    let time = std::time::Duration::from_secs(app.config.limits.request_seconds);
    let read = tokio::time::timeout(time, to_bytes(body, max))
        .await
        .map_err(|slow| Error::unavailable("body_slow", "the body took too long to come").source(slow))?;
    read.map_err(|error| {
        let message = error.to_string();
        if message.contains("length limit") {
            Error::too_large("body_too_large", format!("the body has more than {max} bytes"))
        } else {
            Error::invalid("body_incomplete", "the body ended before it was whole").source(error)
        }
    })
}

/// Query parameters. Reading one takes it; [`Query::done`] refuses what nobody asked for.
pub struct Query(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let pairs =
            pairs.map_err(|_| Error::invalid("query_invalid", "the query parameters cannot be read"))?.0;
        let mut query = BTreeMap::new();
        for (name, value) in pairs {
            if query.insert(name.clone(), value).is_some() {
                return Err(
                    Error::invalid("query_invalid", format!("given twice: {}", shorten(&name))).into()
                );
            }
        }
        Ok(Self(query))
    }
}

impl Query {
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// A parameter of a type, with that type's own error.
    pub fn parse<T: std::str::FromStr<Err = Error>>(&mut self, name: &str) -> Result<Option<T>> {
        self.take(name).map(|text| text.parse()).transpose()
    }

    pub fn flag(&mut self, name: &str) -> Result<Option<bool>> {
        match self.take(name).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(Error::invalid(
                "query_invalid",
                format!("{name} is true or false, not: {}", shorten(other)),
            )),
        }
    }

    /// The cursor and the number of entries on a page.
    pub fn page(&mut self) -> Result<(String, i64)> {
        let limit = match self.take("limit") {
            None => PAGE_DEFAULT,
            Some(text) => match text.parse() {
                Ok(limit @ 1..=PAGE_MAX) => limit,
                _ => {
                    return Err(Error::invalid(
                        "limit_invalid",
                        format!("limit is 1 to {PAGE_MAX}, not: {}", shorten(&text)),
                    ));
                }
            },
        };
        Ok((self.take("cursor").unwrap_or_default(), limit))
    }

    pub fn done(self) -> Result<()> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(Error::invalid(
                "query_unknown",
                format!("no such query parameter here: {}", shorten(name)),
            )
            .hint("see /v1/openapi.json for those there are")),
        }
    }
}

/// A page out of one entry more than fits on it: the surplus says that there is a next one.
pub fn page<T, V>(
    mut rows: Vec<T>,
    limit: i64,
    cursor: impl Fn(&T) -> String,
    view: impl Fn(T) -> V,
) -> wire::Page<V> {
    let limit = usize::try_from(limit).unwrap_or(0);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = if more { rows.last().map(cursor) } else { None };
    wire::Page { items: rows.into_iter().map(view).collect(), next }
}
