//! Who read what.

use super::{
    from_sql, read, to_sql,
    tx::{Tx, all, execute, on},
};
use crate::{
    error::{Error, Result},
    model::{
        digest::Digest,
        name::{Namespace, PrincipalName, Workload},
        read::How,
        version::Version,
    },
};
use chrono::{DateTime, Utc};
use sqlx::AssertSqlSafe;

#[derive(Clone, Debug)]
pub struct ReadRow {
    pub id: String,
    pub at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    pub times: u64,
    pub principal: PrincipalName,
    pub workload: Workload,
    /// `None`: a file that several versions have.
    pub version: Option<Version>,
    pub digest: Digest,
    pub how: How,
    pub address: String,
}

#[derive(Clone, Debug)]
pub struct MissingRow {
    pub id: String,
    pub namespace: Namespace,
    pub at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    pub times: u64,
}

/// Most rows of one statement, a power of two. Statements come in few lengths, so that each is prepared once.
const ROWS: usize = 64;
const COLUMNS: usize = 11;

/// `($1, $2, …), (…), …`
fn places(rows: usize) -> String {
    let row = |row: usize| {
        let places: Vec<String> =
            (1..=COLUMNS).map(|column| format!("${}", row * COLUMNS + column)).collect();
        format!("({})", places.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// Adds reads. Those of the same id are counted together; no id may come twice in one call.
pub async fn add(tx: &mut Tx, rows: &[ReadRow]) -> Result<()> {
    let mut rest = rows;
    while !rest.is_empty() {
        let many = if rest.len() >= ROWS { ROWS } else { 1 << rest.len().ilog2() };
        let (few, more) = rest.split_at(many);
        rest = more;
        let sql = format!(
            "INSERT INTO reads
                 (id, at, last_at, times, principal, namespace, workload, version, digest, how, address)
             VALUES {}
             ON CONFLICT (id) DO UPDATE SET times = reads.times + excluded.times,
                 at = CASE WHEN excluded.at < reads.at THEN excluded.at ELSE reads.at END,
                 last_at = CASE WHEN excluded.last_at > reads.last_at THEN excluded.last_at ELSE reads.last_at END",
            places(many)
        );
        on!(tx, c => {
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for row in few {
                query = query
                    .bind(&row.id)
                    .bind(row.at)
                    .bind(row.last_at)
                    .bind(to_sql(row.times)?)
                    .bind(row.principal.as_str())
                    .bind(row.workload.namespace().to_string())
                    .bind(row.workload.as_str())
                    .bind(row.version.as_ref().map(ToString::to_string))
                    .bind(row.digest.as_str())
                    .bind(row.how.name())
                    .bind(&row.address);
            }
            query.execute(c).await?;
        });
    }
    Ok(())
}

/// Adds that reads are missing.
pub async fn add_missing(tx: &mut Tx, row: &MissingRow) -> Result<()> {
    let sql = "INSERT INTO reads_missing (id, namespace, at, last_at, times) VALUES ($1, $2, $3, $4, $5)";
    execute!(tx, sql, &row.id, row.namespace.as_str(), row.at, row.last_at, to_sql(row.times)?);
    Ok(())
}

/// Some versions that have a file.
pub async fn versions_with(tx: &mut Tx, workload: &Workload, blob: &Digest) -> Result<Vec<Version>> {
    let sql = "SELECT v.version FROM manifest_uses u JOIN versions v ON v.workload = u.repository AND v.digest = u.manifest
               WHERE u.repository = $1 AND u.digest = $2 LIMIT 2";
    let rows: Vec<(String,)> = all!(tx, sql, workload.as_str(), blob.as_str());
    rows.into_iter().map(|(version,)| read("versions", &version)).collect()
}

/// Whose reads.
pub enum Place<'a> {
    Everywhere,
    Namespace(&'a Namespace),
    Workload(&'a Workload),
}

/// Which of them.
pub struct Filter<'a> {
    pub place: Place<'a>,
    pub by: Option<&'a PrincipalName>,
    /// Of a file, or of a version, which means its files too.
    pub digest: Option<&'a Digest>,
    /// Those that go on at this time or later, and began before that one.
    pub since: DateTime<Utc>,
    pub until: DateTime<Utc>,
    /// Those that come after this one, in the order of the list; with an empty id, after all of its time.
    pub after: (DateTime<Utc>, &'a str),
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    times: i64,
    principal: String,
    workload: String,
    version: Option<String>,
    digest: String,
    how: String,
    address: String,
}

fn row(row: Row) -> Result<ReadRow> {
    Ok(ReadRow {
        principal: read("reads", &row.principal)?,
        workload: read("reads", &row.workload)?,
        version: row.version.as_deref().map(|version| read("reads", version)).transpose()?,
        digest: read("reads", &row.digest)?,
        how: read("reads", &row.how)?,
        id: row.id,
        at: row.at,
        last_at: row.last_at,
        times: from_sql(row.times),
        address: row.address,
    })
}

/// A row is of one minute: none that began earlier goes on at a time.
const MINUTE: chrono::TimeDelta = chrono::TimeDelta::seconds(60);

/// After a purge nothing tells any more which files a version had, but the reads that name it.
/// The text for each place and with or without a principal, since each has an index of its own.
macro_rules! listing {
    ($($place:literal)*) => {
        [$(concat!(
            "SELECT id, at, last_at, times, principal, workload, version, digest, how, address FROM reads r WHERE ",
            $place,
            " AND ($3 IS NULL OR r.digest = $3 OR EXISTS (SELECT 1 FROM manifest_uses u
                  WHERE u.repository = r.workload AND u.manifest = $3 AND u.digest = r.digest)
                  OR r.version IN (SELECT v.version FROM versions v WHERE v.workload = r.workload AND v.digest = $3))
              AND r.at >= $4 AND r.last_at >= $5 AND r.at < $6 AND (r.at, r.id) < ($7, $8)
              ORDER BY r.at DESC, r.id DESC LIMIT $9"
        )),*]
    };
}
const LISTINGS: [&str; 4] = listing! {
    "($1 IS NULL OR r.workload = $1) AND ($2 IS NULL OR r.principal = $2)"
    "r.namespace = $1 AND ($2 IS NULL OR r.principal = $2)"
    "r.workload = $1 AND ($2 IS NULL OR r.principal = $2)"
    "r.principal = $2 AND ($1 IS NULL OR r.workload = $1)"
};

/// Reads, newest first.
pub async fn list(tx: &mut Tx, filter: &Filter<'_>, limit: i64) -> Result<Vec<ReadRow>> {
    let (sql, place) = match (&filter.place, filter.by) {
        (Place::Everywhere, None) => (LISTINGS[0], None),
        (Place::Everywhere, Some(_)) => (LISTINGS[3], None),
        (Place::Namespace(namespace), _) => (LISTINGS[1], Some(namespace.as_str())),
        (Place::Workload(workload), _) => (LISTINGS[2], Some(workload.as_str())),
    };
    let began = filter.since.checked_sub_signed(MINUTE).unwrap_or(filter.since);
    let (by, digest) = (filter.by.map(PrincipalName::as_str), filter.digest.map(Digest::as_str));
    let rows: Vec<Row> = all!(
        tx,
        sql,
        place,
        by,
        digest,
        began,
        filter.since,
        filter.until,
        filter.after.0,
        filter.after.1,
        limit
    );
    rows.into_iter().map(row).collect()
}

type Missing = (String, String, DateTime<Utc>, DateTime<Utc>, i64);

/// Who has read a version since a time, of its last reads.
pub async fn readers(
    tx: &mut Tx,
    workload: &Workload,
    version: &Version,
    since: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<PrincipalName>> {
    let sql = "SELECT DISTINCT principal FROM (
                   SELECT principal FROM reads WHERE workload = $1 AND version = $3 AND at >= $2 ORDER BY at DESC LIMIT 10000) AS last_reads
               ORDER BY principal LIMIT $4";
    let rows: Vec<(String,)> = all!(tx, sql, workload.as_str(), since, version.to_string(), limit);
    rows.into_iter().map(|(principal,)| read("reads", &principal)).collect()
}

/// When reads are missing, newest first.
pub async fn missing(
    tx: &mut Tx,
    namespace: Option<&Namespace>,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<MissingRow>> {
    let sql = "SELECT id, namespace, at, last_at, times FROM reads_missing
               WHERE ($1 IS NULL OR namespace = $1) AND last_at >= $2 AND at < $3 ORDER BY at DESC, id DESC LIMIT $4";
    let rows: Vec<Missing> = all!(tx, sql, namespace.map(Namespace::as_str), since, until, limit);
    let row = |(id, namespace, at, last_at, times): Missing| {
        Ok::<_, Error>(MissingRow {
            id,
            namespace: read("reads_missing", &namespace)?,
            at,
            last_at,
            times: from_sql(times),
        })
    };
    rows.into_iter().map(row).collect()
}

/// Forgets some of what was read before a time. Answers how many rows.
pub async fn prune(tx: &mut Tx, before: DateTime<Utc>, limit: i64) -> Result<u64> {
    let mut gone = 0;
    for sql in [
        "DELETE FROM reads WHERE id IN (SELECT id FROM reads WHERE at < $1 ORDER BY at LIMIT $2)",
        "DELETE FROM reads_missing WHERE id IN (SELECT id FROM reads_missing WHERE at < $1 ORDER BY at LIMIT $2)",
    ] {
        gone += execute!(tx, sql, before, limit);
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_numbered_through() {
        assert_eq!(places(1), "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)");
        assert!(places(2).ends_with(", ($12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)"));
    }
}
