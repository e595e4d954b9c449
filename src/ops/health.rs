//! How deployments fare, kept as evidence about the content that runs there.

use super::referrer::{Attach, Recorded};
use crate::{
    db::{Tx, evidence},
    error::{Error, Result},
    gates::newest_health,
    model::{
        deployment::{BAKE_MAX, Deployment, Observed},
        digest::Digest,
        evidence::{DeploymentHealth, Evidence, EvidenceKind, Statement},
        name::Workload,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

/// How long health that has not changed is no news, at the least.
const QUIET: TimeDelta = TimeDelta::minutes(10);
/// So much evidence about a version is left to others, and so much to bad news, where health would fill all of it.
const FOR_OTHERS: i64 = evidence::MAX / 2;
const FOR_BAD_NEWS: i64 = evidence::MAX / 8;

/// A piece of evidence that is to be made of a report.
pub(super) struct Piece {
    pub health: DeploymentHealth,
    subject: Digest,
    bytes: Vec<u8>,
}

/// What is to be kept of a report: how the content fares, or that nothing that was said of it on a retired target counts
/// any more. False: it should be, but there is as much evidence as is taken. `moved_at`: when the stage moved last.
pub(super) async fn pieces(
    tx: &mut Tx,
    observed: &Observed,
    moved_at: Option<DateTime<Utc>>,
) -> Result<(Vec<Piece>, bool)> {
    let it = &observed.now;
    let (mut pieces, mut is_whole) = (Vec::new(), true);
    if observed.is_said && it.healthy.is_some() {
        let said = health_of(tx, it, &it.digest).await?;
        let due = due(&said, it, moved_at);
        let health =
            DeploymentHealth { healthy: it.healthy == Some(true), since: it.healthy_since, ..blank(it) };
        if due != Due::No && has_room(tx, it, due, health.healthy).await? {
            pieces.push(Piece::new(it, it.version.to_string(), it.digest.clone(), health));
        } else {
            is_whole = due != Due::News;
        }
    }
    for (version, digest) in &observed.withdrawn {
        let said = health_of(tx, it, digest).await?;
        if newest_health(&said, |_| true, None).contains_key(it.target.as_str()) {
            let health = DeploymentHealth { retired: true, ..blank(it) };
            match has_room(tx, it, Due::News, false).await? {
                true => pieces.push(Piece::new(it, version.to_string(), digest.clone(), health)),
                false => is_whole = false,
            }
        }
    }
    Ok((pieces, is_whole))
}

async fn health_of(tx: &mut Tx, it: &Deployment, digest: &Digest) -> Result<Vec<Evidence>> {
    evidence::of_kind(tx, &it.workload, digest, EvidenceKind::DeploymentHealth).await
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    No,
    /// Nothing has changed but for how long it has lasted.
    Still,
    News,
}

/// Health is evidence when its speaker says something new of it or the stage has moved, and again each time it has lasted a
/// quarter longer, up to the longest time a gate asks for: a bake is seen to end at most that much late, and thirty days of
/// reports each minute leave some thirty-five pieces.
fn due(said: &[Evidence], it: &Deployment, moved_at: Option<DateTime<Utc>>) -> Due {
    let mut last = None;
    for evidence in said {
        match &evidence.statement {
            Statement::DeploymentHealth(health) if health.target != it.target.as_str() => {}
            Statement::DeploymentHealth(health) if health.retired => last = None,
            Statement::DeploymentHealth(health) if evidence.by == it.reported_by => {
                last = Some((evidence.at, health));
            }
            _ => {}
        }
    }
    let Some((last_at, health)) = last else { return Due::News };
    let is_as_before = Some(health.healthy) == it.healthy && health.stage == it.stage;
    if !is_as_before || moved_at.is_some_and(|moved_at| moved_at > last_at) {
        return Due::News;
    }
    let lasted = last_at - health.since.unwrap_or(last_at);
    match lasted < BAKE_MAX && it.reported_at - last_at >= QUIET.max(lasted / 4) {
        true => Due::Still,
        false => Due::No,
    }
}

/// What only lasts gives way first, then good news: a gate that sees too little must not pass.
async fn has_room(tx: &mut Tx, it: &Deployment, due: Due, is_good: bool) -> Result<bool> {
    let there = evidence::amount(tx, &it.workload, &it.digest).await?;
    let left = match (due, is_good) {
        (Due::Still, _) => FOR_OTHERS,
        (_, true) => FOR_BAD_NEWS,
        (_, false) => 1,
    };
    Ok(there.pieces + left <= evidence::MAX
        && there.bytes < evidence::BYTES_MAX * (evidence::MAX - left) / evidence::MAX)
}

fn blank(it: &Deployment) -> DeploymentHealth {
    DeploymentHealth {
        target: it.target.to_string(),
        healthy: false,
        retired: false,
        stage: it.stage.clone(),
        since: None,
        message: it.message.clone(),
    }
}

impl Piece {
    /// The document that is kept as evidence. Who and when make it a record of its own.
    fn new(it: &Deployment, version: String, subject: Digest, health: DeploymentHealth) -> Self {
        let document = json!({
            "gradus": "deployment-health/v1", "workload": it.workload, "version": version, "digest": subject,
            "target": it.target, "stage": it.stage, "status": it.status, "healthy": health.healthy,
            "since": health.since, "url": it.url, "message": it.message, "by": it.reported_by, "at": it.reported_at,
        });
        Self { health, subject, bytes: document.to_string().into_bytes() }
    }

    pub fn attach<'a>(&'a self, workload: &'a Workload) -> Attach<'a> {
        Attach {
            workload,
            subject: &self.subject,
            bytes: self.bytes.clone(),
            media_type: "application/json",
            public_key: None,
        }
    }

    /// Records it; its event will be the one at `position`. The repository and the log are locked.
    pub async fn write(&self, tx: &mut Tx, it: &Deployment, position: i64) -> Result<Recorded> {
        let statement = Statement::DeploymentHealth(self.health.clone()).into();
        let attach = self.attach(&it.workload);
        let recorded = attach.write(tx, &it.reported_by, vec![statement], position, it.reported_at).await?;
        recorded
            .into_iter()
            .next()
            .ok_or_else(|| Error::internal("evidence_encoding", "health was not recorded as evidence"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::deployment::{Report, Status};

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    /// What is kept of reports `(minute, speaker, healthy)` on one target, where the stage moved at a minute.
    fn kept(
        reports: impl IntoIterator<Item = (i64, &'static str, bool)>,
        moved: i64,
    ) -> Vec<(i64, &'static str)> {
        let (workload, target) = ("acme/w".parse().unwrap(), "eu-1".parse().unwrap());
        let (mut said, mut kept, mut known) = (Vec::new(), Vec::new(), None);
        for (minute, by, healthy) in reports {
            let digest = Digest::sha256(b"a");
            let report = Report {
                stage: Some("production".parse().unwrap()),
                version: "1.0.0".parse().unwrap(),
                digest: digest.clone(),
                status: Status::Running,
                healthy: Some(healthy),
                url: None,
                message: None,
            };
            let speaker = by.parse().unwrap();
            let now =
                Deployment::observe(&workload, &target, known.as_ref(), report, &speaker, at(minute)).now;
            let moved_at = (moved <= minute).then(|| at(moved));
            if due(&said, &now, moved_at) != Due::No {
                let health = DeploymentHealth { healthy, since: now.healthy_since, ..blank(&now) };
                let statement = Statement::DeploymentHealth(health);
                said.push(Evidence {
                    digest: digest.clone(),
                    subject: digest,
                    statement,
                    by: speaker,
                    at: at(minute),
                });
                kept.push((minute, by));
            }
            known = Some(now);
        }
        kept
    }

    #[test]
    fn what_each_speaker_has_said_before_is_no_news() {
        let reports =
            [(0, "ci", false), (1, "ci", false), (2, "ops", false), (3, "ops", false), (9, "ci", false)];
        assert_eq!(kept(reports, -1), [(0, "ci"), (2, "ops")]);
        assert_eq!(kept(reports, 3), [(0, "ci"), (2, "ops"), (3, "ops"), (9, "ci")], "the stage has moved");
        assert_eq!(kept([(0, "ci", true), (1, "ci", false), (2, "ci", true)], -1).len(), 3, "each change is");
    }

    #[test]
    fn evidence_becomes_rarer_the_longer_nothing_changes() {
        let year = kept((0..366 * 24 * 60).map(|minute| (minute, "ci", true)), -1);
        assert_eq!(year[..5], [(0, "ci"), (10, "ci"), (20, "ci"), (30, "ci"), (40, "ci")]);
        assert!((30..40).contains(&year.len()), "{}", year.len());
        let (last, before) = (year[year.len() - 1].0, year[year.len() - 2].0);
        assert!(last >= BAKE_MAX.num_minutes() && before < BAKE_MAX.num_minutes(), "{before} {last}");
    }
}
