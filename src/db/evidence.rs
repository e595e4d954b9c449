//! What is said about manifests, as gates read it.

use super::{
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::{Error, Result},
    model::{
        digest::Digest,
        evidence::{
            DRIFT_REPORTS_MAX, Evidence, EvidenceKind, Examples, HEALTH_ALL_MAX, HEALTH_MAX, Statement,
        },
        name::{PrincipalName, Workload},
    },
};
use chrono::{DateTime, Utc};

/// Most pieces of evidence about one manifest, and bytes of what gates read of them. What people decide is not counted, as
/// nobody can keep others from saying yes or no, nor how it fares where it is deployed, nor what monitors report, nor what was
/// brought along from another registry, which no gate reads.
pub const MAX: i64 = 2000;
pub const BYTES_MAX: i64 = 8 << 20;
/// Most bytes of results example by example about one manifest.
const EXAMPLES_MAX: i64 = 256 << 20;
const DECISIONS_MAX: i64 = 10_000;
const IMPORTED_MAX: i64 = 10_000;
const ALL_MAX: i64 = MAX + DECISIONS_MAX + IMPORTED_MAX + HEALTH_ALL_MAX as i64 + DRIFT_REPORTS_MAX as i64;

pub struct NewEvidence<'a> {
    pub repository: &'a Workload,
    pub evidence: &'a Evidence,
    /// Its statement, as JSON.
    pub statement: &'a str,
    /// Of the exact bytes.
    pub payload: &'a Digest,
    pub examples: Option<&'a [u8]>,
    /// Of the event that tells of it.
    pub position: i64,
}

type Row = (String, String, String, String, String, DateTime<Utc>);

fn evidence((digest, subject, kind, statement, by, at): Row) -> Result<Evidence> {
    let unreadable = |_| Error::corrupt("evidence", &digest, "the statement cannot be read");
    let statement: Statement = serde_json::from_str(&statement).map_err(unreadable)?;
    let kind: EvidenceKind = read("evidence", &kind)?;
    if statement.kind() != kind {
        return Err(Error::corrupt("evidence", &digest, "the statement is of another kind"));
    }
    let by = read("evidence", &by)?;
    Ok(Evidence {
        digest: read("evidence", &digest)?,
        subject: read("evidence", &subject)?,
        statement,
        by,
        at,
    })
}

/// The digest of what gates read of a piece of evidence.
pub fn said(statement: &str, examples: Option<&[u8]>) -> Digest {
    let mut all = statement.as_bytes().to_vec();
    if let Some(examples) = examples {
        all.push(b'\n'); // the statement has none
        all.extend_from_slice(Digest::sha256(examples).as_str().as_bytes());
    }
    Digest::sha256(&all)
}

/// Records evidence about a subject in a repository that is locked. Answers false if it was there, or there is too much.
pub async fn insert(tx: &mut Tx, new: &NewEvidence<'_>) -> Result<bool> {
    let (repository, evidence) = (new.repository.as_str(), new.evidence);
    let sql = "INSERT INTO evidence (repository, digest, subject, number, kind, payload, statement, examples, made_at, made_by, position)
               SELECT $1, $2, $3, COALESCE(MAX(number), 0) + 1, $4, $5, $6, $7, $8, $9, CAST($12 AS BIGINT) FROM evidence
               WHERE repository = $1 AND subject = $3
               HAVING COUNT(CASE WHEN CASE WHEN kind IN ('approval', 'deployment_health', 'drift_report', 'imported') THEN kind ELSE '' END = $14 THEN 1 END) < $10
                   AND CAST(COALESCE(SUM(CASE WHEN kind IN ('approval', 'deployment_health', 'drift_report', 'imported') THEN 0 ELSE LENGTH(statement) END), 0) AS BIGINT) < $11
                   AND CAST(COALESCE(SUM(LENGTH(examples)), 0) AS BIGINT) < $13
                   AND COUNT(CASE WHEN kind = 'deployment_health' AND made_by = $9 THEN 1 END) < $15
               ON CONFLICT (repository, digest) DO NOTHING";
    let kind = evidence.statement.kind();
    let (class, count_max, bytes_max, examples_max) = match kind {
        EvidenceKind::Approval => (kind.name(), DECISIONS_MAX, i64::MAX, i64::MAX),
        EvidenceKind::DeploymentHealth => (kind.name(), HEALTH_ALL_MAX as i64, i64::MAX, i64::MAX),
        EvidenceKind::DriftReport => (kind.name(), DRIFT_REPORTS_MAX as i64, i64::MAX, i64::MAX),
        EvidenceKind::Imported => (kind.name(), IMPORTED_MAX, i64::MAX, i64::MAX),
        _ => ("", MAX, BYTES_MAX, EXAMPLES_MAX),
    };
    let own_health_max = if kind == EvidenceKind::DeploymentHealth { HEALTH_MAX as i64 } else { i64::MAX };
    let inserted = execute!(
        tx,
        sql,
        repository,
        evidence.digest.as_str(),
        evidence.subject.as_str(),
        kind.name(),
        new.payload.as_str(),
        new.statement,
        new.examples,
        evidence.at,
        evidence.by.as_str(),
        count_max,
        bytes_max,
        new.position,
        examples_max,
        class,
        own_health_max,
    );
    Ok(inserted == 1)
}

/// How many pieces of a kind there are about a subject.
pub async fn count(tx: &mut Tx, repository: &Workload, subject: &Digest, kind: EvidenceKind) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM evidence WHERE repository = $1 AND subject = $2 AND kind = $3";
    let row: Option<(i64,)> = optional!(tx, sql, repository.as_str(), subject.as_str(), kind.name());
    Ok(row.map_or(0, |(count,)| count))
}

/// Everything of a kind about a subject, oldest first.
pub async fn of_kind(
    tx: &mut Tx,
    repository: &Workload,
    subject: &Digest,
    kind: EvidenceKind,
) -> Result<Vec<Evidence>> {
    let sql = "SELECT digest, subject, kind, statement, made_by, made_at FROM evidence
               WHERE repository = $1 AND subject = $2 AND kind = $3 ORDER BY number LIMIT $4";
    let rows: Vec<Row> = all!(tx, sql, repository.as_str(), subject.as_str(), kind.name(), ALL_MAX);
    rows.into_iter().map(evidence).collect()
}

/// Everything about a subject, oldest first.
pub async fn about(tx: &mut Tx, repository: &Workload, subject: &Digest) -> Result<Vec<Evidence>> {
    let sql = "SELECT digest, subject, kind, statement, made_by, made_at FROM evidence
               WHERE repository = $1 AND subject = $2 ORDER BY number LIMIT $3";
    let rows: Vec<Row> = all!(tx, sql, repository.as_str(), subject.as_str(), ALL_MAX);
    rows.into_iter().map(evidence).collect()
}

pub async fn find(tx: &mut Tx, repository: &Workload, digest: &Digest) -> Result<Option<Evidence>> {
    let sql = "SELECT digest, subject, kind, statement, made_by, made_at FROM evidence
               WHERE repository = $1 AND digest = $2";
    let row: Option<Row> = optional!(tx, sql, repository.as_str(), digest.as_str());
    row.map(evidence).transpose()
}

/// The position of the event that tells of a piece of evidence.
pub async fn position(tx: &mut Tx, repository: &Workload, digest: &Digest) -> Result<Option<i64>> {
    let sql = "SELECT position FROM evidence WHERE repository = $1 AND digest = $2";
    let row: Option<(Option<i64>,)> = optional!(tx, sql, repository.as_str(), digest.as_str());
    Ok(row.and_then(|(position,)| position))
}

/// What came of the same bytes about the same subject by the same person.
pub async fn same(
    tx: &mut Tx,
    repository: &Workload,
    subject: &Digest,
    payload: &Digest,
    by: &PrincipalName,
) -> Result<Vec<Evidence>> {
    let sql = "SELECT digest, subject, kind, statement, made_by, made_at FROM evidence
               WHERE repository = $1 AND subject = $2 AND payload = $3 AND made_by = $4 ORDER BY number LIMIT $5";
    let rows: Vec<Row> =
        all!(tx, sql, repository.as_str(), subject.as_str(), payload.as_str(), by.as_str(), MAX);
    rows.into_iter().map(evidence).collect()
}

/// What somebody has decided about a subject, oldest first.
pub async fn decisions_by(
    tx: &mut Tx,
    repository: &Workload,
    subject: &Digest,
    by: &PrincipalName,
) -> Result<Vec<Evidence>> {
    let sql = "SELECT digest, subject, kind, statement, made_by, made_at FROM evidence
               WHERE repository = $1 AND subject = $2 AND made_by = $3 AND kind = $4 ORDER BY number LIMIT $5";
    let kind = EvidenceKind::Approval.name();
    let rows: Vec<Row> =
        all!(tx, sql, repository.as_str(), subject.as_str(), by.as_str(), kind, DECISIONS_MAX);
    rows.into_iter().map(evidence).collect()
}

/// The results example by example of an evaluation, with their size as they are stored, if there are any and they have
/// at most so many bytes.
pub async fn examples(
    tx: &mut Tx,
    repository: &Workload,
    digest: &Digest,
    at_most: i64,
) -> Result<Option<(i64, Examples)>> {
    let sql =
        "SELECT examples FROM evidence WHERE repository = $1 AND digest = $2 AND LENGTH(examples) <= $3";
    let row: Option<(Option<Vec<u8>>,)> = optional!(tx, sql, repository.as_str(), digest.as_str(), at_most);
    let Some(bytes) = row.and_then(|(bytes,)| bytes) else { return Ok(None) };
    let examples = serde_json::from_slice(&bytes)
        .map_err(|_| Error::corrupt("evidence", digest, "the examples cannot be read"))?;
    Ok(Some((i64::try_from(bytes.len()).unwrap_or(i64::MAX), examples)))
}
