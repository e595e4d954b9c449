//! Deployments: what is known of each target of a workload.

use super::{
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::Result,
    model::{
        deployment::{Deployment, Running, Target},
        digest::Digest,
        name::Workload,
        stage::Stage,
    },
};
use chrono::{DateTime, Utc};

#[derive(sqlx::FromRow)]
struct Row {
    workload: String,
    target: String,
    stage: Option<String>,
    version: String,
    digest: String,
    status: String,
    since: DateTime<Utc>,
    status_since: DateTime<Utc>,
    has_run: bool,
    healthy: Option<bool>,
    healthy_since: Option<DateTime<Utc>>,
    url: Option<String>,
    message: Option<String>,
    reported_at: DateTime<Utc>,
    reported_by: String,
    running_version: Option<String>,
    running_digest: Option<String>,
    running_since: Option<DateTime<Utc>>,
}

fn deployment(row: Row) -> Result<Deployment> {
    let running = match (&row.running_version, &row.running_digest, row.running_since) {
        (Some(version), Some(digest), Some(since)) => Some(Running {
            version: read("deployments", version)?,
            digest: read("deployments", digest)?,
            since,
        }),
        _ => None,
    };
    Ok(Deployment {
        workload: read("deployments", &row.workload)?,
        target: read("deployments", &row.target)?,
        stage: row.stage.map(|stage| read("deployments", &stage)).transpose()?,
        version: read("deployments", &row.version)?,
        digest: read("deployments", &row.digest)?,
        status: read("deployments", &row.status)?,
        since: row.since,
        status_since: row.status_since,
        has_run: row.has_run,
        running,
        healthy: row.healthy,
        healthy_since: row.healthy_since,
        url: row.url,
        message: row.message,
        reported_at: row.reported_at,
        reported_by: read("deployments", &row.reported_by)?,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT workload, target, stage, version, digest, status, since, status_since, has_run, healthy, ",
            "healthy_since, url, message, reported_at, reported_by, running_version, running_digest, running_since ",
            "FROM deployments ",
            $rest
        )
    };
}

pub async fn find(tx: &mut Tx, workload: &Workload, target: &Target) -> Result<Option<Deployment>> {
    let sql = select!("WHERE workload = $1 AND target = $2");
    let row: Option<Row> = optional!(tx, sql, workload.as_str(), target.as_str());
    row.map(deployment).transpose()
}

/// Targets of a workload after a name: all, those that run this content or should, or those that follow this stage. Without
/// `retired` only those that run the workload or should.
pub async fn list(
    tx: &mut Tx,
    workload: &Workload,
    digest: Option<&Digest>,
    stage: Option<&Stage>,
    retired: bool,
    after: &str,
    limit: i64,
) -> Result<Vec<Deployment>> {
    let sql = select!(
        "WHERE workload = $1 AND target > $5 AND ($2 IS NULL OR digest = $2 OR running_digest = $2)
               AND ($3 IS NULL OR stage = $3) AND ($4 OR status <> 'retired') ORDER BY target LIMIT $6"
    );
    let (digest, stage) = (digest.map(ToString::to_string), stage.map(Stage::as_str));
    let rows: Vec<Row> = all!(tx, sql, workload.as_str(), digest, stage, retired, after, limit);
    rows.into_iter().map(deployment).collect()
}

/// The targets that follow a stage, those first that do not run what it holds.
pub async fn following(
    tx: &mut Tx,
    workload: &Workload,
    stage: &Stage,
    desired: &Digest,
    limit: i64,
) -> Result<Vec<Deployment>> {
    let sql = select!(
        "WHERE workload = $1 AND stage = $2 AND status <> 'retired'
               ORDER BY CASE WHEN running_digest = $3 THEN 1 ELSE 0 END, target LIMIT $4"
    );
    let rows: Vec<Row> = all!(tx, sql, workload.as_str(), stage.as_str(), desired.as_str(), limit);
    rows.into_iter().map(deployment).collect()
}

/// How many targets follow a stage, and how many of them run what it holds.
pub async fn count_following(
    tx: &mut Tx,
    workload: &Workload,
    stage: &Stage,
    desired: &Digest,
) -> Result<(i64, i64)> {
    let sql = "SELECT COUNT(*), COUNT(CASE WHEN running_digest = $3 THEN 1 END) FROM deployments
               WHERE workload = $1 AND stage = $2 AND status <> 'retired'";
    let row = optional!(tx, sql, workload.as_str(), stage.as_str(), desired.as_str());
    Ok(row.unwrap_or_default())
}

/// How many targets run a workload, or should.
pub async fn count(tx: &mut Tx, workload: &Workload) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM deployments WHERE workload = $1 AND status <> 'retired'";
    let row: Option<(i64,)> = optional!(tx, sql, workload.as_str());
    Ok(row.map_or(0, |(count,)| count))
}

/// Stores what is known of a target now.
pub async fn save(tx: &mut Tx, it: &Deployment) -> Result<()> {
    let sql = "INSERT INTO deployments (workload, target, stage, version, digest, status, since, status_since, has_run,
                   healthy, healthy_since, url, message, reported_at, reported_by, running_version, running_digest,
                   running_since)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
               ON CONFLICT (workload, target) DO UPDATE SET stage = $3, version = $4, digest = $5, status = $6,
                   since = $7, status_since = $8, has_run = $9, healthy = $10, healthy_since = $11, url = $12,
                   message = $13, reported_at = $14, reported_by = $15, running_version = $16, running_digest = $17,
                   running_since = $18";
    let running = it.running.as_ref();
    execute!(
        tx,
        sql,
        it.workload.as_str(),
        it.target.as_str(),
        it.stage.as_ref().map(Stage::as_str),
        it.version.to_string(),
        it.digest.to_string(),
        it.status.name(),
        it.since,
        it.status_since,
        it.has_run,
        it.healthy,
        it.healthy_since,
        &it.url,
        &it.message,
        it.reported_at,
        it.reported_by.as_str(),
        running.map(|running| running.version.to_string()),
        running.map(|running| running.digest.as_str()),
        running.map(|running| running.since)
    );
    Ok(())
}

/// Forgets targets that were retired longest ago, where there are more of a workload than are remembered.
pub async fn forget_retired(tx: &mut Tx, workload: &Workload, remembered: i64) -> Result<()> {
    let sql = "DELETE FROM deployments WHERE workload = $1 AND status = 'retired' AND target IN (
                   SELECT target FROM deployments WHERE workload = $1 AND status = 'retired'
                   ORDER BY status_since DESC, target LIMIT 1000 OFFSET $2)";
    execute!(tx, sql, workload.as_str(), remembered);
    Ok(())
}
