//! Freezing stages, so that nothing enters them. Rolling back goes on.

use super::{
    Context,
    namespaces::refuse_deleted,
    policy::{check_scope, effective},
    promote::check_reason,
};
use crate::{
    db::{log, namespaces, policies, promotions, versions},
    error::{Error, Result},
    model::{access::Actor, event::Change, scope::Scope, stage::Stage},
};
use chrono::{DateTime, Utc};

pub use policies::FreezeRow;

/// Freezes a stage, or every stage after the first (or the only one), of a scope.
pub async fn freeze(
    cx: &Context,
    actor: &Actor,
    scope: &Scope,
    stage: Option<Stage>,
    until: Option<DateTime<Utc>>,
    reason: &str,
) -> Result<FreezeRow> {
    check_reason(reason)?;
    let now = cx.clock.now();
    if until.is_some_and(|until| until <= now) {
        return Err(Error::invalid("freeze_over", "the freeze would be over before it begins")
            .hint("--until is a time to come, in UTC: 2027-01-02T00:00:00Z"));
    }
    let mut tx = cx.db.write().await?;
    check_scope(cx, &mut tx, scope).await?;
    if let Scope::Workload(workload) = scope {
        refuse_deleted(workload, namespaces::deletion(&mut tx, workload).await?)?;
    }
    if let Scope::Workload(workload) = scope
        && !versions::any(&mut tx, workload).await?
    {
        // A slip of the pen must not look like a freeze.
        return Err(super::status::unknown_workload(workload));
    }
    if let Some(stage) = &stage {
        effective(cx, &mut tx, &scope.to_string()).await?.stage(stage.as_str())?;
    }
    let row = FreezeRow {
        id: cx.clock.id().simple().to_string(),
        scope: scope.to_string(),
        stage,
        made_at: now,
        made_by: actor.principal.clone(),
        until,
        reason: reason.to_owned(),
    };
    policies::insert_freeze(&mut tx, &row).await?;
    let change = Change::Frozen {
        scope: row.scope.clone(),
        stage: row.stage.clone(),
        freeze: row.id.clone(),
        until,
        reason: row.reason.clone(),
    };
    log::append(&mut tx, now, &actor.principal, vec![change]).await?;
    tx.commit().await?;
    Ok(row)
}

/// Lifts the freezes of exactly this scope and stage.
pub async fn unfreeze(
    cx: &Context,
    actor: &Actor,
    scope: &Scope,
    stage: Option<&Stage>,
) -> Result<Vec<FreezeRow>> {
    let now = cx.clock.now();
    let name = scope.to_string();
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    let mut rows = policies::freezes(&mut tx, &name, now).await?;
    rows.retain(|row| row.scope == name && row.stage.as_ref() == stage);
    if rows.is_empty() {
        let stage = stage.map(|stage| format!(":{stage}")).unwrap_or_default();
        return Err(Error::not_found("freeze_unknown", format!("nothing is frozen here: {name}{stage}"))
            .hint(
                "a freeze is lifted where it was made: the same namespace or workload, with the same stage",
            ));
    }
    let mut changes = Vec::new();
    for row in &rows {
        policies::lift_freeze(&mut tx, &row.id, now, &actor.principal).await?;
        changes.push(Change::Unfrozen {
            scope: name.clone(),
            stage: row.stage.clone(),
            freeze: row.id.clone(),
        });
    }
    promotions::stir(&mut tx, &name, now).await?;
    log::append(&mut tx, now, &actor.principal, changes).await?;
    tx.commit().await?;
    Ok(rows)
}
