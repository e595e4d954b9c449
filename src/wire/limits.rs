//! Who read what.

use crate::model::{
    digest::Digest,
    name::{Namespace, PrincipalName, Workload},
    read::How,
    version::Version,
};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
