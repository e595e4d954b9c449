//! Envelopes of lineage, of finding versions by it, and of quarantine.

use crate::model::{
    digest::Digest,
    kind::Tier,
    lineage::{Relation, RootKind},
    name::{PrincipalName, Workload},
    stage::Stage,
    version::Version,
};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A version, and where it is in use now.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FoundView {
    pub workload: Workload,
    pub version: Version,
    pub digest: Digest,
    pub tier: Tier,
    pub created_at: DateTime<Utc>,
    pub yanked: bool,
    /// Its content was taken away for good.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub purged: bool,
    /// The stages it is in now.
    pub stages: Vec<Stage>,
    /// How many targets run it, as their deployers report.
    pub targets: i64,
}

/// What a version is made of, and what is made of it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct LineageView {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<LineageTree>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<LineageTree>,
}

/// What can be come to from the first node, as far as the caller may see.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct LineageTree {
    pub nodes: Vec<LineageNode>,
    pub edges: Vec<LineageEdge>,
    /// There is more: it goes deeper than was asked for, or there are too many.
    pub cut: bool,
    /// How many versions there are among the nodes, and of how many workloads.
    pub versions: usize,
    pub workloads: usize,
}

/// A version, or what is none here: a base model, a dataset, a template, a file.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct LineageNode {
    /// As a reference, or as others name it.
    pub name: String,
    /// What it is to those that are made of it; `null`: a version.
    pub relation: Option<Relation>,
    /// Of its manifest, or of its content where that is known.
    pub digest: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<FoundView>,
    /// Targets that run the version, at most a hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub running_on: Vec<String>,
    /// Who resolved, pulled or rendered the version within thirty days, at most twenty; for auditors of its namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readers: Vec<PrincipalName>,
}

/// One node is made of another.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct LineageEdge {
    /// The place in `nodes` of what is used.
    pub from: usize,
    /// And of what is made of it.
    pub to: usize,
    pub relation: Relation,
}

/// One of them is meant.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuarantineOf {
    /// A version, for example `acme/ticket-triage:1.4.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// A base model: as versions name it, with or without the revision, or a digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// A dataset: its name or its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// The digest of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    pub reason: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct QuarantineView {
    pub id: String,
    /// `*` or a namespace.
    pub scope: String,
    pub root: RootKind,
    /// Of a version the digest of its manifest.
    pub value: String,
    /// Of a version: how it was named.
    pub reference: Option<String>,
    pub reason: String,
    pub at: DateTime<Utc>,
    pub by: PrincipalName,
    /// How many versions it hits, in the answer to what set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hits: Option<i64>,
    /// How many are not hit although they have the same files as some that are, or were made from them: those who say what
    /// is in the files say so in another namespace. In the answer to what set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alike: Option<i64>,
    /// There are more than were counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    pub cleared_at: Option<DateTime<Utc>>,
    pub cleared_by: Option<PrincipalName>,
    pub cleared_because: Option<String>,
}
