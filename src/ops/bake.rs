//! What follows from a version that fares badly right after it came into a stage.

use super::{
    Context,
    policy::effective,
    rollback::{self, RolledBack},
};
use crate::{
    db::{Tx, evidence, manifests, principals, stages, versions},
    error::Result,
    gates::{Bake, OnUnhealthy, Source, named, standing_health},
    model::{
        deployment::{Deployment, MESSAGE_MAX, Status},
        evidence::EvidenceKind,
        name::PrincipalName,
        promotion::MoveKind,
        stage::Stage,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeSet;

/// Moves the stage back where its policy says so: the target follows the stage, has what the stage holds, and that came in
/// by a promotion, an override included, that is still baking. After a rollback, by whomever, nothing goes back by itself until
/// somebody promotes. The repository is locked.
pub(super) async fn consequence(cx: &Context, tx: &mut Tx, it: &Deployment) -> Result<Option<RolledBack>> {
    let Some(stage) = &it.stage else { return Ok(None) };
    let Some(current) = stages::current(tx, &it.workload, stage).await? else { return Ok(None) };
    if current.digest != it.digest || current.kind == MoveKind::RolledBack {
        return Ok(None);
    }
    let Some(version) = versions::find(tx, &it.workload, &current.version).await? else { return Ok(None) };
    let effective = effective(cx, tx, it.workload.as_str()).await?;
    let rules = effective.rules(version.tier, stage).ok();
    let Some(bake) = rules.and_then(|rules| rules.rule.bake.as_ref()) else { return Ok(None) };
    let is_over = it.reported_at - current.at > TimeDelta::minutes(i64::from(bake.minutes));
    if bake.on_unhealthy != OnUnhealthy::Rollback || is_over {
        return Ok(None);
    }
    let bad = bad(tx, it, stage, current.at, bake).await?;
    if bad.len() < bake.targets as usize {
        return Ok(None);
    }
    let wrong = if it.status == Status::Failed { "failed" } else { "is not healthy" };
    let why = it.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    let reason = format!("by the policy's bake: {} {wrong} at {}{why}", it.version, named(&bad));
    let reason: String = reason.chars().take(MESSAGE_MAX).collect();
    match rollback::by_itself(cx, tx, "policy", &it.workload, stage, &reason).await {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.code == "rollback_nowhere" => {
            tracing::warn!(workload = %it.workload, %stage, %error, "the policy asks for a rollback that cannot be");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The targets that speak against the content since it came into the stage, by whom the policy listens to.
async fn bad(
    tx: &mut Tx,
    it: &Deployment,
    stage: &Stage,
    since: DateTime<Utc>,
    bake: &Bake,
) -> Result<Vec<String>> {
    let said = evidence::of_kind(tx, &it.workload, &it.digest, EvidenceKind::DeploymentHealth).await?;
    let namespace = it.workload.namespace();
    let speakers = said.iter().map(|evidence| &evidence.by).chain([&it.reported_by]).cloned().collect();
    let people = principals::standing(tx, &namespace, &speakers).await?;
    let authors = manifests::authors(tx, &namespace, &it.digest).await?;
    let counts = |by: &PrincipalName| Source::any_is(&bake.from, people.get(by), authors.contains(by));
    let standing = standing_health(&said, |evidence| counts(&evidence.by), Some(stage));
    let bad = standing.into_iter().filter(|(_, it)| !it.healthy && it.evidence.at >= since);
    let mut bad: BTreeSet<String> = bad.map(|(target, _)| target.to_owned()).collect();
    // What is reported now counts also where there is no room left to keep it.
    if counts(&it.reported_by) {
        bad.insert(it.target.to_string());
    }
    Ok(bad.into_iter().collect())
}
