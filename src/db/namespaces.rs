//! Namespaces and the repositories in them.

use super::{
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::Result,
    model::name::{Namespace, PrincipalName, Workload},
};
use chrono::{DateTime, Utc};

pub struct NamespaceRow {
    pub name: Namespace,
    pub store: String,
    pub created_at: DateTime<Utc>,
    pub created_by: PrincipalName,
}

type Row = (String, String, DateTime<Utc>, String);

fn namespace((name, store, created_at, created_by): Row) -> Result<NamespaceRow> {
    let created_by = read("namespaces", &created_by)?;
    Ok(NamespaceRow { name: read("namespaces", &name)?, store, created_at, created_by })
}

pub async fn find(tx: &mut Tx, name: &Namespace) -> Result<Option<NamespaceRow>> {
    let sql = "SELECT name, store, created_at, created_by FROM namespaces WHERE name = $1";
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
    let sql =
        "SELECT name, store, created_at, created_by FROM namespaces WHERE name > $1 ORDER BY name LIMIT $2";
    let rows: Vec<Row> = all!(tx, sql, after, limit);
    rows.into_iter().map(namespace).collect()
}

/// Makes the repository if it is not there.
pub async fn ensure_repository(tx: &mut Tx, repository: &Workload, at: DateTime<Utc>) -> Result<()> {
    let sql = "INSERT INTO repositories (name, namespace, last_sequence, created_at) VALUES ($1, $2, 0, $3)
               ON CONFLICT (name) DO NOTHING";
    execute!(tx, sql, repository.as_str(), repository.namespace().as_str(), at);
    Ok(())
}

pub async fn repository_exists(tx: &mut Tx, repository: &Workload) -> Result<bool> {
    let row: Option<(String,)> =
        optional!(tx, "SELECT name FROM repositories WHERE name = $1", repository.as_str());
    Ok(row.is_some())
}

/// Locks the repository until commit, so that its versions, tags and manifests stay as read: two pushes to
/// one workload never decide at the same time. Answers the sequence number of its last version, 0 without one, and
/// `None` if there is no such repository.
pub async fn lock_repository(tx: &mut Tx, repository: &Workload) -> Result<Option<i64>> {
    let sql = "UPDATE repositories SET last_sequence = last_sequence WHERE name = $1 RETURNING last_sequence";
    let row: Option<(i64,)> = optional!(tx, sql, repository.as_str());
    Ok(row.map(|(sequence,)| sequence))
}

/// Records the sequence number of a new version in a repository that is locked.
pub async fn set_last_sequence(tx: &mut Tx, repository: &Workload, sequence: i64) -> Result<()> {
    execute!(tx, "UPDATE repositories SET last_sequence = $2 WHERE name = $1", repository.as_str(), sequence);
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
               WHERE last_sequence > 0 AND name > $1 AND ($2 IS NULL OR namespace = $2) ORDER BY name LIMIT $3";
    let rows: Vec<(String, i64)> = all!(tx, sql, after, namespace.map(Namespace::as_str), limit);
    rows.into_iter().map(|(name, versions)| Ok((read("repositories", &name)?, versions))).collect()
}
