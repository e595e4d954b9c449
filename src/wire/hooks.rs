//! Envelopes of hooks and their deliveries.

use crate::model::{
    hook::{DeliveryState, HookState, Template},
    name::PrincipalName,
};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHook {
    /// `*`, a namespace or a workload.
    pub scope: String,
    /// `https://…`; `http://…` and `nats://…` where the operator allows the network; `tls://…` for NATS.
    pub url: String,
    /// Which events: `promoted:production,rolled_back:*`.
    pub on: String,
    /// Without it CloudEvents.
    #[serde(default)]
    pub template: Option<Template>,
    /// By what messages are signed: `whsec_…`, or `whsk_…` for Ed25519. Without it one is made.
    #[serde(default)]
    pub secret: Option<String>,
    /// Make an Ed25519 key rather than a shared secret.
    #[serde(default)]
    pub asymmetric: bool,
    /// What the receiver knows the registry by: a token of GitHub, GitLab or NATS.
    #[serde(default)]
    pub token: Option<String>,
    /// GitLab: the branch or tag whose pipeline runs; `main` if nothing is said.
    #[serde(default, rename = "ref")]
    pub git_ref: Option<String>,
    /// NATS: the subject.
    #[serde(default)]
    pub subject: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct HookView {
    pub id: String,
    pub scope: String,
    pub on: String,
    /// Where it sends to, as far as that can be no secret: scheme, host, port, and the first word of a longer path.
    pub to: String,
    pub state: HookState,
    /// Why it is paused or disabled.
    pub reason: Option<String>,
    /// Nothing was delivered since then, and something failed.
    pub failing_since: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub created_by: PrincipalName,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct HookAdded {
    #[serde(flatten)]
    pub hook: HookView,
    /// What signatures are checked by: the secret, or the public key (`whpk_…`). It is not shown again.
    pub verify_by: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct HookDetails {
    #[serde(flatten)]
    pub hook: HookView,
    pub template: Template,
    /// Public keys that signatures are checked by, newest first; none where the secret is shared.
    pub public_keys: Vec<String>,
    /// Until when the secret before is valid too.
    pub rotating_until: Option<DateTime<Utc>>,
    /// Deliveries to be made.
    pub pending: i64,
    /// Deliveries that were given up and can be replayed.
    pub dead: i64,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseHook {
    #[serde(default)]
    pub reason: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct HookTested {
    /// Of the test event: the delivery can be looked up by it.
    pub position: i64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateHook {
    /// Without it one is made.
    #[serde(default)]
    pub secret: Option<String>,
    /// How long the secret before is valid too; 24 if nothing is said.
    #[serde(default)]
    pub keep_hours: Option<i64>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct HookRotated {
    /// What signatures are checked by from now on. It is not shown again.
    pub verify_by: String,
    /// Until when signatures by the secret before are made too.
    pub until: DateTime<Utc>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryView {
    pub hook: String,
    /// Of the event.
    pub position: i64,
    /// `webhook-id` and the CloudEvent's `id`: the same however often it is sent.
    pub id: String,
    /// Of the event.
    pub kind: String,
    /// The workload it is about, within which order is kept.
    pub workload: Option<String>,
    pub state: DeliveryState,
    pub attempts: i64,
    pub queued_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Replayed {
    #[serde(flatten)]
    pub delivery: DeliveryView,
    /// Why it is not sent yet, and the command that lets it be: the hook is paused or disabled.
    pub waits: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryDetails {
    #[serde(flatten)]
    pub delivery: DeliveryView,
    /// The last hundred, oldest first.
    pub tries: Vec<AttemptView>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AttemptView {
    pub number: i64,
    pub at: DateTime<Utc>,
    pub millis: i64,
    /// SHA-256 and size of the body that was sent.
    pub request_digest: String,
    pub request_bytes: i64,
    /// The HTTP status, where there was an answer.
    pub status: Option<i64>,
    /// A stable word, then a sentence. `null`: it was delivered.
    pub error: Option<String>,
    /// SHA-256 and size of what was read of the answer.
    pub answer_digest: Option<String>,
    pub answer_bytes: Option<i64>,
    /// The beginning of the answer, without secrets of the hook.
    pub answer: Option<String>,
}
