//! Taking the content of versions away for good. It takes two admins. What stays is a tombstone: number, digest, evidence,
//! events; the number and the content are never taken in again.

use super::{
    Context,
    along::{self, Along, TakenAlong},
    erase::{Done, erase},
    hold,
    namespaces::lock_there,
    promote::check_reason,
    resolve,
    take_away::{keep_list, read_list, take_away},
    two_admins::{
        self, Asked, Lapsed, NO_ADMIN, UNKNOWN_TO_LOG, WAITS, WITHDRAWN_IN_LOG, check_admin, is_alone,
    },
};
use crate::{
    db::{
        Tx, holds, log, manifests,
        purges::{self, PurgeRow},
        versions::VersionRow,
    },
    error::{Error, Result},
    model::{
        access::{Actor, Permission},
        digest::Digest,
        event::Change,
        name::{Namespace, Workload},
        reference::Reference,
        removal::{Exact, PurgeState},
    },
};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

pub use purges::PurgeRow as Purge;

/// Manifests that go along in one transaction.
const ALONG_AT_ONCE: usize = 500;
/// Manifests that would go along and are named.
const NAMED_MAX: usize = 100;

/// What became of a call.
#[derive(Debug)]
pub struct Outcome {
    pub row: PurgeRow,
    /// What would go along, if nothing was taken away yet.
    pub along: WouldGo,
    /// What was taken away, if it was.
    pub done: Option<Done>,
}

/// What would go along with a purge: how many manifests, and the first of them.
#[derive(Debug, Default)]
pub struct WouldGo {
    pub total: usize,
    pub first: Vec<TakenAlong>,
}

impl WouldGo {
    async fn of(tx: &mut Tx, workload: &Workload, manifests: impl Iterator<Item = &Digest>) -> Result<Self> {
        let (mut total, mut first) = (0, Vec::new());
        for digest in manifests {
            total += 1;
            if total <= NAMED_MAX {
                first.push(along::named(tx, workload, digest).await?);
            }
        }
        Ok(Self { total, first })
    }
}

/// Asks for content to be taken away, or, as another admin than who asked, does it.
pub async fn purge(cx: &Context, actor: &Actor, reference: &Reference, reason: &str) -> Result<Outcome> {
    check_reason(reason)?;
    super::lineage::write_reads(cx).await;
    let mut taken = Vec::new();
    loop {
        match step(cx, actor, reference, reason, &mut taken).await {
            Ok(None) => {}
            Ok(Some(mut outcome)) => {
                if let Some(done) = &mut outcome.done {
                    taken.append(&mut done.manifests);
                    done.manifests = taken;
                }
                return Ok(outcome);
            }
            Err(mut error) => {
                if !taken.is_empty() {
                    let gone = taken.len();
                    error.message =
                        format!("{}; {gone} manifests that were to go along are gone", error.message);
                }
                return Err(error);
            }
        }
    }
}

/// One transaction of it. `None`: it took some of what goes along, there is more than one should hold, and all of it is
/// decided again for the rest.
async fn step(
    cx: &Context,
    actor: &Actor,
    reference: &Reference,
    reason: &str,
    taken: &mut Vec<TakenAlong>,
) -> Result<Option<Outcome>> {
    let workload = &reference.workload;
    let mut tx = cx.db.write().await?;
    lock_there(&mut tx, workload).await?;
    let selector = Exact::of(reference)?.selector();
    // From here on nobody's roles change, no stage moves, no hold is set.
    log::lock(&mut tx).await?;
    check_admin(&mut tx, actor, &workload.namespace()).await?;
    let row = resolve::find(cx, &mut tx, workload, &selector).await?;
    check_free(&mut tx, &row).await?;
    let mut along = Along::of(&mut tx, &row).await?;
    along.check_holds(&mut tx, workload).await?;
    let now = cx.clock.now();
    let (asked, mut changes) = waiting(&mut tx, actor, &row, now).await?;
    let is_first = asked.is_none();
    let mut request = asked.unwrap_or_else(|| new_request(cx, actor, &row, reason, now));
    let is_own = request.requested_by == actor.principal;
    let agreed = match is_first {
        true => BTreeSet::new(),
        false => agreed(&mut tx, &request).await?,
    };
    let is_more = along.manifests.iter().any(|digest| !agreed.contains(digest));
    if is_first {
        purges::save(&mut tx, &request).await?;
    }
    // Whoever asked may ask for more. One person alone waits for nobody, but where several steps need it.
    let is_asked = !is_alone(cx, actor) || along.manifests.len() > ALONG_AT_ONCE;
    if is_own && is_asked && (is_first || is_more) {
        changes.push(requested(&mut tx, &request, &along).await?);
    }
    // The same person's word a second time is not another's.
    if is_own && !is_alone(cx, actor) {
        let would_go = WouldGo::of(&mut tx, workload, along.manifests.iter()).await?;
        if !changes.is_empty() {
            log::append(&mut tx, now, &actor.principal, changes).await?;
            tx.commit().await?;
        }
        return Ok(Some(Outcome { row: request, along: would_go, done: None }));
    }
    if !is_own && is_more {
        return Err(more(&request, &along, &agreed));
    }
    if along.manifests.len() > ALONG_AT_ONCE {
        taken.extend(along.take(&mut tx, workload, ALONG_AT_ONCE, &mut changes).await?);
        log::append(&mut tx, now, &actor.principal, changes).await?;
        tx.commit().await?;
        return Ok(None);
    }
    let (by, first) = (request.requested_by.clone(), request.reason.clone());
    let decision = two_admins::decide(cx, actor, Some((&by, &first)), reason, now);
    end(&mut request, PurgeState::Purged, actor, now, decision.confirmed);
    purges::save(&mut tx, &request).await?;
    let (more, gone) = take_away(&mut tx, actor, &row, along, &decision).await?;
    changes.extend(more);
    log::append(&mut tx, now, &actor.principal, changes).await?;
    tx.commit().await?;
    let done = erase(cx, actor, workload, gone).await;
    Ok(Some(Outcome { row: request, along: WouldGo::default(), done: Some(done) }))
}

/// The event of a new request, with what would go along.
async fn requested(tx: &mut Tx, request: &PurgeRow, along: &Along) -> Result<Change> {
    Ok(Change::PurgeRequested {
        workload: request.workload.clone(),
        version: request.version.clone(),
        digest: request.digest.clone(),
        purge: request.id.clone(),
        reason: request.reason.clone(),
        expires_at: request.expires_at,
        along: keep_list(tx, along.manifests.iter().collect()).await?,
    })
}

/// What may go along by a request, as the log tells of it last. Refuses one that it does not tell of.
async fn agreed(tx: &mut Tx, request: &PurgeRow) -> Result<BTreeSet<Digest>> {
    let PurgeRow { workload, requested_by, .. } = request;
    let told = |change: &Change| {
        matches!(change, Change::PurgeRequested { purge, digest, reason, expires_at, .. }
            if (purge, digest, reason) == (&request.id, &request.digest, &request.reason)
                && expires_at.timestamp_micros() == request.expires_at.timestamp_micros())
    };
    let back =
        |change: &Change| matches!(change, Change::PurgeWithdrawn { purge, .. } if *purge == request.id);
    let asked =
        Asked { kind: "purge_requested", is_it: &told, withdrawn: "purge_withdrawn", takes_back: &back };
    match two_admins::check_asked(tx, workload, requested_by, asked).await? {
        Change::PurgeRequested { along: Some(list), .. } => read_list(tx, &list).await,
        _ => Ok(BTreeSet::new()),
    }
}

fn more(request: &PurgeRow, along: &Along, agreed: &BTreeSet<Digest>) -> Error {
    let PurgeRow { workload, version, requested_by, .. } = request;
    let more: Vec<&Digest> = along.manifests.iter().filter(|digest| !agreed.contains(*digest)).collect();
    let first = more.first().map(|digest| format!("{workload}@{digest}")).unwrap_or_default();
    let count = match more.len() {
        1 => "a manifest".to_owned(),
        many => format!("{many} manifests"),
    };
    Error::conflict(
        "more_goes_along",
        format!("{count} would go along that the request of {requested_by} does not name: {first}"),
    )
    .hint(format!(
        "where it may go, {requested_by} asks once more, which names all there is and keeps the first reason: gradus purge {workload}:{version} -m WHY"
    ))
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
) -> Result<Vec<(PurgeRow, WouldGo)>> {
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
            let agreed = match agreed(&mut tx, &row).await {
                Ok(agreed) => agreed,
                // It is refused when it is to be carried out.
                Err(error) if [UNKNOWN_TO_LOG, WITHDRAWN_IN_LOG].contains(&error.code) => BTreeSet::new(),
                Err(error) => return Err(error),
            };
            let mut there = Vec::new();
            for digest in &agreed {
                if manifests::exists(&mut tx, &row.workload, digest).await? {
                    there.push(digest);
                }
            }
            let would_go = WouldGo::of(&mut tx, &row.workload, there.into_iter()).await?;
            visible.push((row, would_go));
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
