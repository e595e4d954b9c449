//! Tags: names of manifests in a repository. On other content they are free; in a workload some follow from its versions
//! and stages, and one on a version is an alias.

use super::{Context, namespaces::refuse_deleted, resolve};
use crate::{
    db::{Tx, namespaces, tags, versions},
    error::{Error, Kind, Result},
    model::{digest::Digest, event::Change, name::Workload, reference::Selector},
};
use chrono::{DateTime, Utc};

/// The digest behind a tag: a version, stage, range or `latest` as everywhere, else a plain tag.
pub(super) async fn digest_of_tag(cx: &Context, repository: &Workload, tag: &str) -> Result<Option<Digest>> {
    let mut tx = cx.db.read().await?;
    let found = match Selector::parse(tag) {
        Ok(Selector::Version(version)) => {
            versions::find(&mut tx, repository, &version).await?.map(|row| row.digest)
        }
        Ok(selector) if is_followed(cx, &mut tx, repository, &selector).await? => {
            return match resolve::find(cx, &mut tx, repository, &selector).await {
                Ok(row) => Ok(Some(row.digest)),
                Err(error) if error.kind == Kind::NotFound => Ok(None),
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
pub(super) fn is_reserved(selector: &Selector) -> bool {
    matches!(selector, Selector::Stage(_) | Selector::Latest | Selector::Range(_))
}

/// The same for a workload as its policy has it, which may name stages of its own.
async fn is_followed(cx: &Context, tx: &mut Tx, repository: &Workload, selector: &Selector) -> Result<bool> {
    let reserved = is_reserved(selector) || resolve::stage(cx, tx, repository, selector).await?.is_some();
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

pub(super) async fn all_tags(
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
        Ok(selector) => resolve::stage(cx, tx, repository, selector).await?,
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
        let now_at = resolve::find(cx, tx, repository, selector).await.ok();
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

pub(super) async fn has_versions(tx: &mut Tx, repository: &Workload) -> Result<bool> {
    versions::any(tx, repository).await
}

/// Tags and versions of a repository after `after`, in byte order.
pub async fn list_tags(cx: &Context, repository: &Workload, after: &str, limit: i64) -> Result<Vec<String>> {
    let mut tx = cx.db.read().await?;
    refuse_deleted(repository, namespaces::deletion(&mut tx, repository).await?)?;
    if !namespaces::repository_exists(&mut tx, repository).await? {
        return Err(Error::not_found("repository_unknown", format!("no such repository: {repository}")));
    }
    tags::list_with_versions(&mut tx, repository, after, limit).await
}
