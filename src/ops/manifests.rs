//! Manifests and referrers: the OCI view of a repository.

use super::{
    Context, blobs as ops_blobs,
    compose::descriptor_of,
    hold,
    namespaces::{ensure_repository, refuse_deleted, workload_deleted},
    purged, push,
    tags::{all_tags, digest_of_tag, has_versions, is_reserved, set_tag},
};
use crate::{
    db::{Tx, blobs, evidence, holds, log, manifests, namespaces, tags, versions},
    error::{Error, Result},
    model::{
        access::Actor,
        digest::{Algorithm, Digest},
        event::Change,
        manifest::{Descriptor, Manifest},
        name::{Tag, Workload},
        reference::Selector,
    },
};
use chrono::{DateTime, Utc};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub use manifests::Stored;

fn unknown(repository: &Workload, what: impl std::fmt::Display) -> Error {
    Error::not_found("manifest_unknown", format!("no such manifest in {repository}: {what}"))
}

/// What a client asks for on `/v2/…/manifests/REFERENCE`.
#[derive(Clone, Debug)]
pub enum Wanted {
    Digest(Digest),
    Tag(String),
}

impl Wanted {
    pub fn parse(text: &str) -> Result<Self> {
        if text.contains(':') {
            text.parse().map(Self::Digest)
        } else {
            text.parse::<Tag>().map(|tag| Self::Tag(tag.to_string()))
        }
    }
}

pub async fn get(cx: &Context, repository: &Workload, wanted: &Wanted) -> Result<Stored> {
    let digest = match wanted {
        Wanted::Digest(digest) => digest.clone(),
        Wanted::Tag(tag) => {
            digest_of_tag(cx, repository, tag).await?.ok_or_else(|| unknown(repository, tag))?
        }
    };
    let mut tx = cx.db.read().await?;
    let stored = manifests::find(&mut tx, repository, &digest).await?;
    let Some(stored) = stored else {
        refuse_deleted(repository, namespaces::deletion(&mut tx, repository).await?)?;
        return Err(unknown(repository, &digest));
    };
    purged::refuse_purged(&mut tx, repository, &digest).await?;
    refuse_deleted(repository, namespaces::deletion(&mut tx, repository).await?)?;
    super::quarantine::check_content(cx, &mut tx, repository, &digest).await?;
    Ok(stored)
}

/// What became of a manifest that was put.
pub struct Put {
    pub digest: Digest,
    /// The manifest it refers to: the client then need not keep a referrers tag itself.
    pub subject: Option<Digest>,
}

/// Stores a manifest. A semver tag on a recognised artifact makes a version.
pub async fn put(
    cx: &Arc<Context>,
    actor: &Actor,
    repository: &Workload,
    wanted: &Wanted,
    bytes: &[u8],
    content_type: Option<&str>,
) -> Result<Put> {
    let manifest = Manifest::parse(bytes, content_type)?;
    let digest = match wanted {
        Wanted::Digest(digest) => {
            let found = digest.algorithm().digest(bytes);
            if found != *digest {
                return Err(Error::invalid(
                    "digest_mismatch",
                    format!("the manifest has the digest {found}, not: {digest}"),
                ));
            }
            found
        }
        Wanted::Tag(_) => Algorithm::Sha256.digest(bytes),
    };
    purged::refuse_again(&mut cx.db.read().await?, repository, &digest).await?;
    let checked = check_blobs(cx, repository, &manifest).await;
    if checked.is_err() || manifest.blobs().next().is_none() {
        // Nothing is in a namespace that is not there, and that is the better answer.
        super::namespaces::show(cx, &repository.namespace()).await?;
    }
    checked?;
    let subject = manifest.subject.as_ref().map(|subject| subject.digest.clone());
    let put = Put { digest: digest.clone(), subject };

    let tag = match wanted {
        Wanted::Digest(_) => None,
        Wanted::Tag(tag) => Some(tag.as_str()),
    };
    if let Some(Selector::Version(version)) = tag.map(Selector::parse).transpose().unwrap_or(None)
        && push::push_manifest(cx, actor, repository, &manifest, bytes, &version).await?.is_some()
    {
        return Ok(put);
    }
    let said = super::referrer::of_manifest(cx, repository, &manifest).await?;
    let is_evidence = said.is_some();
    let now = cx.clock.now();
    let mut tx = cx.db.write().await?;
    ensure_repository(&mut tx, repository, now).await?;
    if namespaces::lock_repository(&mut tx, repository).await?.is_none() {
        return Err(workload_deleted(repository));
    }
    purged::refuse_again(&mut tx, repository, &digest).await?;
    // What is said of purged content, or lists it, would be about nothing.
    for named in put.subject.iter().chain(manifest.manifests.iter().map(|listed| &listed.digest)) {
        purged::refuse_purged(&mut tx, repository, named).await?;
    }
    let mut changes = Vec::new();
    let is_new = insert(&mut tx, repository, &manifest, bytes, &digest, now).await?;
    // Whoever pushes content is its author, whatever name it gets later and from whom.
    let is_author = manifests::add_author(&mut tx, repository, &digest, &actor.principal).await?;
    if is_new || is_author {
        if let Some(said) = said.filter(|_| is_new) {
            changes
                .push(super::referrer::insert_pushed(&mut tx, actor, repository, &digest, said, now).await?);
        }
        changes.push(Change::ManifestPushed {
            repository: repository.clone(),
            digest: digest.clone(),
            tag: tag.map(str::to_owned),
        });
    }
    if let Some(tag) = tag {
        changes.extend(set_tag(cx, &mut tx, repository, tag, &digest, now).await?);
    }
    if !changes.is_empty() {
        log::append(&mut tx, now, &actor.principal, changes).await?;
        tx.commit().await?;
        if is_evidence {
            super::settle::settle_workload(cx, repository).await;
        }
    }
    Ok(put)
}

fn missing_blob(digest: &Digest) -> Error {
    Error::invalid("manifest_blob_unknown", format!("the manifest needs a blob that is not here: {digest}"))
        .hint("upload its blobs first")
}

/// Every blob and listed manifest must be in the repository already, with the size the manifest says.
async fn check_blobs(cx: &Context, repository: &Workload, manifest: &Manifest) -> Result<()> {
    let now = cx.clock.now();
    let mut stale = Vec::new();
    let mut tx = cx.db.read().await?;
    let digests: BTreeSet<&Digest> = manifest.blobs().map(|descriptor| &descriptor.digest).collect();
    let digests: Vec<&Digest> = digests.into_iter().collect();
    let links = blobs::find_links(&mut tx, repository, &digests).await?;
    let links: BTreeMap<&Digest, _> =
        links.iter().map(|(row, used_at)| (&row.digest, (row, used_at))).collect();
    for descriptor in manifest.blobs() {
        let digest = &descriptor.digest;
        let (row, used_at) = match links.get(digest) {
            Some((row, used_at)) if row.quarantined_at.is_none() => (row, **used_at),
            _ => return Err(missing_blob(digest)),
        };
        if row.size != descriptor.size {
            return Err(Error::invalid(
                "size_mismatch",
                format!("{digest} is said to have {} bytes, it has: {}", descriptor.size, row.size),
            ));
        }
        if used_at < ops_blobs::stale(cx) {
            stale.push(digest);
        }
    }
    drop(tx);
    if !stale.is_empty() {
        let mut tx = cx.db.write().await?;
        for digest in stale {
            blobs::touch(&mut tx, repository, digest, now, now).await?;
        }
        tx.commit().await?;
    }
    let mut tx = cx.db.read().await?;
    for descriptor in &manifest.manifests {
        if !manifests::exists(&mut tx, repository, &descriptor.digest).await? {
            return Err(Error::invalid(
                "manifest_blob_unknown",
                format!("the index lists a manifest that is not here: {}", descriptor.digest),
            ));
        }
    }
    Ok(())
}

pub(super) async fn insert(
    tx: &mut Tx,
    repository: &Workload,
    manifest: &Manifest,
    bytes: &[u8],
    digest: &Digest,
    now: DateTime<Utc>,
) -> Result<bool> {
    let listed: Vec<Digest> = manifest.manifests.iter().map(|descriptor| descriptor.digest.clone()).collect();
    let row = manifests::ManifestRow {
        repository,
        digest,
        media_type: &manifest.media_type,
        bytes,
        subject: manifest.subject.as_ref().map(|subject| &subject.digest),
        descriptor: &descriptor_of(manifest, digest, bytes.len() as u64),
        manifests: &listed,
    };
    if !manifests::insert(tx, &row, now).await? {
        return Ok(false);
    }
    let needed: BTreeSet<&Digest> = manifest.blobs().map(|descriptor| &descriptor.digest).collect();
    let needed: Vec<&Digest> = needed.into_iter().collect();
    if manifests::use_blobs(tx, repository, digest, &needed).await? < needed.len() {
        // What was there when the bytes were checked has been collected since.
        for used in needed {
            if blobs::find_linked(tx, repository, used).await?.is_none() {
                return Err(missing_blob(used));
            }
            // Or it has come only now.
            manifests::add_use(tx, repository, digest, used).await?;
        }
    }
    purged::refuse_uses(tx, repository, digest).await?;
    Ok(true)
}

/// Deletes a manifest by digest, or a tag. What belongs to a version stays.
pub async fn delete(cx: &Context, actor: &Actor, repository: &Workload, wanted: &Wanted) -> Result<()> {
    let now = cx.clock.now();
    let mut tx = cx.db.write().await?;
    namespaces::lock_repository(&mut tx, repository).await?;
    // No hold is set in between.
    log::lock(&mut tx).await?;
    let keep = |what: String| {
        Err(Error::not_allowed("version_is_kept", format!("a version cannot be deleted: {what}"))
            .hint(format!("withdraw it with: gradus yank {what}")))
    };
    let mut changes = Vec::new();
    match wanted {
        Wanted::Digest(digest) => {
            let held = holds::over_manifest(&mut tx, repository, digest).await?;
            hold::refuse(held, &format!("{repository}@{digest}"))?;
            if let Some(version) = versions::of_manifest(&mut tx, repository, digest).await? {
                return keep(format!("{repository}:{version}"));
            }
            if evidence::find(&mut tx, repository, digest).await?.is_some() {
                return Err(Error::not_allowed(
                    "evidence_is_kept",
                    format!("evidence cannot be deleted: {repository}@{digest}"),
                )
                .hint("what it says can be answered by newer evidence"));
            }
            take_manifest(&mut tx, repository, digest, &mut changes).await?;
        }
        Wanted::Tag(tag) => {
            if let Ok(version) = tag.parse()
                && versions::find(&mut tx, repository, &version).await?.is_some()
            {
                return keep(format!("{repository}:{version}"));
            }
            let Some(from) = tags::find(&mut tx, repository, tag).await? else {
                let reserved = Selector::parse(tag).is_ok_and(|selector| is_reserved(&selector));
                if reserved && has_versions(&mut tx, repository).await? {
                    return Err(Error::not_allowed(
                        "tag_is_not_free",
                        format!("it follows from the versions and cannot be deleted: {repository}:{tag}"),
                    )
                    .hint(format!("withdraw a version with: gradus yank {repository}:VERSION")));
                }
                return Err(unknown(repository, tag));
            };
            tags::delete(&mut tx, repository, tag).await?;
            changes.push(match versions::of_manifest(&mut tx, repository, &from).await? {
                Some(_) => Change::AliasRemoved { workload: repository.clone(), alias: tag.clone(), from },
                None => Change::Untagged { repository: repository.clone(), tag: tag.clone(), digest: from },
            });
        }
    }
    log::append(&mut tx, now, &actor.principal, changes).await?;
    tx.commit().await
}

/// Takes a manifest away that is no version's and no evidence, with the tags on it, which are answered.
pub(super) async fn take_manifest(
    tx: &mut Tx,
    repository: &Workload,
    digest: &Digest,
    changes: &mut Vec<Change>,
) -> Result<Vec<String>> {
    let mut tags = Vec::new();
    for (tag, digest) in all_tags(tx, repository, Some(digest)).await? {
        changes.push(Change::Untagged { repository: repository.clone(), tag: tag.clone(), digest });
        tags.push(tag);
    }
    if !manifests::delete(tx, repository, digest).await? {
        return Err(unknown(repository, digest));
    }
    changes.push(Change::ManifestDeleted { repository: repository.clone(), digest: digest.clone() });
    Ok(tags)
}

pub async fn referrers(
    cx: &Context,
    repository: &Workload,
    subject: &Digest,
    artifact_type: Option<&str>,
    after: &str,
    limit: i64,
) -> Result<Vec<Descriptor>> {
    manifests::referrers(&mut cx.db.read().await?, repository, subject, artifact_type, after, limit).await
}
