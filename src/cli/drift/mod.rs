//! `gradus drift`: has what a model is given, or what it answers, changed?

mod baseline;
mod calibrate;
mod check;
mod days;
mod key;
mod monitor;
mod performance;
mod profile;
mod runs;
mod side;
mod signals;

pub(super) use check::blocking;

use super::print::Out;
use crate::client::Client;
use crate::error::{Error, Result};
use clap::Subcommand;

#[derive(Subcommand)]
pub enum Drift {
    /// Keep with a version what its data look like, for later data to be compared with
    Baseline(baseline::Baseline),
    /// Compare data with a reference, and say what drifted (exit code 10: drift found)
    Check(check::Check),
    /// Say how often checks of windows of some size alarm though nothing changed, and what they find
    Calibrate(calibrate::Calibrate),
    /// Describe data to compare with later, without keeping its rows
    Profile(profile::ProfileVerb),
    /// Put the profiles of parts together
    Merge(profile::Merge),
    /// Checks by a schedule: add, list, show, arm, rm
    #[command(subcommand)]
    Monitor(monitor::Monitor),
    /// Show the runs of a monitor
    Runs(runs::Runs),
    /// Show the report of a run
    Report(runs::ReportVerb),
    /// Run a monitor now (exit code 10: drift found)
    RunNow(runs::RunNow),
    /// Push the profile of a window to a monitor that reads no data itself, by whoever may release (exit code 10: drift found)
    Push(runs::Push),
    /// Run a monitor for windows of the past, which tells nobody and moves nothing
    Backfill(runs::Backfill),
    /// Fetch the key that columns which are not to be told are hashed with, to profile them elsewhere
    Key(key::Key),
    /// Let a monitor tell nobody for a while
    Mute(runs::Mute),
}

impl Drift {
    /// Whether it needs no registry.
    pub fn is_offline(&self) -> bool {
        match self {
            Self::Baseline(_)
            | Self::Monitor(_)
            | Self::Runs(_)
            | Self::Report(_)
            | Self::RunNow(_)
            | Self::Backfill(_)
            | Self::Push(_)
            | Self::Key(_)
            | Self::Mute(_) => false,
            Self::Check(check) => check.version.is_none(),
            Self::Calibrate(calibrate) => calibrate.version.is_none(),
            Self::Profile(_) | Self::Merge(_) => true,
        }
    }

    pub async fn run(self, client: Option<&Client>, out: &Out) -> Result<()> {
        match self {
            Self::Baseline(baseline) => baseline.run(needed(client)?, out).await,
            Self::Check(check) => check.run(client, out).await,
            Self::Calibrate(calibrate) => calibrate.run(client, out).await,
            Self::Profile(profile) => profile.run(out).await,
            Self::Merge(merge) => merge.run(out),
            Self::Monitor(monitor) => monitor.run(needed(client)?, out).await,
            Self::Runs(runs) => runs.run(needed(client)?, out).await,
            Self::Report(report) => report.run(needed(client)?, out).await,
            Self::RunNow(run) => run.run(needed(client)?, out).await,
            Self::Key(key) => key.run(needed(client)?, out).await,
            Self::Push(push) => push.run(needed(client)?, out).await,
            Self::Backfill(backfill) => backfill.run(needed(client)?, out).await,
            Self::Mute(mute) => mute.run(needed(client)?, out).await,
        }
    }
}

fn needed(client: Option<&Client>) -> Result<&Client> {
    client.ok_or_else(|| Error::internal("no_registry", "this verb needs a registry"))
}
