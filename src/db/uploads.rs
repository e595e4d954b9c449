//! Uploads under way: everything another replica needs to go on where one stopped.

use super::{
    from_sql, read, to_sql,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::Result,
    model::{
        digest::Algorithm,
        name::{Namespace, Workload},
    },
};
use chrono::{DateTime, Utc};

#[derive(Clone, Debug)]
pub struct UploadRow {
    pub id: String,
    pub repository: Workload,
    pub store: String,
    pub algorithm: Algorithm,
    pub received: u64,
    pub hash_state: Vec<u8>,
    pub multipart: Option<String>,
    pub tail: u64,
    pub updated_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    repository: String,
    store: String,
    algorithm: String,
    received: i64,
    hash_state: Vec<u8>,
    multipart: Option<String>,
    tail: i64,
    updated_at: DateTime<Utc>,
}

fn upload(row: Row) -> Result<UploadRow> {
    Ok(UploadRow {
        id: row.id,
        repository: read("uploads", &row.repository)?,
        store: row.store,
        algorithm: read("uploads", &row.algorithm)?,
        received: from_sql(row.received),
        hash_state: row.hash_state,
        multipart: row.multipart,
        tail: from_sql(row.tail),
        updated_at: row.updated_at,
    })
}

pub async fn insert(tx: &mut Tx, row: &UploadRow) -> Result<()> {
    let sql = "INSERT INTO uploads (id, repository, store, algorithm, received, hash_state, tail, created_at, updated_at)
               VALUES ($1, $2, $3, $4, 0, $5, 0, $6, $6)";
    let repository = row.repository.as_str();
    execute!(tx, sql, &row.id, repository, &row.store, row.algorithm.name(), &row.hash_state, row.updated_at);
    Ok(())
}

pub async fn find(tx: &mut Tx, repository: &Workload, id: &str) -> Result<Option<UploadRow>> {
    let sql = "SELECT id, repository, store, algorithm, received, hash_state, multipart, tail, updated_at FROM uploads
               WHERE repository = $1 AND id = $2";
    let row: Option<Row> = optional!(tx, sql, repository.as_str(), id);
    row.map(upload).transpose()
}

/// Takes the upload for one writer until `until`. Answers false if somebody else is writing.
pub async fn lease(
    tx: &mut Tx,
    id: &str,
    holder: &str,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<bool> {
    let sql = "UPDATE uploads SET lease = $2, lease_until = $4, updated_at = $3
               WHERE id = $1 AND (lease IS NULL OR lease = $2 OR lease_until < $3)";
    Ok(execute!(tx, sql, id, holder, now, until) == 1)
}

pub async fn release(tx: &mut Tx, id: &str, holder: &str) -> Result<()> {
    execute!(
        tx,
        "UPDATE uploads SET lease = NULL, lease_until = NULL WHERE id = $1 AND lease = $2",
        id,
        holder
    );
    Ok(())
}

/// Ends all leases, when no writer can be left.
pub async fn release_all(tx: &mut Tx) -> Result<()> {
    execute!(tx, "UPDATE uploads SET lease = NULL, lease_until = NULL WHERE lease IS NOT NULL");
    Ok(())
}

/// Records the multipart upload as soon as there is one, so that it can be aborted whatever happens next.
pub async fn set_multipart(tx: &mut Tx, id: &str, holder: &str, multipart: &str) -> Result<bool> {
    let sql = "UPDATE uploads SET multipart = $3 WHERE id = $1 AND lease = $2";
    Ok(execute!(tx, sql, id, holder, multipart) == 1)
}

/// What is durable now. Nothing is written unless `holder` still has the lease.
pub struct Progress<'a> {
    pub received: u64,
    pub hash_state: &'a [u8],
    pub multipart: Option<&'a str>,
    pub tail: u64,
    /// Parts since the last progress, with their numbers.
    pub parts: &'a [(usize, String)],
}

pub async fn advance(
    tx: &mut Tx,
    id: &str,
    holder: &str,
    progress: &Progress<'_>,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<bool> {
    let sql = "UPDATE uploads SET received = $3, hash_state = $4, multipart = $5, tail = $6, updated_at = $7, lease_until = $8
               WHERE id = $1 AND lease = $2";
    let (received, tail) = (to_sql(progress.received)?, to_sql(progress.tail)?);
    let changed =
        execute!(tx, sql, id, holder, received, progress.hash_state, progress.multipart, tail, now, until);
    if changed == 0 {
        return Ok(false);
    }
    for (number, part) in progress.parts {
        let sql = "INSERT INTO upload_parts (upload, number, part) VALUES ($1, $2, $3)";
        execute!(tx, sql, id, to_sql(*number as u64)?, part);
    }
    Ok(true)
}

/// The parts of a multipart upload, in order.
pub async fn parts(tx: &mut Tx, id: &str) -> Result<Vec<String>> {
    let sql = "SELECT part FROM upload_parts WHERE upload = $1 ORDER BY number LIMIT 10000";
    let rows: Vec<(String,)> = all!(tx, sql, id);
    Ok(rows.into_iter().map(|(part,)| part).collect())
}

/// Keeps the lease of a writer who is still at work. Answers false if somebody else has taken over.
pub async fn renew(tx: &mut Tx, id: &str, holder: &str, until: DateTime<Utc>) -> Result<bool> {
    let sql = "UPDATE uploads SET lease_until = $3 WHERE id = $1 AND lease = $2";
    Ok(execute!(tx, sql, id, holder, until) == 1)
}

/// Removes an upload that `holder` still has. Its parts go with it.
pub async fn delete_held(tx: &mut Tx, id: &str, holder: &str) -> Result<bool> {
    Ok(execute!(tx, "DELETE FROM uploads WHERE id = $1 AND lease = $2", id, holder) == 1)
}

/// Removes an upload unless somebody is writing to it.
pub async fn delete_unheld(tx: &mut Tx, id: &str, now: DateTime<Utc>) -> Result<bool> {
    let sql = "DELETE FROM uploads WHERE id = $1 AND (lease_until IS NULL OR lease_until < $2)";
    Ok(execute!(tx, sql, id, now) == 1)
}

/// Removes an upload if still nobody has written to it since `before`, or is about to.
pub async fn delete_idle(tx: &mut Tx, id: &str, before: DateTime<Utc>, now: DateTime<Utc>) -> Result<bool> {
    let sql =
        "DELETE FROM uploads WHERE id = $1 AND updated_at < $2 AND (lease_until IS NULL OR lease_until < $3)";
    Ok(execute!(tx, sql, id, before, now) == 1)
}

/// Uploads nobody has written to since `before`, nor holds a lease on.
pub async fn list_idle(
    tx: &mut Tx,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<UploadRow>> {
    let sql = "SELECT id, repository, store, algorithm, received, hash_state, multipart, tail, updated_at FROM uploads
               WHERE updated_at < $1 AND (lease_until IS NULL OR lease_until < $2) ORDER BY id LIMIT $3";
    let rows: Vec<Row> = all!(tx, sql, before, now, limit);
    rows.into_iter().map(upload).collect()
}

/// Those of one namespace that have bytes, the longest idle first.
pub async fn list_idle_of(
    tx: &mut Tx,
    namespace: &Namespace,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<UploadRow>> {
    let sql = "SELECT u.id, u.repository, u.store, u.algorithm, u.received, u.hash_state, u.multipart, u.tail, u.updated_at
               FROM uploads u JOIN repositories r ON r.name = u.repository
               WHERE r.namespace = $1 AND u.received > 0 AND u.updated_at < $2
                   AND (u.lease_until IS NULL OR u.lease_until < $3)
               ORDER BY u.updated_at, u.id LIMIT 1000";
    let rows: Vec<Row> = all!(tx, sql, namespace.as_str(), before, now);
    rows.into_iter().map(upload).collect()
}

pub async fn exists(tx: &mut Tx, id: &str) -> Result<bool> {
    let row: Option<(String,)> = optional!(tx, "SELECT id FROM uploads WHERE id = $1", id);
    Ok(row.is_some())
}
