//! Rows that follow from events, to be compared with what the events say of them.

use super::tx::{Tx, all, on, optional};
use crate::error::Result;
use chrono::{DateTime, Utc};

/// Rows that one statement reads.
pub const AT_ONCE: usize = 8;

/// A version: workload, number, digest, document, and whether it is yanked, and purged.
pub type VersionRow = (String, String, String, String, bool, bool);
/// A move: workload, stage, number, version, digest, the position of its entry, and when.
pub type MoveRow = (String, String, i64, String, String, i64, DateTime<Utc>);
/// Evidence: repository, digest, subject, statement, and whether there are examples.
pub type EvidenceRow = (String, String, String, String, bool);
/// Namespace or `*`, principal, role.
pub type Member = (String, String, String);
/// A stage that does not hold what its last move brought there: workload, stage, number of that move, and what it holds.
pub type Unmoved = (String, String, i64, String);

/// The rows whose two columns are one of the pairs, of which there are at most [`AT_ONCE`]. A place that is left over asks
/// for nothing.
macro_rules! by_pairs {
    ($tx:expr, $select:literal, $keys:expr) => {{
        let sql = concat!(
            $select,
            " IN (VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8), ($9, $10), ($11, $12), ($13, $14), ($15, $16))"
        );
        let given = $keys.iter().map(|(one, other)| (one.as_str(), other.as_str()));
        let padded = given.chain(std::iter::repeat(("", ""))).take(AT_ONCE);
        Ok(on!($tx, connection => {
            let mut query = sqlx::query_as(sql);
            for (one, other) in padded {
                query = query.bind(one).bind(other);
            }
            query.fetch_all(connection).await?
        }))
    }};
}

/// Versions by workload and number.
pub async fn versions(tx: &mut Tx, keys: &[(String, String)]) -> Result<Vec<VersionRow>> {
    by_pairs!(
        tx,
        "SELECT workload, version, digest, document, yanked_at IS NOT NULL, purged_at IS NOT NULL FROM versions WHERE (workload, version)",
        keys
    )
}

/// Evidence by repository and digest.
pub async fn evidence(tx: &mut Tx, keys: &[(String, String)]) -> Result<Vec<EvidenceRow>> {
    by_pairs!(
        tx,
        "SELECT repository, digest, subject, statement, examples IS NOT NULL FROM evidence WHERE (repository, digest)",
        keys
    )
}

/// Files that are not taken in again, by repository and digest.
pub async fn purged_blobs(tx: &mut Tx, keys: &[(String, String)]) -> Result<Vec<(String, String)>> {
    by_pairs!(tx, "SELECT repository, digest FROM purged_blobs WHERE (repository, digest)", keys)
}

/// The examples of a piece of evidence, as they are stored.
pub async fn examples(tx: &mut Tx, repository: &str, digest: &str) -> Result<Option<Vec<u8>>> {
    let sql = "SELECT examples FROM evidence WHERE repository = $1 AND digest = $2";
    let row: Option<(Option<Vec<u8>>,)> = optional!(tx, sql, repository, digest);
    Ok(row.and_then(|(examples,)| examples))
}

/// Moves by workload, stage and number, at most [`AT_ONCE`].
pub async fn moves(tx: &mut Tx, keys: &[(String, String, i64)]) -> Result<Vec<MoveRow>> {
    let sql = "SELECT workload, stage, number, version, digest, position, moved_at FROM moves WHERE (workload, stage, number) IN
               (VALUES ($1, $2, CAST($3 AS BIGINT)), ($4, $5, CAST($6 AS BIGINT)), ($7, $8, CAST($9 AS BIGINT)),
                ($10, $11, CAST($12 AS BIGINT)), ($13, $14, CAST($15 AS BIGINT)), ($16, $17, CAST($18 AS BIGINT)),
                ($19, $20, CAST($21 AS BIGINT)), ($22, $23, CAST($24 AS BIGINT)))";
    let given = keys.iter().map(|(workload, stage, number)| (workload.as_str(), stage.as_str(), *number));
    let padded = given.chain(std::iter::repeat(("", "", 0))).take(AT_ONCE);
    Ok(on!(tx, connection => {
        let mut query = sqlx::query_as(sql);
        for (workload, stage, number) in padded {
            query = query.bind(workload).bind(stage).bind(number);
        }
        query.fetch_all(connection).await?
    }))
}

/// The digest that a policy of a scope has; `None`: there is no such row.
pub async fn policy(tx: &mut Tx, scope: &str, number: i64) -> Result<Option<Option<String>>> {
    let sql = "SELECT digest FROM policies WHERE scope = $1 AND number = $2";
    let row: Option<(Option<String>,)> = optional!(tx, sql, scope, number);
    Ok(row.map(|(digest,)| digest))
}

/// How many versions, moves, pieces of evidence and policies there are.
pub async fn counts(tx: &mut Tx) -> Result<[u64; 4]> {
    let sql = "SELECT (SELECT COUNT(*) FROM versions), (SELECT COUNT(*) FROM moves),
                      (SELECT COUNT(*) FROM evidence), (SELECT COUNT(*) FROM policies)";
    let row: Option<(i64, i64, i64, i64)> = optional!(tx, sql);
    let (versions, moves, evidence, policies) = row.unwrap_or_default();
    Ok([versions, moves, evidence, policies].map(super::from_sql))
}

/// Table, key, what it says, the position of its entry, and of a version that was not purged its document.
pub type UntoldRow = (String, String, String, i64, Option<String>);

/// Rows that say which entry tells of them, where no entry of that kind is. A few of the oldest do not say it.
pub async fn untold(tx: &mut Tx) -> Result<Vec<UntoldRow>> {
    let sql = "SELECT 'versions', workload || ':' || version, digest, position,
                   CASE WHEN purged_at IS NULL THEN document END FROM versions v
               WHERE position IS NOT NULL AND NOT EXISTS (SELECT 1 FROM events e
                   WHERE e.position = v.position AND e.workload = v.workload AND e.kind = 'pushed')
               UNION ALL
               SELECT 'moves', workload || ':' || stage || ' ' || CAST(number AS TEXT), version || ' ' || digest, position, NULL FROM moves m
               WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.position = m.position AND e.workload = m.workload
                   AND e.kind IN ('promoted', 'rolled_back'))
               UNION ALL
               SELECT 'evidence', repository || '@' || digest, subject, position, NULL FROM evidence s
               WHERE position IS NOT NULL AND NOT EXISTS (SELECT 1 FROM events e WHERE e.position = s.position
                   AND e.workload = s.repository AND e.kind IN ('evidence_attached', 'approved', 'rejected'))
               UNION ALL
               SELECT 'policies', scope || ' ' || CAST(number AS TEXT), COALESCE(digest, ''), position, NULL FROM policies p
               WHERE position IS NOT NULL AND NOT EXISTS (SELECT 1 FROM events e WHERE e.position = p.position
                   AND e.kind = 'policy_applied')
               UNION ALL
               SELECT 'workload_cards', workload, COALESCE(owner, '') || ' ' || COALESCE(purpose, '') || ' '
                   || COALESCE(limits, '') || ' ' || COALESCE(risk, '') || ' ' || COALESCE(review_on, ''), position, NULL FROM workload_cards c
               WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.position = c.position AND e.workload = c.workload
                   AND e.kind = 'workload_described')";
    Ok(all!(tx, sql))
}

/// How many versions have had their content taken away.
pub async fn count_purged(tx: &mut Tx) -> Result<u64> {
    let row: Option<(i64,)> = optional!(tx, "SELECT COUNT(*) FROM versions WHERE purged_at IS NOT NULL");
    Ok(row.map_or(0, |(count,)| super::from_sql(count)))
}

/// Stages that do not hold what their last move brought there.
pub async fn stages_without_move(tx: &mut Tx) -> Result<Vec<Unmoved>> {
    let sql = "SELECT m.workload, m.stage, m.number,
                   COALESCE(CAST(s.number AS TEXT) || ' ' || s.version || ' ' || s.digest, '') FROM moves m
               LEFT JOIN stages s ON s.workload = m.workload AND s.stage = m.stage
               WHERE NOT EXISTS (SELECT 1 FROM moves n WHERE n.workload = m.workload AND n.stage = m.stage
                                 AND n.number > m.number)
               AND (s.number IS NULL OR s.number <> m.number OR s.version <> m.version OR s.digest <> m.digest)
               UNION ALL
               SELECT s.workload, s.stage, CAST(0 AS BIGINT), CAST(s.number AS TEXT) || ' ' || s.version || ' ' || s.digest
               FROM stages s WHERE NOT EXISTS
                   (SELECT 1 FROM moves m WHERE m.workload = s.workload AND m.stage = s.stage)";
    Ok(all!(tx, sql))
}

/// Versions that are yanked and whose content is there: workload and number.
pub async fn yanked(tx: &mut Tx) -> Result<Vec<(String, String)>> {
    Ok(all!(tx, "SELECT workload, version FROM versions WHERE yanked_at IS NOT NULL AND purged_at IS NULL"))
}

/// All roles there are.
pub async fn members(tx: &mut Tx) -> Result<Vec<Member>> {
    Ok(all!(tx, "SELECT namespace, principal, role FROM members"))
}

/// What stands of quarantines and of holds: the id, and what the events say of it.
pub async fn standing(tx: &mut Tx) -> Result<Vec<(String, String)>> {
    let sql = "SELECT id, 'quarantine ' || scope || ' ' || root || ' ' || value || ' ' || COALESCE(workload, '') || ':'
                   || COALESCE(version, '') || ' ' || reason FROM quarantines WHERE cleared_at IS NULL
               UNION ALL
               SELECT id, 'hold ' || namespace || ' ' || scope || COALESCE('@' || digest, '') || ' ' || reason
               FROM holds WHERE cleared_at IS NULL";
    Ok(all!(tx, sql))
}
