//! How a run stands.

use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Why there is a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Schedule,
    /// Somebody asked for it.
    Now,
    /// Somebody asked for windows of the past.
    Backfill,
    /// Somebody pushed the profile of its data.
    Pushed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    Queued,
    Running,
    Done,
    /// It could not be made, as often as it was tried.
    Failed,
}

impl Cause {
    const NAMES: [(Self, &'static str); 4] = [
        (Self::Schedule, "schedule"),
        (Self::Now, "now"),
        (Self::Backfill, "backfill"),
        (Self::Pushed, "pushed"),
    ];

    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(it, _)| *it == self).map_or("", |(_, name)| name)
    }
}

impl RunState {
    const NAMES: [(Self, &'static str); 4] = [
        (Self::Queued, "queued"),
        (Self::Running, "running"),
        (Self::Done, "done"),
        (Self::Failed, "failed"),
    ];

    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(it, _)| *it == self).map_or("", |(_, name)| name)
    }
}

impl FromStr for Cause {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::NAMES.into_iter().find(|(_, name)| *name == text).map(|(it, _)| it);
        known.ok_or_else(|| Error::invalid("run_cause", "not a cause of a run"))
    }
}

impl FromStr for RunState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::NAMES.into_iter().find(|(_, name)| *name == text).map(|(it, _)| it);
        known.ok_or_else(|| Error::invalid("run_state", "not a state of a run"))
    }
}
