//! Rules by which versions go that were never promoted. What would go by one and why, and letting it go: `run`.

mod run;

use super::{
    Context,
    two_admins::{self, check_still_admin},
};
use crate::{
    db::{
        log,
        retention::{self, RuleRow},
    },
    error::{Error, Result},
    model::{
        access::Actor,
        event::Change,
        name::Namespace,
        removal::{DAYS_MAX, KEEP_MAX},
    },
};

pub use retention::RuleRow as Rule;
pub use run::{Failed, Going, Report, Total, run, run_all};

/// Sets the rule of a namespace.
pub async fn set(
    cx: &Context,
    actor: &Actor,
    namespace: &Namespace,
    older_than_days: i64,
    keep_newest: i64,
) -> Result<RuleRow> {
    if !(1..=DAYS_MAX).contains(&older_than_days) {
        return Err(Error::invalid(
            "retention_invalid",
            format!("a rule takes what is older than 1 to {DAYS_MAX} days, not: {older_than_days}"),
        )
        .hint(format!("for example: gradus retention set {namespace} --older-than 90d --keep 10")));
    }
    if !(0..=KEEP_MAX).contains(&keep_newest) {
        return Err(Error::invalid(
            "retention_invalid",
            format!("a rule keeps the newest 0 to {KEEP_MAX} versions, not: {keep_newest}"),
        )
        .hint(format!("for example: gradus retention set {namespace} --older-than 90d --keep 10")));
    }
    super::namespaces::show(cx, namespace).await?;
    refuse_service(actor)?;
    let row = RuleRow {
        namespace: namespace.clone(),
        keep_newest,
        older_than_days,
        set_at: cx.clock.now(),
        set_by: actor.principal.clone(),
    };
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    check_still_admin(&mut tx, actor, namespace).await?;
    if let Some(there) = retention::find(&mut tx, namespace).await?
        && (there.keep_newest, there.older_than_days) == (keep_newest, older_than_days)
    {
        return Ok(there);
    }
    retention::save(&mut tx, &row).await?;
    let change = Change::RetentionSet { namespace: namespace.clone(), older_than_days, keep_newest };
    log::append(&mut tx, row.set_at, &actor.principal, vec![change]).await?;
    tx.commit().await?;
    Ok(row)
}

pub async fn show(cx: &Context, namespace: &Namespace) -> Result<RuleRow> {
    retention::find(&mut cx.db.read().await?, namespace).await?.ok_or_else(|| unknown(namespace))
}

/// A rule takes content away, which no service does. By the clock the registry does it itself.
fn refuse_service(actor: &Actor) -> Result<()> {
    two_admins::refuse_service(
        actor,
        "service_cannot_set_retention",
        "set, remove or run a rule of retention",
        "a person who is an admin does; by the clock it runs by itself",
    )
}

fn unknown(namespace: &Namespace) -> Error {
    Error::not_found("retention_unknown", format!("no rule of retention holds in {namespace}: all stays"))
        .hint(format!("set one with: gradus retention set {namespace} --older-than 90d --keep 10"))
}

pub async fn remove(cx: &Context, actor: &Actor, namespace: &Namespace) -> Result<()> {
    refuse_service(actor)?;
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    check_still_admin(&mut tx, actor, namespace).await?;
    if !retention::remove(&mut tx, namespace).await? {
        return Err(unknown(namespace));
    }
    let change = Change::RetentionRemoved { namespace: namespace.clone() };
    log::append(&mut tx, cx.clock.now(), &actor.principal, vec![change]).await?;
    tx.commit().await
}
