//! Refusing what was taken away for good: it is not answered, and not taken in again.

use crate::{
    db::{
        Tx, purges,
        versions::{self, Purged},
    },
    error::{Error, Result},
    model::{digest::Digest, name::Workload},
};

/// That a version's content is gone.
pub(super) fn gone(reference: &str, purged: &Purged) -> Error {
    let at = purged.at.format("%Y-%m-%d");
    Error::gone(
        "version_purged",
        format!("the version was purged on {at} by {}: {reference}: {}", purged.by, purged.because),
    )
    .hint("its content is gone for good; gradus show still tells of it")
    .details(serde_json::json!({ "at": purged.at, "by": purged.by, "reason": purged.because }))
}

/// Refuses content of a workload that was purged.
pub(super) async fn refuse_purged(tx: &mut Tx, workload: &Workload, digest: &Digest) -> Result<()> {
    match versions::purged_of(tx, workload, digest).await? {
        Some((version, purged)) => Err(gone(&format!("{workload}:{version}"), &purged)),
        None => Ok(()),
    }
}

/// Refuses to take purged content in again.
pub(super) async fn refuse_again(tx: &mut Tx, workload: &Workload, digest: &Digest) -> Result<()> {
    let Some((version, purged)) = versions::purged_of(tx, workload, digest).await? else { return Ok(()) };
    Err(Error::gone(
        "content_purged",
        format!("this content was purged as {workload}:{version} by {}: {}", purged.by, purged.because),
    )
    .hint("it is not taken in here again; push what is wanted instead of it"))
}

/// Refuses to take a file in again that went with a purge.
pub(super) async fn refuse_blob(tx: &mut Tx, repository: &Workload, digest: &Digest) -> Result<()> {
    match purges::blob_purged_at(tx, repository, digest).await? {
        Some(_) => Err(blob_purged(repository, digest)),
        None => Ok(()),
    }
}

/// The same for all files of a manifest whose uses are noted. The repository is locked.
pub(super) async fn refuse_uses(tx: &mut Tx, repository: &Workload, manifest: &Digest) -> Result<()> {
    match purges::purged_use(tx, repository, manifest).await? {
        Some(digest) => Err(blob_purged(repository, &digest)),
        None => Ok(()),
    }
}

fn blob_purged(repository: &Workload, digest: &Digest) -> Error {
    Error::gone("content_purged", format!("this file was purged from {repository}: {digest}"))
        .hint("it is not taken in here again, under no name; push what is wanted instead of it")
}
