//! Judging a promotion on a snapshot of everything it rests on, and telling later whether that still holds.

use super::{
    Context,
    policy::effective,
    resolve,
    snapshot::{self, Question},
};
use crate::{
    db::{Tx, documents, log, versions::VersionRow},
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
use std::sync::Arc;

/// How far the clock may be behind the last event: replicas' clocks differ a little.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(60);

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
