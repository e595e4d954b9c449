//! Requests to take content away for good, and what stands in their way.

use super::{
    from_sql,
    manifests::is_index,
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::Result,
    model::{
        digest::Digest,
        name::{Namespace, PrincipalName, Workload},
        removal::PurgeState,
        stage::Stage,
        version::Version,
    },
};
use chrono::{DateTime, Utc};

#[derive(Clone, Debug)]
pub struct PurgeRow {
    pub id: String,
    pub workload: Workload,
    /// As it was named; all versions of the digest go.
    pub version: Version,
    pub digest: Digest,
    pub reason: String,
    pub state: PurgeState,
    pub requested_at: DateTime<Utc>,
    pub requested_by: PrincipalName,
    pub expires_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub ended_by: Option<PrincipalName>,
    pub ended_because: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    workload: String,
    version: String,
    digest: String,
    reason: String,
    state: String,
    requested_at: DateTime<Utc>,
    requested_by: String,
    expires_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    ended_by: Option<String>,
    ended_because: Option<String>,
}

fn purge(row: Row) -> Result<PurgeRow> {
    Ok(PurgeRow {
        id: row.id,
        workload: read("purges", &row.workload)?,
        version: read("purges", &row.version)?,
        digest: read("purges", &row.digest)?,
        reason: row.reason,
        state: read("purges", &row.state)?,
        requested_at: row.requested_at,
        requested_by: read("purges", &row.requested_by)?,
        expires_at: row.expires_at,
        ended_at: row.ended_at,
        ended_by: row.ended_by.map(|by| read("purges", &by)).transpose()?,
        ended_because: row.ended_because,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, workload, version, digest, reason, state, requested_at, requested_by, expires_at, ended_at, ",
            "ended_by, ended_because FROM purges ",
            $rest
        )
    };
}

/// Writes a request, or what has become of it.
pub async fn save(tx: &mut Tx, row: &PurgeRow) -> Result<()> {
    let sql = "INSERT INTO purges (id, workload, version, digest, reason, state, requested_at, requested_by, expires_at,
                                   ended_at, ended_by, ended_because)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
               ON CONFLICT (id) DO UPDATE SET state = $6, ended_at = $10, ended_by = $11, ended_because = $12";
    execute!(
        tx,
        sql,
        &row.id,
        row.workload.as_str(),
        row.version.to_string(),
        row.digest.as_str(),
        &row.reason,
        row.state.name(),
        row.requested_at,
        row.requested_by.as_str(),
        row.expires_at,
        row.ended_at,
        row.ended_by.as_ref().map(PrincipalName::as_str),
        row.ended_because.as_deref(),
    );
    Ok(())
}

/// The pending request for content, which may have expired.
pub async fn find_pending(tx: &mut Tx, workload: &Workload, digest: &Digest) -> Result<Option<PurgeRow>> {
    let sql = select!("WHERE workload = $1 AND digest = $2 AND state = 'pending'");
    let row: Option<Row> = optional!(tx, sql, workload.as_str(), digest.as_str());
    row.map(purge).transpose()
}

/// Ends what waits for another admin to take content away, of all or of one digest, that has gone by another way.
pub async fn end_pending(
    tx: &mut Tx,
    workload: &Workload,
    digest: Option<&Digest>,
    at: DateTime<Utc>,
    by: &PrincipalName,
    because: &str,
) -> Result<()> {
    let sql = "UPDATE purges SET state = CASE WHEN expires_at > $3 THEN 'purged' ELSE 'expired' END,
                   ended_at = $3, ended_by = $4, ended_because = $5
               WHERE workload = $1 AND ($2 IS NULL OR digest = $2) AND state = 'pending'";
    execute!(tx, sql, workload.as_str(), digest.map(Digest::as_str), at, by.as_str(), because);
    Ok(())
}

/// Requests after an id that wait for another admin, oldest first, of a namespace or of all.
pub async fn list_pending(
    tx: &mut Tx,
    namespace: Option<&Namespace>,
    now: DateTime<Utc>,
    after: &str,
    limit: i64,
) -> Result<Vec<PurgeRow>> {
    let sql = select!(
        "WHERE state = 'pending' AND expires_at > $2 AND id > $3 AND ($1 IS NULL OR workload IN
         (SELECT name FROM repositories WHERE namespace = $1)) ORDER BY id LIMIT $4"
    );
    let rows: Vec<Row> = all!(tx, sql, namespace.map(Namespace::as_str), now, after, limit);
    rows.into_iter().map(purge).collect()
}

/// A stage that content is in.
pub async fn stage_of(tx: &mut Tx, workload: &Workload, digest: &Digest) -> Result<Option<Stage>> {
    let sql = "SELECT stage FROM stages WHERE workload = $1 AND digest = $2 ORDER BY stage LIMIT 1";
    let row: Option<(String,)> = optional!(tx, sql, workload.as_str(), digest.as_str());
    row.map(|(stage,)| read("stages", &stage)).transpose()
}

/// A stage that content is on its way to, and by which version.
pub async fn pending_stage(
    tx: &mut Tx,
    workload: &Workload,
    digest: &Digest,
) -> Result<Option<(Stage, Version)>> {
    let sql =
        "SELECT stage, version FROM promotions WHERE workload = $1 AND digest = $2 AND state = 'pending'
               ORDER BY id LIMIT 1";
    let row: Option<(String, String)> = optional!(tx, sql, workload.as_str(), digest.as_str());
    row.map(|(stage, version)| Ok((read("promotions", &stage)?, read("promotions", &version)?))).transpose()
}

/// The blobs that a manifest needs, as far as the repository links to them.
pub async fn blobs_of(tx: &mut Tx, workload: &Workload, manifest: &Digest) -> Result<Vec<LinkedBlob>> {
    let sql = "SELECT b.store, b.digest, b.key, b.size FROM manifest_uses u
               JOIN blob_links l ON l.repository = u.repository AND l.digest = u.digest
               JOIN blobs b ON b.store = l.store AND b.digest = l.digest
               WHERE u.repository = $1 AND u.manifest = $2 ORDER BY b.digest";
    let rows: Vec<(String, String, String, i64)> = all!(tx, sql, workload.as_str(), manifest.as_str());
    rows.into_iter().map(linked).collect()
}

fn linked((store, digest, key, size): (String, String, String, i64)) -> Result<LinkedBlob> {
    Ok(LinkedBlob { store, digest: read("blobs", &digest)?, key, size: from_sql(size) })
}

pub struct LinkedBlob {
    pub store: String,
    pub digest: Digest,
    pub key: String,
    pub size: u64,
}

/// Forgets what a manifest needs, so that nothing is kept for it.
pub async fn forget_uses(tx: &mut Tx, workload: &Workload, manifest: &Digest) -> Result<()> {
    let sql = "DELETE FROM manifest_uses WHERE repository = $1 AND manifest = $2";
    execute!(tx, sql, workload.as_str(), manifest.as_str());
    Ok(())
}

/// Evidence that needs a file, and whether it is about purged content or about one that is to be.
pub async fn evidence_with(
    tx: &mut Tx,
    workload: &Workload,
    file: &Digest,
    to_be: &Digest,
) -> Result<Vec<(Digest, bool)>> {
    let sql = "SELECT u.manifest, EXISTS (SELECT 1 FROM evidence e JOIN versions v ON v.workload = e.repository AND v.digest = e.subject
                   WHERE e.repository = u.repository AND e.digest = u.manifest
                       AND (v.purged_at IS NOT NULL OR v.digest = $3))
               FROM manifest_uses u WHERE u.repository = $1 AND u.digest = $2 AND EXISTS (
                   SELECT 1 FROM evidence e WHERE e.repository = u.repository AND e.digest = u.manifest)
               ORDER BY u.manifest";
    let rows: Vec<(String, bool)> = all!(tx, sql, workload.as_str(), file.as_str(), to_be.as_str());
    rows.into_iter().map(|(digest, is_purged)| Ok((read("manifest_uses", &digest)?, is_purged))).collect()
}

/// Forgets that a manifest needs a file.
pub async fn forget_use(tx: &mut Tx, workload: &Workload, manifest: &Digest, file: &Digest) -> Result<()> {
    let sql = "DELETE FROM manifest_uses WHERE repository = $1 AND manifest = $2 AND digest = $3";
    execute!(tx, sql, workload.as_str(), manifest.as_str(), file.as_str());
    Ok(())
}

/// Whether a version of other content of the repository needs a file.
pub async fn is_in_other(tx: &mut Tx, workload: &Workload, file: &Digest, content: &Digest) -> Result<bool> {
    let sql = "SELECT u.manifest FROM manifest_uses u WHERE u.repository = $1 AND u.digest = $2 AND u.manifest <> $3
                   AND EXISTS (SELECT 1 FROM versions v WHERE v.workload = u.repository AND v.digest = u.manifest) LIMIT 1";
    let row: Option<(String,)> = optional!(tx, sql, workload.as_str(), file.as_str(), content.as_str());
    Ok(row.is_some())
}

/// Repositories that link to a blob of a store.
pub async fn links_to(tx: &mut Tx, store: &str, digest: &Digest, limit: i64) -> Result<Vec<Workload>> {
    let sql =
        "SELECT repository FROM blob_links WHERE digest = $1 AND store = $2 ORDER BY repository LIMIT $3";
    let rows: Vec<(String,)> = all!(tx, sql, digest.as_str(), store, limit);
    rows.into_iter().map(|(repository,)| read("blob_links", &repository)).collect()
}

/// Notes that a file went with a purge.
pub async fn note_blob(tx: &mut Tx, workload: &Workload, blob: &Digest, at: DateTime<Utc>) -> Result<()> {
    let sql = "INSERT INTO purged_blobs (repository, digest, purged_at) VALUES ($1, $2, $3)
               ON CONFLICT (repository, digest) DO NOTHING";
    execute!(tx, sql, workload.as_str(), blob.as_str(), at);
    Ok(())
}

/// Blobs of a store that went with a purge somewhere and are linked nowhere.
pub async fn left(tx: &mut Tx, store: &str, limit: i64) -> Result<Vec<LinkedBlob>> {
    let sql = "SELECT b.store, b.digest, b.key, b.size FROM blobs b
               WHERE b.store = $1 AND b.digest IN (SELECT p.digest FROM purged_blobs p)
                   AND NOT EXISTS (SELECT 1 FROM blob_links l WHERE l.store = b.store AND l.digest = b.digest)
               ORDER BY b.digest LIMIT $2";
    let rows: Vec<(String, String, String, i64)> = all!(tx, sql, store, limit);
    rows.into_iter().map(linked).collect()
}

/// Since when a file is not taken in any more.
pub async fn blob_purged_at(
    tx: &mut Tx,
    workload: &Workload,
    blob: &Digest,
) -> Result<Option<DateTime<Utc>>> {
    let sql = "SELECT purged_at FROM purged_blobs WHERE repository = $1 AND digest = $2";
    let row: Option<(DateTime<Utc>,)> = optional!(tx, sql, workload.as_str(), blob.as_str());
    Ok(row.map(|(at,)| at))
}

/// A file that a manifest uses and that is not taken in any more.
pub async fn purged_use(tx: &mut Tx, workload: &Workload, manifest: &Digest) -> Result<Option<Digest>> {
    let sql = concat!(
        "SELECT p.digest FROM manifest_uses u
             JOIN purged_blobs p ON p.repository = u.repository AND p.digest = u.digest
             JOIN manifests m ON m.repository = u.repository AND m.digest = u.manifest AND NOT ",
        is_index!(),
        " WHERE u.repository = $1 AND u.manifest = $2 ORDER BY p.digest LIMIT 1"
    );
    let row: Option<(String,)> = optional!(tx, sql, workload.as_str(), manifest.as_str());
    row.map(|(digest,)| read("purged_blobs", &digest)).transpose()
}

/// A request to delete a workload with what is in its stages.
#[derive(Clone, Debug)]
pub struct DeletionRow {
    pub workload: Workload,
    pub reason: String,
    pub requested_at: DateTime<Utc>,
    pub requested_by: PrincipalName,
    pub expires_at: DateTime<Utc>,
    /// Of the event that tells of it.
    pub position: i64,
}

type Deletion = (String, String, DateTime<Utc>, String, DateTime<Utc>, i64);

fn deletion(row: Deletion) -> Result<DeletionRow> {
    let (workload, reason, requested_at, requested_by, expires_at, position) = row;
    Ok(DeletionRow {
        workload: read("deletions", &workload)?,
        reason,
        requested_at,
        requested_by: read("deletions", &requested_by)?,
        expires_at,
        position,
    })
}

pub async fn find_deletion(tx: &mut Tx, workload: &Workload) -> Result<Option<DeletionRow>> {
    let sql = "SELECT workload, reason, requested_at, requested_by, expires_at, position FROM deletions
               WHERE workload = $1";
    let row: Option<Deletion> = optional!(tx, sql, workload.as_str());
    row.map(deletion).transpose()
}

/// Requests after a workload that wait for another admin, of a namespace or of all. Those that something came after count
/// no more (see `has_changed_since`).
pub async fn list_deletions(
    tx: &mut Tx,
    namespace: Option<&Namespace>,
    now: DateTime<Utc>,
    after: &str,
    limit: i64,
) -> Result<Vec<DeletionRow>> {
    let sql = "SELECT workload, reason, requested_at, requested_by, expires_at, position FROM deletions
               WHERE expires_at > $2 AND workload > $3 AND workload IN
                   (SELECT name FROM repositories WHERE deleted_at IS NULL AND ($1 IS NULL OR namespace = $1))
               AND NOT EXISTS (SELECT 1 FROM versions v
                   WHERE v.workload = deletions.workload AND v.position > deletions.position)
               AND NOT EXISTS (SELECT 1 FROM moves m
                   WHERE m.workload = deletions.workload AND m.position > deletions.position)
               ORDER BY workload LIMIT $4";
    let rows: Vec<Deletion> = all!(tx, sql, namespace.map(Namespace::as_str), now, after, limit);
    rows.into_iter().map(deletion).collect()
}

/// Notes a request, in the place of one that does not count any more.
pub async fn save_deletion(tx: &mut Tx, row: &DeletionRow) -> Result<()> {
    let sql = "INSERT INTO deletions (workload, reason, requested_at, requested_by, expires_at, position)
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workload) DO UPDATE
               SET reason = $2, requested_at = $3, requested_by = $4, expires_at = $5, position = $6";
    let (workload, by) = (row.workload.as_str(), row.requested_by.as_str());
    execute!(tx, sql, workload, &row.reason, row.requested_at, by, row.expires_at, row.position);
    Ok(())
}

pub async fn forget_deletion(tx: &mut Tx, workload: &Workload) -> Result<()> {
    execute!(tx, "DELETE FROM deletions WHERE workload = $1", workload.as_str());
    Ok(())
}

/// Whether a version was made or a stage has moved after an event.
pub async fn has_changed_since(tx: &mut Tx, workload: &Workload, position: i64) -> Result<bool> {
    let sql = "SELECT position FROM versions WHERE workload = $1 AND position > $2
               UNION SELECT position FROM moves WHERE workload = $1 AND position > $2 LIMIT 1";
    let row: Option<(i64,)> = optional!(tx, sql, workload.as_str(), position);
    Ok(row.is_some())
}
