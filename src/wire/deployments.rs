//! Envelopes of deployments.

use super::governance::{PromotionView, RolledBackView};
use crate::model::{
    deployment::{Status, Target},
    digest::Digest,
    name::{PrincipalName, Workload},
    stage::Stage,
    version::Version,
};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What runs on a target now.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportDeployment {
    /// The TAG or digest of the version. A stage stands for what it holds now, and the target follows it; without a
    /// word the last one.
    #[serde(default)]
    pub version: Option<String>,
    /// The stage the target follows, where `version` is not one.
    #[serde(default)]
    pub stage: Option<Stage>,
    /// A target is retired with what it had, whatever version is named.
    pub status: Status,
    /// How it fares. Without it what was said before holds; what failed is not healthy.
    #[serde(default)]
    pub healthy: Option<bool>,
    /// Where a person sees more of it.
    #[serde(default)]
    pub url: Option<String>,
    #[serde(default)]
    pub message: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeploymentView {
    pub workload: Workload,
    pub target: Target,
    /// The stage it follows; `null`: it was put there by version.
    pub stage: Option<Stage>,
    pub version: Version,
    pub digest: Digest,
    pub status: Status,
    /// When this content was first reported there.
    pub since: DateTime<Utc>,
    /// What runs there, as far as was said: this version, or what ran before a rollout that failed; `null`: nothing.
    pub running: Option<RunningView>,
    /// When the status became what it is.
    pub status_since: DateTime<Utc>,
    pub healthy: Option<bool>,
    pub healthy_since: Option<DateTime<Utc>>,
    pub url: Option<String>,
    pub message: Option<String>,
    pub reported_at: DateTime<Utc>,
    pub reported_by: PrincipalName,
    /// What its stage holds.
    pub desired: Option<Desired>,
    /// Since when the target has not been what its stage asks for; `null`: it is.
    pub differs_since: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunningView {
    pub version: Version,
    pub digest: Digest,
    pub since: DateTime<Utc>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Desired {
    pub version: Version,
    pub digest: Digest,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReportedView {
    #[serde(flatten)]
    pub deployment: DeploymentView,
    /// False: nothing in it was new, and no event tells of it.
    pub changed: bool,
    /// Its health, kept as evidence about the version.
    pub evidence: Option<Digest>,
    /// True: its health should have been kept, but there is as much evidence about the version as is taken. Gates go by what
    /// was kept before.
    #[serde(default)]
    pub evidence_full: bool,
    /// The stage went back by its policy.
    pub rolled_back: Option<RolledBackView>,
    /// Promotions that went through by it.
    pub promoted: Vec<PromotionView>,
    /// The position of the first event that tells of it.
    pub position: Option<i64>,
}
