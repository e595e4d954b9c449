//! Holds: what must not be taken away.

use super::{
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::Result,
    model::{
        digest::Digest,
        name::{Namespace, PrincipalName, Workload},
    },
};
use chrono::{DateTime, Utc};

#[derive(Clone, Debug)]
pub struct HoldRow {
    pub id: String,
    pub namespace: Namespace,
    /// A namespace or a workload.
    pub scope: String,
    /// Only this content of the workload.
    pub digest: Option<Digest>,
    pub reason: String,
    pub set_at: DateTime<Utc>,
    pub set_by: PrincipalName,
}

impl HoldRow {
    /// The scope as it is written.
    pub fn place(&self) -> String {
        match &self.digest {
            Some(digest) => format!("{}@{digest}", self.scope),
            None => self.scope.clone(),
        }
    }
}

type Row = (String, String, String, Option<String>, String, DateTime<Utc>, String);

fn hold((id, namespace, scope, digest, reason, set_at, set_by): Row) -> Result<HoldRow> {
    Ok(HoldRow {
        id,
        namespace: read("holds", &namespace)?,
        scope,
        digest: digest.map(|digest| read("holds", &digest)).transpose()?,
        reason,
        set_at,
        set_by: read("holds", &set_by)?,
    })
}

/// `SELECT` of holds that were not cleared, with the rest of the condition.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, namespace, scope, digest, reason, set_at, set_by FROM holds WHERE cleared_at IS NULL ",
            $rest
        )
    };
}

pub async fn insert(tx: &mut Tx, row: &HoldRow) -> Result<()> {
    let sql = "INSERT INTO holds (id, namespace, scope, digest, reason, set_at, set_by)
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    execute!(
        tx,
        sql,
        &row.id,
        row.namespace.as_str(),
        &row.scope,
        row.digest.as_ref().map(Digest::as_str),
        &row.reason,
        row.set_at,
        row.set_by.as_str(),
    );
    Ok(())
}

pub async fn clear(
    tx: &mut Tx,
    id: &str,
    at: DateTime<Utc>,
    by: &PrincipalName,
    because: &str,
) -> Result<()> {
    let sql = "UPDATE holds SET cleared_at = $2, cleared_by = $3, cleared_because = $4
               WHERE id = $1 AND cleared_at IS NULL";
    execute!(tx, sql, id, at, by.as_str(), because);
    Ok(())
}

/// The holds of exactly this scope.
pub async fn of_scope(tx: &mut Tx, scope: &str, digest: Option<&Digest>) -> Result<Vec<HoldRow>> {
    let sql = select!("AND scope = $1 AND ((digest IS NULL AND $2 IS NULL) OR digest = $2) ORDER BY id");
    let rows: Vec<Row> = all!(tx, sql, scope, digest.map(Digest::as_str));
    rows.into_iter().map(hold).collect()
}

/// A hold of the workload, or of the namespace that it is in.
pub async fn over_workload(tx: &mut Tx, workload: &Workload) -> Result<Option<HoldRow>> {
    let sql = select!("AND digest IS NULL AND scope IN ($1, $2) ORDER BY id LIMIT 1");
    let row: Option<Row> = optional!(tx, sql, workload.as_str(), workload.namespace().as_str());
    row.map(hold).transpose()
}

/// A hold that covers content of a workload.
pub async fn over(tx: &mut Tx, workload: &Workload, digest: &Digest) -> Result<Option<HoldRow>> {
    let sql = select!(
        "AND ((digest IS NULL AND scope IN ($1, $2)) OR (scope = $1 AND digest = $3)) ORDER BY id LIMIT 1"
    );
    let row: Option<Row> =
        optional!(tx, sql, workload.as_str(), workload.namespace().as_str(), digest.as_str());
    row.map(hold).transpose()
}

/// A hold that covers a manifest, what the manifest says something about, or an index that lists it.
pub async fn over_manifest(tx: &mut Tx, workload: &Workload, manifest: &Digest) -> Result<Option<HoldRow>> {
    let sql = select!(
        "AND ((digest IS NULL AND scope IN ($1, $2)) OR (scope = $1 AND (digest = $3 OR digest IN (
             SELECT m.subject FROM manifests m WHERE m.repository = $1 AND m.digest = $3)
             OR digest IN (SELECT u.manifest FROM manifest_uses u WHERE u.repository = $1 AND u.digest = $3)))) ORDER BY id LIMIT 1"
    );
    let row: Option<Row> =
        optional!(tx, sql, workload.as_str(), workload.namespace().as_str(), manifest.as_str());
    row.map(hold).transpose()
}

/// The same for what goes along with other content: of what the manifest says something about, only holds that were set when
/// it was there. Else whoever may push could keep anything by saying it about what is under hold.
pub async fn over_older(tx: &mut Tx, workload: &Workload, manifest: &Digest) -> Result<Option<HoldRow>> {
    let sql = select!(
        "AND ((digest IS NULL AND scope IN ($1, $2)) OR (scope = $1 AND (digest = $3 OR EXISTS (
             SELECT 1 FROM manifests m WHERE m.repository = $1 AND m.digest = $3
                 AND m.subject = holds.digest AND m.created_at <= holds.set_at)))) ORDER BY id LIMIT 1"
    );
    let row: Option<Row> =
        optional!(tx, sql, workload.as_str(), workload.namespace().as_str(), manifest.as_str());
    row.map(hold).transpose()
}

/// A hold that covers a blob of a workload: by itself, or by a manifest that needs it.
pub async fn over_blob(tx: &mut Tx, workload: &Workload, blob: &Digest) -> Result<Option<HoldRow>> {
    let sql = select!(
        "AND ((digest IS NULL AND scope IN ($1, $2)) OR (scope = $1 AND (digest IN (
             SELECT u.manifest FROM manifest_uses u WHERE u.repository = $1 AND u.digest = $3)
             OR digest IN (SELECT m.subject FROM manifests m JOIN manifest_uses u
                 ON u.repository = m.repository AND u.manifest = m.digest
                 WHERE u.repository = $1 AND u.digest = $3)))) ORDER BY id LIMIT 1"
    );
    let row: Option<Row> =
        optional!(tx, sql, workload.as_str(), workload.namespace().as_str(), blob.as_str());
    row.map(hold).transpose()
}

/// Any hold of a workload, also of content of it, or of the namespace that it is in.
pub async fn touching(tx: &mut Tx, workload: &Workload) -> Result<Option<HoldRow>> {
    let sql = select!("AND scope IN ($1, $2) ORDER BY id LIMIT 1");
    let row: Option<Row> = optional!(tx, sql, workload.as_str(), workload.namespace().as_str());
    row.map(hold).transpose()
}

/// Any hold of a namespace, also of something in it.
pub async fn within(tx: &mut Tx, namespace: &Namespace) -> Result<Option<HoldRow>> {
    let row: Option<Row> =
        optional!(tx, select!("AND namespace = $1 ORDER BY id LIMIT 1"), namespace.as_str());
    row.map(hold).transpose()
}

/// Holds after an id, oldest first: all, those of a namespace with what is in it, or those that cover something of a
/// workload.
pub async fn list(
    tx: &mut Tx,
    namespace: Option<&Namespace>,
    workload: Option<&Workload>,
    digest: Option<&Digest>,
    after: &str,
    limit: i64,
) -> Result<Vec<HoldRow>> {
    let sql = select!(
        "AND id > $4 AND ($1 IS NULL OR namespace = $1) AND ($2 IS NULL OR scope = $1 OR scope = $2)
         AND ($3 IS NULL OR digest IS NULL OR digest = $3) ORDER BY id LIMIT $5"
    );
    let rows: Vec<Row> = all!(
        tx,
        sql,
        namespace.map(Namespace::as_str),
        workload.map(Workload::as_str),
        digest.map(Digest::as_str),
        after,
        limit
    );
    rows.into_iter().map(hold).collect()
}
