//! An attempt to move a stage as a record: how it begins and ends, the events that tell of it, and what it comes to when
//! the stage moves meanwhile.

use super::{Context, judgement::Judged};
use crate::{
    db::{Tx, promotions::PromotionRow, stages},
    error::{Error, Result},
    gates::Report,
    model::{digest::Digest, event::Change, name::PrincipalName, promotion::State},
};
use chrono::{DateTime, TimeDelta, Utc};

pub(super) fn new_row(
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
        asked_on: None,
        expected: None,
    }
}

/// A report as it is stored with an attempt.
pub(super) fn text(report: &Report) -> Result<String> {
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

pub(super) fn refused(row: &PromotionRow) -> Change {
    Change::PromotionRefused {
        workload: row.workload.clone(),
        version: row.version.clone(),
        digest: row.digest.clone(),
        stage: row.stage.clone(),
        promotion: row.id.clone(),
        judgement: row.judgement.clone(),
    }
}

pub(super) fn waiting(row: &PromotionRow) -> Change {
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

/// What became of the stage since a pending promotion was asked for.
pub(super) enum Overtaken {
    /// It does not hold what the request was bound to.
    Otherwise(String),
    /// It must not be moved from where it is by an older wish: somebody moved it by hand, or it is further than that.
    AskAgain(String),
}

pub(super) async fn overtaken(tx: &mut Tx, row: &PromotionRow) -> Result<Option<Overtaken>> {
    let holds = stages::holds(tx, &row.workload, &row.stage).await?;
    let what = holds.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
    if row.expected.is_some() && holds != row.expected {
        let why = format!("the stage does not hold what was expected, but {what}");
        return Ok(Some(Overtaken::Otherwise(why)));
    }
    let Some(asked_on) = row.asked_on else { return Ok(None) };
    if stages::was_corrected(tx, &row.workload, &row.stage, asked_on).await? {
        let why = format!(
            "somebody moved the stage by rollback or override since this was asked for; it holds {what}"
        );
        return Ok(Some(Overtaken::AskAgain(why)));
    }
    let is_further = holds.is_some_and(|holds| holds > row.version)
        && stages::moves(tx, &row.workload, &row.stage).await? > asked_on;
    let why = || format!("the stage has gone on to {what} since this was asked for");
    Ok(is_further.then(|| Overtaken::AskAgain(why())))
}
