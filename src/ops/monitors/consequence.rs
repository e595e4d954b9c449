//! What follows from a run: the report is evidence, somebody is told, and the stage may move back.

use super::{
    super::{
        Context, blobs,
        referrer::{Attach, Recorded, attached},
        rollback,
    },
    Run, baseline, monitor_itself,
    work::Made,
};
use crate::{
    check::{Report, Request, Source, check},
    db::{
        Tx,
        drift_runs::{self as rows, Ended},
        evidence, log,
        monitors::{self, MonitorRow},
        namespaces,
        stages::{self, Entry, Move},
    },
    drift::compare::{Concern, Verdict},
    error::Result,
    model::{
        digest::Digest,
        event::{Change, Drifted},
        evidence::{DRIFT_REPORTS_MAX, DriftReport, DriftVerdict, EvidenceKind, Statement},
        monitor::{Alert, Cause, Compared, OnDrift, RunState, Told},
        promotion::MoveKind,
        version::Version,
    },
    ops::settle,
};
use chrono::{DateTime, Utc};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The version that the stage would go back to, and how it stands with the same data.
pub(super) struct Other {
    target: Entry,
    baseline: Option<Source>,
    /// How its baseline compares with the same data; `None`: it has none.
    compared: Option<Standing>,
    on: BTreeSet<Concern>,
}

/// Whether the stage may go back by this monitor, and to what.
pub(super) async fn other(cx: &Context, monitor: &MonitorRow, there: &Move) -> Result<Option<Other>> {
    if monitor.spec.on_drift != OnDrift::Rollback {
        return Ok(None);
    }
    let (workload, stage) = (&monitor.workload, &monitor.stage);
    let mut tx = cx.db.read().await?;
    let entered = stages::entry_of(&mut tx, workload, stage).await?.unwrap_or(there.number);
    let target = rollback::previous_good(cx, &mut tx, workload, (stage, entered), &there.digest).await?;
    drop(tx);
    let Some(target) = target else { return Ok(None) };
    let baseline = baseline::of(cx, workload, &target.version, &target.digest).await?;
    Ok(Some(Other { target, baseline, compared: None, on: monitor.spec.rollback_on.clone() }))
}

/// The verdicts of columns, and how many of those that matter drifted.
struct Standing {
    verdicts: BTreeMap<String, Verdict>,
    drifted: usize,
}

impl Other {
    pub fn check(mut self, current: &Source, labels: Option<&Source>, request: &Request) -> Result<Self> {
        if let Some(baseline) = &self.baseline {
            let report = check(baseline, current, labels, request)?;
            let drifted = grave(&report, &self.on).count();
            let verdicts = report.run.columns.into_iter().map(|finding| (finding.column, finding.verdict));
            self.compared = Some(Standing { verdicts: verdicts.collect(), drifted });
        }
        Ok(self)
    }
}

/// The columns that drifted and matter.
fn grave<'a>(report: &'a Report, on: &'a BTreeSet<Concern>) -> impl Iterator<Item = &'a str> {
    let drifted = report.run.columns.iter().filter(|finding| finding.verdict == Verdict::Drift);
    drifted.filter(|finding| on.contains(&finding.concern)).map(|finding| finding.column.as_str())
}

impl Standing {
    /// Whether anything is known of a column: one that could not be compared has not drifted, and is no better for that.
    fn tells(&self, column: &str) -> bool {
        matches!(self.verdicts.get(column), Some(Verdict::Ok | Verdict::Warn | Verdict::Drift))
    }
}

/// What is told of.
struct About<'a> {
    monitor: &'a MonitorRow,
    run: &'a Run,
    version: &'a Version,
    digest: &'a Digest,
}

/// Records a run that was made, with everything that follows from it, if it is still ours.
pub(super) async fn record(
    cx: &Arc<Context>,
    monitor: &MonitorRow,
    run: &Run,
    lease: &str,
    made: Made,
) -> Result<()> {
    // It goes with the report, so that it is kept as long as that.
    let profile = match &run.profile {
        Some(digest) => Some((digest.clone(), blobs::stat(cx, &monitor.workload, digest).await?.size)),
        None => None,
    };
    let attach = match (&made.held, &made.report) {
        (Some(held), Some((_, bytes))) => Some(Attach {
            workload: &monitor.workload,
            subject: &held.digest,
            bytes: bytes.clone(),
            media_type: "application/json",
            public_key: None,
            profile: profile.clone(),
        }),
        _ => None,
    };
    if let Some(attach) = &attach {
        attach.put_blobs(cx).await?;
    }
    let mut tx = cx.db.write().await?;
    namespaces::lock_repository(&mut tx, &monitor.workload).await?;
    let (first, latest) = log::lock(&mut tx).await?;
    let now = latest.map_or_else(|| cx.clock.now(), |latest| latest.max(cx.clock.now()));
    // As it is now: somebody may have muted it meanwhile, or taken it away.
    let Some(monitor) = &monitors::by_id(&mut tx, &monitor.id).await? else { return Ok(()) };
    let alert = alert(monitor, run, &made);
    let (mut changes, mut kept) = (Vec::new(), None);
    if let (Some(attach), Some((report, _))) = (&attach, &made.report)
        && is_kept(&mut tx, monitor, run, &made, alert).await?
    {
        let statement = statement(monitor, run, report);
        // In the name of whoever set it up, whose standing gates may ask for.
        for Recorded { evidence, said } in
            attach.write(&mut tx, &monitor.created_by, vec![statement.into()], first, now).await?
        {
            changes.push(attached(&monitor.workload, &evidence, said));
            kept = Some(evidence.digest);
        }
    }
    let report = attach.as_ref().map(|attach| Digest::sha256(&attach.bytes));
    let ended = Ended {
        state: RunState::Done,
        at: now,
        version: made.held.as_ref().map(|held| &held.version),
        digest: made.held.as_ref().map(|held| &held.digest),
        verdict: Some(made.verdict),
        reason: &shortened(&made.reason),
        alert,
        data_rows: made.report.as_ref().map(|(report, _)| count(report.current.rows)),
        drifted: made.report.as_ref().map(|(report, _)| count(report.run.drifted)),
        grave: made
            .report
            .as_ref()
            .map(|(report, _)| grave(report, &monitor.spec.rollback_on).next().is_some()),
        evidence: kept.as_ref(),
        report: report.as_ref(),
    };
    let newest = rows::at(&mut tx, &run.monitor, None).await?;
    if !rows::end(&mut tx, run, lease, &ended).await? {
        return Ok(());
    }
    // What is made up for of the past tells nobody of the present.
    let is_newest =
        run.cause != Cause::Backfill && newest.is_none_or(|newest| newest.window.end <= run.window.end);
    let mut acts = false;
    if let (Some(held), Some(alert), true) = (&made.held, alert, is_newest) {
        let is_on = matches!(alert, Alert::Begun | Alert::Lasts);
        let told = About { monitor, run, version: &held.version, digest: &held.digest };
        changes.extend(tell(&mut tx, &told, &made, is_on, kept, now).await?);
        acts = is_on && !monitor.is_muted(now);
    }
    if !changes.is_empty() {
        log::append(&mut tx, now, &monitor_itself(), changes).await?;
    }
    if acts && let Some(followed) = go_back(cx, &mut tx, monitor, run, &made).await? {
        rows::follow(&mut tx, run, &followed).await?;
    }
    tx.commit().await?;
    settle::settle_workload(cx, &monitor.workload).await;
    Ok(())
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What the run means after those before it that were about the same content; `None`: it cannot tell.
fn alert(monitor: &MonitorRow, run: &Run, made: &Made) -> Option<Alert> {
    let held = made.held.as_ref()?;
    // Of content that came later the data say nothing.
    let tells =
        matches!(made.verdict, Verdict::Ok | Verdict::Warn | Verdict::Drift) && held.at < run.window.end;
    let before = made.past.iter().filter(|past| past.digest == held.digest).map(|past| past.told);
    let this = Told { at: run.window.end, drifted: made.verdict == Verdict::Drift };
    let all: Vec<Told> = before.chain([this]).collect();
    tells.then(|| monitor.spec.hygiene.alert(&all))
}

/// Whether there is room for the report: of very many about one version only the news are kept.
async fn is_kept(
    tx: &mut Tx,
    monitor: &MonitorRow,
    run: &Run,
    made: &Made,
    alert: Option<Alert>,
) -> Result<bool> {
    let Some(held) = &made.held else { return Ok(false) };
    let count = evidence::count(tx, &monitor.workload, &held.digest, EvidenceKind::DriftReport).await?;
    let (all, most) = (usize::try_from(count).unwrap_or(usize::MAX), DRIFT_REPORTS_MAX);
    let is_news = matches!(alert, Some(Alert::Begun | Alert::Ended));
    let fits = all < most / 4 * 3 || is_news && all < most;
    if !fits {
        tracing::warn!(
            monitor = run.monitor,
            "there are too many drift reports of a version to keep this one"
        );
    }
    Ok(fits)
}

fn statement(monitor: &MonitorRow, run: &Run, report: &Report) -> Statement {
    Statement::DriftReport(DriftReport {
        monitor: monitor.name.to_string(),
        verdict: match report.run.verdict {
            Verdict::Drift => DriftVerdict::Drift,
            Verdict::Ok | Verdict::Warn => DriftVerdict::Clear,
            Verdict::NoData | Verdict::InsufficientData | Verdict::Invalid => DriftVerdict::Unclear,
        },
        window: Some(run.window),
        rows: Some(report.current.rows),
        reason: Some(shortened(&report.run.reason)),
    })
}

fn shortened(reason: &str) -> String {
    reason.chars().take(1000).collect()
}

/// The events that say that drift begins or ends; nobody is told twice, and nobody while the monitor is muted.
async fn tell(
    tx: &mut Tx,
    told: &About<'_>,
    made: &Made,
    is_on: bool,
    evidence: Option<Digest>,
    now: DateTime<Utc>,
) -> Result<Vec<Change>> {
    let About { monitor, run, version, digest } = *told;
    let is_known = monitor.told.as_ref() == Some(digest);
    let is_muted = monitor.is_muted(now);
    let columns = made.report.iter().flat_map(|(report, _)| &report.run.columns);
    let drifted = columns.filter(|finding| finding.verdict == Verdict::Drift);
    let drifted = Drifted {
        workload: monitor.workload.clone(),
        stage: monitor.stage.clone(),
        version: version.clone(),
        digest: digest.clone(),
        monitor: monitor.name.clone(),
        window: run.window,
        columns: drifted.take(5).map(|finding| finding.column.clone()).collect(),
        reason: shortened(&made.reason),
        evidence,
    };
    match (is_on, is_known) {
        (true, false) if !is_muted => {
            monitors::set_told(tx, &monitor.id, Some(digest)).await?;
            let mut changes = vec![Change::DriftFound(drifted.clone())];
            // What merely differs from last week says nothing of what the version was made for.
            if monitor.spec.plan()?.reference == Compared::Baseline {
                changes.push(Change::RetrainWanted(drifted));
            }
            Ok(changes)
        }
        (false, _) if !is_muted && monitor.told.is_some() => {
            monitors::set_told(tx, &monitor.id, None).await?;
            Ok(vec![Change::DriftEnded(drifted)])
        }
        _ => Ok(Vec::new()),
    }
}

/// Moves the stage back, if what drifted is grave, the version that would come back fares better with the same data, and nobody
/// has moved the stage since the data. Says what has become of it; `None`: the monitor does not move stages.
async fn go_back(
    cx: &Context,
    tx: &mut Tx,
    monitor: &MonitorRow,
    run: &Run,
    made: &Made,
) -> Result<Option<String>> {
    let (Some(held), Some((report, _))) = (&made.held, &made.report) else { return Ok(None) };
    if monitor.spec.on_drift != OnDrift::Rollback || report.run.verdict != Verdict::Drift {
        return Ok(None);
    }
    let (workload, stage) = (&monitor.workload, &monitor.stage);
    let stays = |why: String| Ok(Some(format!("not moved back: {why}")));
    let current = stages::current(tx, workload, stage).await?;
    // It answers only for data of a time in which it was there throughout.
    let Some(current) = current.filter(|now| now.number == held.number && now.at <= run.window.start) else {
        return stays(format!("{stage} was moved since these data began"));
    };
    // Once: then a person promotes, or allows it again.
    if current.kind == MoveKind::RolledBack && monitor.armed_at.is_none_or(|at| at <= current.at) {
        return stays(format!(
            "{stage} was moved back before, and nobody has promoted or armed the monitor since"
        ));
    }
    let grave: Vec<&str> = grave(report, &monitor.spec.rollback_on).collect();
    if grave.is_empty() {
        return stays("what drifted is no reason to".to_owned());
    }
    let entered = stages::entry_of(tx, workload, stage).await?.unwrap_or(current.number);
    let target = rollback::previous_good(cx, tx, workload, (stage, entered), &current.digest).await?;
    let Some((target, other)) = target.zip(made.other.as_ref()) else {
        return stays("nothing good was there before".to_owned());
    };
    if target.digest != other.target.digest {
        return stays("what would come back has changed meanwhile".to_owned());
    }
    let version = &target.version;
    let Some(compared) = &other.compared else {
        return stays(format!("{version} has no drift baseline"));
    };
    if let Some(column) = grave.iter().find(|column| !compared.tells(column)) {
        return stays(format!("the drift baseline of {version} cannot be compared in {column}"));
    }
    if compared.drifted >= grave.len() {
        return stays(format!("{version} does not fare better with these data"));
    }
    let asked = run.asked_by.as_ref().map(|by| format!(", asked by {by},")).unwrap_or_default();
    let reason = format!("monitor {}{asked} found drift: {}", monitor.name, made.reason);
    let back = rollback::by_itself(cx, tx, "monitor", workload, stage, &shortened(&reason)).await?;
    tracing::warn!(%workload, %stage, from = %back.from, to = %back.to, "rolled back by a monitor");
    Ok(Some(format!("{stage} went back to {}", back.to)))
}
