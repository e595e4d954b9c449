//! Namespaces and who belongs to them.

use super::{Context, status, unknown_namespace, users};
use crate::{
    db::{Tx, log, namespaces, principals, promotions},
    error::{Error, Result},
    model::{
        access::{Actor, EVERYWHERE, Permission, PrincipalKind, Role},
        event::Change,
        name::{Namespace, PrincipalName, Workload},
    },
};

use chrono::{DateTime, Utc};
use namespaces::Deleted;

pub use namespaces::NamespaceRow;

fn namespace_deleted(name: &Namespace) -> Error {
    Error::gone(
        "namespace_deleted",
        format!("the namespace was deleted, and its name is not given again: {name}"),
    )
    .hint("choose another name: gradus namespace create NAME")
}

/// Refuses a name that was given up.
pub(super) fn refuse_deleted(repository: &Workload, deleted: Option<Deleted>) -> Result<()> {
    match deleted {
        None => Ok(()),
        Some(Deleted::Namespace) => Err(namespace_deleted(&repository.namespace())),
        Some(Deleted::Workload) => Err(workload_deleted(repository)),
    }
}

pub(super) fn workload_deleted(workload: &Workload) -> Error {
    Error::gone(
        "workload_deleted",
        format!("the workload was deleted, and its name is not given again: {workload}"),
    )
    .hint(format!("choose another name: gradus push PATH --to {}/NAME", workload.namespace()))
}

/// Locks a workload or other repository until commit, and says so where there is none, or none any more.
pub(super) async fn lock_there(tx: &mut Tx, workload: &Workload) -> Result<()> {
    if namespaces::lock_repository(tx, workload).await?.is_none() {
        refuse_deleted(workload, namespaces::deletion(tx, workload).await?)?;
        return Err(status::unknown_workload(workload));
    }
    Ok(())
}

/// Makes the repository if it is not there, unless its name was given up.
pub(super) async fn ensure_repository(tx: &mut Tx, repository: &Workload, at: DateTime<Utc>) -> Result<()> {
    refuse_deleted(repository, namespaces::ensure_repository(tx, repository, at).await?)
}

/// Makes a namespace in a store, for good. The same again answers the one there is, and false.
pub async fn create(
    cx: &Context,
    actor: &Actor,
    name: Namespace,
    store: Option<String>,
) -> Result<(NamespaceRow, bool)> {
    let anywhere = store.is_none();
    let store = match store {
        Some(store) => cx.stores.get(&store).map_err(|error| {
            let names: Vec<&str> = cx.stores.all().iter().map(|store| store.name.as_str()).collect();
            Error::invalid("store_unknown", error.message)
                .hint(format!("configured stores: {}", names.join(", ")))
        })?,
        None => cx.stores.default_store(),
    };
    let row = NamespaceRow {
        name: name.clone(),
        store: store.name.clone(),
        created_at: cx.clock.now(),
        created_by: actor.principal.clone(),
        deleted_at: None,
    };
    let mut tx = cx.db.write().await?;
    if !namespaces::insert(&mut tx, &row).await? {
        return match namespaces::find(&mut tx, &name).await? {
            Some(there) if there.deleted_at.is_some() => Err(namespace_deleted(&name)),
            Some(there) if anywhere || there.store == row.store => Ok((there, false)),
            _ => Err(Error::conflict(
                "namespace_exists",
                format!("the namespace is there already, in another store: {name}"),
            )
            .hint(format!("look at it with: gradus namespace show {name}"))),
        };
    }
    let change = Change::NamespaceCreated { namespace: name, store: row.store.clone() };
    log::append(&mut tx, cx.clock.now(), &actor.principal, vec![change]).await?;
    tx.commit().await?;
    Ok((row, true))
}

pub async fn show(cx: &Context, name: &Namespace) -> Result<NamespaceRow> {
    let row = namespaces::find(&mut cx.db.read().await?, name).await?;
    match row.ok_or_else(|| unknown_namespace(name))? {
        row if row.deleted_at.is_some() => Err(namespace_deleted(name)),
        row => Ok(row),
    }
}

/// The namespaces the actor may see, after a name. Pages are filled with visible ones.
pub async fn list(cx: &Context, actor: &Actor, after: &str, limit: i64) -> Result<Vec<NamespaceRow>> {
    let mut tx = cx.db.read().await?;
    let (mut after, mut visible) = (after.to_owned(), Vec::new());
    loop {
        let page = namespaces::list(&mut tx, &after, super::PAGE_MAX).await?;
        let Some(last) = page.last() else { return Ok(visible) };
        after = last.name.to_string();
        for row in page.into_iter().filter(|row| actor.may(Permission::Read, &row.name)) {
            visible.push(row);
            if visible.len() as i64 == limit {
                return Ok(visible);
            }
        }
    }
}

/// Where roles are kept: a namespace, or `*` for the whole registry.
pub enum Place {
    Namespace(Namespace),
    Everywhere,
}

impl Place {
    pub fn parse(text: &str) -> Result<Self> {
        if text == EVERYWHERE { Ok(Self::Everywhere) } else { text.parse().map(Self::Namespace) }
    }

    fn key(&self) -> &str {
        match self {
            Self::Namespace(namespace) => namespace.as_str(),
            Self::Everywhere => EVERYWHERE,
        }
    }
}

async fn check_place(cx: &Context, actor: &Actor, place: &Place) -> Result<()> {
    match place {
        Place::Namespace(namespace) => show(cx, namespace).await.map(drop),
        Place::Everywhere => actor.require_everywhere(Permission::Administer),
    }
}

/// Gives a role. Having it already is fine.
pub async fn add_member(
    cx: &Context,
    actor: &Actor,
    place: &Place,
    who: &PrincipalName,
    role: Role,
) -> Result<()> {
    check_place(cx, actor, place).await?;
    let mut tx = cx.db.write().await?;
    let principal = principals::find(&mut tx, who).await?.ok_or_else(|| users::unknown(who))?;
    if principal.kind == PrincipalKind::Service && role == Role::Approver {
        return Err(Error::invalid(
            "service_cannot_approve",
            format!("a service cannot be an approver: {who}"),
        )
        .hint("approvals come from people"));
    }
    log::lock(&mut tx).await?;
    if principals::add_member(&mut tx, place.key(), who, role).await? {
        promotions::stir(&mut tx, place.key(), cx.clock.now()).await?;
        let change = Change::MemberAdded { namespace: place.key().to_owned(), principal: who.clone(), role };
        log::append(&mut tx, cx.clock.now(), &actor.principal, vec![change]).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Takes a role away, at once. Not having it is fine.
pub async fn remove_member(
    cx: &Context,
    actor: &Actor,
    place: &Place,
    who: &PrincipalName,
    role: Role,
) -> Result<()> {
    check_place(cx, actor, place).await?;
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    if principals::remove_member(&mut tx, place.key(), who, role).await? {
        let is_registry_admin = matches!((place, role), (Place::Everywhere, Role::Admin));
        if is_registry_admin && principals::count_holders(&mut tx, EVERYWHERE, Role::Admin).await? == 0 {
            return Err(users::last_admin());
        }
        promotions::stir(&mut tx, place.key(), cx.clock.now()).await?;
        let change =
            Change::MemberRemoved { namespace: place.key().to_owned(), principal: who.clone(), role };
        log::append(&mut tx, cx.clock.now(), &actor.principal, vec![change]).await?;
        tx.commit().await?;
    }
    Ok(())
}

pub async fn list_members(
    cx: &Context,
    actor: &Actor,
    place: &Place,
    after: (&str, &str),
    limit: i64,
) -> Result<Vec<(PrincipalName, Role)>> {
    check_place(cx, actor, place).await?;
    principals::list_members(&mut cx.db.read().await?, place.key(), after, limit).await
}
