//! `gradus drift runs`, `report`, `run-now`, `backfill` and `mute`.

use super::super::{
    argument,
    print::{Out, quoted, time},
};
use crate::{
    check::html,
    client::Client,
    drift::compare::Verdict,
    error::{Error, Result},
    model::monitor::{Alert, MonitorPath, RunState, Schedule, Window, midnight},
    wire,
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use clap::Args;
use std::{path::PathBuf, str::FromStr, time::Duration};

/// How often it is looked whether runs have ended, and how long they are waited for.
const LOOK: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(3600);
/// Past runs that a report shows.
const TREND: usize = 60;

#[derive(Args)]
pub struct Runs {
    /// For example acme/ticket-triage/nightly
    #[arg(value_name = "WORKLOAD/NAME", value_parser = argument::<MonitorPath>)]
    monitor: MonitorPath,
    /// So many of the newest
    #[arg(long, default_value_t = 30)]
    limit: usize,
}

#[derive(Args)]
pub struct ReportVerb {
    /// For example acme/ticket-triage/nightly
    #[arg(value_name = "WORKLOAD/NAME", value_parser = argument::<MonitorPath>)]
    monitor: MonitorPath,
    /// The run whose window ended then, as `gradus drift runs` shows it; without it the newest
    #[arg(long, value_name = "TIME", value_parser = argument::<Moment>)]
    window_end: Option<Moment>,
    /// Write it as one HTML page
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args)]
pub struct RunNow {
    /// For example acme/ticket-triage/nightly
    #[arg(value_name = "WORKLOAD/NAME", value_parser = argument::<MonitorPath>)]
    monitor: MonitorPath,
    /// Only ask for it
    #[arg(long)]
    no_wait: bool,
}

#[derive(Args)]
pub struct Push {
    /// For example acme/ticket-triage/nightly
    #[arg(value_name = "WORKLOAD/NAME", value_parser = argument::<MonitorPath>)]
    monitor: MonitorPath,
    /// A profile, as made by `gradus drift profile` and put together by `gradus drift merge`
    #[arg(value_name = "PROFILE")]
    profile: PathBuf,
    /// The window of a run at this time, or at the beginning of this day of the monitor's zone; without it now
    #[arg(long, value_name = "TIME", value_parser = argument::<Moment>)]
    at: Option<Moment>,
    /// Do not wait for what comes of it
    #[arg(long)]
    no_wait: bool,
}

#[derive(Args)]
pub struct Backfill {
    /// For example acme/ticket-triage/nightly
    #[arg(value_name = "WORKLOAD/NAME", value_parser = argument::<MonitorPath>)]
    monitor: MonitorPath,
    /// From this time on, or this day of the monitor's zone
    #[arg(long, value_name = "TIME", value_parser = argument::<Moment>)]
    from: Moment,
    /// Up to this time, or day, and without it
    #[arg(long, value_name = "TIME", value_parser = argument::<Moment>)]
    to: Moment,
    /// Only ask for them
    #[arg(long)]
    no_wait: bool,
}

#[derive(Args)]
pub struct Mute {
    /// For example acme/ticket-triage/nightly
    #[arg(value_name = "WORKLOAD/NAME", value_parser = argument::<MonitorPath>)]
    monitor: MonitorPath,
    /// For how long: 12h, 3d or 2w
    #[arg(long = "for", value_name = "LENGTH", value_parser = length, required_unless_present = "off")]
    length: Option<TimeDelta>,
    /// Why
    #[arg(short, long, value_name = "TEXT", required_unless_present = "off")]
    message: Option<String>,
    /// Let it speak again
    #[arg(long, conflicts_with = "length")]
    off: bool,
}

/// A time of RFC 3339, or a day, which begins at midnight in the monitor's zone.
#[derive(Clone, Copy)]
enum Moment {
    Time(DateTime<Utc>),
    Day(NaiveDate),
}

impl FromStr for Moment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let time = DateTime::parse_from_rfc3339(text).map(|at| Self::Time(at.to_utc()));
        time.or_else(|_| text.parse().map(Self::Day)).map_err(|_| {
            Error::invalid("time_invalid", "not a day or a time")
                .hint("as 2026-11-25 or 2026-11-25T23:00:00Z")
        })
    }
}

impl Moment {
    async fn of(self, client: &Client, monitor: &MonitorPath) -> Result<DateTime<Utc>> {
        match self {
            Self::Time(at) => Ok(at),
            Self::Day(day) => {
                let spec = client.monitor(monitor).await?.spec;
                Ok(midnight(day, Schedule::new(&spec.every, &spec.zone)?.zone()))
            }
        }
    }
}

fn length(text: &str) -> Result<TimeDelta, String> {
    let wrong = || "a number of hours, days or weeks, as 12h, 3d or 2w".to_owned();
    let (count, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let count: u32 = count.parse().map_err(|_| wrong())?;
    match unit {
        "h" => Ok(TimeDelta::hours(count.into())),
        "d" => Ok(TimeDelta::days(count.into())),
        "w" => Ok(TimeDelta::weeks(count.into())),
        _ => Err(wrong()),
    }
}

impl Runs {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let items = client.drift_runs(&self.monitor, self.limit).await?;
        let page = wire::Page { items, next: None };
        out.data(&page, |out| {
            if !page.items.is_empty() {
                out.table(&HEAD, &page.items.iter().map(row).collect::<Vec<_>>());
            }
        })?;
        if page.items.is_empty() {
            out.note(format!("no run of {} yet", self.monitor));
            let path = quoted(&self.monitor.to_string());
            out.note(format!("next: {}", out.command(&format!("drift run-now {path}"))));
        }
        Ok(())
    }
}

const HEAD: [&str; 6] = ["WINDOW ENDS", "VERDICT", "VERSION", "ROWS", "NEWS", "WHY"];

fn row(it: &wire::RunView) -> Vec<String> {
    let dash = || "-".to_owned();
    let news = match it.alert {
        Some(Alert::Begun) => "drift begins",
        Some(Alert::Lasts) => "drift lasts",
        Some(Alert::Ended) => "drift has ended",
        Some(Alert::Quiet) | None => "-",
    };
    vec![
        time(it.window.end),
        verdict(it),
        it.version.as_ref().map_or_else(dash, ToString::to_string),
        it.rows.map_or_else(dash, |rows| rows.to_string()),
        news.to_owned(),
        [it.reason.clone(), it.followed.clone()].into_iter().flatten().collect::<Vec<_>>().join(" "),
    ]
}

fn verdict(it: &wire::RunView) -> String {
    match (it.state, it.verdict) {
        (RunState::Done, Some(verdict)) => verdict.name().to_owned(),
        (state, _) => state.name().to_owned(),
    }
}

impl ReportVerb {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let end = match self.window_end {
            Some(end) => Some(end.of(client, &self.monitor).await?),
            None => None,
        };
        let details = client.drift_run(&self.monitor, end).await?;
        if let Some(file) = &self.out {
            let report = details.report.as_ref().ok_or_else(|| {
                let why = details.run.reason.clone().unwrap_or_default();
                Error::not_found("report_missing", format!("there is no report of this run: {why}"))
                    .hint(format!("see all runs: gradus drift runs {}", self.monitor))
            })?;
            let past = client.drift_runs(&self.monitor, TREND).await?;
            let window = details.run.window;
            let title =
                format!("Drift of {} from {} to {}", self.monitor, time(window.start), time(window.end));
            super::check::write_page(report, &title, &trend(&past, window), file, out)?;
        }
        out.data(&details, |out| match &details.report {
            Some(report) => super::check::print(report, out),
            None => out.line(format!(
                "{}  {}",
                verdict(&details.run),
                details.run.reason.clone().unwrap_or_default()
            )),
        })
    }
}

/// Past runs up to a window, oldest first.
fn trend(past: &[wire::RunView], until: Window) -> Vec<html::Past> {
    let done = past.iter().rev().filter(|run| run.window.end <= until.end);
    let past = done.filter_map(|run| Some((run.window.end, run.verdict?, run.drifted.unwrap_or(0))));
    past.map(|(end, verdict, drifted)| html::Past {
        end: time(end),
        verdict,
        drifted: drifted.unsigned_abs(),
    })
    .collect()
}

impl RunNow {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let asked = client.run_monitor(&self.monitor, &wire::RunMonitor::default()).await?;
        ended(client, &self.monitor, asked, self.no_wait, out).await
    }
}

impl Push {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let at = match self.at {
            Some(at) => Some(at.of(client, &self.monitor).await?),
            None => None,
        };
        let bytes = super::profile::read(&self.profile)?
            .to_bytes()
            .map_err(|error| Error::too_large("profile_too_large", error.to_string()))?;
        let asked = client.push_profile(&self.monitor, at, bytes).await?;
        ended(client, &self.monitor, vec![asked], self.no_wait, out).await
    }
}

impl Backfill {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let (from, to) =
            (self.from.of(client, &self.monitor).await?, self.to.of(client, &self.monitor).await?);
        let within = Some(Window { start: from, end: to });
        let asked = client.run_monitor(&self.monitor, &wire::RunMonitor { within }).await?;
        if asked.is_empty() {
            out.note("no window of the schedule lies within that time");
        }
        ended(client, &self.monitor, asked, self.no_wait, out).await
    }
}

/// Waits for runs, and shows how they ended; exit code 10: the last one found drift, 1: it could not be made.
async fn ended(
    client: &Client,
    monitor: &MonitorPath,
    asked: Vec<wire::AskedView>,
    no_wait: bool,
    out: &Out,
) -> Result<()> {
    for it in asked.iter().filter(|it| !it.new && !is_waiting(&it.run)) {
        out.note(format!("the window that ends at {} was checked before", time(it.run.window.end)));
    }
    let mut runs: Vec<wire::RunView> = asked.into_iter().map(|it| it.run).collect();
    if !no_wait {
        for run in &mut runs {
            let wait = async {
                while is_waiting(run) {
                    tokio::time::sleep(LOOK).await;
                    *run = client.drift_run(monitor, Some(run.window.end)).await?.run;
                }
                Ok::<_, Error>(())
            };
            tokio::time::timeout(PATIENCE, wait).await.map_err(|_| {
                Error::unavailable("run_slow", "the run has not ended within an hour")
                    .hint(format!("look later: gradus drift runs {monitor}"))
            })??;
        }
    }
    let page = wire::Page { items: runs, next: None };
    out.data(&page, |out| {
        if !page.items.is_empty() {
            out.table(&HEAD, &page.items.iter().map(row).collect::<Vec<_>>());
        }
    })?;
    match page.items.last().map(|run| (run.state, run.verdict)) {
        Some((RunState::Done, Some(Verdict::Drift))) => out.end_with(10),
        Some((RunState::Failed, _)) | Some((RunState::Done, Some(Verdict::Invalid | Verdict::NoData))) => {
            out.end_with(1);
        }
        _ => {}
    }
    Ok(())
}

fn is_waiting(run: &wire::RunView) -> bool {
    matches!(run.state, RunState::Queued | RunState::Running)
}

impl Mute {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        // Of what is too long the registry says how long it may be.
        let end = |length| Utc::now().checked_add_signed(length).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let until = self.length.filter(|_| !self.off).map(end);
        let body = wire::MuteMonitor { until, reason: self.message.unwrap_or_default() };
        let view = client.mute_monitor(&self.monitor, &body).await?;
        let told = match &view.muted {
            Some(mute) => format!("{} tells nobody until {}", self.monitor, time(mute.until)),
            None => format!("{} speaks again", self.monitor),
        };
        out.done(&view, told)
    }
}
