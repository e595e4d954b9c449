//! Moving a stage to a version. Gates are judged on a snapshot, outside of any transaction; the transaction that moves
//! the stage commits only if nothing the judgement rests on has changed since, and otherwise it is judged again.

use super::{
    Context, check_text,
    policy::effective,
    resolve,
    snapshot::{self, Question},
};
use crate::{
    db::{
        Tx, documents, log, namespaces, principals,
        promotions::{self, PromotionRow},
        stages::{self, Move},
        versions::VersionRow,
    },
    error::{Error, Result},
    gates::{Effective, Facts, Outcome, Person, Report, judge},
    model::{
        access::{Actor, Role},
        digest::Digest,
        event::Change,
        kind::Tier,
        name::{PrincipalName, Workload},
        promotion::{MoveKind, State},
        reference::{Reference, Selector},
        stage::Stage,
        version::Version,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};
use tokio::sync::{Mutex, MutexGuard};

/// Judgements of one attempt while others keep changing what it rests on.
const TRIES: usize = 8;
/// How far the clock may be behind the last event: replicas' clocks differ a little.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(60);

/// Attempts to move a workload's stages take turns within a process, so that they do not make each other judge again.
pub(crate) struct Turns([Mutex<()>; 64]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(())))
    }
}

impl Turns {
    async fn take(&self, workload: &Workload) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        workload.hash(&mut hasher);
        self.0[usize::try_from(hasher.finish() % 64).unwrap_or(0)].lock().await
    }
}

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

/// Report and facts of one judgement, kept as a document: what an auditor reads, and what `policy test` judges anew.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Judgement {
    pub tier: Tier,
    pub report: Report,
    pub facts: Facts,
}

impl Judgement {
    pub(super) async fn read(tx: &mut Tx, digest: &Digest) -> Result<Self> {
        let bytes = documents::read(tx, digest).await?;
        serde_json::from_slice(&bytes)
            .map_err(|_| Error::corrupt("documents", digest, "the judgement cannot be read"))
    }

    /// The results example by example, which are not in the document but beside the evidence.
    pub(super) async fn load_examples(&mut self, tx: &mut Tx, workload: &Workload) -> Result<()> {
        let Facts { candidate, current: Some(current), .. } = &mut self.facts else { return Ok(()) };
        snapshot::load_examples(tx, workload, candidate, current).await
    }

    pub(super) async fn keep(&self, tx: &mut Tx) -> Result<Digest> {
        let bytes = serde_json::to_vec(self).map_err(|source| {
            Error::internal("judgement_encoding", "a judgement could not be written").source(source)
        })?;
        documents::keep(tx, &bytes).await
    }
}

/// A judgement under way: what it is about, and the log's length before it was begun.
struct Judged {
    length: i64,
    row: VersionRow,
    effective: Arc<Effective>,
    judgement: Judgement,
    from: Option<Version>,
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
        if let Some(promotion) = record(cx, &actor.principal, judged, ask.overriding.as_deref(), None).await?
        {
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
    check_may(&rules.rule.roles, &roles, &format!("promote {} to {stage} of {}", row.tier, row.workload))?;
    if row.yanked_at.is_some() {
        return Err(yanked(&format!("{}:{}", row.workload, row.version)));
    }
    Ok(())
}

/// Judges on a snapshot. The log's length is read first: whatever is committed after that makes it grow.
async fn judged(
    cx: &Context,
    row: &VersionRow,
    stage: &Stage,
    requester: &PrincipalName,
    overriding: bool,
) -> Result<Judged> {
    let mut tx = cx.db.read().await?;
    let (length, latest) = log::head(&mut tx).await?;
    let now = time(cx, latest, overriding)?;
    let effective = effective(cx, &mut tx, row.workload.as_str()).await?;
    let rules = effective.rules(row.tier, stage)?;
    let question =
        Question { row, effective: &effective, rules: &rules, requester, now, with_examples: true };
    let facts = snapshot::facts(cx, &mut tx, &question).await?;
    drop(tx);
    let from = facts.current.as_ref().map(|current| current.version.clone());
    // Comparing many examples, or computing an expression, takes a while and must not hold up others.
    let (of, tier, to) = (effective.clone(), row.tier, stage.clone());
    let work =
        tokio::task::spawn_blocking(move || of.rules(tier, &to).map(|rules| (judge(&rules, &facts), facts)));
    let stopped = |error| Error::internal("judging_stopped", "judging has stopped").source(error);
    let (report, mut facts) = work.await.map_err(stopped)??;
    facts.drop_examples();
    let judgement = Judgement { tier: row.tier, report, facts };
    Ok(Judged { length, row: row.clone(), effective: effective.clone(), judgement, from })
}

/// The time now, which never runs back behind the log. An override goes on where a clock was once far ahead.
fn time(cx: &Context, latest: Option<DateTime<Utc>>, overriding: bool) -> Result<DateTime<Utc>> {
    let now = cx.clock.now();
    match latest {
        Some(latest) if latest - now > CLOCK_TOLERANCE && !overriding => Err(Error::unavailable(
            "clock_behind",
            format!("the clock says {now}, and the last event is of {latest}"),
        )
        .hint("set the server's clock; nothing is promoted on a time that has been")),
        Some(latest) => Ok(now.max(latest)),
        None => Ok(now),
    }
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
    check_may(&rules.rule.roles, roles, &format!("promote {} to {stage} of {}", row.tier, row.workload))?;
    if ask.overriding.is_some() && !roles.contains(&Role::Admin) {
        return Err(role_missing("override gates", &[Role::Admin]));
    }
    if row.yanked_at.is_some() {
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
    let names: Vec<&str> = allowed.iter().map(|role| role.name()).collect();
    Error::forbidden("role_missing", format!("you may not {what}"))
        .hint(format!("the policy asks for one of the roles: {}, admin", names.join(", ")))
}

fn new_row(
    cx: &Context,
    who: &PrincipalName,
    judged: &Judged,
    judgement: Digest,
    state: State,
) -> PromotionRow {
    let now = judged.judgement.facts.now;
    let expires_at = now + TimeDelta::days(i64::from(judged.effective.pending_days));
    PromotionRow {
        id: cx.clock.id().simple().to_string(),
        workload: judged.row.workload.clone(),
        stage: judged.judgement.facts.stage.clone(),
        version: judged.row.version.clone(),
        digest: judged.row.digest.clone(),
        state,
        report: String::new(),
        judgement,
        requested_at: now,
        requested_by: who.clone(),
        expires_at,
        check_at: None,
        ended_at: None,
        ended_by: None,
        reason: None,
        position: judged.length,
    }
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

/// Writes what became of an attempt, in one transaction. `None`: what it was judged on has changed.
async fn record(
    cx: &Context,
    who: &PrincipalName,
    judged: Judged,
    overriding: Option<&str>,
    pending: Option<&str>,
) -> Result<Option<Promotion>> {
    let mut tx = cx.db.write().await?;
    namespaces::lock_repository(&mut tx, &judged.row.workload).await?;
    let (length, latest) = log::lock(&mut tx).await?;
    let now = time(cx, latest, overriding.is_some())?;
    if length != judged.length && !still_holds(cx, &mut tx, &judged, who, now).await? {
        return Ok(None);
    }
    let report = &judged.judgement.report;
    if report.changes_at.is_some_and(|at| at <= now) {
        return Ok(None);
    }
    let (workload, stage) = (&judged.row.workload, &judged.judgement.facts.stage);
    let is_asked = pending.is_none();
    let pending = match pending {
        // It may have ended since it was read.
        Some(id) => match promotions::find(&mut tx, id).await? {
            Some(row) if row.state == State::Pending => Some(row),
            _ => return Ok(None),
        },
        None => promotions::find_pending(&mut tx, workload, stage, &judged.row.version).await?,
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
    } else if report.outcome == Outcome::Fail && is_asked {
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
        row.check_at = Some(report.changes_at.map_or(row.expires_at, |at| at.min(row.expires_at)));
        (row, changes)
    };
    row.report = text(report)?;
    if !changes.is_empty() {
        row.position = length;
    }
    promotions::save(&mut tx, &row).await?;
    if !changes.is_empty() {
        log::append(&mut tx, now, who, changes).await?;
    }
    tx.commit().await?;
    let Judged { judgement, from, .. } = judged;
    Ok(Some(Promotion { row, report: judgement.report, from, number, overridden, recorded: true }))
}

/// Whether everything the judgement rests on is as it was.
async fn still_holds(
    cx: &Context,
    tx: &mut Tx,
    judged: &Judged,
    who: &PrincipalName,
    now: DateTime<Utc>,
) -> Result<bool> {
    let workload = &judged.row.workload;
    let selector = Selector::Version(judged.row.version.clone());
    let row = resolve::find(cx, tx, workload, &selector).await?;
    let effective = effective(cx, tx, workload.as_str()).await?;
    let facts = &judged.judgement.facts;
    let Ok(rules) = effective.rules(row.tier, &facts.stage) else { return Ok(false) };
    let question = Question {
        row: &row,
        effective: &effective,
        rules: &rules,
        requester: who,
        now,
        with_examples: false,
    };
    let again = snapshot::facts(cx, tx, &question).await?;
    Ok(again.fingerprint() == facts.fingerprint())
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

/// A report as it is stored with an attempt.
fn text(report: &Report) -> Result<String> {
    serde_json::to_string(report)
        .map_err(|source| Error::internal("report_encoding", "a report could not be written").source(source))
}

/// The report of an attempt as it is stored.
pub(super) fn report_of(row: &PromotionRow) -> Result<Report> {
    serde_json::from_str(&row.report)
        .map_err(|_| Error::corrupt("promotions", &row.id, "the report cannot be read"))
}

pub(super) fn end(
    row: &mut PromotionRow,
    state: State,
    now: DateTime<Utc>,
    who: &PrincipalName,
    reason: Option<String>,
) {
    row.state = state;
    row.check_at = None;
    row.ended_at = Some(now);
    row.ended_by = Some(who.clone());
    row.reason = reason;
}

fn refused(row: &PromotionRow) -> Change {
    Change::PromotionRefused {
        workload: row.workload.clone(),
        version: row.version.clone(),
        digest: row.digest.clone(),
        stage: row.stage.clone(),
        promotion: row.id.clone(),
        judgement: row.judgement.clone(),
    }
}

fn waiting(row: &PromotionRow) -> Change {
    Change::PromotionPending {
        workload: row.workload.clone(),
        version: row.version.clone(),
        digest: row.digest.clone(),
        stage: row.stage.clone(),
        promotion: row.id.clone(),
        judgement: row.judgement.clone(),
        expires_at: row.expires_at,
    }
}

pub(super) fn ended(row: &PromotionRow) -> Change {
    Change::PromotionEnded {
        workload: row.workload.clone(),
        version: row.version.clone(),
        digest: row.digest.clone(),
        stage: row.stage.clone(),
        promotion: row.id.clone(),
        state: row.state,
        reason: row.reason.clone(),
    }
}

/// Judges a pending promotion again, for whoever asked for it: completes it, gives it up, or lets it wait on.
pub(super) async fn settle(cx: &Context, id: &str) -> Result<Option<Promotion>> {
    let Some(found) = promotions::find(&mut cx.db.read().await?, id).await? else { return Ok(None) };
    let _turn = cx.turns.take(&found.workload).await;
    for _ in 0..TRIES {
        let mut tx = cx.db.read().await?;
        let Some(row) = promotions::find(&mut tx, id).await?.filter(|row| row.state == State::Pending) else {
            return Ok(None);
        };
        let (_, latest) = log::head(&mut tx).await?;
        if time(cx, latest, false)? >= row.expires_at {
            drop(tx);
            give_up(cx, &row, State::Expired, "it waited too long").await?;
            return Ok(None);
        }
        let selector = Selector::Version(row.version.clone());
        let version = resolve::find(cx, &mut tx, &row.workload, &selector).await?;
        drop(tx);
        if version.yanked_at.is_some() {
            give_up(cx, &row, State::Withdrawn, "the version was yanked").await?;
            return Ok(None);
        }
        let judged = match judged(cx, &version, &row.stage, &row.requested_by, false).await {
            Err(error) if matches!(error.code, "stage_unknown" | "rule_missing") => {
                give_up(cx, &row, State::Withdrawn, "the policy has no such stage any more").await?;
                return Ok(None);
            }
            judged => judged?,
        };
        if judged.from.as_ref() == Some(&row.version) {
            give_up(cx, &row, State::Withdrawn, "the stage holds the version by another promotion").await?;
            return Ok(None);
        }
        let roles = standing(&judged.judgement.facts, &row.requested_by, None, &row.workload);
        let rules = judged.effective.rules(version.tier, &row.stage)?;
        if check_may(&rules.rule.roles, &roles, "promote").is_err() {
            give_up(cx, &row, State::Withdrawn, "whoever asked for it may not promote any more").await?;
            return Ok(None);
        }
        let who = row.requested_by.clone();
        if let Some(promotion) = record(cx, &who, judged, None, Some(&row.id)).await? {
            return Ok(Some(promotion));
        }
    }
    // It stays due, and is tried again.
    Ok(None)
}

async fn give_up(cx: &Context, row: &PromotionRow, state: State, why: &str) -> Result<()> {
    let now = cx.clock.now();
    let mut tx = cx.db.write().await?;
    namespaces::lock_repository(&mut tx, &row.workload).await?;
    log::lock(&mut tx).await?;
    let Some(mut row) = promotions::find(&mut tx, &row.id).await?.filter(|row| row.state == State::Pending)
    else {
        return Ok(());
    };
    let who = row.requested_by.clone();
    row.position = log::lock(&mut tx).await?.0;
    end(&mut row, state, now, &who, Some(why.to_owned()));
    promotions::save(&mut tx, &row).await?;
    log::append(&mut tx, now, &who, vec![ended(&row)]).await?;
    tx.commit().await
}

/// Promotions judged again in one go.
const SETTLED_AT_ONCE: i64 = 100;

/// Judges again what is due. Answers how many there were.
pub async fn settle_due(cx: &Context) -> Result<usize> {
    let due = promotions::due(&mut cx.db.read().await?, cx.clock.now(), SETTLED_AT_ONCE).await?;
    for row in &due {
        if let Err(error) = settle(cx, &row.id).await {
            tracing::warn!(promotion = row.id, workload = %row.workload, %error, "a pending promotion could not be judged");
        }
    }
    Ok(due.len())
}

/// Judges again what waits in a workload, after something was said or done about it. What was done stands, whatever
/// comes of this: what could not be judged now stays due.
pub(super) async fn settle_workload(cx: &Context, workload: &Workload) -> Vec<Promotion> {
    let pending = async { promotions::pending_of(&mut cx.db.read().await?, workload, SETTLED_AT_ONCE).await };
    let mut promoted = Vec::new();
    match pending.await {
        Ok(pending) => {
            for row in pending {
                match settle(cx, &row.id).await {
                    Ok(Some(promotion)) if promotion.row.state == State::Promoted => promoted.push(promotion),
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(promotion = row.id, %error, "a pending promotion could not be judged")
                    }
                }
            }
        }
        Err(error) => tracing::warn!(%workload, %error, "pending promotions could not be read"),
    }
    promoted
}
