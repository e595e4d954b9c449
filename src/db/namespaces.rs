//! Namespaces and the repositories in them.

use super::{
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::Result,
    model::{
        digest::Digest,
        name::{Namespace, PrincipalName, Workload},
    },
};
use chrono::{DateTime, Utc};

pub struct NamespaceRow {
    pub name: Namespace,
    pub store: String,
    pub created_at: DateTime<Utc>,
    pub created_by: PrincipalName,
    /// Since when its name is nobody's any more.
    pub deleted_at: Option<DateTime<Utc>>,
}

type Row = (String, String, DateTime<Utc>, String, Option<DateTime<Utc>>);

fn namespace((name, store, created_at, created_by, deleted_at): Row) -> Result<NamespaceRow> {
    let created_by = read("namespaces", &created_by)?;
    Ok(NamespaceRow { name: read("namespaces", &name)?, store, created_at, created_by, deleted_at })
}

/// A name that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    Namespace,
    Workload,
}

pub async fn find(tx: &mut Tx, name: &Namespace) -> Result<Option<NamespaceRow>> {
    let sql = "SELECT name, store, created_at, created_by, deleted_at FROM namespaces WHERE name = $1";
    let row: Option<Row> = optional!(tx, sql, name.as_str());
    row.map(namespace).transpose()
}

/// Answers false if the name is taken.
pub async fn insert(tx: &mut Tx, row: &NamespaceRow) -> Result<bool> {
    let sql = "INSERT INTO namespaces (name, store, created_at, created_by) VALUES ($1, $2, $3, $4)
               ON CONFLICT (name) DO NOTHING";
    Ok(execute!(tx, sql, row.name.as_str(), &row.store, row.created_at, row.created_by.as_str()) == 1)
}

/// Namespaces after the name `after`, in order.
pub async fn list(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<NamespaceRow>> {
    let sql = "SELECT name, store, created_at, created_by, deleted_at FROM namespaces
               WHERE name > $1 AND deleted_at IS NULL ORDER BY name LIMIT $2";
    let rows: Vec<Row> = all!(tx, sql, after, limit);
    rows.into_iter().map(namespace).collect()
}

/// Makes the repository if it is not there. Answers what of its name was given up, if anything.
pub async fn ensure_repository(
    tx: &mut Tx,
    repository: &Workload,
    at: DateTime<Utc>,
) -> Result<Option<Deleted>> {
    let sql = "INSERT INTO repositories (name, namespace, last_sequence, created_at) VALUES ($1, $2, 0, $3)
               ON CONFLICT (name) DO NOTHING";
    if execute!(tx, sql, repository.as_str(), repository.namespace().as_str(), at) == 1 {
        // A namespace is locked while a repository is made in it, so that it is not deleted at the same moment.
        let locked = lock(tx, &repository.namespace()).await?;
        return Ok(locked.is_none().then_some(Deleted::Namespace));
    }
    deletion(tx, repository).await
}

/// Locks a namespace until commit. Answers its store, and `None` if there is none or it was deleted.
pub async fn lock(tx: &mut Tx, name: &Namespace) -> Result<Option<String>> {
    let sql = "UPDATE namespaces SET store = store WHERE name = $1 AND deleted_at IS NULL RETURNING store";
    let row: Option<(String,)> = optional!(tx, sql, name.as_str());
    Ok(row.map(|(store,)| store))
}

/// What of a repository's name was given up, if anything.
pub async fn deletion(tx: &mut Tx, repository: &Workload) -> Result<Option<Deleted>> {
    let sql = "SELECT n.deleted_at IS NOT NULL, r.deleted_at IS NOT NULL FROM namespaces n
               LEFT JOIN repositories r ON r.name = $2 WHERE n.name = $1";
    let row: Option<(bool, bool)> = optional!(tx, sql, repository.namespace().as_str(), repository.as_str());
    Ok(match row {
        Some((_, true)) => Some(Deleted::Workload),
        Some((true, _)) => Some(Deleted::Namespace),
        _ => None,
    })
}

/// Gives a repository's name up: its tags go, what it links to but for what evidence needs, and its manifests but for
/// evidence and versions. Answers which went.
pub async fn delete_repository(
    tx: &mut Tx,
    repository: &Workload,
    at: DateTime<Utc>,
    by: &PrincipalName,
) -> Result<Vec<Digest>> {
    let name = repository.as_str();
    execute!(
        tx,
        "UPDATE repositories SET deleted_at = $2, deleted_by = $3 WHERE name = $1",
        name,
        at,
        by.as_str()
    );
    execute!(tx, "DELETE FROM tags WHERE repository = $1", name);
    let sql = "DELETE FROM manifest_uses WHERE repository = $1 AND NOT EXISTS (
                   SELECT 1 FROM evidence e WHERE e.repository = manifest_uses.repository AND e.digest = manifest_uses.manifest)";
    execute!(tx, sql, name);
    let sql = "DELETE FROM blob_links WHERE repository = $1 AND NOT EXISTS (
                   SELECT 1 FROM manifest_uses u WHERE u.repository = blob_links.repository AND u.digest = blob_links.digest)";
    execute!(tx, sql, name);
    let sql = "DELETE FROM manifests WHERE repository = $1
                   AND NOT EXISTS (SELECT 1 FROM evidence e WHERE e.repository = manifests.repository AND e.digest = manifests.digest)
                   AND NOT EXISTS (SELECT 1 FROM versions v WHERE v.workload = manifests.repository AND v.digest = manifests.digest)
               RETURNING digest";
    let rows: Vec<(String,)> = all!(tx, sql, name);
    let mut gone: Vec<Digest> =
        rows.into_iter().map(|(digest,)| read("manifests", &digest)).collect::<Result<_>>()?;
    gone.sort_unstable();
    Ok(gone)
}

/// A repository of a namespace that is still there.
pub async fn any_repository(tx: &mut Tx, namespace: &Namespace) -> Result<Option<Workload>> {
    let sql =
        "SELECT name FROM repositories WHERE namespace = $1 AND deleted_at IS NULL ORDER BY name LIMIT 1";
    let row: Option<(String,)> = optional!(tx, sql, namespace.as_str());
    row.map(|(name,)| read("repositories", &name)).transpose()
}

/// Gives a namespace's name up. It is locked.
pub async fn delete(tx: &mut Tx, name: &Namespace, at: DateTime<Utc>, by: &PrincipalName) -> Result<()> {
    let sql = "UPDATE namespaces SET deleted_at = $2, deleted_by = $3 WHERE name = $1";
    execute!(tx, sql, name.as_str(), at, by.as_str());
    Ok(())
}

pub async fn repository_exists(tx: &mut Tx, repository: &Workload) -> Result<bool> {
    let row: Option<(String,)> =
        optional!(tx, "SELECT name FROM repositories WHERE name = $1", repository.as_str());
    Ok(row.is_some())
}

/// Locks the repository until commit, so that its versions, tags and manifests stay as read: two pushes to
/// one workload never decide at the same time. Answers the sequence number of its last version, 0 without one, and
/// `None` if there is no such repository, or it was deleted.
pub async fn lock_repository(tx: &mut Tx, repository: &Workload) -> Result<Option<i64>> {
    let sql = "UPDATE repositories SET last_sequence = last_sequence WHERE name = $1 AND deleted_at IS NULL
               RETURNING last_sequence";
    let row: Option<(i64,)> = optional!(tx, sql, repository.as_str());
    Ok(row.map(|(sequence,)| sequence))
}

/// Records the sequence number of a new version in a repository that is locked. Whoever calls this records its lineage too,
/// so that there is none left to record unless there was before.
pub async fn set_last_sequence(tx: &mut Tx, repository: &Workload, sequence: i64) -> Result<()> {
    let sql = "UPDATE repositories SET last_sequence = $2,
                   lineage_to = CASE WHEN lineage_to = $2 - 1 THEN $2 ELSE lineage_to END WHERE name = $1";
    execute!(tx, sql, repository.as_str(), sequence);
    Ok(())
}

/// Names of the workloads (repositories with a version) of a namespace, or of all.
pub async fn list_workloads(
    tx: &mut Tx,
    namespace: Option<&Namespace>,
    after: &str,
    limit: i64,
) -> Result<Vec<(Workload, i64)>> {
    let sql = "SELECT name, last_sequence FROM repositories
               WHERE last_sequence > 0 AND deleted_at IS NULL AND name > $1 AND ($2 IS NULL OR namespace = $2) ORDER BY name LIMIT $3";
    let rows: Vec<(String, i64)> = all!(tx, sql, after, namespace.map(Namespace::as_str), limit);
    rows.into_iter().map(|(name, versions)| Ok((read("repositories", &name)?, versions))).collect()
}
