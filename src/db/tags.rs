//! OCI tags that are not versions; on a version's manifest they are aliases.

use super::{
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::Result,
    model::{digest::Digest, name::Workload},
};
use chrono::{DateTime, Utc};

pub async fn find(tx: &mut Tx, repository: &Workload, tag: &str) -> Result<Option<Digest>> {
    let sql = "SELECT digest FROM tags WHERE repository = $1 AND tag = $2";
    let row: Option<(String,)> = optional!(tx, sql, repository.as_str(), tag);
    row.map(|(digest,)| read("tags", &digest)).transpose()
}

pub async fn set(
    tx: &mut Tx,
    repository: &Workload,
    tag: &str,
    digest: &Digest,
    at: DateTime<Utc>,
) -> Result<()> {
    let sql = "INSERT INTO tags (repository, tag, digest, updated_at) VALUES ($1, $2, $3, $4)
               ON CONFLICT (repository, tag) DO UPDATE SET digest = $3, updated_at = $4";
    execute!(tx, sql, repository.as_str(), tag, digest.as_str(), at);
    Ok(())
}

pub async fn delete(tx: &mut Tx, repository: &Workload, tag: &str) -> Result<bool> {
    let sql = "DELETE FROM tags WHERE repository = $1 AND tag = $2";
    Ok(execute!(tx, sql, repository.as_str(), tag) == 1)
}

/// Tags of a repository after `after`, in order; with `digest`, only those on this manifest.
pub async fn list(
    tx: &mut Tx,
    repository: &Workload,
    digest: Option<&Digest>,
    after: &str,
    limit: i64,
) -> Result<Vec<(String, Digest)>> {
    let sql =
        "SELECT tag, digest FROM tags WHERE repository = $1 AND ($2 IS NULL OR digest = $2) AND tag > $3
               ORDER BY tag LIMIT $4";
    let digest = digest.map(Digest::as_str);
    let rows: Vec<(String, String)> = all!(tx, sql, repository.as_str(), digest, after, limit);
    rows.into_iter().map(|(tag, digest)| Ok((tag, read("tags", &digest)?))).collect()
}

/// Tags and whole versions of a repository after `after`, in byte order, as OCI lists them.
pub async fn list_with_versions(
    tx: &mut Tx,
    repository: &Workload,
    after: &str,
    limit: i64,
) -> Result<Vec<String>> {
    let name = repository.as_str();
    let tags: Vec<(String,)> = all!(
        tx,
        "SELECT tag FROM tags WHERE repository = $1 AND tag > $2 ORDER BY tag LIMIT $3",
        name,
        after,
        limit
    );
    let sql = "SELECT version FROM versions WHERE workload = $1 AND version > $2 AND purged_at IS NULL
               ORDER BY version LIMIT $3";
    let versions: Vec<(String,)> = all!(tx, sql, name, after, limit);
    let mut names: Vec<String> = tags.into_iter().chain(versions).map(|(name,)| name).collect();
    names.sort_unstable();
    names.truncate(usize::try_from(limit).unwrap_or(0));
    Ok(names)
}

/// Aliases of a workload after `after`: tags on manifests that are versions, with the version last made of each.
pub async fn list_aliases(
    tx: &mut Tx,
    workload: &Workload,
    after: &str,
    limit: i64,
) -> Result<Vec<AliasRow>> {
    let sql = "SELECT t.tag, t.digest, v.version, t.updated_at FROM tags t
               JOIN versions v ON v.workload = t.repository AND v.digest = t.digest
               WHERE t.repository = $1 AND t.tag > $2 AND v.sequence = (
                   SELECT MAX(w.sequence) FROM versions w WHERE w.workload = t.repository AND w.digest = t.digest)
               ORDER BY t.tag LIMIT $3";
    let rows: Vec<(String, String, String, DateTime<Utc>)> = all!(tx, sql, workload.as_str(), after, limit);
    let alias = |(alias, digest, version, updated_at): (String, String, String, DateTime<Utc>)| {
        Ok(AliasRow {
            alias,
            digest: read("tags", &digest)?,
            version: read("versions", &version)?,
            updated_at,
        })
    };
    rows.into_iter().map(alias).collect()
}

pub struct AliasRow {
    pub alias: String,
    pub digest: Digest,
    pub version: crate::model::version::Version,
    pub updated_at: DateTime<Utc>,
}
