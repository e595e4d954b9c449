//! Envelopes of evidence, policies, promotions and stages.

use super::{cards::CardView, deployments::DeploymentView};
use crate::{
    gates::{FreezeWindow, Quarantine, QuarantineRule, Report, Rule},
    model::{
        access::Role,
        digest::Digest,
        evidence::{Decision, Evidence, EvidenceKind},
        kind::Tier,
        name::{PrincipalName, Workload},
        promotion::{MoveKind, State},
        stage::Stage,
        version::Version,
    },
};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Promote {
    /// The TAG or digest of the version.
    pub version: String,
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
    /// Why to do it against the gates; takes an admin.
    #[serde(default, rename = "override")]
    pub overriding: Option<String>,
    /// Refuse unless the stage holds this version now.
    #[serde(default)]
    pub expect: Option<Version>,
}

/// An attempt to move a stage, and how it was judged.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PromotionView {
    pub id: String,
    pub workload: Workload,
    pub version: Version,
    pub digest: Digest,
    pub stage: Stage,
    pub state: State,
    /// What is in the stage while it waits, or was before it moved; not told of an attempt that has ended.
    pub from: Option<Version>,
    /// The move's number in the history of the stage, in the answer to what moved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// It went through against its gates.
    pub overridden: bool,
    /// False for a dry run, and where the version was in the stage already.
    pub recorded: bool,
    /// The position of the last event that tells of it, if it was recorded.
    pub position: Option<i64>,
    pub requested_by: PrincipalName,
    pub requested_at: DateTime<Utc>,
    /// When a pending one is given up.
    pub expires_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub ended_by: Option<PrincipalName>,
    pub reason: Option<String>,
    pub report: Report,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    /// The TAG or digest of the version.
    pub version: String,
    #[serde(default)]
    pub message: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DecidedView {
    pub workload: Workload,
    pub version: Version,
    pub digest: Digest,
    pub stage: Stage,
    pub decision: Decision,
    pub evidence: Digest,
    /// The position of the event that tells of it.
    pub position: Option<i64>,
    /// False: the same was said before.
    pub created: bool,
    /// Promotions that went through by it.
    pub promoted: Vec<PromotionView>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// An earlier version; without it the previous good one.
    #[serde(default)]
    pub to: Option<Version>,
    pub reason: String,
    #[serde(default)]
    pub dry_run: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RolledBackView {
    pub workload: Workload,
    pub stage: Stage,
    pub from: Version,
    pub to: Version,
    pub digest: Digest,
    /// The move's number in the history of the stage.
    pub number: i64,
    /// The position of the event that tells of it; `null` for a dry run.
    pub position: Option<i64>,
    /// What cannot be promoted there again without an override, at most a hundred of them.
    pub marked: Vec<Version>,
    pub dry_run: bool,
}

/// One step in the history of a stage.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct MoveView {
    pub stage: Stage,
    /// Counts from 1, without gaps.
    pub number: i64,
    pub kind: MoveKind,
    pub version: Version,
    pub digest: Digest,
    pub from: Option<Version>,
    pub at: DateTime<Utc>,
    pub by: PrincipalName,
    pub reason: Option<String>,
    /// The position of the event that tells of it.
    pub position: i64,
    pub ratified_by: Option<PrincipalName>,
    pub ratified_at: Option<DateTime<Utc>>,
    /// What the gates said; a rollback asks none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct StatusView {
    pub workload: Workload,
    /// From first to last.
    pub stages: Vec<StageView>,
    pub pending: Vec<PendingView>,
    /// Overrides that nobody else has looked at yet.
    pub unratified: Vec<MoveView>,
    /// What is said of the workload; `null`: nothing yet.
    #[serde(default)]
    pub card: Option<CardView>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct StageView {
    pub stage: Stage,
    /// The move that brought there what is there now.
    pub current: Option<MoveView>,
    /// What is there was yanked since.
    pub yanked: bool,
    /// What in quarantine it is, or is made from.
    #[serde(default)]
    pub quarantined: Vec<Quarantine>,
    pub freezes: Vec<FrozenView>,
    /// The targets that follow it, at most a hundred, those first that do not run what it holds.
    pub deployments: Vec<DeploymentView>,
    /// How many targets follow it.
    #[serde(default)]
    pub targets: i64,
    /// How many of them run what it holds.
    #[serde(default)]
    pub targets_running: i64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct FrozenView {
    pub from: DateTime<Utc>,
    pub until: Option<DateTime<Utc>>,
    pub reason: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PendingView {
    #[serde(flatten)]
    pub promotion: PromotionView,
    /// The caller can do something about it: approve or reject.
    pub for_you: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AttachedView {
    pub workload: Workload,
    pub version: Version,
    pub evidence: Vec<AttachedEvidence>,
    /// Promotions that went through by it.
    pub promoted: Vec<PromotionView>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AttachedEvidence {
    /// False: the same person attached the same before.
    pub created: bool,
    #[serde(flatten)]
    pub evidence: Evidence,
}

/// What holds for a scope.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PolicyView {
    /// `*`, a namespace or a workload.
    pub scope: String,
    pub stages: Vec<Stage>,
    pub ranges_from: Option<Stage>,
    pub pending_days: u32,
    pub rollback: Vec<Role>,
    /// What becomes of what is in quarantine, beside that it is not promoted.
    #[serde(default)]
    pub quarantine: QuarantineRule,
    pub freezes: Vec<FreezeWindow>,
    pub rules: BTreeMap<Tier, BTreeMap<Stage, Rule>>,
    /// The policies it is made of, farthest first.
    pub levels: Vec<PolicyLevel>,
    /// What was applied to the scope itself, newest first.
    pub applied: Vec<AppliedView>,
    /// The scope's own policy, as it was applied.
    pub text: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PolicyLevel {
    pub scope: String,
    pub digest: Digest,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AppliedView {
    pub number: i64,
    /// `null`: it was taken away.
    pub digest: Option<Digest>,
    pub at: DateTime<Utc>,
    pub by: PrincipalName,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PolicyApplied {
    pub scope: String,
    pub digest: Digest,
    /// False: it held already.
    pub changed: bool,
}

/// What a policy would have said of a recorded promotion.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PolicyTested {
    pub id: String,
    pub workload: Workload,
    pub version: Version,
    pub stage: Stage,
    pub state: State,
    pub requested_at: DateTime<Utc>,
    pub then: Report,
    /// `null`: the policy has no rule for it.
    pub now: Option<Report>,
    pub changed: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct GateView {
    pub name: String,
    pub summary: String,
    /// Evidence without which it never passes.
    pub asks_for: Option<EvidenceKind>,
    /// JSON Schema of its parameters.
    pub parameters: Value,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFreeze {
    /// Without it every stage after the first, or the only one.
    #[serde(default)]
    pub stage: Option<Stage>,
    /// Without it until somebody lifts it.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
    pub reason: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct FreezeView {
    pub id: String,
    pub scope: String,
    pub stage: Option<Stage>,
    pub at: DateTime<Utc>,
    pub by: PrincipalName,
    pub until: Option<DateTime<Utc>>,
    pub reason: String,
}
