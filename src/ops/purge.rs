//! Taking the content of versions away for good. It takes two admins. What stays is a tombstone: number, digest, evidence,
//! events; the number and the content are never taken in again.

use super::{Context, claim, garbage, hold, promote::check_reason, resolve, tags::all_tags};
use crate::{
    db::{
        Tx, garbage as garbage_db, holds, log, manifests, namespaces, principals,
        purges::{self, LinkedBlob, PurgeRow},
        tags,
        versions::{self, Purged, VersionRow},
    },
    error::{Error, Result},
    model::{
        access::{Actor, Permission, PrincipalKind, Role},
        digest::Digest,
        event::Change,
        manifest::Manifest,
        name::{Namespace, PrincipalName, Workload},
        reference::{Reference, Selector},
        removal::{Authority, Exact, PurgeState},
        version::Version,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeSet;

pub use purges::PurgeRow as Purge;

/// How long a request waits for another admin.
pub(super) const WAITS: TimeDelta = TimeDelta::days(7);
/// Most versions that one event names.
const NAMED_MAX: usize = 100;
/// Most repositories that are looked at for who else uses a blob.
const OTHERS_MAX: i64 = 100;

/// What became of a call.
#[derive(Debug)]
pub struct Outcome {
    pub row: PurgeRow,
    /// What was taken away, if it was.
    pub done: Option<Done>,
}

#[derive(Debug)]
pub struct Done {
    pub versions: Vec<Version>,
    /// Of the objects that were deleted at once.
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

/// That a version's content is gone.
pub(super) fn gone(reference: &str, purged: &Purged) -> Error {
    let at = purged.at.format("%Y-%m-%d");
    Error::gone(
        "version_purged",
        format!("the version was purged on {at} by {}: {reference}: {}", purged.by, purged.because),
    )
    .hint("its content is gone for good; gradus show still tells of it")
    .details(serde_json::json!({ "at": purged.at, "by": purged.by, "reason": purged.because }))
}

/// Refuses content of a workload that was purged.
pub(super) async fn refuse_purged(tx: &mut Tx, workload: &Workload, digest: &Digest) -> Result<()> {
    match versions::purged_of(tx, workload, digest).await? {
        Some((version, purged)) => Err(gone(&format!("{workload}:{version}"), &purged)),
        None => Ok(()),
    }
}

/// Refuses to take purged content in again.
pub(super) async fn refuse_again(tx: &mut Tx, workload: &Workload, digest: &Digest) -> Result<()> {
    let Some((version, purged)) = versions::purged_of(tx, workload, digest).await? else { return Ok(()) };
    Err(Error::gone(
        "content_purged",
        format!("this content was purged as {workload}:{version} by {}: {}", purged.by, purged.because),
    )
    .hint("it is not taken in here again; push what is wanted instead of it"))
}

/// Refuses to take a file in again that went with a purge.
pub(super) async fn refuse_blob(tx: &mut Tx, repository: &Workload, digest: &Digest) -> Result<()> {
    match purges::blob_purged_at(tx, repository, digest).await? {
        Some(_) => Err(blob_purged(repository, digest)),
        None => Ok(()),
    }
}

/// The same for all files of a manifest whose uses are noted. The repository is locked.
pub(super) async fn refuse_uses(tx: &mut Tx, repository: &Workload, manifest: &Digest) -> Result<()> {
    match purges::purged_use(tx, repository, manifest).await? {
        Some(digest) => Err(blob_purged(repository, &digest)),
        None => Ok(()),
    }
}

fn blob_purged(repository: &Workload, digest: &Digest) -> Error {
    Error::gone("content_purged", format!("this file was purged from {repository}: {digest}"))
        .hint("it is not taken in here again, under no name; push what is wanted instead of it")
}

pub(super) fn selector(exact: &Exact) -> Selector {
    match exact {
        Exact::Version(version) => Selector::Version(version.clone()),
        Exact::Digest(digest) => Selector::Digest(digest.clone()),
    }
}

/// Asks for content to be taken away, or, as another admin than who asked, does it.
pub async fn purge(cx: &Context, actor: &Actor, reference: &Reference, reason: &str) -> Result<Outcome> {
    check_reason(reason)?;
    let selector = selector(&Exact::of(reference)?);
    let workload = &reference.workload;
    super::lineage::write_reads(cx).await;
    let mut tx = cx.db.write().await?;
    if namespaces::lock_repository(&mut tx, workload).await?.is_none() {
        return Err(super::status::unknown_workload(workload));
    }
    // From here on nobody's roles change, no stage moves, no hold is set.
    log::lock(&mut tx).await?;
    check_admin(&mut tx, actor, &workload.namespace()).await?;
    let row = resolve::find(cx, &mut tx, workload, &selector).await?;
    check_free(&mut tx, &row).await?;
    let now = cx.clock.now();
    let alone = cx.local.as_ref() == Some(&actor.principal);
    let (asked, mut changes) = waiting(&mut tx, actor, &row, now).await?;
    let is_first = asked.is_none();
    let mut request = asked.unwrap_or_else(|| new_request(cx, actor, &row, reason, now));
    // The same person's word a second time is not another's.
    if !alone && request.requested_by == actor.principal {
        if is_first {
            purges::save(&mut tx, &request).await?;
            changes.push(Change::PurgeRequested {
                workload: workload.clone(),
                version: request.version.clone(),
                digest: request.digest.clone(),
                purge: request.id.clone(),
                reason: request.reason.clone(),
                expires_at: request.expires_at,
            });
            log::append(&mut tx, now, &actor.principal, changes).await?;
            tx.commit().await?;
        }
        return Ok(Outcome { row: request, done: None });
    }
    let authority = if alone { Authority::LocalUser } else { Authority::TwoAdmins };
    let requested_by = (request.requested_by != actor.principal).then(|| request.requested_by.clone());
    let confirmed = requested_by.is_some().then_some(reason);
    let decision = Decision { reason: &request.reason, authority, requested_by, confirmed, at: now };
    let (more, gone) = take_away(&mut tx, actor, &row, &decision).await?;
    changes.extend(more);
    end(&mut request, PurgeState::Purged, actor, now, confirmed);
    purges::save(&mut tx, &request).await?;
    log::append(&mut tx, now, &actor.principal, changes).await?;
    tx.commit().await?;
    let done = finish(cx, actor, workload, gone).await;
    Ok(Outcome { row: request, done: Some(done) })
}

/// Takes a request back: whoever asked, or another admin.
pub async fn withdraw(cx: &Context, actor: &Actor, reference: &Reference, reason: &str) -> Result<PurgeRow> {
    check_reason(reason)?;
    let selector = selector(&Exact::of(reference)?);
    let workload = &reference.workload;
    let mut tx = cx.db.write().await?;
    if namespaces::lock_repository(&mut tx, workload).await?.is_none() {
        return Err(super::status::unknown_workload(workload));
    }
    log::lock(&mut tx).await?;
    check_admin(&mut tx, actor, &workload.namespace()).await?;
    let row = resolve::find(cx, &mut tx, workload, &selector).await?;
    let now = cx.clock.now();
    let mut request = purges::find_pending(&mut tx, workload, &row.digest)
        .await?
        .filter(|request| request.expires_at > now)
        .ok_or_else(|| {
            Error::not_found("purge_unknown", format!("nobody has asked to purge it: {reference}"))
                .hint("see what waits with: gradus purge --list")
        })?;
    end(&mut request, PurgeState::Withdrawn, actor, now, Some(reason));
    purges::save(&mut tx, &request).await?;
    let change = Change::PurgeWithdrawn {
        workload: workload.clone(),
        version: request.version.clone(),
        digest: request.digest.clone(),
        purge: request.id.clone(),
        reason: reason.to_owned(),
    };
    log::append(&mut tx, now, &actor.principal, vec![change]).await?;
    tx.commit().await?;
    Ok(request)
}

/// Requests after an id that wait for another admin, as far as the caller may see them.
pub async fn list(
    cx: &Context,
    actor: &Actor,
    namespace: Option<&Namespace>,
    after: &str,
    limit: i64,
) -> Result<Vec<PurgeRow>> {
    if let Some(namespace) = namespace {
        actor.require(Permission::Read, namespace)?;
    }
    let mut tx = cx.db.read().await?;
    let (mut after, mut visible) = (after.to_owned(), Vec::new());
    loop {
        let page = purges::list_pending(&mut tx, namespace, cx.clock.now(), &after, super::PAGE_MAX).await?;
        let Some(last) = page.last() else { return Ok(visible) };
        after = last.id.clone();
        for row in page.into_iter().filter(|row| actor.may(Permission::Read, &row.workload.namespace())) {
            visible.push(row);
            if visible.len() as i64 == limit {
                return Ok(visible);
            }
        }
    }
}

/// Refuses whoever is no admin of the namespace at this moment, and no person.
pub(super) async fn check_admin(tx: &mut Tx, actor: &Actor, namespace: &Namespace) -> Result<()> {
    let hint = "two people who are admins do; what was never promoted goes by a rule: gradus retention set";
    refuse_service(actor, "service_cannot_purge", "purge", hint)?;
    check_still_admin(tx, actor, namespace).await
}

/// Refuses a service: what takes content away for good, or lets it be taken away, is for people.
pub(super) fn refuse_service(actor: &Actor, code: &'static str, what: &str, hint: &str) -> Result<()> {
    if actor.kind != PrincipalKind::Service {
        return Ok(());
    }
    Err(Error::forbidden(code, format!("a service cannot {what}: {}", actor.principal)).hint(hint))
}

/// Refuses whoever is no admin of the namespace at this moment. The log is locked.
pub(super) async fn check_still_admin(tx: &mut Tx, actor: &Actor, namespace: &Namespace) -> Result<()> {
    match principals::now_in(tx, actor, namespace).await?.contains(&Role::Admin) {
        true => Ok(()),
        false => actor.require(Permission::Administer, namespace).and(Err(Error::forbidden(
            "forbidden",
            format!("{} is no admin of {namespace} any more", actor.principal),
        ))),
    }
}

/// Whether somebody is an admin of the namespace at this moment.
pub(super) async fn is_admin(tx: &mut Tx, namespace: &Namespace, who: &PrincipalName) -> Result<bool> {
    let people = principals::standing(tx, namespace, &[who.clone()].into()).await?;
    Ok(people.get(who).is_some_and(|person| person.roles.contains(&Role::Admin)))
}

/// Refuses what is used or must be kept. The repository and the log are locked.
pub(super) async fn check_free(tx: &mut Tx, row: &VersionRow) -> Result<()> {
    let VersionRow { workload, version, digest, .. } = row;
    let reference = format!("{workload}:{version}");
    hold::refuse(holds::over(tx, workload, digest).await?, &reference)?;
    if let Some(stage) = purges::stage_of(tx, workload, digest).await? {
        return Err(Error::conflict("in_stage", format!("{workload}:{stage} points at it: {reference}"))
            .hint(format!(
                "move the stage first: gradus promote {workload}:VERSION --to {stage}, or: gradus rollback {workload}:{stage} -m WHY; where there is no other version, push a clean one first, or two admins give the workload up: gradus workload delete {workload} -m WHY"
            )));
    }
    if let Some((stage, version)) = purges::pending_stage(tx, workload, digest).await? {
        return Err(Error::conflict(
            "promotion_pending",
            format!("it waits to enter {workload}:{stage}: {reference}"),
        )
        .hint(format!("take that back first: gradus withdraw {workload}:{version} --to {stage}")));
    }
    Ok(())
}

/// The request that counts, with the events of one that does not any more.
async fn waiting(
    tx: &mut Tx,
    actor: &Actor,
    row: &VersionRow,
    now: DateTime<Utc>,
) -> Result<(Option<PurgeRow>, Vec<Change>)> {
    let Some(mut request) = purges::find_pending(tx, &row.workload, &row.digest).await? else {
        return Ok((None, Vec::new()));
    };
    if request.expires_at <= now {
        end(&mut request, PurgeState::Expired, actor, now, None);
        purges::save(tx, &request).await?;
        return Ok((None, Vec::new()));
    }
    if is_admin(tx, &row.workload.namespace(), &request.requested_by).await? {
        return Ok((Some(request), Vec::new()));
    }
    let reason = "whoever asked for it is no admin any more";
    end(&mut request, PurgeState::Withdrawn, actor, now, Some(reason));
    purges::save(tx, &request).await?;
    let change = Change::PurgeWithdrawn {
        workload: request.workload,
        version: request.version,
        digest: request.digest,
        purge: request.id,
        reason: reason.to_owned(),
    };
    Ok((None, vec![change]))
}

fn new_request(cx: &Context, actor: &Actor, row: &VersionRow, reason: &str, now: DateTime<Utc>) -> PurgeRow {
    PurgeRow {
        id: cx.clock.id().simple().to_string(),
        workload: row.workload.clone(),
        version: row.version.clone(),
        digest: row.digest.clone(),
        reason: reason.to_owned(),
        state: PurgeState::Pending,
        requested_at: now,
        requested_by: actor.principal.clone(),
        expires_at: now + WAITS,
        ended_at: None,
        ended_by: None,
        ended_because: None,
    }
}

fn end(row: &mut PurgeRow, state: PurgeState, actor: &Actor, now: DateTime<Utc>, because: Option<&str>) {
    row.state = state;
    row.ended_at = Some(now);
    row.ended_by = Some(actor.principal.clone());
    row.ended_because = because.map(str::to_owned);
}

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
    blobs: Vec<LinkedBlob>,
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
    let blobs = purges::blobs_of(tx, workload, digest).await?;
    let own = own_blobs(tx, row).await?;
    purges::forget_uses(tx, workload, digest).await?;
    let mut bytes = 0;
    for blob in &blobs {
        // What is used here for something else keeps its link; everything else goes, however young.
        let ever = decision.at + TimeDelta::days(1);
        if !garbage_db::remove_link(tx, workload, &blob.digest, ever).await? {
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

/// Deletes the bytes that nothing needs any more. What cannot be deleted now is left to garbage collection, and told of:
/// the purge itself is done.
pub(super) async fn finish(cx: &Context, actor: &Actor, workload: &Workload, gone: Gone) -> Done {
    let mut done = Done { versions: gone.versions, bytes: 0, kept: Vec::new(), notes: Vec::new() };
    let mut ours = BTreeSet::new();
    for blob in gone.blobs {
        let outcome = async {
            let others =
                purges::links_to(&mut cx.db.read().await?, &blob.store, &blob.digest, OTHERS_MAX).await?;
            match others.is_empty() {
                true => delete(cx, &blob, &mut ours).await.map(|deleted| (deleted, others)),
                false => Ok((false, others)),
            }
        };
        match outcome.await {
            Ok((true, _)) => done.bytes += blob.size,
            Ok((false, others)) if others.is_empty() => {}
            Ok((false, others)) => done.kept.push(kept(actor, blob, others)),
            Err(error) => {
                tracing::warn!(%workload, digest = %blob.digest, %error, "purged bytes were not deleted; garbage collection will");
                done.notes.push(format!(
                    "the bytes of {} could not be deleted now: {error}; gradus gc --delete does it",
                    blob.digest
                ));
            }
        }
    }
    done
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
