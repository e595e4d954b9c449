//! What there is of many workloads at once: a few statements for a range of names, whatever is in it.

use super::{
    read,
    tx::{Tx, all},
};
use crate::{
    error::{Error, Result},
    model::{
        digest::Digest,
        evidence::Statement,
        kind::{Kind, Tier},
        monitor::MonitorName,
        name::{PrincipalName, Workload},
        promotion::MoveKind,
        stage::Stage,
        version::Version,
    },
};
use chrono::{DateTime, Utc};

/// From one name to another, with both. Whoever asks has made sure that only some hundred workloads are in it.
pub type Names<'a> = (&'a str, &'a str);

/// The workloads, with a version or a card, whose names come after one and before another.
pub async fn names(tx: &mut Tx, after: &str, before: &str, limit: i64) -> Result<Vec<Workload>> {
    let sql =
        "SELECT name FROM (SELECT name FROM repositories WHERE last_sequence > 0 AND deleted_at IS NULL AND name > $1 AND name < $2
                                 ORDER BY name LIMIT $3) AS pushed
               UNION
               SELECT workload FROM (SELECT workload FROM workload_cards c WHERE workload > $1 AND workload < $2
                                     AND NOT EXISTS (SELECT 1 FROM repositories r WHERE r.name = c.workload AND r.deleted_at IS NOT NULL)
                                     ORDER BY workload LIMIT $3) AS described
               ORDER BY 1 LIMIT $3";
    let rows: Vec<(String,)> = all!(tx, sql, after, before, limit);
    rows.into_iter().map(|(name,)| read("repositories", &name)).collect()
}

/// How many versions each has, and the newest that is not yanked.
pub async fn versions(tx: &mut Tx, (first, last): Names<'_>) -> Result<Vec<(String, i64, Option<Version>)>> {
    let sql = "SELECT r.name, r.last_sequence, (SELECT v.version FROM versions v WHERE v.workload = r.name
                   AND v.yanked_at IS NULL ORDER BY v.sort_key DESC LIMIT 1)
               FROM repositories r WHERE r.name >= $1 AND r.name <= $2 AND r.last_sequence > 0";
    let rows: Vec<(String, i64, Option<String>)> = all!(tx, sql, first, last);
    let one = |(name, count, newest): (String, i64, Option<String>)| {
        Ok((name, count, newest.map(|newest| read("versions", &newest)).transpose()?))
    };
    rows.into_iter().map(one).collect()
}

/// What is in a stage, and how it came there.
pub struct Held {
    pub workload: String,
    pub stage: Stage,
    pub version: Version,
    pub digest: Digest,
    pub tier: Tier,
    pub kind: Kind,
    pub is_yanked: bool,
    pub how: MoveKind,
    pub at: DateTime<Utc>,
    pub by: PrincipalName,
    pub reason: Option<String>,
    pub ratified_by: Option<PrincipalName>,
}

#[derive(sqlx::FromRow)]
struct Row {
    workload: String,
    stage: String,
    version: String,
    digest: String,
    tier: String,
    kind: String,
    yanked_at: Option<DateTime<Utc>>,
    how: String,
    moved_at: DateTime<Utc>,
    moved_by: String,
    reason: Option<String>,
    ratified_by: Option<String>,
}

fn held(row: Row) -> Result<Held> {
    Ok(Held {
        stage: read("stages", &row.stage)?,
        version: read("stages", &row.version)?,
        digest: read("stages", &row.digest)?,
        tier: read("versions", &row.tier)?,
        kind: read("versions", &row.kind)?,
        is_yanked: row.yanked_at.is_some(),
        how: read("moves", &row.how)?,
        at: row.moved_at,
        by: read("moves", &row.moved_by)?,
        reason: row.reason,
        ratified_by: row.ratified_by.map(|by| read("moves", &by)).transpose()?,
        workload: row.workload,
    })
}

/// What is in the stages. Few rows of them tell which of the many others are read: so SQLite keeps to the order.
pub async fn stages(tx: &mut Tx, (first, last): Names<'_>) -> Result<Vec<Held>> {
    let sql = "SELECT s.workload, s.stage, s.version, s.digest, v.tier, v.kind, v.yanked_at, m.kind AS how, m.moved_at,
                      m.moved_by, m.reason, m.ratified_by
               FROM stages s CROSS JOIN moves m CROSS JOIN versions v
               WHERE s.workload >= $1 AND s.workload <= $2 AND m.workload = s.workload AND m.stage = s.stage
               AND m.number = s.number AND v.workload = s.workload AND v.version = s.version";
    let rows: Vec<Row> = all!(tx, sql, first, last);
    rows.into_iter().map(held).collect()
}

/// What resolving answers of the versions in a stage, as it is kept: (workload, document).
pub async fn documents(
    tx: &mut Tx,
    (first, last): Names<'_>,
    stage: &Stage,
) -> Result<Vec<(String, String)>> {
    let sql = "SELECT s.workload, v.document FROM stages s
               JOIN versions v ON v.workload = s.workload AND v.version = s.version
               WHERE s.workload >= $1 AND s.workload <= $2 AND s.stage = $3";
    Ok(all!(tx, sql, first, last, stage.as_str()))
}

/// Most bytes of a model card that is read for its licence, and most pieces of evidence at once: what is beyond is not told.
const CARD_MAX: i64 = 64 << 10;
const SAID_MAX: i64 = 50_000;

/// Decisions about the versions in a stage, oldest first, and the newest model card of each.
pub async fn said(
    tx: &mut Tx,
    (first, last): Names<'_>,
    stage: &Stage,
) -> Result<Vec<(String, Statement, PrincipalName)>> {
    let sql = "SELECT e.repository, e.statement, e.made_by FROM stages s CROSS JOIN evidence e
               WHERE s.workload >= $1 AND s.workload <= $2 AND s.stage = $3
               AND e.repository = s.workload AND e.subject = s.digest AND LENGTH(e.statement) <= $4
               AND (e.kind = 'approval' OR e.kind = 'model_card' AND e.number = (
                   SELECT MAX(n.number) FROM evidence n
                   WHERE n.repository = e.repository AND n.subject = e.subject AND n.kind = 'model_card'))
               ORDER BY e.repository, e.number LIMIT $5";
    let rows: Vec<(String, String, String)> = all!(tx, sql, first, last, stage.as_str(), CARD_MAX, SAID_MAX);
    let one = |(workload, statement, by): (String, String, String)| {
        let unreadable = |_| Error::corrupt("evidence", &workload, "a statement cannot be read");
        let statement = serde_json::from_str(&statement).map_err(unreadable)?;
        Ok((workload, statement, read("evidence", &by)?))
    };
    rows.into_iter().map(one).collect()
}

/// How many targets run a workload or should, run anything of it, are not healthy, and do not run what their stage holds.
#[derive(Clone, Copy, Default)]
pub struct Targets {
    pub all: i64,
    pub running: i64,
    pub unhealthy: i64,
    pub drifted: i64,
}

pub async fn targets(tx: &mut Tx, (first, last): Names<'_>) -> Result<Vec<(String, Targets)>> {
    let sql = "SELECT d.workload, COUNT(*), COUNT(d.running_digest), COUNT(CASE WHEN NOT d.healthy THEN 1 END),
                      COUNT(CASE WHEN d.running_digest IS NULL AND s.digest IS NOT NULL OR d.running_digest <> s.digest THEN 1 END)
               FROM deployments d LEFT JOIN stages s ON s.workload = d.workload AND s.stage = d.stage
               WHERE d.workload >= $1 AND d.workload <= $2 AND d.status <> 'retired' GROUP BY d.workload";
    let rows: Vec<(String, i64, i64, i64, i64)> = all!(tx, sql, first, last);
    let one = |(workload, all, running, unhealthy, drifted)| {
        (workload, Targets { all, running, unhealthy, drifted })
    };
    Ok(rows.into_iter().map(one).collect())
}

/// Monitors, and whether each has told of drift that has not ended.
pub async fn monitors(tx: &mut Tx, (first, last): Names<'_>) -> Result<Vec<(String, MonitorName, bool)>> {
    let sql = "SELECT repository, name, told IS NOT NULL FROM monitors
               WHERE removed_at IS NULL AND repository >= $1 AND repository <= $2 ORDER BY repository, name";
    let rows: Vec<(String, String, bool)> = all!(tx, sql, first, last);
    let one =
        |(workload, name, drifts): (String, String, bool)| Ok((workload, read("monitors", &name)?, drifts));
    rows.into_iter().map(one).collect()
}

/// How many promotions wait.
pub async fn pending(tx: &mut Tx, (first, last): Names<'_>) -> Result<Vec<(String, i64)>> {
    let sql = "SELECT workload, COUNT(*) FROM promotions
               WHERE state = 'pending' AND workload >= $1 AND workload <= $2 GROUP BY workload";
    Ok(all!(tx, sql, first, last))
}

/// How many overrides nobody else has looked at.
pub async fn unratified(tx: &mut Tx, (first, last): Names<'_>) -> Result<Vec<(String, i64)>> {
    let sql = "SELECT workload, COUNT(*) FROM moves
               WHERE kind = 'overridden' AND ratified_by IS NULL AND workload >= $1 AND workload <= $2 GROUP BY workload";
    Ok(all!(tx, sql, first, last))
}
