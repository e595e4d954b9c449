//! Blobs as a repository sees them: always through its link, never by the digest alone.

use super::{Context, hold, purged, quotas, uploads::store_of};
use crate::{
    blobs::ByteStream,
    db::{blobs, holds, log, namespaces},
    error::{Error, Result},
    model::{
        access::{Actor, Permission},
        digest::Digest,
        event::Change,
        name::{PrincipalName, Workload},
    },
};
use chrono::TimeDelta;
use futures_util::StreamExt as _;
use std::{collections::BTreeMap, ops::Range, time::Duration};

pub use blobs::BlobRow;

/// How long a presigned URL works.
const PRESIGNED_FOR: Duration = Duration::from_secs(900);

pub(super) fn unknown(digest: &Digest) -> Error {
    Error::not_found("blob_unknown", format!("no such blob in this repository: {digest}"))
}

/// A link noted as wanted before this is noted again, well before its grace period ends.
pub(super) fn stale(cx: &Context) -> chrono::DateTime<chrono::Utc> {
    cx.clock.now() - cx.grace().min(TimeDelta::hours(24)) / 4
}

/// The blob, if the repository links to it. Notes that it is wanted, so that a push that relies on the
/// answer does not lose it to garbage collection.
pub async fn stat(cx: &Context, repository: &Workload, digest: &Digest) -> Result<BlobRow> {
    let mut tx = cx.db.read().await?;
    let (row, used_at) =
        blobs::find_link(&mut tx, repository, digest).await?.ok_or_else(|| unknown(digest))?;
    drop(tx);
    if row.quarantined_at.is_some() {
        // To a pusher a rotten blob is missing: pushing it again heals it.
        return Err(unknown(digest));
    }
    let now = cx.clock.now();
    let stale = stale(cx);
    if used_at < stale {
        let mut tx = cx.db.write().await?;
        blobs::touch(&mut tx, repository, digest, now, stale).await?;
        tx.commit().await?;
    }
    Ok(row)
}

/// Where a download comes from.
pub enum Download {
    Stream(ByteStream),
    /// The store itself, by presigned URL.
    Redirect(String),
}

/// Opens a blob for reading. Fails with an integrity error if it is known to be rotten.
pub async fn open(cx: &Context, repository: &Workload, digest: &Digest) -> Result<BlobRow> {
    let mut tx = cx.db.read().await?;
    let row = blobs::find_linked(&mut tx, repository, digest).await?.ok_or_else(|| unknown(digest))?;
    if row.quarantined_at.is_some() {
        return Err(Error::integrity(
            "blob_rotten",
            format!("the stored bytes are not what their digest says: {digest}"),
        )
        .hint("push the file again: that heals it"));
    }
    Ok(row)
}

/// Why an opened blob cannot be read: between looking and reading it may have been collected, or a rotten copy
/// replaced by a good one. Only what is still recorded like that is lost, and set aside.
pub(super) async fn explain(cx: &Context, repository: &Workload, opened: &BlobRow, error: Error) -> Error {
    if !matches!(error.code, "object_missing" | "object_truncated") {
        return error;
    }
    let now = async { blobs::find_linked(&mut cx.db.read().await?, repository, &opened.digest).await };
    match now.await {
        Ok(None) => unknown(&opened.digest),
        Ok(Some(row)) if row.key != opened.key => Error::unavailable(
            "blob_moved",
            format!("the blob was replaced at the same moment, try again: {}", opened.digest),
        ),
        Ok(Some(row)) => {
            set_aside(cx, &row, None).await;
            error
        }
        Err(unreadable) => unreadable,
    }
}

/// Quarantines a blob that was found rotten, so that the next push of the file is asked to send it. Not when the store
/// is not the one it should be, for example because a disk is not mounted: then nothing is said about the blob.
async fn set_aside(cx: &Context, row: &BlobRow, found: Option<Digest>) {
    let outcome = async {
        let store = cx.stores.get(&row.store)?;
        let ours = log::key_id(&mut cx.db.read().await?).await?;
        if ours.is_none() || store.owner().await? != ours {
            return Ok(());
        }
        let now = cx.clock.now();
        let mut tx = cx.db.write().await?;
        if blobs::set_quarantined(&mut tx, &row.store, &row.digest, &row.key, Some(now)).await? {
            let change =
                Change::BlobQuarantined { store: row.store.clone(), digest: row.digest.clone(), found };
            log::append(&mut tx, now, &PrincipalName::local("registry"), vec![change]).await?;
            tx.commit().await?;
        }
        Ok::<(), Error>(())
    };
    if let Err(error) = outcome.await {
        tracing::warn!(digest = %row.digest, %error, "a rotten blob was not set aside; gradus scrub will");
    }
}

/// The bytes of a range of an opened blob.
pub async fn download(
    cx: &Context,
    repository: &Workload,
    row: &BlobRow,
    range: Range<u64>,
) -> Result<Download> {
    let store = cx.stores.get(&row.store)?;
    let key = row.key.parse()?;
    // In local mode there is nobody to send elsewhere.
    let is_large = store.redirect_above.is_some_and(|above| row.size >= above);
    if is_large
        && cx.local.is_none()
        && let Some(url) = store.presign(key, PRESIGNED_FOR).await?
    {
        return Ok(Download::Redirect(url));
    }
    let stream = match store.read(key, range).await {
        Ok(stream) => stream,
        Err(error) => return Err(explain(cx, repository, row, error).await),
    };
    let sent = cx.metrics.bytes_sent.clone();
    let counted = stream.inspect(move |bytes| {
        if let Ok(bytes) = bytes {
            sent.inc_by(bytes.len() as u64);
        }
    });
    Ok(Download::Stream(counted.boxed()))
}

/// A small blob at once, for the registry's own use.
pub(super) async fn read_whole(
    cx: &Context,
    repository: &Workload,
    digest: &Digest,
    max: u64,
) -> Result<bytes::Bytes> {
    let row = open(cx, repository, digest).await?;
    if row.size > max {
        return Err(Error::too_large(
            "file_too_large",
            format!("the file has {} bytes, at most {max} are read: {digest}", row.size),
        ));
    }
    let bytes = match cx.stores.get(&row.store)?.read_whole(row.key.parse()?, 0..row.size).await {
        Ok(bytes) => bytes,
        Err(error) => return Err(explain(cx, repository, &row, error).await),
    };
    let found = digest.algorithm().digest(&bytes);
    if found != *digest {
        set_aside(cx, &row, Some(found)).await;
        return Err(Error::integrity(
            "blob_rotten",
            format!("the stored bytes are not what their digest says: {digest}"),
        ));
    }
    Ok(bytes)
}

/// What a client need not send.
pub struct Present {
    /// Of the sizes asked for: those some file of the namespace has.
    pub sizes: Vec<u64>,
    /// Of the digests asked for: those the repository has now.
    pub digests: Vec<Digest>,
    /// Of the files asked for: those that need room in a quota.
    pub files: Vec<Digest>,
}

/// What a client asks of what it is about to send.
pub struct Asked {
    pub sizes: Vec<u64>,
    pub digests: Vec<Digest>,
    pub files: BTreeMap<Digest, u64>,
    /// All that is to come, where that is more than these files.
    pub needs: Option<quotas::Needs>,
}

/// Tells what is there already, and refuses what there is no room for, before it is sent. A blob of another repository of the
/// same namespace is linked here by the way.
pub async fn present(cx: &Context, actor: &Actor, repository: &Workload, asked: &Asked) -> Result<Present> {
    let Asked { sizes, digests, files, needs } = asked;
    let namespace = repository.namespace();
    let (mut known, mut new) = (Vec::new(), Vec::new());
    {
        let mut tx = cx.db.read().await?;
        for &size in sizes {
            if blobs::size_known(&mut tx, &namespace, size).await? {
                known.push(size);
            } else {
                new.push(size);
            }
        }
    }
    let lacking = quotas::expect_files(cx, repository, &new, files, *needs).await?;
    let mut here = Vec::new();
    for digest in digests {
        let found = match stat(cx, repository, digest).await {
            Ok(_) => true,
            Err(error) if error.code == "blob_unknown" => {
                mount(cx, actor, repository, digest, Search::Namespace).await?.is_some()
            }
            Err(error) => return Err(error),
        };
        if found {
            here.push(digest.clone());
        }
    }
    Ok(Present { sizes: known, digests: here, files: lacking })
}

/// Most repositories looked at when none is named to mount from.
const MOUNT_CANDIDATES: i64 = 100;

/// Where a blob may be mounted from.
pub enum Search {
    /// This repository.
    In(Workload),
    /// Any of the same namespace.
    Namespace,
    /// Any the caller may read, its own namespace first.
    Everywhere,
}

/// Links a blob of another repository the actor may read, and that gives it out. Answers which, or `None` if there is none
/// such: the bytes then have to be sent, since knowing a digest gives nothing.
pub async fn mount(
    cx: &Context,
    actor: &Actor,
    repository: &Workload,
    digest: &Digest,
    search: Search,
) -> Result<Option<Workload>> {
    let store = store_of(cx, repository).await?;
    let mut tx = cx.db.read().await?;
    purged::refuse_blob(&mut tx, repository, digest).await?;
    let own = Some(repository.namespace());
    let mut candidates = match &search {
        Search::In(from) => {
            let row = blobs::find_linked(&mut tx, from, digest).await?;
            row.map(|row| (from.clone(), row.store)).into_iter().collect()
        }
        _ => blobs::linked_from(&mut tx, digest, own.as_ref(), MOUNT_CANDIDATES).await?,
    };
    if matches!(search, Search::Everywhere) {
        candidates.extend(blobs::linked_from(&mut tx, digest, None, MOUNT_CANDIDATES).await?);
    }
    drop(tx);
    // Bytes never leave their store by a mount: a namespace's region is a promise.
    candidates.retain(|(candidate, in_store)| {
        *in_store == store.name && actor.may(Permission::Read, &candidate.namespace())
    });
    let mut usable = None;
    for (candidate, _) in candidates {
        match super::quarantine::check_file(cx, &candidate, digest).await {
            Ok(()) => {
                usable = Some(candidate);
                break;
            }
            Err(error) if error.code == "quarantined" => {}
            Err(error) => return Err(error),
        }
    }
    let Some(from) = usable else { return Ok(None) };
    let mut tx = cx.db.write().await?;
    let healthy = blobs::find(&mut tx, &store.name, digest).await?.filter(|row| row.quarantined_at.is_none());
    let Some(row) = healthy else { return Ok(None) };
    super::namespaces::ensure_repository(&mut tx, repository, cx.clock.now()).await?;
    purged::refuse_blob(&mut tx, repository, digest).await?;
    quotas::admit_blob(&mut tx, repository, digest, row.size).await?;
    let linked = blobs::link(&mut tx, repository, &store.name, digest, cx.clock.now()).await?;
    tx.commit().await?;
    Ok(linked.then_some(from))
}

/// Removes the repository's link. Refused while a manifest needs the blob.
pub async fn unlink(cx: &Context, actor: &Actor, repository: &Workload, digest: &Digest) -> Result<()> {
    let mut tx = cx.db.write().await?;
    namespaces::lock_repository(&mut tx, repository).await?;
    // No hold is set in between.
    log::lock(&mut tx).await?;
    blobs::find_linked(&mut tx, repository, digest).await?.ok_or_else(|| unknown(digest))?;
    hold::refuse(holds::over_blob(&mut tx, repository, digest).await?, &format!("the blob {digest}"))?;
    if let Some(manifest) = blobs::used_by(&mut tx, repository, digest).await? {
        return Err(Error::not_allowed(
            "blob_in_use",
            format!("the blob is part of the manifest: {manifest}"),
        )
        .hint("a version is withdrawn with: gradus yank; other manifests can be deleted first"));
    }
    blobs::unlink(&mut tx, repository, digest).await?;
    let change = Change::BlobUnlinked { repository: repository.clone(), digest: digest.clone() };
    log::append(&mut tx, cx.clock.now(), &actor.principal, vec![change]).await?;
    tx.commit().await
}
