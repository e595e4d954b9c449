//! The key that a namespace's columns which are not to be told are hashed with. It is derived from the registry's secret, and kept
//! nowhere.

use super::super::{Context, unknown_namespace};
use crate::{db::namespaces, drift::signals::HashKey, error::Result, model::name::Namespace};

/// Whoever has it can try which value has which hash. Errors: no such namespace.
pub async fn show(cx: &Context, namespace: &Namespace) -> Result<[u8; 32]> {
    match namespaces::find(&mut cx.db.read().await?, namespace).await? {
        Some(_) => bytes(cx, namespace),
        None => Err(unknown_namespace(namespace)),
    }
}

pub(super) fn of(cx: &Context, namespace: &Namespace) -> Result<HashKey> {
    Ok(HashKey::new(&bytes(cx, namespace)?))
}

fn bytes(cx: &Context, namespace: &Namespace) -> Result<[u8; 32]> {
    Ok(cx.db.sealer()?.key_for(&format!("drift/{namespace}")))
}
