//! What several events say, or what is too much for one line of them.

use crate::model::{
    deployment::Target,
    digest::Digest,
    lineage::RootKind,
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

/// What is in quarantine, or was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(inline)]
pub struct Quarantined {
    pub quarantine: String,
    /// Where it holds: `*` or a namespace.
    pub scope: String,
    pub root: RootKind,
    /// Its name; of a version the digest of its manifest.
    pub value: String,
    /// Of a version: how it was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<Workload>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    pub reason: String,
    /// How many versions it hit when it was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hits: Option<i64>,
    /// There were more than were counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl std::fmt::Display for Quarantined {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.workload, &self.version) {
            (Some(workload), Some(version)) => write!(out, "{workload}:{version}"),
            _ if self.value.is_empty() => write!(out, "a {} of another namespace", self.root.name()),
            _ => write!(out, "{} {}", self.root.name(), self.value),
        }
    }
}
