//! Makes the runs of monitors that wait, one at a time: a check takes all cores. Any number of replicas do so at once; a run
//! is made by whoever takes its lease.

use crate::ops::{
    Context,
    monitors::{tick, work},
};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;

/// How often a replica looks for what others queued, and for what is to be tried again.
const TICK: Duration = Duration::from_secs(2);

/// Runs under way in this process.
pub struct Runs(JoinHandle<()>);

/// Makes runs until the process closes. `is_alone`: nobody else queues any, so that there is nothing to look for unasked.
pub fn start(cx: &Arc<Context>, is_alone: bool) -> Runs {
    let cx = cx.clone();
    Runs(tokio::spawn(async move {
        let longest = if is_alone { Duration::MAX } else { TICK };
        loop {
            if !is_alone {
                make_all(&cx).await;
            }
            tokio::select! {
                () = cx.runs.notified() => make_all(&cx).await,
                () = tokio::time::sleep(longest) => {}
                () = cx.closing.cancelled() => return,
            }
        }
    }))
}

async fn make_all(cx: &Arc<Context>) {
    while !cx.closing.is_cancelled() {
        match work::work(cx).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::error!(?error, "a drift run is interrupted");
                tokio::time::sleep(TICK).await;
            }
        }
    }
}

impl Runs {
    /// Ends, once what is being made is recorded, or after so long: then others make it again.
    pub async fn close(self, longest: Duration) {
        let mut task = self.0;
        if tokio::time::timeout(longest, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// Queues what is due. On every replica, since whoever is first does it.
pub(super) async fn queue_due(cx: &Context) {
    match tick::tick(cx).await {
        Ok(0) => {}
        Ok(_) => cx.runs.notify_one(),
        Err(error) => tracing::error!(?error, "drift monitors could not be looked after"),
    }
}
