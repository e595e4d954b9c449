//! Where bytes lie, and through which repositories they may be seen.

use super::{
    from_sql,
    manifests::is_index,
    read, to_sql,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::Result,
    model::{
        digest::Digest,
        name::{Namespace, Workload},
    },
};
use chrono::{DateTime, Utc};

#[derive(Clone, Debug)]
pub struct BlobRow {
    pub store: String,
    pub digest: Digest,
    pub key: String,
    pub size: u64,
    pub quarantined_at: Option<DateTime<Utc>>,
}

type Row = (String, String, String, i64, Option<DateTime<Utc>>);

#[derive(sqlx::FromRow)]
struct LinkRow {
    store: String,
    digest: String,
    key: String,
    size: i64,
    quarantined_at: Option<DateTime<Utc>>,
    used_at: DateTime<Utc>,
}

fn blob((store, digest, key, size, quarantined_at): Row) -> Result<BlobRow> {
    Ok(BlobRow { store, digest: read("blobs", &digest)?, key, size: from_sql(size), quarantined_at })
}

/// Records where a digest lies. Answers false if the store has it already.
pub async fn insert(tx: &mut Tx, row: &BlobRow, at: DateTime<Utc>) -> Result<bool> {
    let sql = "INSERT INTO blobs (store, digest, key, size, created_at) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (store, digest) DO NOTHING";
    Ok(execute!(tx, sql, &row.store, row.digest.as_str(), &row.key, to_sql(row.size)?, at) == 1)
}

/// Puts a fresh copy in place of a quarantined one. Answers the key of the rotten object.
pub async fn replace_quarantined(tx: &mut Tx, row: &BlobRow) -> Result<Option<String>> {
    let sql = "SELECT key FROM blobs WHERE store = $1 AND digest = $2 AND quarantined_at IS NOT NULL";
    let old: Option<(String,)> = optional!(tx, sql, &row.store, row.digest.as_str());
    let Some((old,)) = old else { return Ok(None) };
    let sql =
        "UPDATE blobs SET key = $3, quarantined_at = NULL WHERE store = $1 AND digest = $2 AND key = $4";
    let changed = execute!(tx, sql, &row.store, row.digest.as_str(), &row.key, &old);
    Ok((changed == 1).then_some(old))
}

/// Answers false if the row is gone or was quarantined before.
pub async fn set_quarantined(
    tx: &mut Tx,
    store: &str,
    digest: &Digest,
    key: &str,
    at: Option<DateTime<Utc>>,
) -> Result<bool> {
    let sql = "UPDATE blobs SET quarantined_at = $4 WHERE store = $1 AND digest = $2 AND key = $3
               AND (quarantined_at IS NULL) <> ($4 IS NULL)";
    Ok(execute!(tx, sql, store, digest.as_str(), key, at) == 1)
}

/// Corrects the place of a digest (used when the map is rebuilt from the bytes).
pub async fn set_key(tx: &mut Tx, store: &str, digest: &Digest, key: &str) -> Result<bool> {
    let sql = "UPDATE blobs SET key = $3, quarantined_at = NULL WHERE store = $1 AND digest = $2";
    Ok(execute!(tx, sql, store, digest.as_str(), key) == 1)
}

/// The blob as seen from a repository: only through its link.
pub async fn find_linked(tx: &mut Tx, repository: &Workload, digest: &Digest) -> Result<Option<BlobRow>> {
    Ok(find_link(tx, repository, digest).await?.map(|(row, _)| row))
}

/// The blob through its link, and when the link was last noted as wanted.
pub async fn find_link(
    tx: &mut Tx,
    repository: &Workload,
    digest: &Digest,
) -> Result<Option<(BlobRow, DateTime<Utc>)>> {
    let sql = "SELECT b.store, b.digest, b.key, b.size, b.quarantined_at, l.used_at FROM blob_links l
               JOIN blobs b ON b.store = l.store AND b.digest = l.digest WHERE l.repository = $1 AND l.digest = $2";
    let row: Option<LinkRow> = optional!(tx, sql, repository.as_str(), digest.as_str());
    row.map(link_row).transpose()
}

fn link_row(row: LinkRow) -> Result<(BlobRow, DateTime<Utc>)> {
    let used_at = row.used_at;
    Ok((blob((row.store, row.digest, row.key, row.size, row.quarantined_at))?, used_at))
}

/// The same of several blobs, each named once; those without a link are left out.
pub async fn find_links(
    tx: &mut Tx,
    repository: &Workload,
    digests: &[&Digest],
) -> Result<Vec<(BlobRow, DateTime<Utc>)>> {
    let mut found = Vec::with_capacity(digests.len());
    for few in digests.chunks(8) {
        let digest = |at: usize| few.get(at).map(|digest| digest.as_str());
        let sql = "SELECT b.store, b.digest, b.key, b.size, b.quarantined_at, l.used_at FROM blob_links l
                   JOIN blobs b ON b.store = l.store AND b.digest = l.digest
                   WHERE l.repository = $1 AND l.digest IN ($2, $3, $4, $5, $6, $7, $8, $9)";
        let rows: Vec<LinkRow> = all!(
            tx,
            sql,
            repository.as_str(),
            digest(0),
            digest(1),
            digest(2),
            digest(3),
            digest(4),
            digest(5),
            digest(6),
            digest(7),
        );
        for row in rows {
            found.push(link_row(row)?);
        }
    }
    Ok(found)
}

pub async fn find(tx: &mut Tx, store: &str, digest: &Digest) -> Result<Option<BlobRow>> {
    let sql = "SELECT store, digest, key, size, quarantined_at FROM blobs WHERE store = $1 AND digest = $2";
    let row: Option<Row> = optional!(tx, sql, store, digest.as_str());
    row.map(blob).transpose()
}

/// The blob whose object has this key, in whatever store: a key is used once.
pub async fn find_by_key(tx: &mut Tx, key: &str) -> Result<Option<BlobRow>> {
    let sql = "SELECT store, digest, key, size, quarantined_at FROM blobs WHERE key = $1";
    let row: Option<Row> = optional!(tx, sql, key);
    row.map(blob).transpose()
}

/// All blobs of a store after a digest, in order, for scrubbing.
pub async fn list(tx: &mut Tx, store: &str, after: &str, limit: i64) -> Result<Vec<BlobRow>> {
    let sql = "SELECT store, digest, key, size, quarantined_at FROM blobs
               WHERE store = $1 AND digest > $2 ORDER BY digest LIMIT $3";
    let rows: Vec<Row> = all!(tx, sql, store, after, limit);
    rows.into_iter().map(blob).collect()
}

/// Makes a blob visible in a repository, or notes that it is still wanted. Answers false if the store has
/// no such blob (any more).
pub async fn link(
    tx: &mut Tx,
    repository: &Workload,
    store: &str,
    digest: &Digest,
    at: DateTime<Utc>,
) -> Result<bool> {
    let sql = "INSERT INTO blob_links (repository, digest, store, size, used_at)
               SELECT $1, b.digest, b.store, b.size, $4 FROM blobs b WHERE b.store = $2 AND b.digest = $3
               ON CONFLICT (repository, digest) DO UPDATE SET used_at = $4";
    Ok(execute!(tx, sql, repository.as_str(), store, digest.as_str(), at) == 1)
}

/// Notes that a link is still wanted, so that garbage collection leaves it alone for its grace period.
/// Writes nothing when it was noted after `since`.
pub async fn touch(
    tx: &mut Tx,
    repository: &Workload,
    digest: &Digest,
    at: DateTime<Utc>,
    since: DateTime<Utc>,
) -> Result<()> {
    let sql = "UPDATE blob_links SET used_at = $3 WHERE repository = $1 AND digest = $2 AND used_at < $4";
    execute!(tx, sql, repository.as_str(), digest.as_str(), at, since);
    Ok(())
}

pub async fn unlink(tx: &mut Tx, repository: &Workload, digest: &Digest) -> Result<bool> {
    let sql = "DELETE FROM blob_links WHERE repository = $1 AND digest = $2";
    Ok(execute!(tx, sql, repository.as_str(), digest.as_str()) == 1)
}

/// Whether any repository of the namespace has a file of this size.
pub async fn size_known(tx: &mut Tx, namespace: &Namespace, size: u64) -> Result<bool> {
    let sql = "SELECT l.digest FROM blob_links l JOIN repositories r ON r.name = l.repository
               WHERE l.size = $2 AND r.namespace = $1 LIMIT 1";
    let row: Option<(String,)> = optional!(tx, sql, namespace.as_str(), to_sql(size)?);
    Ok(row.is_some())
}

/// Repositories that link to a digest, with the store their link is in; with `namespace`, only those in it.
pub async fn linked_from(
    tx: &mut Tx,
    digest: &Digest,
    namespace: Option<&Namespace>,
    limit: i64,
) -> Result<Vec<(Workload, String)>> {
    let sql = "SELECT l.repository, l.store FROM blob_links l JOIN repositories r ON r.name = l.repository
               WHERE l.digest = $1 AND ($2 IS NULL OR r.namespace = $2) ORDER BY l.repository LIMIT $3";
    let rows: Vec<(String, String)> = all!(tx, sql, digest.as_str(), namespace.map(Namespace::as_str), limit);
    rows.into_iter().map(|(repository, store)| Ok((read("blob_links", &repository)?, store))).collect()
}

/// A manifest of the repository that needs this blob.
pub async fn used_by(tx: &mut Tx, repository: &Workload, digest: &Digest) -> Result<Option<Digest>> {
    let sql = concat!(
        "SELECT u.manifest FROM manifest_uses u JOIN manifests m ON m.repository = u.repository AND m.digest = u.manifest
         WHERE u.repository = $1 AND u.digest = $2 AND NOT ",
        is_index!(),
        " LIMIT 1"
    );
    let row: Option<(String,)> = optional!(tx, sql, repository.as_str(), digest.as_str());
    row.map(|(manifest,)| read("manifest_uses", &manifest)).transpose()
}
