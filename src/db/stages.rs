//! Stages: what is in each, how it came there, and what has been in it.

use super::{
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::Result,
    model::{
        digest::Digest,
        name::{PrincipalName, Workload},
        promotion::MoveKind,
        stage::Stage,
        version::Version,
    },
};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

/// One step in the history of a stage.
#[derive(Clone, Debug)]
pub struct Move {
    pub workload: Workload,
    pub stage: Stage,
    /// Counts from 1, without gaps.
    pub number: i64,
    pub kind: MoveKind,
    pub version: Version,
    pub digest: Digest,
    pub from: Option<Version>,
    pub at: DateTime<Utc>,
    pub by: PrincipalName,
    pub reason: Option<String>,
    /// The document with the report and what it was judged on.
    pub judgement: Option<Digest>,
    /// Of the event that tells of it.
    pub position: i64,
    pub ratified_by: Option<PrincipalName>,
    pub ratified_at: Option<DateTime<Utc>>,
}

#[derive(sqlx::FromRow)]
struct Row {
    workload: String,
    stage: String,
    number: i64,
    kind: String,
    version: String,
    digest: String,
    from_version: Option<String>,
    moved_at: DateTime<Utc>,
    moved_by: String,
    reason: Option<String>,
    judgement: Option<String>,
    position: i64,
    ratified_by: Option<String>,
    ratified_at: Option<DateTime<Utc>>,
}

fn to_move(row: Row) -> Result<Move> {
    Ok(Move {
        workload: read("moves", &row.workload)?,
        stage: read("moves", &row.stage)?,
        number: row.number,
        kind: read("moves", &row.kind)?,
        version: read("moves", &row.version)?,
        digest: read("moves", &row.digest)?,
        from: row.from_version.map(|from| read("moves", &from)).transpose()?,
        at: row.moved_at,
        by: read("moves", &row.moved_by)?,
        reason: row.reason,
        judgement: row.judgement.map(|digest| read("moves", &digest)).transpose()?,
        position: row.position,
        ratified_by: row.ratified_by.map(|by| read("moves", &by)).transpose()?,
        ratified_at: row.ratified_at,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT m.workload, m.stage, m.number, m.kind, m.version, m.digest, m.from_version, m.moved_at, ",
            "m.moved_by, m.reason, m.judgement, m.position, m.ratified_by, m.ratified_at FROM moves m ",
            $rest
        )
    };
}

/// The move that put there what is in a stage now; `None` if nothing has entered it.
pub async fn current(tx: &mut Tx, workload: &Workload, stage: &Stage) -> Result<Option<Move>> {
    let sql = select!(
        "JOIN stages s ON s.workload = m.workload AND s.stage = m.stage AND s.number = m.number
         WHERE m.workload = $1 AND m.stage = $2"
    );
    let row: Option<Row> = optional!(tx, sql, workload.as_str(), stage.as_str());
    row.map(to_move).transpose()
}

/// The move that put there what was in a stage right before a time; `None` if nothing had entered it yet.
pub async fn held_before(
    tx: &mut Tx,
    workload: &Workload,
    stage: &Stage,
    at: DateTime<Utc>,
) -> Result<Option<Move>> {
    let sql =
        select!("WHERE m.workload = $1 AND m.stage = $2 AND m.moved_at < $3 ORDER BY m.number DESC LIMIT 1");
    let row: Option<Row> = optional!(tx, sql, workload.as_str(), stage.as_str(), at);
    row.map(to_move).transpose()
}

/// The version in a stage now.
pub async fn holds(tx: &mut Tx, workload: &Workload, stage: &Stage) -> Result<Option<Version>> {
    let sql = "SELECT version FROM stages WHERE workload = $1 AND stage = $2";
    let row: Option<(String,)> = optional!(tx, sql, workload.as_str(), stage.as_str());
    row.map(|(version,)| read("stages", &version)).transpose()
}

/// The entry that holds a stage now: the number of the move by which what is there entered.
pub async fn entry_of(tx: &mut Tx, workload: &Workload, stage: &Stage) -> Result<Option<i64>> {
    let sql = "SELECT entry FROM stages WHERE workload = $1 AND stage = $2";
    let row: Option<(i64,)> = optional!(tx, sql, workload.as_str(), stage.as_str());
    Ok(row.map(|(entry,)| entry))
}

/// Writes a move and what is in the stage after it. `entry`: the move by which that entered.
pub async fn insert(tx: &mut Tx, step: &Move, entry: i64) -> Result<()> {
    let (workload, stage, version) = (step.workload.as_str(), step.stage.as_str(), step.version.to_string());
    let from = step.from.as_ref().map(ToString::to_string);
    let sql = "INSERT INTO moves (workload, stage, number, kind, version, digest, from_version, moved_at, moved_by, reason, judgement,
                                  position)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    execute!(
        tx,
        sql,
        workload,
        stage,
        step.number,
        step.kind.name(),
        &version,
        step.digest.as_str(),
        from,
        step.at,
        step.by.as_str(),
        step.reason.as_deref(),
        step.judgement.as_ref().map(Digest::as_str),
        step.position,
    );
    let sql = "INSERT INTO stages (workload, stage, version, digest, number, entry) VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (workload, stage) DO UPDATE SET version = $3, digest = $4, number = $5, entry = $6";
    execute!(tx, sql, workload, stage, &version, step.digest.as_str(), step.number, entry);
    Ok(())
}

/// Notes that a push made a move by itself, which is no promotion.
pub async fn note_by_push(tx: &mut Tx, workload: &Workload, stage: &Stage, version: &Version) -> Result<()> {
    let sql =
        "UPDATE moves SET by_push = TRUE WHERE workload = $1 AND stage = $2 AND version = $3 AND number =
                   (SELECT number FROM stages WHERE workload = $1 AND stage = $2)";
    execute!(tx, sql, workload.as_str(), stage.as_str(), version.to_string());
    Ok(())
}

/// Notes that a version has entered a stage by a move.
pub async fn enter(tx: &mut Tx, step: &Move) -> Result<()> {
    let (workload, stage, digest) = (step.workload.as_str(), step.stage.as_str(), step.digest.as_str());
    if step.kind == MoveKind::Overridden {
        // Whoever insists on content takes the mark away that it was rolled back from.
        let sql =
            "UPDATE entries SET rolled_back_at = NULL WHERE workload = $1 AND stage = $2 AND digest = $3";
        execute!(tx, sql, workload, stage, digest);
    }
    let sql = "INSERT INTO entries (workload, stage, version, digest, sort_key, prerelease, number)
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    execute!(
        tx,
        sql,
        workload,
        stage,
        step.version.to_string(),
        digest,
        step.version.sort_key(),
        step.version.is_prerelease(),
        step.number,
    );
    Ok(())
}

/// A time that a version entered a stage.
#[derive(Clone, Debug)]
pub struct Entry {
    pub version: Version,
    pub digest: Digest,
    /// The move that brought it there.
    pub number: i64,
    /// Its content was rolled back from the stage.
    pub is_rolled_back: bool,
    /// Its content was yanked, under this number or another.
    pub is_yanked: bool,
}

type EntryRow = (String, String, i64, Option<DateTime<Utc>>, Option<DateTime<Utc>>);

fn entry((version, digest, number, rolled_back, yanked_at): EntryRow) -> Result<Entry> {
    Ok(Entry {
        version: read("entries", &version)?,
        digest: read("entries", &digest)?,
        number,
        is_rolled_back: rolled_back.is_some(),
        is_yanked: yanked_at.is_some(),
    })
}

macro_rules! entries {
    ($rest:literal) => {
        concat!(
            "SELECT e.version, e.digest, e.number, e.rolled_back_at, (SELECT MIN(y.yanked_at) FROM versions y ",
            "WHERE y.workload = e.workload AND y.digest = e.digest) AS yanked_at FROM entries e ",
            "WHERE e.workload = $1 AND e.stage = $2 ",
            $rest
        )
    };
}

/// The last time before an entry that a version entered a stage; if it never did before, the last time of all.
pub async fn find_entry(
    tx: &mut Tx,
    workload: &Workload,
    stage: &Stage,
    version: &Version,
    before: i64,
) -> Result<Option<Entry>> {
    let sql = entries!(
        "AND e.version = $3 ORDER BY CASE WHEN e.number < $4 THEN 0 ELSE 1 END, e.number DESC LIMIT 1"
    );
    let row: Option<EntryRow> =
        optional!(tx, sql, workload.as_str(), stage.as_str(), version.to_string(), before);
    row.map(entry).transpose()
}

/// What entered last before an entry, and whose content is neither `bad` nor yanked nor was ever rolled back from.
pub async fn previous_good(
    tx: &mut Tx,
    workload: &Workload,
    stage: &Stage,
    before: i64,
    bad: &Digest,
) -> Result<Option<Entry>> {
    let sql = entries!(
        "AND e.number < $3 AND e.digest <> $4 AND e.rolled_back_at IS NULL AND NOT EXISTS (
             SELECT 1 FROM versions y WHERE y.workload = e.workload AND y.digest = e.digest AND y.yanked_at IS NOT NULL)
         ORDER BY e.number DESC LIMIT 1"
    );
    let row: Option<EntryRow> = optional!(tx, sql, workload.as_str(), stage.as_str(), before, bad.as_str());
    row.map(entry).transpose()
}

/// What a rollback to `target` marks and stands until then, each version once: all content but its own that entered
/// after it, whenever that entered.
pub async fn standing_after(
    tx: &mut Tx,
    workload: &Workload,
    stage: &Stage,
    target: &Entry,
    limit: i64,
) -> Result<Vec<Version>> {
    let sql = "SELECT version, MIN(number) FROM entries WHERE workload = $1 AND stage = $2 AND rolled_back_at IS NULL
               AND digest <> $4 AND digest IN
                   (SELECT digest FROM entries WHERE workload = $1 AND stage = $2 AND number > $3)
               GROUP BY version ORDER BY MIN(number) LIMIT $5";
    let (after, own) = (target.number, target.digest.as_str());
    let rows: Vec<(String, i64)> = all!(tx, sql, workload.as_str(), stage.as_str(), after, own, limit);
    rows.into_iter().map(|(version, _)| read("entries", &version)).collect()
}

/// Marks content that entered after the one that is gone back to as rolled back from, each time it entered.
pub async fn roll_back_to(
    tx: &mut Tx,
    workload: &Workload,
    stage: &Stage,
    target: &Entry,
    at: DateTime<Utc>,
) -> Result<()> {
    let sql =
        "UPDATE entries SET rolled_back_at = $5 WHERE workload = $1 AND stage = $2 AND rolled_back_at IS NULL
               AND digest <> $4 AND digest IN
                   (SELECT digest FROM entries WHERE workload = $1 AND stage = $2 AND number > $3)";
    execute!(tx, sql, workload.as_str(), stage.as_str(), target.number, target.digest.as_str(), at);
    Ok(())
}

/// The stages that content was rolled back from.
pub async fn rolled_back_from(tx: &mut Tx, workload: &Workload, digest: &Digest) -> Result<BTreeSet<Stage>> {
    let sql = "SELECT DISTINCT stage FROM entries WHERE workload = $1 AND digest = $2 AND rolled_back_at IS NOT NULL";
    let rows: Vec<(String,)> = all!(tx, sql, workload.as_str(), digest.as_str());
    rows.into_iter().map(|(stage,)| read("entries", &stage)).collect()
}

/// Most stays of content in stages that count.
const STAYS_MAX: i64 = 100;

/// When content was in which stage: from, and until when if it is there no longer. The last hundred, oldest first.
pub async fn stays(
    tx: &mut Tx,
    workload: &Workload,
    digest: &Digest,
) -> Result<Vec<(Stage, DateTime<Utc>, Option<DateTime<Utc>>)>> {
    // The next move is looked up for each of the few, whatever a planner without statistics thinks of joins.
    let sql = "SELECT m.stage, m.moved_at, (SELECT n.moved_at FROM moves n WHERE n.workload = m.workload
                   AND n.stage = m.stage AND n.number = m.number + 1)
               FROM (SELECT workload, stage, number, moved_at, position FROM moves WHERE workload = $1 AND digest = $2
                     ORDER BY position DESC LIMIT $3) AS m ORDER BY m.position DESC";
    let rows: Vec<(String, DateTime<Utc>, Option<DateTime<Utc>>)> =
        all!(tx, sql, workload.as_str(), digest.as_str(), STAYS_MAX);
    rows.into_iter().rev().map(|(stage, from, until)| Ok((read("moves", &stage)?, from, until))).collect()
}

/// The history of a stage below a number, newest first.
pub async fn history(
    tx: &mut Tx,
    workload: &Workload,
    stage: &Stage,
    below: i64,
    limit: i64,
) -> Result<Vec<Move>> {
    let sql =
        select!("WHERE m.workload = $1 AND m.stage = $2 AND m.number < $3 ORDER BY m.number DESC LIMIT $4");
    let rows: Vec<Row> = all!(tx, sql, workload.as_str(), stage.as_str(), below, limit);
    rows.into_iter().map(to_move).collect()
}

/// Since when a stage has not held content that it held; of what it never held, since when it has held anything.
pub async fn left_at(
    tx: &mut Tx,
    workload: &Workload,
    stage: &Stage,
    digest: &Digest,
) -> Result<Option<DateTime<Utc>>> {
    let sql = "SELECT moved_at FROM moves WHERE workload = $1 AND stage = $2 AND number >
                   (SELECT COALESCE(MAX(number), 0) FROM moves WHERE workload = $1 AND stage = $2 AND digest = $3)
               ORDER BY number LIMIT 1";
    let row: Option<(DateTime<Utc>,)> =
        optional!(tx, sql, workload.as_str(), stage.as_str(), digest.as_str());
    Ok(row.map(|(at,)| at))
}

/// How often a stage has moved.
pub async fn moves(tx: &mut Tx, workload: &Workload, stage: &Stage) -> Result<i64> {
    let sql = "SELECT number FROM stages WHERE workload = $1 AND stage = $2";
    let row: Option<(i64,)> = optional!(tx, sql, workload.as_str(), stage.as_str());
    Ok(row.map_or(0, |(number,)| number))
}

/// Whether somebody has moved a stage by rollback or override after a move.
pub async fn was_corrected(tx: &mut Tx, workload: &Workload, stage: &Stage, after: i64) -> Result<bool> {
    let sql =
        "SELECT number FROM moves WHERE workload = $1 AND stage = $2 AND number > $3 AND kind <> $4 LIMIT 1";
    let row: Option<(i64,)> =
        optional!(tx, sql, workload.as_str(), stage.as_str(), after, MoveKind::Promoted.name());
    Ok(row.is_some())
}

/// The moves that brought content into stages, oldest first.
pub async fn moves_of(tx: &mut Tx, workload: &Workload, digest: &Digest, limit: i64) -> Result<Vec<Move>> {
    let sql =
        select!("WHERE m.workload = $1 AND m.digest = $2 ORDER BY m.moved_at, m.stage, m.number LIMIT $3");
    let rows: Vec<Row> = all!(tx, sql, workload.as_str(), digest.as_str(), limit);
    rows.into_iter().map(to_move).collect()
}

/// Overrides that nobody else has looked at yet, newest first.
pub async fn unratified(tx: &mut Tx, workload: &Workload, limit: i64) -> Result<Vec<Move>> {
    let sql = select!(
        "WHERE m.workload = $1 AND m.kind = 'overridden' AND m.ratified_by IS NULL
         ORDER BY m.moved_at DESC, m.number DESC LIMIT $2"
    );
    let rows: Vec<Row> = all!(tx, sql, workload.as_str(), limit);
    rows.into_iter().map(to_move).collect()
}

/// Answers false if it was ratified already.
pub async fn ratify(tx: &mut Tx, step: &Move, by: &PrincipalName, at: DateTime<Utc>) -> Result<bool> {
    let sql = "UPDATE moves SET ratified_by = $4, ratified_at = $5
               WHERE workload = $1 AND stage = $2 AND number = $3 AND ratified_by IS NULL";
    let ratified =
        execute!(tx, sql, step.workload.as_str(), step.stage.as_str(), step.number, by.as_str(), at);
    Ok(ratified == 1)
}
