//! Looking at the promotion line: what is in each stage, what waits, and how it came to be so.

use super::{
    Context,
    attempt::report_of as read_report,
    deployments::{Where, against},
    judgement::Judgement,
    namespaces::refuse_deleted,
    policy::effective,
    quarantine, snapshot,
};
use crate::{
    db::{Tx, cards, deployments, evidence, manifests, namespaces, principals, promotions, stages, versions},
    error::{Error, Result},
    gates::{Freeze, Outcome, Quarantine, Report},
    model::{
        access::{Actor, Permission, PrincipalKind},
        evidence::Statement,
        name::{Namespace, Workload},
        stage::Stage,
        version::Version,
    },
};

/// How an attempt was judged last.
pub fn report_of(row: &PromotionRow) -> Result<Report> {
    read_report(row)
}

pub use promotions::PromotionRow;
pub use stages::Move;

/// One stage of the line.
pub struct StageStatus {
    pub stage: Stage,
    /// What brought there what is there now.
    pub current: Option<Move>,
    pub is_yanked: bool,
    pub quarantined: Vec<Quarantine>,
    pub freezes: Vec<Freeze>,
    /// The targets that follow it, as their deployers report; those first that do not run what it holds. Not all, where
    /// there are many.
    pub deployments: Vec<Where>,
    /// How many targets follow it, and how many of them run what it holds.
    pub targets: (i64, i64),
}

pub struct Waiting {
    pub row: PromotionRow,
    pub report: Report,
    /// What was in the stage when it was judged last.
    pub from: Option<Version>,
    /// Whether the caller can do something about it now.
    pub is_mine: bool,
}

pub struct Status {
    pub stages: Vec<StageStatus>,
    pub pending: Vec<Waiting>,
    pub unratified: Vec<Move>,
    /// What is said of the workload.
    pub card: Option<cards::CardRow>,
}

const SHOWN_MAX: i64 = 100;

pub async fn status(cx: &Context, actor: &Actor, workload: &Workload) -> Result<Status> {
    let mut tx = cx.db.read().await?;
    refuse_deleted(workload, namespaces::deletion(&mut tx, workload).await?)?;
    if !versions::any(&mut tx, workload).await? {
        return Err(unknown_workload(workload));
    }
    let effective = effective(cx, &mut tx, workload.as_str()).await?;
    let now = cx.clock.now();
    let mut line = Vec::new();
    for stage in &effective.stages {
        let current = stages::current(&mut tx, workload, stage).await?;
        let holds = match &current {
            Some(step) => versions::find(&mut tx, workload, &step.version).await?,
            None => None,
        };
        let is_yanked = holds.as_ref().is_some_and(|row| row.yanked_at.is_some());
        let quarantined = match &holds {
            Some(row) => quarantine::on(cx, &mut tx, row).await?,
            None => Vec::new(),
        };
        let mut freezes = snapshot::freezes(&mut tx, workload, &effective, stage, now).await?;
        freezes.retain(|freeze| freeze.from <= now);
        let (targets, follow) = match &current {
            Some(Move { digest, .. }) => (
                deployments::count_following(&mut tx, workload, stage, digest).await?,
                deployments::following(&mut tx, workload, stage, digest, SHOWN_MAX).await?,
            ),
            None => ((0, 0), Vec::new()),
        };
        let mut deployments = Vec::new();
        for it in follow {
            deployments.push(against(&mut tx, it, current.as_ref()).await?);
        }
        let stage = stage.clone();
        line.push(StageStatus { stage, current, is_yanked, quarantined, freezes, deployments, targets });
    }
    let mut pending = Vec::new();
    for row in promotions::pending_of(&mut tx, workload, SHOWN_MAX).await? {
        pending.push(waiting(cx, &mut tx, actor, row).await?);
    }
    Ok(Status {
        stages: line,
        pending,
        unratified: stages::unratified(&mut tx, workload, SHOWN_MAX).await?,
        card: cards::find(&mut tx, workload).await?,
    })
}

pub(super) fn unknown_workload(workload: &Workload) -> Error {
    Error::not_found("workload_unknown", format!("no such workload, or it has no version yet: {workload}"))
        .hint(format!("push one with: gradus push PATH --to {workload}"))
}

async fn waiting(cx: &Context, tx: &mut Tx, actor: &Actor, row: PromotionRow) -> Result<Waiting> {
    let report = read_report(&row)?;
    let from = stages::holds(tx, &row.workload, &row.stage).await?;
    let is_mine = is_for(cx, tx, actor, &row, &report).await?;
    Ok(Waiting { row, report, from, is_mine })
}

/// Whether a pending promotion waits for this person: they have a role that approvals are asked of, did not push the
/// version, and have not decided under these rules.
async fn is_for(
    cx: &Context,
    tx: &mut Tx,
    actor: &Actor,
    row: &PromotionRow,
    report: &Report,
) -> Result<bool> {
    let asks = report.gates.iter().any(|gate| gate.gate == "approvals" && gate.outcome != Outcome::Pass);
    if !asks || actor.kind == PrincipalKind::Service {
        return Ok(false);
    }
    let namespace = row.workload.namespace();
    let effective = effective(cx, tx, row.workload.as_str()).await?;
    let Some(version) = versions::find(tx, &row.workload, &row.version).await? else { return Ok(false) };
    let Ok(rules) = effective.rules(version.tier, &row.stage) else { return Ok(false) };
    let asked = rules.rule.approvers().unwrap_or_default();
    let roles = principals::now_in(tx, actor, &namespace).await?;
    if !asked.iter().any(|role| roles.contains(role)) {
        return Ok(false);
    }
    if manifests::authors(tx, &namespace, &row.digest).await?.contains(&actor.principal) {
        return Ok(false);
    }
    let said = evidence::decisions_by(tx, &row.workload, &row.digest, &actor.principal).await?;
    Ok(!said.iter().any(|said| {
        matches!(&said.statement, Statement::Approval(said) if said.stage == row.stage && said.rules == rules.digest)
    }))
}

/// Pending promotions the caller may see, oldest first. `mine`: only what waits for the caller.
pub async fn pending(
    cx: &Context,
    actor: &Actor,
    namespace: Option<&Namespace>,
    mine: bool,
    after: &str,
    limit: i64,
) -> Result<Vec<Waiting>> {
    if let Some(namespace) = namespace {
        actor.require(Permission::Read, namespace)?;
    }
    let mut tx = cx.db.read().await?;
    let (mut after, mut found) = (after.to_owned(), Vec::new());
    loop {
        let page = promotions::list_pending(&mut tx, namespace, &after, super::PAGE_MAX).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after = last.id.clone();
        for row in page {
            if !actor.may(Permission::Read, &row.workload.namespace()) {
                continue;
            }
            let waiting = waiting(cx, &mut tx, actor, row).await?;
            if !mine || waiting.is_mine {
                found.push(waiting);
            }
            if found.len() as i64 == limit {
                return Ok(found);
            }
        }
    }
}

/// One attempt.
pub async fn promotion(cx: &Context, workload: &Workload, id: &str) -> Result<PromotionRow> {
    let found = promotions::find(&mut cx.db.read().await?, id).await?;
    found.filter(|row| row.workload == *workload).ok_or_else(|| {
        let id = crate::model::digest::shorten(id);
        Error::not_found("promotion_unknown", format!("no such promotion of {workload}: {id}"))
    })
}

/// A move with what the gates said.
pub struct Step {
    pub step: Move,
    pub report: Option<Report>,
}

/// The history of a stage below a number, newest first.
pub async fn history(
    cx: &Context,
    workload: &Workload,
    stage: &Stage,
    below: i64,
    limit: i64,
) -> Result<Vec<Step>> {
    let mut tx = cx.db.read().await?;
    if namespaces::repository_exists(&mut tx, workload).await? {
        effective(cx, &mut tx, workload.as_str()).await?.stage(stage.as_str())?;
    } else {
        return Err(unknown_workload(workload));
    }
    let mut steps = Vec::new();
    for step in stages::history(&mut tx, workload, stage, below, limit).await? {
        let report = match &step.judgement {
            Some(digest) => Some(Judgement::read(&mut tx, digest).await?.report),
            None => None,
        };
        steps.push(Step { step, report });
    }
    Ok(steps)
}
