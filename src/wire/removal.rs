//! Envelopes of holds, purges, retention and deleted names.

use crate::model::{
    digest::Digest,
    name::{Namespace, PrincipalName, Workload},
    removal::PurgeState,
    version::Version,
};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// That a version's content was taken away for good.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PurgedView {
    pub at: DateTime<Utc>,
    pub by: PrincipalName,
    pub reason: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHold {
    /// A namespace, a workload, or a version of one by number or digest.
    pub scope: String,
    pub reason: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClearHold {
    /// The scope it was set on.
    pub scope: String,
    /// Which one, where there are several.
    #[serde(default)]
    pub id: Option<String>,
    pub reason: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct HoldView {
    pub id: String,
    /// A namespace, a workload, or content of one: `acme/x@sha256:…`.
    pub scope: String,
    pub reason: String,
    pub at: DateTime<Utc>,
    pub by: PrincipalName,
}

/// Why something is taken away, or a wish to do so taken back.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    pub reason: String,
}

/// A request to take content away for good, and what has become of it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PurgeView {
    pub id: String,
    pub workload: Workload,
    /// As it was named; all versions of the digest go.
    pub version: Version,
    pub digest: Digest,
    pub state: PurgeState,
    pub reason: String,
    pub requested_at: DateTime<Utc>,
    pub requested_by: PrincipalName,
    /// Until when another admin can carry it out.
    pub expires_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub ended_by: Option<PrincipalName>,
    pub ended_because: Option<String>,
    /// Manifests of the repository that use files of the content or list it, no versions and no evidence, and would go along:
    /// the first hundred; in a list those that the request names.
    #[serde(default)]
    pub along: Vec<TakenAlong>,
    /// How many there are of them.
    #[serde(default)]
    pub along_total: usize,
    /// What was taken away, in the answer to what did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<PurgeDone>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PurgeDone {
    /// All versions of the content.
    pub versions: Vec<Version>,
    /// Manifests of the repository that used files of the content or listed it, and went along: no versions and no evidence.
    #[serde(default)]
    pub manifests: Vec<TakenAlong>,
    /// Of the objects that were deleted at once.
    pub bytes: u64,
    /// Blobs of the content that stay, as others use them.
    pub kept: Vec<KeptBlob>,
    /// What went wrong after it was done.
    pub notes: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TakenAlong {
    pub digest: Digest,
    /// That are on it, or were.
    pub tags: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct KeptBlob {
    pub digest: Digest,
    pub size: u64,
    /// Workloads that use it, as far as the caller may see them.
    pub used_by: Vec<Workload>,
    /// Something else uses it as well.
    pub others: bool,
}

/// What became of the wish to delete a workload.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeletedView {
    pub workload: Workload,
    /// False: something is in its stages still, and it takes another admin.
    pub deleted: bool,
    /// Who asked for it first.
    pub requested_by: Option<PrincipalName>,
    /// Until when another admin can do it.
    pub expires_at: Option<DateTime<Utc>>,
    /// What was purged with it.
    pub versions: Vec<Version>,
    /// Of the objects that were deleted at once.
    pub bytes: u64,
    /// Blobs that stay, as others use them.
    #[serde(default)]
    pub kept: Vec<KeptBlob>,
    /// What went wrong after it was done.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// A request to delete a workload with what is in its stages.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeletionView {
    pub workload: Workload,
    pub reason: String,
    pub requested_at: DateTime<Utc>,
    pub requested_by: PrincipalName,
    /// Until when another admin can carry it out.
    pub expires_at: DateTime<Utc>,
}

/// Versions that were never promoted go when they are older, but for the newest of each workload.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRetention {
    /// 1 to 36500.
    pub older_than_days: i64,
    /// 0 to 1000000.
    pub keep_newest: i64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RetentionView {
    pub namespace: Namespace,
    pub older_than_days: i64,
    pub keep_newest: i64,
    pub set_at: DateTime<Utc>,
    pub set_by: PrincipalName,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunRetention {
    /// False: only say what would go.
    #[serde(default)]
    pub delete: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RetentionRun {
    pub rule: RetentionView,
    /// False for a dry run: nothing was changed.
    pub deleted: bool,
    /// Content that goes, at most a thousand pieces.
    pub going: Vec<GoingView>,
    /// How many versions go.
    pub versions: u64,
    /// Versions that stay, by why: newest, young, promoted, in_stage, aliased, listed (in an OCI index), held, pending,
    /// running; `purged` and `rule_changed` where somebody else was faster; `failed`.
    pub kept: BTreeMap<String, u64>,
    /// Of the objects that were deleted at once.
    pub bytes: u64,
    /// Files of what went that stay, as others use them; at most a thousand.
    #[serde(default)]
    pub files: Vec<KeptBlob>,
    /// What went wrong after it was done.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Where something went wrong. The rest was gone on with.
    #[serde(default)]
    pub failed: Vec<RetentionFailed>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RetentionFailed {
    /// A workload, or the namespace, whose workloads could not be listed.
    pub scope: String,
    /// How many versions stay that would go.
    pub versions: u64,
    /// Of what went wrong first.
    pub code: String,
    pub message: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct GoingView {
    pub workload: Workload,
    pub versions: Vec<Version>,
    pub digest: Digest,
    /// When the youngest of them was pushed.
    pub created_at: DateTime<Utc>,
}
