//! `gradus drift`: has what a model is given, or what it answers, changed?

mod check;
mod profile;
mod side;

use super::print::Out;
use crate::error::Result;
use clap::Subcommand;

#[derive(Subcommand)]
pub enum Drift {
    /// Compare data with a reference, and say what drifted (exit code 10: drift found)
    Check(check::Check),
    /// Describe data to compare with later, without keeping its rows
    Profile(profile::ProfileVerb),
    /// Put the profiles of parts together
    Merge(profile::Merge),
}

impl Drift {
    /// Needs no registry.
    pub async fn run_offline(self, out: &Out) -> Result<()> {
        match self {
            Self::Check(check) => check.run(out).await,
            Self::Profile(profile) => profile.run(out).await,
            Self::Merge(merge) => merge.run(out),
        }
    }
}
