//! Things that run later. Time comes from tokio-cron-scheduler, used as a ticker only; which replica does a
//! run is decided by a unique row, so a run happens once however many replicas tick.

pub mod deliver;
pub mod drift;
pub mod reads;

use crate::{
    db::{deliveries, garbage::claim_tick, hooks},
    error::{Error, Result},
    model::{access::Actor, name::PrincipalName},
    ops::{
        Context, backup, cards, garbage, hooks as ops_hooks, lineage, reads as ops_reads, retention, scrub,
        settle as ops_settle,
    },
};
use chrono::{DurationRound as _, TimeDelta};
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio_cron_scheduler::{Job, JobScheduler};

/// What can be scheduled.
#[derive(Clone, Copy)]
enum Task {
    Gc,
    Scrub,
    Retention,
}

impl Task {
    fn name(self) -> &'static str {
        match self {
            Self::Gc => "gc",
            Self::Scrub => "scrub",
            Self::Retention => "retention",
        }
    }

    async fn run(self, cx: &Context) -> Result<()> {
        let actor = Actor::local_admin(PrincipalName::local("scheduler"));
        match self {
            Self::Gc => {
                let report = match garbage::collect(cx, &actor, cx.grace(), true).await {
                    Err(error) if error.code == "backup_running" => {
                        tracing::info!(%error, "garbage is left for the next run");
                        return Ok(());
                    }
                    report => report?,
                };
                tracing::info!(
                    bytes = report.bytes,
                    blobs = report.blobs.len(),
                    orphans = report.orphans.len(),
                    stopped = report.stopped,
                    "garbage collected"
                );
            }
            Self::Scrub => {
                let report = scrub::scrub(cx, &actor).await?;
                tracing::info!(checked = report.checked, rotten = report.rotten.len(), "scrubbed");
            }
            Self::Retention => {
                let total = retention::run_all(cx, &actor).await;
                for retention::Failed { scope, versions, error } in &total.failed {
                    tracing::error!(scope, versions, ?error, "retention has failed somewhere");
                }
                let failed = total.failed.len();
                tracing::info!(
                    versions = total.versions,
                    bytes = total.bytes,
                    failed,
                    "retention was applied"
                );
            }
        }
        Ok(())
    }
}

/// Starts the ticker for what the configuration schedules. Keep what it answers: dropping it stops the ticks.
pub async fn start(cx: &Arc<Context>) -> Result<JobScheduler> {
    let schedule = &cx.config.schedule;
    let tasks =
        [(Task::Gc, &schedule.gc), (Task::Scrub, &schedule.scrub), (Task::Retention, &schedule.retention)];
    let wanted: Vec<(Task, String)> =
        tasks.into_iter().filter_map(|(task, cron)| cron.clone().map(|cron| (task, cron))).collect();
    let failed = |source| Error::internal("scheduler", "the scheduler cannot start").source(source);
    let scheduler = JobScheduler::new().await.map_err(failed)?;
    for (task, cron) in wanted {
        let cx = cx.clone();
        let job = Job::new_async(cron.as_str(), move |_, _| {
            let cx = cx.clone();
            Box::pin(async move { tick(&cx, task).await })
        });
        let job = job.map_err(|source| {
            Error::invalid(
                "config_invalid",
                format!("not a cron expression with seconds for {}: {cron}", task.name()),
            )
            .source(source)
            .hint("for example 0 0 3 * * * (every day at three, UTC), below [schedule] in the configuration")
        })?;
        scheduler.add(job).await.map_err(failed)?;
    }
    let context = cx.clone();
    let (cx, turn) = (cx.clone(), Arc::new(Mutex::new(())));
    let settle = Job::new_async(SETTLE, move |_, _| {
        let (cx, turn) = (cx.clone(), turn.clone());
        // A tick that finds the last one still at work has nothing to add.
        Box::pin(async move {
            if let Ok(_turn) = turn.try_lock() {
                settle(&cx).await;
            }
        })
    });
    scheduler.add(settle.map_err(failed)?).await.map_err(failed)?;
    let monitored = context.clone();
    let monitors = Job::new_async(MONITORS, move |_, _| {
        let cx = monitored.clone();
        Box::pin(async move { drift::queue_due(&cx).await })
    });
    scheduler.add(monitors.map_err(failed)?).await.map_err(failed)?;
    let reviewed = context.clone();
    let reviews = Job::new_async(REVIEWS, move |_, _| {
        let cx = reviewed.clone();
        Box::pin(async move { tell_overdue(&cx).await })
    });
    scheduler.add(reviews.map_err(failed)?).await.map_err(failed)?;
    tell_overdue(&context).await;
    let (indexed, turn) = (context.clone(), Arc::new(Mutex::new(())));
    let index = Job::new_async(INDEX, move |_, _| {
        let (cx, turn) = (indexed.clone(), turn.clone());
        Box::pin(async move {
            if let Ok(_turn) = turn.try_lock() {
                record_lineage(&cx).await;
            }
        })
    });
    scheduler.add(index.map_err(failed)?).await.map_err(failed)?;
    let (counted, expiring) = (context.clone(), context);
    let housekeeping = Job::new_async(HOUSEKEEPING, move |_, _| {
        let cx = counted.clone();
        Box::pin(async move {
            look_after_hooks(&cx).await;
            forget_reads(&cx).await;
        })
    });
    scheduler.add(housekeeping.map_err(failed)?).await.map_err(failed)?;
    let expiry = Job::new_async(EXPIRY, move |_, _| {
        let cx = expiring.clone();
        Box::pin(async move {
            if let Err(error) = ops_hooks::give_up_old(&cx).await {
                tracing::error!(?error, "what waits too long for hooks could not be given up");
            }
            backup::finish_purges(&cx).await;
        })
    });
    scheduler.add(expiry.map_err(failed)?).await.map_err(failed)?;
    scheduler.start().await.map_err(failed)?;
    Ok(scheduler)
}

/// How often pending promotions are looked at: a soak may have ended, or one may have waited too long.
const SETTLE: &str = "*/5 * * * * *";

/// How often it is looked which monitors are due.
const MONITORS: &str = "*/5 * * * * *";

/// How often hooks are counted, and what ended or was read long ago is forgotten.
const HOUSEKEEPING: &str = "*/15 * * * * *";

/// How often it is looked whether it is recorded of all versions what they are made of.
const INDEX: &str = "*/5 * * * * *";

/// How often it is looked whether what is to be sent waits too long, and whether purged bytes are left of a backup that was
/// killed.
const EXPIRY: &str = "30 7 * * * *";

/// When it is looked whether reviews of workloads are overdue: they are from the first moment of a day on; what could not be told
/// then is told later.
const REVIEWS: &str = "10 0 * * * *";

/// On every replica, since whoever is first tells.
async fn tell_overdue(cx: &Context) {
    if let Err(error) = cards::tell_overdue(cx).await {
        tracing::error!(?error, "it could not be told which reviews are overdue");
    }
}

/// On every replica, since each shows the numbers and forgetting twice changes nothing.
async fn look_after_hooks(cx: &Context) {
    let work = async {
        let mut tx = cx.db.read().await?;
        cx.metrics.deliveries_pending.set(deliveries::count_pending(&mut tx, None).await?);
        cx.metrics.hooks_paused.set(hooks::count_stopped(&mut tx).await?);
        drop(tx);
        ops_hooks::prune(cx).await
    };
    if let Err(error) = work.await {
        tracing::error!(?error, "hooks could not be looked after");
    }
}

/// On every replica, since recording the same twice changes nothing. It ends soon where the process is to end.
async fn record_lineage(cx: &Context) {
    while !cx.closing.is_cancelled() {
        match lineage::index::catch_up(cx, 1).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => {
                tracing::error!(?error, "what versions are made of could not be recorded");
                return;
            }
        }
    }
}

/// On every replica, since forgetting twice changes nothing.
async fn forget_reads(cx: &Context) {
    if let Err(error) = ops_reads::prune(cx).await {
        tracing::error!(?error, "old reads could not be forgotten");
    }
}

/// On every replica, since judging one twice changes nothing.
async fn settle(cx: &Context) {
    if let Err(error) = ops_settle::settle_due(cx).await {
        tracing::error!(?error, "pending promotions could not be judged");
    }
}

async fn tick(cx: &Context, task: Task) {
    let outcome = async {
        // Clocks of replicas differ a little: runs within one minute are one run.
        let now = cx.clock.now();
        let minute = now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now);
        let mut tx = cx.db.write().await?;
        let ours = claim_tick(&mut tx, task.name(), minute).await?;
        tx.commit().await?;
        if ours { task.run(cx).await } else { Ok(()) }
    };
    if let Err(error) = outcome.await {
        tracing::error!(job = task.name(), ?error, "a scheduled run failed");
    }
}
