//! The event log: append-only, gap-free, in commit order.

use super::tx::{Tx, all, execute, optional};
use crate::{
    error::{Error, Result},
    model::{
        event::{Change, Event},
        name::PrincipalName,
    },
};
use chrono::{DateTime, Utc};

/// Makes the one row that orders the log. Answers false if it is there already.
pub async fn initialise(tx: &mut Tx, key_id: &str) -> Result<bool> {
    let sql = "INSERT INTO log_head (id, position, key_id) VALUES (1, 0, $1) ON CONFLICT (id) DO NOTHING";
    Ok(execute!(tx, sql, key_id) == 1)
}

/// The id of the keys this registry was started with.
pub async fn key_id(tx: &mut Tx) -> Result<Option<String>> {
    let row: Option<(String,)> = optional!(tx, "SELECT key_id FROM log_head WHERE id = 1");
    Ok(row.map(|(key_id,)| key_id))
}

/// The number of events, or `None` in a registry that was never started.
pub async fn length(tx: &mut Tx) -> Result<Option<i64>> {
    let row: Option<(i64,)> = optional!(tx, "SELECT position FROM log_head WHERE id = 1");
    Ok(row.map(|(position,)| position))
}

/// Appends events. Call it last: it takes the head's lock, which is held to commit.
pub async fn append(
    tx: &mut Tx,
    at: DateTime<Utc>,
    actor: &PrincipalName,
    changes: Vec<Change>,
) -> Result<i64> {
    let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
    let sql = "UPDATE log_head SET position = position + $1 WHERE id = 1 RETURNING position";
    let row: Option<(i64,)> = optional!(tx, sql, count);
    let (length,) = row.ok_or_else(|| Error::corrupt("log_head", 1, "the row is missing"))?;
    for (position, change) in (length - count..).zip(changes) {
        let namespace = change.namespace();
        let workload = change.workload().map(ToString::to_string);
        let event = Event { position, at, actor: actor.clone(), change };
        let kind = kind(&event);
        let sql =
            "INSERT INTO events (position, bytes, kind, namespace, workload) VALUES ($1, $2, $3, $4, $5)";
        execute!(tx, sql, position, event.to_bytes()?, &kind, &namespace, &workload);
    }
    tx.length = Some(length);
    Ok(length)
}

fn kind(event: &Event) -> String {
    serde_json::to_value(&event.change)
        .ok()
        .and_then(|value| value["kind"].as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// Which events to list.
#[derive(Default)]
pub struct Filter<'a> {
    pub namespace: Option<&'a str>,
    pub workload: Option<&'a str>,
    pub kind: Option<&'a str>,
}

/// Events from `from` on, oldest first, as stored.
pub async fn list(tx: &mut Tx, filter: &Filter<'_>, from: i64, limit: i64) -> Result<Vec<(i64, Vec<u8>)>> {
    let sql = "SELECT position, bytes FROM events WHERE position >= $1
               AND ($2 IS NULL OR namespace = $2) AND ($3 IS NULL OR workload = $3) AND ($4 IS NULL OR kind = $4)
               ORDER BY position LIMIT $5";
    Ok(all!(tx, sql, from, filter.namespace, filter.workload, filter.kind, limit))
}

/// Takes the head's lock early, for a change whose check must not race another's.
pub async fn lock(tx: &mut Tx) -> Result<()> {
    execute!(tx, "UPDATE log_head SET position = position WHERE id = 1");
    Ok(())
}
