//! Users: people and services. They are disabled, never deleted, since the log names them for ever.

use super::Context;
use crate::{
    db::{log, principals, promotions},
    error::{Error, Result},
    model::{
        access::{Actor, EVERYWHERE, PrincipalKind, Role},
        event::Change,
        name::PrincipalName,
    },
};

pub use principals::PrincipalRow;

pub(super) fn unknown(user: &PrincipalName) -> Error {
    Error::not_found("user_unknown", format!("no such user: {user}"))
        .hint(format!("an admin adds one with: gradus user add {user}"))
}

/// Adds a user. The same again answers the one there is, and false.
pub async fn add(
    cx: &Context,
    actor: &Actor,
    name: PrincipalName,
    kind: PrincipalKind,
) -> Result<(PrincipalRow, bool)> {
    if kind == PrincipalKind::Local || name.as_str().starts_with("local:") {
        return Err(Error::invalid("principal_kind_invalid", "local users are made by local mode itself")
            .hint("use person or service, and a name without 'local:'"));
    }
    let mut tx = cx.db.write().await?;
    let row = PrincipalRow { name: name.clone(), kind, disabled: false, created_at: cx.clock.now() };
    if !principals::insert(&mut tx, &row).await? {
        return match principals::find(&mut tx, &name).await? {
            Some(there) if there.kind == kind && !there.disabled => Ok((there, false)),
            _ => Err(Error::conflict("user_exists", format!("the name is taken: {name}"))
                .hint("names are never given again; see: gradus user list")),
        };
    }
    log::append(&mut tx, cx.clock.now(), &actor.principal, vec![Change::UserAdded { user: name, kind }])
        .await?;
    tx.commit().await?;
    Ok((row, true))
}

/// Ends all access of a user at once. The last admin of the registry cannot be disabled.
pub async fn disable(cx: &Context, actor: &Actor, name: &PrincipalName) -> Result<()> {
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    principals::find(&mut tx, name).await?.ok_or_else(|| unknown(name))?;
    if principals::disable(&mut tx, name).await? {
        if principals::count_holders(&mut tx, EVERYWHERE, Role::Admin).await? == 0 {
            return Err(last_admin());
        }
        promotions::stir(&mut tx, EVERYWHERE, cx.clock.now()).await?;
        let change = Change::UserDisabled { user: name.clone() };
        log::append(&mut tx, cx.clock.now(), &actor.principal, vec![change]).await?;
        tx.commit().await?;
    }
    Ok(())
}

pub(super) fn last_admin() -> Error {
    Error::conflict("last_admin", "this would leave the registry without an admin")
        .hint("give somebody else the role first: gradus member add '*' WHO admin")
}

pub async fn list(cx: &Context, after: &str, limit: i64) -> Result<Vec<PrincipalRow>> {
    principals::list(&mut cx.db.read().await?, after, limit).await
}
