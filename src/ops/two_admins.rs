//! What takes admins, and of what takes two: whose word counts.

use crate::{
    db::{Tx, principals},
    error::{Error, Result},
    model::{
        access::{Actor, Permission, PrincipalKind, Role},
        name::{Namespace, PrincipalName},
    },
};
use chrono::TimeDelta;

/// How long a request waits for another admin.
pub(super) const WAITS: TimeDelta = TimeDelta::days(7);

/// Refuses whoever is no admin of the namespace at this moment, and no person.
pub(super) async fn check_admin(tx: &mut Tx, actor: &Actor, namespace: &Namespace) -> Result<()> {
    let hint = "two people who are admins do; what was never promoted goes by a rule: gradus retention set";
    refuse_service(actor, "service_cannot_purge", "purge", hint)?;
    check_still_admin(tx, actor, namespace).await
}

/// Refuses a service: what takes content away for good, or lets it be taken away, is for people.
pub(super) fn refuse_service(actor: &Actor, code: &'static str, what: &str, hint: &str) -> Result<()> {
    if actor.kind != PrincipalKind::Service {
        return Ok(());
    }
    Err(Error::forbidden(code, format!("a service cannot {what}: {}", actor.principal)).hint(hint))
}

/// Refuses whoever is no admin of the namespace at this moment. The log is locked.
pub(super) async fn check_still_admin(tx: &mut Tx, actor: &Actor, namespace: &Namespace) -> Result<()> {
    match principals::now_in(tx, actor, namespace).await?.contains(&Role::Admin) {
        true => Ok(()),
        false => actor.require(Permission::Administer, namespace).and(Err(Error::forbidden(
            "forbidden",
            format!("{} is no admin of {namespace} any more", actor.principal),
        ))),
    }
}

/// Whether somebody is an admin of the namespace at this moment.
pub(super) async fn is_admin(tx: &mut Tx, namespace: &Namespace, who: &PrincipalName) -> Result<bool> {
    let people = principals::standing(tx, namespace, &[who.clone()].into()).await?;
    Ok(people.get(who).is_some_and(|person| person.roles.contains(&Role::Admin)))
}
