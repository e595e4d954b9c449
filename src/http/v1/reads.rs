//! The access log.

use crate::{
    error::{Error, Result},
    http::{
        App, Caller,
        answer::{Answer, Query, page},
    },
    model::digest::shorten,
    ops::reads::{self, Filter, Listed},
    wire,
};
use axum::{Json, extract::State};
use chrono::{DateTime, Utc};

pub async fn list(
    State(app): State<App>,
    Caller(actor): Caller,
    mut query: Query,
) -> Answer<wire::ReadsView> {
    let (cursor, limit) = query.page()?;
    let filter = Filter {
        namespace: query.parse("namespace")?,
        workload: query.parse("workload")?,
        by: query.parse("by")?,
        digest: query.parse("digest")?,
        since: query.take("since").map(|text| time(&text)).transpose()?,
        until: query.take("until").map(|text| time(&text)).transpose()?,
        after: if cursor.is_empty() { None } else { Some(place(&cursor)?) },
    };
    query.done()?;
    let Listed { rows, missing } = reads::list(&app, &actor, &filter, limit + 1).await?;
    let cursor = |row: &crate::db::reads::ReadRow| format!("{}.{}", row.at.timestamp_micros(), row.id);
    let view = |row: crate::db::reads::ReadRow| wire::ReadView {
        at: row.at,
        last_at: row.last_at,
        times: row.times,
        principal: row.principal,
        workload: row.workload,
        version: row.version,
        digest: row.digest,
        how: row.how,
        address: row.address,
    };
    let gap = |row: crate::db::reads::MissingRow| wire::ReadsMissing {
        namespace: row.namespace,
        at: row.at,
        last_at: row.last_at,
        times: row.times,
    };
    let wire::Page { items, next } = page(rows, limit, cursor, view);
    Ok(Json(wire::ReadsView { items, next, missing: missing.into_iter().map(gap).collect() }))
}

fn time(text: &str) -> Result<DateTime<Utc>> {
    let invalid = || {
        Error::invalid("time_invalid", format!("not a time: {}", shorten(text)))
            .hint("as 2026-11-25T23:00:00Z (in a URL, + is %2B)")
    };
    let at = DateTime::parse_from_rfc3339(text).map_err(|_| invalid())?.to_utc();
    // What is kept as text has four digits for the year.
    let year = chrono::Datelike::year(&at);
    if (1970..=9998).contains(&year) { Ok(at) } else { Err(invalid()) }
}

/// Where a page goes on.
fn place(cursor: &str) -> Result<(DateTime<Utc>, String)> {
    let invalid = || Error::invalid("cursor_invalid", "the cursor is `next` of the page before");
    let (micros, id) = cursor.split_once('.').ok_or_else(invalid)?;
    let at = micros.parse().ok().and_then(DateTime::from_timestamp_micros).ok_or_else(invalid)?;
    if id.len() > 64 || chrono::Datelike::year(&at) > 9998 || at < DateTime::UNIX_EPOCH {
        return Err(invalid());
    }
    Ok((at, id.to_owned()))
}
