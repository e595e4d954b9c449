//! Taking content away, in the transaction that tells of it: names, uses and links. The bytes go after it (`erase`).

use super::{
    along::{Along, TakenAlong},
    tags::all_tags,
};
use crate::{
    db::{
        Tx, documents, garbage,
        purges::{self, LinkedBlob},
        tags,
        versions::{self, Purged, VersionRow},
    },
    error::{Error, Result},
    model::{
        access::Actor, digest::Digest, event::Change, name::PrincipalName, removal::Authority,
        version::Version,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeSet;

/// Most versions that one event names.
const NAMED_MAX: usize = 100;

/// Why content is taken away, and by what right.
pub(super) struct Decision<'a> {
    pub reason: &'a str,
    pub authority: Authority,
    pub requested_by: Option<PrincipalName>,
    /// What the admin said who confirmed it.
    pub confirmed: Option<&'a str>,
    pub at: DateTime<Utc>,
}

/// What has lost its links, to be deleted once that is committed.
pub(super) struct Gone {
    pub versions: Vec<Version>,
    /// Other OCI content that went along.
    pub manifests: Vec<TakenAlong>,
    /// All blobs of the content.
    pub blobs: Vec<LinkedBlob>,
}

/// Takes the content of a version away, under all its numbers, and what goes along. Of what goes by a rule nothing does:
/// nobody objected to it, other content keeps what it has of it, and it may come again. The repository and the log are locked.
pub(super) async fn take_away(
    tx: &mut Tx,
    actor: &Actor,
    row: &VersionRow,
    mut along: Along,
    decision: &Decision<'_>,
) -> Result<(Vec<Change>, Gone)> {
    let VersionRow { workload, digest, .. } = row;
    let mut changes = Vec::new();
    for (alias, from) in all_tags(tx, workload, Some(digest)).await? {
        tags::delete(tx, workload, &alias).await?;
        changes.push(Change::AliasRemoved { workload: workload.clone(), alias, from });
    }
    let purged = Purged { at: decision.at, by: actor.principal.clone(), because: decision.reason.to_owned() };
    let versions = versions::purge(tx, workload, digest, &purged).await?;
    let because = decision.confirmed.unwrap_or(decision.reason);
    purges::end_pending(tx, workload, Some(digest), decision.at, &actor.principal, because).await?;
    let blobs = purges::blobs_of(tx, workload, digest).await?;
    purges::forget_uses(tx, workload, digest).await?;
    along.forget_uses(tx, workload).await?;
    let manifests = along.take(tx, workload, usize::MAX, &mut changes).await?;
    let (mut bytes, mut noted) = (0, BTreeSet::new());
    for blob in &blobs {
        // What is used here for something else keeps its link; everything else goes, however young.
        let ever = decision.at + TimeDelta::days(1);
        if !garbage::remove_link(tx, workload, &blob.digest, ever).await? {
            continue;
        }
        if purges::links_to(tx, &blob.store, &blob.digest, 1).await?.is_empty() {
            bytes += blob.size;
        }
        if along.files.contains(&blob.digest) {
            purges::note_blob(tx, workload, &blob.digest, decision.at).await?;
            noted.insert(&blob.digest);
        }
    }
    let mut files = keep_list(tx, noted).await?;
    for (number, some) in versions.chunks(NAMED_MAX).enumerate() {
        changes.push(Change::Purged {
            workload: workload.clone(),
            versions: some.to_vec(),
            digest: digest.clone(),
            reason: decision.reason.to_owned(),
            bytes: if number == 0 { bytes } else { 0 },
            authority: decision.authority,
            requested_by: decision.requested_by.clone(),
            confirmed: decision.confirmed.map(str::to_owned),
            files: files.take(),
        });
    }
    Ok((changes, Gone { versions, manifests, blobs }))
}

/// Keeps a list as a document, so that an event can name it; of nothing there is none.
pub(super) async fn keep_list(tx: &mut Tx, digests: BTreeSet<&Digest>) -> Result<Option<Digest>> {
    if digests.is_empty() {
        return Ok(None);
    }
    let bytes = serde_json::to_vec(&digests).map_err(|source| {
        Error::internal("list_encoding", "a list of digests could not be written").source(source)
    })?;
    documents::keep(tx, &bytes).await.map(Some)
}

/// What a list names that an event names.
pub(super) async fn read_list(tx: &mut Tx, list: &Digest) -> Result<BTreeSet<Digest>> {
    let bytes = documents::read(tx, list).await?;
    match Digest::sha256(&bytes) == *list {
        true => serde_json::from_slice(&bytes)
            .map_err(|_| Error::corrupt("documents", list, "the list cannot be read")),
        false => Err(Error::corrupt("documents", list, "the list is not what its name says")),
    }
}
