//! Deployments: taking a deployer's report, with what follows from it in the same transaction; and answering what runs
//! where, against what should.

use super::{
    Context, bake, check_text,
    policy::effective,
    promote::{Promotion, TRIES},
    referrer::{Attach, Recorded, attached},
    resolve,
    rollback::RolledBack,
    settle, status,
};
use crate::{
    db::{Tx, deployments as rows, log, namespaces, stages, versions},
    error::{Error, Result},
    gates::Effective,
    model::{
        access::Actor,
        deployment::{Deployment, MESSAGE_MAX, Observed, Report, Status, Target, check_url},
        digest::Digest,
        event::{Change, Deployed},
        evidence::{DeploymentHealth, Statement},
        name::{PrincipalName, Workload},
        reference::{Reference, Selector},
        stage::Stage,
        version::Version,
    },
};
use chrono::{DateTime, Utc};
use serde_json::json;
use std::sync::Arc;

/// Targets of one workload; more are a mistake in how they are named.
pub(super) const TARGETS_MAX: i64 = 10_000;

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

/// A target, with what its stage holds.
pub struct Where {
    pub deployment: Deployment,
    pub desired: Option<(Version, Digest)>,
    /// Since when the target has not been what its stage asks for.
    pub differs_since: Option<DateTime<Utc>>,
}

/// What came of a report.
pub struct Reported {
    pub place: Where,
    /// False: nothing in it was new.
    pub is_news: bool,
    /// Its health, kept as evidence.
    pub evidence: Option<Digest>,
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
        let (report, effective) = understand(cx, &mut tx, &said).await?;
        let known = rows::find(&mut tx, workload, &said.target).await?;
        if known.is_none() && rows::count(&mut tx, workload).await? >= TARGETS_MAX {
            return Err(Error::conflict("targets_too_many", format!("{workload} has {TARGETS_MAX} targets"))
                .hint("a target is a place, such as eu-1, and not one run of a job"));
        }
        drop(tx);
        let observed = observe(cx, &said, known.as_ref(), report, &actor.principal);
        if let Some(mut reported) = record(cx, &effective, &said, known.as_ref(), observed).await? {
            if reported.evidence.is_some() || reported.rolled_back.is_some() {
                reported.promoted = settle::settle_workload(cx, workload).await;
            }
            return Ok(reported);
        }
    }
    Err(Error::unavailable("deployment_busy", format!("many report on {} at once", said.target))
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
async fn understand(cx: &Context, tx: &mut Tx, said: &Said) -> Result<(Report, Arc<Effective>)> {
    let workload = &said.reference.workload;
    let row = resolve::find(cx, tx, workload, &said.reference.selector).await?;
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
    let report = Report {
        stage,
        version: row.version,
        digest: row.digest,
        status: said.status,
        healthy: said.healthy,
        url: said.url.clone(),
        message: said.message.clone(),
    };
    Ok((report, effective))
}

fn observe(
    cx: &Context,
    said: &Said,
    known: Option<&Deployment>,
    report: Report,
    by: &PrincipalName,
) -> Observed {
    let now = cx.clock.now();
    // A clock that is behind makes nothing older than it was.
    let now = known.map_or(now, |known| known.reported_at.max(now));
    Deployment::observe(&said.reference.workload, &said.target, known, report, by, now)
}

/// Stores what was observed, with its events and consequences. `None`: somebody else reported on the target meanwhile.
async fn record(
    cx: &Arc<Context>,
    effective: &Effective,
    said: &Said,
    known: Option<&Deployment>,
    observed: Observed,
) -> Result<Option<Reported>> {
    let Observed { now: mut new, is_news, is_evidence } = observed;
    let (workload, at, by) = (new.workload.clone(), new.reported_at, new.reported_by.clone());
    let health = is_evidence.then(|| health(&new));
    let attach = health.as_ref().map(|health| Attach {
        workload: &workload,
        subject: &new.digest,
        bytes: document(&new, health).to_string().into_bytes(),
        media_type: "application/json",
        public_key: None,
    });
    if let Some(attach) = &attach {
        attach.put_blobs(cx).await?;
    }
    let mut tx = cx.db.write().await?;
    namespaces::lock_repository(&mut tx, &workload).await?;
    if rows::find(&mut tx, &workload, &said.target).await?.as_ref() != known {
        return Ok(None);
    }
    let mut position = None;
    let mut evidence = None;
    let mut changes = Vec::new();
    if is_news || is_evidence {
        let (first, _) = log::lock(&mut tx).await?;
        position = Some(first);
        changes.extend(is_news.then(|| change(&new)));
        if let (Some(attach), Some(health)) = (&attach, health) {
            let statement = Statement::DeploymentHealth(health).into();
            let next = first + changes.len() as i64;
            for Recorded { evidence: kept, said } in
                attach.write(&mut tx, &by, vec![statement], next, at).await?
            {
                changes.push(attached(&workload, &kept, said));
                evidence = Some(kept.digest);
            }
        }
    }
    drop(attach);
    if evidence.is_some() {
        new.evidence_at = Some(at);
    }
    rows::save(&mut tx, &new).await?;
    if !changes.is_empty() {
        log::append(&mut tx, at, &by, changes).await?;
    }
    let rolled_back = match new.is_bad() {
        true => bake::consequence(cx, &mut tx, effective, &new).await?,
        false => None,
    };
    let place = place(&mut tx, new).await?;
    tx.commit().await?;
    Ok(Some(Reported { place, is_news, evidence, rolled_back, promoted: Vec::new(), position }))
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

fn health(it: &Deployment) -> DeploymentHealth {
    DeploymentHealth {
        target: it.target.to_string(),
        healthy: it.healthy == Some(true),
        stage: it.stage.clone(),
        since: it.healthy_since,
        message: it.message.clone(),
    }
}

/// The document that is kept as evidence. Who and when make it a record of its own.
fn document(it: &Deployment, health: &DeploymentHealth) -> serde_json::Value {
    json!({
        "gradus": "deployment-health/v1", "workload": it.workload, "version": it.version, "digest": it.digest,
        "target": it.target, "stage": it.stage, "status": it.status, "healthy": health.healthy, "since": health.since,
        "url": it.url, "message": it.message, "by": it.reported_by, "at": it.reported_at,
    })
}

/// Sets a target against what its stage holds.
pub(super) async fn place(tx: &mut Tx, deployment: Deployment) -> Result<Where> {
    let current = match &deployment.stage {
        Some(stage) => stages::current(tx, &deployment.workload, stage).await?,
        None => None,
    };
    Ok(against(deployment, current.as_ref()))
}

pub(super) fn against(deployment: Deployment, current: Option<&stages::Move>) -> Where {
    let differs_since = current.and_then(|step| deployment.differs_since(&step.digest, step.at));
    let desired = current.map(|step| (step.version.clone(), step.digest.clone()));
    Where { deployment, desired, differs_since }
}

/// Targets of a workload after a name: those that follow the stage or have the content that `of` names, or all. `retired`:
/// also those that do not run the workload any more.
pub async fn list(
    cx: &Context,
    workload: &Workload,
    of: Option<&Selector>,
    retired: bool,
    after: &str,
    limit: i64,
) -> Result<Vec<Where>> {
    let mut tx = cx.db.read().await?;
    if !versions::any(&mut tx, workload).await? {
        return Err(status::unknown_workload(workload));
    }
    let (mut stage, mut digest) = (None, None);
    if let Some(of) = of {
        stage = resolve::stage(cx, &mut tx, workload, of).await?;
        match &stage {
            Some(stage) => drop(effective(cx, &mut tx, workload.as_str()).await?.stage(stage.as_str())?),
            None => digest = Some(resolve::find(cx, &mut tx, workload, of).await?.digest),
        }
    }
    let (digest, stage) = (digest.as_ref(), stage.as_ref());
    let mut places = Vec::new();
    for deployment in rows::list(&mut tx, workload, digest, stage, retired, after, limit).await? {
        places.push(place(&mut tx, deployment).await?);
    }
    Ok(places)
}
