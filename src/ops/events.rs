//! Reading the event log.

use super::Context;
use crate::{
    db::log,
    error::Result,
    model::{
        access::{Actor, Permission},
        event::Event,
        name::{Namespace, Workload},
    },
};

/// Which events to read.
#[derive(Default)]
pub struct Filter {
    pub namespace: Option<Namespace>,
    pub workload: Option<Workload>,
    pub kind: Option<String>,
}

/// Events from a position on, oldest first. An auditor of a namespace sees that namespace's; without a
/// namespace it takes a role for the whole registry.
pub async fn list(cx: &Context, actor: &Actor, filter: &Filter, from: i64, limit: i64) -> Result<Vec<Event>> {
    let namespace = filter.namespace.clone().or_else(|| filter.workload.as_ref().map(Workload::namespace));
    match &namespace {
        Some(namespace) => actor.require(Permission::Audit, namespace)?,
        None => actor.require_everywhere(Permission::Audit)?,
    }
    let rows = {
        let filter = log::Filter {
            namespace: namespace.as_ref().map(Namespace::as_str),
            workload: filter.workload.as_ref().map(Workload::as_str),
            kind: filter.kind.as_deref(),
        };
        log::list(&mut cx.db.read().await?, &filter, from, limit).await?
    };
    rows.into_iter().map(|(_, bytes)| Event::from_bytes(&bytes)).collect()
}
