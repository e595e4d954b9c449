//! Sends what is queued for hooks. Any number of replicas do so at once, without a leader: a lane (a hook and a workload)
//! is taken by lease, and what comes of an attempt is recorded before the next of the lane is sent. So deliveries of a
//! lane are made in order and at least once, and when a worker dies at most one of them is in doubt.
//!
//! One task a hook, so that a slow receiver delays no other; one task a lane that is being served; one that records.

mod lane;
mod recorder;
mod runner;

use crate::{db::deliveries, error::Result, hooks::Sender, ops::Context};
use recorder::Recorder;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// How often a replica looks for what others queued, and for what is to be tried again.
const TICK: Duration = Duration::from_millis(500);

/// How often it is looked whether everything has ended.
const WINK: Duration = Duration::from_millis(10);

struct Deliverer {
    cx: Arc<Context>,
    sender: Arc<Sender>,
    recorder: Recorder,
    /// The hooks that are being served, each with what tells its task that there is more.
    running: Mutex<HashMap<String, Arc<Notify>>>,
    /// A task has ended: what was queued meanwhile needs another.
    ended: Notify,
}

/// Deliveries under way in this process.
pub struct Deliveries(Arc<Deliverer>);

/// Delivers until the process closes.
pub fn start(cx: &Arc<Context>) -> Result<Deliveries> {
    let deliverer = Deliverer::new(cx)?;
    tokio::spawn(run(deliverer.clone()));
    Ok(Deliveries(deliverer))
}

async fn run(deliverer: Arc<Deliverer>) {
    let cx = deliverer.cx.clone();
    let mut grown = cx.db.grown();
    loop {
        grown.mark_unchanged();
        if let Err(error) = deliverer.start_due().await {
            tracing::error!(?error, "what is due for hooks cannot be looked up");
            tokio::time::sleep(TICK).await;
        }
        tokio::select! {
            _ = grown.changed() => {}
            () = deliverer.ended.notified() => {}
            () = tokio::time::sleep(TICK) => {}
            () = cx.closing.cancelled() => return,
        }
    }
}

impl Deliveries {
    /// Lets what is due now be sent, for at most so long. For who has no server that would do it later.
    pub async fn settle(&self, longest: Duration) -> Result<()> {
        let work = async {
            loop {
                self.0.start_due().await?;
                if self.0.lock().is_empty() {
                    return Ok(());
                }
                tokio::time::sleep(WINK).await;
            }
        };
        tokio::time::timeout(longest, work).await.unwrap_or(Ok(()))
    }

    /// Ends, once what is being sent is recorded, or after so long: then others go on with it.
    pub async fn close(&self, longest: Duration) {
        self.0.cx.closing.cancel();
        let ended = async {
            while !self.0.lock().is_empty() {
                tokio::time::sleep(WINK).await;
            }
        };
        let _ = tokio::time::timeout(longest, ended).await;
    }
}

impl Deliverer {
    fn new(cx: &Arc<Context>) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            cx: cx.clone(),
            sender: cx.sender()?,
            recorder: Recorder::start(cx.clone()),
            running: Mutex::default(),
            ended: Notify::new(),
        }))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Notify>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that every hook with something due has a task that knows of it.
    async fn start_due(self: &Arc<Self>) -> Result<()> {
        let due = deliveries::due_hooks(&mut self.cx.db.read().await?, self.cx.clock.now()).await?;
        for hook in due {
            let mut running = self.lock();
            if let Some(more) = running.get(&hook) {
                more.notify_one();
                continue;
            }
            let more = Arc::new(Notify::new());
            running.insert(hook.clone(), more.clone());
            drop(running);
            let deliverer = self.clone();
            tokio::spawn(async move {
                if let Err(error) = runner::serve(&deliverer, &hook, &more).await {
                    tracing::error!(hook, ?error, "deliveries of a hook are interrupted");
                    tokio::time::sleep(TICK).await;
                }
                deliverer.lock().remove(&hook);
                deliverer.ended.notify_one();
            });
        }
        Ok(())
    }
}
