//! What goes along with a purge: what else in the repository would keep the files that two admins take away. It is found
//! before anything is changed, so that it can be told and agreed to.

use super::{hold, manifests::take_manifest, tags::all_tags};
use crate::{
    db::{
        Tx, holds, manifests,
        purges::{self, LinkedBlob},
        versions::VersionRow,
    },
    error::Result,
    model::{
        artifact::Artifact, digest::Digest, event::Change, kind::Kind, manifest::Manifest, name::Workload,
    },
};
use std::collections::BTreeSet;

/// Manifests that are looked up at a time.
const PAGE: i64 = 100;

#[derive(Default)]
pub(super) struct Along {
    /// Files of the content, of which those that nothing else needs are not taken in again.
    pub files: BTreeSet<Digest>,
    /// Uses that are forgotten, so that nothing is kept for them.
    stripped: Vec<Stripped>,
    /// Manifests that are no version's and no evidence. Each comes after something that it uses or lists, so that those
    /// before are still found when the last are gone.
    pub manifests: Vec<Digest>,
}

/// Evidence that has a file of the content, which is not what it says.
struct Stripped {
    evidence: Digest,
    file: Digest,
    is_about_other: bool,
}

/// A manifest that was no version's and no evidence.
#[derive(Debug)]
pub struct TakenAlong {
    pub digest: Digest,
    pub tags: Vec<String>,
}

impl Along {
    /// What goes with a version's content. Files that other versions need stay, and so does what else uses them. What says
    /// something about another version keeps the file that says it.
    pub async fn of(tx: &mut Tx, row: &VersionRow) -> Result<Self> {
        let workload = &row.workload;
        let blobs = purges::blobs_of(tx, workload, &row.digest).await?;
        let files = telling(tx, row, &blobs).await?;
        // With whether it is a manifest.
        let (mut used, mut stripped) = (vec![(row.digest.clone(), true)], Vec::new());
        for file in &files {
            let mut is_needed = purges::is_in_other(tx, workload, file, &row.digest).await?;
            for (evidence, is_about_it) in purges::evidence_with(tx, workload, file, &row.digest).await? {
                match !is_about_it && says(tx, workload, &evidence, file).await? {
                    true => is_needed = true,
                    false => {
                        stripped.push(Stripped { evidence, file: file.clone(), is_about_other: !is_about_it })
                    }
                }
            }
            if !is_needed {
                used.push((file.clone(), false));
            }
        }
        let mut known = BTreeSet::new();
        let (mut at, seeds) = (0, used.len());
        while let Some((digest, is_manifest)) = used.get(at).cloned() {
            at += 1;
            let mut after = String::new();
            loop {
                let page = manifests::others_using(tx, workload, &digest, is_manifest, &after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = last.to_string();
                let new = page.into_iter().filter(|digest| known.insert(digest.clone()));
                used.extend(new.map(|digest| (digest, true)));
            }
        }
        let manifests = used.split_off(seeds).into_iter().map(|(digest, _)| digest).collect();
        Ok(Self { files, stripped, manifests })
    }

    /// Refuses where a hold is on something of it.
    pub async fn check_holds(&self, tx: &mut Tx, workload: &Workload) -> Result<()> {
        if holds::touching(tx, workload).await?.is_none() {
            return Ok(());
        }
        for Stripped { evidence, .. } in self.stripped.iter().filter(|one| one.is_about_other) {
            let held = holds::over_older(tx, workload, evidence).await?;
            hold::refuse(held, &format!("{workload}@{evidence}, which has a file of it,"))?;
        }
        for digest in &self.manifests {
            let held = holds::over_older(tx, workload, digest).await?;
            hold::refuse(held, &format!("{workload}@{digest}, which would go along,"))?;
        }
        Ok(())
    }

    pub async fn forget_uses(&self, tx: &mut Tx, workload: &Workload) -> Result<()> {
        for Stripped { evidence, file, .. } in &self.stripped {
            purges::forget_use(tx, workload, evidence, file).await?;
        }
        Ok(())
    }

    /// Takes the last manifests away, at most so many.
    pub async fn take(
        &mut self,
        tx: &mut Tx,
        workload: &Workload,
        most: usize,
        changes: &mut Vec<Change>,
    ) -> Result<Vec<TakenAlong>> {
        let some = self.manifests.split_off(self.manifests.len().saturating_sub(most));
        let mut taken = Vec::new();
        for digest in some.into_iter().rev() {
            let tags = take_manifest(tx, workload, &digest, changes).await?;
            taken.push(TakenAlong { digest, tags });
        }
        Ok(taken)
    }
}

/// A manifest with its tags.
pub(super) async fn named(tx: &mut Tx, workload: &Workload, digest: &Digest) -> Result<TakenAlong> {
    let tags = all_tags(tx, workload, Some(digest)).await?;
    Ok(TakenAlong { digest: digest.clone(), tags: tags.into_iter().map(|(tag, _)| tag).collect() })
}

/// Whether a file is what evidence says, its first.
async fn says(tx: &mut Tx, workload: &Workload, evidence: &Digest, file: &Digest) -> Result<bool> {
    let Some(stored) = manifests::find(tx, workload, evidence).await? else { return Ok(false) };
    let manifest = Manifest::parse(&stored.bytes, Some(&stored.media_type))?;
    Ok(manifest.layers.first().is_some_and(|layer| layer.digest == *file))
}

/// Bytes of a file that is nobody's in particular. The empty config of evidence has two.
const SHORT: u64 = 4;

/// The files of the content that tell something: not what is as short as `{}`, which is in many files, and not what the
/// registry makes itself of a version, which other versions may have as well.
async fn telling(tx: &mut Tx, row: &VersionRow, blobs: &[LinkedBlob]) -> Result<BTreeSet<Digest>> {
    let mut own = BTreeSet::from([row.contract.clone()]);
    if let Some(stored) = manifests::find(tx, &row.workload, &row.digest).await? {
        let manifest = Manifest::parse(&stored.bytes, Some(&stored.media_type))?;
        own.extend(own_config(&manifest, row.kind));
    }
    let told = blobs.iter().filter(|blob| blob.size > SHORT && !own.contains(&blob.digest));
    Ok(told.map(|blob| blob.digest.clone()).collect())
}

/// The config that the registry would write for these files. Another one, of an OCI client, is content like any file.
fn own_config(manifest: &Manifest, kind: Kind) -> Option<Digest> {
    let artifact = Artifact::recognise(manifest).ok()??.into_artifact(kind).ok()?;
    Some(Digest::sha256(&artifact.compose().ok()?.config))
}
