//! Moving a stage back to the previous good version: one transaction, no gates, no freeze, a reason.

use super::{
    Context,
    namespaces::refuse_deleted,
    policy::effective,
    promote::{check_may, check_reason},
    purged,
};
use crate::{
    db::{
        Tx, log, namespaces, principals, promotions,
        stages::{self, Entry, Move},
        versions,
    },
    error::{Error, Result},
    gates::Quarantine,
    model::{
        access::Actor,
        digest::Digest,
        event::Change,
        name::{PrincipalName, Workload},
        promotion::MoveKind,
        stage::Stage,
        version::Version,
    },
};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

/// Most versions that one event names as marked.
const NAMED_MAX: i64 = 100;

#[derive(Debug)]
pub struct RolledBack {
    pub from: Version,
    pub to: Version,
    pub digest: crate::model::digest::Digest,
    pub number: i64,
    /// Of the event that tells of it.
    pub position: Option<i64>,
    /// What cannot be promoted there again, at most a hundred of them.
    pub marked: Vec<Version>,
}

/// Rolls a stage back. `to`: an earlier version; without it the one that was there before and is good.
pub async fn rollback(
    cx: &Context,
    actor: &Actor,
    workload: &Workload,
    stage: &Stage,
    to: Option<&Version>,
    reason: &str,
    dry_run: bool,
) -> Result<RolledBack> {
    check_reason(reason)?;
    let mut tx = cx.db.write().await?;
    if namespaces::lock_repository(&mut tx, workload).await?.is_none() {
        refuse_deleted(workload, namespaces::deletion(&mut tx, workload).await?)?;
        return Err(super::status::unknown_workload(workload));
    }
    // Nobody's roles change from here on. A clock that is behind stops no rollback.
    let (_, latest) = log::lock(&mut tx).await?;
    let now = latest.map_or_else(|| cx.clock.now(), |latest| latest.max(cx.clock.now()));
    let effective = effective(cx, &mut tx, workload.as_str()).await?;
    let stage = effective.stage(stage.as_str())?;
    let roles: BTreeSet<_> = principals::now_in(&mut tx, actor, &workload.namespace()).await?;
    check_may(&effective.rollback, &roles, &format!("roll back {workload}:{stage}"))?;
    let by = By { who: &actor.principal, at: now, reason };
    let done = go_back(cx, &mut tx, workload, stage, to, &by).await?;
    if dry_run {
        return Ok(RolledBack { position: None, ..done });
    }
    tx.commit().await?;
    Ok(done)
}

/// The same for what needs no role, a policy or a monitor, in a transaction that has locked the repository.
pub(super) async fn by_itself(
    cx: &Context,
    tx: &mut Tx,
    who: &str,
    workload: &Workload,
    stage: &Stage,
    reason: &str,
) -> Result<RolledBack> {
    let (_, latest) = log::lock(tx).await?;
    let at = latest.map_or_else(|| cx.clock.now(), |latest| latest.max(cx.clock.now()));
    let who = PrincipalName::local(who);
    go_back(cx, tx, workload, stage, None, &By { who: &who, at, reason }).await
}

/// Who moves a stage back, when and why.
struct By<'a> {
    who: &'a PrincipalName,
    at: DateTime<Utc>,
    reason: &'a str,
}

/// Moves the stage. The repository and the log are locked.
async fn go_back(
    cx: &Context,
    tx: &mut Tx,
    workload: &Workload,
    stage: &Stage,
    to: Option<&Version>,
    by: &By<'_>,
) -> Result<RolledBack> {
    let current = stages::current(tx, workload, stage).await?.ok_or_else(|| {
        Error::not_found("stage_empty", format!("nothing has entered this stage: {workload}:{stage}"))
            .hint(format!("gradus promote {workload}:VERSION --to {stage}"))
    })?;
    let entered = stages::entry_of(tx, workload, stage).await?.unwrap_or(current.number);
    let target = target(cx, tx, &current, entered, to).await?;
    let marked = stages::standing_after(tx, workload, stage, &target, NAMED_MAX).await?;
    let (position, _) = log::lock(tx).await?;
    let step = Move {
        workload: workload.clone(),
        stage: stage.clone(),
        number: current.number + 1,
        kind: MoveKind::RolledBack,
        version: target.version.clone(),
        digest: target.digest.clone(),
        from: Some(current.version.clone()),
        at: by.at,
        by: by.who.clone(),
        reason: Some(by.reason.to_owned()),
        judgement: None,
        position,
        ratified_by: None,
        ratified_at: None,
    };
    stages::insert(tx, &step, target.number).await?;
    stages::roll_back_to(tx, workload, stage, &target, step.at).await?;
    promotions::stir(tx, workload.as_str(), step.at).await?;
    let done = RolledBack {
        from: current.version.clone(),
        to: step.version.clone(),
        digest: step.digest.clone(),
        number: step.number,
        position: Some(position),
        marked: marked.clone(),
    };
    let change = Change::RolledBack {
        workload: step.workload,
        version: step.version,
        digest: step.digest,
        stage: step.stage,
        number: step.number,
        from: current.version,
        marked,
        reason: by.reason.to_owned(),
    };
    log::append(tx, step.at, by.who, vec![change]).await?;
    Ok(done)
}

/// Where to go back to: what is named, or what was there before and is good. Content that is in the stage now, or was
/// rolled back from it, is not good under another version's name either.
async fn target(
    cx: &Context,
    tx: &mut Tx,
    current: &Move,
    entered: i64,
    to: Option<&Version>,
) -> Result<Entry> {
    let Move { workload, stage, .. } = current;
    let history = format!("see what has been there with: gradus history {workload}:{stage}");
    let Some(wanted) = to else {
        let previous = previous_good(cx, tx, workload, (stage, entered), &current.digest).await?;
        return previous.ok_or_else(|| {
            Error::conflict(
                "rollback_nowhere",
                format!("nothing good was in {workload}:{stage} before {}", current.version),
            )
            .hint(history)
        });
    };
    let refuse = |why: &str| {
        Err(Error::conflict("rollback_target", format!("{workload}:{wanted} {why}")).hint(history.clone()))
    };
    if let Some(purged) = versions::find(tx, workload, wanted).await?.and_then(|row| row.purged) {
        return Err(purged::gone(&format!("{workload}:{wanted}"), &purged));
    }
    match stages::find_entry(tx, workload, stage, wanted, entered).await? {
        None => refuse("has never been in this stage"),
        Some(entry) if entry.digest == current.digest => refuse("is in the stage now, by its content"),
        Some(entry) if entry.is_yanked => refuse("is yanked"),
        Some(entry) if entry.is_rolled_back => refuse("was itself rolled back from"),
        Some(entry) if entry.number > entered => refuse("came after what is there now"),
        Some(entry) => match quarantined(cx, tx, workload, &entry).await?.first() {
            Some(quarantine) => refuse(&format!("is in quarantine: {quarantine}")),
            None => Ok(entry),
        },
    }
}

async fn quarantined(
    cx: &Context,
    tx: &mut Tx,
    workload: &Workload,
    entry: &Entry,
) -> Result<Vec<Quarantine>> {
    match versions::find(tx, workload, &entry.version).await? {
        Some(row) => super::quarantine::on(cx, tx, &row).await,
        None => Ok(Vec::new()),
    }
}

/// Entries that are passed over for being in quarantine, before it is said that nothing good was there.
const PASSED_OVER_MAX: usize = 100;

/// What entered last before an entry and is good: neither `bad`, nor yanked, nor rolled back from, nor in quarantine.
pub(super) async fn previous_good(
    cx: &Context,
    tx: &mut Tx,
    workload: &Workload,
    (stage, mut before): (&Stage, i64),
    bad: &Digest,
) -> Result<Option<Entry>> {
    for _ in 0..PASSED_OVER_MAX {
        let Some(entry) = stages::previous_good(tx, workload, stage, before, bad).await? else {
            return Ok(None);
        };
        if quarantined(cx, tx, workload, &entry).await?.is_empty() {
            return Ok(Some(entry));
        }
        before = entry.number;
    }
    Ok(None)
}
