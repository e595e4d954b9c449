//! What nothing needs any more. Keys are never used twice, so an object whose row is gone can be deleted
//! at leisure: a push of the same digest has made a new object under a new key.

use super::{
    from_sql,
    manifests::is_index,
    read,
    tx::{Tx, all, execute},
};
use crate::{
    error::Result,
    model::{digest::Digest, name::Workload},
};
use chrono::{DateTime, Utc};

/// Links no manifest of their repository uses, nor a monitor of it whose profiles are pushed, untouched since `before`.
pub async fn unused_links(
    tx: &mut Tx,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(Workload, Digest, u64)>> {
    let sql = concat!(
        "SELECT l.repository, l.digest, l.size FROM blob_links l WHERE l.used_at < $1 AND NOT EXISTS (
             SELECT 1 FROM manifest_uses u JOIN manifests m ON m.repository = u.repository AND m.digest = u.manifest
             WHERE u.repository = l.repository AND u.digest = l.digest AND NOT ",
        is_index!(),
        ")
                   AND NOT EXISTS (SELECT 1 FROM drift_runs r JOIN monitors m ON m.id = r.monitor
                       WHERE r.profile = l.digest AND m.repository = l.repository AND m.removed_at IS NULL)
               ORDER BY l.repository, l.digest LIMIT $2"
    );
    let rows: Vec<(String, String, i64)> = all!(tx, sql, before, limit);
    let link = |(repository, digest, size): (String, String, i64)| {
        Ok((read("blob_links", &repository)?, read("blob_links", &digest)?, from_sql(size)))
    };
    rows.into_iter().map(link).collect()
}

/// Removes an unused link, if it still is one.
pub async fn remove_link(
    tx: &mut Tx,
    repository: &Workload,
    digest: &Digest,
    before: DateTime<Utc>,
) -> Result<bool> {
    let sql = concat!(
        "DELETE FROM blob_links WHERE repository = $1 AND digest = $2 AND used_at < $3 AND NOT EXISTS (
             SELECT 1 FROM manifest_uses u JOIN manifests m ON m.repository = u.repository AND m.digest = u.manifest
             WHERE u.repository = blob_links.repository AND u.digest = blob_links.digest AND NOT ",
        is_index!(),
        ") AND NOT EXISTS (SELECT 1 FROM drift_runs r JOIN monitors m ON m.id = r.monitor
             WHERE r.profile = blob_links.digest AND m.repository = blob_links.repository AND m.removed_at IS NULL)"
    );
    Ok(execute!(tx, sql, repository.as_str(), digest.as_str(), before) == 1)
}

/// Blobs without a link, stored before `before`: (store, digest, key, size).
pub async fn unlinked_blobs(
    tx: &mut Tx,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(String, Digest, String, u64)>> {
    let sql = "SELECT b.store, b.digest, b.key, b.size FROM blobs b WHERE b.created_at < $1 AND NOT EXISTS (
                   SELECT 1 FROM blob_links l WHERE l.store = b.store AND l.digest = b.digest)
               ORDER BY b.store, b.digest LIMIT $2";
    let rows: Vec<(String, String, String, i64)> = all!(tx, sql, before, limit);
    let blob = |(store, digest, key, size): (String, String, String, i64)| {
        Ok((store, read("blobs", &digest)?, key, from_sql(size)))
    };
    rows.into_iter().map(blob).collect()
}

/// Removes a blob's row, if still nothing links to it.
pub async fn remove_blob(tx: &mut Tx, store: &str, digest: &Digest, key: &str) -> Result<bool> {
    let sql = "DELETE FROM blobs WHERE store = $1 AND digest = $2 AND key = $3 AND NOT EXISTS (
                   SELECT 1 FROM blob_links l WHERE l.store = blobs.store AND l.digest = blobs.digest)";
    Ok(execute!(tx, sql, store, digest.as_str(), key) == 1)
}

/// Forgets manifests that no repository holds, and scheduled runs of before.
pub async fn sweep(tx: &mut Tx, before: DateTime<Utc>) -> Result<u64> {
    let sql = "DELETE FROM manifest_bytes WHERE NOT EXISTS (SELECT 1 FROM manifests m WHERE m.digest = manifest_bytes.digest)";
    let swept = execute!(tx, sql);
    execute!(tx, "DELETE FROM ticks WHERE at < $1", before);
    Ok(swept)
}

/// Takes a scheduled run for this replica. Answers false if another has it.
pub async fn claim_tick(tx: &mut Tx, job: &str, at: DateTime<Utc>) -> Result<bool> {
    let sql = "INSERT INTO ticks (job, at) VALUES ($1, $2) ON CONFLICT (job, at) DO NOTHING";
    Ok(execute!(tx, sql, job, at) == 1)
}
