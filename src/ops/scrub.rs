//! Looking for rot: re-hashing what is stored, quarantining what is not what its digest says, and rebuilding
//! the map from digests to objects out of the objects themselves.

use super::Context;
use crate::{
    blobs::{Hasher, Key, Store},
    db::{blobs, log, uploads, versions},
    error::Result,
    model::{
        access::Actor,
        digest::{Algorithm, Digest},
        event::Change,
    },
};
use futures_util::StreamExt as _;

#[derive(Default, Debug)]
pub struct Report {
    pub checked: u64,
    pub bytes: u64,
    /// Stored under a digest they do not have, or gone.
    pub rotten: Vec<Rotten>,
    /// Quarantined before and found whole again.
    pub restored: Vec<Digest>,
    /// Entries of the map made or corrected by a reindex.
    pub reindexed: u64,
}

#[derive(Debug)]
pub struct Rotten {
    pub store: String,
    pub digest: Digest,
    pub key: String,
    /// The digest of what is there, or `None` if the object is missing or cut short.
    pub found: Option<Digest>,
    /// Versions that need it, at most ten.
    pub versions: Vec<String>,
}

/// The digest of a stored object.
pub(super) async fn hash_object(store: &Store, key: Key, size: u64, algorithm: Algorithm) -> Result<Digest> {
    let mut hasher = Hasher::new(algorithm);
    let mut stream = store.read(key, 0..size).await?;
    while let Some(bytes) = stream.next().await {
        hasher.update(&bytes?);
    }
    Ok(hasher.digest())
}

/// Re-hashes every blob of every store.
pub async fn scrub(cx: &Context, actor: &Actor) -> Result<Report> {
    let mut report = Report::default();
    for store in cx.stores.all() {
        let mut after = String::new();
        loop {
            let rows = blobs::list(&mut cx.db.read().await?, &store.name, &after, 500).await?;
            let Some(last) = rows.last() else { break };
            after = last.digest.to_string();
            for row in rows {
                check(cx, actor, store, &row, &mut report).await?;
            }
        }
    }
    Ok(report)
}

async fn check(
    cx: &Context,
    actor: &Actor,
    store: &Store,
    row: &blobs::BlobRow,
    report: &mut Report,
) -> Result<()> {
    let key: Key = row.key.parse()?;
    let found = match store.size(key).await? {
        Some(size) if size == row.size => match hash_object(store, key, size, row.digest.algorithm()).await {
            Ok(digest) => Some(digest),
            Err(error) if error.kind == crate::error::Kind::Integrity => None,
            Err(error) => return Err(error),
        },
        // Longer or shorter: whatever it hashes to, it is not this blob.
        Some(size) => Some(hash_object(store, key, size, row.digest.algorithm()).await?),
        None => None,
    };
    report.checked += 1;
    report.bytes += row.size;
    let whole = found.as_ref() == Some(&row.digest);
    if whole == row.quarantined_at.is_none() {
        if !whole {
            report.rotten.push(rotten(cx, row, found).await?);
        }
        return Ok(());
    }
    let now = cx.clock.now();
    let mut tx = cx.db.write().await?;
    let since = if whole { None } else { Some(now) };
    if !blobs::set_quarantined(&mut tx, &store.name, &row.digest, &row.key, since).await? {
        return Ok(()); // replaced or collected meanwhile
    }
    let (store, digest) = (store.name.clone(), row.digest.clone());
    let change = if whole {
        report.restored.push(digest.clone());
        Change::BlobRestored { store, digest }
    } else {
        report.rotten.push(rotten(cx, row, found.clone()).await?);
        Change::BlobQuarantined { store, digest, found }
    };
    log::append(&mut tx, now, &actor.principal, vec![change]).await?;
    tx.commit().await
}

async fn rotten(cx: &Context, row: &blobs::BlobRow, found: Option<Digest>) -> Result<Rotten> {
    let versions = versions::using(&mut cx.db.read().await?, &row.digest, 10).await?;
    Ok(Rotten {
        store: row.store.clone(),
        digest: row.digest.clone(),
        key: row.key.clone(),
        found,
        versions: versions.into_iter().map(|(workload, version)| format!("{workload}:{version}")).collect(),
    })
}

/// Hashes every object and makes the map from digests to objects say what is there.
pub async fn reindex(cx: &Context, actor: &Actor) -> Result<Report> {
    let mut report = Report::default();
    for store in cx.stores.all() {
        let mut objects = store.list();
        while let Some(object) = objects.next().await {
            let object = object?;
            let key = object.key.to_string();
            let mut tx = cx.db.read().await?;
            let known = blobs::find_by_key(&mut tx, &key).await?;
            let is_elsewhere = known.as_ref().is_some_and(|row| row.store != store.name);
            // What is young may be a blob whose row is about to come.
            let is_young = known.is_none() && object.modified > cx.clock.now() - super::garbage::ORPHAN_GRACE;
            if object.is_tail || is_elsewhere || is_young || uploads::exists(&mut tx, &key).await? {
                continue;
            }
            drop(tx);
            report.checked += 1;
            report.bytes += object.size;
            let algorithm = known.as_ref().map_or(Algorithm::Sha256, |row| row.digest.algorithm());
            let digest = hash_object(store, object.key, object.size, algorithm).await?;
            let wrong = known.as_ref().is_none_or(|row| row.digest != digest || row.quarantined_at.is_some());
            if wrong && take(cx, store, &digest, &key, object.size, known.as_ref()).await? {
                report.reindexed += 1;
            }
        }
    }
    // What now has no object, or the wrong one, is quarantined by a scrub.
    let scrubbed = scrub(cx, actor).await?;
    report.rotten = scrubbed.rotten;
    report.restored = scrubbed.restored;
    Ok(report)
}

async fn is_whole(store: &Store, row: &blobs::BlobRow) -> Result<bool> {
    let key = row.key.parse()?;
    Ok(store.size(key).await? == Some(row.size)
        && hash_object(store, key, row.size, row.digest.algorithm()).await? == row.digest)
}

/// Makes an object the blob of its digest if the digest has none that works. `holder` is the row that names
/// this object now.
async fn take(
    cx: &Context,
    store: &Store,
    digest: &Digest,
    key: &str,
    size: u64,
    holder: Option<&blobs::BlobRow>,
) -> Result<bool> {
    let mut tx = cx.db.read().await?;
    let existing = blobs::find(&mut tx, &store.name, digest).await?;
    let is_wanted = existing.is_some() || !blobs::linked_from(&mut tx, digest, None, 1).await?.is_empty();
    drop(tx);
    let holder = holder.filter(|row| row.digest != *digest);
    if holder.is_some() && !is_wanted {
        return Ok(false); // nothing ever had this digest: the object is rotten, not misplaced
    }
    if let Some(row) = &existing
        && (row.key == key || row.quarantined_at.is_none() && is_whole(store, row).await?)
    {
        return Ok(false);
    }
    let mut tx = cx.db.write().await?;
    if let Some(holder) = holder {
        // Its own object may turn up further on; until then it points at nothing, which a scrub finds.
        blobs::set_key(&mut tx, &store.name, &holder.digest, &cx.clock.id().to_string()).await?;
    }
    let taken = match existing {
        None => {
            let row = blobs::BlobRow {
                store: store.name.clone(),
                digest: digest.clone(),
                key: key.to_owned(),
                size,
                quarantined_at: None,
            };
            blobs::insert(&mut tx, &row, cx.clock.now()).await?
        }
        Some(_) => blobs::set_key(&mut tx, &store.name, digest, key).await?,
    };
    tx.commit().await?;
    Ok(taken)
}
