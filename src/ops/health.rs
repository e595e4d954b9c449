//! How deployments fare, kept as evidence about the content that runs there.

use super::referrer::{Attach, Recorded};
use crate::{
    db::{Tx, evidence},
    error::{Error, Result},
    gates::newest_health,
    model::{
        deployment::{Deployment, Observed},
        digest::Digest,
        evidence::{DeploymentHealth, Statement},
        name::Workload,
    },
};
use serde_json::json;

/// A piece of evidence that is to be made of a report.
pub(super) struct Piece {
    pub health: DeploymentHealth,
    subject: Digest,
    bytes: Vec<u8>,
}

/// What is to be kept of a report: how the content fares, or that nothing that was said of it on a retired target counts
/// any more. Where there is much evidence already, health is left aside, so that others can still say something.
pub(super) async fn pieces(tx: &mut Tx, observed: &Observed) -> Result<Vec<Piece>> {
    let it = &observed.now;
    let mut pieces = Vec::new();
    if observed.is_evidence && evidence::has_room_for_health(tx, &it.workload, &it.digest).await? {
        let health =
            DeploymentHealth { healthy: it.healthy == Some(true), since: it.healthy_since, ..blank(it) };
        pieces.push(Piece::new(it, it.version.to_string(), it.digest.clone(), health));
    }
    for (version, digest) in &observed.withdrawn {
        let said = evidence::about(tx, &it.workload, digest).await?;
        if newest_health(said.iter(), None).contains_key(it.target.as_str()) {
            let health = DeploymentHealth { retired: true, ..blank(it) };
            pieces.push(Piece::new(it, version.to_string(), digest.clone(), health));
        }
    }
    Ok(pieces)
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
