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
/// How long health that has not changed is no news, at the least.
const QUIET: TimeDelta = TimeDelta::minutes(10);

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

/// What is known of a target.
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
    /// What was said last of its health; what failed is not healthy.
    pub healthy: Option<bool>,
    pub healthy_since: Option<DateTime<Utc>>,
    /// When its health was last kept as evidence.
    pub evidence_at: Option<DateTime<Utc>>,
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
    /// Its health is to be kept as evidence.
    pub is_evidence: bool,
}

impl Deployment {
    /// Lays a report over what was known of the target.
    pub fn observe(
        workload: &Workload,
        target: &Target,
        before: Option<&Self>,
        report: Report,
        by: &PrincipalName,
        at: DateTime<Utc>,
    ) -> Observed {
        let same = before.filter(|before| before.digest == report.digest && before.status != Status::Retired);
        let healthy = match report.status {
            // What failed and runs now is not unhealthy because it failed.
            Status::Running => report
                .healthy
                .or_else(|| same.filter(|same| same.status == Status::Running).and_then(|same| same.healthy)),
            Status::Failed => Some(false),
            Status::Retired => None,
        };
        let as_before = same.filter(|same| same.healthy == healthy && same.stage == report.stage);
        let now = Self {
            workload: workload.clone(),
            target: target.clone(),
            stage: report.stage,
            version: report.version,
            digest: report.digest,
            status: report.status,
            since: same.map_or(at, |same| same.since),
            status_since: same
                .filter(|same| same.status == report.status)
                .map_or(at, |same| same.status_since),
            has_run: report.status == Status::Running || same.is_some_and(|same| same.has_run),
            healthy,
            healthy_since: healthy.map(|_| as_before.and_then(|same| same.healthy_since).unwrap_or(at)),
            evidence_at: as_before.and_then(|same| same.evidence_at),
            url: report.url.or_else(|| same.and_then(|same| same.url.clone())),
            message: report.message,
            reported_at: at,
            reported_by: by.clone(),
        };
        let is_news = before.is_none_or(|before| {
            (&before.stage, &before.version, &before.digest, before.status, before.healthy, &before.url)
                != (&now.stage, &now.version, &now.digest, now.status, now.healthy, &now.url)
        });
        let is_said = report.healthy.is_some() || report.status == Status::Failed;
        let is_evidence = is_said && now.healthy.is_some() && now.is_due_as_evidence(at);
        Observed { now, is_news, is_evidence }
    }

    /// Health is evidence when it is new, and again each time it has lasted an eighth longer: a bake is seen to end at most
    /// that much late, and a year of reports each minute leaves about a hundred pieces.
    fn is_due_as_evidence(&self, at: DateTime<Utc>) -> bool {
        let (Some(last), Some(since)) = (self.evidence_at, self.healthy_since) else { return true };
        at - last >= QUIET.max((last - since) / 8)
    }

    /// Since when the target has not been what its stage asks for. `desired`: what the stage holds, and since when.
    pub fn differs_since(&self, desired: &Digest, moved_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let is_wanted = self.digest == *desired;
        match self.status {
            Status::Retired => None,
            Status::Running if is_wanted => None,
            // It came, and stopped running later; or it never ran.
            Status::Failed if is_wanted && self.has_run => Some(self.status_since.max(moved_at)),
            Status::Failed if is_wanted => Some(moved_at),
            Status::Running | Status::Failed => Some(self.since.max(moved_at)),
        }
    }

    /// Whether it speaks against the version it has.
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
mod tests {
    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    fn report(content: &str, status: Status, healthy: Option<bool>) -> Report {
        Report {
            stage: Some("production".parse().unwrap()),
            version: "1.0.0".parse().unwrap(),
            digest: Digest::sha256(content.as_bytes()),
            status,
            healthy,
            url: None,
            message: None,
        }
    }

    fn observe(before: Option<&Deployment>, report: Report, minutes: i64) -> Observed {
        let (workload, target) = ("acme/w".parse().unwrap(), "eu-1".parse().unwrap());
        let mut seen =
            Deployment::observe(&workload, &target, before, report, &"ci".parse().unwrap(), at(minutes));
        if seen.is_evidence {
            seen.now.evidence_at = Some(at(minutes));
        }
        seen
    }

    #[test]
    fn what_was_said_before_is_no_news() {
        let first = observe(None, report("a", Status::Running, Some(true)), 0);
        assert!(first.is_news && first.is_evidence);
        let again = observe(Some(&first.now), report("a", Status::Running, Some(true)), 5);
        assert!(!again.is_news && !again.is_evidence);
        assert_eq!((again.now.since, again.now.reported_at), (at(0), at(5)));
        let later = observe(Some(&again.now), report("a", Status::Running, Some(true)), 10);
        assert!(!later.is_news && later.is_evidence);
        let worse = observe(Some(&later.now), report("a", Status::Running, Some(false)), 11);
        assert!(worse.is_news && worse.is_evidence);
        assert_eq!(worse.now.healthy_since, Some(at(11)));
    }

    #[test]
    fn a_report_without_health_leaves_what_was_said_of_it() {
        let first = observe(None, report("a", Status::Running, Some(false)), 0);
        let silent = observe(Some(&first.now), report("a", Status::Running, None), 60);
        assert!(!silent.is_news && !silent.is_evidence);
        assert_eq!(silent.now.healthy, Some(false));
        let other = observe(Some(&silent.now), report("b", Status::Running, None), 61);
        assert_eq!((other.now.healthy, other.now.since), (None, at(61)), "another version starts anew");
        let gone = observe(Some(&first.now), report("a", Status::Retired, None), 62);
        assert!(gone.is_news && !gone.is_evidence && gone.now.healthy.is_none());
    }

    #[test]
    fn what_failed_and_runs_now_has_no_health_yet() {
        let failed = observe(None, report("a", Status::Failed, None), 0);
        assert!(failed.now.is_bad());
        let runs = observe(Some(&failed.now), report("a", Status::Running, None), 5);
        assert!(runs.is_news && !runs.now.is_bad() && runs.now.healthy.is_none());
    }

    #[test]
    fn health_counts_for_the_stage_it_was_reported_in() {
        let first = observe(None, report("a", Status::Running, Some(true)), 0);
        let elsewhere =
            Report { stage: Some("staging".parse().unwrap()), ..report("a", Status::Running, Some(true)) };
        let moved = observe(Some(&first.now), elsewhere, 60);
        assert!(moved.is_evidence);
        assert_eq!(moved.now.healthy_since, Some(at(60)));
    }

    #[test]
    fn evidence_becomes_rarer_the_longer_nothing_changes() {
        let mut known = observe(None, report("a", Status::Running, Some(true)), 0).now;
        let mut kept = 1;
        for minute in 1..=366 * 24 * 60 {
            let seen = observe(Some(&known), report("a", Status::Running, Some(true)), minute);
            kept += usize::from(seen.is_evidence);
            known = seen.now;
        }
        assert!((50..110).contains(&kept), "{kept}");
    }

    #[test]
    fn a_difference_has_lasted_since_it_began() {
        let (old, new) = (Digest::sha256(b"old"), Digest::sha256(b"new"));
        let running = observe(None, report("old", Status::Running, None), 0).now;
        assert_eq!(running.differs_since(&old, at(-5)), None);
        assert_eq!(running.differs_since(&new, at(30)), Some(at(30)), "the stage moved on");
        let failed = observe(Some(&running), report("new", Status::Failed, None), 40).now;
        assert_eq!(failed.differs_since(&new, at(30)), Some(at(30)), "it never ran");
        let came = observe(Some(&failed), report("new", Status::Running, None), 50).now;
        assert_eq!(came.differs_since(&new, at(30)), None);
        let broke = observe(Some(&came), report("new", Status::Failed, None), 70).now;
        assert_eq!(broke.differs_since(&new, at(30)), Some(at(70)), "it ran until then");
        let strayed = observe(Some(&came), report("other", Status::Running, None), 80).now;
        assert_eq!(strayed.differs_since(&new, at(30)), Some(at(80)), "the target went another way");
        let retired = observe(Some(&strayed), report("other", Status::Retired, None), 90).now;
        assert_eq!(retired.differs_since(&new, at(30)), None);
    }

    #[test]
    fn names_and_addresses_are_refused_that_would_not_do() {
        for bad in ["", "-a", "a b", "a/b", "ä", &"a".repeat(129)] {
            assert_eq!(bad.parse::<Target>().unwrap_err().code, "target_invalid", "{bad}");
        }
        assert!(check_url("https://ci.example/run/7?x=1").is_ok());
        for bad in ["javascript:alert(1)", "ftp://x", "https://u:p@ci.example/", "https://a b", "https://"] {
            assert_eq!(check_url(bad).unwrap_err().code, "deployment_url_invalid", "{bad}");
        }
    }
}
