//! How deployments fare, kept as evidence about the content that runs there.

use super::referrer::{Attach, Recorded};
use crate::{
    db::{Tx, evidence, versions},
    error::{Error, Result},
    model::{
        deployment::{BAKE_MAX, Deployment, Observed, Status},
        digest::Digest,
        evidence::{
            DeploymentHealth, Evidence, EvidenceKind, HEALTH_ALL_MAX, HEALTH_MAX, HEALTH_STILL_MAX, Statement,
        },
        name::Workload,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

/// How long health that has not changed is no news, at the least.
const QUIET: TimeDelta = TimeDelta::minutes(10);
/// Where health fills its place, what only lasts gives way first, then good news: a gate that sees too little must not pass.
const GOOD_NEWS_MAX: usize = HEALTH_MAX - 500;

/// A piece of evidence that is to be made of a report.
pub(super) struct Piece {
    pub health: DeploymentHealth,
    subject: Digest,
    bytes: Vec<u8>,
}

/// What is to be kept of a report: how the content fares, or that what was said of it on the target is taken back. False: it should be, but there is as much as is taken. `held_since`: since when the stage has held the content.
pub(super) async fn pieces(
    tx: &mut Tx,
    observed: &Observed,
    held_since: Option<DateTime<Utc>>,
) -> Result<(Vec<Piece>, bool)> {
    let it = &observed.now;
    let (mut pieces, mut is_whole) = (Vec::new(), true);
    if observed.is_said && it.healthy.is_some() {
        let said = health_of(tx, it, &it.digest).await?;
        let most = match due(&said, it, held_since) {
            Due::No => None,
            Due::Still => Some(HEALTH_STILL_MAX),
            Due::News if it.healthy == Some(true) => Some(GOOD_NEWS_MAX),
            Due::News => Some(HEALTH_MAX),
        };
        is_whole = most.is_none_or(|most| has_room(&said, it, most));
        if is_whole && most.is_some() {
            let health =
                DeploymentHealth { healthy: it.healthy == Some(true), since: Some(it.since), ..blank(it) };
            pieces.push(Piece::new(it, it.version.to_string(), it.digest.clone(), health));
        }
    }
    for (version, digest) in &observed.withdrawn {
        if versions::purged_of(tx, &it.workload, digest).await?.is_some() {
            continue; // nobody asks any more how it fares
        }
        let said = health_of(tx, it, digest).await?;
        if is_withdrawn(&said, it) {
            continue;
        }
        if !has_room(&said, it, HEALTH_MAX) {
            is_whole = false;
            continue;
        }
        let health = DeploymentHealth { retired: true, ..blank(it) };
        pieces.push(Piece::new(it, version.to_string(), digest.clone(), health));
    }
    Ok((pieces, is_whole))
}

async fn health_of(tx: &mut Tx, it: &Deployment, digest: &Digest) -> Result<Vec<Evidence>> {
    evidence::of_kind(tx, &it.workload, digest, EvidenceKind::DeploymentHealth).await
}

/// Health that was said of a target, oldest first.
fn on_target<'a>(
    said: &'a [Evidence],
    it: &'a Deployment,
) -> impl DoubleEndedIterator<Item = (&'a Evidence, &'a DeploymentHealth)> {
    said.iter().filter_map(|evidence| match &evidence.statement {
        Statement::DeploymentHealth(health) if health.target == it.target.as_str() => {
            Some((evidence, health))
        }
        _ => None,
    })
}

/// Whether there is room for a piece more, where so many of one speaker are kept.
fn has_room(said: &[Evidence], it: &Deployment, most: usize) -> bool {
    let own = said.iter().filter(|evidence| evidence.by == it.reported_by).count();
    own < most && said.len() < HEALTH_ALL_MAX
}

/// Whether nothing was said of the target since this speaker took all of it back, or ever. Of what had failed and runs,
/// speakers take back their own word only.
fn is_withdrawn(said: &[Evidence], it: &Deployment) -> bool {
    let mut others = on_target(said, it).rev();
    let newest_word = others.find(|(evidence, health)| !health.retired || evidence.by == it.reported_by);
    newest_word.is_none_or(|(evidence, health)| {
        let is_others = it.status == Status::Running && evidence.by != it.reported_by;
        health.retired || is_others
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    No,
    /// Nothing has changed but for how long it has lasted.
    Still,
    News,
}

/// Health is evidence when its speaker says something new of it; when somebody else has said otherwise (then good news each
/// ten minutes at most), the content has come back or the stage has taken it in since; and again each time it has lasted a quarter longer, up to the longest time a gate
/// asks for. So a bake is seen to end at most that much late, and thirty days of reports each minute leave some thirty-five
/// pieces.
fn due(said: &[Evidence], it: &Deployment, held_since: Option<DateTime<Utc>>) -> Due {
    // Since when the speaker has said the same, and when last; nobody has said otherwise in between.
    let mut same: Option<(DateTime<Utc>, DateTime<Utc>)> = None;
    let mut own = None;
    for (evidence, health) in on_target(said, it) {
        let says_so = !health.retired && Some(health.healthy) == it.healthy && health.stage == it.stage;
        match same {
            _ if !says_so => same = None,
            Some((since, _)) if evidence.by == it.reported_by => same = Some((since, evidence.at)),
            None if evidence.by == it.reported_by => same = Some((evidence.at, evidence.at)),
            _ => {}
        }
        if evidence.by == it.reported_by {
            own = says_so.then_some(evidence.at);
        }
    }
    let is_good = it.healthy == Some(true);
    let repeated = own.filter(|last| is_good && it.reported_at - *last < QUIET).map(|last| (last, last));
    let Some((since, last)) = same.or(repeated) else { return Due::News };
    if it.since > last || held_since.is_some_and(|held_since| held_since > last) {
        return Due::News;
    }
    let lasted = last - since;
    match lasted < BAKE_MAX && it.reported_at - last >= QUIET.max(lasted / 4) {
        true => Due::Still,
        false => Due::No,
    }
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
            "target": it.target, "stage": it.stage, "status": it.status,
            "healthy": (!health.retired).then_some(health.healthy), "withdrawn": health.retired,
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
            profile: None,
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
                let health = DeploymentHealth { healthy, since: Some(now.since), ..blank(&now) };
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
        let contradicted =
            [(0, "ci", false), (1, "ops", true), (2, "ci", false), (3, "ops", true), (11, "ops", true)];
        let said_again = [(0, "ci"), (1, "ops"), (2, "ci"), (11, "ops")];
        assert_eq!(
            kept(contradicted, -1),
            said_again,
            "who is contradicted says it again, good news in time"
        );
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
