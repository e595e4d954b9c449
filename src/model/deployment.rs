//! Deployments: what a deployer says is running where, and how it fares. Pure: what was known and what is said now give
//! what is known next.

use super::{
    digest::Digest, digest::shorten, name::PrincipalName, name::Workload, stage::Stage, version::Version,
};
use crate::error::{Error, Result};
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Longest message that comes with a report, in characters.
pub const MESSAGE_MAX: usize = 1000;
/// Longest address of a deployment, in bytes.
pub const URL_MAX: usize = 2000;
/// The longest time for which a policy may want a version watched.
pub const BAKE_MAX: TimeDelta = TimeDelta::days(30);

/// Where something runs, in the deployer's own words: `eu-1`, `cluster-a.triage`. One target runs one version of a workload
/// at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Target(String);

const TARGET_MAX: usize = 128;

impl Target {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
        let starts = text.bytes().next().is_some_and(|c| c.is_ascii_alphanumeric());
        if starts && text.len() <= TARGET_MAX && text.bytes().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::invalid("target_invalid", format!("not a name for a target: {}", shorten(text))).hint(format!(
            "letters, digits, '.', '_' and '-', at most {TARGET_MAX}, a letter or digit first; for example eu-1"
        )))
    }
}

impl TryFrom<String> for Target {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.0
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Running,
    /// It was to run, and does not.
    Failed,
    /// The target does not run the workload any more.
    Retired,
}

impl Status {
    pub const ALL: [Self; 3] = [Self::Running, Self::Failed, Self::Retired];

    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Failed => "failed",
            Self::Retired => "retired",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Status {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|status| status.name() == text).ok_or_else(|| {
            Error::invalid(
                "deployment_status_invalid",
                format!("not a deployment's status: {}", shorten(text)),
            )
            .hint("running, failed or retired")
        })
    }
}

/// Content that runs on a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    pub version: Version,
    pub digest: Digest,
    pub since: DateTime<Utc>,
}

/// What is known of a target: what was reported of it last, and what runs there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    pub workload: Workload,
    pub target: Target,
    /// The stage it follows; `None`: it was put there by version.
    pub stage: Option<Stage>,
    pub version: Version,
    pub digest: Digest,
    pub status: Status,
    /// When this content was first reported there.
    pub since: DateTime<Utc>,
    /// When the status became what it is.
    pub status_since: DateTime<Utc>,
    /// This content has been running there since it came.
    pub has_run: bool,
    /// What runs there, as far as was said: what was reported last, or what ran before it if that failed.
    pub running: Option<Running>,
    /// What was said last of its health; what failed is not healthy.
    pub healthy: Option<bool>,
    pub healthy_since: Option<DateTime<Utc>>,
    pub url: Option<String>,
    pub message: Option<String>,
    pub reported_at: DateTime<Utc>,
    pub reported_by: PrincipalName,
}

/// What a deployer says.
#[derive(Clone, Debug)]
pub struct Report {
    pub stage: Option<Stage>,
    pub version: Version,
    pub digest: Digest,
    pub status: Status,
    pub healthy: Option<bool>,
    pub url: Option<String>,
    pub message: Option<String>,
}

/// What follows from a report.
#[derive(Debug)]
pub struct Observed {
    pub now: Deployment,
    /// It is news, for the log and for those who listen to it.
    pub is_news: bool,
    /// The report itself says how it fares.
    pub is_said: bool,
    /// What it had when it was retired, or had failed and runs: what was said of its health there is taken back.
    pub withdrawn: Vec<(Version, Digest)>,
}

impl Deployment {
    /// Lays a report over what was known of the target. A target is retired with what it had, whatever version the report
    /// names.
    pub fn observe(
        workload: &Workload,
        target: &Target,
        before: Option<&Self>,
        report: Report,
        by: &PrincipalName,
        at: DateTime<Utc>,
    ) -> Observed {
        let report = match before.filter(|_| report.status == Status::Retired) {
            Some(Self { stage, version, digest, .. }) => {
                Report { stage: stage.clone(), version: version.clone(), digest: digest.clone(), ..report }
            }
            None => report,
        };
        let same = before.filter(|before| before.digest == report.digest && before.status != Status::Retired);
        // What is retired twice is as it was.
        let known = same
            .or(before.filter(|before| before.status == Status::Retired && report.status == Status::Retired));
        let healthy = match report.status {
            // What failed and runs now is not unhealthy because it failed.
            Status::Running => report
                .healthy
                .or_else(|| same.filter(|same| same.status == Status::Running).and_then(|same| same.healthy)),
            Status::Failed => Some(false),
            Status::Retired => None,
        };
        let ran = before.and_then(|before| before.running.clone());
        let (still, other) = match ran.map(|ran| (ran.digest == report.digest, ran)) {
            Some((true, ran)) => (Some(ran), None),
            other => (None, other.map(|(_, ran)| ran)),
        };
        let since = known.map(|known| known.since).or(still.as_ref().map(|still| still.since)).unwrap_or(at);
        let as_before = same.filter(|same| same.healthy == healthy && same.stage == report.stage);
        let now = Self {
            workload: workload.clone(),
            target: target.clone(),
            stage: report.stage,
            version: report.version.clone(),
            digest: report.digest.clone(),
            status: report.status,
            since,
            status_since: known
                .filter(|known| known.status == report.status)
                .map_or(at, |known| known.status_since),
            has_run: report.status == Status::Running
                || still.is_some()
                || same.is_some_and(|same| same.has_run),
            running: match report.status {
                Status::Running => {
                    Some(Running { version: report.version.clone(), digest: report.digest.clone(), since })
                }
                Status::Failed => other,
                Status::Retired => None,
            },
            healthy,
            healthy_since: healthy.map(|_| as_before.and_then(|same| same.healthy_since).unwrap_or(at)),
            url: report.url.or_else(|| known.and_then(|known| known.url.clone())),
            message: report.message,
            reported_at: at,
            reported_by: by.clone(),
        };
        let is_news = before.is_none_or(|before| {
            (&before.stage, &before.version, &before.digest, before.status, before.healthy, &before.url)
                != (&now.stage, &now.version, &now.digest, now.status, now.healthy, &now.url)
        });
        let is_said = report.healthy.is_some() || report.status == Status::Failed;
        let withdrawn = match now.status {
            Status::Retired => before.map(Self::contents).unwrap_or_default(),
            Status::Running if now.healthy.is_none() && same.is_some_and(Self::is_bad) => {
                vec![(now.version.clone(), now.digest.clone())]
            }
            _ => Vec::new(),
        };
        Observed { now, is_news, is_said, withdrawn }
    }

    /// What was reported of it last, and what runs there if that is something else.
    fn contents(&self) -> Vec<(Version, Digest)> {
        let other = self.running.as_ref().filter(|running| running.digest != self.digest);
        let other = other.map(|running| (running.version.clone(), running.digest.clone()));
        [(self.version.clone(), self.digest.clone())].into_iter().chain(other).collect()
    }

    /// What runs there, or else should have.
    pub fn content(&self) -> &Digest {
        self.running.as_ref().map_or(&self.digest, |running| &running.digest)
    }

    /// Since when the target has not been what its stage asks for. `desired`: what the stage holds, and `moved_at` since
    /// when; `left_at`: since when it has not held [`content`](Self::content).
    pub fn differs_since(
        &self,
        desired: &Digest,
        moved_at: DateTime<Utc>,
        left_at: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        match &self.running {
            _ if self.status == Status::Retired => None,
            Some(running) if running.digest == *desired => None,
            Some(running) => Some(running.since.max(left_at)),
            // It came, and stopped running later; or it never ran.
            None if self.digest == *desired && self.has_run => Some(self.status_since.max(moved_at)),
            None if self.digest == *desired => Some(moved_at),
            None => Some(self.since.max(left_at)),
        }
    }

    /// Whether what was reported last speaks against the version.
    pub fn is_bad(&self) -> bool {
        self.status != Status::Retired && self.healthy == Some(false)
    }
}

/// Refuses an address that no browser should be sent to.
pub fn check_url(url: &str) -> Result<()> {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    let has_secret = url.parse::<http::Uri>().ok().and_then(|uri| uri.authority().cloned());
    let has_secret = has_secret.is_some_and(|authority| authority.as_str().contains('@'));
    if is_web && url.len() <= URL_MAX && !has_secret && url.parse::<http::Uri>().is_ok() {
        return Ok(());
    }
    Err(Error::invalid("deployment_url_invalid", format!("not an address of a deployment: {}", shorten(url)))
        .hint(format!("http:// or https://, without a user or password, at most {URL_MAX} bytes")))
}

#[cfg(test)]
mod tests;
