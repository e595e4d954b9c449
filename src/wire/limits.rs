//! What namespaces may have and have, and who read what.

use crate::model::{
    digest::Digest,
    name::{Namespace, PrincipalName, Workload},
    read::How,
    version::Version,
};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sets what is named and leaves the other as it is; at least one is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetQuota {
    /// Of all different files of the namespace.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// Of all its workloads together.
    #[serde(default)]
    pub versions: Option<u64>,
}

/// What a namespace may have, and what it has.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct QuotaView {
    pub namespace: Namespace,
    /// `null`: as many as it wants.
    pub bytes: Option<u64>,
    /// `null`: as many as it wants.
    pub versions: Option<u64>,
    pub set_at: Option<DateTime<Utc>>,
    pub set_by: Option<PrincipalName>,
    pub used: UsageView,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct UsageView {
    /// That were ever made.
    pub versions: u64,
    /// Different files.
    pub blobs: u64,
    /// Of these files. This is what counts.
    pub bytes: u64,
    /// Of those that no other namespace has that the caller may see.
    pub own_bytes: u64,
    /// Of those that such others have too, which lie in the store once.
    pub shared_bytes: u64,
    /// Of uploads that have not ended, as far as they have come.
    pub uploading_bytes: u64,
}

/// Reads within one minute that are the same in who, what, how and from where.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReadView {
    /// Of the first.
    pub at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    pub times: u64,
    pub principal: PrincipalName,
    pub workload: Workload,
    /// `null`: of a file that several versions have.
    pub version: Option<Version>,
    /// Of the version's manifest, or of the file.
    pub digest: Digest,
    pub how: How,
    /// `local`: without a server.
    pub address: String,
}

/// Reads that could not be kept.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReadsMissing {
    pub namespace: Namespace,
    pub at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    pub times: u64,
}

/// A page of the access log.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReadsView {
    /// Newest first.
    pub items: Vec<ReadView>,
    /// Give it as `cursor` to get the next page. `null`: this is the last.
    pub next: Option<String>,
    /// When reads are missing, in the time that was asked for; the newest hundred.
    pub missing: Vec<ReadsMissing>,
}
