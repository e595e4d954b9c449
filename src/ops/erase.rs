//! Deleting the bytes of what was taken away, once that is committed.

use super::{Context, along::TakenAlong, backup, claim, garbage, take_away::Gone};
use crate::{
    db::purges::{self, LinkedBlob},
    error::Result,
    model::{
        access::{Actor, Permission},
        digest::Digest,
        name::Workload,
        version::Version,
    },
};
use std::collections::BTreeSet;

/// Most blobs of a store that are deleted at a time of those that were left.
const LEFT: i64 = 1000;
/// Most repositories that are looked at for who else uses a blob.
const OTHERS_MAX: i64 = 100;

#[derive(Debug)]
pub struct Done {
    pub versions: Vec<Version>,
    /// Other OCI content that went along.
    pub manifests: Vec<TakenAlong>,
    /// The files whose bytes were deleted at once.
    pub deleted: Vec<Digest>,
    /// Of these.
    pub bytes: u64,
    pub kept: Vec<Kept>,
    /// What went wrong after it was done, for people.
    pub notes: Vec<String>,
}

/// A blob of the content that stays, as others use it.
#[derive(Debug)]
pub struct Kept {
    pub digest: Digest,
    pub size: u64,
    /// As far as the actor may read them.
    pub used_by: Vec<Workload>,
    /// Something else uses it as well.
    pub others: bool,
}

/// Deletes the bytes that nothing needs any more. What cannot be deleted now is left to [`finish`] or to garbage collection,
/// and told of: the purge itself is done.
pub(super) async fn erase(cx: &Context, actor: &Actor, workload: &Workload, gone: Gone) -> Done {
    let Gone { versions, manifests, blobs } = gone;
    let mut done =
        Done { versions, manifests, deleted: Vec::new(), bytes: 0, kept: Vec::new(), notes: Vec::new() };
    let mut ours = BTreeSet::new();
    for blob in blobs {
        let outcome = async {
            let others =
                purges::links_to(&mut cx.db.read().await?, &blob.store, &blob.digest, OTHERS_MAX).await?;
            match others.is_empty() {
                true => delete(cx, &blob, &mut ours).await.map(|deleted| (deleted, others)),
                false => Ok((false, others)),
            }
        };
        match outcome.await {
            Ok((true, _)) => {
                done.bytes += blob.size;
                done.deleted.push(blob.digest);
            }
            Ok((false, others)) if others.is_empty() => {}
            Ok((false, others)) => done.kept.push(kept(actor, blob, others)),
            Err(error) => {
                tracing::warn!(%workload, digest = %blob.digest, %error, "purged bytes were not deleted yet");
                done.notes.push(format!(
                    "the bytes of {} could not be deleted now: {error}; what two admins purged goes by itself when that is over, the rest with garbage collection",
                    blob.digest
                ));
            }
        }
    }
    done
}

/// Deletes bytes that two admins purged and that could not be deleted then, most often as a backup was being taken; of each
/// store a number of them, the rest the next time.
pub async fn finish(cx: &Context) -> Result<()> {
    let mut ours = BTreeSet::new();
    for store in cx.stores.all() {
        let mut tx = cx.db.read().await?;
        backup::check_none(cx, &mut tx).await?;
        let left = purges::left(&mut tx, &store.name, LEFT).await?;
        drop(tx);
        for blob in left {
            if let Err(error) = delete(cx, &blob, &mut ours).await {
                tracing::warn!(store = %store.name, digest = %blob.digest, %error, "purged bytes were not deleted yet");
                break;
            }
        }
    }
    Ok(())
}

/// `ours`: stores that were found to be this registry's.
async fn delete(cx: &Context, blob: &LinkedBlob, ours: &mut BTreeSet<String>) -> Result<bool> {
    if !ours.contains(&blob.store) {
        claim::check(&cx.db, cx.stores.get(&blob.store)?).await?;
        ours.insert(blob.store.clone());
    }
    garbage::drop_blob(cx, &blob.store, &blob.digest, &blob.key).await
}

fn kept(actor: &Actor, blob: LinkedBlob, others: Vec<Workload>) -> Kept {
    let all = others.len();
    let used_by: Vec<Workload> =
        others.into_iter().filter(|other| actor.may(Permission::Read, &other.namespace())).collect();
    Kept { digest: blob.digest, size: blob.size, others: used_by.len() < all, used_by }
}
