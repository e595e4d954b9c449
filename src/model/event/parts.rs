//! What several events say, or what is too much for one line of them.

use crate::model::{
    deployment::Target,
    digest::Digest,
    monitor::{MonitorName, Window},
    name::Workload,
    stage::Stage,
    version::Version,
};
use serde::{Deserialize, Serialize};

/// What a deployer says of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(inline)]
pub struct Deployed {
    pub workload: Workload,
    pub target: Target,
    /// The stage it follows; `null`: it was put there by version.
    pub stage: Option<Stage>,
    pub version: Version,
    pub digest: Digest,
    /// What was said last of its health, if anything was.
    pub healthy: Option<bool>,
    /// Where a person sees more of it.
    pub url: Option<String>,
    pub message: Option<String>,
}

/// What a monitor found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(inline)]
pub struct Drifted {
    pub workload: Workload,
    /// The stage that is checked, and what was in it.
    pub stage: Stage,
    pub version: Version,
    pub digest: Digest,
    pub monitor: MonitorName,
    pub window: Window,
    /// What drifted most, at most five columns.
    pub columns: Vec<String>,
    /// In a sentence.
    pub reason: String,
    /// The report, where it was kept.
    pub evidence: Option<Digest>,
}

/// A state of the log: its epoch, how many entries, and the root over them in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LogState {
    pub epoch: u64,
    pub size: u64,
    pub root: String,
}

/// Damage that was accepted: where it begins, what was found there, and the document with all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LogDamage {
    pub position: u64,
    pub found: String,
    pub document: Digest,
}
