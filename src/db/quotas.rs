//! What namespaces may have, and what they have.

use super::{
    from_sql, read, to_sql,
    tx::{Tx, execute, optional},
};
use crate::{
    error::Result,
    model::{
        digest::Digest,
        name::{Namespace, PrincipalName},
    },
};
use chrono::{DateTime, Utc};

#[derive(Clone, Debug)]
pub struct QuotaRow {
    pub namespace: Namespace,
    pub bytes: Option<u64>,
    pub versions: Option<u64>,
    /// Bytes that it has at most.
    pub counted: u64,
    pub set_at: DateTime<Utc>,
    pub set_by: PrincipalName,
}

type Row = (String, Option<i64>, Option<i64>, i64, DateTime<Utc>, String);

fn quota((namespace, bytes, versions, counted, set_at, set_by): Row) -> Result<QuotaRow> {
    Ok(QuotaRow {
        namespace: read("quotas", &namespace)?,
        bytes: bytes.map(from_sql),
        versions: versions.map(from_sql),
        counted: from_sql(counted),
        set_at,
        set_by: read("quotas", &set_by)?,
    })
}

pub async fn find(tx: &mut Tx, namespace: &Namespace) -> Result<Option<QuotaRow>> {
    let sql = "SELECT namespace, bytes, versions, counted, set_at, set_by FROM quotas WHERE namespace = $1";
    let row: Option<Row> = optional!(tx, sql, namespace.as_str());
    row.map(quota).transpose()
}

/// Locks the quota until commit, so that no two find room for the same bytes.
pub async fn lock(tx: &mut Tx, namespace: &Namespace) -> Result<Option<QuotaRow>> {
    let sql = "UPDATE quotas SET counted = counted WHERE namespace = $1
               RETURNING namespace, bytes, versions, counted, set_at, set_by";
    let row: Option<Row> = optional!(tx, sql, namespace.as_str());
    row.map(quota).transpose()
}

pub async fn put(tx: &mut Tx, row: &QuotaRow) -> Result<()> {
    let sql = "INSERT INTO quotas (namespace, bytes, versions, counted, set_at, set_by) VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (namespace) DO UPDATE SET bytes = $2, versions = $3, counted = $4, set_at = $5, set_by = $6";
    let bytes = row.bytes.map(to_sql).transpose()?;
    let versions = row.versions.map(to_sql).transpose()?;
    let (namespace, set_by) = (row.namespace.as_str(), row.set_by.as_str());
    execute!(tx, sql, namespace, bytes, versions, to_sql(row.counted)?, row.set_at, set_by);
    Ok(())
}

pub async fn set_counted(tx: &mut Tx, namespace: &Namespace, counted: u64) -> Result<()> {
    let sql = "UPDATE quotas SET counted = $2 WHERE namespace = $1";
    execute!(tx, sql, namespace.as_str(), to_sql(counted)?);
    Ok(())
}

pub async fn remove(tx: &mut Tx, namespace: &Namespace) -> Result<bool> {
    Ok(execute!(tx, "DELETE FROM quotas WHERE namespace = $1", namespace.as_str()) == 1)
}

/// Bytes of all different blobs that the namespace has.
pub async fn bytes(tx: &mut Tx, namespace: &Namespace) -> Result<u64> {
    let sql = "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM (
                   SELECT DISTINCT l.digest, l.store, l.size FROM repositories r
                   JOIN blob_links l ON l.repository = r.name WHERE r.namespace = $1) one";
    let row: Option<(i64,)> = optional!(tx, sql, namespace.as_str());
    Ok(row.map_or(0, |(bytes,)| from_sql(bytes)))
}

/// What a namespace has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    pub blobs: u64,
    pub bytes: u64,
    /// Of these: in no other namespace that is looked at.
    pub own_bytes: u64,
}

/// `others`: the namespaces that are looked at, each between two commas; without it all.
pub async fn used(tx: &mut Tx, namespace: &Namespace, others: Option<&str>) -> Result<Used> {
    let sql = "SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT),
                      CAST(COALESCE(SUM(CASE WHEN shared THEN 0 ELSE size END), 0) AS BIGINT) FROM (
                   SELECT one.size AS size, EXISTS (
                       SELECT 1 FROM blob_links o JOIN repositories p ON p.name = o.repository
                       WHERE o.digest = one.digest AND o.store = one.store AND p.namespace <> $1
                           AND ($2 IS NULL OR REPLACE($2, ',' || p.namespace || ',', '') <> $2)) AS shared
                   FROM (SELECT DISTINCT l.digest, l.store, l.size FROM repositories r
                         JOIN blob_links l ON l.repository = r.name WHERE r.namespace = $1) one) blob";
    let row: Option<(i64, i64, i64)> = optional!(tx, sql, namespace.as_str(), others);
    let used = |(blobs, bytes, own): (i64, i64, i64)| Used {
        blobs: from_sql(blobs),
        bytes: from_sql(bytes),
        own_bytes: from_sql(own),
    };
    Ok(row.map(used).unwrap_or_default())
}

/// Whether some repository of the namespace has the blob.
pub async fn has_blob(tx: &mut Tx, namespace: &Namespace, digest: &Digest) -> Result<bool> {
    let sql = "SELECT l.digest FROM blob_links l JOIN repositories r ON r.name = l.repository
               WHERE l.digest = $1 AND r.namespace = $2 LIMIT 1";
    let row: Option<(String,)> = optional!(tx, sql, digest.as_str(), namespace.as_str());
    Ok(row.is_some())
}

/// Bytes of uploads that have not ended.
pub async fn uploading(tx: &mut Tx, namespace: &Namespace) -> Result<u64> {
    let sql = "SELECT CAST(COALESCE(SUM(u.received), 0) AS BIGINT) FROM uploads u
               JOIN repositories r ON r.name = u.repository
               WHERE r.namespace = $1";
    let row: Option<(i64,)> = optional!(tx, sql, namespace.as_str());
    Ok(row.map_or(0, |(bytes,)| from_sql(bytes)))
}

/// How many versions were ever made.
pub async fn versions(tx: &mut Tx, namespace: &Namespace) -> Result<u64> {
    let sql = "SELECT CAST(COALESCE(SUM(last_sequence), 0) AS BIGINT) FROM repositories WHERE namespace = $1";
    let row: Option<(i64,)> = optional!(tx, sql, namespace.as_str());
    Ok(row.map_or(0, |(versions,)| from_sql(versions)))
}
