//! Judging a promotion on a snapshot of everything it rests on, and telling later whether that still holds.

use super::{
    Context,
    policy::effective,
    resolve,
    snapshot::{self, Question},
};
use crate::{
    db::{Tx, documents, evidence, log, versions::VersionRow},
    error::{Error, Result},
    gates::{Effective, Facts, Report, judge},
    model::{
        digest::Digest,
        kind::Tier,
        name::{PrincipalName, Workload},
        reference::Selector,
        stage::Stage,
        version::Version,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::Semaphore;

/// Judgements at a time in a process that may compare versions example by example, which may be much to hold.
static COMPARING: Semaphore = Semaphore::const_new(2);

/// How far the clock may be behind the last event: replicas' clocks differ a little.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(60);

/// Report and facts of one judgement, kept as a document: what an auditor reads, and what `policy test` judges anew.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Judgement {
    pub tier: Tier,
    pub report: Report,
    pub facts: Facts,
    /// The evidence it rests on, of the candidate and of what was in the stage, oldest first. The document only names it:
    /// what is said is never changed or deleted, and may be much.
    #[serde(default)]
    evidence: [Vec<Digest>; 2],
}

impl Judgement {
    pub(super) fn new(tier: Tier, report: Report, facts: Facts) -> Self {
        Self { tier, report, facts, evidence: Default::default() }
    }

    /// As it was kept: the evidence is only named.
    pub(super) async fn read(tx: &mut Tx, digest: &Digest) -> Result<Self> {
        let bytes = documents::read(tx, digest).await?;
        serde_json::from_slice(&bytes)
            .map_err(|_| Error::corrupt("documents", digest, "the judgement cannot be read"))
    }

    /// Reads what the document names, so that it can be judged anew.
    pub(super) async fn load_evidence(&mut self, tx: &mut Tx, workload: &Workload) -> Result<()> {
        let Facts { candidate, current, .. } = &mut self.facts;
        for (subject, named) in std::iter::once(&mut *candidate).chain(current.as_mut()).zip(&self.evidence) {
            let said = evidence::about(tx, workload, &subject.digest).await?;
            let named: BTreeSet<&Digest> = named.iter().collect();
            subject.evidence.extend(said.into_iter().filter(|evidence| named.contains(&evidence.digest)));
        }
        match current {
            Some(current) => snapshot::load_examples(tx, workload, candidate, current).await,
            None => Ok(()),
        }
    }

    /// Keeps it, for good. The evidence is named from here on.
    pub(super) async fn keep(&mut self, tx: &mut Tx) -> Result<Digest> {
        let Facts { candidate, current, .. } = &mut self.facts;
        for (subject, named) in std::iter::once(candidate).chain(current).zip(&mut self.evidence) {
            named.extend(std::mem::take(&mut subject.evidence).into_iter().map(|evidence| evidence.digest));
        }
        let bytes = serde_json::to_vec(self).map_err(|source| {
            Error::internal("judgement_encoding", "a judgement could not be written").source(source)
        })?;
        documents::keep(tx, &bytes).await
    }
}

/// A judgement under way: what it is about, and the log's length before it was begun.
pub(super) struct Judged {
    pub length: i64,
    pub row: VersionRow,
    pub effective: Arc<Effective>,
    pub judgement: Judgement,
    pub from: Option<Version>,
}

/// Judges on a snapshot. The log's length is read first: whatever is committed after that makes it grow.
pub(super) async fn judged(
    cx: &Context,
    row: &VersionRow,
    stage: &Stage,
    requester: &PrincipalName,
    overriding: bool,
) -> Result<Judged> {
    let mut tx = cx.db.read().await?;
    let mut turn = None;
    let (length, now, effective) = loop {
        let (length, latest) = log::head(&mut tx).await?;
        let now = time(cx, latest, overriding)?;
        let effective = effective(cx, &mut tx, row.workload.as_str()).await?;
        if turn.is_some() || !effective.rules(row.tier, stage)?.compares_examples() {
            break (length, now, effective);
        }
        turn = COMPARING.try_acquire().ok();
        if turn.is_some() {
            break (length, now, effective);
        }
        // Nobody waits for others with a connection in hand.
        drop(tx);
        turn = COMPARING.acquire().await.ok();
        tx = cx.db.read().await?;
    };
    // It may have been purged since it was looked up.
    super::purged::refuse_purged(&mut tx, &row.workload, &row.digest).await?;
    let rules = effective.rules(row.tier, stage)?;
    let with_examples = turn.is_some();
    let question = Question { row, effective: &effective, rules: &rules, requester, now, with_examples };
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
    drop(turn);
    let judgement = Judgement::new(row.tier, report, facts);
    Ok(Judged { length, row: row.clone(), effective: effective.clone(), judgement, from })
}

/// The time now, which never runs back behind the log. An override goes on where a clock was once far ahead.
pub(super) fn time(cx: &Context, latest: Option<DateTime<Utc>>, overriding: bool) -> Result<DateTime<Utc>> {
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

/// Whether everything the judgement rests on is as it was.
pub(super) async fn still_holds(
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
