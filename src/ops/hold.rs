//! Legal holds: what must not be taken away, whoever wants it.

use super::{
    Context,
    namespaces::refuse_deleted,
    promote::check_reason,
    resolve,
    two_admins::{check_still_admin, refuse_service},
};
use crate::{
    db::{
        Tx,
        holds::{self, HoldRow},
        log, manifests, namespaces, versions,
    },
    error::{Error, Result},
    model::{
        access::{Actor, Permission},
        digest::{Digest, shorten},
        event::Change,
        name::Workload,
        reference::Selector,
        removal::{Exact, HoldScope},
    },
};

pub use holds::HoldRow as Hold;

/// Most holds of one scope.
const HOLDS_MAX: usize = 100;

/// Refuses what a hold covers.
pub(super) fn refuse(held: Option<HoldRow>, what: &str) -> Result<()> {
    let Some(hold) = held else { return Ok(()) };
    Err(Error::conflict("held", format!("{what} is under hold: {}", hold.reason)).hint(format!(
        "{} has set it on {}; an admin lifts it with: gradus hold clear {} -m WHY",
        hold.set_by,
        hold.place(),
        hold.place()
    )))
}

/// Whoever administers the namespace. Asked before anything is looked up.
fn may(actor: &Actor, scope: &HoldScope) -> Result<()> {
    actor.require(Permission::Administer, &scope.namespace())
}

/// Sets a hold. Several may be on one scope, each with its own reason.
pub async fn set(cx: &Context, actor: &Actor, scope: &HoldScope, reason: &str) -> Result<HoldRow> {
    may(actor, scope)?;
    check_reason(reason)?;
    super::namespaces::show(cx, &scope.namespace()).await?;
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    check_still_admin(&mut tx, actor, &scope.namespace()).await?;
    check_there(cx, &mut tx, scope).await?;
    let digest = content(cx, &mut tx, scope).await?;
    let namespace = scope.namespace();
    let place = scope.workload().map_or_else(|| namespace.to_string(), ToString::to_string);
    if holds::of_scope(&mut tx, &place, digest.as_ref()).await?.len() >= HOLDS_MAX {
        return Err(Error::conflict(
            "holds_many",
            format!("there are {HOLDS_MAX} holds on it already: {scope}"),
        )
        .hint(format!("see them with: gradus hold list {scope}")));
    }
    let row = HoldRow {
        id: cx.clock.id().simple().to_string(),
        namespace,
        scope: place,
        digest,
        reason: reason.to_owned(),
        set_at: cx.clock.now(),
        set_by: actor.principal.clone(),
    };
    holds::insert(&mut tx, &row).await?;
    let change = Change::HoldSet { scope: row.place(), hold: row.id.clone(), reason: row.reason.clone() };
    log::append(&mut tx, row.set_at, &actor.principal, vec![change]).await?;
    tx.commit().await?;
    Ok(row)
}

/// Lifts the hold of exactly this scope; where there are several, the one that is named.
pub async fn clear(
    cx: &Context,
    actor: &Actor,
    scope: &HoldScope,
    id: Option<&str>,
    reason: &str,
) -> Result<HoldRow> {
    may(actor, scope)?;
    check_reason(reason)?;
    refuse_service(
        actor,
        "service_cannot_clear_hold",
        "lift a hold",
        "a person who is an admin does: gradus hold clear SCOPE -m WHY",
    )?;
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    check_still_admin(&mut tx, actor, &scope.namespace()).await?;
    let digest = content(cx, &mut tx, scope).await?;
    let place = scope.workload().map_or_else(|| scope.namespace().to_string(), ToString::to_string);
    let mut rows = holds::of_scope(&mut tx, &place, digest.as_ref()).await?;
    if let Some(id) = id {
        rows.retain(|row| row.id == id);
    }
    let see = format!("see the holds there are: gradus hold list {scope}");
    let row = match (rows.pop(), rows.is_empty()) {
        (Some(row), true) => row,
        (Some(_), false) => {
            let message = format!("there are {} holds on it: {scope}", rows.len() + 1);
            return Err(
                Error::conflict("hold_ambiguous", message).hint(format!("say which one with --id ID; {see}"))
            );
        }
        (None, _) => {
            let which = id.map(|id| format!(" {}", shorten(id))).unwrap_or_default();
            return Err(Error::not_found("hold_unknown", format!("no such hold{which} on it: {scope}"))
                .hint(format!("a hold is lifted where it was set; {see}")));
        }
    };
    let now = cx.clock.now();
    holds::clear(&mut tx, &row.id, now, &actor.principal, reason).await?;
    let change = Change::HoldCleared { scope: row.place(), hold: row.id.clone(), reason: reason.to_owned() };
    log::append(&mut tx, now, &actor.principal, vec![change]).await?;
    tx.commit().await?;
    Ok(row)
}

/// The content that is meant, where it is one version. What is named must be there: a slip of the pen must not look like a
/// hold.
async fn content(cx: &Context, tx: &mut Tx, scope: &HoldScope) -> Result<Option<Digest>> {
    match scope {
        HoldScope::Namespace(_) => Ok(None),
        HoldScope::Workload(workload) => {
            known(tx, workload).await?;
            Ok(None)
        }
        HoldScope::Version(workload, exact) => {
            if let Some(manifest) = other_manifest(tx, workload, exact).await? {
                return Ok(Some(manifest));
            }
            Ok(Some(resolve::find_any(cx, tx, workload, &exact.selector()).await?.digest))
        }
    }
}

/// What was purged or deleted is not there to be kept any more.
async fn check_there(cx: &Context, tx: &mut Tx, scope: &HoldScope) -> Result<()> {
    if let Some(workload) = scope.workload() {
        refuse_deleted(workload, namespaces::deletion(tx, workload).await?)?;
    }
    if let HoldScope::Version(workload, exact) = scope
        && other_manifest(tx, workload, exact).await?.is_none()
    {
        resolve::find(cx, tx, workload, &exact.selector()).await?;
    }
    Ok(())
}

/// A manifest of the workload that is named by its digest and is no version's: an index, evidence, what an OCI client pushed.
async fn other_manifest(tx: &mut Tx, workload: &Workload, exact: &Exact) -> Result<Option<Digest>> {
    let Selector::Digest(digest) = exact.selector() else { return Ok(None) };
    let is_other = manifests::exists(tx, workload, &digest).await?
        && versions::find_by_digest(tx, workload, &digest).await?.is_none();
    Ok(is_other.then_some(digest))
}

async fn known(tx: &mut Tx, workload: &Workload) -> Result<()> {
    match namespaces::repository_exists(tx, workload).await? {
        true => Ok(()),
        false => Err(super::status::unknown_workload(workload)),
    }
}

/// Holds after an id that the caller may see: all, or those that concern a scope.
pub async fn list(
    cx: &Context,
    actor: &Actor,
    scope: Option<&HoldScope>,
    after: &str,
    limit: i64,
) -> Result<Vec<HoldRow>> {
    let namespace = scope.map(HoldScope::namespace);
    if let Some(namespace) = &namespace {
        actor.require(Permission::Read, namespace)?;
    }
    let mut tx = cx.db.read().await?;
    let digest = match scope {
        Some(scope) => content(cx, &mut tx, scope).await?,
        None => None,
    };
    let workload = scope.and_then(HoldScope::workload);
    let (mut after, mut visible) = (after.to_owned(), Vec::new());
    loop {
        let page =
            holds::list(&mut tx, namespace.as_ref(), workload, digest.as_ref(), &after, super::PAGE_MAX)
                .await?;
        let Some(last) = page.last() else { return Ok(visible) };
        after = last.id.clone();
        for row in page.into_iter().filter(|row| actor.may(Permission::Read, &row.namespace)) {
            visible.push(row);
            if visible.len() as i64 == limit {
                return Ok(visible);
            }
        }
    }
}
