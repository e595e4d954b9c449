//! Runs of monitors: one row for each window, whoever makes it.

use super::{
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::Result,
    model::{
        digest::Digest,
        monitor::{Alert, Cause, RunState, Window},
        version::Version,
    },
};
use chrono::{DateTime, Utc};

#[derive(Clone, Debug)]
pub struct RunRow {
    pub monitor: String,
    pub window: Window,
    pub cause: Cause,
    pub state: RunState,
    pub tries: i64,
    pub queued_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub version: Option<Version>,
    pub digest: Option<Digest>,
    pub verdict: Option<String>,
    pub reason: Option<String>,
    pub alert: Option<Alert>,
    pub data_rows: Option<i64>,
    /// Of the report.
    pub evidence: Option<Digest>,
}

/// What came of a run.
pub struct Ended<'a> {
    pub state: RunState,
    pub at: DateTime<Utc>,
    pub version: Option<&'a Version>,
    pub digest: Option<&'a Digest>,
    pub verdict: Option<&'a str>,
    pub reason: &'a str,
    pub alert: Option<Alert>,
    pub data_rows: Option<i64>,
    pub evidence: Option<&'a Digest>,
}

#[derive(sqlx::FromRow)]
struct Row {
    monitor: String,
    window_start: DateTime<Utc>,
    window_end: DateTime<Utc>,
    cause: String,
    state: String,
    tries: i64,
    queued_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    version: Option<String>,
    digest: Option<String>,
    verdict: Option<String>,
    reason: Option<String>,
    alert: Option<String>,
    data_rows: Option<i64>,
    evidence: Option<String>,
}

fn run(row: Row) -> Result<RunRow> {
    fn some<T: std::str::FromStr>(text: Option<String>) -> Result<Option<T>> {
        text.map(|text| read("drift_runs", &text)).transpose()
    }
    Ok(RunRow {
        monitor: row.monitor,
        window: Window { start: row.window_start, end: row.window_end },
        cause: read("drift_runs", &row.cause)?,
        state: read("drift_runs", &row.state)?,
        tries: row.tries,
        queued_at: row.queued_at,
        ended_at: row.ended_at,
        version: some(row.version)?,
        digest: some(row.digest)?,
        verdict: row.verdict,
        reason: row.reason,
        alert: some(row.alert)?,
        data_rows: row.data_rows,
        evidence: some(row.evidence)?,
    })
}

const COLUMNS: &str = "monitor, window_start, window_end, cause, state, tries, queued_at, ended_at, version, digest, \
                       verdict, reason, alert, data_rows, evidence";

/// Queues a run. Answers false if there is one of this window.
pub async fn queue(tx: &mut Tx, monitor: &str, window: Window, cause: Cause, now: DateTime<Utc>) -> Result<bool> {
    let sql = "INSERT INTO drift_runs (monitor, window_start, window_end, cause, state, due_at, tries, queued_at)
               VALUES ($1, $2, $3, $4, 'queued', $5, 0, $5) ON CONFLICT DO NOTHING";
    Ok(execute!(tx, sql, monitor, window.start, window.end, cause.name(), now) == 1)
}

/// Takes the run that has waited longest, or one whose worker has died; until `until` it is ours.
pub async fn claim(
    tx: &mut Tx,
    lease: &str,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Option<RunRow>> {
    let sql = format!(
        "UPDATE drift_runs SET state = 'running', lease = $1, due_at = $3, tries = tries + 1
         WHERE (monitor, window_start, window_end) IN (
             SELECT monitor, window_start, window_end FROM drift_runs
             WHERE (state = 'queued' OR state = 'running') AND due_at <= $2 ORDER BY due_at LIMIT 1)
           AND due_at <= $2
         RETURNING {COLUMNS}"
    );
    let row: Option<Row> = optional!(tx, &sql, lease, now, until);
    row.map(run).transpose()
}

/// Ends a run that is ours. Answers false if it is not any more.
pub async fn end(tx: &mut Tx, monitor: &str, window: Window, lease: &str, ended: &Ended<'_>) -> Result<bool> {
    let sql = "UPDATE drift_runs SET state = $5, ended_at = $6, version = $7, digest = $8, verdict = $9, reason = $10,
                   alert = $11, data_rows = $12, evidence = $13, lease = NULL
               WHERE monitor = $1 AND window_start = $2 AND window_end = $3 AND lease = $4";
    let changed = execute!(
        tx,
        sql,
        monitor,
        window.start,
        window.end,
        lease,
        ended.state.name(),
        ended.at,
        ended.version.map(ToString::to_string),
        ended.digest.map(Digest::as_str),
        ended.verdict,
        ended.reason,
        ended.alert.map(Alert::name),
        ended.data_rows,
        ended.evidence.map(Digest::as_str)
    );
    Ok(changed == 1)
}

/// The newest runs of a monitor, by their windows; before one of them.
pub async fn newest(
    tx: &mut Tx,
    monitor: &str,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<RunRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM drift_runs WHERE monitor = $1 AND window_end < $2 ORDER BY window_end DESC LIMIT $3"
    );
    let rows: Vec<Row> = all!(tx, &sql, monitor, before, limit);
    rows.into_iter().map(run).collect()
}
