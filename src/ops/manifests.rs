//! Manifests, tags and referrers: the OCI view of a repository.

use super::{Context, blobs as ops_blobs, compose::descriptor_of, push};
use crate::{
    db::{Tx, blobs, evidence, log, manifests, namespaces, tags, versions},
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

/// The digest behind a tag: a version, stage, range or `latest` as everywhere, else a plain tag.
async fn digest_of_tag(cx: &Context, repository: &Workload, tag: &str) -> Result<Option<Digest>> {
    let mut tx = cx.db.read().await?;
    let found = match Selector::parse(tag) {
        Ok(Selector::Version(version)) => {
            versions::find(&mut tx, repository, &version).await?.map(|row| row.digest)
        }
        Ok(selector) if is_followed(cx, &mut tx, repository, &selector).await? => {
            return match super::resolve::find(cx, &mut tx, repository, &selector).await {
                Ok(row) => Ok(Some(row.digest)),
                Err(error) if error.kind == crate::error::Kind::NotFound => Ok(None),
                Err(error) => Err(error),
            };
        }
        _ => None,
    };
    match found {
        Some(digest) => Ok(Some(digest)),
        None => tags::find(&mut tx, repository, tag).await,
    }
}

/// Whether in a workload this follows from its versions. In a repository without versions it is a tag like others.
fn is_reserved(selector: &Selector) -> bool {
    matches!(selector, Selector::Stage(_) | Selector::Latest | Selector::Range(_))
}

/// The same for a workload as its policy has it, which may name stages of its own.
async fn is_followed(cx: &Context, tx: &mut Tx, repository: &Workload, selector: &Selector) -> Result<bool> {
    let reserved =
        is_reserved(selector) || super::resolve::stage(cx, tx, repository, selector).await?.is_some();
    Ok(reserved && has_versions(tx, repository).await?)
}

/// Takes away the tags that say something else than the versions will, now that there is a first one.
pub(super) async fn free_reserved_tags(tx: &mut Tx, repository: &Workload) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for (tag, digest) in all_tags(tx, repository, None).await? {
        if Selector::parse(&tag).is_ok_and(|selector| is_reserved(&selector)) {
            tags::delete(tx, repository, &tag).await?;
            changes.push(Change::Untagged { repository: repository.clone(), tag, digest });
        }
    }
    Ok(changes)
}

async fn all_tags(
    tx: &mut Tx,
    repository: &Workload,
    digest: Option<&Digest>,
) -> Result<Vec<(String, Digest)>> {
    let mut all: Vec<(String, Digest)> = Vec::new();
    loop {
        let after = all.last().map_or("", |(tag, _)| tag);
        let page = tags::list(tx, repository, digest, after, 1000).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

pub async fn get(cx: &Context, repository: &Workload, wanted: &Wanted) -> Result<Stored> {
    let digest = match wanted {
        Wanted::Digest(digest) => digest.clone(),
        Wanted::Tag(tag) => {
            digest_of_tag(cx, repository, tag).await?.ok_or_else(|| unknown(repository, tag))?
        }
    };
    manifests::find(&mut cx.db.read().await?, repository, &digest)
        .await?
        .ok_or_else(|| unknown(repository, &digest))
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
    namespaces::ensure_repository(&mut tx, repository, now).await?;
    namespaces::lock_repository(&mut tx, repository).await?;
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

/// Points a tag at a manifest, unless the tag means something that only another verb may move.
pub(super) async fn set_tag(
    cx: &Context,
    tx: &mut Tx,
    repository: &Workload,
    tag: &str,
    digest: &Digest,
    now: DateTime<Utc>,
) -> Result<Option<Change>> {
    let selector = Selector::parse(tag);
    let is_version = versions::of_manifest(tx, repository, digest).await?.is_some();
    if let Ok(Selector::Version(version)) = &selector
        && let Some(row) = versions::find(tx, repository, version).await?
    {
        if row.digest == *digest {
            return Ok(None);
        }
        return Err(Error::conflict(
            "version_taken",
            format!("the version exists with other content: {repository}:{tag}"),
        )
        .hint("versions never change; push another version"));
    }
    let stage = match &selector {
        Ok(selector) => super::resolve::stage(cx, tx, repository, selector).await?,
        Err(_) => None,
    };
    let moved_by = match &selector {
        _ if stage.is_some() && has_versions(tx, repository).await? => Some("gradus promote"),
        Ok(Selector::Latest | Selector::Range(_)) if has_versions(tx, repository).await? => {
            Some("gradus push")
        }
        _ => None,
    };
    if let (Some(verb), Ok(selector)) = (moved_by, &selector) {
        let now_at = super::resolve::find(cx, tx, repository, selector).await.ok();
        if now_at.is_some_and(|row| row.digest == *digest) {
            return Ok(None);
        }
        return Err(Error::not_allowed(
            "tag_is_not_free",
            format!(
                "the {} cannot be moved by a push: {tag}",
                if stage.is_some() { "stage" } else { selector.describe() }
            ),
        )
        .hint(format!("it follows from other verbs; use {verb}")));
    }
    let from = tags::find(tx, repository, tag).await?;
    if from.as_ref() == Some(digest) {
        return Ok(None);
    }
    tags::set(tx, repository, tag, digest, now).await?;
    // On other content a tag is part of the push; on a version it is an alias with a history.
    Ok(is_version
        .then(|| Change::AliasSet {
            workload: repository.clone(),
            alias: tag.to_owned(),
            from,
            to: digest.clone(),
        })
        .or_else(|| {
            Some(Change::Tagged {
                repository: repository.clone(),
                tag: tag.to_owned(),
                digest: digest.clone(),
            })
        }))
}

async fn has_versions(tx: &mut Tx, repository: &Workload) -> Result<bool> {
    versions::any(tx, repository).await
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
    Ok(true)
}

/// Deletes a manifest by digest, or a tag. What belongs to a version stays.
pub async fn delete(cx: &Context, actor: &Actor, repository: &Workload, wanted: &Wanted) -> Result<()> {
    let now = cx.clock.now();
    let mut tx = cx.db.write().await?;
    namespaces::lock_repository(&mut tx, repository).await?;
    let keep = |what: String| {
        Err(Error::not_allowed("version_is_kept", format!("a version cannot be deleted: {what}"))
            .hint(format!("withdraw it with: gradus yank {what}")))
    };
    let mut changes = Vec::new();
    let untagged = |tag, digest| Change::Untagged { repository: repository.clone(), tag, digest };
    match wanted {
        Wanted::Digest(digest) => {
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
            let tags = all_tags(&mut tx, repository, Some(digest)).await?;
            changes.extend(tags.into_iter().map(|(tag, digest)| untagged(tag, digest)));
            if !manifests::delete(&mut tx, repository, digest).await? {
                return Err(unknown(repository, digest));
            }
            changes.push(Change::ManifestDeleted { repository: repository.clone(), digest: digest.clone() });
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
                None => untagged(tag.clone(), from),
            });
        }
    }
    log::append(&mut tx, now, &actor.principal, changes).await?;
    tx.commit().await
}

/// Tags and versions of a repository after `after`, in byte order.
pub async fn list_tags(cx: &Context, repository: &Workload, after: &str, limit: i64) -> Result<Vec<String>> {
    let mut tx = cx.db.read().await?;
    if !namespaces::repository_exists(&mut tx, repository).await? {
        return Err(Error::not_found("repository_unknown", format!("no such repository: {repository}")));
    }
    tags::list_with_versions(&mut tx, repository, after, limit).await
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
