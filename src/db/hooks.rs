//! Hooks: what each listens to, where it sends, how it stands.

use super::{
    deliveries, read,
    tx::{Inner, Tx, all, execute, optional},
};
use crate::{
    error::Result,
    model::{
        hook::{Filter, HookState, Subscription},
        name::PrincipalName,
        scope::Scope,
    },
};
use chrono::{DateTime, Utc};

#[derive(Clone)]
pub struct HookRow {
    pub id: String,
    pub scope: Scope,
    pub filter: Filter,
    /// What may be seen of where it sends to.
    pub shown: String,
    /// Where it sends to and its secrets, sealed.
    pub target: Vec<u8>,
    pub state: HookState,
    pub reason: Option<String>,
    /// Nothing was delivered since then, and something failed.
    pub failing_since: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub created_by: PrincipalName,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    scope: String,
    filter: String,
    shown: String,
    target: Vec<u8>,
    state: String,
    reason: Option<String>,
    failing_since: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    created_by: String,
}

fn hook(row: Row) -> Result<HookRow> {
    Ok(HookRow {
        id: row.id,
        scope: read("hooks", &row.scope)?,
        filter: read("hooks", &row.filter)?,
        shown: row.shown,
        target: row.target,
        state: read("hooks", &row.state)?,
        reason: row.reason,
        failing_since: row.failing_since,
        created_at: row.created_at,
        created_by: read("hooks", &row.created_by)?,
    })
}

/// Counts a change of the hooks. Call it under the log's lock, before the event is appended.
pub async fn count_change(tx: &mut Tx) -> Result<()> {
    execute!(tx, "UPDATE log_head SET hooks = hooks + 1 WHERE id = 1");
    tx.hooks_changed = true;
    Ok(())
}

pub async fn insert(tx: &mut Tx, row: &HookRow) -> Result<()> {
    let sql = "INSERT INTO hooks (id, scope, filter, shown, target, state, created_at, created_by)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let (scope, filter) = (row.scope.to_string(), row.filter.to_string());
    execute!(
        tx,
        sql,
        &row.id,
        scope,
        filter,
        &row.shown,
        &row.target,
        row.state.name(),
        row.created_at,
        row.created_by.as_str()
    );
    Ok(())
}

/// Those that events are queued for.
pub(super) async fn subscriptions(tx: &mut Tx) -> Result<Vec<Subscription>> {
    let sql =
        "SELECT id, scope, filter FROM hooks WHERE removed_at IS NULL AND state <> 'disabled' ORDER BY id";
    let rows: Vec<(String, String, String)> = all!(tx, sql);
    let subscription = |(id, scope, filter): (String, String, String)| {
        Ok(Subscription { id, scope: read("hooks", &scope)?, filter: read("hooks", &filter)? })
    };
    rows.into_iter().map(subscription).collect()
}

pub async fn find(tx: &mut Tx, id: &str) -> Result<Option<HookRow>> {
    let sql = "SELECT id, scope, filter, shown, target, state, reason, failing_since, created_at, created_by
               FROM hooks WHERE id = $1 AND removed_at IS NULL";
    let row: Option<Row> = optional!(tx, sql, id);
    row.map(hook).transpose()
}

/// Hooks after an id, of all scopes.
pub async fn list(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<HookRow>> {
    let sql = "SELECT id, scope, filter, shown, target, state, reason, failing_since, created_at, created_by
               FROM hooks WHERE id > $1 AND removed_at IS NULL ORDER BY id LIMIT $2";
    let rows: Vec<Row> = all!(tx, sql, after, limit);
    rows.into_iter().map(hook).collect()
}

/// How many there are of a namespace and its workloads; `*`: for the whole registry.
pub async fn count(tx: &mut Tx, namespace: &str) -> Result<i64> {
    let sql =
        "SELECT COUNT(*) FROM hooks WHERE removed_at IS NULL AND (scope = $1 OR substr(scope, 1, $2) = $3)";
    let inside = format!("{namespace}/");
    let length = i32::try_from(inside.len()).unwrap_or(i32::MAX);
    let row: Option<(i64,)> = optional!(tx, sql, namespace, length, &inside);
    Ok(row.map_or(0, |(count,)| count))
}

/// How many send nothing now.
pub async fn count_stopped(tx: &mut Tx) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM hooks WHERE removed_at IS NULL AND state <> 'active'";
    let row: Option<(i64,)> = optional!(tx, sql);
    Ok(row.map_or(0, |(count,)| count))
}

/// Locks a hook's row to the end of the transaction: before any of its lanes, by whoever touches several. On SQLite a
/// transaction that writes is alone anyway. Events go on to queue for it.
pub async fn lock(tx: &mut Tx, id: &str) -> Result<()> {
    if let Inner::Postgres(tx) = &mut tx.inner {
        let sql = "SELECT 1 FROM hooks WHERE id = $1 FOR NO KEY UPDATE";
        sqlx::query(sql).bind(id).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Changes how a hook stands. Answers false if it stands so already or is gone.
pub async fn set_state(tx: &mut Tx, id: &str, state: HookState, reason: Option<&str>) -> Result<bool> {
    let sql = "UPDATE hooks SET state = $2, reason = $3, failing_since = NULL
               WHERE id = $1 AND state <> $2 AND removed_at IS NULL";
    Ok(execute!(tx, sql, id, state.name(), reason) == 1)
}

pub async fn set_target(tx: &mut Tx, id: &str, target: &[u8]) -> Result<()> {
    execute!(tx, "UPDATE hooks SET target = $2 WHERE id = $1", id, target);
    Ok(())
}

/// Something was delivered: it is not failing any more. Writes only where that is news.
pub async fn recovered(tx: &mut Tx, id: &str) -> Result<()> {
    let sql = "UPDATE hooks SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL";
    execute!(tx, sql, id);
    Ok(())
}

/// Something failed. Answers since when nothing was delivered.
pub async fn failed(tx: &mut Tx, id: &str, at: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    let sql = "UPDATE hooks SET failing_since = $2 WHERE id = $1 AND failing_since IS NULL";
    execute!(tx, sql, id, at);
    let row: Option<(Option<DateTime<Utc>>,)> =
        optional!(tx, "SELECT failing_since FROM hooks WHERE id = $1", id);
    Ok(row.and_then(|(since,)| since))
}

/// Takes a hook away, with its secrets and what was still to be sent; what was sent stays in its log for a while.
pub async fn remove(tx: &mut Tx, id: &str, at: DateTime<Utc>) -> Result<bool> {
    let sql = "UPDATE hooks SET removed_at = $2, target = $3 WHERE id = $1 AND removed_at IS NULL";
    let there = execute!(tx, sql, id, at, Vec::<u8>::new()) == 1;
    if there {
        deliveries::lock_lanes(tx, id).await?;
        execute!(tx, "DELETE FROM deliveries WHERE hook = $1 AND state = 'pending'", id);
        execute!(tx, "DELETE FROM lanes WHERE hook = $1", id);
    }
    Ok(there)
}
