//! Giving names up. A workload goes when its versions are purged, a namespace when no workload is in it any more. Neither
//! name is ever given again.

use super::{
    Context,
    along::Along,
    erase::{Kept, erase},
    hold,
    namespaces::{lock_there, show},
    promote::check_reason,
    resolve,
    take_away::{Decision, Gone, take_away},
    two_admins::{self, Asked, Lapsed, NO_ADMIN, WAITS, check_admin, check_still_admin, is_alone},
    unknown_namespace,
};
use crate::{
    db::{
        Tx, holds, log, monitors, namespaces,
        purges::{self, DeletionRow},
        retention::{self, Candidate},
    },
    error::{Error, Result},
    model::{
        access::{Actor, Permission},
        event::Change,
        name::{Namespace, PrincipalName, Workload},
        reference::Selector,
        version::Version,
    },
};
use chrono::{DateTime, Utc};

pub use purges::DeletionRow as Deletion;

/// Most versions that may still be in a workload that is deleted; there are not more stages.
const IN_STAGES_MAX: i64 = 100;
/// What is said of a request that is not for what is in the workload now.
const CHANGED: &str = "a version or a move has come since it was asked for";

/// What became of a call.
#[derive(Debug, Default)]
pub struct Outcome {
    /// False: it takes another admin, until then.
    pub deleted: bool,
    pub requested_by: Option<PrincipalName>,
    pub expires_at: Option<DateTime<Utc>>,
    /// What was purged with it.
    pub versions: Vec<Version>,
    /// Of the objects that were deleted at once.
    pub bytes: u64,
    pub kept: Vec<Kept>,
    /// What went wrong after it was done, for people.
    pub notes: Vec<String>,
}

/// Deletes a workload, or a repository of other OCI content. A stage cannot be emptied, so what is in stages may still be
/// there: that is purged with it, and takes two admins as every purge does. What the workload links to goes, but for
/// evidence about what was purged.
pub async fn workload(cx: &Context, actor: &Actor, workload: &Workload, reason: &str) -> Result<Outcome> {
    check_reason(reason)?;
    let mut tx = cx.db.write().await?;
    lock_there(&mut tx, workload).await?;
    log::lock(&mut tx).await?;
    let whole = check_unused(&mut tx, workload).await?;
    let now = cx.clock.now();
    let (mut changes, mut gone, mut request) = (Vec::new(), Vec::new(), None);
    if whole.is_empty() {
        check_still_admin(&mut tx, actor, &workload.namespace()).await?;
    } else {
        check_admin(&mut tx, actor, &workload.namespace()).await?;
        if !is_alone(cx, actor) {
            let (asked, lapsed) = waiting(&mut tx, workload, now).await?;
            match asked {
                Some(row) if row.requested_by == actor.principal => return Ok(waits(row)),
                Some(row) => request = Some(row),
                None => return ask(tx, actor, workload, reason, lapsed, now).await.map(waits),
            }
        }
        let asked = request.as_ref().map(|request| (&request.requested_by, request.reason.as_str()));
        let decision = two_admins::decide(cx, actor, asked, reason, now);
        (changes, gone) = take_all_away(cx, &mut tx, actor, workload, whole, &decision).await?;
        // Those beyond the first hundred are no stage's.
        if let Some(Candidate { version, .. }) =
            retention::candidates(&mut tx, workload, None, 1).await?.pop()
        {
            return Err(still_in_it(workload, &version));
        }
    }
    purges::forget_deletion(&mut tx, workload).await?;
    // Nothing is left for them to take away.
    purges::end_pending(&mut tx, workload, None, now, &actor.principal, reason).await?;
    for digest in namespaces::delete_repository(&mut tx, workload, now, &actor.principal).await? {
        changes.push(Change::ManifestDeleted { repository: workload.clone(), digest });
    }
    let confirmed = request.is_some().then(|| reason.to_owned());
    let (requested_by, reason) = match request {
        Some(request) => (Some(request.requested_by), request.reason),
        None => (None, reason.to_owned()),
    };
    changes.push(Change::WorkloadDeleted {
        workload: workload.clone(),
        reason,
        requested_by: requested_by.clone(),
        confirmed,
    });
    log::append(&mut tx, now, &actor.principal, changes).await?;
    tx.commit().await?;
    let mut outcome = Outcome { deleted: true, requested_by, ..Outcome::default() };
    for gone in gone {
        let done = erase(cx, actor, workload, gone).await;
        outcome.versions.extend(done.versions);
        outcome.bytes += done.bytes;
        outcome.kept.extend(done.kept);
        outcome.notes.extend(done.notes);
    }
    Ok(outcome)
}

/// Takes a request back: whoever asked, or another admin.
pub async fn withdraw(cx: &Context, actor: &Actor, workload: &Workload, reason: &str) -> Result<DeletionRow> {
    check_reason(reason)?;
    let mut tx = cx.db.write().await?;
    lock_there(&mut tx, workload).await?;
    log::lock(&mut tx).await?;
    check_admin(&mut tx, actor, &workload.namespace()).await?;
    let now = cx.clock.now();
    let row = purges::find_deletion(&mut tx, workload).await?.filter(|row| row.expires_at > now);
    let row = row.ok_or_else(|| {
        Error::not_found("deletion_unknown", format!("nobody has asked to delete it: {workload}"))
            .hint("see what waits with: gradus purge --list")
    })?;
    purges::forget_deletion(&mut tx, workload).await?;
    let change = Change::DeletionWithdrawn { workload: workload.clone(), reason: reason.to_owned() };
    log::append(&mut tx, now, &actor.principal, vec![change]).await?;
    tx.commit().await?;
    Ok(row)
}

/// Requests after a workload that wait for another admin, as far as the caller may see them.
pub async fn list(
    cx: &Context,
    actor: &Actor,
    namespace: Option<&Namespace>,
    after: &str,
    limit: i64,
) -> Result<Vec<DeletionRow>> {
    if let Some(namespace) = namespace {
        actor.require(Permission::Read, namespace)?;
    }
    let mut tx = cx.db.read().await?;
    let (mut after, mut visible) = (after.to_owned(), Vec::new());
    loop {
        let page =
            purges::list_deletions(&mut tx, namespace, cx.clock.now(), &after, super::PAGE_MAX).await?;
        let Some(last) = page.last() else { return Ok(visible) };
        after = last.workload.to_string();
        for row in page.into_iter().filter(|row| actor.may(Permission::Read, &row.workload.namespace())) {
            visible.push(row);
            if visible.len() as i64 == limit {
                return Ok(visible);
            }
        }
    }
}

fn waits(row: DeletionRow) -> Outcome {
    Outcome { requested_by: Some(row.requested_by), expires_at: Some(row.expires_at), ..Outcome::default() }
}

/// Refuses while anything needs the workload. Answers what is still in its stages.
async fn check_unused(tx: &mut Tx, workload: &Workload) -> Result<Vec<Candidate>> {
    hold::refuse(holds::touching(tx, workload).await?, workload.as_str())?;
    if let Some(monitor) = monitors::names(tx, workload).await?.into_iter().next() {
        return Err(not_empty(format!("a drift monitor is on it: {workload}/{monitor}"))
            .hint(format!("take it away first: gradus drift monitor rm {workload}/{monitor}")));
    }
    let whole = retention::candidates(tx, workload, None, IN_STAGES_MAX).await?;
    for Candidate { version, digest, .. } in &whole {
        if purges::stage_of(tx, workload, digest).await?.is_none() {
            return Err(still_in_it(workload, version));
        }
        if let Some((stage, version)) = purges::pending_stage(tx, workload, digest).await? {
            return Err(not_empty(format!("{workload}:{version} waits to enter {stage}"))
                .hint(format!("take that back first: gradus withdraw {workload}:{version} --to {stage}")));
        }
    }
    Ok(whole)
}

fn not_empty(what: String) -> Error {
    Error::conflict("workload_not_empty", what)
}

fn still_in_it(workload: &Workload, version: &Version) -> Error {
    not_empty(format!("a version is still in it: {workload}:{version}"))
        .hint(format!("purge what no stage points at first: gradus purge {workload}:{version} -m WHY"))
}

/// The request that counts, of who still is an admin and for what is still in the workload as it was then; or the event
/// of one that does not any more.
async fn waiting(
    tx: &mut Tx,
    workload: &Workload,
    now: DateTime<Utc>,
) -> Result<(Option<DeletionRow>, Option<Change>)> {
    let Some(row) = purges::find_deletion(tx, workload).await? else { return Ok((None, None)) };
    let namespace = workload.namespace();
    let why = match two_admins::lapsed(tx, &namespace, &row.requested_by, row.expires_at, now).await? {
        Some(Lapsed::Expired) => return Ok((None, None)),
        Some(Lapsed::NoAdmin) => NO_ADMIN,
        None if purges::has_changed_since(tx, workload, row.position).await? => CHANGED,
        None => {
            let told = |change: &Change| {
                matches!(change, Change::DeletionRequested { reason, expires_at, .. }
                    if *reason == row.reason
                        && expires_at.timestamp_micros() == row.expires_at.timestamp_micros())
            };
            // There is one request for a workload at a time.
            let back = |_: &Change| true;
            let asked = Asked {
                kind: "deletion_requested",
                is_it: &told,
                withdrawn: "deletion_withdrawn",
                takes_back: &back,
            };
            two_admins::check_asked(tx, workload, &row.requested_by, asked).await?;
            return Ok((Some(row), None));
        }
    };
    Ok((None, Some(Change::DeletionWithdrawn { workload: workload.clone(), reason: why.to_owned() })))
}

/// Asks for a workload to be deleted, in the place of a request that does not count any more.
async fn ask(
    mut tx: Tx,
    actor: &Actor,
    workload: &Workload,
    reason: &str,
    lapsed: Option<Change>,
    now: DateTime<Utc>,
) -> Result<DeletionRow> {
    let (position, _) = log::lock(&mut tx).await?;
    let row = DeletionRow {
        workload: workload.clone(),
        reason: reason.to_owned(),
        requested_at: now,
        requested_by: actor.principal.clone(),
        expires_at: now + WAITS,
        position,
    };
    purges::save_deletion(&mut tx, &row).await?;
    let change = Change::DeletionRequested {
        workload: workload.clone(),
        reason: row.reason.clone(),
        expires_at: row.expires_at,
    };
    log::append(&mut tx, now, &actor.principal, lapsed.into_iter().chain([change]).collect()).await?;
    tx.commit().await?;
    Ok(row)
}

async fn take_all_away(
    cx: &Context,
    tx: &mut Tx,
    actor: &Actor,
    workload: &Workload,
    whole: Vec<Candidate>,
    decision: &Decision<'_>,
) -> Result<(Vec<Change>, Vec<Gone>)> {
    let (mut changes, mut all) = (Vec::new(), Vec::<Gone>::new());
    for Candidate { version, .. } in whole {
        if all.iter().any(|gone| gone.versions.contains(&version)) {
            continue; // the same content under another number
        }
        let row = resolve::find(cx, tx, workload, &Selector::Version(version)).await?;
        let along = Along::of(tx, &row).await?;
        along.check_holds(tx, workload).await?;
        let (more, gone) = take_away(tx, actor, &row, along, decision).await?;
        changes.extend(more);
        all.push(gone);
    }
    Ok((changes, all))
}

/// Deletes a namespace.
pub async fn namespace(cx: &Context, actor: &Actor, name: &Namespace, reason: &str) -> Result<()> {
    check_reason(reason)?;
    show(cx, name).await?;
    let mut tx = cx.db.write().await?;
    // Whoever makes a repository in it locks it too.
    if namespaces::lock(&mut tx, name).await?.is_none() {
        return Err(unknown_namespace(name));
    }
    log::lock(&mut tx).await?;
    hold::refuse(holds::within(&mut tx, name).await?, name.as_str())?;
    if let Some(workload) = namespaces::any_repository(&mut tx, name).await? {
        return Err(Error::conflict(
            "namespace_not_empty",
            format!("a workload or repository is still in it: {workload}"),
        )
        .hint(format!("delete what is in it first: gradus workload delete {workload} -m WHY")));
    }
    let now = cx.clock.now();
    namespaces::delete(&mut tx, name, now, &actor.principal).await?;
    let change = Change::NamespaceDeleted { namespace: name.clone(), reason: reason.to_owned() };
    log::append(&mut tx, now, &actor.principal, vec![change]).await?;
    tx.commit().await
}
