//! Moving a stage to a version. Gates are judged on a snapshot, outside of any transaction; the transaction that moves
//! the stage commits only if nothing the judgement rests on has changed since, and otherwise it is judged again.

use super::{
    Context,
    attempt::{end, new_row, overtaken, refused, text, waiting},
    check_text,
    judgement::{Judged, judged, still_holds, time},
    policy::effective,
    resolve,
};
use crate::{
    db::{
        Tx, log, namespaces, principals,
        promotions::{self, PromotionRow},
        stages::{self, Move},
        versions::VersionRow,
    },
    error::{Error, Result},
    gates::{Facts, Outcome, Person, Report},
    model::{
        access::{Actor, Role},
        digest::Digest,
        event::Change,
        name::{PrincipalName, Workload},
        promotion::{MoveKind, State},
        reference::Reference,
        stage::Stage,
        version::Version,
    },
};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

/// Judgements of one attempt while others keep changing what it rests on.
pub(super) const TRIES: usize = 8;
/// What is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    pub reference: Reference,
    pub stage: Stage,
    /// Only say what would happen.
    pub dry_run: bool,
    /// Why to do it against the gates.
    pub overriding: Option<String>,
    /// Refuse unless the stage holds this version now.
    pub expect: Option<Version>,
}

/// What has become of it.
#[derive(Debug)]
pub struct Promotion {
    pub row: PromotionRow,
    pub report: Report,
    /// What was in the stage before.
    pub from: Option<Version>,
    /// The move's number in the history of the stage, if it moved.
    pub number: Option<i64>,
    pub overridden: bool,
    /// False for a dry run, and where the version was in the stage already.
    pub recorded: bool,
}

/// Promotes a version.
pub async fn promote(cx: &Context, actor: &Actor, ask: &Ask) -> Result<Promotion> {
    if let Some(reason) = &ask.overriding {
        check_reason(reason)?;
    }
    // Who may not takes nobody's turn and has nothing judged.
    admit(cx, actor, ask).await?;
    let _turn = cx.turns.take(&ask.reference.workload).await;
    for _ in 0..TRIES {
        let (row, stage) = find(cx, ask).await?;
        let judged = judged(cx, &row, &stage, &actor.principal, ask.overriding.is_some()).await?;
        let may = standing(&judged.judgement.facts, &actor.principal, Some(actor), &row.workload);
        check_request(&judged, ask, &may)?;
        if judged.from.as_ref() == Some(&judged.row.version) {
            return Ok(already_there(cx, actor, judged));
        }
        if ask.dry_run {
            return Ok(dry(cx, actor, judged));
        }
        if let Some(promotion) = record(cx, &actor.principal, judged, Occasion::Asked(ask)).await? {
            return Ok(promotion);
        }
    }
    Err(contended(&ask.reference.workload, &ask.stage))
}

fn contended(workload: &Workload, stage: &Stage) -> Error {
    Error::conflict("promotion_contended", format!("what it depends on keeps changing: {workload}:{stage}"))
        .hint("look at it with gradus status, then try again")
}

pub(super) fn check_reason(reason: &str) -> Result<()> {
    check_text("reason", reason, 1000)?;
    if reason.trim().is_empty() {
        return Err(Error::invalid("reason_missing", "a reason is needed").hint("give it with: -m \"…\""));
    }
    Ok(())
}

/// The version that is meant, and the stage, if the workload's policy has it.
async fn find(cx: &Context, ask: &Ask) -> Result<(VersionRow, Stage)> {
    let mut tx = cx.db.read().await?;
    let workload = &ask.reference.workload;
    let row = resolve::find(cx, &mut tx, workload, &ask.reference.selector).await?;
    let effective = effective(cx, &mut tx, workload.as_str()).await?;
    Ok((row, effective.stage(ask.stage.as_str())?.clone()))
}

/// Whether the caller may promote this at all, as far as can be told at once.
async fn admit(cx: &Context, actor: &Actor, ask: &Ask) -> Result<()> {
    let (row, stage) = find(cx, ask).await?;
    let mut tx = cx.db.read().await?;
    let effective = effective(cx, &mut tx, row.workload.as_str()).await?;
    let rules = effective.rules(row.tier, &stage)?;
    let roles = principals::now_in(&mut tx, actor, &row.workload.namespace()).await?;
    // Whoever may read may also ask what is missing.
    if !ask.dry_run {
        check_may(
            &rules.rule.roles,
            &roles,
            &format!("promote {} to {stage} of {}", row.tier, row.workload),
        )?;
    }
    if row.yanked_at.is_some() {
        return Err(yanked(&format!("{}:{}", row.workload, row.version)));
    }
    Ok(())
}

/// The roles by which somebody may act on a workload now: what they have in the namespace, and their token lets through.
pub(super) fn standing(
    facts: &Facts,
    who: &PrincipalName,
    actor: Option<&Actor>,
    workload: &Workload,
) -> BTreeSet<Role> {
    let person = facts.people.get(who);
    let roles = person.map(|person: &Person| person.roles.clone()).unwrap_or_default();
    match actor {
        Some(actor) => {
            let through = actor.roles_in(&workload.namespace());
            // Somebody the database does not know acts by what the call brings: the scheduler, the local user.
            let known = person.is_some();
            through.into_iter().filter(|role| !known || roles.contains(role)).collect()
        }
        None => roles,
    }
}

fn check_request(judged: &Judged, ask: &Ask, roles: &BTreeSet<Role>) -> Result<()> {
    let Judged { row, effective, .. } = judged;
    let rules = effective.rules(row.tier, &ask.stage)?;
    let (reference, stage) = (format!("{}:{}", row.workload, row.version), &ask.stage);
    if !ask.dry_run {
        check_may(&rules.rule.roles, roles, &format!("promote {} to {stage} of {}", row.tier, row.workload))?;
    }
    if ask.overriding.is_some() && !roles.contains(&Role::Admin) {
        return Err(role_missing("override gates", &[Role::Admin]));
    }
    // The gates may be overridden; that content was withdrawn, under whatever number, may not.
    if row.yanked_at.is_some() || ask.overriding.is_some() && judged.judgement.facts.yanked.is_some() {
        return Err(yanked(&reference));
    }
    if let Some(expected) = &ask.expect
        && judged.from.as_ref() != Some(expected)
    {
        let now = judged.from.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
        return Err(Error::conflict(
            "stage_moved",
            format!("{}:{stage} holds {now}, not {expected}", row.workload),
        )
        .hint("somebody moved it; look at it with gradus status"));
    }
    Ok(())
}

fn yanked(reference: &str) -> Error {
    Error::conflict("version_yanked", format!("a yanked version cannot be promoted: {reference}"))
        .hint("push what is wanted as a version of its own")
}

pub(super) fn check_may(allowed: &[Role], roles: &BTreeSet<Role>, what: &str) -> Result<()> {
    if roles.contains(&Role::Admin) || allowed.iter().any(|role| roles.contains(role)) {
        return Ok(());
    }
    Err(role_missing(what, allowed))
}

fn role_missing(what: &str, allowed: &[Role]) -> Error {
    let names: BTreeSet<&str> = allowed.iter().chain(&[Role::Admin]).map(|role| role.name()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    Error::forbidden("role_missing", format!("you may not {what}"))
        .hint(format!("it takes the role {}", names.join(" or ")))
}

fn unrecorded(cx: &Context, actor: &Actor, judged: Judged, state: State) -> Promotion {
    let row = new_row(cx, &actor.principal, &judged, Digest::sha256(b""), state);
    Promotion {
        row,
        report: judged.judgement.report,
        from: judged.from,
        number: None,
        overridden: false,
        recorded: false,
    }
}

fn dry(cx: &Context, actor: &Actor, judged: Judged) -> Promotion {
    let state = match judged.judgement.report.outcome {
        Outcome::Pass => State::Promoted,
        Outcome::Wait => State::Pending,
        Outcome::Fail => State::Refused,
    };
    unrecorded(cx, actor, judged, state)
}

fn already_there(cx: &Context, actor: &Actor, mut judged: Judged) -> Promotion {
    judged.judgement.report.outcome = Outcome::Pass;
    judged.judgement.report.gates.clear();
    unrecorded(cx, actor, judged, State::Promoted)
}

/// Why a promotion is decided about: somebody asks, or what is pending is looked at again.
#[derive(Clone, Copy)]
pub(super) enum Occasion<'a> {
    Asked(&'a Ask),
    Pending(&'a str),
}

/// Writes what became of an attempt, in one transaction. `None`: what it was judged on has changed.
pub(super) async fn record(
    cx: &Context,
    who: &PrincipalName,
    mut judged: Judged,
    occasion: Occasion<'_>,
) -> Result<Option<Promotion>> {
    let overriding = match occasion {
        Occasion::Asked(ask) => ask.overriding.as_deref(),
        Occasion::Pending(_) => None,
    };
    let mut tx = cx.db.write().await?;
    namespaces::lock_repository(&mut tx, &judged.row.workload).await?;
    let (length, latest) = log::lock(&mut tx).await?;
    let now = time(cx, latest, overriding.is_some())?;
    if length != judged.length && !still_holds(cx, &mut tx, &judged, who, now).await? {
        return Ok(None);
    }
    let report = judged.judgement.report.clone();
    if report.changes_at.is_some_and(|at| at <= now) {
        return Ok(None);
    }
    let (workload, stage) = (&judged.row.workload.clone(), &judged.judgement.facts.stage.clone());
    let pending = match occasion {
        // It may have ended since it was read, or the stage have moved.
        Occasion::Pending(id) => match promotions::find(&mut tx, id).await? {
            Some(row) if row.state == State::Pending => {
                if report.outcome == Outcome::Pass && overtaken(&mut tx, &row).await?.is_some() {
                    return Ok(None);
                }
                Some(row)
            }
            _ => return Ok(None),
        },
        Occasion::Asked(_) => promotions::find_pending(&mut tx, workload, stage, &judged.row.version).await?,
    };
    let passes = report.outcome == Outcome::Pass;
    let (mut overridden, mut number) = (false, None);
    let (mut row, changes) = if passes || overriding.is_some() {
        overridden = !passes;
        let judgement = judged.judgement.keep(&mut tx).await?;
        let reason = overriding.filter(|_| overridden);
        let by = By { who, at: now, position: length, overriding: reason };
        let change = enter(&mut tx, &judged.row, stage, &by, judgement.clone()).await?;
        if let Change::Promoted { number: moved, .. } = &change {
            number = Some(*moved);
        }
        let row = pending.unwrap_or_else(|| new_row(cx, who, &judged, judgement.clone(), State::Pending));
        let mut row = PromotionRow { judgement, ..row };
        end(&mut row, State::Promoted, now, who, None);
        (row, vec![change])
    } else if report.outcome == Outcome::Fail && matches!(occasion, Occasion::Asked(_)) {
        // A request is refused by itself; what was pending before stays so, and evidence may yet answer.
        let judgement = judged.judgement.keep(&mut tx).await?;
        let mut row = new_row(cx, who, &judged, judgement, State::Pending);
        end(&mut row, State::Refused, now, who, None);
        let change = refused(&row);
        (row, vec![change])
    } else {
        let (mut row, changes) = match pending {
            // Only how it was judged is kept of each time: what it was judged on may be much.
            Some(row) => (row, Vec::new()),
            None => {
                let judgement = judged.judgement.keep(&mut tx).await?;
                let row = new_row(cx, who, &judged, judgement, State::Pending);
                let change = waiting(&row);
                (row, vec![change])
            }
        };
        if let Occasion::Asked(ask) = occasion {
            row.asked_on = Some(stages::moves(&mut tx, workload, stage).await?);
            row.expected.clone_from(&ask.expect);
        }
        row.check_at = Some(report.changes_at.map_or(row.expires_at, |at| at.min(row.expires_at)));
        (row, changes)
    };
    row.report = text(&report)?;
    if !changes.is_empty() {
        row.position = length;
    }
    promotions::save(&mut tx, &row).await?;
    if !changes.is_empty() {
        log::append(&mut tx, now, who, changes).await?;
    }
    tx.commit().await?;
    let from = judged.from;
    Ok(Some(Promotion { row, report, from, number, overridden, recorded: true }))
}

/// Who moves a stage, when, why against its gates if so, and the position of the event that tells of it.
pub(super) struct By<'a> {
    pub who: &'a PrincipalName,
    pub at: DateTime<Utc>,
    pub position: i64,
    pub overriding: Option<&'a str>,
}

/// Puts a version into a stage. The repository and the log are locked.
pub(super) async fn enter(
    tx: &mut Tx,
    row: &VersionRow,
    stage: &Stage,
    by: &By<'_>,
    judgement: Digest,
) -> Result<Change> {
    let before = stages::current(tx, &row.workload, stage).await?;
    let step = Move {
        workload: row.workload.clone(),
        stage: stage.clone(),
        number: before.as_ref().map_or(0, |before| before.number) + 1,
        kind: if by.overriding.is_some() { MoveKind::Overridden } else { MoveKind::Promoted },
        version: row.version.clone(),
        digest: row.digest.clone(),
        from: before.map(|before| before.version),
        at: by.at,
        by: by.who.clone(),
        reason: by.overriding.map(str::to_owned),
        judgement: Some(judgement.clone()),
        position: by.position,
        ratified_by: None,
        ratified_at: None,
    };
    stages::insert(tx, &step, step.number).await?;
    stages::enter(tx, &step).await?;
    Ok(Change::Promoted {
        workload: step.workload,
        version: step.version,
        digest: step.digest,
        stage: step.stage,
        number: step.number,
        from: step.from,
        judgement,
        overridden: step.reason,
    })
}
