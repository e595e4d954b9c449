//! Monitors: what is checked, and when it was dealt with last.

use super::{
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::{Error, Result},
    model::{
        digest::Digest,
        monitor::{MonitorName, Spec},
        name::{PrincipalName, Workload},
        stage::Stage,
    },
};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

#[derive(Clone, Debug)]
pub struct MonitorRow {
    pub id: String,
    pub workload: Workload,
    pub name: MonitorName,
    pub stage: Stage,
    pub spec: Spec,
    /// The last time of its schedule that was dealt with, or when it was made.
    pub handled_at: DateTime<Utc>,
    /// When the next one is to be; `None`: never again.
    pub due_at: Option<DateTime<Utc>>,
    /// When somebody allowed it to move the stage back once more.
    pub armed_at: Option<DateTime<Utc>>,
    /// The content of which it was told that it drifts, until it is told that this has ended.
    pub told: Option<Digest>,
    pub muted: Option<Mute>,
    pub created_at: DateTime<Utc>,
    pub created_by: PrincipalName,
}

/// Nobody is told until then, and nothing follows.
#[derive(Clone, Debug)]
pub struct Mute {
    pub until: DateTime<Utc>,
    pub by: PrincipalName,
    pub why: String,
}

impl MonitorRow {
    pub fn is_muted(&self, now: DateTime<Utc>) -> bool {
        self.muted.as_ref().is_some_and(|mute| now < mute.until)
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    repository: String,
    name: String,
    stage: String,
    spec: String,
    handled_at: DateTime<Utc>,
    due_at: Option<DateTime<Utc>>,
    armed_at: Option<DateTime<Utc>>,
    told: Option<String>,
    muted_until: Option<DateTime<Utc>>,
    muted_by: Option<String>,
    muted_why: Option<String>,
    created_at: DateTime<Utc>,
    created_by: String,
}

fn monitor(row: Row) -> Result<MonitorRow> {
    let spec = serde_json::from_str(&row.spec)
        .map_err(|_| Error::corrupt("monitors", &row.id, "what it is told to do cannot be read"))?;
    let muted = match (row.muted_until, row.muted_by) {
        (Some(until), Some(by)) => {
            Some(Mute { until, by: read("monitors", &by)?, why: row.muted_why.unwrap_or_default() })
        }
        _ => None,
    };
    Ok(MonitorRow {
        workload: read("monitors", &row.repository)?,
        name: read("monitors", &row.name)?,
        stage: read("monitors", &row.stage)?,
        spec,
        handled_at: row.handled_at,
        due_at: row.due_at,
        armed_at: row.armed_at,
        told: row.told.map(|told| read("monitors", &told)).transpose()?,
        muted,
        created_at: row.created_at,
        created_by: read("monitors", &row.created_by)?,
        id: row.id,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, repository, name, stage, spec, handled_at, due_at, armed_at, told, muted_until, muted_by, ",
            "muted_why, created_at, created_by FROM monitors WHERE removed_at IS NULL ",
            $rest
        )
    };
}

/// Answers false if the workload has one of this name.
pub async fn insert(tx: &mut Tx, row: &MonitorRow, spec: &str) -> Result<bool> {
    let sql =
        "INSERT INTO monitors (id, repository, name, stage, spec, handled_at, due_at, created_at, created_by)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";
    let inserted = execute!(
        tx,
        sql,
        &row.id,
        row.workload.as_str(),
        row.name.as_str(),
        row.stage.as_str(),
        spec,
        row.handled_at,
        row.due_at,
        row.created_at,
        row.created_by.as_str()
    );
    Ok(inserted == 1)
}

pub async fn find(tx: &mut Tx, workload: &Workload, name: &MonitorName) -> Result<Option<MonitorRow>> {
    let row: Option<Row> =
        optional!(tx, select!("AND repository = $1 AND name = $2"), workload.as_str(), name.as_str());
    row.map(monitor).transpose()
}

pub async fn by_id(tx: &mut Tx, id: &str) -> Result<Option<MonitorRow>> {
    let row: Option<Row> = optional!(tx, select!("AND id = $1"), id);
    row.map(monitor).transpose()
}

/// Those of a workload after a name.
pub async fn list(tx: &mut Tx, workload: &Workload, after: &str, limit: i64) -> Result<Vec<MonitorRow>> {
    let sql = select!("AND repository = $1 AND name > $2 ORDER BY name LIMIT $3");
    let rows: Vec<Row> = all!(tx, sql, workload.as_str(), after, limit);
    rows.into_iter().map(monitor).collect()
}

/// The names of those of a workload.
pub async fn names(tx: &mut Tx, workload: &Workload) -> Result<BTreeSet<String>> {
    let sql = "SELECT name FROM monitors WHERE removed_at IS NULL AND repository = $1 LIMIT 1000";
    let rows: Vec<(String,)> = all!(tx, sql, workload.as_str());
    Ok(rows.into_iter().map(|(name,)| name).collect())
}

/// How many a namespace has.
pub async fn count(tx: &mut Tx, namespace: &str) -> Result<i64> {
    let sql =
        "SELECT COUNT(*) FROM monitors WHERE removed_at IS NULL AND repository > $1 AND repository < $2";
    // `/` comes right before `0`.
    let row: Option<(i64,)> = optional!(tx, sql, format!("{namespace}/"), format!("{namespace}0"));
    Ok(row.map_or(0, |(count,)| count))
}

/// Those that have something to do, the longest overdue first; of one that cannot be read, its id and why.
pub async fn due(
    tx: &mut Tx,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<std::result::Result<MonitorRow, (String, Box<Error>)>>> {
    let rows: Vec<Row> = all!(tx, select!("AND due_at <= $1 ORDER BY due_at, id LIMIT $2"), now, limit);
    let one = |row: Row| {
        let id = row.id.clone();
        monitor(row).map_err(|error| (id, Box::new(error)))
    };
    Ok(rows.into_iter().map(one).collect())
}

/// Looks at one later, which cannot be dealt with now.
pub async fn postpone(tx: &mut Tx, id: &str, until: DateTime<Utc>) -> Result<()> {
    execute!(tx, "UPDATE monitors SET due_at = $2 WHERE id = $1", id, until);
    Ok(())
}

/// Times of its schedule up to `handled` were dealt with, by whoever was first. Answers false if they were before.
pub async fn handle(
    tx: &mut Tx,
    row: &MonitorRow,
    handled: DateTime<Utc>,
    due: Option<DateTime<Utc>>,
) -> Result<bool> {
    let sql = "UPDATE monitors SET handled_at = $3, due_at = $4
               WHERE id = $1 AND handled_at = $2 AND removed_at IS NULL";
    Ok(execute!(tx, sql, &row.id, row.handled_at, handled, due) == 1)
}

pub async fn set_told(tx: &mut Tx, id: &str, told: Option<&Digest>) -> Result<()> {
    execute!(tx, "UPDATE monitors SET told = $2 WHERE id = $1", id, told.map(Digest::as_str));
    Ok(())
}

pub async fn arm(tx: &mut Tx, id: &str, at: DateTime<Utc>) -> Result<()> {
    execute!(tx, "UPDATE monitors SET armed_at = $2 WHERE id = $1", id, at);
    Ok(())
}

pub async fn mute(tx: &mut Tx, id: &str, mute: Option<&Mute>) -> Result<()> {
    let sql = "UPDATE monitors SET muted_until = $2, muted_by = $3, muted_why = $4 WHERE id = $1";
    let (until, by) = (mute.map(|mute| mute.until), mute.map(|mute| mute.by.as_str()));
    execute!(tx, sql, id, until, by, mute.map(|mute| mute.why.as_str()));
    Ok(())
}

pub async fn remove(tx: &mut Tx, id: &str, at: DateTime<Utc>) -> Result<()> {
    execute!(tx, "UPDATE monitors SET removed_at = $2 WHERE id = $1", id, at);
    Ok(())
}
