//! What is due by the schedules of monitors is queued, by whichever replica looks first.

use super::super::Context;
use crate::{
    db::{
        drift_runs::{self, Wanted},
        monitors::{self as rows, MonitorRow},
    },
    error::{Error, Result},
    model::monitor::{Cause, Misfire, due},
};
use chrono::TimeDelta;

/// Monitors that are looked at in one go; the others follow at the next tick.
const MONITORS: i64 = 100;
/// When one is looked at again that cannot be dealt with.
const LATER: TimeDelta = TimeDelta::hours(1);

/// Queues what is due. Answers how many runs. A monitor that cannot be read keeps no other from being looked at.
pub async fn tick(cx: &Context) -> Result<u64> {
    let now = cx.clock.now();
    let mut queued = 0;
    for row in rows::due(&mut cx.db.read().await?, now, MONITORS).await? {
        let (id, error) = match row {
            Ok(row) => match handle(cx, &row).await {
                Ok(count) => {
                    queued += count;
                    continue;
                }
                Err(error) => (row.id, Box::new(error)),
            },
            Err(unreadable) => unreadable,
        };
        tracing::error!(monitor = id, ?error, "a monitor's runs could not be queued");
        postpone(cx, &id).await?;
    }
    cx.metrics.drift_runs_waiting.set(drift_runs::count_waiting(&mut cx.db.read().await?).await?);
    Ok(queued)
}

async fn postpone(cx: &Context, id: &str) -> Result<(), Error> {
    let mut tx = cx.db.write().await?;
    rows::postpone(&mut tx, id, cx.clock.now() + LATER).await?;
    tx.commit().await
}

async fn handle(cx: &Context, row: &MonitorRow) -> Result<u64> {
    let (plan, now) = (row.spec.plan()?, cx.clock.now());
    let due = due(&plan.schedule, |at| plan.window(at), row.handled_at, now, plan.grace, row.spec.misfire);
    // What was missed and is not made up for is dealt with too.
    let missed = || plan.last_ready(now).map_or(row.handled_at, |last| last.max(row.handled_at));
    let handled = due.last().map_or_else(missed, |last| last.at);
    let mut tx = cx.db.write().await?;
    if !rows::handle(&mut tx, row, handled, plan.due_at(handled)).await? {
        return Ok(0);
    }
    if !due.is_empty() && row.spec.misfire != Misfire::CatchUp {
        drift_runs::coalesce(&mut tx, &row.id).await?;
    }
    let wanted = Wanted { cause: Cause::Schedule, by: None, at: now };
    let mut queued = 0;
    for run in due {
        let ready = run.at + plan.grace;
        // What was pushed is all there was.
        let is_new = drift_runs::queue(&mut tx, &row.id, run.window, &wanted).await?
            || plan.source.is_some()
                && drift_runs::again(&mut tx, &row.id, run.window, &wanted, ready).await?;
        queued += u64::from(is_new);
    }
    tx.commit().await?;
    Ok(queued)
}
