//! What a change is about: its kind, namespace, workload and stage, and what it names by digest.

use super::{Change, Deployed, Drifted};
use crate::model::{access::EVERYWHERE, digest::Digest, name::Workload, stage::Stage};
use std::sync::LazyLock;

/// Where the bytes are that an event names by digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Names {
    Document,
    Manifest,
}

/// Kinds of events that are about a stage.
pub const STAGED: &[&str] = &[
    "approved",
    "rejected",
    "promoted",
    "promotion_pending",
    "promotion_refused",
    "promotion_ended",
    "rolled_back",
    "ratified",
    "frozen",
    "unfrozen",
    "deployment_running",
    "deployment_unhealthy",
    "deployment_failed",
    "deployment_retired",
    "monitor_added",
    "monitor_removed",
    "monitor_muted",
    "monitor_armed",
    "monitor_failed",
    "drift_found",
    "drift_ended",
    "retrain_wanted",
];

impl Change {
    /// The names of all kinds, as the published schema lists them.
    pub fn kinds() -> impl Iterator<Item = &'static str> {
        static KINDS: LazyLock<Vec<String>> = LazyLock::new(|| {
            let schema = schemars::schema_for!(Change).to_value();
            let variants = schema["oneOf"].as_array().into_iter().flatten();
            let kind = |variant: &serde_json::Value| {
                variant["properties"]["kind"]["const"].as_str().map(str::to_owned)
            };
            variants.filter_map(kind).collect()
        });
        KINDS.iter().map(String::as_str)
    }

    /// The name of the event's kind, as it is written.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NamespaceCreated { .. } => "namespace_created",
            Self::MemberAdded { .. } => "member_added",
            Self::MemberRemoved { .. } => "member_removed",
            Self::UserAdded { .. } => "user_added",
            Self::UserDisabled { .. } => "user_disabled",
            Self::TokenCreated { .. } => "token_created",
            Self::TokenRevoked { .. } => "token_revoked",
            Self::TrustAdded { .. } => "trust_added",
            Self::TrustRemoved { .. } => "trust_removed",
            Self::QuotaSet { .. } => "quota_set",
            Self::QuotaRemoved { .. } => "quota_removed",
            Self::Pushed { .. } => "pushed",
            Self::PushedAgain { .. } => "pushed_again",
            Self::Yanked { .. } => "yanked",
            Self::AliasSet { .. } => "alias_set",
            Self::AliasRemoved { .. } => "alias_removed",
            Self::ManifestPushed { .. } => "manifest_pushed",
            Self::Tagged { .. } => "tagged",
            Self::Untagged { .. } => "untagged",
            Self::ManifestDeleted { .. } => "manifest_deleted",
            Self::BlobUnlinked { .. } => "blob_unlinked",
            Self::BackupBegun { .. } => "backup_begun",
            Self::GarbageCollected { .. } => "garbage_collected",
            Self::BlobQuarantined { .. } => "blob_quarantined",
            Self::BlobRestored { .. } => "blob_restored",
            Self::EvidenceAttached { .. } => "evidence_attached",
            Self::Approved { .. } => "approved",
            Self::Rejected { .. } => "rejected",
            Self::Promoted { .. } => "promoted",
            Self::PromotionPending { .. } => "promotion_pending",
            Self::PromotionRefused { .. } => "promotion_refused",
            Self::PromotionEnded { .. } => "promotion_ended",
            Self::RolledBack { .. } => "rolled_back",
            Self::Ratified { .. } => "ratified",
            Self::PolicyApplied { .. } => "policy_applied",
            Self::WorkloadDescribed { .. } => "workload_described",
            Self::ReviewOverdue { .. } => "review_overdue",
            Self::Frozen { .. } => "frozen",
            Self::Unfrozen { .. } => "unfrozen",
            Self::DeploymentRunning(_) => "deployment_running",
            Self::DeploymentUnhealthy(_) => "deployment_unhealthy",
            Self::DeploymentFailed(_) => "deployment_failed",
            Self::DeploymentRetired(_) => "deployment_retired",
            Self::MonitorAdded { .. } => "monitor_added",
            Self::MonitorRemoved { .. } => "monitor_removed",
            Self::MonitorMuted { .. } => "monitor_muted",
            Self::MonitorArmed { .. } => "monitor_armed",
            Self::MonitorFailed { .. } => "monitor_failed",
            Self::DriftFound(_) => "drift_found",
            Self::DriftEnded(_) => "drift_ended",
            Self::RetrainWanted(_) => "retrain_wanted",
            Self::QuarantineSet(_) => "quarantine_set",
            Self::QuarantineCleared(_) => "quarantine_cleared",
            Self::HookAdded { .. } => "hook_added",
            Self::HookRemoved { .. } => "hook_removed",
            Self::HookRotated { .. } => "hook_rotated",
            Self::HookPaused { .. } => "hook_paused",
            Self::HookDisabled { .. } => "hook_disabled",
            Self::HookResumed { .. } => "hook_resumed",
            Self::HookTested { .. } => "hook_tested",
            Self::HookReplayed { .. } => "hook_replayed",
            Self::HoldSet { .. } => "hold_set",
            Self::HoldCleared { .. } => "hold_cleared",
            Self::PurgeRequested { .. } => "purge_requested",
            Self::PurgeWithdrawn { .. } => "purge_withdrawn",
            Self::Purged { .. } => "purged",
            Self::RetentionSet { .. } => "retention_set",
            Self::RetentionRemoved { .. } => "retention_removed",
            Self::DeletionRequested { .. } => "deletion_requested",
            Self::DeletionWithdrawn { .. } => "deletion_withdrawn",
            Self::WorkloadDeleted { .. } => "workload_deleted",
            Self::NamespaceDeleted { .. } => "namespace_deleted",
            Self::LogRecovered { .. } => "log_recovered",
            Self::EntryLost { .. } => "entry_lost",
        }
    }

    /// The stage the event is about, if it is about one.
    pub fn stage(&self) -> Option<&Stage> {
        match self {
            Self::Approved { stage, .. }
            | Self::Rejected { stage, .. }
            | Self::Promoted { stage, .. }
            | Self::PromotionPending { stage, .. }
            | Self::PromotionRefused { stage, .. }
            | Self::PromotionEnded { stage, .. }
            | Self::RolledBack { stage, .. }
            | Self::Ratified { stage, .. }
            | Self::MonitorAdded { stage, .. }
            | Self::MonitorRemoved { stage, .. }
            | Self::MonitorMuted { stage, .. }
            | Self::MonitorArmed { stage, .. }
            | Self::MonitorFailed { stage, .. } => Some(stage),
            Self::Frozen { stage, .. } | Self::Unfrozen { stage, .. } => stage.as_ref(),
            _ => {
                let drifted = self.drifted().map(|drifted| &drifted.stage);
                drifted.or_else(|| self.deployed().and_then(|deployed| deployed.stage.as_ref()))
            }
        }
    }

    /// What a deployer's report says.
    pub fn deployed(&self) -> Option<&Deployed> {
        match self {
            Self::DeploymentRunning(deployed)
            | Self::DeploymentUnhealthy(deployed)
            | Self::DeploymentFailed(deployed)
            | Self::DeploymentRetired(deployed) => Some(deployed),
            _ => None,
        }
    }

    /// What a monitor found.
    pub fn drifted(&self) -> Option<&Drifted> {
        match self {
            Self::DriftFound(drifted) | Self::DriftEnded(drifted) | Self::RetrainWanted(drifted) => {
                Some(drifted)
            }
            _ => None,
        }
    }

    /// The workload, the namespace or the registry that the event is about.
    fn scope(&self) -> Option<&str> {
        match self {
            Self::PolicyApplied { scope, .. }
            | Self::Frozen { scope, .. }
            | Self::Unfrozen { scope, .. }
            | Self::HookAdded { scope, .. }
            | Self::HookRemoved { scope, .. }
            | Self::HookRotated { scope, .. }
            | Self::HookPaused { scope, .. }
            | Self::HookDisabled { scope, .. }
            | Self::HookResumed { scope, .. }
            | Self::HookTested { scope, .. }
            | Self::HookReplayed { scope, .. }
            | Self::HoldSet { scope, .. }
            | Self::HoldCleared { scope, .. } => Some(scope),
            _ => None,
        }
    }

    /// The namespace whose members may see the event; `None` for registry-wide ones.
    pub fn namespace(&self) -> Option<String> {
        match self {
            Self::NamespaceCreated { namespace, .. }
            | Self::TrustAdded { namespace, .. }
            | Self::TrustRemoved { namespace, .. }
            | Self::RetentionSet { namespace, .. }
            | Self::RetentionRemoved { namespace }
            | Self::NamespaceDeleted { namespace, .. }
            | Self::QuotaSet { namespace, .. }
            | Self::QuotaRemoved { namespace } => Some(namespace.to_string()),
            Self::MemberAdded { namespace, .. } | Self::MemberRemoved { namespace, .. } => {
                (namespace != EVERYWHERE).then(|| namespace.clone())
            }
            Self::QuarantineSet(of) | Self::QuarantineCleared(of) if of.scope != EVERYWHERE => {
                Some(of.scope.clone())
            }
            _ => match self.scope() {
                Some(scope) => {
                    let namespace = scope.split('/').next().unwrap_or_default();
                    (namespace != EVERYWHERE).then(|| namespace.to_owned())
                }
                None => self.workload().map(|workload| workload.namespace().to_string()),
            },
        }
    }

    /// What the event names by digest, as far as the registry must still have it.
    pub fn names(&self) -> Vec<(Names, &Digest)> {
        use Names::{Document, Manifest};
        match self {
            Self::Pushed { digest, .. }
            | Self::PushedAgain { digest, .. }
            | Self::ManifestPushed { digest, .. } => vec![(Manifest, digest)],
            Self::EvidenceAttached { subject, evidence, .. } => {
                vec![(Manifest, subject), (Manifest, evidence)]
            }
            Self::Approved { digest, evidence, .. } | Self::Rejected { digest, evidence, .. } => {
                vec![(Manifest, digest), (Manifest, evidence)]
            }
            Self::Promoted { digest, judgement, .. }
            | Self::PromotionPending { digest, judgement, .. }
            | Self::PromotionRefused { digest, judgement, .. } => {
                vec![(Manifest, digest), (Document, judgement)]
            }
            Self::RolledBack { digest, .. } => vec![(Manifest, digest)],
            Self::Purged { digest, files, .. } => {
                let files = files.iter().map(|files| (Document, files));
                std::iter::once((Manifest, digest)).chain(files).collect()
            }
            Self::DriftFound(drifted) | Self::DriftEnded(drifted) | Self::RetrainWanted(drifted) => {
                let evidence = drifted.evidence.iter().map(|evidence| (Manifest, evidence));
                std::iter::once((Manifest, &drifted.digest)).chain(evidence).collect()
            }
            Self::PurgeRequested { along: Some(list), .. } => vec![(Document, list)],
            Self::PolicyApplied { policy: Some(policy), .. } => vec![(Document, policy)],
            Self::LogRecovered { damage: Some(damage), .. } => vec![(Document, &damage.document)],
            _ => Vec::new(),
        }
    }

    /// The workload the event is about, if it is about one.
    pub fn workload(&self) -> Option<&Workload> {
        match self {
            Self::Pushed { workload, .. }
            | Self::PushedAgain { workload, .. }
            | Self::Yanked { workload, .. }
            | Self::AliasSet { workload, .. }
            | Self::AliasRemoved { workload, .. }
            | Self::EvidenceAttached { workload, .. }
            | Self::Approved { workload, .. }
            | Self::Rejected { workload, .. }
            | Self::Promoted { workload, .. }
            | Self::PromotionPending { workload, .. }
            | Self::PromotionRefused { workload, .. }
            | Self::PromotionEnded { workload, .. }
            | Self::RolledBack { workload, .. }
            | Self::Ratified { workload, .. }
            | Self::ManifestPushed { repository: workload, .. }
            | Self::Tagged { repository: workload, .. }
            | Self::Untagged { repository: workload, .. }
            | Self::ManifestDeleted { repository: workload, .. }
            | Self::BlobUnlinked { repository: workload, .. }
            | Self::MonitorAdded { workload, .. }
            | Self::MonitorRemoved { workload, .. }
            | Self::MonitorMuted { workload, .. }
            | Self::MonitorArmed { workload, .. }
            | Self::MonitorFailed { workload, .. }
            | Self::WorkloadDescribed { workload, .. }
            | Self::ReviewOverdue { workload, .. }
            | Self::PurgeRequested { workload, .. }
            | Self::PurgeWithdrawn { workload, .. }
            | Self::Purged { workload, .. }
            | Self::DeletionRequested { workload, .. }
            | Self::DeletionWithdrawn { workload, .. }
            | Self::WorkloadDeleted { workload, .. } => Some(workload),
            Self::QuarantineSet(of) | Self::QuarantineCleared(of) => of.workload.as_ref(),
            _ => {
                let drifted = self.drifted().map(|drifted| &drifted.workload);
                drifted.or_else(|| self.deployed().map(|deployed| &deployed.workload))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_with_a_stage_are_those_that_have_one() {
        let schema = schemars::schema_for!(Change).to_value();
        let mut staged = Vec::new();
        for variant in schema["oneOf"].as_array().unwrap() {
            let data = &variant["properties"]["data"];
            if data["properties"]["stage"].is_object() {
                staged.push(variant["properties"]["kind"]["const"].as_str().unwrap().to_owned());
            }
        }
        assert_eq!(staged, STAGED);
    }
}
