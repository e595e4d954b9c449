//! Taking the content of versions away for good. It takes two admins. What stays is a tombstone: number, digest, evidence,
//! events; the number and the content are never taken in again.

use super::{
    Context,
    erase::{Done, erase},
    hold,
    namespaces::lock_there,
    promote::check_reason,
    resolve,
    take_away::take_away,
    two_admins::{self, Asked, Lapsed, NO_ADMIN, WAITS, check_admin, is_alone},
};
use crate::{
    db::{
        Tx, holds, log,
        purges::{self, PurgeRow},
        versions::VersionRow,
    },
    error::{Error, Result},
    model::{
        access::{Actor, Permission},
        event::Change,
        name::Namespace,
        reference::Reference,
        removal::{Exact, PurgeState},
    },
};
use chrono::{DateTime, Utc};

pub use purges::PurgeRow as Purge;

/// What became of a call.
#[derive(Debug)]
pub struct Outcome {
    pub row: PurgeRow,
    /// What was taken away, if it was.
    pub done: Option<Done>,
}

/// Asks for content to be taken away, or, as another admin than who asked, does it.
pub async fn purge(cx: &Context, actor: &Actor, reference: &Reference, reason: &str) -> Result<Outcome> {
    check_reason(reason)?;
    let workload = &reference.workload;
    super::lineage::write_reads(cx).await;
    let mut tx = cx.db.write().await?;
    lock_there(&mut tx, workload).await?;
    let selector = Exact::of(reference)?.selector();
    // From here on nobody's roles change, no stage moves, no hold is set.
    log::lock(&mut tx).await?;
    check_admin(&mut tx, actor, &workload.namespace()).await?;
    let row = resolve::find(cx, &mut tx, workload, &selector).await?;
    check_free(&mut tx, &row).await?;
    let now = cx.clock.now();
    let (asked, mut changes) = waiting(&mut tx, actor, &row, now).await?;
    let is_first = asked.is_none();
    let mut request = asked.unwrap_or_else(|| new_request(cx, actor, &row, reason, now));
    // The same person's word a second time is not another's.
    if request.requested_by == actor.principal && !is_alone(cx, actor) {
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
    let (by, first) = (request.requested_by.clone(), request.reason.clone());
    if !is_first {
        let told = |change: &Change| {
            matches!(change, Change::PurgeRequested { purge, digest, reason, expires_at, .. }
                if (purge, digest, reason) == (&request.id, &request.digest, &request.reason)
                    && expires_at.timestamp_micros() == request.expires_at.timestamp_micros())
        };
        let back =
            |change: &Change| matches!(change, Change::PurgeWithdrawn { purge, .. } if *purge == request.id);
        let asked =
            Asked { kind: "purge_requested", is_it: &told, withdrawn: "purge_withdrawn", takes_back: &back };
        two_admins::check_asked(&mut tx, workload, &by, asked).await?;
    }
    let decision = two_admins::decide(cx, actor, Some((&by, &first)), reason, now);
    end(&mut request, PurgeState::Purged, actor, now, decision.confirmed);
    purges::save(&mut tx, &request).await?;
    let (more, gone) = take_away(&mut tx, actor, &row, &decision).await?;
    changes.extend(more);
    log::append(&mut tx, now, &actor.principal, changes).await?;
    tx.commit().await?;
    let done = erase(cx, actor, workload, gone).await;
    Ok(Outcome { row: request, done: Some(done) })
}

/// Takes a request back: whoever asked, or another admin.
pub async fn withdraw(cx: &Context, actor: &Actor, reference: &Reference, reason: &str) -> Result<PurgeRow> {
    check_reason(reason)?;
    let workload = &reference.workload;
    let mut tx = cx.db.write().await?;
    lock_there(&mut tx, workload).await?;
    let selector = Exact::of(reference)?.selector();
    log::lock(&mut tx).await?;
    check_admin(&mut tx, actor, &workload.namespace()).await?;
    let row = resolve::find(cx, &mut tx, workload, &selector).await?;
    let now = cx.clock.now();
    let request = purges::find_pending(&mut tx, workload, &row.digest)
        .await?
        .filter(|request| request.expires_at > now);
    let mut request = request.ok_or_else(|| {
        Error::not_found("purge_unknown", format!("nobody has asked to purge it: {reference}"))
            .hint("see what waits with: gradus purge --list")
    })?;
    let change = take_back(&mut tx, &mut request, actor, now, reason).await?;
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
    let namespace = row.workload.namespace();
    match two_admins::lapsed(tx, &namespace, &request.requested_by, request.expires_at, now).await? {
        None => Ok((Some(request), Vec::new())),
        Some(Lapsed::Expired) => {
            end(&mut request, PurgeState::Expired, actor, now, None);
            purges::save(tx, &request).await?;
            Ok((None, Vec::new()))
        }
        Some(Lapsed::NoAdmin) => {
            let change = take_back(tx, &mut request, actor, now, NO_ADMIN).await?;
            Ok((None, vec![change]))
        }
    }
}

async fn take_back(
    tx: &mut Tx,
    request: &mut PurgeRow,
    actor: &Actor,
    now: DateTime<Utc>,
    reason: &str,
) -> Result<Change> {
    end(request, PurgeState::Withdrawn, actor, now, Some(reason));
    purges::save(tx, request).await?;
    Ok(Change::PurgeWithdrawn {
        workload: request.workload.clone(),
        version: request.version.clone(),
        digest: request.digest.clone(),
        purge: request.id.clone(),
        reason: reason.to_owned(),
    })
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
