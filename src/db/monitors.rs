//! Monitors: what is checked, and when it was dealt with last.

use super::{
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::{Error, Result},
    model::{
        monitor::{MonitorName, Spec},
        name::{PrincipalName, Workload},
        stage::Stage,
    },
};
use chrono::{DateTime, Utc};

#[derive(Clone, Debug)]
pub struct MonitorRow {
    pub id: String,
    pub workload: Workload,
    pub name: MonitorName,
    pub stage: Stage,
    pub spec: Spec,
    /// The last time of its schedule that was dealt with, or when it was made.
    pub handled_at: DateTime<Utc>,
    /// It may still move the stage back.
    pub armed: bool,
    pub muted: Option<Mute>,
    pub created_at: DateTime<Utc>,
    pub created_by: PrincipalName,
}

/// Nobody is told until then.
#[derive(Clone, Debug)]
pub struct Mute {
    pub until: DateTime<Utc>,
    pub by: PrincipalName,
    pub why: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    repository: String,
    name: String,
    stage: String,
    spec: String,
    handled_at: DateTime<Utc>,
    armed: bool,
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
        armed: row.armed,
        muted,
        created_at: row.created_at,
        created_by: read("monitors", &row.created_by)?,
        id: row.id,
    })
}

const COLUMNS: &str = "id, repository, name, stage, spec, handled_at, armed, muted_until, muted_by, muted_why, \
                       created_at, created_by";

/// Answers false if the workload has one of this name.
pub async fn insert(tx: &mut Tx, row: &MonitorRow, spec: &str) -> Result<bool> {
    let sql = "INSERT INTO monitors (id, repository, name, stage, spec, handled_at, armed, created_at, created_by)
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
        row.armed,
        row.created_at,
        row.created_by.as_str()
    );
    Ok(inserted == 1)
}

pub async fn find(tx: &mut Tx, workload: &Workload, name: &MonitorName) -> Result<Option<MonitorRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM monitors WHERE repository = $1 AND name = $2 AND removed_at IS NULL"
    );
    let row: Option<Row> = optional!(tx, &sql, workload.as_str(), name.as_str());
    row.map(monitor).transpose()
}

/// All there are, by id; after one of them.
pub async fn list(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<MonitorRow>> {
    let sql =
        format!("SELECT {COLUMNS} FROM monitors WHERE removed_at IS NULL AND id > $1 ORDER BY id LIMIT $2");
    let rows: Vec<Row> = all!(tx, &sql, after, limit);
    rows.into_iter().map(monitor).collect()
}

/// A time of its schedule was dealt with, by whoever was first. Answers false if it was before.
pub async fn handled(tx: &mut Tx, id: &str, before: DateTime<Utc>, now: DateTime<Utc>) -> Result<bool> {
    let sql = "UPDATE monitors SET handled_at = $3 WHERE id = $1 AND handled_at = $2 AND removed_at IS NULL";
    Ok(execute!(tx, sql, id, before, now) == 1)
}

pub async fn remove(tx: &mut Tx, id: &str, at: DateTime<Utc>) -> Result<bool> {
    let sql = "UPDATE monitors SET removed_at = $2 WHERE id = $1 AND removed_at IS NULL";
    Ok(execute!(tx, sql, id, at) == 1)
}
