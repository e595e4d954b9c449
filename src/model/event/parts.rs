//! What several events say, or what is too much for one line of them.

use crate::model::{deployment::Target, digest::Digest, name::Workload, stage::Stage, version::Version};
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
