//! Policies as they were applied, and freezes.

use super::{
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::Result,
    model::{
        digest::Digest,
        name::{PrincipalName, Workload},
        stage::Stage,
    },
};
use chrono::{DateTime, Utc};

pub struct PolicyRow {
    pub scope: String,
    pub number: i64,
    /// `None`: the scope has no policy of its own any more.
    pub digest: Option<Digest>,
    pub applied_at: DateTime<Utc>,
    pub applied_by: PrincipalName,
}

type Row = (String, i64, Option<String>, DateTime<Utc>, String);

fn policy((scope, number, digest, applied_at, applied_by): Row) -> Result<PolicyRow> {
    let digest = digest.map(|digest| read("policies", &digest)).transpose()?;
    Ok(PolicyRow { scope, number, digest, applied_at, applied_by: read("policies", &applied_by)? })
}

/// The policies that hold for a scope: of the registry, the namespace, the workload, in that order, where there are any.
pub async fn levels(tx: &mut Tx, scope: &str) -> Result<Vec<(String, Digest)>> {
    let namespace = scope.split('/').next().unwrap_or_default();
    let sql =
        "SELECT p.scope, p.digest FROM policies p WHERE p.scope IN ('*', $1, $2) AND p.digest IS NOT NULL
               AND p.number = (SELECT MAX(q.number) FROM policies q WHERE q.scope = p.scope)";
    let rows: Vec<(String, String)> = all!(tx, sql, namespace, scope);
    let mut levels = Vec::with_capacity(rows.len());
    for (scope, digest) in rows {
        levels.push((scope, read("policies", &digest)?));
    }
    levels.sort_by_key(|(scope, _): &(String, Digest)| (scope != "*", scope.contains('/')));
    Ok(levels)
}

/// The policies of the registry, and of the scopes from one name to another, with both.
pub async fn levels_between(tx: &mut Tx, (first, last): (&str, &str)) -> Result<Vec<(String, Digest)>> {
    let sql = "SELECT p.scope, p.digest FROM policies p
               WHERE (p.scope = '*' OR p.scope >= $1 AND p.scope <= $2) AND p.digest IS NOT NULL
               AND p.number = (SELECT MAX(q.number) FROM policies q WHERE q.scope = p.scope)";
    let rows: Vec<(String, String)> = all!(tx, sql, first, last);
    rows.into_iter().map(|(scope, digest)| Ok((scope, read("policies", &digest)?))).collect()
}

/// Records what holds for a scope from now on. Answers the number, or `None` when it held already. The scope's head is
/// read and written under the log's lock.
pub async fn apply(
    tx: &mut Tx,
    scope: &str,
    digest: Option<&Digest>,
    at: DateTime<Utc>,
    by: &PrincipalName,
    position: i64,
) -> Result<Option<i64>> {
    let last = history(tx, scope, 1).await?.into_iter().next();
    if last.as_ref().and_then(|row| row.digest.as_ref()) == digest {
        return Ok(None);
    }
    let number = last.map_or(0, |row| row.number) + 1;
    let sql = "INSERT INTO policies (scope, number, digest, applied_at, applied_by, position) VALUES ($1, $2, $3, $4, $5, $6)";
    execute!(tx, sql, scope, number, digest.map(Digest::as_str), at, by.as_str(), position);
    Ok(Some(number))
}

/// What was applied to a scope, newest first.
pub async fn history(tx: &mut Tx, scope: &str, limit: i64) -> Result<Vec<PolicyRow>> {
    let sql = "SELECT scope, number, digest, applied_at, applied_by FROM policies WHERE scope = $1
               ORDER BY number DESC LIMIT $2";
    let rows: Vec<Row> = all!(tx, sql, scope, limit);
    rows.into_iter().map(policy).collect()
}

/// Scopes below one that have a policy of their own.
pub async fn scopes_below(tx: &mut Tx, scope: &str, limit: i64) -> Result<Vec<String>> {
    let sql = "SELECT p.scope FROM policies p WHERE p.scope <> $1 AND p.scope <> '*' AND p.digest IS NOT NULL
               AND ($1 = '*' OR SUBSTR(p.scope, 1, LENGTH($1) + 1) = $1 || '/')
               AND p.number = (SELECT MAX(q.number) FROM policies q WHERE q.scope = p.scope) ORDER BY p.scope LIMIT $2";
    let rows: Vec<(String,)> = all!(tx, sql, scope, limit);
    Ok(rows.into_iter().map(|(scope,)| scope).collect())
}

/// A workload within the scope that has an alias of this name, or whose stage of this name holds a version.
pub async fn workload_with_alias(tx: &mut Tx, scope: &str, alias: &str) -> Result<Option<Workload>> {
    let sql = "SELECT t.repository FROM tags t JOIN repositories r ON r.name = t.repository
               WHERE t.tag = $1 AND ($2 = '*' OR r.namespace = $2 OR r.name = $2) LIMIT 1";
    let row: Option<(String,)> = optional!(tx, sql, alias, scope);
    row.map(|(name,)| read("tags", &name)).transpose()
}

pub struct FreezeRow {
    pub id: String,
    pub scope: String,
    /// `None`: every stage after the first, or the only one.
    pub stage: Option<Stage>,
    pub made_at: DateTime<Utc>,
    pub made_by: PrincipalName,
    pub until: Option<DateTime<Utc>>,
    pub reason: String,
}

pub async fn insert_freeze(tx: &mut Tx, row: &FreezeRow) -> Result<()> {
    let sql = "INSERT INTO freezes (id, scope, stage, made_at, made_by, until_at, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let stage = row.stage.as_ref().map(Stage::as_str);
    execute!(tx, sql, &row.id, &row.scope, stage, row.made_at, row.made_by.as_str(), row.until, &row.reason);
    Ok(())
}

/// Ends a freeze. Answers false if it had ended.
pub async fn lift_freeze(tx: &mut Tx, id: &str, at: DateTime<Utc>, by: &PrincipalName) -> Result<bool> {
    let sql = "UPDATE freezes SET lifted_at = $2, lifted_by = $3 WHERE id = $1 AND lifted_at IS NULL";
    Ok(execute!(tx, sql, id, at, by.as_str()) == 1)
}

type FreezeColumns = (String, String, Option<String>, DateTime<Utc>, String, Option<DateTime<Utc>>, String);

fn freeze((id, scope, stage, made_at, made_by, until, reason): FreezeColumns) -> Result<FreezeRow> {
    let stage = stage.map(|stage| read("freezes", &stage)).transpose()?;
    Ok(FreezeRow { id, scope, stage, made_at, made_by: read("freezes", &made_by)?, until, reason })
}

/// Freezes of the registry, and of the scopes from one name to another, with both, that are not over.
pub async fn freezes_between(
    tx: &mut Tx,
    (first, last): (&str, &str),
    now: DateTime<Utc>,
) -> Result<Vec<FreezeRow>> {
    let sql = "SELECT id, scope, stage, made_at, made_by, until_at, reason FROM freezes
               WHERE (scope = '*' OR scope >= $1 AND scope <= $2) AND lifted_at IS NULL
               AND (until_at IS NULL OR until_at > $3)";
    let mut rows: Vec<FreezeColumns> = all!(tx, sql, first, last, now);
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    rows.into_iter().map(freeze).collect()
}

/// Freezes of a scope and of those around it that are not over.
pub async fn freezes(tx: &mut Tx, scope: &str, now: DateTime<Utc>) -> Result<Vec<FreezeRow>> {
    let namespace = scope.split('/').next().unwrap_or_default();
    let sql = "SELECT id, scope, stage, made_at, made_by, until_at, reason FROM freezes
               WHERE scope IN ('*', $1, $2) AND lifted_at IS NULL AND (until_at IS NULL OR until_at > $3) ORDER BY id";
    let rows: Vec<FreezeColumns> = all!(tx, sql, namespace, scope, now);
    rows.into_iter().map(freeze).collect()
}
