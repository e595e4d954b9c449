//! Garbage collection: links no manifest uses, blobs no link names, uploads nobody goes on with, objects no
//! row knows. Safe beside running pushes on any replica: rows go first, in transactions that check again;
//! an object goes after its row, and its key is never used again. Nothing goes while a backup is being taken.

use super::{Context, backup, uploads::remove_idle};
use crate::{
    blobs::Store,
    db::{blobs, garbage, log, namespaces, uploads},
    error::Result,
    model::{access::Actor, digest::Digest, event::Change, name::Workload},
};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt as _;

#[derive(Default, Debug)]
pub struct Report {
    pub links: Vec<(Workload, Digest, u64)>,
    pub blobs: Vec<(String, Digest, u64)>,
    pub uploads: Vec<String>,
    /// Objects without a row: (store, key, bytes).
    pub orphans: Vec<(String, String, u64)>,
    pub bytes: u64,
    /// False for a dry run: nothing was deleted.
    pub deleted: bool,
    /// Why it stopped before the end: a backup was begun.
    pub stopped: Option<String>,
}

/// An object without a row is left alone for so long whatever the grace period: its row may be about to come.
pub(super) const ORPHAN_GRACE: TimeDelta = TimeDelta::hours(1);
const BATCH: i64 = 500;
/// Notes of scheduled runs are kept for so long.
const TICKS_KEPT: TimeDelta = TimeDelta::days(30);

/// Finds garbage that is older than `grace`; with `delete`, removes it.
pub async fn collect(cx: &Context, actor: &Actor, grace: TimeDelta, delete: bool) -> Result<Report> {
    let before = cx.clock.now() - grace;
    for store in cx.stores.all().iter().filter(|_| delete) {
        super::claim::check(&cx.db, store).await?;
    }
    if delete {
        backup::check_none(cx, &mut cx.db.read().await?).await?;
    }
    let mut report = Report { deleted: delete, ..Report::default() };
    let outcome = collect_all(cx, before, delete, &mut report).await;
    // However it ended, what went until then is told of.
    if delete && report.bytes > 0 {
        let objects = (report.blobs.len() + report.orphans.len()) as u64;
        let mut tx = cx.db.write().await?;
        let change = Change::GarbageCollected { objects, bytes: report.bytes };
        log::append(&mut tx, cx.clock.now(), &actor.principal, vec![change]).await?;
        tx.commit().await?;
    }
    match outcome {
        Err(error) if error.code == "backup_running" => report.stopped = Some(error.message),
        outcome => outcome?,
    }
    Ok(report)
}

async fn collect_all(cx: &Context, before: DateTime<Utc>, delete: bool, report: &mut Report) -> Result<()> {
    links(cx, before, delete, report).await?;
    unlinked(cx, before, delete, report).await?;
    idle_uploads(cx, before, delete, report).await?;
    if delete {
        let mut tx = cx.db.write().await?;
        match garbage::sweep(&mut tx, cx.clock.now() - TICKS_KEPT).await {
            Ok(_) => tx.commit().await?,
            Err(error) if error.code == "database_busy" => {} // one was pushed again at the same moment
            Err(error) => return Err(error),
        }
    }
    for store in cx.stores.all() {
        orphans(cx, store, before.min(cx.clock.now() - ORPHAN_GRACE), delete, report).await?;
    }
    Ok(())
}

async fn links(cx: &Context, before: DateTime<Utc>, delete: bool, report: &mut Report) -> Result<()> {
    loop {
        let mut found = garbage::unused_links(&mut cx.db.read().await?, before, BATCH).await?;
        let count = found.len();
        if delete {
            let mut tx = cx.db.write().await?;
            for (repository, ..) in &found {
                // A push that is about to use the link holds this lock: either it is done and the link is in use, or
                // it will find the link gone. The list is sorted, so two collectors lock in one order.
                namespaces::lock_repository(&mut tx, repository).await?;
            }
            log::lock(&mut tx).await?;
            backup::check_none(cx, &mut tx).await?;
            let mut gone = Vec::new();
            for (repository, digest, size) in found {
                if garbage::remove_link(&mut tx, &repository, &digest, before).await? {
                    gone.push((repository, digest, size));
                }
            }
            tx.commit().await?;
            found = gone;
        }
        report.links.extend(found);
        // A dry run deletes nothing, so it would read the same page for ever.
        if !delete || (count as i64) < BATCH {
            return Ok(());
        }
    }
}

async fn unlinked(cx: &Context, before: DateTime<Utc>, delete: bool, report: &mut Report) -> Result<()> {
    loop {
        let found = garbage::unlinked_blobs(&mut cx.db.read().await?, before, BATCH).await?;
        let count = found.len();
        for (store, digest, key, size) in found {
            if delete && !drop_blob(cx, &store, &digest, &key).await? {
                continue;
            }
            report.bytes += size;
            report.blobs.push((store, digest, size));
        }
        if !delete || (count as i64) < BATCH {
            return Ok(());
        }
    }
}

/// Deletes a blob that no link names: its row, if that is still so, and then its object. Answers false if it is wanted.
pub(super) async fn drop_blob(cx: &Context, store: &str, digest: &Digest, key: &str) -> Result<bool> {
    let objects = cx.stores.get(store)?;
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    backup::check_none(cx, &mut tx).await?;
    match garbage::remove_blob(&mut tx, store, digest, key).await {
        Ok(true) => tx.commit().await?,
        Ok(false) => return Ok(false),
        Err(error) if error.code == "database_busy" => return Ok(false), // linked at the same moment
        Err(error) => return Err(error),
    }
    objects.delete(key.parse()?).await?;
    Ok(true)
}

async fn idle_uploads(cx: &Context, before: DateTime<Utc>, delete: bool, report: &mut Report) -> Result<()> {
    loop {
        let now = cx.clock.now();
        let found = uploads::list_idle(&mut cx.db.read().await?, before, now, BATCH).await?;
        let count = found.len();
        for row in found {
            if delete && !remove_idle(cx, &row, before).await? {
                continue;
            }
            report.bytes += row.received;
            report.uploads.push(row.id);
        }
        if !delete || (count as i64) < BATCH {
            return Ok(());
        }
    }
}

async fn orphans(
    cx: &Context,
    store: &Store,
    before: DateTime<Utc>,
    delete: bool,
    report: &mut Report,
) -> Result<()> {
    let mut objects = store.list();
    while let Some(object) = objects.next().await {
        let object = object?;
        if object.modified >= before {
            continue;
        }
        let key = object.key.to_string();
        let mut tx = cx.db.read().await?;
        // In this order: an upload's row goes in the transaction that makes its object a blob, and statements see
        // commits between them on PostgreSQL.
        if uploads::exists(&mut tx, &key).await? {
            continue;
        }
        // By the key alone: a store that was renamed, or is configured twice, loses nothing.
        if !object.is_tail && blobs::find_by_key(&mut tx, &key).await?.is_some() {
            continue;
        }
        drop(tx);
        if delete {
            if object.is_tail {
                store.delete_tails(object.key).await?
            } else {
                store.delete(object.key).await?
            }
        }
        report.bytes += object.size;
        report.orphans.push((store.name.clone(), key, object.size));
    }
    Ok(())
}
