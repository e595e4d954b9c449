//! `gradus drift monitor`: scheduled checks of a stage.

use super::super::{
    argument,
    print::{Out, quoted, time},
};
use super::baseline;
use super::check::blocking;
use super::performance::PerformanceArgs;
use super::side::Chosen;
use super::signals::SignalsArgs;
use crate::{
    check::{Windows, calibrate},
    client::Client,
    drift::compare::{Concern, Options},
    error::{Error, Result},
    model::{
        monitor::{Hygiene, Misfire, MonitorName, MonitorPath, OnDrift, Spec, Window},
        name::Workload,
        reference::{Reference, Selector},
        stage::Stage,
    },
    wire,
};
use chrono::{TimeDelta, Utc};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use std::collections::BTreeSet;

/// Drawn from a baseline to tell how often nothing would be called drift.
const WINDOWS: u64 = 1_000;
const WINDOWS_MAX: u64 = 50_000;
/// So many false alarms are looked for, as the rarest of all cannot be told from none.
const FALSE_MIN: f64 = 3.0;

#[derive(Subcommand)]
pub enum Monitor {
    /// Check a stage for drift by a schedule
    Add(Box<Add>),
    /// List the monitors of a workload
    List {
        #[arg(value_parser = argument::<Workload>)]
        workload: Workload,
    },
    /// Show a monitor
    Show {
        /// For example acme/ticket-triage/nightly
        #[arg(value_name = "WORKLOAD/NAME", value_parser = argument::<MonitorPath>)]
        monitor: MonitorPath,
    },
    /// Let a monitor move its stage back once more, though nobody has promoted since it was moved back
    Arm {
        #[arg(value_name = "WORKLOAD/NAME", value_parser = argument::<MonitorPath>)]
        monitor: MonitorPath,
    },
    /// Take a monitor away; what it reported stays
    Rm {
        #[arg(value_name = "WORKLOAD/NAME", value_parser = argument::<MonitorPath>)]
        monitor: MonitorPath,
    },
}

#[derive(Args)]
pub struct Add {
    /// How it is called within the workload, for example nightly
    #[arg(value_parser = argument::<MonitorName>)]
    name: MonitorName,
    /// The stage to check, for example acme/ticket-triage:production
    #[arg(long, value_name = "REFERENCE", value_parser = argument::<Reference>)]
    on: Reference,
    /// When, as cron has it: minute hour day month weekday
    #[arg(long, value_name = "CRON")]
    every: String,
    /// The time zone of the schedule and of whole days
    #[arg(long = "tz", value_name = "ZONE", default_value = "UTC")]
    zone: String,
    /// Where the data are, as s3://logs/triage/dt={date}/*.parquet, or files without a server; {date} stands for a day of the
    /// window, {date:%H} and such for other forms of it; or pushed: profiles of the data are, by gradus drift push
    #[arg(long, value_name = "URL")]
    source: String,
    /// Of which time: 1d is the last whole day of the zone, 24h the last 24 hours
    #[arg(long, value_name = "LENGTH", default_value = "1d")]
    window: String,
    /// Compare with: baseline (of the version in the stage), trailing:7d, or same-phase:1w
    #[arg(long, default_value = "baseline")]
    reference: String,
    /// What follows from drift, besides that it is told: notify, block or rollback
    #[arg(long, value_parser = argument::<OnDrift>, default_value = "notify")]
    on_drift: OnDrift,
    /// What must have drifted for the stage to move back
    #[arg(long, value_name = "WHAT", value_enum, value_delimiter = ',', default_values = ["violations", "health", "performance"])]
    rollback_on: Vec<ConcernName>,
    /// Minutes to wait for data that come late
    #[arg(long, value_name = "MINUTES", default_value_t = 0)]
    grace: u32,
    /// What to do about runs that were missed: coalesce (the newest only), catch-up or skip
    #[arg(long, value_parser = argument::<Misfire>, default_value = "coalesce")]
    misfire: Misfire,
    /// Tell only where so many of the last runs found drift: 2/3
    #[arg(long, value_name = "K/N", value_parser = k_of_n, default_value = "1/1")]
    drifted: (u32, u32),
    /// So many runs in a row without drift end it
    #[arg(long, value_name = "RUNS", default_value_t = 2)]
    clear_after: u32,
    /// After drift has ended, tell of none for so long
    #[arg(long, value_name = "HOURS", default_value_t = 0)]
    cooldown: u32,
    /// The share of false ones among all alarms that is accepted; gradus drift calibrate says which gives one in three months
    #[arg(long, default_value_t = 0.05)]
    alpha: f64,
    /// Choose alpha so that windows of so many rows give at most one false alarm in three months, as drawn from the baseline of
    /// the version in the stage; what goes up and down by the day is no part of that
    #[arg(long, value_name = "ROWS", conflicts_with = "alpha")]
    one_false_page_a_quarter: Option<u64>,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    performance: PerformanceArgs,
    #[command(flatten)]
    signals: SignalsArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum ConcernName {
    /// What a model is given or answers
    Data,
    /// Answers that break a rule
    Violations,
    /// Latency, failed and repeated attempts that are more than they were
    Health,
    /// How good the answers are
    Performance,
}

impl From<ConcernName> for Concern {
    fn from(name: ConcernName) -> Self {
        match name {
            ConcernName::Data => Self::Data,
            ConcernName::Violations => Self::Violations,
            ConcernName::Health => Self::Health,
            ConcernName::Performance => Self::Performance,
        }
    }
}

fn k_of_n(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    parts.ok_or_else(|| "write K/N, for example 2/3".to_owned())
}

impl Monitor {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        match self {
            Self::Add(add) => add.run(client, out).await,
            Self::List { workload } => list(client, &workload, out).await,
            Self::Show { monitor } => {
                let view = client.monitor(&monitor).await?;
                out.data(&view, |out| show(&view, out))
            }
            Self::Arm { monitor } => {
                let view = client.arm_monitor(&monitor).await?;
                out.done(&view, format!("{monitor} may move {}:{} back once more", view.workload, view.stage))
            }
            Self::Rm { monitor } => {
                client.remove_monitor(&monitor).await?;
                out.done(&json!({ "removed": monitor.to_string() }), format!("removed monitor {monitor}"))
            }
        }
    }
}

impl Add {
    async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let reference = &self.on;
        let stage: Stage = match &reference.selector {
            Selector::Stage(stage) => stage.clone(),
            // A policy may name stages of its own.
            Selector::Alias(name) => name.as_str().parse()?,
            _ => {
                let message = format!("a monitor is of a stage, which this does not name: {reference}");
                let hint = format!("for example {}:production", reference.workload);
                return Err(Error::invalid("monitor_stage", message).hint(hint));
            }
        };
        let workload = reference.workload.clone();
        let (name, reference, rows) = (self.name.clone(), self.on.clone(), self.one_false_page_a_quarter);
        let mut spec = self.spec()?;
        if let Some(rows) = rows {
            spec.options.alpha = calibrated(client, &reference, &spec, rows, out).await?;
            let alpha = spec.options.alpha;
            out.note(format!("alpha is {alpha:.2e}: at most one false alarm in three months"));
        }
        let new = wire::NewMonitor { name, stage, spec };
        let view = client.add_monitor(&workload, &new).await?;
        out.data(&view, |out| show(&view, out))?;
        let path = quoted(&format!("{}/{}", view.workload, view.name));
        out.note(format!("try it now: {}", out.command(&format!("drift run-now {path}"))));
        Ok(())
    }

    fn spec(self) -> Result<Spec> {
        let (performance, labels) = self.performance.performance()?;
        if labels.len() > 1 {
            return Err(Error::invalid("monitor_labels", "a monitor has one place of labels")
                .hint("use {date} and * in --labels"));
        }
        Ok(Spec {
            every: self.every,
            zone: self.zone,
            source: self.source,
            window: self.window,
            reference: self.reference,
            on_drift: self.on_drift,
            rollback_on: self.rollback_on.into_iter().map(Concern::from).collect(),
            grace_minutes: self.grace,
            misfire: self.misfire,
            hygiene: Hygiene {
                drifted: self.drifted.0,
                of: self.drifted.1,
                clear_after: self.clear_after,
                cooldown_hours: self.cooldown,
            },
            options: Options { alpha: self.alpha, bins: self.chosen.bins()?, ..Options::default() },
            types: self.chosen.types.into_iter().collect(),
            columns: self.chosen.columns.into_iter().collect(),
            ignore: self.chosen.ignore.into_iter().collect(),
            sensitive: self.chosen.sensitive.into_iter().collect(),
            performance,
            signals: self.signals.signals()?,
            labels: labels.into_iter().next(),
        })
    }
}

/// The largest alpha by which windows of so many rows give at most one false alarm in three months.
async fn calibrated(
    client: &Client,
    reference: &Reference,
    spec: &Spec,
    rows: u64,
    out: &Out,
) -> Result<f64> {
    let plan = spec.plan()?;
    let schedule = &plan.schedule;
    let window = plan.window(Utc::now());
    // Days of one length are taken to have as many rows.
    let against = plan.reference_of(window).map(|reference| {
        let seconds = |window: Window| (window.end - window.start).num_seconds().max(1) as f64;
        (rows as f64 * seconds(reference) / seconds(window)).round().max(1.0) as u64
    });
    let (from, until) = (Utc::now(), Utc::now() + TimeDelta::days(30));
    let times = std::iter::successors(schedule.next(from), |at| schedule.next(*at));
    // A window is checked once, however often the schedule comes to it.
    let windows: BTreeSet<_> = times.take_while(|at| *at <= until).map(|at| plan.window(at).end).collect();
    let runs_per_month = windows.len().max(1) as f64;
    // So many that some may be false, and a thousand at least.
    let count = ((3.0 * FALSE_MIN * runs_per_month).ceil() as u64).max(WINDOWS);
    if count > WINDOWS_MAX {
        let why = format!("{runs_per_month} runs a month are too many to find out how rarely one is false");
        return Err(Error::invalid("monitor_calibration", why).hint("run it less often, or give --alpha"));
    }
    let (source, request) = (baseline::fetch(client, reference).await?, spec.request());
    let windows = Windows { rows, against, count, runs_per_month, details: false };
    let calibration = blocking(move || calibrate(&source, &request, windows)).await?;
    if let Some(wanted) = against.filter(|wanted| *wanted > calibration.against_rows) {
        out.note(format!(
            "told from windows against {} rows, as there are no more to draw from, instead of {wanted}",
            calibration.against_rows
        ));
    }
    calibration.alpha_for_one_a_quarter.ok_or_else(|| {
        let why = format!("so many of {count} windows were called drift that no alpha is small enough");
        Error::invalid("monitor_calibration", why).hint("watch fewer columns, or run it less often")
    })
}

async fn list(client: &Client, workload: &Workload, out: &Out) -> Result<()> {
    let items = client.monitors(workload).await?;
    let page = wire::Page { items, next: None };
    out.data(&page, |out| {
        if page.items.is_empty() {
            return;
        }
        let head = ["NAME", "STAGE", "EVERY", "WINDOW", "AGAINST", "ON DRIFT", "NEXT RUN", ""];
        out.table(&head, &page.items.iter().map(row).collect::<Vec<_>>());
    })?;
    if page.items.is_empty() {
        out.note(format!("no drift monitor watches {workload}"));
        out.note(format!("next: {}", out.command("drift monitor add --help")));
    }
    Ok(())
}

fn row(it: &wire::MonitorView) -> Vec<String> {
    vec![
        it.name.to_string(),
        it.stage.to_string(),
        format!("{} ({})", it.spec.every, it.spec.zone),
        it.spec.window.clone(),
        it.spec.reference.clone(),
        it.spec.on_drift.to_string(),
        it.due_at.map_or_else(|| "never".to_owned(), time),
        state(it),
    ]
}

fn state(it: &wire::MonitorView) -> String {
    let drifting = it.drifting.as_ref().map(|digest| format!("found drift of {}", digest.short()));
    let muted = it.muted.as_ref().filter(|mute| mute.until > chrono::Utc::now());
    let muted = muted.map(|mute| format!("muted until {} by {}: {}", time(mute.until), mute.by, mute.reason));
    [drifting, muted].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn show(it: &wire::MonitorView, out: &Out) {
    out.line(format!("{}/{} watches {}:{}", it.workload, it.name, it.workload, it.stage));
    out.line(format!(
        "  every {} ({}), next at {}",
        it.spec.every,
        it.spec.zone,
        it.due_at.map_or_else(|| "no time".to_owned(), time)
    ));
    out.line(format!("  data of {} at {}", it.spec.window, it.spec.source));
    out.line(format!("  against {}, on drift: {}", it.spec.reference, it.spec.on_drift));
    let state = state(it);
    if !state.is_empty() {
        out.line(format!("  {state}"));
    }
}
