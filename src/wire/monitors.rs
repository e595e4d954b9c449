//! Envelopes of drift monitors and their runs.

use crate::{
    check::Report,
    drift::compare::Verdict,
    model::{
        digest::Digest,
        monitor::{Alert, Cause, MonitorName, RunState, Spec, Window},
        name::{PrincipalName, Workload},
        stage::Stage,
        version::Version,
    },
};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMonitor {
    pub name: MonitorName,
    /// The stage that is checked.
    pub stage: Stage,
    pub spec: Spec,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct MonitorView {
    pub workload: Workload,
    pub name: MonitorName,
    pub stage: Stage,
    pub spec: Spec,
    /// When it runs next; `null`: never again.
    pub due_at: Option<DateTime<Utc>>,
    /// The content of which it was told that it drifts, until it is told that this has ended.
    pub drifting: Option<Digest>,
    pub muted: Option<MuteView>,
    /// When somebody allowed it to move the stage back once more.
    pub armed_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub created_by: PrincipalName,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct MuteView {
    pub until: DateTime<Utc>,
    pub by: PrincipalName,
    pub reason: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MuteMonitor {
    /// Until when nobody is told and nothing follows; `null`: it speaks again.
    pub until: Option<DateTime<Utc>>,
    #[serde(default)]
    pub reason: String,
}

/// Without a time the window that ends now.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunMonitor {
    /// The windows of the schedule that lie within this time.
    #[serde(default)]
    pub within: Option<Window>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AskedView {
    /// It is made, and was not before; one that failed or had no data is made anew.
    pub new: bool,
    #[serde(flatten)]
    pub run: RunView,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunView {
    pub window: Window,
    pub cause: Cause,
    /// Who wanted it, where the schedule did not.
    pub asked_by: Option<PrincipalName>,
    pub state: RunState,
    pub queued_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    /// What was in the stage, and was reported on.
    pub version: Option<Version>,
    pub digest: Option<Digest>,
    pub verdict: Option<Verdict>,
    pub reason: Option<String>,
    /// What it meant after those before it.
    pub alert: Option<Alert>,
    pub rows: Option<i64>,
    /// Columns that drifted.
    pub drifted: Option<i64>,
    /// What has become of the stage, where the monitor may move it.
    pub followed: Option<String>,
    /// The report, kept as evidence about the version.
    pub evidence: Option<Digest>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunDetails {
    #[serde(flatten)]
    pub run: RunView,
    /// `null`: none was made, or it was not kept.
    pub report: Option<Report>,
}

/// What a namespace's columns that are not to be told are hashed with.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct DriftKey {
    /// 64 hexadecimal digits.
    pub key: String,
    /// Names the key, in profiles and reports.
    pub id: String,
}
