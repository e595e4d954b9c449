//! Manifests: their exact bytes, which repository holds them, what they need and what they refer to.

use super::{
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::{Error, Result},
    model::{
        digest::Digest,
        manifest::Descriptor,
        name::{Namespace, PrincipalName, Workload},
        version::Version,
    },
};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

/// In SQL, that a manifest `m` is an index: what it uses are manifests, and of all others blobs (see `model::manifest`). A
/// file may be, byte for byte, a manifest of the repository too.
macro_rules! is_index {
    () => {
        "m.media_type IN ('application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json')"
    };
}
pub(super) use is_index;

pub struct ManifestRow<'a> {
    pub repository: &'a Workload,
    pub digest: &'a Digest,
    pub media_type: &'a str,
    pub bytes: &'a [u8],
    pub subject: Option<&'a Digest>,
    /// The entry in a referrers list.
    pub descriptor: &'a Descriptor,
    /// The manifests it lists; its blobs are noted by `use_blobs`.
    pub manifests: &'a [Digest],
}

pub struct Stored {
    pub digest: Digest,
    pub media_type: String,
    pub bytes: Vec<u8>,
}

/// Stores a manifest in a repository. Answers false if it was there.
pub async fn insert(tx: &mut Tx, row: &ManifestRow<'_>, at: DateTime<Utc>) -> Result<bool> {
    let digest = row.digest.as_str();
    let sql = "INSERT INTO manifest_bytes (digest, bytes) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";
    execute!(tx, sql, digest, row.bytes);
    let descriptor = serde_json::to_string(row.descriptor).map_err(|source| {
        Error::internal("manifest_encoding", "a descriptor could not be written").source(source)
    })?;
    let sql = "INSERT INTO manifests (repository, digest, subject, artifact_type, descriptor, created_at, media_type)
               VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (repository, digest) DO NOTHING";
    let subject = row.subject.map(Digest::as_str);
    let artifact_type = row.descriptor.artifact_type.as_deref();
    let repository = row.repository.as_str();
    let inserted =
        execute!(tx, sql, repository, digest, subject, artifact_type, descriptor, at, row.media_type);
    if inserted == 0 {
        return Ok(false);
    }
    for used in row.manifests {
        add_use(tx, row.repository, row.digest, used).await?;
    }
    Ok(true)
}

/// Notes that a manifest needs a blob or another manifest, which garbage collection then keeps.
pub async fn add_use(tx: &mut Tx, repository: &Workload, manifest: &Digest, used: &Digest) -> Result<()> {
    let sql = "INSERT INTO manifest_uses (repository, manifest, digest) VALUES ($1, $2, $3)
               ON CONFLICT (repository, manifest, digest) DO NOTHING";
    execute!(tx, sql, repository.as_str(), manifest.as_str(), used.as_str());
    Ok(())
}

/// Notes that a new manifest needs blobs, each named once. Answers how many of them the repository links to.
pub async fn use_blobs(
    tx: &mut Tx,
    repository: &Workload,
    manifest: &Digest,
    blobs: &[&Digest],
) -> Result<usize> {
    let mut linked = 0;
    for few in blobs.chunks(8) {
        let digest = |at: usize| few.get(at).map(|digest| digest.as_str());
        let sql = "INSERT INTO manifest_uses (repository, manifest, digest)
                   SELECT repository, $2, digest FROM blob_links
                   WHERE repository = $1 AND digest IN ($3, $4, $5, $6, $7, $8, $9, $10)";
        linked += execute!(
            tx,
            sql,
            repository.as_str(),
            manifest.as_str(),
            digest(0),
            digest(1),
            digest(2),
            digest(3),
            digest(4),
            digest(5),
            digest(6),
            digest(7),
        );
    }
    Ok(usize::try_from(linked).unwrap_or(usize::MAX))
}

pub async fn find(tx: &mut Tx, repository: &Workload, digest: &Digest) -> Result<Option<Stored>> {
    let sql =
        "SELECT b.digest, m.media_type, b.bytes FROM manifests m JOIN manifest_bytes b ON b.digest = m.digest
               WHERE m.repository = $1 AND m.digest = $2";
    let row: Option<(String, String, Vec<u8>)> = optional!(tx, sql, repository.as_str(), digest.as_str());
    row.map(|(digest, media_type, bytes)| {
        Ok(Stored { digest: read("manifest_bytes", &digest)?, media_type, bytes })
    })
    .transpose()
}

pub async fn exists(tx: &mut Tx, repository: &Workload, digest: &Digest) -> Result<bool> {
    let sql = "SELECT digest FROM manifests WHERE repository = $1 AND digest = $2";
    let row: Option<(String,)> = optional!(tx, sql, repository.as_str(), digest.as_str());
    Ok(row.is_some())
}

/// Manifests after a digest that have a blob, or that list a manifest, and are no version's and no evidence.
pub async fn others_using(
    tx: &mut Tx,
    repository: &Workload,
    used: &Digest,
    is_manifest: bool,
    after: &str,
    limit: i64,
) -> Result<Vec<Digest>> {
    let sql = concat!(
        "SELECT u.manifest FROM manifest_uses u
             JOIN manifests m ON m.repository = u.repository AND m.digest = u.manifest
         WHERE u.repository = $1 AND u.digest = $2 AND u.manifest > $3 AND (",
        is_index!(),
        ") = $4
             AND NOT EXISTS (SELECT 1 FROM versions v WHERE v.workload = u.repository AND v.digest = u.manifest)
             AND NOT EXISTS (SELECT 1 FROM evidence e WHERE e.repository = u.repository AND e.digest = u.manifest)
         ORDER BY u.manifest LIMIT $5"
    );
    let rows: Vec<(String,)> = all!(tx, sql, repository.as_str(), used.as_str(), after, is_manifest, limit);
    rows.into_iter().map(|(digest,)| read("manifest_uses", &digest)).collect()
}

/// Removes a manifest and its tags. Answers false if it was not there.
pub async fn delete(tx: &mut Tx, repository: &Workload, digest: &Digest) -> Result<bool> {
    execute!(
        tx,
        "DELETE FROM tags WHERE repository = $1 AND digest = $2",
        repository.as_str(),
        digest.as_str()
    );
    let sql = "DELETE FROM manifest_uses WHERE repository = $1 AND manifest = $2";
    execute!(tx, sql, repository.as_str(), digest.as_str());
    let sql = "DELETE FROM manifests WHERE repository = $1 AND digest = $2";
    Ok(execute!(tx, sql, repository.as_str(), digest.as_str()) == 1)
}

/// Manifests whose subject is `subject`, after a digest, in order.
pub async fn referrers(
    tx: &mut Tx,
    repository: &Workload,
    subject: &Digest,
    artifact_type: Option<&str>,
    after: &str,
    limit: i64,
) -> Result<Vec<Descriptor>> {
    let sql = "SELECT digest, descriptor FROM manifests WHERE repository = $1 AND subject = $2
               AND ($3 IS NULL OR artifact_type = $3) AND digest > $4 ORDER BY digest LIMIT $5";
    let rows: Vec<(String, String)> =
        all!(tx, sql, repository.as_str(), subject.as_str(), artifact_type, after, limit);
    let descriptor = |(digest, text): (String, String)| {
        serde_json::from_str(&text)
            .map_err(|_| Error::corrupt("manifests", digest, "the descriptor cannot be read"))
    };
    rows.into_iter().map(descriptor).collect()
}

/// What was found in an artifact, as JSON.
pub async fn insert_inspection(tx: &mut Tx, digest: &Digest, report: &str, at: DateTime<Utc>) -> Result<()> {
    let sql = "INSERT INTO inspections (digest, report, created_at) VALUES ($1, $2, $3) ON CONFLICT (digest) DO NOTHING";
    execute!(tx, sql, digest.as_str(), report, at);
    Ok(())
}

pub async fn find_inspection(tx: &mut Tx, digest: &Digest) -> Result<Option<String>> {
    let row: Option<(String,)> =
        optional!(tx, "SELECT report FROM inspections WHERE digest = $1", digest.as_str());
    Ok(row.map(|(report,)| report))
}

/// Everyone who ever pushed a digest in a namespace.
pub async fn authors(tx: &mut Tx, namespace: &Namespace, digest: &Digest) -> Result<BTreeSet<PrincipalName>> {
    let sql = "SELECT principal FROM authors WHERE namespace = $1 AND digest = $2";
    let rows: Vec<(String,)> = all!(tx, sql, namespace.as_str(), digest.as_str());
    rows.into_iter().map(|(name,)| read("authors", &name)).collect()
}

/// Answers false if they were an author already.
pub async fn add_author(
    tx: &mut Tx,
    repository: &Workload,
    digest: &Digest,
    author: &PrincipalName,
) -> Result<bool> {
    let sql = "INSERT INTO authors (namespace, digest, principal) VALUES ($1, $2, $3)
               ON CONFLICT (namespace, digest, principal) DO NOTHING";
    Ok(execute!(tx, sql, repository.namespace().as_str(), digest.as_str(), author.as_str()) == 1)
}

/// A version for each content of a workload that has a file and was not purged, newest first.
pub async fn versions_with(
    tx: &mut Tx,
    workload: &Workload,
    file: &Digest,
    limit: i64,
) -> Result<Vec<Version>> {
    let sql = "SELECT MIN(v.version) FROM manifest_uses u JOIN versions v ON v.workload = u.repository AND v.digest = u.manifest
               WHERE u.repository = $1 AND u.digest = $2 AND v.purged_at IS NULL
               GROUP BY v.digest ORDER BY MAX(v.sequence) DESC LIMIT $3";
    let rows: Vec<(String,)> = all!(tx, sql, workload.as_str(), file.as_str(), limit);
    rows.into_iter().map(|(version,)| read("versions", &version)).collect()
}

#[cfg(test)]
mod tests {
    use crate::model::manifest::{DOCKER_LIST, INDEX};

    #[test]
    fn indexes_are_told_by_the_types_that_the_model_knows() {
        assert!([INDEX, DOCKER_LIST].iter().all(|name| is_index!().contains(&format!("'{name}'"))));
        assert_eq!(is_index!().matches("application/").count(), 2);
    }
}
