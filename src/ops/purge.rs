//! Taking the content of versions away for good. It takes two admins. What stays is a tombstone: number, digest, evidence,
//! events; the number and the content are never taken in again.

use super::{
    Context,
    erase::{Done, erase},
    hold,
    promote::check_reason,
    resolve,
    take_away::{Decision, take_away},
    two_admins::{self, WAITS, check_admin},
};
use crate::{
    db::{
        Tx, holds, log, namespaces,
        purges::{self, PurgeRow},
        versions::VersionRow,
    },
    error::{Error, Result},
    model::{
        access::{Actor, Permission},
        event::Change,
        name::Namespace,
        reference::Reference,
        removal::{Authority, Exact, PurgeState},
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
    let selector = Exact::of(reference)?.selector();
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
    let done = erase(cx, actor, workload, gone).await;
    Ok(Outcome { row: request, done: Some(done) })
}

/// Takes a request back: whoever asked, or another admin.
pub async fn withdraw(cx: &Context, actor: &Actor, reference: &Reference, reason: &str) -> Result<PurgeRow> {
    check_reason(reason)?;
    let selector = Exact::of(reference)?.selector();
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
    if two_admins::is_admin(tx, &row.workload.namespace(), &request.requested_by).await? {
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
