//! Attempts to move a stage.

use super::{
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::Result,
    model::{
        digest::Digest,
        name::{Namespace, PrincipalName, Workload},
        promotion::State,
        stage::Stage,
        version::Version,
    },
};
use chrono::{DateTime, Utc};

#[derive(Clone, Debug)]
pub struct PromotionRow {
    pub id: String,
    pub workload: Workload,
    pub stage: Stage,
    pub version: Version,
    pub digest: Digest,
    pub state: State,
    /// How it was judged last, as JSON.
    pub report: String,
    /// The document with the report and what it was judged on, of when it began or ended.
    pub judgement: Digest,
    pub requested_at: DateTime<Utc>,
    pub requested_by: PrincipalName,
    pub expires_at: DateTime<Utc>,
    /// When a pending one is to be judged again.
    pub check_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub ended_by: Option<PrincipalName>,
    pub reason: Option<String>,
    /// Of the last event that tells of it.
    pub position: i64,
    /// How often the stage had moved when it was asked for, and the version it was to hold; for what is pending.
    pub asked_on: Option<i64>,
    pub expected: Option<Version>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    workload: String,
    stage: String,
    version: String,
    digest: String,
    state: String,
    report: String,
    judgement: String,
    requested_at: DateTime<Utc>,
    requested_by: String,
    expires_at: DateTime<Utc>,
    check_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    ended_by: Option<String>,
    reason: Option<String>,
    position: i64,
    asked_on: Option<i64>,
    expected: Option<String>,
}

fn promotion(row: Row) -> Result<PromotionRow> {
    Ok(PromotionRow {
        workload: read("promotions", &row.workload)?,
        stage: read("promotions", &row.stage)?,
        version: read("promotions", &row.version)?,
        digest: read("promotions", &row.digest)?,
        state: read("promotions", &row.state)?,
        report: row.report,
        judgement: read("promotions", &row.judgement)?,
        requested_at: row.requested_at,
        requested_by: read("promotions", &row.requested_by)?,
        expires_at: row.expires_at,
        check_at: row.check_at,
        ended_at: row.ended_at,
        ended_by: row.ended_by.map(|by| read("promotions", &by)).transpose()?,
        reason: row.reason,
        position: row.position,
        asked_on: row.asked_on,
        expected: row.expected.map(|version| read("promotions", &version)).transpose()?,
        id: row.id,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, workload, stage, version, digest, state, report, judgement, requested_at, requested_by, expires_at, ",
            "check_at, ended_at, ended_by, reason, position, asked_on, expected FROM promotions ",
            $rest
        )
    };
}

/// Writes an attempt, or what has become of it.
pub async fn save(tx: &mut Tx, row: &PromotionRow) -> Result<()> {
    let sql = "INSERT INTO promotions (id, workload, stage, version, digest, state, judgement, requested_at, requested_by,
                                       expires_at, check_at, ended_at, ended_by, reason, report, position, asked_on, expected)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
               ON CONFLICT (id) DO UPDATE SET state = $6, judgement = $7, check_at = $11, ended_at = $12, ended_by = $13,
                                              reason = $14, report = $15, position = $16, asked_on = $17,
                                              expected = $18";
    execute!(
        tx,
        sql,
        &row.id,
        row.workload.as_str(),
        row.stage.as_str(),
        row.version.to_string(),
        row.digest.as_str(),
        row.state.name(),
        row.judgement.as_str(),
        row.requested_at,
        row.requested_by.as_str(),
        row.expires_at,
        row.check_at,
        row.ended_at,
        row.ended_by.as_ref().map(PrincipalName::as_str),
        row.reason.as_deref(),
        &row.report,
        row.position,
        row.asked_on,
        row.expected.as_ref().map(ToString::to_string),
    );
    Ok(())
}

pub async fn find(tx: &mut Tx, id: &str) -> Result<Option<PromotionRow>> {
    let row: Option<Row> = optional!(tx, select!("WHERE id = $1"), id);
    row.map(promotion).transpose()
}

/// The pending attempt to bring a version into a stage.
pub async fn find_pending(
    tx: &mut Tx,
    workload: &Workload,
    stage: &Stage,
    version: &Version,
) -> Result<Option<PromotionRow>> {
    let sql = select!("WHERE workload = $1 AND stage = $2 AND version = $3 AND state = 'pending'");
    let row: Option<Row> = optional!(tx, sql, workload.as_str(), stage.as_str(), version.to_string());
    row.map(promotion).transpose()
}

/// Pending attempts of a workload, oldest first.
pub async fn pending_of(tx: &mut Tx, workload: &Workload, limit: i64) -> Result<Vec<PromotionRow>> {
    let sql = select!("WHERE workload = $1 AND state = 'pending' ORDER BY id LIMIT $2");
    let rows: Vec<Row> = all!(tx, sql, workload.as_str(), limit);
    rows.into_iter().map(promotion).collect()
}

/// Pending attempts after an id, oldest first, of a namespace or of all.
pub async fn list_pending(
    tx: &mut Tx,
    namespace: Option<&Namespace>,
    after: &str,
    limit: i64,
) -> Result<Vec<PromotionRow>> {
    let sql = select!(
        "WHERE state = 'pending' AND id > $2 AND ($1 IS NULL OR workload IN
         (SELECT name FROM repositories WHERE namespace = $1)) ORDER BY id LIMIT $3"
    );
    let rows: Vec<Row> = all!(tx, sql, namespace.map(Namespace::as_str), after, limit);
    rows.into_iter().map(promotion).collect()
}

/// Attempts of a scope (`*`, a namespace or a workload) that were judged, newest first.
pub async fn recent(tx: &mut Tx, scope: &str, limit: i64) -> Result<Vec<PromotionRow>> {
    let sql = select!(
        "WHERE ($1 = '*' OR workload = $1 OR workload IN (SELECT name FROM repositories WHERE namespace = $1))
         ORDER BY id DESC LIMIT $2"
    );
    let rows: Vec<Row> = all!(tx, sql, scope, limit);
    rows.into_iter().map(promotion).collect()
}

/// Pending attempts that are to be judged again by now, or are over.
pub async fn due(tx: &mut Tx, now: DateTime<Utc>, limit: i64) -> Result<Vec<PromotionRow>> {
    let sql = select!("WHERE state = 'pending' AND check_at <= $1 ORDER BY check_at, id LIMIT $2");
    let rows: Vec<Row> = all!(tx, sql, now, limit);
    rows.into_iter().map(promotion).collect()
}

/// Puts off a pending attempt that could not be judged, so that others have their turn.
pub async fn put_off(tx: &mut Tx, id: &str, until: DateTime<Utc>) -> Result<()> {
    execute!(tx, "UPDATE promotions SET check_at = $2 WHERE id = $1 AND state = 'pending'", id, until);
    Ok(())
}

/// Lets the pending attempts of a scope be judged again soon, because something about them has changed.
pub async fn stir(tx: &mut Tx, scope: &str, now: DateTime<Utc>) -> Result<()> {
    let sql = "UPDATE promotions SET check_at = $2 WHERE state = 'pending' AND
               ($1 = '*' OR workload = $1 OR workload IN (SELECT name FROM repositories WHERE namespace = $1))";
    execute!(tx, sql, scope, now);
    Ok(())
}
