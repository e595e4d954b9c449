//! Versions of workloads. Rows are never changed but for the yank and the purge.

use super::{
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::Result,
    model::{
        digest::Digest,
        kind::{Kind, Tier},
        name::{PrincipalName, Workload},
        range::{Interval, Range},
        stage::Stage,
        version::Version,
    },
};
use chrono::{DateTime, Utc};

#[derive(Clone, Debug)]
pub struct VersionRow {
    pub workload: Workload,
    pub version: Version,
    pub digest: Digest,
    pub sequence: i64,
    pub revision: String,
    pub tier: Tier,
    pub kind: Kind,
    pub contract: Digest,
    /// What resolving answers, as JSON.
    pub document: String,
    /// What the prompt's lints say at the level of an error, as a JSON list.
    pub lint_errors: Option<String>,
    pub created_at: DateTime<Utc>,
    pub created_by: PrincipalName,
    /// Of the event that tells of it; not known of what is older than this column.
    pub position: Option<i64>,
    pub yanked_at: Option<DateTime<Utc>>,
    pub yanked_because: Option<String>,
    /// Its content was taken away for good; the document is empty then.
    pub purged: Option<Purged>,
}

#[derive(Clone, Debug)]
pub struct Purged {
    pub at: DateTime<Utc>,
    pub by: PrincipalName,
    pub because: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    workload: String,
    version: String,
    digest: String,
    sequence: i64,
    revision: String,
    tier: String,
    kind: String,
    contract: String,
    document: String,
    lint_errors: Option<String>,
    created_at: DateTime<Utc>,
    created_by: String,
    position: Option<i64>,
    yanked_at: Option<DateTime<Utc>>,
    yanked_because: Option<String>,
    purged_at: Option<DateTime<Utc>>,
    purged_by: Option<String>,
    purged_because: Option<String>,
}

fn purged(at: Option<DateTime<Utc>>, by: Option<&str>, because: Option<String>) -> Result<Option<Purged>> {
    let Some(at) = at else { return Ok(None) };
    let by = read("versions", by.unwrap_or_default())?;
    Ok(Some(Purged { at, by, because: because.unwrap_or_default() }))
}

fn version(row: Row) -> Result<VersionRow> {
    Ok(VersionRow {
        purged: purged(row.purged_at, row.purged_by.as_deref(), row.purged_because)?,
        workload: read("versions", &row.workload)?,
        version: read("versions", &row.version)?,
        digest: read("versions", &row.digest)?,
        sequence: row.sequence,
        revision: row.revision,
        tier: read("versions", &row.tier)?,
        kind: read("versions", &row.kind)?,
        contract: read("versions", &row.contract)?,
        document: row.document,
        lint_errors: row.lint_errors,
        created_at: row.created_at,
        created_by: read("versions", &row.created_by)?,
        position: row.position,
        yanked_at: row.yanked_at,
        yanked_because: row.yanked_because,
    })
}

/// `SELECT` of a whole version, with the rest of the statement.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT workload, version, digest, sequence, revision, tier, kind, contract, document, lint_errors, ",
            "created_at, created_by, position, yanked_at, yanked_because, purged_at, purged_by, purged_because ",
            "FROM versions ",
            $rest
        )
    };
}

/// Answers false if the version is taken.
pub async fn insert(tx: &mut Tx, row: &VersionRow) -> Result<bool> {
    let sql = "INSERT INTO versions (workload, version, sort_key, prerelease, digest, sequence, revision, tier, kind,
                                     contract, document, created_at, created_by, lint_errors, position)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT DO NOTHING";
    let inserted = execute!(
        tx,
        sql,
        row.workload.as_str(),
        row.version.to_string(),
        row.version.sort_key(),
        row.version.is_prerelease(),
        row.digest.as_str(),
        row.sequence,
        &row.revision,
        row.tier.to_string(),
        row.kind.to_string(),
        row.contract.as_str(),
        &row.document,
        row.created_at,
        row.created_by.as_str(),
        row.lint_errors.as_deref(),
        row.position,
    );
    Ok(inserted == 1)
}

pub async fn find(tx: &mut Tx, workload: &Workload, wanted: &Version) -> Result<Option<VersionRow>> {
    let sql = select!("WHERE workload = $1 AND version = $2");
    let row: Option<Row> = optional!(tx, sql, workload.as_str(), wanted.to_string());
    row.map(version).transpose()
}

/// The version last made of a digest.
pub async fn find_by_digest(tx: &mut Tx, workload: &Workload, digest: &Digest) -> Result<Option<VersionRow>> {
    let sql = select!("WHERE workload = $1 AND digest = $2 ORDER BY sequence DESC LIMIT 1");
    let row: Option<Row> = optional!(tx, sql, workload.as_str(), digest.as_str());
    row.map(version).transpose()
}

/// Whether there is any version, yanked or not.
pub async fn any(tx: &mut Tx, workload: &Workload) -> Result<bool> {
    let sql = "SELECT version FROM versions WHERE workload = $1 LIMIT 1";
    let row: Option<(String,)> = optional!(tx, sql, workload.as_str());
    Ok(row.is_some())
}

/// The version that comes first in precedence: yanked releases count, yanked pre-releases do not.
pub async fn newest(tx: &mut Tx, workload: &Workload) -> Result<Option<VersionRow>> {
    let sql = select!(
        "WHERE workload = $1 AND (yanked_at IS NULL OR NOT prerelease) ORDER BY sort_key DESC LIMIT 1"
    );
    let row: Option<Row> = optional!(tx, sql, workload.as_str());
    row.map(version).transpose()
}

/// The same among those that are not yanked.
pub async fn newest_standing(tx: &mut Tx, workload: &Workload) -> Result<Option<VersionRow>> {
    let sql = select!("WHERE workload = $1 AND yanked_at IS NULL ORDER BY sort_key DESC LIMIT 1");
    let row: Option<Row> = optional!(tx, sql, workload.as_str());
    row.map(version).transpose()
}

/// The version right below `above` in precedence, or with `release` the release, that is not yanked.
pub async fn below(
    tx: &mut Tx,
    workload: &Workload,
    above: &Version,
    release: bool,
) -> Result<Option<VersionRow>> {
    let sql = select!(
        "WHERE workload = $1 AND sort_key < $2 AND (NOT $3 OR NOT prerelease) AND yanked_at IS NULL
         ORDER BY sort_key DESC LIMIT 1"
    );
    let row: Option<Row> = optional!(tx, sql, workload.as_str(), above.sort_key(), release);
    row.map(version).transpose()
}

/// The release right above `below` in precedence that is not yanked.
pub async fn above(tx: &mut Tx, workload: &Workload, below: &Version) -> Result<Option<VersionRow>> {
    let sql = select!(
        "WHERE workload = $1 AND prerelease = $2 AND yanked_at IS NULL AND sort_key > $3 ORDER BY sort_key LIMIT 1"
    );
    let row: Option<Row> = optional!(tx, sql, workload.as_str(), false, below.sort_key());
    row.map(version).transpose()
}

/// The same as `select!`, of versions that have entered a stage (`$2`) and were not rolled back from it.
macro_rules! entered {
    ($rest:literal) => {
        concat!(
            "SELECT v.workload, v.version, v.digest, v.sequence, v.revision, v.tier, v.kind, v.contract, v.document, ",
            "v.lint_errors, v.created_at, v.created_by, v.position, v.yanked_at, v.yanked_because, ",
            "v.purged_at, v.purged_by, v.purged_because FROM entries e ",
            "JOIN versions v ON v.workload = e.workload AND v.version = e.version AND v.yanked_at IS NULL ",
            "WHERE e.workload = $1 AND e.stage = $2 AND e.rolled_back_at IS NULL ",
            $rest
        )
    };
}

/// The newest release that is not yanked, of those that have entered a stage, if one is given.
pub async fn latest(tx: &mut Tx, workload: &Workload, from: Option<&Stage>) -> Result<Option<VersionRow>> {
    let row: Option<Row> = match from {
        None => {
            let sql = select!(
                "WHERE workload = $1 AND prerelease = $2 AND yanked_at IS NULL ORDER BY sort_key DESC LIMIT 1"
            );
            optional!(tx, sql, workload.as_str(), false)
        }
        Some(stage) => {
            let sql = entered!("AND e.prerelease = $3 ORDER BY e.sort_key DESC LIMIT 1");
            optional!(tx, sql, workload.as_str(), stage.as_str(), false)
        }
    };
    row.map(version).transpose()
}

/// Rows read at a time while looking for a pre-release in a range.
const STEP: i64 = 100;

/// The highest version in a range that is not yanked, of those that have entered a stage, if one is given.
pub async fn highest(
    tx: &mut Tx,
    workload: &Workload,
    range: &Range,
    from: Option<&Stage>,
) -> Result<Option<VersionRow>> {
    let mut best: Option<VersionRow> = None;
    for interval in range.intervals() {
        if let Some(row) = highest_in(tx, workload, range, &interval, from).await?
            && best.as_ref().is_none_or(|best| best.version < row.version)
        {
            best = Some(row);
        }
    }
    Ok(best)
}

async fn highest_in(
    tx: &mut Tx,
    workload: &Workload,
    range: &Range,
    interval: &Interval,
    from: Option<&Stage>,
) -> Result<Option<VersionRow>> {
    let releases = between(tx, workload, from, false, (&interval.low, &interval.high), 1).await?;
    let mut best = releases.into_iter().next();
    for (low, high) in &interval.prereleases {
        let low = best.as_ref().map_or_else(|| low.clone(), |row| row.version.sort_key().max(low.clone()));
        if let Some(row) = highest_prerelease(tx, workload, range, low, high.clone(), from).await? {
            best = Some(row);
        }
    }
    Ok(best)
}

/// Versions between two keys, highest first.
async fn between(
    tx: &mut Tx,
    workload: &Workload,
    from: Option<&Stage>,
    prerelease: bool,
    (low, high): (&[u8], &[u8]),
    limit: i64,
) -> Result<Vec<VersionRow>> {
    let name = workload.as_str();
    let rows: Vec<Row> = match from {
        None => {
            let sql = select!(
                "WHERE workload = $1 AND prerelease = $2 AND yanked_at IS NULL AND sort_key >= $3 AND sort_key < $4
                 ORDER BY sort_key DESC LIMIT $5"
            );
            all!(tx, sql, name, prerelease, low, high, limit)
        }
        Some(stage) => {
            let sql = entered!(
                "AND e.prerelease = $3 AND e.sort_key >= $4 AND e.sort_key < $5 ORDER BY e.sort_key DESC LIMIT $6"
            );
            all!(tx, sql, name, stage.as_str(), prerelease, low, high, limit)
        }
    };
    rows.into_iter().map(version).collect()
}

/// Only some pre-releases between two keys match, so they are looked at one by one, from above.
async fn highest_prerelease(
    tx: &mut Tx,
    workload: &Workload,
    range: &Range,
    low: Vec<u8>,
    mut high: Vec<u8>,
    from: Option<&Stage>,
) -> Result<Option<VersionRow>> {
    loop {
        let rows = between(tx, workload, from, true, (&low, &high), STEP).await?;
        let count = rows.len();
        for row in rows {
            if range.matches(&row.version) {
                return Ok(Some(row));
            }
            high = row.version.sort_key();
        }
        if count < usize::try_from(STEP).unwrap_or(0) {
            return Ok(None);
        }
    }
}

/// Which versions to list.
#[derive(Default)]
pub struct Filter {
    pub tier: Option<Tier>,
    pub yanked: Option<bool>,
}

/// Versions below a sort key, newest first, without their documents, which may be large.
pub async fn list(
    tx: &mut Tx,
    workload: &Workload,
    filter: &Filter,
    below: Option<&Version>,
    limit: i64,
) -> Result<Vec<VersionRow>> {
    let below = below.map_or_else(|| vec![0xff], Version::sort_key);
    let tier = filter.tier.map(|tier| tier.to_string());
    let sql = "SELECT workload, version, digest, sequence, revision, tier, kind, contract, '' AS document, lint_errors,
                      created_at, created_by, position, yanked_at, yanked_because, purged_at, purged_by, purged_because
               FROM versions
               WHERE workload = $1 AND sort_key < $2 AND ($3 IS NULL OR tier = $3)
               AND ($4 IS NULL OR (yanked_at IS NOT NULL) = $4) ORDER BY sort_key DESC LIMIT $5";
    let rows: Vec<Row> = all!(tx, sql, workload.as_str(), below, tier, filter.yanked, limit);
    rows.into_iter().map(version).collect()
}

/// Answers false if there is no such version, or it is yanked already.
pub async fn yank(
    tx: &mut Tx,
    workload: &Workload,
    wanted: &Version,
    at: DateTime<Utc>,
    because: &str,
) -> Result<bool> {
    let sql = "UPDATE versions SET yanked_at = $3, yanked_because = $4
               WHERE workload = $1 AND version = $2 AND yanked_at IS NULL";
    Ok(execute!(tx, sql, workload.as_str(), wanted.to_string(), at, because) == 1)
}

/// Takes the content of all versions of a digest away: what resolving answered goes, and ranges pass them over as they do
/// yanked ones. Answers their numbers.
pub async fn purge(
    tx: &mut Tx,
    workload: &Workload,
    digest: &Digest,
    purged: &Purged,
) -> Result<Vec<Version>> {
    let sql = "UPDATE versions SET purged_at = $3, purged_by = $4, purged_because = $5, document = '', lint_errors = NULL,
                   yanked_at = COALESCE(yanked_at, $3), yanked_because = COALESCE(yanked_because, $5)
               WHERE workload = $1 AND digest = $2 AND purged_at IS NULL RETURNING version";
    let rows: Vec<(String,)> =
        all!(tx, sql, workload.as_str(), digest.as_str(), purged.at, purged.by.as_str(), &purged.because);
    let mut versions: Vec<Version> =
        rows.into_iter().map(|(text,)| read("versions", &text)).collect::<Result<_>>()?;
    versions.sort_unstable();
    Ok(versions)
}

/// That content of a workload was taken away, with a version it was.
pub async fn purged_of(
    tx: &mut Tx,
    workload: &Workload,
    digest: &Digest,
) -> Result<Option<(Version, Purged)>> {
    let sql = "SELECT version, purged_at, purged_by, purged_because FROM versions
               WHERE workload = $1 AND digest = $2 AND purged_at IS NOT NULL ORDER BY sequence DESC LIMIT 1";
    type Found = (String, Option<DateTime<Utc>>, Option<String>, Option<String>);
    let row: Option<Found> = optional!(tx, sql, workload.as_str(), digest.as_str());
    let Some((text, at, by, because)) = row else { return Ok(None) };
    let version = read("versions", &text)?;
    Ok(purged(at, by.as_deref(), because)?.map(|purged| (version, purged)))
}

/// A version of this content that was yanked.
pub async fn yanked_of(tx: &mut Tx, workload: &Workload, digest: &Digest) -> Result<Option<Version>> {
    let sql =
        "SELECT version FROM versions WHERE workload = $1 AND digest = $2 AND yanked_at IS NOT NULL LIMIT 1";
    let row: Option<(String,)> = optional!(tx, sql, workload.as_str(), digest.as_str());
    row.map(|(text,)| read("versions", &text)).transpose()
}

/// A version that has this manifest, for refusing its deletion.
pub async fn of_manifest(tx: &mut Tx, workload: &Workload, digest: &Digest) -> Result<Option<Version>> {
    let sql = "SELECT version FROM versions WHERE workload = $1 AND digest = $2 ORDER BY sequence LIMIT 1";
    let row: Option<(String,)> = optional!(tx, sql, workload.as_str(), digest.as_str());
    row.map(|(text,)| read("versions", &text)).transpose()
}

/// Versions that need a blob.
pub async fn using(tx: &mut Tx, blob: &Digest, limit: i64) -> Result<Vec<(Workload, Version)>> {
    let sql = "SELECT v.workload, v.version FROM blob_links l
               JOIN manifest_uses u ON u.repository = l.repository AND u.digest = l.digest
               JOIN versions v ON v.workload = u.repository AND v.digest = u.manifest
               WHERE l.digest = $1 ORDER BY v.workload, v.sort_key DESC LIMIT $2";
    let rows: Vec<(String, String)> = all!(tx, sql, blob.as_str(), limit);
    rows.into_iter()
        .map(|(workload, version)| Ok((read("versions", &workload)?, read("versions", &version)?)))
        .collect()
}
