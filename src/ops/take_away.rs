//! Taking content away, in the transaction that tells of it: names, uses and links. The bytes go after it (`erase`).

use super::{hold, manifests::take_manifest, tags::all_tags};
use crate::{
    db::{
        Tx, documents, garbage, holds, manifests,
        purges::{self, LinkedBlob},
        tags,
        versions::{self, Purged, VersionRow},
    },
    error::{Error, Result},
    model::{
        access::Actor,
        artifact::Artifact,
        digest::Digest,
        event::Change,
        kind::Kind,
        manifest::Manifest,
        name::{PrincipalName, Workload},
        removal::Authority,
        version::Version,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeSet;

/// Most versions that one event names.
const NAMED_MAX: usize = 100;
/// Manifests that are looked up at a time.
const PAGE: i64 = 100;

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

/// A manifest that was no version's and no evidence.
#[derive(Debug)]
pub struct TakenAlong {
    pub digest: Digest,
    pub tags: Vec<String>,
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
    purges::forget_uses(tx, workload, digest).await?;
    let (mut told, mut along) = (BTreeSet::new(), Vec::new());
    // Nobody objected to what goes by a rule: other content keeps what it has of it, and it may come again.
    if decision.authority != Authority::Retention {
        told = telling(tx, row, &blobs).await?;
        along = take_along(tx, row, &told, &mut changes).await?;
    }
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
        if told.contains(&blob.digest) {
            purges::note_blob(tx, workload, &blob.digest, decision.at).await?;
            noted.insert(&blob.digest);
        }
    }
    let mut files = keep_list(tx, &noted).await?;
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
    Ok((changes, Gone { versions, manifests: along, blobs }))
}

/// Keeps the list of files that are not taken in again as a document, so that an event can name it.
async fn keep_list(tx: &mut Tx, files: &BTreeSet<&Digest>) -> Result<Option<Digest>> {
    if files.is_empty() {
        return Ok(None);
    }
    let bytes = serde_json::to_vec(files).map_err(|source| {
        Error::internal("list_encoding", "a list of files could not be written").source(source)
    })?;
    documents::keep(tx, &bytes).await.map(Some)
}

/// Takes away what else would keep files of the content, or lists it: manifests that an OCI client pushed, and indexes of
/// those. What is said of purged content stays as it was read, without these files. Files that other versions need stay, and
/// so does what else uses them.
async fn take_along(
    tx: &mut Tx,
    row: &VersionRow,
    files: &BTreeSet<Digest>,
    changes: &mut Vec<Change>,
) -> Result<Vec<TakenAlong>> {
    let workload = &row.workload;
    let mut used = vec![row.digest.clone()];
    for file in files {
        forget_evidence(tx, workload, file).await?;
        if !purges::is_needed(tx, workload, file).await? {
            used.push(file.clone());
        }
    }
    let mut all = Vec::new();
    while let Some(digest) = used.pop() {
        loop {
            let page = manifests::others_using(tx, workload, &digest, PAGE).await?;
            if page.is_empty() {
                break;
            }
            for digest in page {
                let held = holds::over_older(tx, workload, &digest).await?;
                hold::refuse(held, &format!("{workload}@{digest}, which would go along,"))?;
                let tags = take_manifest(tx, workload, &digest, changes).await?;
                used.push(digest.clone());
                all.push(TakenAlong { digest, tags });
            }
        }
    }
    Ok(all)
}

/// Lets evidence go of a file, so that it is not kept for it, whatever version it is about. What gates read of it stays; what
/// says something about another version keeps the file that says it.
async fn forget_evidence(tx: &mut Tx, workload: &Workload, file: &Digest) -> Result<()> {
    for (evidence, is_about_purged) in purges::evidence_with(tx, workload, file).await? {
        let says_it = match manifests::find(tx, workload, &evidence).await? {
            Some(stored) if !is_about_purged => {
                let manifest = Manifest::parse(&stored.bytes, Some(&stored.media_type))?;
                manifest.layers.first().is_some_and(|layer| layer.digest == *file)
            }
            _ => false,
        };
        if !says_it {
            if !is_about_purged {
                let held = holds::over_older(tx, workload, &evidence).await?;
                hold::refuse(held, &format!("{workload}@{evidence}, which has a file of it,"))?;
            }
            purges::forget_use(tx, workload, &evidence, file).await?;
        }
    }
    Ok(())
}

/// Bytes of a file that is nobody's in particular. The empty config of evidence has two.
const SHORT: u64 = 4;

/// The files of the content that tell something: not what is as short as `{}`, which is in many files, not what the registry
/// makes itself of a version, which other versions may have as well, and not what is a manifest of the repository: what lists
/// that does so for the manifest.
async fn telling(tx: &mut Tx, row: &VersionRow, blobs: &[LinkedBlob]) -> Result<BTreeSet<Digest>> {
    let mut own = BTreeSet::from([row.contract.clone()]);
    if let Some(stored) = manifests::find(tx, &row.workload, &row.digest).await? {
        let manifest = Manifest::parse(&stored.bytes, Some(&stored.media_type))?;
        own.extend(own_config(&manifest, row.kind));
    }
    let mut told = BTreeSet::new();
    for blob in blobs.iter().filter(|blob| blob.size > SHORT && !own.contains(&blob.digest)) {
        if !manifests::exists(tx, &row.workload, &blob.digest).await? {
            told.insert(blob.digest.clone());
        }
    }
    Ok(told)
}

/// The config that the registry would write for these files. Another one, of an OCI client, is content like any file.
fn own_config(manifest: &Manifest, kind: Kind) -> Option<Digest> {
    let artifact = Artifact::recognise(manifest).ok()??.into_artifact(kind).ok()?;
    Some(Digest::sha256(&artifact.compose().ok()?.config))
}
