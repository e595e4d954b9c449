//! Approving and rejecting, withdrawing, ratifying: what people say to a promotion.

use super::{
    Context, attempt, check_text,
    policy::effective,
    promote::{Promotion, check_may, check_reason},
    referrer::{self, Attach},
    resolve, settle,
};
use crate::{
    db::{
        evidence as evidence_db, log, manifests, namespaces, principals, promotions, stages,
        versions::VersionRow,
    },
    error::{Error, Result},
    gates::Effective,
    model::{
        access::{Actor, PrincipalKind, Role},
        digest::Digest,
        event::Change,
        evidence::{Approval, Decision, Evidence, Statement},
        name::Workload,
        promotion::State,
        reference::Reference,
        stage::Stage,
    },
};
use serde_json::json;
use std::sync::Arc;

/// What was said, and what it completed.
#[derive(Debug)]
pub struct Decided {
    pub version: crate::model::version::Version,
    pub digest: Digest,
    pub stage: Stage,
    pub evidence: Evidence,
    /// Of the event that tells of it.
    pub position: Option<i64>,
    /// False: the same was said before.
    pub created: bool,
    /// Promotions that went through by it.
    pub promoted: Vec<Promotion>,
}

/// Says yes or no to a version's entering a stage, under the rules as they are now.
pub async fn decide(
    cx: &Arc<Context>,
    actor: &Actor,
    reference: &Reference,
    stage: &Stage,
    decision: Decision,
    message: &str,
) -> Result<Decided> {
    match decision {
        Decision::Approve => check_text("message", message, 1000)?,
        Decision::Reject => check_reason(message)?,
    }
    let workload = &reference.workload;
    let mut tx = cx.db.read().await?;
    let row = resolve::find(cx, &mut tx, workload, &reference.selector).await?;
    let effective = effective(cx, &mut tx, workload.as_str()).await?;
    let stage = effective.stage(stage.as_str())?.clone();
    let rules = check_decider(&mut tx, actor, &row, &effective, &stage, decision).await?;
    let said = evidence_db::about(&mut tx, workload, &row.digest).await?;
    drop(tx);
    let approval =
        Approval { stage: stage.clone(), rules: rules.clone(), decision, message: message.to_owned() };
    let last = said.into_iter().rev().find(|evidence| {
        evidence.by == actor.principal
            && matches!(&evidence.statement, Statement::Approval(said) if said.stage == stage)
    });
    if let Some(last) = last
        && matches!(&last.statement, Statement::Approval(said) if said.rules == rules && said.decision == decision)
        && !is_answered(cx, workload, &row.digest, &last).await?
    {
        let position = evidence_db::position(&mut cx.db.read().await?, workload, &last.digest).await?;
        return Ok(Decided {
            position,
            version: row.version,
            digest: row.digest,
            stage,
            evidence: last,
            created: false,
            promoted: vec![],
        });
    }
    let change = |evidence: &Evidence, said: Digest| match decision {
        Decision::Approve => Change::Approved {
            workload: workload.clone(),
            version: row.version.clone(),
            digest: row.digest.clone(),
            stage: stage.clone(),
            rules: rules.clone(),
            evidence: evidence.digest.clone(),
            said: Some(said),
        },
        Decision::Reject => Change::Rejected {
            workload: workload.clone(),
            version: row.version.clone(),
            digest: row.digest.clone(),
            stage: stage.clone(),
            evidence: evidence.digest.clone(),
            reason: message.to_owned(),
            said: Some(said),
        },
    };
    // Who and when make it a record of its own, also where the same words were said before.
    let document = json!({
        "gradus": "approval/v1", "workload": workload, "version": row.version, "digest": row.digest, "stage": stage,
        "rules": rules, "decision": decision, "message": message, "by": actor.principal, "at": cx.clock.now(),
    });
    let attach = Attach {
        workload,
        subject: &row.digest,
        bytes: document.to_string().into_bytes(),
        media_type: "application/json",
        public_key: None,
        profile: None,
    };
    let statement = Statement::Approval(approval);
    let said = vec![statement.into()];
    let (mut evidence, position) =
        referrer::record(cx, actor, workload, vec![(attach, said)], change).await?;
    let evidence = evidence.swap_remove(0);
    let promoted = settle::settle_workload(cx, workload).await;
    Ok(Decided {
        version: row.version.clone(),
        digest: row.digest.clone(),
        stage: stage.clone(),
        evidence,
        position: Some(position),
        created: true,
        promoted,
    })
}

/// Whether somebody has said the opposite since: then saying it again is news.
async fn is_answered(cx: &Context, workload: &Workload, subject: &Digest, last: &Evidence) -> Result<bool> {
    let all = evidence_db::about(&mut cx.db.read().await?, workload, subject).await?;
    let Statement::Approval(said) = &last.statement else { return Ok(false) };
    let after = all.iter().skip_while(|evidence| evidence.digest != last.digest).skip(1);
    let opposite = |evidence: &Evidence| matches!(&evidence.statement, Statement::Approval(other) if other.stage == said.stage && other.decision != said.decision);
    Ok(after.into_iter().any(opposite))
}

/// Whether this person may decide on this version here. Answers the digest of the rules that are decided under.
async fn check_decider(
    tx: &mut crate::db::Tx,
    actor: &Actor,
    row: &VersionRow,
    effective: &Effective,
    stage: &Stage,
    decision: Decision,
) -> Result<Digest> {
    if actor.kind == PrincipalKind::Service {
        return Err(Error::forbidden(
            "service_cannot_approve",
            format!("a service cannot approve or reject: {}", actor.principal),
        )
        .hint("approvals come from people"));
    }
    if row.yanked_at.is_some() {
        return Err(Error::conflict(
            "version_yanked",
            format!("the version is yanked: {}:{}", row.workload, row.version),
        ));
    }
    let rules = effective.rules(row.tier, stage)?;
    let Some(asked) = rules.rule.approvers() else {
        return Err(Error::conflict(
            "approval_not_asked",
            format!("no gate asks for approvals for {} to enter {stage}", row.tier),
        )
        .hint(format!("gradus promote {}:{} --to {stage}", row.workload, row.version)));
    };
    let authors = manifests::authors(tx, &row.workload.namespace(), &row.digest).await?;
    if decision == Decision::Approve && authors.contains(&actor.principal) {
        return Err(Error::forbidden(
            "self_approval",
            format!("nobody approves what they pushed themselves: {}:{}", row.workload, row.version),
        )
        .hint("ask somebody else; alone, an admin can promote --override -m WHY, or apply the policy solo"));
    }
    let roles = principals::now_in(tx, actor, &row.workload.namespace()).await?;
    let is_asked = asked.iter().any(|role| roles.contains(role));
    // Admins and authors are heard when they say no.
    let is_heard = roles.contains(&Role::Admin) || authors.contains(&actor.principal);
    if !is_asked && (decision == Decision::Approve || !is_heard) {
        let names: Vec<&str> = asked.iter().map(|role| role.name()).collect();
        return Err(Error::forbidden(
            "role_missing",
            format!("you may not decide on {} for {stage}", row.tier),
        )
        .hint(format!("the policy asks for one of the roles: {}", names.join(", "))));
    }
    Ok(rules.digest)
}

/// Takes a pending promotion back: whoever asked for it, or an admin.
pub async fn withdraw(
    cx: &Context,
    actor: &Actor,
    reference: &Reference,
    stage: &Stage,
    reason: &str,
) -> Result<promotions::PromotionRow> {
    check_text("reason", reason, 1000)?;
    let workload = &reference.workload;
    let now = cx.clock.now();
    let mut tx = cx.db.write().await?;
    namespaces::lock_repository(&mut tx, workload).await?;
    let (position, _) = log::lock(&mut tx).await?;
    let row = resolve::find(cx, &mut tx, workload, &reference.selector).await?;
    let mut pending =
        promotions::find_pending(&mut tx, workload, stage, &row.version).await?.ok_or_else(|| {
            Error::not_found(
                "promotion_unknown",
                format!("no promotion of {workload}:{} to {stage} is pending", row.version),
            )
            .hint(format!("see what is with: gradus status {workload}"))
        })?;
    let roles = principals::now_in(&mut tx, actor, &workload.namespace()).await?;
    if pending.requested_by != actor.principal && !roles.contains(&Role::Admin) {
        return Err(Error::forbidden(
            "not_yours",
            format!("{} asked for this promotion", pending.requested_by),
        )
        .hint("they, or an admin, can withdraw it; an approver can reject it"));
    }
    let reason = (!reason.trim().is_empty()).then(|| reason.to_owned());
    pending.position = position;
    attempt::end(&mut pending, State::Withdrawn, now, &actor.principal, reason);
    promotions::save(&mut tx, &pending).await?;
    log::append(&mut tx, now, &actor.principal, vec![attempt::ended(&pending)]).await?;
    tx.commit().await?;
    Ok(pending)
}

/// Confirms that the overrides of a stage were looked at by somebody else than who did them.
pub async fn ratify(
    cx: &Context,
    actor: &Actor,
    workload: &Workload,
    stage: &Stage,
) -> Result<Vec<stages::Move>> {
    let now = cx.clock.now();
    let mut tx = cx.db.write().await?;
    namespaces::lock_repository(&mut tx, workload).await?;
    log::lock(&mut tx).await?;
    let mut open = stages::unratified(&mut tx, workload, 1000).await?;
    open.retain(|step| step.stage == *stage);
    if open.is_empty() {
        return Err(Error::not_found(
            "override_unknown",
            format!("no override of {workload}:{stage} waits for anybody"),
        )
        .hint(format!("gradus status {workload}")));
    }
    let roles = principals::now_in(&mut tx, actor, &workload.namespace()).await?;
    check_may(&[Role::Approver], &roles, "ratify overrides")?;
    if actor.kind == PrincipalKind::Service {
        return Err(Error::forbidden("service_cannot_approve", "a service cannot ratify").hint("people do"));
    }
    let mut others = Vec::new();
    for step in open {
        let authors = manifests::authors(&mut tx, &workload.namespace(), &step.digest).await?;
        if step.by != actor.principal && !authors.contains(&actor.principal) {
            others.push(step);
        }
    }
    let open = others;
    if open.is_empty() {
        return Err(Error::forbidden(
            "self_approval",
            "nobody ratifies their own override, or one of what they pushed themselves",
        )
        .hint("ask somebody else"));
    }
    let mut changes = Vec::new();
    for step in &open {
        stages::ratify(&mut tx, step, &actor.principal, now).await?;
        changes.push(Change::Ratified {
            workload: workload.clone(),
            version: step.version.clone(),
            stage: stage.clone(),
            number: step.number,
        });
    }
    log::append(&mut tx, now, &actor.principal, changes).await?;
    tx.commit().await?;
    Ok(open)
}
