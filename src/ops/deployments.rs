//! Deployments: answering what runs where, against what should.

use super::{Context, policy::effective, resolve, status};
use crate::{
    db::{Tx, deployments as rows, stages, versions},
    error::Result,
    model::{deployment::Deployment, digest::Digest, name::Workload, reference::Selector, version::Version},
};
use chrono::{DateTime, Utc};

/// A target, with what its stage holds.
pub struct Where {
    pub deployment: Deployment,
    pub desired: Option<(Version, Digest)>,
    /// Since when the target has not been what its stage asks for.
    pub differs_since: Option<DateTime<Utc>>,
}

/// Sets a target against what its stage holds.
pub(super) async fn place(tx: &mut Tx, deployment: Deployment) -> Result<Where> {
    let current = match &deployment.stage {
        Some(stage) => stages::current(tx, &deployment.workload, stage).await?,
        None => None,
    };
    against(tx, deployment, current.as_ref()).await
}

pub(super) async fn against(
    tx: &mut Tx,
    deployment: Deployment,
    current: Option<&stages::Move>,
) -> Result<Where> {
    let Some(step) = current else {
        return Ok(Where { deployment, desired: None, differs_since: None });
    };
    if deployment.content() == &step.digest && deployment.running.is_some() {
        let desired = Some((step.version.clone(), step.digest.clone()));
        return Ok(Where { deployment, desired, differs_since: None });
    }
    let left_at = stages::left_at(tx, &step.workload, &step.stage, deployment.content()).await?;
    let differs_since = deployment.differs_since(&step.digest, step.at, left_at.unwrap_or(step.at));
    Ok(Where { deployment, desired: Some((step.version.clone(), step.digest.clone())), differs_since })
}

/// Targets of a workload after a name: those that follow the stage or have the content that `of` names, or all. `retired`:
/// also those that do not run the workload any more.
pub async fn list(
    cx: &Context,
    workload: &Workload,
    of: Option<&Selector>,
    retired: bool,
    after: &str,
    limit: i64,
) -> Result<Vec<Where>> {
    let mut tx = cx.db.read().await?;
    if !versions::any(&mut tx, workload).await? {
        return Err(status::unknown_workload(workload));
    }
    let (mut stage, mut digest) = (None, None);
    if let Some(of) = of {
        stage = resolve::stage(cx, &mut tx, workload, of).await?;
        match &stage {
            Some(stage) => drop(effective(cx, &mut tx, workload.as_str()).await?.stage(stage.as_str())?),
            // Where content runs that is gone here is what one wants to know.
            None => digest = Some(resolve::find_any(cx, &mut tx, workload, of).await?.digest),
        }
    }
    let (digest, stage) = (digest.as_ref(), stage.as_ref());
    let mut places = Vec::new();
    for deployment in rows::list(&mut tx, workload, digest, stage, retired, after, limit).await? {
        places.push(place(&mut tx, deployment).await?);
    }
    Ok(places)
}
