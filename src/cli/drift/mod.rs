//! `gradus drift`: has what a model is given, or what it answers, changed?

mod baseline;
mod calibrate;
mod check;
mod performance;
mod profile;
mod side;

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
}

impl Drift {
    /// Whether it needs no registry.
    pub fn is_offline(&self) -> bool {
        match self {
            Self::Baseline(_) => false,
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
        }
    }
}

fn needed(client: Option<&Client>) -> Result<&Client> {
    client.ok_or_else(|| Error::internal("no_registry", "this verb needs a registry"))
}
