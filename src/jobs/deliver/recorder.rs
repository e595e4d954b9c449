//! Records what came of attempts: those that came in while the last transaction was being committed share the next one.

use super::runner::{Served, lease_time};
use crate::{
    db::{
        Tx,
        deliveries::{self, AttemptRow, Due},
        hooks as rows,
    },
    error::{Error, Kind, Result},
    hooks::{Attempt, Verdict},
    model::hook::{DeliveryState, HookState, TEST_LANE},
    ops::{Context, hooks as ops_hooks},
    telemetry::DeliveryLabels,
};
use chrono::{DateTime, Utc};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// Outcomes in one transaction. Lanes stay locked until it ends, and who appends an event to one of them waits.
const BATCH: usize = 32;

/// What could not be recorded for a reason that passes is tried so often in all, with a pause that doubles: one and a half
/// seconds together. After that the lanes wait for their leases to end.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(50);

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

impl Work {
    /// What it is about: a hook, and one of its lanes.
    fn lane(&self) -> (&str, &str) {
        match self {
            Self::Record(outcome, _) => (&outcome.served.hook, &outcome.lane),
            Self::Close(served, lane, _) => (&served.hook, lane),
        }
    }
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
        let recorded = match patiently(&cx, &batch).await {
            Ok(recorded) => recorded,
            Err(error) => {
                tracing::error!(
                    ?error,
                    "what came of deliveries could not be recorded; they will be repeated"
                );
                Recorded::default()
            }
        };
        recorded.tell(&cx);
        let mut nexts = recorded.nexts;
        for (index, work) in batch.drain(..).enumerate() {
            let (Work::Record(_, reply) | Work::Close(_, _, reply)) = work;
            let _ = reply.send(Ok(nexts.remove(&index).unwrap_or(Next::Stop)));
        }
        for stop in recorded.stopping {
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

/// What is known once a transaction is committed.
#[derive(Default)]
struct Recorded {
    /// By index in the batch.
    nexts: BTreeMap<usize, Next>,
    stopping: Vec<Stopping>,
    /// Whether receivers are failing, of whom that is news.
    health: Vec<(Arc<Served>, bool)>,
    dead: u64,
}

impl Recorded {
    fn tell(&self, cx: &Context) {
        cx.metrics.deliveries.get_or_create(&DeliveryLabels { outcome: "dead" }).inc_by(self.dead);
        for (served, is_failing) in &self.health {
            served.health.is_failing.store(*is_failing, Ordering::Relaxed);
        }
    }
}

/// Tries again what failed because the database was busy: otherwise all lanes of the batch wait for their leases to end.
async fn patiently(cx: &Context, batch: &[Work]) -> Result<Recorded> {
    let mut pause = PAUSE;
    for _ in 1..TRIES {
        match commit(cx, batch).await {
            Err(error) if error.kind == Kind::Unavailable => {
                tracing::warn!(?error, "what came of deliveries is recorded a moment later");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            done => return done,
        }
    }
    commit(cx, batch).await
}

async fn commit(cx: &Context, batch: &[Work]) -> Result<Recorded> {
    let mut tx = cx.db.write().await?;
    let until = cx.clock.now() + lease_time(cx);
    let mut recorded = Recorded::default();
    let since = receivers(&mut tx, batch, &mut recorded).await?;
    // In one order on every replica, so that none waits for another in a circle.
    let mut order: Vec<usize> = (0..batch.len()).collect();
    order.sort_by_key(|&index| batch[index].lane());
    for index in order {
        let next = match &batch[index] {
            Work::Record(outcome, _) => {
                let since = since.get(outcome.served.hook.as_str()).copied().flatten();
                record(cx, &mut tx, outcome, until, since, &mut recorded).await?
            }
            Work::Close(served, lane, _) => {
                if deliveries::hold(&mut tx, &served.hook, lane, &served.lease, until).await?.is_some() {
                    leave(cx, &mut tx, &served.hook, lane).await?;
                }
                Next::Stop
            }
        };
        recorded.nexts.insert(index, next);
    }
    tx.commit().await?;
    Ok(recorded)
}

/// Locks the hooks of a batch, and writes down how their receivers do: before any lane is touched, since whoever changes a
/// hook holds its row and then takes its lanes. What a receiver answered is true whoever has the lane meanwhile. Answers
/// since when nothing was delivered to those that fail.
async fn receivers<'a>(
    tx: &mut Tx,
    batch: &'a [Work],
    recorded: &mut Recorded,
) -> Result<BTreeMap<&'a str, Option<DateTime<Utc>>>> {
    let mut since = BTreeMap::new();
    let mut hooks: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for work in batch {
        let outcomes = hooks.entry(work.lane().0).or_default();
        if let Work::Record(outcome, _) = work {
            outcomes.push(outcome);
        }
    }
    for (hook, outcomes) in hooks {
        rows::lock(tx, hook).await?;
        let is_delivered = |outcome: &&&Outcome| outcome.attempt.verdict == Verdict::Delivered;
        if let Some(outcome) = outcomes.iter().find(is_delivered)
            && outcome.served.health.is_failing.load(Ordering::Relaxed)
        {
            rows::recovered(tx, hook).await?;
            recorded.health.push((outcome.served.clone(), false));
        }
        // That a test failed says nothing of what else is sent.
        let failed = outcomes.iter().filter(|outcome| !is_delivered(outcome) && outcome.lane != TEST_LANE);
        if let Some(first) = failed.min_by_key(|outcome| outcome.row.started_at) {
            since.insert(hook, rows::failed(tx, hook, first.row.started_at).await?);
            recorded.health.push((first.served.clone(), true));
        }
    }
    Ok(since)
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
    since: Option<DateTime<Utc>>,
    recorded: &mut Recorded,
) -> Result<Next> {
    let Outcome { served, lane, position, attempt, row, .. } = outcome;
    let hook = &served.hook;
    let Some(state) = deliveries::hold(tx, hook, lane, &served.lease, until).await? else {
        return Ok(Next::Stop); // somebody else has the lane, and will send it again
    };
    let now = cx.clock.now();
    if attempt.verdict == Verdict::Delivered {
        deliveries::record(tx, hook, *position, row, DeliveryState::Delivered, 0, Some(now)).await?;
        return go_on(cx, tx, outcome, state).await;
    }
    let failed = outcome.failed + 1;
    // A test is for who waits for it: it is tried once.
    let may_wait = attempt.verdict == Verdict::Failed && lane != TEST_LANE;
    let count = u32::try_from(failed).unwrap_or(u32::MAX);
    let wait =
        may_wait.then(|| cx.config.hooks.patience().wait(count, jitter(cx), attempt.retry_after)).flatten();
    if let Some(wait) = wait {
        deliveries::record(tx, hook, *position, row, DeliveryState::Pending, failed, None).await?;
        deliveries::release(tx, hook, lane, now + wait).await?;
        return Ok(Next::Stop);
    }
    deliveries::record(tx, hook, *position, row, DeliveryState::Dead, failed, Some(now)).await?;
    recorded.dead += 1;
    // Of a test nothing follows but that the receiver is gone.
    let since = since.filter(|_| lane != TEST_LANE);
    let Some(stopped) = stop(tx, outcome, failed, since).await? else {
        return go_on(cx, tx, outcome, state).await;
    };
    recorded.stopping.push(Stopping {
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
