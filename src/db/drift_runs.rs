//! Runs of monitors: one row for each window, whoever makes it.

use super::{
    from_sql, read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    drift::compare::Verdict,
    error::Result,
    model::{
        digest::Digest,
        monitor::{Alert, Cause, RunState, Told, Window},
        name::PrincipalName,
        version::Version,
    },
};
use chrono::{DateTime, Utc};

#[derive(Clone, Debug)]
pub struct RunRow {
    pub monitor: String,
    pub window: Window,
    pub cause: Cause,
    /// Who wanted it, where the schedule did not.
    pub asked_by: Option<PrincipalName>,
    /// Of its data, where it was pushed.
    pub profile: Option<Digest>,
    pub state: RunState,
    pub tries: i64,
    pub queued_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    /// What was in the stage, and was reported on.
    pub version: Option<Version>,
    pub digest: Option<Digest>,
    pub verdict: Option<Verdict>,
    pub reason: Option<String>,
    pub alert: Option<Alert>,
    pub data_rows: Option<i64>,
    /// Columns that drifted.
    pub drifted: Option<i64>,
    /// Whether any of them is a reason to move the stage back.
    pub grave: Option<bool>,
    /// The report as evidence, and its bytes.
    pub evidence: Option<Digest>,
    pub report: Option<Digest>,
    /// What has become of the stage, where the monitor may move it.
    pub followed: Option<String>,
}

/// What came of a run.
pub struct Ended<'a> {
    pub state: RunState,
    pub at: DateTime<Utc>,
    pub version: Option<&'a Version>,
    pub digest: Option<&'a Digest>,
    pub verdict: Option<Verdict>,
    pub reason: &'a str,
    pub alert: Option<Alert>,
    pub data_rows: Option<i64>,
    pub drifted: Option<i64>,
    pub grave: Option<bool>,
    pub evidence: Option<&'a Digest>,
    pub report: Option<&'a Digest>,
}

#[derive(sqlx::FromRow)]
struct Row {
    monitor: String,
    window_start: DateTime<Utc>,
    window_end: DateTime<Utc>,
    cause: String,
    asked_by: Option<String>,
    profile: Option<String>,
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
    drifted: Option<i64>,
    grave: Option<bool>,
    evidence: Option<String>,
    report: Option<String>,
    followed: Option<String>,
}

fn run(row: Row) -> Result<RunRow> {
    fn some<T: std::str::FromStr>(text: Option<String>) -> Result<Option<T>> {
        text.map(|text| read("drift_runs", &text)).transpose()
    }
    Ok(RunRow {
        monitor: row.monitor,
        window: Window { start: row.window_start, end: row.window_end },
        cause: read("drift_runs", &row.cause)?,
        asked_by: some(row.asked_by)?,
        profile: some(row.profile)?,
        state: read("drift_runs", &row.state)?,
        tries: row.tries,
        queued_at: row.queued_at,
        ended_at: row.ended_at,
        version: some(row.version)?,
        digest: some(row.digest)?,
        verdict: some(row.verdict)?,
        reason: row.reason,
        alert: some(row.alert)?,
        data_rows: row.data_rows,
        drifted: row.drifted,
        grave: row.grave,
        evidence: some(row.evidence)?,
        report: some(row.report)?,
        followed: row.followed,
    })
}

macro_rules! columns {
    () => {
        "monitor, window_start, window_end, cause, asked_by, profile, state, tries, queued_at, ended_at, version, digest, verdict, reason, \
         alert, data_rows, drifted, grave, evidence, report, followed"
    };
}
macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM drift_runs WHERE monitor = $1 ", $rest)
    };
}

/// How many wait, or are under way.
pub async fn count_waiting(tx: &mut Tx) -> Result<i64> {
    let sql = "SELECT count(*) FROM drift_runs WHERE state = 'queued' OR state = 'running'";
    let row: Option<(i64,)> = optional!(tx, sql);
    Ok(row.map_or(0, |(count,)| count))
}

/// Why a run is wanted, by whom where the schedule does not, and when.
pub struct Wanted<'a> {
    pub cause: Cause,
    pub by: Option<&'a PrincipalName>,
    pub at: DateTime<Utc>,
}

/// Queues a run. Answers false if there is one of this window.
pub async fn queue(tx: &mut Tx, monitor: &str, window: Window, wanted: &Wanted<'_>) -> Result<bool> {
    let sql = "INSERT INTO drift_runs (monitor, window_start, window_end, cause, asked_by, state, due_at, tries, queued_at)
               VALUES ($1, $2, $3, $4, $5, 'queued', $6, 0, $6) ON CONFLICT DO NOTHING";
    let by = wanted.by.map(PrincipalName::as_str);
    Ok(execute!(tx, sql, monitor, window.start, window.end, wanted.cause.name(), by, wanted.at) == 1)
}

/// Lets one be made anew that failed, could not tell, or was asked for before `ready`, when its data may not have been there.
pub async fn again(
    tx: &mut Tx,
    monitor: &str,
    window: Window,
    wanted: &Wanted<'_>,
    ready: DateTime<Utc>,
) -> Result<bool> {
    let sql = "UPDATE drift_runs SET state = 'queued', cause = $4, asked_by = $5, due_at = $6, tries = 0, queued_at = $6,
                   lease = NULL
               WHERE monitor = $1 AND window_start = $2 AND window_end = $3 AND (state = 'failed' OR state = 'done'
                   AND (verdict = 'NO_DATA' OR verdict = 'INSUFFICIENT_DATA' OR verdict = 'INVALID' OR queued_at < $7))";
    let by = wanted.by.map(PrincipalName::as_str);
    let (cause, at) = (wanted.cause.name(), wanted.at);
    Ok(execute!(tx, sql, monitor, window.start, window.end, cause, by, at, ready) == 1)
}

/// Gives a run that waits its data, as its `wanted` cause.
pub async fn set_profile(
    tx: &mut Tx,
    monitor: &str,
    window: Window,
    wanted: &Wanted<'_>,
    profile: &Digest,
) -> Result<bool> {
    let sql = "UPDATE drift_runs SET profile = $4, cause = $5, asked_by = $6, due_at = $7, tries = 0
               WHERE monitor = $1 AND window_start = $2 AND window_end = $3 AND state = 'queued'";
    let (cause, by) = (wanted.cause.name(), wanted.by.map(PrincipalName::as_str));
    Ok(execute!(tx, sql, monitor, window.start, window.end, profile.as_str(), cause, by, wanted.at) == 1)
}

/// What was pushed for the windows within another one and could be checked, the latest first.
pub async fn profiles(
    tx: &mut Tx,
    monitor: &str,
    within: Window,
    limit: i64,
) -> Result<Vec<(Window, Digest)>> {
    let sql =
        "SELECT window_start, window_end, profile FROM drift_runs WHERE monitor = $1 AND window_start >= $2
                   AND window_end <= $3 AND state = 'done' AND verdict <> 'INVALID' AND profile IS NOT NULL
               ORDER BY window_end DESC, window_start DESC LIMIT $4";
    let rows: Vec<(DateTime<Utc>, DateTime<Utc>, String)> =
        all!(tx, sql, monitor, within.start, within.end, limit);
    let one = |(start, end, profile): (DateTime<Utc>, DateTime<Utc>, String)| {
        Ok((Window { start, end }, read("drift_runs", &profile)?))
    };
    rows.into_iter().map(one).collect()
}

/// What the schedule queued and nobody has ever begun is not made any more. What was tried goes on, so that somebody is told
/// if it fails.
pub async fn coalesce(tx: &mut Tx, monitor: &str) -> Result<()> {
    let sql =
        "DELETE FROM drift_runs WHERE monitor = $1 AND state = 'queued' AND cause = 'schedule' AND tries = 0
                   AND ended_at IS NULL";
    execute!(tx, sql, monitor);
    Ok(())
}

/// Takes the run that has waited longest, what is made up for of the past last, or one whose worker has died; until `until` it
/// is ours. Earlier windows of a monitor come first, and of two workers one gets none.
pub async fn claim(
    tx: &mut Tx,
    lease: &str,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Option<RunRow>> {
    let sql = concat!(
        "UPDATE drift_runs SET state = 'running', lease = $1, due_at = $3, tries = tries + 1
         WHERE due_at <= $2 AND (monitor, window_start, window_end) IN (
             SELECT r.monitor, r.window_start, r.window_end FROM drift_runs r
             WHERE (r.state = 'queued' OR r.state = 'running') AND r.due_at <= $2 AND NOT EXISTS (
                 SELECT 1 FROM drift_runs e WHERE e.monitor = r.monitor AND (e.state = 'queued' OR e.state = 'running')
                     AND e.window_end < r.window_end)
             ORDER BY CASE WHEN r.cause = 'backfill' THEN 1 ELSE 0 END, r.due_at, r.window_end LIMIT 1)
         RETURNING ",
        columns!()
    );
    let row: Option<Row> = optional!(tx, sql, lease, now, until);
    row.map(run).transpose()
}

/// Keeps a run that is ours. Answers false if it is not any more, or its monitor was taken away.
pub async fn keep(tx: &mut Tx, run: &RunRow, lease: &str, until: DateTime<Utc>) -> Result<bool> {
    let sql = "UPDATE drift_runs SET due_at = $5
               WHERE monitor = $1 AND window_start = $2 AND window_end = $3 AND lease = $4 AND state = 'running'
                   AND EXISTS (SELECT 1 FROM monitors m WHERE m.id = monitor AND m.removed_at IS NULL)";
    Ok(execute!(tx, sql, &run.monitor, run.window.start, run.window.end, lease, until) == 1)
}

/// Nobody is at any run any more.
pub async fn release_all(tx: &mut Tx, now: DateTime<Utc>) -> Result<()> {
    execute!(tx, "UPDATE drift_runs SET due_at = $1, lease = NULL WHERE state = 'running'", now);
    Ok(())
}

/// Puts a run of ours back, to be tried at a later time.
pub async fn postpone(tx: &mut Tx, run: &RunRow, lease: &str, at: DateTime<Utc>, why: &str) -> Result<bool> {
    let sql = "UPDATE drift_runs SET state = 'queued', due_at = $5, lease = NULL, reason = $6
               WHERE monitor = $1 AND window_start = $2 AND window_end = $3 AND lease = $4 AND state = 'running'";
    Ok(execute!(tx, sql, &run.monitor, run.window.start, run.window.end, lease, at, why) == 1)
}

/// Ends a run that is ours. Answers false if it is not any more.
pub async fn end(tx: &mut Tx, run: &RunRow, lease: &str, ended: &Ended<'_>) -> Result<bool> {
    let sql = "UPDATE drift_runs SET state = $5, ended_at = $6, version = $7, digest = $8, verdict = $9, reason = $10,
                   alert = $11, data_rows = $12, evidence = $13, report = $14, drifted = $15, grave = $16, lease = NULL
               WHERE monitor = $1 AND window_start = $2 AND window_end = $3 AND lease = $4 AND state = 'running'";
    let changed = execute!(
        tx,
        sql,
        &run.monitor,
        run.window.start,
        run.window.end,
        lease,
        ended.state.name(),
        ended.at,
        ended.version.map(ToString::to_string),
        ended.digest.map(Digest::as_str),
        ended.verdict.map(Verdict::name),
        ended.reason,
        ended.alert.map(Alert::name),
        ended.data_rows,
        ended.evidence.map(Digest::as_str),
        ended.report.map(Digest::as_str),
        ended.drifted,
        ended.grave
    );
    Ok(changed == 1)
}

/// Notes what a run has brought about.
pub async fn follow(tx: &mut Tx, run: &RunRow, what: &str) -> Result<()> {
    let sql =
        "UPDATE drift_runs SET followed = $4 WHERE monitor = $1 AND window_start = $2 AND window_end = $3";
    execute!(tx, sql, &run.monitor, run.window.start, run.window.end, what);
    Ok(())
}

/// What waits of a removed monitor is not made.
pub async fn forget(tx: &mut Tx, monitor: &str) -> Result<()> {
    execute!(tx, "DELETE FROM drift_runs WHERE monitor = $1 AND state = 'queued'", monitor);
    Ok(())
}

pub async fn find(tx: &mut Tx, monitor: &str, window: Window) -> Result<Option<RunRow>> {
    let row: Option<Row> = optional!(
        tx,
        select!("AND window_start = $2 AND window_end = $3"),
        monitor,
        window.start,
        window.end
    );
    row.map(run).transpose()
}

/// The runs of a monitor by their windows, newest first; before one that ends then.
pub async fn newest(tx: &mut Tx, monitor: &str, before: DateTime<Utc>, limit: i64) -> Result<Vec<RunRow>> {
    let sql = select!("AND window_end < $2 ORDER BY window_end DESC, window_start DESC LIMIT $3");
    let rows: Vec<Row> = all!(tx, sql, monitor, before, limit);
    rows.into_iter().map(run).collect()
}

/// The run whose window ends then; without a time the newest that has ended.
pub async fn at(tx: &mut Tx, monitor: &str, end: Option<DateTime<Utc>>) -> Result<Option<RunRow>> {
    let row: Option<Row> = match end {
        Some(end) => {
            optional!(tx, select!("AND window_end = $2 ORDER BY window_start LIMIT 1"), monitor, end)
        }
        None => optional!(
            tx,
            select!("AND state <> 'queued' AND state <> 'running' ORDER BY window_end DESC LIMIT 1"),
            monitor
        ),
    };
    row.map(run).transpose()
}

/// The newest run about content that tells whether it drifts.
pub async fn newest_about(tx: &mut Tx, monitor: &str, digest: &Digest) -> Result<Option<RunRow>> {
    let sql =
        select!("AND digest = $2 AND state = 'done' AND alert IS NOT NULL ORDER BY window_end DESC LIMIT 1");
    let row: Option<Row> = optional!(tx, sql, monitor, digest.as_str());
    row.map(run).transpose()
}

/// A run that tells of drift.
pub struct Past {
    /// What it was about.
    pub digest: Digest,
    pub told: Told,
    pub rows: u64,
}

/// Runs before a time that tell of drift, oldest first.
pub async fn past(tx: &mut Tx, monitor: &str, before: DateTime<Utc>, limit: i64) -> Result<Vec<Past>> {
    let sql = "SELECT window_end, digest, verdict, data_rows FROM drift_runs WHERE monitor = $1 AND window_end < $2
                   AND state = 'done' AND alert IS NOT NULL AND digest IS NOT NULL ORDER BY window_end DESC LIMIT $3";
    let rows: Vec<(DateTime<Utc>, String, String, Option<i64>)> = all!(tx, sql, monitor, before, limit);
    let past = |(at, digest, verdict, rows): (DateTime<Utc>, String, String, Option<i64>)| {
        Ok(Past {
            digest: read("drift_runs", &digest)?,
            told: Told { at, drifted: verdict == Verdict::Drift.name() },
            rows: from_sql(rows.unwrap_or(0)),
        })
    };
    rows.into_iter().rev().map(past).collect()
}

impl Ended<'_> {
    /// One that could not be made.
    pub fn failed(at: DateTime<Utc>) -> Self {
        Self {
            state: RunState::Failed,
            at,
            version: None,
            digest: None,
            verdict: None,
            reason: "",
            alert: None,
            data_rows: None,
            drifted: None,
            grave: None,
            evidence: None,
            report: None,
        }
    }
}
