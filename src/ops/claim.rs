//! A store belongs to one registry. A second one pointed at the same place would take the first one's objects for
//! garbage, so each store carries the id of its registry's secret, and another is refused. A copy of a registry with the
//! same secret cannot be told apart: give it a secret of its own.

use crate::{
    blobs::{Store, Stores},
    db::{Db, log},
    error::{Error, Kind, Result},
};

/// Marks the stores as this registry's. A store that does not answer is left for later: it must not keep a server
/// from starting.
pub async fn claim(db: &Db, stores: &Stores) -> Result<()> {
    for store in stores.all() {
        match check(db, store).await {
            Err(error) if error.kind == Kind::Unavailable => {
                tracing::warn!(store = store.name, %error, "the store cannot be marked as this registry's yet");
            }
            other => other?,
        }
    }
    Ok(())
}

/// Fails unless the store is this registry's, or nobody's: then it is from now on.
pub(super) async fn check(db: &Db, store: &Store) -> Result<()> {
    let ours = log::key_id(&mut db.read().await?).await?.unwrap_or_default();
    if store.owner().await?.is_none() {
        store.set_owner(&ours).await?;
    }
    // Read back: of two registries that marked it at the same moment one has won.
    match store.owner().await? {
        Some(owner) if owner == ours => Ok(()),
        _ => Err(Error::invalid(
            "store_of_another",
            format!("the store belongs to another registry: {}", store.name),
        )
        .hint("give each registry a place of its own: another bucket, prefix or directory")),
    }
}
