//! Envelopes of what is said of workloads, and of the inventory.

use super::governance::{FrozenView, PromotionView};
use crate::{
    gates::Quarantine,
    model::{
        card::{Day, Part, Risk},
        digest::Digest,
        kind::{Kind, Tier},
        monitor::MonitorName,
        name::{PrincipalName, Workload},
        promotion::MoveKind,
        stage::Stage,
        version::Version,
    },
};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is to be said of a workload; what is not given stays.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetCard {
    /// Who answers for it: a team or an address, in one line.
    #[serde(default)]
    pub owner: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub purpose: Option<String>,
    /// What it is not to be used for, and where it is known to fail.
    #[serde(default)]
    pub limits: Option<String>,
    #[serde(default)]
    pub risk: Option<Risk>,
    /// The last day on which it may be looked at again.
    #[serde(default)]
    pub review_on: Option<Day>,
    /// What is not to be said any more.
    #[serde(default)]
    pub clear: Vec<Part>,
}

/// What is said of a workload.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct CardView {
    pub workload: Workload,
    pub owner: Option<String>,
    pub purpose: Option<String>,
    pub limits: Option<String>,
    pub risk: Option<Risk>,
    /// The last day on which it may be looked at again.
    pub review_on: Option<Day>,
    /// For how many days that has been over; `null`: it is not.
    pub overdue_days: Option<i64>,
    /// When it was said; `null`: nothing is said yet.
    pub set_at: Option<DateTime<Utc>>,
    pub set_by: Option<PrincipalName>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct CardSetView {
    #[serde(flatten)]
    pub card: CardView,
    /// Promotions that went through by it.
    pub promoted: Vec<PromotionView>,
}

/// A workload, as an examiner asks for it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct InventoryView {
    #[serde(flatten)]
    pub card: CardView,
    pub versions: i64,
    /// The newest version that is not yanked.
    pub newest: Option<Version>,
    /// The last stage of its line.
    pub stage: Option<Stage>,
    /// What is in it; `null`: nothing has entered it.
    pub current: Option<InUseView>,
    /// What is in the other stages, in their order.
    pub stages: Vec<HeldView>,
    /// Promotions that wait.
    pub pending: i64,
    /// Overrides that nobody else has looked at.
    pub unratified: i64,
    /// Targets that run it or should.
    pub targets: i64,
    /// Those that run any version of it.
    pub targets_running: i64,
    /// Those that are not healthy.
    pub targets_unhealthy: i64,
    /// Those that do not run what the stage they follow holds.
    pub targets_drifted: i64,
    pub monitors: i64,
    /// Monitors that have told of drift which has not ended.
    pub drifting: Vec<MonitorName>,
    /// What keeps versions out of the last stage now.
    pub freezes: Vec<FrozenView>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct HeldView {
    pub stage: Stage,
    pub version: Version,
}

/// What is in the last stage of a workload, and how it came there.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct InUseView {
    pub version: Version,
    pub digest: Digest,
    pub tier: Tier,
    pub kind: Kind,
    pub base: Option<String>,
    /// As its newest model card has it.
    pub licence: Option<String>,
    pub since: DateTime<Utc>,
    pub by: PrincipalName,
    /// Its gates passed, they were overridden, or the stage was rolled back to it.
    pub how: MoveKind,
    /// Of an override or a rollback.
    pub reason: Option<String>,
    /// Who else has looked at the override.
    pub ratified_by: Option<PrincipalName>,
    /// Whose last word on this content for the stage is yes.
    pub approvers: Vec<PrincipalName>,
    /// It was yanked since.
    pub yanked: bool,
    /// What in quarantine it is, or is made from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantined: Vec<Quarantine>,
}
