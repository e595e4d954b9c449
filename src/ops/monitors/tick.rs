//! What is due by the schedules of monitors is queued, by whichever replica looks first.

use super::super::Context;
use crate::{
    db::{drift_runs, monitors as rows, monitors::MonitorRow},
    error::Result,
    model::monitor::{Cause, due},
};

/// Monitors that are looked at in one go; the others follow at the next tick.
const MONITORS: i64 = 100;

/// Queues what is due. Answers how many runs. A monitor that cannot be read keeps no other from being looked at.
pub async fn tick(cx: &Context) -> Result<u64> {
    let now = cx.clock.now();
    let mut queued = 0;
    for row in rows::due(&mut cx.db.read().await?, now, MONITORS).await? {
        match handle(cx, &row).await {
            Ok(count) => queued += count,
            Err(error) => {
                tracing::error!(workload = %row.workload, monitor = %row.name, ?error, "a monitor's runs could not be queued")
            }
        }
    }
    Ok(queued)
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
    let mut queued = 0;
    for run in due {
        let is_new = drift_runs::queue(&mut tx, &row.id, run.window, Cause::Schedule, now).await?;
        queued += u64::from(is_new);
    }
    tx.commit().await?;
    Ok(queued)
}
