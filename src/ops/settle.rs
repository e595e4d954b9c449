//! Judging again what waits: after something was said or done about it, and when time alone may have changed it.

use super::{
    Context,
    attempt::{Overtaken, end, ended, overtaken},
    judgement::{judged, time},
    promote::{Occasion, Promotion, TRIES, check_may, record, standing},
    resolve,
};
use crate::{
    db::{
        log, namespaces,
        promotions::{self, PromotionRow},
    },
    error::Result,
    model::{name::Workload, promotion::State, reference::Selector},
};
use chrono::TimeDelta;

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
        let overtaken = overtaken(&mut tx, &row).await?;
        drop(tx);
        if let Some(Overtaken::Otherwise(why)) = &overtaken {
            give_up(cx, &row, State::Withdrawn, why).await?;
            return Ok(None);
        }
        if version.yanked_at.is_some() {
            give_up(cx, &row, State::Withdrawn, "the version was yanked").await?;
            return Ok(None);
        }
        let mut judged = match judged(cx, &version, &row.stage, &row.requested_by, false).await {
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
        if let Some(Overtaken::AskAgain(why)) = overtaken {
            let again = format!("gradus promote {}:{} --to {}", row.workload, row.version, row.stage);
            judged.judgement.report.wait_for("asked_for", why, again);
        }
        let who = row.requested_by.clone();
        if let Some(promotion) = record(cx, &who, judged, Occasion::Pending(&row.id)).await? {
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
    let (position, _) = log::lock(&mut tx).await?;
    let Some(mut row) = promotions::find(&mut tx, &row.id).await?.filter(|row| row.state == State::Pending)
    else {
        return Ok(());
    };
    let who = row.requested_by.clone();
    row.position = position;
    end(&mut row, state, now, &who, Some(why.to_owned()));
    promotions::save(&mut tx, &row).await?;
    log::append(&mut tx, now, &who, vec![ended(&row)]).await?;
    tx.commit().await
}

/// Promotions judged again in one go.
const SETTLED_AT_ONCE: i64 = 100;

/// When one is tried again that could not be judged.
const PUT_OFF: TimeDelta = TimeDelta::minutes(1);

/// Judges again what is due. Answers how many there were.
pub async fn settle_due(cx: &Context) -> Result<usize> {
    let due = promotions::due(&mut cx.db.read().await?, cx.clock.now(), SETTLED_AT_ONCE).await?;
    for row in &due {
        if let Err(error) = settle(cx, &row.id).await {
            tracing::warn!(promotion = row.id, workload = %row.workload, %error, "a pending promotion could not be judged");
            // Others must have their turn, even if this one never can be.
            let mut tx = cx.db.write().await?;
            promotions::put_off(&mut tx, &row.id, cx.clock.now() + PUT_OFF).await?;
            tx.commit().await?;
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
