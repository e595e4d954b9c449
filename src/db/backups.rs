//! Backups being taken, and until when garbage collection is held for them.

use super::tx::{Tx, execute, optional};
use crate::error::Result;
use chrono::{DateTime, Utc};

pub async fn insert(
    tx: &mut Tx,
    id: &str,
    by: &str,
    at: DateTime<Utc>,
    held_until: DateTime<Utc>,
) -> Result<()> {
    let sql = "INSERT INTO backups (id, begun_at, begun_by, held_until) VALUES ($1, $2, $3, $4)";
    execute!(tx, sql, id, at, by, held_until);
    Ok(())
}

/// Whether this backup is still held.
pub async fn is_held(tx: &mut Tx, id: &str, now: DateTime<Utc>) -> Result<bool> {
    let sql = "SELECT id FROM backups WHERE id = $1 AND ended_at IS NULL AND held_until > $2";
    let row: Option<(String,)> = optional!(tx, sql, id, now);
    Ok(row.is_some())
}

/// Until when a backup is held, if any is: the one held longest.
pub async fn held(tx: &mut Tx, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    let sql = "SELECT held_until FROM backups WHERE ended_at IS NULL AND held_until > $1
               ORDER BY held_until DESC LIMIT 1";
    let row: Option<(DateTime<Utc>,)> = optional!(tx, sql, now);
    Ok(row.map(|(until,)| until))
}

/// Holds it longer. Answers false if it is held no more.
pub async fn renew(tx: &mut Tx, id: &str, now: DateTime<Utc>, held_until: DateTime<Utc>) -> Result<bool> {
    let sql = "UPDATE backups SET held_until = $3 WHERE id = $1 AND ended_at IS NULL AND held_until > $2";
    Ok(execute!(tx, sql, id, now, held_until) == 1)
}

/// Answers false if it had ended, or is unknown.
pub async fn end(tx: &mut Tx, id: &str, at: DateTime<Utc>) -> Result<bool> {
    let sql = "UPDATE backups SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL";
    Ok(execute!(tx, sql, id, at) == 1)
}

/// Ends all of them.
pub async fn end_all(tx: &mut Tx, at: DateTime<Utc>) -> Result<()> {
    execute!(tx, "UPDATE backups SET ended_at = $1 WHERE ended_at IS NULL", at);
    Ok(())
}
