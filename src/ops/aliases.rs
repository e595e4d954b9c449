//! Aliases: free labels on versions, with their history in the log.

use super::{Context, resolve, tags::set_tag};
use crate::{
    db::{Tx, log, namespaces, tags, versions},
    error::{Error, Result},
    model::{
        access::Actor,
        event::Change,
        name::{Tag, Workload},
        reference::{Reference, Selector},
    },
};

pub use tags::AliasRow;

/// The alias of this name, unless the word means something else in a reference to this workload.
async fn free(cx: &Context, tx: &mut Tx, workload: &Workload, alias: &str) -> Result<Tag> {
    let selector = Selector::parse(alias)?;
    let what = match (&selector, resolve::stage(cx, tx, workload, &selector).await?) {
        (Selector::Alias(tag), None) => return Ok(tag.clone()),
        (_, Some(_)) => "stage",
        (other, None) => other.describe(),
    };
    Err(Error::invalid("alias_reserved", format!("in a reference this is a {what}, not an alias: {alias}"))
        .hint("choose another word, for example champion"))
}

/// Points an alias at the version a reference means now. Answers that version.
pub async fn set(cx: &Context, actor: &Actor, alias: &str, to: &Reference) -> Result<AliasRow> {
    let now = cx.clock.now();
    let mut tx = cx.db.write().await?;
    namespaces::lock_repository(&mut tx, &to.workload).await?;
    // No policy makes a stage of the word meanwhile.
    log::lock(&mut tx).await?;
    let alias = free(cx, &mut tx, &to.workload, alias).await?;
    let row = resolve::find(cx, &mut tx, &to.workload, &to.selector).await?;
    if let Some(other) = tags::find(&mut tx, &to.workload, alias.as_str()).await?
        && versions::of_manifest(&mut tx, &to.workload, &other).await?.is_none()
    {
        return Err(Error::conflict(
            "alias_is_a_tag",
            format!("a tag of this name is on content that is no version: {}:{alias}", to.workload),
        )
        .hint("choose another word, or delete the tag with an OCI client first"));
    }
    if let Some(change) = set_tag(cx, &mut tx, &to.workload, alias.as_str(), &row.digest, now).await? {
        log::append(&mut tx, now, &actor.principal, vec![change]).await?;
        tx.commit().await?;
    }
    Ok(AliasRow { alias: alias.to_string(), digest: row.digest, version: row.version, updated_at: now })
}

pub async fn remove(cx: &Context, actor: &Actor, workload: &Workload, alias: &str) -> Result<()> {
    let mut tx = cx.db.write().await?;
    let alias = free(cx, &mut tx, workload, alias).await?;
    namespaces::lock_repository(&mut tx, workload).await?;
    let from = tags::find(&mut tx, workload, alias.as_str()).await?.ok_or_else(|| {
        Error::not_found("alias_unknown", format!("no such alias of {workload}: {alias}"))
            .hint(format!("list them with: gradus alias list {workload}"))
    })?;
    tags::delete(&mut tx, workload, alias.as_str()).await?;
    let change = Change::AliasRemoved { workload: workload.clone(), alias: alias.to_string(), from };
    log::append(&mut tx, cx.clock.now(), &actor.principal, vec![change]).await?;
    tx.commit().await
}

pub async fn list(cx: &Context, workload: &Workload, after: &str, limit: i64) -> Result<Vec<AliasRow>> {
    tags::list_aliases(&mut cx.db.read().await?, workload, after, limit).await
}
