//! Deliveries to hooks: lanes that workers take by lease, what is next in one, what came of it.

use super::{
    read,
    tx::{Inner, Tx, all, execute, optional},
};
use crate::{
    error::Result,
    model::hook::{DeliveryState, HookState, TEST_LANE},
};
use chrono::{DateTime, Utc};

pub struct DeliveryRow {
    pub hook: String,
    /// Of the event.
    pub position: i64,
    pub epoch: i64,
    pub kind: String,
    pub lane: String,
    pub state: DeliveryState,
    pub attempts: i64,
    pub queued_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// What is to be sent next in a lane.
#[derive(Debug)]
pub struct Due {
    pub position: i64,
    pub epoch: i64,
    /// Attempts so far, and how many failed since it was queued.
    pub attempts: i64,
    pub failed: i64,
    /// The entry of the log.
    pub event: Vec<u8>,
}

#[derive(sqlx::FromRow)]
pub struct AttemptRow {
    pub number: i64,
    pub started_at: DateTime<Utc>,
    pub millis: i64,
    pub request_digest: String,
    pub request_bytes: i64,
    pub status: Option<i64>,
    pub error: Option<String>,
    pub answer_digest: Option<String>,
    pub answer_bytes: Option<i64>,
    pub answer: Option<String>,
}

/// Hooks that have something to send now. Those that are paused send tests only.
pub async fn due_hooks(tx: &mut Tx, now: DateTime<Utc>) -> Result<Vec<String>> {
    let sql = "SELECT h.id FROM hooks h WHERE h.removed_at IS NULL AND EXISTS (
                   SELECT 1 FROM lanes l WHERE l.hook = h.id AND l.due_at <= $1 AND (h.state = 'active' OR l.lane = $2)
               )";
    let rows: Vec<(String,)> = all!(tx, sql, now, TEST_LANE);
    Ok(rows.into_iter().map(|(hook,)| hook).collect())
}

/// When something is due next, of hooks that send.
pub async fn next_due(tx: &mut Tx) -> Result<Option<DateTime<Utc>>> {
    let sql = "SELECT MIN(l.due_at) FROM lanes l JOIN hooks h ON h.id = l.hook
               WHERE h.removed_at IS NULL AND (h.state = 'active' OR l.lane = $1)";
    let row: Option<(Option<DateTime<Utc>>,)> = optional!(tx, sql, TEST_LANE);
    Ok(row.and_then(|(due,)| due))
}

/// Takes lanes of a hook that are due, until the lease ends. Two workers at once do not get the same: whoever comes second
/// finds the lane not due any more.
pub async fn claim(
    tx: &mut Tx,
    hook: &str,
    lease: &str,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<String>> {
    let sql = match &tx.inner {
        Inner::Sqlite(_) => {
            "UPDATE lanes SET lease = $2, due_at = $4 WHERE hook = $1 AND due_at <= $3 AND lane IN (
                 SELECT l.lane FROM lanes l JOIN hooks h ON h.id = l.hook
                 WHERE l.hook = $1 AND l.due_at <= $3 AND (h.state = 'active' OR l.lane = $6)
                 ORDER BY l.due_at LIMIT $5
             ) RETURNING lane"
        }
        // Locked in the order in which everybody takes lanes, not as they are found.
        Inner::Postgres(_) => {
            "UPDATE lanes SET lease = $2, due_at = $4 WHERE hook = $1 AND due_at <= $3 AND lane IN (
                 SELECT o.lane FROM lanes o WHERE o.hook = $1 AND o.lane IN (
                     SELECT l.lane FROM lanes l JOIN hooks h ON h.id = l.hook
                     WHERE l.hook = $1 AND l.due_at <= $3 AND (h.state = 'active' OR l.lane = $6)
                     ORDER BY l.due_at LIMIT $5
                 ) ORDER BY o.lane FOR UPDATE
             ) RETURNING lane"
        }
    };
    let rows: Vec<(String,)> = all!(tx, sql, hook, lease, now, until, limit, TEST_LANE);
    Ok(rows.into_iter().map(|(lane,)| lane).collect())
}

/// Locks a lane for who holds its lease, and prolongs it. Answers how the hook stands; `None`: another worker has the lane
/// now, or the hook is gone.
pub async fn hold(
    tx: &mut Tx,
    hook: &str,
    lane: &str,
    lease: &str,
    until: DateTime<Utc>,
) -> Result<Option<HookState>> {
    let sql = "UPDATE lanes SET due_at = $4 WHERE hook = $1 AND lane = $2 AND lease = $3
               RETURNING (SELECT h.state FROM hooks h WHERE h.id = $1)";
    let row: Option<(String,)> = optional!(tx, sql, hook, lane, lease, until);
    row.map(|(state,)| read("hooks", &state)).transpose()
}

/// Gives a lane back, to be looked at again at a time.
pub async fn release(tx: &mut Tx, hook: &str, lane: &str, due: DateTime<Utc>) -> Result<()> {
    let sql = "UPDATE lanes SET due_at = $3, lease = NULL WHERE hook = $1 AND lane = $2";
    execute!(tx, sql, hook, lane, due);
    Ok(())
}

/// Gives back all lanes that somebody holds.
pub async fn release_all(tx: &mut Tx, now: DateTime<Utc>) -> Result<()> {
    execute!(tx, "UPDATE lanes SET lease = NULL, due_at = $1 WHERE lease IS NOT NULL", now);
    Ok(())
}

/// Ends a lane that has nothing more to send. Whoever queues something waits for its row and makes it anew.
pub async fn close(tx: &mut Tx, hook: &str, lane: &str) -> Result<()> {
    execute!(tx, "DELETE FROM lanes WHERE hook = $1 AND lane = $2", hook, lane);
    Ok(())
}

/// The oldest that is pending in a lane.
pub async fn next(tx: &mut Tx, hook: &str, lane: &str) -> Result<Option<Due>> {
    let sql = "SELECT d.position, d.epoch, d.attempts, d.failed, e.bytes FROM deliveries d
               JOIN events e ON e.position = d.position
               WHERE d.hook = $1 AND d.lane = $2 AND d.state = 'pending' ORDER BY d.position LIMIT 1";
    let row: Option<(i64, i64, i64, i64, Vec<u8>)> = optional!(tx, sql, hook, lane);
    Ok(row.map(|(position, epoch, attempts, failed, event)| Due { position, epoch, attempts, failed, event }))
}

/// Records an attempt, and what has become of the delivery by it.
pub async fn record(
    tx: &mut Tx,
    hook: &str,
    position: i64,
    attempt: &AttemptRow,
    state: DeliveryState,
    failed: i64,
    ended_at: Option<DateTime<Utc>>,
) -> Result<()> {
    let sql = "UPDATE deliveries SET attempts = $3, state = $4, failed = $5, ended_at = $6
               WHERE hook = $1 AND position = $2";
    execute!(tx, sql, hook, position, attempt.number, state.name(), failed, ended_at);
    let sql =
        "INSERT INTO attempts (hook, position, number, started_at, millis, request_digest, request_bytes,
                   status, error, answer_digest, answer_bytes, answer)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    execute!(
        tx,
        sql,
        hook,
        position,
        attempt.number,
        attempt.started_at,
        attempt.millis,
        &attempt.request_digest,
        attempt.request_bytes,
        attempt.status,
        &attempt.error,
        &attempt.answer_digest,
        attempt.answer_bytes,
        &attempt.answer
    );
    Ok(())
}

/// The hooks for which something waits since before a time.
pub async fn with_old(tx: &mut Tx, before: DateTime<Utc>) -> Result<Vec<String>> {
    let sql = "SELECT DISTINCT hook FROM deliveries WHERE state = 'pending' AND queued_at < $1 ORDER BY hook";
    let rows: Vec<(String,)> = all!(tx, sql, before);
    Ok(rows.into_iter().map(|(hook,)| hook).collect())
}

/// Gives up some of what a hook was to be sent and waits since before a time. Answers how many.
pub async fn give_up(
    tx: &mut Tx,
    hook: &str,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<u64> {
    let sql = "UPDATE deliveries SET state = 'dead', ended_at = $3 WHERE hook = $1 AND position IN (
                   SELECT position FROM deliveries
                   WHERE hook = $1 AND state = 'pending' AND queued_at < $2 AND lane NOT IN (
                       SELECT lane FROM lanes WHERE hook = $1 AND lease IS NOT NULL AND due_at > $3)
                   ORDER BY position LIMIT $4)";
    Ok(execute!(tx, sql, hook, before, now, limit))
}

/// Queues a delivery anew that has ended. False: there is none, or it has not ended.
pub async fn replay(tx: &mut Tx, hook: &str, position: i64, lane: &str, now: DateTime<Utc>) -> Result<bool> {
    let sql = "UPDATE deliveries SET state = 'pending', failed = 0, queued_at = $3, ended_at = NULL
               WHERE hook = $1 AND position = $2 AND state <> 'pending'";
    if execute!(tx, sql, hook, position, now) == 0 {
        return Ok(false);
    }
    tx.lanes.entry((hook.to_owned(), lane.to_owned())).or_insert(now);
    Ok(true)
}

/// Locks all lanes of a hook, in the order in which everybody takes them. On SQLite a transaction that writes is alone anyway.
pub(super) async fn lock_lanes(tx: &mut Tx, hook: &str) -> Result<()> {
    if let Inner::Postgres(tx) = &mut tx.inner {
        let sql = "SELECT 1 FROM lanes WHERE hook = $1 ORDER BY lane FOR UPDATE";
        sqlx::query(sql).bind(hook).execute(&mut **tx).await?;
    }
    Ok(())
}

/// What waits to be tried again is due now.
pub async fn hurry(tx: &mut Tx, hook: &str, now: DateTime<Utc>) -> Result<()> {
    lock_lanes(tx, hook).await?;
    let sql = "UPDATE lanes SET due_at = $2 WHERE hook = $1 AND lease IS NULL AND due_at > $2";
    execute!(tx, sql, hook, now);
    Ok(())
}

type Row = (i64, i64, String, String, String, i64, DateTime<Utc>, Option<DateTime<Utc>>);

fn delivery(hook: &str, row: Row) -> Result<DeliveryRow> {
    let (position, epoch, kind, lane, state, attempts, queued_at, ended_at) = row;
    let state = read("deliveries", &state)?;
    Ok(DeliveryRow {
        hook: hook.to_owned(),
        position,
        epoch,
        kind,
        lane,
        state,
        attempts,
        queued_at,
        ended_at,
    })
}

pub async fn find(tx: &mut Tx, hook: &str, position: i64) -> Result<Option<DeliveryRow>> {
    let sql = "SELECT d.position, d.epoch, e.kind, d.lane, d.state, d.attempts, d.queued_at, d.ended_at
               FROM deliveries d JOIN events e ON e.position = d.position WHERE d.hook = $1 AND d.position = $2";
    let row: Option<Row> = optional!(tx, sql, hook, position);
    row.map(|row| delivery(hook, row)).transpose()
}

/// Deliveries of a hook about events before a position, newest first.
pub async fn list(
    tx: &mut Tx,
    hook: &str,
    state: Option<DeliveryState>,
    before: i64,
    limit: i64,
) -> Result<Vec<DeliveryRow>> {
    let sql = "SELECT d.position, d.epoch, e.kind, d.lane, d.state, d.attempts, d.queued_at, d.ended_at
               FROM deliveries d JOIN events e ON e.position = d.position
               WHERE d.hook = $1 AND d.position < $2 AND ($3 IS NULL OR d.state = $3)
               ORDER BY d.position DESC LIMIT $4";
    let rows: Vec<Row> = all!(tx, sql, hook, before, state.map(DeliveryState::name), limit);
    rows.into_iter().map(|row| delivery(hook, row)).collect()
}

/// The last attempts of a delivery, oldest first.
pub async fn attempts(tx: &mut Tx, hook: &str, position: i64, limit: i64) -> Result<Vec<AttemptRow>> {
    let sql =
        "SELECT number, started_at, millis, request_digest, request_bytes, status, error, answer_digest,
                   answer_bytes, answer
               FROM attempts WHERE hook = $1 AND position = $2 ORDER BY number DESC LIMIT $3";
    let mut rows: Vec<AttemptRow> = all!(tx, sql, hook, position, limit);
    rows.reverse();
    Ok(rows)
}

/// How many are pending: of one hook, or of all.
pub async fn count_pending(tx: &mut Tx, hook: Option<&str>) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM deliveries WHERE state = 'pending' AND ($1 IS NULL OR hook = $1)";
    let row: Option<(i64,)> = optional!(tx, sql, hook);
    Ok(row.map_or(0, |(count,)| count))
}

/// How many of a hook were given up and are still kept.
pub async fn count_dead(tx: &mut Tx, hook: &str) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM deliveries WHERE hook = $1 AND state = 'dead'";
    let row: Option<(i64,)> = optional!(tx, sql, hook);
    Ok(row.map_or(0, |(count,)| count))
}

/// Forgets some of what ended before a time. Answers how many.
pub async fn prune(tx: &mut Tx, before: DateTime<Utc>, limit: i64) -> Result<u64> {
    let sql = "DELETE FROM deliveries WHERE ended_at < $1 AND (hook, position) IN (
                   SELECT hook, position FROM deliveries WHERE ended_at < $1 ORDER BY ended_at LIMIT $2)";
    Ok(execute!(tx, sql, before, limit))
}
