//! Requests and answers of `/v1`, shared by the server and the client. Values that mean something on their
//! own live in `model`; here are only their envelopes. All are published in `schemas/openapi.json`.

mod cards;
mod deployments;
mod governance;
mod hooks;
mod limits;
mod lineage;
mod monitors;
mod removal;
mod trust;

pub use cards::*;
pub use deployments::*;
pub use governance::*;
pub use hooks::*;
pub use limits::*;
pub use lineage::*;
pub use monitors::*;
pub use removal::*;
pub use trust::*;

use crate::{
    gates::Quarantine,
    kinds::Inspection,
    model::{
        access::{PrincipalKind, Role, Scope},
        artifact::{Dataset, File},
        contract::Diff,
        digest::Digest,
        event::LogState,
        kind::{Kind, Tier},
        name::{Namespace, PrincipalName, Workload},
        resolution::Document,
        version::{Bump, Version},
    },
};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::BTreeMap;

/// One page of a list.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(bound(deserialize = "T: DeserializeOwned"))]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Give it as `cursor` to get the next page. `null`: this is the last.
    pub next: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNamespace {
    pub name: Namespace,
    /// A configured store; without it the default one.
    #[serde(default)]
    pub store: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct NamespaceView {
    pub name: Namespace,
    pub store: String,
    pub region: String,
    pub created_at: DateTime<Utc>,
    pub created_by: PrincipalName,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct MemberView {
    pub principal: PrincipalName,
    pub role: Role,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    pub name: PrincipalName,
    pub kind: PrincipalKind,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct UserView {
    pub name: PrincipalName,
    pub kind: PrincipalKind,
    pub disabled: bool,
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// For whom; without it for the caller. For others it takes an admin.
    #[serde(default)]
    pub user: Option<PrincipalName>,
    #[serde(default)]
    pub label: String,
    #[serde(default)]
    pub scope: Scope,
    /// Days until it expires, at most 366.
    pub days: i64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TokenView {
    pub id: String,
    pub user: PrincipalName,
    pub label: String,
    pub scope: Scope,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TokenCreated {
    /// The token itself. It is shown here and never again.
    pub token: String,
    pub info: TokenView,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Whoami {
    pub principal: PrincipalName,
    pub kind: PrincipalKind,
    /// By namespace; `*` is the whole registry.
    pub roles: BTreeMap<String, Vec<Role>>,
    pub scope: Scope,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Asks what need not be sent.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Present {
    /// File sizes in bytes, of each file that is to be sent: refused where the namespace's quota has no room for those that
    /// no file of it has (see `needs`). Answered are those that some file of the namespace has: worth hashing first.
    #[serde(default)]
    pub sizes: Vec<u64>,
    /// Answered are those the workload's repository can use now.
    #[serde(default)]
    pub digests: Vec<Digest>,
    /// Files that are to be sent and whose digests are known: refused where there is no room for them (see `needs`).
    /// Answered are those that need room: where the namespace has a quota, those it does not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PresentFile>,
    /// What is to come altogether, where that is not these files for one version: refused where there is no room for it, while
    /// `sizes` and `files` are only asked about. So the sum over several calls, workloads and versions of a namespace can be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<PresentNeeds>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PresentNeeds {
    /// Of files that the namespace does not have.
    pub bytes: u64,
    /// That are to be made.
    pub versions: u64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PresentFile {
    pub digest: Digest,
    pub size: u64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVersion {
    /// Refuse unless the files are of this tier.
    #[serde(default)]
    pub tier: Option<Tier>,
    /// Files whose bytes were uploaded to the repository.
    pub files: Vec<File>,
    /// `{"input": SCHEMA, "output": SCHEMA}`; without it the version before's is taken over.
    #[serde(default)]
    pub contract: Option<Value>,
    /// The prompt that goes with an adapter or weights; without it the version before's is taken over.
    #[serde(default)]
    pub prompt: Option<File>,
    #[serde(default)]
    pub base: Option<String>,
    #[serde(default)]
    pub datasets: Vec<Dataset>,
    /// Uploaded files that say something about it, such as SLSA provenance: each is read as evidence and recorded with
    /// the version; where one is wrong, no version is made.
    #[serde(default)]
    pub evidence: Vec<Digest>,
    /// An explicit version. Without it, and without `bump`, the contract's change decides.
    #[serde(default)]
    pub version: Option<Version>,
    #[serde(default)]
    pub bump: Option<Bump>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VersionView {
    pub workload: Workload,
    pub version: Version,
    pub digest: Digest,
    pub tier: Tier,
    pub kind: Kind,
    pub contract_digest: Digest,
    /// Of the entry of the log that binds workload, version and digest; its proof is the registry's attestation.
    pub position: Option<i64>,
    pub sequence: i64,
    pub revision: String,
    pub created_at: DateTime<Utc>,
    pub created_by: PrincipalName,
    /// Why it was withdrawn, if it was.
    pub yanked: Option<String>,
    /// Its content was taken away for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purged: Option<PurgedView>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PushedView {
    /// False: the content was a version already; that one is answered.
    pub created: bool,
    pub version: VersionView,
    /// How the contract differs from the version before.
    pub diff: Option<Diff>,
    /// What the registry did on its own, or noticed.
    pub notes: Vec<String>,
    pub inspection: Inspection,
    /// What was recorded of the evidence that came with it.
    pub evidence: Vec<AttachedEvidence>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct WorkloadView {
    pub workload: Workload,
    pub versions: i64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ShowView {
    #[serde(flatten)]
    pub version: VersionView,
    pub aliases: Vec<String>,
    /// What in quarantine it is, or is made from.
    #[serde(default)]
    pub quarantined: Vec<Quarantine>,
    pub files: Vec<File>,
    /// What resolving answers; nothing of what was purged.
    #[serde(flatten)]
    pub document: Option<Document>,
    pub inspection: Inspection,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DiffView {
    pub from: VersionView,
    pub to: VersionView,
    pub contract: Diff,
    pub added: Vec<File>,
    pub removed: Vec<File>,
    pub changed: Vec<ChangedFile>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ChangedFile {
    pub before: File,
    pub after: File,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetAlias {
    /// The TAG or digest of the version it shall name, within the same workload.
    pub to: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AliasView {
    pub alias: String,
    pub version: Version,
    pub digest: Digest,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Yank {
    pub reason: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Render {
    /// Must satisfy the version's input schema.
    pub input: Value,
    /// The model the messages are for; without it the prompt's defaults.
    #[serde(default)]
    pub model: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectGarbage {
    /// Hours something must have been unused; without it as configured.
    #[serde(default)]
    pub grace_hours: Option<u32>,
    /// False: only say what would go.
    #[serde(default)]
    pub delete: bool,
}

/// A backup that is being taken.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BackupView {
    pub id: String,
    /// Until then garbage collection is held for it, unless that is renewed.
    pub held_until: DateTime<Utc>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct GarbageView {
    pub deleted: bool,
    pub links: u64,
    pub blobs: u64,
    pub uploads: u64,
    pub orphans: u64,
    /// Bytes of the objects among them.
    pub bytes: u64,
    /// Why it stopped before the end, if it did.
    #[serde(default)]
    pub stopped: Option<String>,
}

/// That an entry is in the log, for a reader who has the log's public key and nothing else.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct LogProof {
    pub position: u64,
    /// The entry's exact bytes, which are JSON.
    pub entry: String,
    /// In the format `c2sp.org/tlog-proof@v1`.
    pub proof: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct LogConsistency {
    /// RFC 6962, 2.1.2; base64.
    pub hashes: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyLog {
    /// A checkpoint kept from before: the log must have been in that state.
    #[serde(default)]
    pub checkpoint: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct LogReport {
    pub size: u64,
    /// The root over these entries, base64.
    pub root: String,
    /// Epochs after the first.
    #[serde(default)]
    pub epochs: Vec<LogEpoch>,
    /// `null`: the log is what it was.
    pub first_bad: Option<BadEntry>,
}

/// An epoch of the log: a state of it that was accepted, and goes on from there.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct LogEpoch {
    pub epoch: u64,
    /// The position of the entry that began it.
    pub first: u64,
    pub by: PrincipalName,
    pub at: DateTime<Utc>,
    pub reason: String,
    /// What the log was known to be.
    pub known: LogState,
    /// Entries that were known of and are not there; nothing where the log went another way, so that nobody can tell.
    pub gap: Option<u64>,
    /// Damage that was accepted with it.
    pub damage: Option<BadEntry>,
}

/// Begins a new epoch of the log, after an old backup was restored.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecoverLog {
    /// The last checkpoint that was kept.
    pub checkpoint: String,
    pub reason: String,
    /// Also accept entries that were changed or are missing, and go on with them as they are.
    #[serde(default)]
    pub accept_damage: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct LogRecovered {
    pub epoch: u64,
    /// The position of the entry that begins it.
    pub position: u64,
    /// Entries that were known of and are not there; nothing where the log went another way, so that nobody can tell.
    pub gap: Option<u64>,
    pub damage: Option<BadEntry>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct BadEntry {
    pub position: u64,
    pub reason: String,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scrub {
    /// Also rebuild the map from digests to objects out of the objects.
    #[serde(default)]
    pub reindex: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScrubView {
    pub checked: u64,
    pub bytes: u64,
    pub rotten: Vec<RottenView>,
    pub restored: Vec<Digest>,
    pub reindexed: u64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RottenView {
    pub store: String,
    pub digest: Digest,
    /// What the stored bytes hash to; `null` if they are gone or cut short.
    pub found: Option<Digest>,
    /// Versions that need it, at most ten.
    pub versions: Vec<String>,
}

/// An error as RFC 9457 puts it. `code` is stable; programs go by it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub code: String,
    pub detail: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    pub request_id: String,
}
