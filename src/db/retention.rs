//! Rules for versions that were never promoted, and what there is for them to look at.

use super::{
    manifests::is_index,
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::Result,
    model::{
        digest::Digest,
        name::{Namespace, PrincipalName, Workload},
        version::Version,
    },
};
use chrono::{DateTime, Utc};

#[derive(Clone, Debug)]
pub struct RuleRow {
    pub namespace: Namespace,
    pub keep_newest: i64,
    pub older_than_days: i64,
    pub set_at: DateTime<Utc>,
    pub set_by: PrincipalName,
}

type Row = (String, i64, i64, DateTime<Utc>, String);

fn rule((namespace, keep_newest, older_than_days, set_at, set_by): Row) -> Result<RuleRow> {
    Ok(RuleRow {
        namespace: read("retention_rules", &namespace)?,
        keep_newest,
        older_than_days,
        set_at,
        set_by: read("retention_rules", &set_by)?,
    })
}

pub async fn find(tx: &mut Tx, namespace: &Namespace) -> Result<Option<RuleRow>> {
    let sql = "SELECT namespace, keep_newest, older_than_days, set_at, set_by FROM retention_rules
               WHERE namespace = $1";
    let row: Option<Row> = optional!(tx, sql, namespace.as_str());
    row.map(rule).transpose()
}

/// Rules of namespaces after a name.
pub async fn list(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<RuleRow>> {
    let sql = "SELECT namespace, keep_newest, older_than_days, set_at, set_by FROM retention_rules
               WHERE namespace > $1 ORDER BY namespace LIMIT $2";
    let rows: Vec<Row> = all!(tx, sql, after, limit);
    rows.into_iter().map(rule).collect()
}

pub async fn save(tx: &mut Tx, row: &RuleRow) -> Result<()> {
    let sql = "INSERT INTO retention_rules (namespace, keep_newest, older_than_days, set_at, set_by)
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT (namespace) DO UPDATE
               SET keep_newest = $2, older_than_days = $3, set_at = $4, set_by = $5";
    execute!(
        tx,
        sql,
        row.namespace.as_str(),
        row.keep_newest,
        row.older_than_days,
        row.set_at,
        row.set_by.as_str()
    );
    Ok(())
}

/// Answers false if there was none.
pub async fn remove(tx: &mut Tx, namespace: &Namespace) -> Result<bool> {
    let sql = "DELETE FROM retention_rules WHERE namespace = $1";
    Ok(execute!(tx, sql, namespace.as_str()) == 1)
}

/// A version that is still whole.
pub struct Candidate {
    pub version: Version,
    pub digest: Digest,
    pub created_at: DateTime<Utc>,
}

/// Whole versions below another in precedence, highest first.
pub async fn candidates(
    tx: &mut Tx,
    workload: &Workload,
    below: Option<&Version>,
    limit: i64,
) -> Result<Vec<Candidate>> {
    let below = below.map_or_else(|| vec![0xff], Version::sort_key);
    let sql = "SELECT version, digest, created_at FROM versions
               WHERE workload = $1 AND sort_key < $2 AND purged_at IS NULL ORDER BY sort_key DESC LIMIT $3";
    let rows: Vec<(String, String, DateTime<Utc>)> = all!(tx, sql, workload.as_str(), below, limit);
    rows.into_iter()
        .map(|(version, digest, created_at)| {
            Ok(Candidate {
                version: read("versions", &version)?,
                digest: read("versions", &digest)?,
                created_at,
            })
        })
        .collect()
}

/// How many whole versions are above another one, counted up to a number.
pub async fn count_above(tx: &mut Tx, workload: &Workload, version: &Version, up_to: i64) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM (SELECT sort_key FROM versions
                   WHERE workload = $1 AND sort_key > $2 AND purged_at IS NULL LIMIT $3) AS higher";
    let row: Option<(i64,)> = optional!(tx, sql, workload.as_str(), version.sort_key(), up_to);
    Ok(row.map_or(0, |(count,)| count))
}

/// What keeps content of a workload, of all or of one digest: why, and the digest; none means all content. Whatever moved
/// it, but for a push by itself, was a promotion, whatever the policy says by now.
pub async fn kept(
    tx: &mut Tx,
    workload: &Workload,
    digest: Option<&Digest>,
) -> Result<Vec<(String, Option<Digest>)>> {
    let sql = concat!(
        "SELECT 'held', digest FROM holds
                   WHERE cleared_at IS NULL AND (scope = $1 OR (scope = $3 AND digest IS NULL))
                   AND ($2 IS NULL OR digest IS NULL OR digest = $2)
               UNION SELECT 'in_stage', digest FROM stages WHERE workload = $1 AND ($2 IS NULL OR digest = $2)
               UNION SELECT 'promoted', digest FROM moves
                   WHERE workload = $1 AND NOT by_push AND ($2 IS NULL OR digest = $2)
               UNION SELECT 'pending', digest FROM promotions
                   WHERE workload = $1 AND state = 'pending' AND ($2 IS NULL OR digest = $2)
               UNION SELECT 'aliased', digest FROM tags WHERE repository = $1 AND ($2 IS NULL OR digest = $2)
               UNION SELECT 'listed', v.digest FROM versions v
                   WHERE v.workload = $1 AND ($2 IS NULL OR v.digest = $2) AND EXISTS (
                       SELECT 1 FROM manifest_uses u JOIN manifests m ON m.repository = u.repository AND m.digest = u.manifest
                       WHERE u.repository = v.workload AND u.digest = v.digest AND ",
        is_index!(),
        ")
               UNION SELECT 'running', digest FROM deployments
                   WHERE workload = $1 AND status <> 'retired' AND ($2 IS NULL OR digest = $2)
               UNION SELECT 'running', running_digest FROM deployments
                   WHERE workload = $1 AND status <> 'retired' AND running_digest IS NOT NULL
                   AND ($2 IS NULL OR running_digest = $2)
               ORDER BY 1, 2"
    );
    let rows: Vec<(String, Option<String>)> =
        all!(tx, sql, workload.as_str(), digest.map(Digest::as_str), workload.namespace().as_str());
    rows.into_iter()
        .map(|(why, digest)| Ok((why, digest.map(|digest| read("holds", &digest)).transpose()?)))
        .collect()
}
