//! What going through the whole log reads, many rows at a time.

use super::{
    to_sql,
    tx::{Inner, Tx, all, execute, on, optional},
};
use crate::{
    error::{Error, Result},
    model::{digest::Digest, event::Names, merkle::TILE, note::Kept},
};
use chrono::{DateTime, Utc};

/// Entries in a block. Of more, the text would be so large that memory for it is asked of the kernel each time.
const BLOCK: u64 = TILE;
/// Blocks that one statement reads: each statement costs two changes of thread.
pub const AT_ONCE: u64 = 8;
/// Entries that one statement reads.
pub const BATCH: u64 = AT_ONCE * BLOCK;
/// Documents read at a time.
pub const DOCUMENTS: usize = 16;

/// Between entries, which are JSON without line breaks.
const BREAK: u8 = b'\n';
/// In the place of a checkpoint where none was kept.
const NONE: u8 = b'-';
/// Before whatever is kept that does not look like what we keep now: this and its length, in so many digits. So nothing can be
/// taken for something else, or for what is kept with the next entry.
const OTHER: usize = 1_000_000_000;
const DIGITS: usize = 10;

/// Entries that follow each other, with what is kept beside them and the tile over them. All entries are in one
/// text, all checkpoints in another: a row for each would cost more than hashing them does.
pub struct Block {
    pub first: u64,
    /// Entries there are, and the first and the last position.
    pub count: u64,
    pub ends: Option<(i64, i64)>,
    entries: Vec<u8>,
    checkpoints: Vec<u8>,
    filed: String,
    /// The tile over them, if it is there.
    pub tile: Option<Vec<u8>>,
}

impl Block {
    /// As many as there are, unless one has a line break and so is none of ours.
    pub fn entries(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        let ends = memchr::memchr_iter(BREAK, &self.entries).chain([self.entries.len()]);
        ends.filter(|_| self.count > 0).map(move |end| {
            let entry = &self.entries[start..end];
            start = end + 1;
            entry
        })
    }

    /// What each entry is found by: kind, namespace and workload, empty where there is none, with tabs between them.
    pub fn filed(&self) -> impl Iterator<Item = &str> {
        self.filed.split('\n').filter(|_| self.count > 0)
    }

    /// For each entry the checkpoint kept with it, empty if nothing is. Ends early where that cannot be told apart.
    pub fn checkpoints(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.checkpoints[..];
        std::iter::from_fn(move || {
            let (before, length) = match *rest.first()? {
                NONE => (1, 0),
                Kept::FORMAT => (0, Kept::LENGTH),
                _ => {
                    let digits = std::str::from_utf8(rest.get(..DIGITS)?).ok()?;
                    (DIGITS, digits.parse::<usize>().ok()?.checked_sub(OTHER)?)
                }
            };
            let (one, more) = rest.get(before..)?.split_at_checked(length)?;
            rest = more;
            Some(one)
        })
    }
}

type Row = (
    i64,
    i64,
    Option<i64>,
    Option<i64>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<String>,
    bool,
    Option<Vec<u8>>,
);

/// One block of several that are read by one statement. SQLite takes values of any type: a fraction as a position, and in the
/// place of text bytes, which are more than any text, and are not found where text is asked for.
macro_rules! one_block {
    ($offset:literal) => {
        concat!(
            "SELECT $1 + ",
            $offset,
            ", COUNT(bytes), CAST(MIN(position) AS BIGINT), CAST(MAX(position) AS BIGINT), STRING_AGG(bytes, $3),
               STRING_AGG(CASE WHEN checkpoint IS NULL THEN $4
                   WHEN OCTET_LENGTH(checkpoint) = $11 AND checkpoint >= $9 AND checkpoint < $10 THEN checkpoint
                   ELSE CAST(CAST(1000000000 + OCTET_LENGTH(checkpoint) AS TEXT) AS BYTEA) || checkpoint END, $5),
               STRING_AGG(kind || $7 || COALESCE(namespace, '') || $7 || COALESCE(workload, ''), $8),
               COALESCE(MAX(kind) <> MAX(kind) || '' OR MAX(namespace) <> MAX(namespace) || ''
                   OR MAX(workload) <> MAX(workload) || '', FALSE),
               (SELECT hashes FROM log_tiles WHERE level = 0 AND number = $6 + ",
            $offset,
            " / 256) FROM (SELECT * FROM events
               WHERE position >= $1 + ",
            $offset,
            " AND position < $1 + 256 + ",
            $offset,
            " AND position < $2 ORDER BY position) AS ordered"
        )
    };
}

/// The entries from `first` on, where a block begins, and before `end`: at most [`AT_ONCE`] blocks.
pub async fn blocks(tx: &mut Tx, first: u64, end: u64) -> Result<Vec<Block>> {
    let sql = concat!(
        one_block!("0"),
        " UNION ALL ",
        one_block!("256"),
        " UNION ALL ",
        one_block!("512"),
        " UNION ALL ",
        one_block!("768"),
        " UNION ALL ",
        one_block!("1024"),
        " UNION ALL ",
        one_block!("1280"),
        " UNION ALL ",
        one_block!("1536"),
        " UNION ALL ",
        one_block!("1792"),
    );
    let (from, to, number) = (to_sql(first)?, to_sql(end)?, to_sql(first / TILE)?);
    let (none, ours, length) = (&[NONE][..], Kept::FORMAT, Kept::LENGTH as i64);
    let (ours, after) = (&[ours][..], &[ours + 1][..]);
    let mut rows: Vec<Row> =
        all!(tx, sql, from, to, &[BREAK][..], none, &b""[..], number, "\t", "\n", ours, after, length);
    for (first, count, _, _, _, _, filed, is_no_text, _) in &mut rows {
        let breaks = memchr::memchr_iter(b'\n', filed.as_deref().unwrap_or_default().as_bytes()).count();
        if *is_no_text || breaks as i64 != (*count - 1).max(0) {
            *filed = filed_apart(tx, *first, to).await?;
        }
    }
    let block = |(first, count, least, most, entries, checkpoints, filed, _, tile): Row| Block {
        first: super::from_sql(first),
        count: super::from_sql(count),
        ends: least.zip(most),
        entries: entries.unwrap_or_default(),
        checkpoints: checkpoints.unwrap_or_default(),
        filed: filed.unwrap_or_default(),
        tile,
    };
    let mut blocks: Vec<Block> = rows.into_iter().map(block).filter(|block| block.first < end).collect();
    blocks.sort_by_key(|block| block.first);
    Ok(blocks)
}

/// What the entries of a block are found by, where that is not what it must be: a tab more is with each that has a line break in
/// it or is no text, which no entry says of itself.
async fn filed_apart(tx: &mut Tx, first: i64, end: i64) -> Result<Option<String>> {
    let sql = "SELECT STRING_AGG(REPLACE(kind || $3 || COALESCE(namespace, '') || $3 || COALESCE(workload, '')
                   || CASE WHEN kind <> kind || '' OR namespace <> namespace || '' OR workload <> workload || ''
                      THEN $3 ELSE '' END, $4, $3), $4)
               FROM (SELECT * FROM events WHERE position >= $1 AND position < $1 + 256 AND position < $2
                     ORDER BY position) AS ordered";
    let row: Option<(Option<String>,)> = optional!(tx, sql, first, end, "\t", "\n");
    Ok(row.and_then(|(filed,)| filed))
}

/// The first and the last position there is.
pub async fn ends(tx: &mut Tx) -> Result<Option<(i64, i64)>> {
    let sql = "SELECT CAST(MIN(position) AS BIGINT), CAST(MAX(position) AS BIGINT) FROM events";
    let row: Option<(Option<i64>, Option<i64>)> = optional!(tx, sql);
    Ok(row.and_then(|(least, most)| least.zip(most)))
}

/// The first position that is no whole number, cut to one, and as it is: what is no number at all comes last. Only SQLite takes
/// such a thing.
pub async fn fraction(tx: &mut Tx) -> Result<Option<(i64, String)>> {
    if let Inner::Postgres(_) = tx.inner {
        return Ok(None);
    }
    let sql = "SELECT CASE WHEN position < 9223372036854775807 THEN CAST(position AS BIGINT) ELSE 9223372036854775807 END,
                      CAST(position AS TEXT) FROM events
               WHERE position <> CAST(position AS BIGINT) ORDER BY position LIMIT 1";
    Ok(optional!(tx, sql))
}

/// A tile that no tree of the log's size has, if there is one.
pub async fn stray_tile(tx: &mut Tx) -> Result<Option<(i64, i64)>> {
    let sql = "SELECT level, number FROM log_tiles WHERE level < 0 OR number < 0 OR level > 7
               OR number >= (SELECT position FROM log_head WHERE id = 1) / CASE level WHEN 0 THEN 256 WHEN 1 THEN 65536 WHEN 2 THEN 16777216
                   WHEN 3 THEN 4294967296 WHEN 4 THEN 1099511627776 ELSE 281474976710656 END
               ORDER BY level, number LIMIT 1";
    Ok(optional!(tx, sql))
}

/// The bytes of a tile as they are, if it is there.
pub async fn raw_tile(tx: &mut Tx, level: u32, number: u64) -> Result<Option<Vec<u8>>> {
    let sql = "SELECT hashes FROM log_tiles WHERE level = $1 AND number = $2";
    let row: Option<(Vec<u8>,)> = optional!(tx, sql, i64::from(level), to_sql(number)?);
    Ok(row.map(|(hashes,)| hashes))
}

/// The entries that began an epoch, by position.
pub async fn recoveries(tx: &mut Tx) -> Result<Vec<(i64, Vec<u8>)>> {
    let sql = "SELECT position, bytes FROM events WHERE kind = 'log_recovered'
               AND position = CAST(position AS BIGINT) ORDER BY position LIMIT 10000";
    Ok(all!(tx, sql))
}

/// What is stored under digests, at most [`DOCUMENTS`] of them.
pub async fn documents(tx: &mut Tx, place: Names, digests: &[&Digest]) -> Result<Vec<(String, Vec<u8>)>> {
    macro_rules! sql {
        ($table:literal) => {
            concat!(
                "SELECT digest, bytes FROM ",
                $table,
                " WHERE digest IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
            )
        };
    }
    let sql = match place {
        Names::Document => sql!("documents"),
        Names::Manifest => sql!("manifest_bytes"),
    };
    // A place that is left over asks for nothing.
    let wanted = digests.iter().map(|digest| digest.as_str()).chain(std::iter::repeat("")).take(DOCUMENTS);
    let rows: Vec<(String, Vec<u8>)> = on!(tx, connection => {
        let mut query = sqlx::query_as(sql);
        for digest in wanted {
            query = query.bind(digest);
        }
        query.fetch_all(connection).await?
    });
    Ok(rows)
}

/// Takes all tiles away, to be made again.
pub async fn drop_tiles(tx: &mut Tx) -> Result<()> {
    execute!(tx, "DELETE FROM log_tiles");
    Ok(())
}

/// Puts an entry where one is missing.
pub async fn put_entry(tx: &mut Tx, position: u64, bytes: &[u8], kind: &str) -> Result<()> {
    let sql = "INSERT INTO events (position, bytes, kind) VALUES ($1, $2, $3)";
    execute!(tx, sql, to_sql(position)?, bytes, kind);
    Ok(())
}

/// Sets the head to a tree of this size, whose latest entry is of this time.
pub async fn put_head(
    tx: &mut Tx,
    size: u64,
    frontier: Vec<u8>,
    epoch: u64,
    latest: DateTime<Utc>,
) -> Result<()> {
    let sql = "UPDATE log_head SET position = $1, frontier = $2, epoch = $3, latest = $4 WHERE id = 1";
    match execute!(tx, sql, to_sql(size)?, frontier, to_sql(epoch)?, latest) {
        1 => Ok(()),
        _ => Err(Error::corrupt("log_head", 1, "the row is missing")),
    }
}
