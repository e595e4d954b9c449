//! Records what came of attempts: those that came in while the last transaction was being committed share the next one.

use super::runner::{Served, lease_time};
use crate::{
    db::{
        Tx,
        deliveries::{self, AttemptRow, Due},
        hooks,
    },
    error::{Error, Result},
    hooks::{Attempt, Verdict},
    model::hook::{DeliveryState, HookState, TEST_LANE},
    ops::{Context, hooks as ops_hooks},
    telemetry::DeliveryLabels,
};
use chrono::{DateTime, Utc};
use std::sync::{Arc, atomic::Ordering};
use tokio::sync::{mpsc, oneshot};

/// Outcomes in one transaction. Lanes stay locked until it ends, and who appends an event to one of them waits.
const BATCH: usize = 32;

/// What came of an attempt.
pub(super) struct Outcome {
    pub served: Arc<Served>,
    pub lane: String,
    pub position: i64,
    /// Attempts that had failed before.
    pub failed: i64,
    pub attempt: Attempt,
    pub row: AttemptRow,
    /// The lane is given back, whatever there is still to send.
    pub stop: bool,
}

/// What the lane's worker does now.
pub(super) enum Next {
    Send(Due),
    Stop,
}

enum Work {
    Record(Box<Outcome>, oneshot::Sender<Result<Next>>),
    /// A lane with nothing to send.
    Close(Arc<Served>, String, oneshot::Sender<Result<Next>>),
}

pub(super) struct Recorder(mpsc::Sender<Work>);

impl Recorder {
    pub fn start(cx: Arc<Context>) -> Self {
        let (sender, receiver) = mpsc::channel(1024);
        tokio::spawn(run(cx, receiver));
        Self(sender)
    }

    pub async fn record(&self, outcome: Outcome) -> Result<Next> {
        self.ask(|reply| Work::Record(Box::new(outcome), reply)).await
    }

    pub async fn close(&self, served: Arc<Served>, lane: String) -> Result<()> {
        self.ask(|reply| Work::Close(served, lane, reply)).await.map(|_| ())
    }

    async fn ask(&self, work: impl FnOnce(oneshot::Sender<Result<Next>>) -> Work) -> Result<Next> {
        let (reply, answer) = oneshot::channel();
        let ended = || Error::internal("recorder_ended", "what was delivered cannot be recorded any more");
        self.0.send(work(reply)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

async fn run(cx: Arc<Context>, mut work: mpsc::Receiver<Work>) {
    let mut batch = Vec::with_capacity(BATCH);
    while work.recv_many(&mut batch, BATCH).await > 0 {
        let mut stopping = Vec::new();
        match commit(&cx, &batch, &mut stopping).await {
            Ok(nexts) => {
                for (work, next) in batch.drain(..).zip(nexts) {
                    let (Work::Record(_, reply) | Work::Close(_, _, reply)) = work;
                    let _ = reply.send(Ok(next));
                }
            }
            Err(error) => {
                tracing::error!(
                    ?error,
                    "what came of deliveries could not be recorded; they will be repeated"
                );
                for work in batch.drain(..) {
                    let (Work::Record(_, reply) | Work::Close(_, _, reply)) = work;
                    let _ = reply.send(Ok(Next::Stop));
                }
            }
        }
        for stop in stopping {
            let cx = cx.clone();
            // In a transaction of its own: it takes the log's head, which nobody may wait for who holds a lane.
            tokio::spawn(async move {
                if let Err(error) = stop.carry_out(&cx).await {
                    tracing::error!(?error, "a hook could not be stopped");
                }
            });
        }
    }
}

async fn commit(cx: &Context, batch: &[Work], stopping: &mut Vec<Stopping>) -> Result<Vec<Next>> {
    let mut tx = cx.db.write().await?;
    let until = cx.clock.now() + lease_time(cx);
    let mut nexts = Vec::with_capacity(batch.len());
    // In one order on every replica, so that none waits for another in a circle.
    let mut order: Vec<usize> = (0..batch.len()).collect();
    order.sort_by_key(|&index| match &batch[index] {
        Work::Record(outcome, _) => (&outcome.served.hook, &outcome.lane),
        Work::Close(served, lane, _) => (&served.hook, lane),
    });
    for index in order {
        let next = match &batch[index] {
            Work::Record(outcome, _) => record(cx, &mut tx, outcome, until, stopping).await?,
            Work::Close(served, lane, _) => {
                if deliveries::hold(&mut tx, &served.hook, lane, &served.lease, until).await?.is_some() {
                    leave(cx, &mut tx, &served.hook, lane).await?;
                }
                Next::Stop
            }
        };
        nexts.push((index, next));
    }
    tx.commit().await?;
    nexts.sort_by_key(|(index, _)| *index);
    Ok(nexts.into_iter().map(|(_, next)| next).collect())
}

/// Ends a lane, or leaves it to be looked at again now.
async fn leave(cx: &Context, tx: &mut Tx, hook: &str, lane: &str) -> Result<()> {
    match deliveries::next(tx, hook, lane).await? {
        Some(_) => deliveries::release(tx, hook, lane, cx.clock.now()).await,
        None => deliveries::close(tx, hook, lane).await,
    }
}

async fn record(
    cx: &Context,
    tx: &mut Tx,
    outcome: &Outcome,
    until: DateTime<Utc>,
    stopping: &mut Vec<Stopping>,
) -> Result<Next> {
    let Outcome { served, lane, position, attempt, row, .. } = outcome;
    let hook = &served.hook;
    let Some(state) = deliveries::hold(tx, hook, lane, &served.lease, until).await? else {
        return Ok(Next::Stop); // somebody else has the lane, and will send it again
    };
    let now = cx.clock.now();
    if attempt.verdict == Verdict::Delivered {
        deliveries::record(tx, hook, *position, row, DeliveryState::Delivered, 0, Some(now)).await?;
        if served.health.is_failing.swap(false, Ordering::Relaxed) {
            hooks::recovered(tx, hook).await?;
        }
        return go_on(cx, tx, outcome, state).await;
    }
    let failed = outcome.failed + 1;
    let since = if lane == TEST_LANE { None } else { hooks::failed(tx, hook, row.started_at).await? };
    served.health.is_failing.store(true, Ordering::Relaxed);
    // A test is for who waits for it: it is tried once.
    let may_wait = attempt.verdict == Verdict::Failed && lane != TEST_LANE;
    let count = u32::try_from(failed).unwrap_or(u32::MAX);
    let wait = may_wait.then(|| cx.patience().wait(count, jitter(cx), attempt.retry_after)).flatten();
    if let Some(wait) = wait {
        deliveries::record(tx, hook, *position, row, DeliveryState::Pending, failed, None).await?;
        deliveries::release(tx, hook, lane, now + wait).await?;
        return Ok(Next::Stop);
    }
    deliveries::record(tx, hook, *position, row, DeliveryState::Dead, failed, Some(now)).await?;
    cx.metrics.deliveries.get_or_create(&DeliveryLabels { outcome: "dead" }).inc();
    let Some(stopped) = stop(tx, outcome, failed, since).await? else {
        return go_on(cx, tx, outcome, state).await;
    };
    stopping.push(Stopping {
        hook: hook.clone(),
        state: stopped,
        why: attempt.error.clone().unwrap_or_default(),
    });
    // Nothing of the lane goes out until the hook is stopped; if that never happens, others go on after the lease's time.
    let due = if lane == TEST_LANE { now } else { until };
    deliveries::release(tx, hook, lane, due).await?;
    Ok(Next::Stop)
}

/// Whether what was given up says that the hook is to be sent nothing more, and how it stands then.
async fn stop(
    tx: &mut Tx,
    outcome: &Outcome,
    failed: i64,
    since: Option<DateTime<Utc>>,
) -> Result<Option<HookState>> {
    if outcome.attempt.verdict == Verdict::Gone {
        return Ok(Some(HookState::Disabled));
    }
    // Nothing was delivered since before the first attempt of what is given up now: the receiver is down, not the message bad.
    let tried = deliveries::attempts(tx, &outcome.served.hook, outcome.position, failed).await?;
    let down = since.zip(tried.first()).is_some_and(|(since, first)| since <= first.started_at);
    Ok(down.then_some(HookState::Paused))
}

async fn go_on(cx: &Context, tx: &mut Tx, outcome: &Outcome, state: HookState) -> Result<Next> {
    let Outcome { served, lane, .. } = outcome;
    let may_send = state == HookState::Active || lane == TEST_LANE;
    match deliveries::next(tx, &served.hook, lane).await? {
        None => deliveries::close(tx, &served.hook, lane).await?,
        Some(next) if may_send && !outcome.stop => return Ok(Next::Send(next)),
        Some(_) => deliveries::release(tx, &served.hook, lane, cx.clock.now()).await?,
    }
    Ok(Next::Stop)
}

/// From the id of nothing in particular: what failed together need only not come back together.
fn jitter(cx: &Context) -> f64 {
    f64::from(cx.clock.id().as_bytes()[15]) / 256.0
}

/// A hook that is to be sent nothing more for now.
struct Stopping {
    hook: String,
    state: HookState,
    why: String,
}

impl Stopping {
    async fn carry_out(self, cx: &Context) -> Result<()> {
        ops_hooks::stop(cx, &self.hook, self.state, &self.why).await
    }
}
