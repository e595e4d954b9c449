//! Deployments: what deployers report, and where a version runs.

use super::{
    stages::{promotion_view, rolled_back_view},
    versions::{reference, workload},
};
use crate::{
    http::{
        App, Caller,
        answer::{Answer, JsonBody, Query, page},
    },
    model::reference::{Reference, Selector},
    ops::{
        deployments::{self, Where},
        reporting::{self, Said},
    },
    wire,
};
use axum::{
    Json,
    extract::{Path, State},
};

pub(super) fn deployment_view(place: Where) -> wire::DeploymentView {
    let it = place.deployment;
    wire::DeploymentView {
        workload: it.workload,
        target: it.target,
        stage: it.stage,
        version: it.version,
        digest: it.digest,
        status: it.status,
        since: it.since,
        running: it.running.map(|it| wire::RunningView {
            version: it.version,
            digest: it.digest,
            since: it.since,
        }),
        status_since: it.status_since,
        healthy: it.healthy,
        healthy_since: it.healthy_since,
        url: it.url,
        message: it.message,
        reported_at: it.reported_at,
        reported_by: it.reported_by,
        desired: place.desired.map(|(version, digest)| wire::Desired { version, digest }),
        differs_since: place.differs_since,
    }
}

pub async fn report(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name, target)): Path<(String, String, String)>,
    JsonBody(body): JsonBody<wire::ReportDeployment>,
) -> Answer<wire::ReportedView> {
    let said = Said {
        reference: match body.version {
            Some(version) => reference(&namespace, &name, &version)?,
            None => Reference { workload: workload(&namespace, &name)?, selector: Selector::Default },
        },
        target: target.parse()?,
        stage: body.stage,
        status: body.status,
        healthy: body.healthy,
        url: body.url,
        message: body.message,
    };
    let reported = reporting::report(&app, &actor, said).await?;
    let deployment = deployment_view(reported.place);
    let (workload, stage) = (&deployment.workload, deployment.stage.clone());
    let rolled_back = reported.rolled_back.zip(stage);
    Ok(Json(wire::ReportedView {
        changed: reported.is_news,
        evidence: reported.evidence,
        evidence_full: !reported.is_whole,
        rolled_back: rolled_back.map(|(done, stage)| rolled_back_view(workload.clone(), stage, done, false)),
        promoted: reported.promoted.into_iter().map(promotion_view).collect(),
        position: reported.position,
        deployment,
    }))
}

pub async fn list(
    State(app): State<App>,
    Path((namespace, name)): Path<(String, String)>,
    mut query: Query,
) -> Answer<wire::Page<wire::DeploymentView>> {
    let (cursor, limit) = query.page()?;
    let of = query.take("of");
    let retired = query.flag("retired")?.unwrap_or_default();
    query.done()?;
    let of = of.map(|of| reference(&namespace, &name, &of)).transpose()?;
    let of = of.map(|Reference { selector, .. }| selector);
    let of: Option<&Selector> = of.as_ref();
    let places =
        deployments::list(&app, &workload(&namespace, &name)?, of, retired, &cursor, limit + 1).await?;
    Ok(Json(page(places, limit, |place| place.deployment.target.to_string(), deployment_view)))
}
