//! Taking content away, in the transaction that tells of it: names, uses and links. The bytes go after it (`erase`).

use super::tags::all_tags;
use crate::{
    db::{
        Tx, garbage, manifests,
        purges::{self, LinkedBlob},
        tags,
        versions::{self, Purged, VersionRow},
    },
    error::Result,
    model::{
        access::Actor, digest::Digest, event::Change, manifest::Manifest, name::PrincipalName,
        removal::Authority, version::Version,
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
    /// All blobs of the content.
    pub blobs: Vec<LinkedBlob>,
}

/// Takes the content of a version away, under all its numbers. The repository and the log are locked.
pub(super) async fn take_away(
    tx: &mut Tx,
    actor: &Actor,
    row: &VersionRow,
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
    let own = own_blobs(tx, row).await?;
    purges::forget_uses(tx, workload, digest).await?;
    let mut bytes = 0;
    for blob in &blobs {
        // What is used here for something else keeps its link; everything else goes, however young.
        let ever = decision.at + TimeDelta::days(1);
        if !garbage::remove_link(tx, workload, &blob.digest, ever).await? {
            continue;
        }
        if purges::links_to(tx, &blob.store, &blob.digest, 1).await?.is_empty() {
            bytes += blob.size;
        }
        // Nobody objected to what goes by a rule, and what is as short as `{}` is in many files and tells nothing.
        let is_noted = decision.authority != Authority::Retention && blob.size > SHORT;
        if is_noted && !own.contains(&blob.digest) {
            purges::note_blob(tx, workload, &blob.digest, decision.at).await?;
        }
    }
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
        });
    }
    Ok((changes, Gone { versions, blobs }))
}

/// Bytes of a file that is nobody's in particular. The empty config of evidence has two.
const SHORT: u64 = 4;

/// What the registry makes itself of a version, which other versions may have as well.
async fn own_blobs(tx: &mut Tx, row: &VersionRow) -> Result<BTreeSet<Digest>> {
    let mut own = BTreeSet::from([row.contract.clone()]);
    if let Some(stored) = manifests::find(tx, &row.workload, &row.digest).await? {
        let manifest = Manifest::parse(&stored.bytes, Some(&stored.media_type))?;
        own.extend(manifest.config.map(|config| config.digest));
    }
    Ok(own)
}
