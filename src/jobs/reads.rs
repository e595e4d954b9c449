//! Writes down who read what, every second and once more at the end.

use crate::ops::{Context, reads};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;

const EVERY: Duration = Duration::from_secs(1);

/// What writes down reads in this process.
pub struct Keeper {
    cx: Arc<Context>,
    task: JoinHandle<()>,
}

pub fn start(cx: &Arc<Context>) -> Keeper {
    let own = cx.clone();
    let task = tokio::spawn(async move {
        let mut is_failing = false;
        loop {
            tokio::time::sleep(EVERY).await;
            match reads::flush(&own).await {
                Ok(()) => is_failing = false,
                Err(error) if !is_failing => {
                    is_failing = true;
                    tracing::warn!(?error, "reads are not written down yet; trying again every second");
                }
                Err(_) => {}
            }
        }
    });
    Keeper { cx: cx.clone(), task }
}

impl Keeper {
    /// Ends, once everything is written down or after so long. Call it when nobody reads any more.
    pub async fn close(self, longest: Duration) {
        self.task.abort();
        let last = tokio::time::timeout(longest, reads::flush(&self.cx)).await;
        match last {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(?error, "the last reads were not written down"),
            Err(_) => tracing::error!("the last reads were not written down: the database takes too long"),
        }
    }
}
