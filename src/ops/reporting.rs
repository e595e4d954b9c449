//! Taking a deployer's report of what runs where, with what follows from it in the same transaction.

use super::{
    Context, bake, check_text,
    deployments::{Where, place},
    health::{self, Piece},
    policy::effective,
    promote::{Promotion, TRIES},
    purged,
    referrer::{Recorded, attached},
    resolve,
    rollback::RolledBack,
    settle,
};
use crate::{
    db::{Tx, deployments as rows, log, namespaces, stages},
    error::{Error, Result},
    model::{
        access::Actor,
        deployment::{Deployment, MESSAGE_MAX, Observed, Report, Status, Target, check_url},
        digest::Digest,
        event::{Change, Deployed},
        reference::{Reference, Selector},
        stage::Stage,
    },
};
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// Targets of one workload; more are a mistake in how they are named.
const TARGETS_MAX: i64 = 10_000;

/// What a deployer says, before it is known what it is about.
pub struct Said {
    pub reference: Reference,
    pub target: Target,
    /// The stage the target follows, where the reference is not one.
    pub stage: Option<Stage>,
    pub status: Status,
    pub healthy: Option<bool>,
    pub url: Option<String>,
    pub message: Option<String>,
}

/// What came of a report.
pub struct Reported {
    pub place: Where,
    /// False: nothing in it was new.
    pub is_news: bool,
    /// Its health, kept as evidence.
    pub evidence: Option<Digest>,
    /// False: its health was not kept, as there is too much evidence about the version.
    pub is_whole: bool,
    /// The stage went back by its policy.
    pub rolled_back: Option<RolledBack>,
    /// Promotions that went through by it.
    pub promoted: Vec<Promotion>,
    /// Of the first event that tells of it.
    pub position: Option<i64>,
}

/// Takes a report.
pub async fn report(cx: &Arc<Context>, actor: &Actor, said: Said) -> Result<Reported> {
    check(&said)?;
    let workload = &said.reference.workload;
    for _ in 0..TRIES {
        let mut tx = cx.db.read().await?;
        let report = understand(cx, &mut tx, &said).await?;
        let known = rows::find(&mut tx, workload, &said.target).await?;
        if known.is_none() && said.status == Status::Retired {
            return Err(Error::not_found(
                "target_unknown",
                format!("nothing was reported of {workload} on {}", said.target),
            )
            .hint(format!("see the targets there are: gradus where {workload}")));
        }
        let is_new = known.as_ref().is_none_or(|known| known.status == Status::Retired);
        if is_new && rows::count(&mut tx, workload).await? >= TARGETS_MAX {
            return Err(Error::conflict("targets_too_many", format!("{workload} has {TARGETS_MAX} targets"))
                .hint(
                    "a target is a place, such as eu-1, and not one run of a job; retire those that are gone",
                ));
        }
        let stage = known.as_ref().map_or(&report.stage, |known| match said.status {
            Status::Retired => &known.stage,
            Status::Running | Status::Failed => &report.stage,
        });
        let step = match stage {
            Some(stage) => stages::current(&mut tx, workload, stage).await?,
            None => None,
        };
        let moved_at = step.as_ref().map(|step| step.at);
        // A clock that is behind makes nothing older than what is known.
        let at = [known.as_ref().map(|known| known.reported_at), moved_at].into_iter().flatten();
        let at = at.fold(cx.clock.now(), DateTime::max);
        let observed =
            Deployment::observe(workload, &said.target, known.as_ref(), report, &actor.principal, at);
        let holds_since = step.filter(|step| step.digest == observed.now.digest).map(|step| step.at);
        let (pieces, is_whole) = health::pieces(&mut tx, &observed, holds_since).await?;
        drop(tx);
        if let Some(mut reported) = record(cx, known.as_ref(), moved_at, observed, pieces).await? {
            reported.is_whole = is_whole;
            if !is_whole {
                tracing::warn!(%workload, target = %said.target, "there is too much evidence to keep how this fares");
            }
            if reported.position.is_some() || reported.rolled_back.is_some() {
                reported.promoted = settle::settle_workload(cx, workload).await;
            }
            return Ok(reported);
        }
    }
    Err(Error::unavailable("deployment_busy", format!("many reports on {} at once", said.target))
        .hint("report again in a moment"))
}

fn check(said: &Said) -> Result<()> {
    said.url.as_deref().map_or(Ok(()), check_url)?;
    check_text("message", said.message.as_deref().unwrap_or_default(), MESSAGE_MAX)?;
    let contradicts = match said.status {
        Status::Running => None,
        Status::Failed => (said.healthy == Some(true)).then_some("what failed is not healthy"),
        Status::Retired => said.healthy.map(|_| "what does not run any more has no health"),
    };
    match contradicts {
        Some(why) => Err(Error::invalid("deployment_contradiction", why).hint("leave health out")),
        None => Ok(()),
    }
}

/// Which version and stage are meant.
async fn understand(cx: &Context, tx: &mut Tx, said: &Said) -> Result<Report> {
    let workload = &said.reference.workload;
    let selector = &said.reference.selector;
    let row = match said.status {
        // What is gone here may still be taken from where it runs.
        Status::Retired => resolve::find_any(cx, tx, workload, selector).await?,
        Status::Running | Status::Failed => resolve::find(cx, tx, workload, selector).await?,
    };
    let effective = effective(cx, tx, workload.as_str()).await?;
    let meant = match &said.reference.selector {
        Selector::Default => effective.last().cloned(),
        selector => resolve::stage(cx, tx, workload, selector).await?,
    };
    let stage = match (&said.stage, meant) {
        (Some(said), Some(meant)) if *said != meant => {
            return Err(Error::invalid(
                "deployment_contradiction",
                format!("the reference names stage {meant}, and the stage given is {said}"),
            )
            .hint("name the version instead of the stage"));
        }
        (Some(said), _) => Some(effective.stage(said.as_str())?.clone()),
        (None, meant) => meant,
    };
    Ok(Report {
        stage,
        version: row.version,
        digest: row.digest,
        status: said.status,
        healthy: said.healthy,
        url: said.url.clone(),
        message: said.message.clone(),
    })
}

/// Stores what was observed, with its events and consequences. `None`: somebody else reported on the target, or its
/// stage moved meanwhile.
async fn record(
    cx: &Arc<Context>,
    known: Option<&Deployment>,
    moved_at: Option<DateTime<Utc>>,
    observed: Observed,
    pieces: Vec<Piece>,
) -> Result<Option<Reported>> {
    let Observed { now: new, is_news, is_said, .. } = observed;
    for piece in &pieces {
        piece.attach(&new.workload).put_blobs(cx).await?;
    }
    let mut tx = cx.db.write().await?;
    namespaces::lock_repository(&mut tx, &new.workload).await?;
    if new.status != Status::Retired {
        purged::refuse_purged(&mut tx, &new.workload, &new.digest).await?;
    }
    if rows::find(&mut tx, &new.workload, &new.target).await?.as_ref() != known {
        return Ok(None);
    }
    if let Some(stage) = &new.stage
        && stages::current(&mut tx, &new.workload, stage).await?.map(|step| step.at) != moved_at
    {
        return Ok(None);
    }
    let (mut position, mut evidence) = (None, None);
    if is_news || !pieces.is_empty() {
        let (first, _) = log::lock(&mut tx).await?;
        position = Some(first);
        let mut changes: Vec<Change> = is_news.then(|| change(&new)).into_iter().collect();
        for piece in pieces {
            let is_withdrawal = piece.health.retired;
            let next = first + changes.len() as i64;
            let Recorded { evidence: kept, said } = match piece.write(&mut tx, &new, next).await {
                // Others were faster: what is kept is to be weighed anew.
                Err(error) if matches!(error.code, "evidence_too_much" | "version_purged") => {
                    return Ok(None);
                }
                written => written?,
            };
            changes.push(attached(&new.workload, &kept, said));
            if !is_withdrawal {
                evidence = Some(kept.digest);
            }
        }
        log::append(&mut tx, new.reported_at, &new.reported_by, changes).await?;
    }
    rows::save(&mut tx, &new).await?;
    if is_news && new.status == Status::Retired {
        rows::forget_retired(&mut tx, &new.workload, TARGETS_MAX).await?;
    }
    let rolled_back = match is_said && new.is_bad() {
        true => bake::consequence(cx, &mut tx, &new).await?,
        false => None,
    };
    let place = place(&mut tx, new).await?;
    tx.commit().await?;
    let (promoted, is_whole) = (Vec::new(), true);
    Ok(Some(Reported { place, is_news, evidence, is_whole, rolled_back, promoted, position }))
}

fn change(it: &Deployment) -> Change {
    let deployed = Deployed {
        workload: it.workload.clone(),
        target: it.target.clone(),
        stage: it.stage.clone(),
        version: it.version.clone(),
        digest: it.digest.clone(),
        healthy: it.healthy,
        url: it.url.clone(),
        message: it.message.clone(),
    };
    match it.status {
        Status::Running if it.healthy == Some(false) => Change::DeploymentUnhealthy(deployed),
        Status::Running => Change::DeploymentRunning(deployed),
        Status::Failed => Change::DeploymentFailed(deployed),
        Status::Retired => Change::DeploymentRetired(deployed),
    }
}
