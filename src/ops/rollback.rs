//! Moving a stage back to the previous good version: one transaction, no gates, no freeze, a reason.

use super::{
    Context,
    policy::effective,
    promote::{check_may, check_reason},
};
use crate::{
    db::{
        Tx, log, namespaces, principals, promotions,
        stages::{self, Entry, Move},
    },
    error::{Error, Result},
    model::{
        access::Actor, event::Change, name::Workload, promotion::MoveKind, stage::Stage, version::Version,
    },
};
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
        return Err(super::status::unknown_workload(workload));
    }
    // Nobody's roles change from here on. A clock that is behind stops no rollback.
    let (_, latest) = log::lock(&mut tx).await?;
    let now = latest.map_or_else(|| cx.clock.now(), |latest| latest.max(cx.clock.now()));
    let effective = effective(cx, &mut tx, workload.as_str()).await?;
    let stage = effective.stage(stage.as_str())?;
    let roles: BTreeSet<_> = principals::now_in(&mut tx, actor, &workload.namespace()).await?;
    check_may(&effective.rollback, &roles, &format!("roll back {workload}:{stage}"))?;
    let current = stages::current(&mut tx, workload, stage).await?.ok_or_else(|| {
        Error::not_found("stage_empty", format!("nothing has entered this stage: {workload}:{stage}"))
            .hint(format!("gradus promote {workload}:VERSION --to {stage}"))
    })?;
    let entered = stages::entry_of(&mut tx, workload, stage).await?.unwrap_or(current.number);
    let target = target(&mut tx, &current, entered, to).await?;
    let marked = stages::standing_after(&mut tx, workload, stage, &target, NAMED_MAX).await?;
    let (position, _) = log::lock(&mut tx).await?;
    let step = Move {
        workload: workload.clone(),
        stage: stage.clone(),
        number: current.number + 1,
        kind: MoveKind::RolledBack,
        version: target.version.clone(),
        digest: target.digest.clone(),
        from: Some(current.version.clone()),
        at: now,
        by: actor.principal.clone(),
        reason: Some(reason.to_owned()),
        judgement: None,
        position,
        ratified_by: None,
        ratified_at: None,
    };
    let done = RolledBack {
        from: current.version.clone(),
        to: step.version.clone(),
        digest: step.digest.clone(),
        number: step.number,
        position: (!dry_run).then_some(position),
        marked: marked.clone(),
    };
    if dry_run {
        return Ok(done);
    }
    stages::insert(&mut tx, &step, target.number).await?;
    stages::roll_back_to(&mut tx, workload, stage, &target, step.at).await?;
    promotions::stir(&mut tx, workload.as_str(), step.at).await?;
    let change = Change::RolledBack {
        workload: step.workload,
        version: step.version,
        digest: step.digest,
        stage: step.stage,
        number: step.number,
        from: current.version,
        marked,
        reason: reason.to_owned(),
    };
    log::append(&mut tx, step.at, &actor.principal, vec![change]).await?;
    tx.commit().await?;
    Ok(done)
}

/// Where to go back to: what is named, or what was there before and is good. Content that is in the stage now, or was
/// rolled back from it, is not good under another version's name either.
async fn target(tx: &mut Tx, current: &Move, entered: i64, to: Option<&Version>) -> Result<Entry> {
    let Move { workload, stage, .. } = current;
    let history = format!("see what has been there with: gradus history {workload}:{stage}");
    let Some(wanted) = to else {
        let previous = stages::previous_good(tx, workload, stage, entered, &current.digest).await?;
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
    match stages::find_entry(tx, workload, stage, wanted, entered).await? {
        None => refuse("has never been in this stage"),
        Some(entry) if entry.digest == current.digest => refuse("is in the stage now, by its content"),
        Some(entry) if entry.is_yanked => refuse("is yanked"),
        Some(entry) if entry.is_rolled_back => refuse("was itself rolled back from"),
        Some(entry) if entry.number > entered => refuse("came after what is there now"),
        Some(entry) => Ok(entry),
    }
}
