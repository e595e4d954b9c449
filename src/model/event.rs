//! Events: everything that can have happened. The log's entries are the canonical JSON bytes made here,
//! stored exactly as made; history, hooks and the audit log all derive from them.

mod about;
mod parts;
#[cfg(test)]
mod tests;

pub use about::{Names, STAGED};
pub use parts::{Deployed, Drifted, LogDamage, LogState, Quarantined};

use super::{
    access::{PrincipalKind, Role, Scope},
    card::{Day, Risk},
    digest::Digest,
    evidence::EvidenceKind,
    kind::{Kind, Tier},
    monitor::{MonitorName, OnDrift, Window},
    name::{Namespace, PrincipalName, Workload},
    promotion::State,
    removal::Authority,
    stage::Stage,
    trust::Conditions,
    version::Version,
};
use crate::error::{Error, Result};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// Largest event in bytes. Documents are stored by digest and only named here.
pub const EVENT_MAX: usize = 32 * 1024;

/// A change. The name of the variant is the event's kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum Change {
    NamespaceCreated {
        namespace: Namespace,
        store: String,
    },
    MemberAdded {
        namespace: String,
        principal: PrincipalName,
        role: Role,
    },
    MemberRemoved {
        namespace: String,
        principal: PrincipalName,
        role: Role,
    },
    UserAdded {
        user: PrincipalName,
        kind: PrincipalKind,
    },
    UserDisabled {
        user: PrincipalName,
    },
    TokenCreated {
        token: String,
        user: PrincipalName,
        label: String,
        scope: Scope,
        expires_at: Option<DateTime<Utc>>,
    },
    TokenRevoked {
        token: String,
        user: PrincipalName,
    },
    /// Identities of an issuer that fit the claims may act in the namespace from now on.
    TrustAdded {
        namespace: Namespace,
        rule: String,
        issuer: String,
        issuer_url: String,
        claims: Conditions,
        roles: Vec<Role>,
        /// The service they act as.
        principal: PrincipalName,
    },
    /// They may no more, and what tokens they were given by the rule have ended.
    TrustRemoved {
        namespace: Namespace,
        rule: String,
        principal: PrincipalName,
    },
    /// What a namespace may have at most from now on; `null`: as much as it wants.
    QuotaSet {
        namespace: Namespace,
        bytes: Option<u64>,
        versions: Option<u64>,
    },
    QuotaRemoved {
        namespace: Namespace,
    },
    Pushed {
        workload: Workload,
        version: Version,
        digest: Digest,
        tier: Tier,
        kind: Kind,
        contract: Digest,
        sequence: i64,
        /// SHA-256 of what resolving answers, as it is kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        document: Option<Digest>,
    },
    /// Somebody else pushed the same content and is its author too.
    PushedAgain {
        workload: Workload,
        version: Version,
        digest: Digest,
    },
    Yanked {
        workload: Workload,
        version: Version,
        digest: Digest,
        reason: String,
    },
    AliasSet {
        workload: Workload,
        alias: String,
        from: Option<Digest>,
        to: Digest,
    },
    AliasRemoved {
        workload: Workload,
        alias: String,
        from: Digest,
    },
    ManifestPushed {
        repository: Workload,
        digest: Digest,
        tag: Option<String>,
    },
    Tagged {
        repository: Workload,
        tag: String,
        digest: Digest,
    },
    Untagged {
        repository: Workload,
        tag: String,
        digest: Digest,
    },
    ManifestDeleted {
        repository: Workload,
        digest: Digest,
    },
    BlobUnlinked {
        repository: Workload,
        digest: Digest,
    },
    /// Somebody takes a copy of all there is.
    BackupBegun {
        backup: String,
    },
    GarbageCollected {
        objects: u64,
        bytes: u64,
    },
    BlobQuarantined {
        store: String,
        digest: Digest,
        found: Option<Digest>,
    },
    BlobRestored {
        store: String,
        digest: Digest,
    },
    EvidenceAttached {
        workload: Workload,
        subject: Digest,
        evidence: Digest,
        /// What kind of evidence.
        about: EvidenceKind,
        /// SHA-256 of what gates read of it, as it is kept beside the exact bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        said: Option<Digest>,
    },
    Approved {
        workload: Workload,
        version: Version,
        digest: Digest,
        stage: Stage,
        rules: Digest,
        evidence: Digest,
        /// SHA-256 of what gates read of it, as it is kept beside the exact bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        said: Option<Digest>,
    },
    Rejected {
        workload: Workload,
        version: Version,
        digest: Digest,
        stage: Stage,
        evidence: Digest,
        reason: String,
        /// SHA-256 of what gates read of it, as it is kept beside the exact bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        said: Option<Digest>,
    },
    /// A stage has moved to a version.
    Promoted {
        workload: Workload,
        version: Version,
        digest: Digest,
        stage: Stage,
        /// The move's number in the history of the stage.
        number: i64,
        from: Option<Version>,
        /// The document with the gates' report and what it was judged on.
        judgement: Digest,
        /// Why an admin insisted against the gates.
        #[serde(rename = "override")]
        overridden: Option<String>,
    },
    PromotionPending {
        workload: Workload,
        version: Version,
        digest: Digest,
        stage: Stage,
        promotion: String,
        judgement: Digest,
        expires_at: DateTime<Utc>,
    },
    PromotionRefused {
        workload: Workload,
        version: Version,
        digest: Digest,
        stage: Stage,
        promotion: String,
        judgement: Digest,
    },
    /// A pending promotion has ended without moving anything.
    PromotionEnded {
        workload: Workload,
        version: Version,
        digest: Digest,
        stage: Stage,
        promotion: String,
        state: State,
        reason: Option<String>,
    },
    RolledBack {
        workload: Workload,
        /// What is in the stage again.
        version: Version,
        digest: Digest,
        stage: Stage,
        number: i64,
        from: Version,
        /// What cannot be promoted there again, at most a hundred of them.
        marked: Vec<Version>,
        reason: String,
    },
    /// Somebody else has looked at an override.
    Ratified {
        workload: Workload,
        version: Version,
        stage: Stage,
        number: i64,
    },
    PolicyApplied {
        /// `*`, a namespace or a workload.
        scope: String,
        number: i64,
        /// `null`: the scope has no policy of its own any more.
        policy: Option<Digest>,
    },
    /// All that is said of a workload from now on.
    WorkloadDescribed {
        workload: Workload,
        owner: Option<String>,
        purpose: Option<String>,
        limits: Option<String>,
        risk: Option<Risk>,
        review_on: Option<Day>,
    },
    /// Nobody has looked at a workload again by the day that was set for it; told once for each day that is set.
    ReviewOverdue {
        workload: Workload,
        review_on: Day,
        owner: Option<String>,
    },
    Frozen {
        scope: String,
        /// `null`: every stage after the first, or the only one.
        stage: Option<Stage>,
        freeze: String,
        until: Option<DateTime<Utc>>,
        reason: String,
    },
    Unfrozen {
        scope: String,
        stage: Option<Stage>,
        freeze: String,
    },
    /// A deployer's report: the version runs there.
    DeploymentRunning(Deployed),
    /// It runs there, and is not healthy.
    DeploymentUnhealthy(Deployed),
    /// It was to run there, and does not.
    DeploymentFailed(Deployed),
    /// The workload does not run there any more.
    DeploymentRetired(Deployed),
    /// A stage is checked for drift from now on.
    MonitorAdded {
        workload: Workload,
        stage: Stage,
        monitor: MonitorName,
        /// When, as cron has it, and in which zone.
        every: String,
        zone: String,
        on_drift: OnDrift,
    },
    MonitorRemoved {
        workload: Workload,
        stage: Stage,
        monitor: MonitorName,
    },
    /// Nobody is told until then, and nothing follows; `null`: it speaks again.
    MonitorMuted {
        workload: Workload,
        stage: Stage,
        monitor: MonitorName,
        until: Option<DateTime<Utc>>,
        reason: String,
    },
    /// It may move the stage back once more.
    MonitorArmed {
        workload: Workload,
        stage: Stage,
        monitor: MonitorName,
    },
    /// Its runs fail; told once, until one does not.
    MonitorFailed {
        workload: Workload,
        stage: Stage,
        monitor: MonitorName,
        window: Window,
        reason: String,
    },
    /// Data have drifted, in as many runs as the monitor asks for.
    DriftFound(Drifted),
    /// They do not any more.
    DriftEnded(Drifted),
    /// They have drifted from what the version was made or measured for: it is time to make another one.
    RetrainWanted(Drifted),
    /// Something is bad: what it is, and everything made from it, is not promoted any more.
    QuarantineSet(Quarantined),
    /// It counts for nothing any more.
    QuarantineCleared(Quarantined),
    HookAdded {
        hook: String,
        /// `*`, a namespace or a workload.
        scope: String,
        /// Where it sends to, as far as that is no secret.
        to: String,
        /// Which events.
        on: String,
    },
    HookRemoved {
        hook: String,
        scope: String,
    },
    /// A new secret signs; the one before is valid for a while.
    HookRotated {
        hook: String,
        scope: String,
        until: DateTime<Utc>,
    },
    /// Deliveries wait until somebody resumes it.
    HookPaused {
        hook: String,
        scope: String,
        reason: String,
    },
    /// Its receiver answered that it is gone for good. Nothing is queued for it any more.
    HookDisabled {
        hook: String,
        scope: String,
        reason: String,
    },
    HookResumed {
        hook: String,
        scope: String,
    },
    /// Goes to that hook only, whatever it listens to.
    HookTested {
        hook: String,
        scope: String,
    },
    /// A delivery is sent once more.
    HookReplayed {
        hook: String,
        scope: String,
        /// Of the event that is delivered again.
        delivery: i64,
    },
    /// What it covers must not be taken away.
    HoldSet {
        /// A namespace, a workload, or content of one: `acme/x@sha256:…`.
        scope: String,
        hold: String,
        reason: String,
    },
    HoldCleared {
        scope: String,
        hold: String,
        reason: String,
    },
    /// An admin wants content taken away for good; it takes another one.
    PurgeRequested {
        workload: Workload,
        version: Version,
        digest: Digest,
        purge: String,
        reason: String,
        expires_at: DateTime<Utc>,
        /// A document, a JSON array: the digests of other manifests that would go along.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        along: Option<Digest>,
    },
    PurgeWithdrawn {
        workload: Workload,
        version: Version,
        digest: Digest,
        purge: String,
        reason: String,
    },
    /// The content of versions was taken away for good. Their names, digest, evidence and events stay.
    Purged {
        workload: Workload,
        /// All of this content, at most a hundred of them in one event.
        versions: Vec<Version>,
        digest: Digest,
        reason: String,
        /// Of what nothing else needed.
        bytes: u64,
        /// By what right.
        authority: Authority,
        /// The other admin, whose reason it is.
        requested_by: Option<PrincipalName>,
        /// What the one said who confirmed it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confirmed: Option<String>,
        /// A document, a JSON array: the digests of the files that are not taken in again, under whatever name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        files: Option<Digest>,
    },
    /// Versions of the namespace that were never promoted go by this rule.
    RetentionSet {
        namespace: Namespace,
        older_than_days: i64,
        keep_newest: i64,
    },
    RetentionRemoved {
        namespace: Namespace,
    },
    /// An admin wants a workload deleted with what is in its stages; it takes another one.
    DeletionRequested {
        workload: Workload,
        reason: String,
        expires_at: DateTime<Utc>,
    },
    DeletionWithdrawn {
        workload: Workload,
        reason: String,
    },
    /// The name is never given again.
    WorkloadDeleted {
        workload: Workload,
        reason: String,
        /// The other admin, whose reason it is, where something was in its stages.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        requested_by: Option<PrincipalName>,
        /// What the one said who confirmed it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confirmed: Option<String>,
    },
    NamespaceDeleted {
        namespace: Namespace,
        reason: String,
    },
    /// An admin has accepted a log that is not the one a kept checkpoint knew. The first entry of a new epoch.
    LogRecovered {
        epoch: u64,
        /// What the log was known to be.
        known: LogState,
        /// What there was instead.
        found: LogState,
        /// Entries that were known of and are not there; nothing where the log went another way.
        gap: Option<u64>,
        /// What was wrong inside, and accepted too.
        damage: Option<LogDamage>,
        reason: String,
    },
    /// In the place of an entry that was missing when damage was accepted.
    EntryLost {
        epoch: u64,
    },
}

/// One entry of the log. Its position is its place in commit order, from 0 without gaps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Event {
    pub position: i64,
    /// UTC, always with six decimals, so that a reader of the API can make the stored bytes again.
    #[serde(serialize_with = "micros")]
    #[schemars(with = "DateTime<Utc>")]
    pub at: DateTime<Utc>,
    pub actor: PrincipalName,
    #[serde(flatten)]
    pub change: Change,
}

fn micros<S: serde::Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time_text(at))
}

/// A time as events have it.
pub fn time_text(at: &DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

impl Event {
    /// The exact bytes of the entry: JSON with sorted keys, no white space, UTC time with six decimals.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let invalid = |source| {
            Error::internal("event_encoding", "an event could not be written as JSON").source(source)
        };
        let value = serde_json::to_value(self).map_err(invalid)?;
        let bytes = serde_json::to_vec(&value).map_err(invalid)?;
        if bytes.len() > EVENT_MAX {
            return Err(Error::too_large(
                "event_too_large",
                format!("the event of this change has {} bytes", bytes.len()),
            )
            .hint(format!("at most {EVENT_MAX}; shorten the text that came with it")));
        }
        Ok(bytes)
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|source| {
            Error::internal("event_encoding", "a stored event cannot be read").source(source)
        })
    }
}
