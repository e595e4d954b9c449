//! The event log: a page, a page that is waited for, or a stream.

use crate::{
    error::{Error, Result},
    http::{
        App, Caller,
        answer::{Query, conditional, page},
        error::Problem,
        guard,
    },
    model::access::Actor,
    ops::{
        events::{self, Filter},
        follow::Follower,
    },
    telemetry::Metrics,
    wire,
};
use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::stream;
use std::{sync::Arc, time::Duration};
use tokio::sync::OwnedSemaphorePermit;

const HEARTBEAT: Duration = Duration::from_secs(15);
/// Longest time that a page is waited for.
const WAIT_MAX: u64 = 55;
/// Where a stream begins.
const POSITION: HeaderName = HeaderName::from_static("gradus-position");

pub async fn events(
    State(app): State<App>,
    Caller(actor): Caller,
    headers: HeaderMap,
    mut query: Query,
) -> Result<Response, Problem> {
    let (cursor, limit) = query.page()?;
    let filter = Filter {
        namespace: query.parse("namespace")?,
        workload: query.parse("workload")?,
        kind: query.take("kind"),
        on: query.parse("on")?,
        ..Filter::default()
    };
    let wait = query.take("wait");
    query.done()?;
    let filter = filter.for_actor(&actor)?;
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if text(header::ACCEPT).is_some_and(|accept| accept.contains("text/event-stream")) {
        let from = match text(HeaderName::from_static("last-event-id")) {
            Some(last) => Some(position(last)?.saturating_add(1)),
            None => (!cursor.is_empty()).then(|| position(&cursor)).transpose()?,
        };
        let place = place(&app)?;
        let follower = Follower::new(&app, filter, from).await?;
        return Ok(stream_of(Watcher::new(app, actor, guard::authorization(&headers), follower, place)));
    }
    let from = if cursor.is_empty() { 0 } else { position(&cursor)? };
    let Some(wait) = wait else {
        let rows = events::list(&app, &filter, from, limit + 1).await?;
        let page = page(rows, limit, |event| (event.position + 1).to_string(), |event| event);
        let known = headers.get(header::IF_NONE_MATCH).cloned();
        return Ok(conditional(Json(page).into_response(), known).await);
    };
    let seconds = wait.parse().ok().filter(|seconds| *seconds <= WAIT_MAX).ok_or_else(|| {
        Error::invalid(
            "wait_invalid",
            format!("wait is 0 to {WAIT_MAX} seconds, not: {}", crate::model::digest::shorten(&wait)),
        )
    })?;
    let place = place(&app)?;
    let follower = Follower::new(&app, filter, Some(from)).await?;
    let mut watcher = Watcher::new(app, actor, guard::authorization(&headers), follower, place);
    let mut found = watcher.follower.next(Duration::from_secs(seconds)).await?;
    // Whose rights were taken meanwhile gets nothing more; the next request says why.
    let end = if watcher.may_go_on().await { watcher.follower.cursor } else { from };
    found.truncate(if end == from { 0 } else { usize::try_from(limit).unwrap_or(0) });
    let next = found.last().map_or(end, |last| last.event.position + 1);
    let items = found.iter().map(|entry| entry.event.clone()).collect();
    Ok(Json(wire::Page { items, next: Some(next.to_string()) }).into_response())
}

fn position(text: &str) -> Result<i64> {
    let invalid = || Error::invalid("cursor_invalid", "the cursor of the log is a position");
    text.parse().ok().filter(|position| *position >= 0).ok_or_else(invalid)
}

/// A place among those who watch: they take none of the others'.
fn place(app: &App) -> Result<OwnedSemaphorePermit> {
    app.watchers.clone().try_acquire_owned().map_err(|_| {
        Error::unavailable("watchers_many", "too many watch the log already, try again")
            .hint("limits.watchers in the configuration bounds them")
    })
}

/// One stream, or one page that is waited for, under way.
struct Watcher {
    app: App,
    actor: Arc<Actor>,
    authorization: Option<HeaderValue>,
    follower: Follower,
    /// Rights were looked at when the log was so long.
    looked_at: i64,
    _place: OwnedSemaphorePermit,
    _counted: Counted,
}

impl Watcher {
    fn new(
        app: App,
        actor: Arc<Actor>,
        authorization: Option<HeaderValue>,
        follower: Follower,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let counted = Counted::new(&app);
        // A copy, as the header itself keeps the whole buffer that the request was read into.
        let authorization = authorization.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
        // Who was let in may have lost their rights before this began to follow: so the first look is at all that is known of.
        Self { app, actor, authorization, follower, looked_at: 0, _place: place, _counted: counted }
    }

    /// What is sent next; `None` ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        let found = self.follower.next(HEARTBEAT).await.ok()?;
        if !self.may_go_on().await || (found.is_empty() && self.app.closing.is_cancelled()) {
            return None;
        }
        Some(match found.as_slice() {
            [] => Bytes::from_static(b": beat\n\n"),
            [one] => one.frame.clone(),
            more => more.iter().flat_map(|entry| entry.frame.iter().copied()).collect(),
        })
    }

    /// Whether the caller is still who they were. Asked again only when rights were taken from somebody.
    async fn may_go_on(&mut self) -> bool {
        if self.actor.expires_at.is_some_and(|expires| expires <= self.app.clock.now()) {
            return false;
        }
        let rights = self.follower.rights();
        if rights <= self.looked_at {
            return true;
        }
        self.looked_at = rights;
        // In a box, as most watchers never come here and all would keep room for it.
        match Box::pin(guard::caller(&self.app, self.authorization.clone())).await {
            Ok(actor) => actor.roles == self.actor.roles,
            Err(_) => false,
        }
    }
}

/// Counts a watcher for as long as it lives.
struct Counted(App);

impl Counted {
    fn new(app: &App) -> Self {
        let metrics: &Metrics = &app.metrics;
        metrics.watchers.inc();
        Self(app.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.metrics.watchers.dec();
    }
}

fn stream_of(watcher: Watcher) -> Response {
    let begins = watcher.follower.cursor;
    let hello = Bytes::from_static(b"retry: 2000\n\n");
    let frames = stream::unfold((watcher, Some(hello)), async |(mut watcher, hello)| {
        let frame = match hello {
            Some(hello) => hello,
            None => watcher.next().await?,
        };
        Some((Ok::<_, std::convert::Infallible>(frame), (watcher, None)))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Proxies must not collect it.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        (POSITION, HeaderValue::from(begins)),
    ];
    (headers, Body::from_stream(frames)).into_response()
}
