//! Withdrawing a version: it stays for those who pin it, and is no longer found by those who ask for a range.

use super::{Context, check_text, purged};
use crate::{
    db::{log, promotions, versions},
    error::{Error, Result},
    model::{access::Actor, event::Change, name::Workload, version::Version},
};

/// Yanks a version. Doing it twice is fine; the first reason stays.
pub async fn yank(
    cx: &Context,
    actor: &Actor,
    workload: &Workload,
    version: &Version,
    reason: &str,
) -> Result<()> {
    check_text("reason", reason, 1000)?;
    if reason.trim().is_empty() {
        return Err(Error::invalid("reason_missing", "a reason is needed to withdraw a version")
            .hint("give it with: -m \"…\""));
    }
    let mut tx = cx.db.write().await?;
    let row = versions::find(&mut tx, workload, version).await?.ok_or_else(|| {
        Error::not_found("version_unknown", format!("no such version: {workload}:{version}"))
            .hint(format!("list them with: gradus list {workload}"))
    })?;
    if let Some(purged) = &row.purged {
        return Err(purged::gone(&format!("{workload}:{version}"), purged));
    }
    let now = cx.clock.now();
    log::lock(&mut tx).await?;
    if versions::yank(&mut tx, workload, version, now, reason).await? {
        promotions::stir(&mut tx, workload.as_str(), now).await?;
        let change = Change::Yanked {
            workload: workload.clone(),
            version: version.clone(),
            digest: row.digest,
            reason: reason.to_owned(),
        };
        log::append(&mut tx, now, &actor.principal, vec![change]).await?;
        tx.commit().await?;
    }
    Ok(())
}
