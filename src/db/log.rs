//! The event log: append-only, gap-free, in commit order, and a Merkle tree over it that grows with it.

use super::{
    outbox, to_sql,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::{Error, Result},
    model::{
        event::{Change, Event},
        merkle::{self, Frontier, Hash, TILE},
        name::PrincipalName,
    },
};
use chrono::{DateTime, Utc};

/// What an operator does about a log whose parts do not fit.
const DAMAGED: &str = "gradus audit verify names what is wrong";

fn no_head() -> Error {
    Error::corrupt("log_head", 1, "the row is missing")
}

fn of_sql(value: i64) -> Result<u64> {
    u64::try_from(value).map_err(|_| Error::corrupt("log_head", 1, "a number is negative"))
}

/// Makes the one row that orders the log. Answers false if it is there already.
pub async fn initialise(tx: &mut Tx, key_id: &str) -> Result<bool> {
    let sql = "INSERT INTO log_head (id, position, frontier, key_id) VALUES (1, 0, $2, $1) ON CONFLICT (id) DO NOTHING";
    Ok(execute!(tx, sql, key_id, Vec::<u8>::new()) == 1)
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
    let sql = "UPDATE log_head SET position = position + $1 WHERE id = 1 RETURNING position, frontier, epoch, hooks";
    let row: Option<(i64, Vec<u8>, i64, i64)> = optional!(tx, sql, count);
    let (length, frontier, of_epoch, hooks) = row.ok_or_else(no_head)?;
    let first = length - count;
    let (start, epoch) = (of_sql(first)?, of_sql(of_epoch)?);
    let hooks = outbox::subscriptions(tx, hooks).await?;
    let mut frontier = Frontier::from_bytes(start, &frontier).ok_or_else(|| {
        Error::corrupt("log_head", 1, "the frontier is not that of a tree of this size").hint(DAMAGED)
    })?;
    for (position, change) in (first..).zip(changes) {
        let namespace = change.namespace();
        let workload = change.workload().map(ToString::to_string);
        let event = Event { position, at, actor: actor.clone(), change };
        let (kind, bytes) = (event.change.kind(), event.to_bytes()?);
        frontier.push(merkle::leaf(&bytes));
        let checkpoint = if position + 1 == length { tx.checkpoint(epoch, start, &frontier) } else { None };
        let sql = "INSERT INTO events (position, bytes, kind, namespace, workload, checkpoint)
                   VALUES ($1, $2, $3, $4, $5, $6)";
        execute!(tx, sql, position, bytes, kind, &namespace, &workload, checkpoint);
        outbox::enqueue(tx, &hooks, &event, of_epoch).await?;
        if frontier.size().is_multiple_of(TILE) {
            fill_tiles(tx, frontier.size()).await?;
        }
    }
    let sql = "UPDATE log_head SET frontier = $1, latest = CASE WHEN latest > $2 THEN latest ELSE $2 END WHERE id = 1";
    execute!(tx, sql, frontier.to_bytes(), at);
    tx.length = Some(length);
    Ok(length)
}

/// Writes the tiles that are full now that the tree has this size.
async fn fill_tiles(tx: &mut Tx, size: u64) -> Result<()> {
    let (mut level, mut entries) = (0, size);
    while entries > 0 && entries.is_multiple_of(TILE) {
        entries /= TILE;
        let number = entries - 1;
        let hashes = if level == 0 {
            leaves(tx, number * TILE, TILE).await?
        } else {
            let mut roots = Vec::new();
            for below in number * TILE..(number + 1) * TILE {
                roots.push(tile_root(&full_tile(tx, level - 1, below).await?));
            }
            roots
        };
        put_tile(tx, level, number, &hashes).await?;
        level += 1;
    }
    Ok(())
}

pub async fn put_tile(tx: &mut Tx, level: u32, number: u64, hashes: &[Hash]) -> Result<()> {
    let sql = "INSERT INTO log_tiles (level, number, hashes) VALUES ($1, $2, $3)";
    execute!(tx, sql, i64::from(level), to_sql(number)?, hashes.concat());
    Ok(())
}

/// The root over the hashes of a full tile.
pub fn tile_root(hashes: &[Hash]) -> Hash {
    let mut tree = Frontier::default();
    hashes.iter().for_each(|hash| tree.push(*hash));
    tree.root()
}

/// A full tile, if it was filled.
pub async fn tile(tx: &mut Tx, level: u32, number: u64) -> Result<Option<Vec<Hash>>> {
    let sql = "SELECT hashes FROM log_tiles WHERE level = $1 AND number = $2";
    let row: Option<(Vec<u8>,)> = optional!(tx, sql, i64::from(level), to_sql(number)?);
    let whole = |(bytes,): (Vec<u8>,)| match bytes.as_chunks::<32>() {
        (hashes, []) if hashes.len() as u64 == TILE => Ok(hashes.to_vec()),
        _ => Err(bad_tile(level, number, "a full tile has not 256 hashes")),
    };
    row.map(whole).transpose()
}

/// A tile that must have been filled.
pub async fn full_tile(tx: &mut Tx, level: u32, number: u64) -> Result<Vec<Hash>> {
    tile(tx, level, number).await?.ok_or_else(|| bad_tile(level, number, "a full tile is missing"))
}

fn bad_tile(level: u32, number: u64, what: &str) -> Error {
    Error::corrupt("log_tiles", format!("{level}/{number}"), what).hint(DAMAGED)
}

/// The hashes of `count` events from `first` on, which must be there.
pub async fn leaves(tx: &mut Tx, first: u64, count: u64) -> Result<Vec<Hash>> {
    let entries = entries(tx, first, count).await?;
    for (index, expected) in (first..first + count).enumerate() {
        if entries.get(index).map(|entry| entry.0) != Some(to_sql(expected)?) {
            return Err(Error::corrupt("events", expected, "the entry is missing").hint(DAMAGED));
        }
    }
    Ok(entries.iter().map(|(_, bytes, _)| merkle::leaf(bytes)).collect())
}

/// Events from `first` on as stored: position, bytes, and the checkpoint where one was made. In SQLite somebody may have made a
/// position a fraction, which is none.
pub async fn entries(tx: &mut Tx, first: u64, count: u64) -> Result<Vec<(i64, Vec<u8>, Option<Vec<u8>>)>> {
    let sql = "SELECT position, bytes, checkpoint FROM events
               WHERE position >= $1 AND position = CAST(position AS BIGINT) ORDER BY position LIMIT $2";
    Ok(all!(tx, sql, to_sql(first)?, to_sql(count)?))
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

/// The log's length and the time of its last event.
pub async fn head(tx: &mut Tx) -> Result<(i64, Option<DateTime<Utc>>)> {
    let row: Option<(i64, Option<DateTime<Utc>>)> =
        optional!(tx, "SELECT position, latest FROM log_head WHERE id = 1");
    row.ok_or_else(no_head)
}

/// Gives the head the time of the latest event.
pub async fn put_latest(tx: &mut Tx, at: DateTime<Utc>) -> Result<()> {
    execute!(tx, "UPDATE log_head SET latest = $1 WHERE id = 1", at);
    Ok(())
}

/// The head as it is stored.
pub struct Head {
    pub size: u64,
    pub frontier: Vec<u8>,
    pub epoch: u64,
    /// The time of the last event.
    pub latest: Option<DateTime<Utc>>,
}

type HeadRow = (i64, Vec<u8>, i64, Option<DateTime<Utc>>);

pub async fn stored_head(tx: &mut Tx) -> Result<Head> {
    let row: Option<HeadRow> =
        optional!(tx, "SELECT position, frontier, epoch, latest FROM log_head WHERE id = 1");
    let (size, frontier, epoch, latest) = row.ok_or_else(no_head)?;
    Ok(Head { size: of_sql(size)?, frontier, epoch: of_sql(epoch)?, latest })
}

/// Takes the head's lock early, for a change whose check must not race another's: nothing else is committed until this
/// transaction is. Answers the log's length and the time of its last event.
pub async fn lock(tx: &mut Tx) -> Result<(i64, Option<DateTime<Utc>>)> {
    let sql = "UPDATE log_head SET position = position WHERE id = 1 RETURNING position, latest";
    let row: Option<(i64, Option<DateTime<Utc>>)> = optional!(tx, sql);
    row.ok_or_else(no_head)
}
