//! What is queued for hooks with an event, in its own transaction: there is no event that a hook listens to without its
//! delivery, and no delivery without its event.

use super::{
    hooks,
    tx::{Tx, execute},
};
use crate::{
    error::Result,
    model::{
        event::Event,
        hook::{self, Subscriptions},
    },
};
use std::sync::{Arc, RwLock};

/// The hooks as of one count of their changes. What was read under the log's lock with that count stays right for it.
#[derive(Default)]
pub(super) struct Remembered(RwLock<(i64, Arc<Subscriptions>)>);

/// The hooks there are, where the log's head counts so many changes of them.
pub(super) async fn subscriptions(tx: &mut Tx, count: i64) -> Result<Arc<Subscriptions>> {
    {
        let remembered = tx.hooks.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        if remembered.0 == count && !tx.hooks_changed {
            return Ok(remembered.1.clone());
        }
    }
    let all = Arc::new(Subscriptions::new(hooks::subscriptions(tx).await?));
    // What this transaction changed itself may yet be rolled back.
    if !tx.hooks_changed {
        *tx.hooks.0.write().unwrap_or_else(std::sync::PoisonError::into_inner) = (count, all.clone());
    }
    Ok(all)
}

/// Queues an event for the hooks that listen to it. Their lanes are opened at the end of the transaction.
pub(super) async fn enqueue(tx: &mut Tx, hooks: &Subscriptions, event: &Event, epoch: i64) -> Result<()> {
    let lane = hook::lane(&event.change);
    for hook in hooks.wanting(&event.change) {
        let sql = "INSERT INTO deliveries (hook, position, epoch, lane, state, attempts, failed, queued_at)
                   VALUES ($1, $2, $3, $4, 'pending', 0, 0, $5)";
        execute!(tx, sql, &hook.id, event.position, epoch, lane, event.at);
        tx.lanes.entry((hook.id.clone(), lane.to_owned())).or_insert(event.at);
    }
    Ok(())
}

/// Opens the lanes of all events of a transaction, in the order in which everybody takes them: nothing is locked after.
pub(super) async fn open_lanes(tx: &mut Tx) -> Result<()> {
    for ((hook, lane), due) in std::mem::take(&mut tx.lanes) {
        open_lane(tx, &hook, &lane, due).await?;
    }
    Ok(())
}

/// Makes sure that a lane is looked at. One that is there keeps its time: what is queued in it goes first. Its row is
/// locked all the same, so that a worker who finds the lane empty either sees what is queued here or has ended before.
async fn open_lane(tx: &mut Tx, hook: &str, lane: &str, due: chrono::DateTime<chrono::Utc>) -> Result<()> {
    let sql = "INSERT INTO lanes (hook, lane, due_at) VALUES ($1, $2, $3)
               ON CONFLICT (hook, lane) DO UPDATE SET due_at = lanes.due_at";
    execute!(tx, sql, hook, lane, due);
    Ok(())
}
