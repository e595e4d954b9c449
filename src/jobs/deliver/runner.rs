//! One hook: takes its lanes and serves several at a time, fewer while its receiver fails.

use super::{Deliverer, lane};
use crate::{
    db::{deliveries, hooks},
    error::Result,
    hooks::target::Target,
    ops::hooks::unseal,
};
use chrono::TimeDelta;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, task::JoinSet};

/// Lanes of one hook that this process serves at a time.
const WIDTH: usize = 8;
/// After so many failures in a row the receiver is left in peace for a while, then tried one by one.
const FAILURES: u32 = 3;
const PEACE_MAX: Duration = Duration::from_secs(15);

/// What the lanes of a hook share while they are served.
pub(super) struct Served {
    pub hook: String,
    pub target: Target,
    pub lease: String,
    pub health: Arc<Health>,
}

/// How the receiver of a hook does, as far as this task knows.
#[derive(Default)]
pub(super) struct Health {
    /// Failures in a row.
    pub failures: AtomicU32,
    /// The database says that it is failing.
    pub is_failing: AtomicBool,
}

/// Serves a hook until nothing of it is due.
pub(super) async fn serve(deliverer: &Arc<Deliverer>, hook: &str, more: &Notify) -> Result<()> {
    let health = Arc::<Health>::default();
    let mut lanes = JoinSet::new();
    loop {
        let failed = health.failures.load(Ordering::Relaxed);
        let width = if failed < FAILURES { WIDTH } else { 1 };
        if failed >= FAILURES && lanes.is_empty() {
            let peace = Duration::from_secs(1 << (failed - FAILURES).min(4)).min(PEACE_MAX);
            tokio::select! {
                () = tokio::time::sleep(peace) => {}
                () = deliverer.cx.closing.cancelled() => return Ok(()),
            }
        }
        if lanes.len() < width && !deliverer.cx.closing.is_cancelled() {
            for (served, lane) in take(deliverer, hook, width - lanes.len(), &health).await? {
                lanes.spawn(lane::serve(deliverer.clone(), served, lane));
            }
        }
        if lanes.is_empty() {
            return Ok(());
        }
        tokio::select! {
            _ = lanes.join_next() => {}
            () = more.notified(), if lanes.len() < width => {}
        }
    }
}

async fn take(
    deliverer: &Deliverer,
    hook: &str,
    room: usize,
    health: &Arc<Health>,
) -> Result<Vec<(Arc<Served>, String)>> {
    let cx = &deliverer.cx;
    let lease = cx.clock.id().simple().to_string();
    let now = cx.clock.now();
    let mut tx = cx.db.write().await?;
    let lanes = deliveries::claim(&mut tx, hook, &lease, now, now + lease_time(cx), room as i64).await?;
    let row = hooks::find(&mut tx, hook).await?;
    let Some(row) = row.filter(|_| !lanes.is_empty()) else { return Ok(Vec::new()) };
    tx.commit().await?;
    let target = unseal(cx, &row)?;
    if row.failing_since.is_some() {
        health.is_failing.store(true, Ordering::Relaxed);
    }
    let served = Arc::new(Served { hook: hook.to_owned(), target, lease, health: health.clone() });
    Ok(lanes.into_iter().map(|lane| (served.clone(), lane)).collect())
}

/// How long a worker has a lane without a word: well above the time of an attempt, so that one that lives never loses it.
pub(super) fn lease_time(cx: &crate::ops::Context) -> TimeDelta {
    TimeDelta::seconds(i64::from(cx.config.hooks.timeout_seconds) * 3 + 30)
}
