//! What is not to be promoted, with everything made from it. Not to be confused with blobs that are set aside as rotten.

use super::{
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::Result,
    model::{
        access::EVERYWHERE,
        lineage::{Root, RootKind},
        name::{Namespace, PrincipalName, Workload},
        version::Version,
    },
};
use chrono::{DateTime, Utc};

#[derive(Clone, Debug)]
pub struct QuarantineRow {
    pub id: String,
    /// `*` or a namespace.
    pub scope: String,
    pub root: Root,
    /// Of a version: how it was named.
    pub named: Option<(Workload, Version)>,
    pub reason: String,
    pub set_at: DateTime<Utc>,
    pub set_by: PrincipalName,
    pub cleared_at: Option<DateTime<Utc>>,
    pub cleared_by: Option<PrincipalName>,
    pub cleared_because: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    scope: String,
    root: String,
    value: String,
    workload: Option<String>,
    version: Option<String>,
    reason: String,
    set_at: DateTime<Utc>,
    set_by: String,
    cleared_at: Option<DateTime<Utc>>,
    cleared_by: Option<String>,
    cleared_because: Option<String>,
}

fn quarantine(row: Row) -> Result<QuarantineRow> {
    let kind: RootKind = read("quarantines", &row.root)?;
    let named = match row.workload.zip(row.version) {
        Some((workload, version)) => Some((read("quarantines", &workload)?, read("quarantines", &version)?)),
        None => None,
    };
    Ok(QuarantineRow {
        id: row.id,
        scope: row.scope,
        root: Root { kind, value: row.value },
        named,
        reason: row.reason,
        set_at: row.set_at,
        set_by: read("quarantines", &row.set_by)?,
        cleared_at: row.cleared_at,
        cleared_by: row.cleared_by.map(|by| read("quarantines", &by)).transpose()?,
        cleared_because: row.cleared_because,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, scope, root, value, workload, version, reason, set_at, set_by, cleared_at, cleared_by, ",
            "cleared_because FROM quarantines ",
            $rest
        )
    };
}

/// Answers false if the same is in quarantine there already.
pub async fn insert(tx: &mut Tx, row: &QuarantineRow) -> Result<bool> {
    let sql = "INSERT INTO quarantines (id, scope, root, value, workload, version, reason, set_at, set_by)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";
    let inserted = execute!(
        tx,
        sql,
        &row.id,
        &row.scope,
        row.root.kind.name(),
        &row.root.value,
        row.named.as_ref().map(|(workload, _)| workload.as_str()),
        row.named.as_ref().map(|(_, version)| version.to_string()),
        &row.reason,
        row.set_at,
        row.set_by.as_str(),
    );
    Ok(inserted == 1)
}

/// Ends a quarantine. Answers false if it had ended.
pub async fn clear(
    tx: &mut Tx,
    id: &str,
    at: DateTime<Utc>,
    by: &PrincipalName,
    because: &str,
) -> Result<bool> {
    let sql = "UPDATE quarantines SET cleared_at = $2, cleared_by = $3, cleared_because = $4
               WHERE id = $1 AND cleared_at IS NULL";
    Ok(execute!(tx, sql, id, at, by.as_str(), because) == 1)
}

/// Whether anything at all is in quarantine.
pub async fn any(tx: &mut Tx) -> Result<bool> {
    let sql = "SELECT id FROM quarantines WHERE cleared_at IS NULL LIMIT 1";
    let row: Option<(String,)> = optional!(tx, sql);
    Ok(row.is_some())
}

/// Whether anything stands in a namespace.
pub async fn any_in(tx: &mut Tx, namespace: &Namespace) -> Result<bool> {
    let sql = "SELECT id FROM quarantines WHERE cleared_at IS NULL AND scope IN ($1, $2) LIMIT 1";
    let row: Option<(String,)> = optional!(tx, sql, EVERYWHERE, namespace.as_str());
    Ok(row.is_some())
}

/// What stands of one root, wherever it was set.
pub async fn of_root(tx: &mut Tx, root: &Root) -> Result<Vec<QuarantineRow>> {
    let sql = select!("WHERE root = $1 AND value = $2 AND cleared_at IS NULL ORDER BY id LIMIT 1000");
    let rows: Vec<Row> = all!(tx, sql, root.kind.name(), &root.value);
    rows.into_iter().map(quarantine).collect()
}

/// How much of one scope may stand at a time.
pub const STANDING_MAX: i64 = 1000;

/// What stands in a namespace: its own, and that of the whole registry.
pub async fn standing(tx: &mut Tx, namespace: &Namespace) -> Result<Vec<QuarantineRow>> {
    let sql = select!("WHERE cleared_at IS NULL AND scope IN ($1, $2) ORDER BY id LIMIT $3");
    let rows: Vec<Row> = all!(tx, sql, EVERYWHERE, namespace.as_str(), 2 * STANDING_MAX);
    rows.into_iter().map(quarantine).collect()
}

/// How many stand of a scope.
pub async fn count(tx: &mut Tx, scope: &str) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM quarantines WHERE scope = $1 AND cleared_at IS NULL";
    let row: Option<(i64,)> = optional!(tx, sql, scope);
    Ok(row.map_or(0, |(count,)| count))
}

/// All after an id, oldest first; without `cleared` only what stands.
pub async fn list(tx: &mut Tx, cleared: bool, after: &str, limit: i64) -> Result<Vec<QuarantineRow>> {
    let sql = select!("WHERE id > $1 AND ($2 OR cleared_at IS NULL) ORDER BY id LIMIT $3");
    let rows: Vec<Row> = all!(tx, sql, after, cleared, limit);
    rows.into_iter().map(quarantine).collect()
}
