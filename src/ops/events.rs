//! Reading the event log.

use super::Context;
use crate::{
    db::log,
    error::{Error, Result},
    model::{
        access::{Actor, Permission},
        event::Event,
        hook,
        name::{Namespace, Workload},
    },
};

/// Which events to read.
#[derive(Default)]
pub struct Filter {
    pub namespace: Option<Namespace>,
    pub workload: Option<Workload>,
    pub kind: Option<String>,
    /// As hooks listen: `promoted:production,rolled_back`.
    pub on: Option<hook::Filter>,
    /// Only what is about a workload: that is all a reader of the namespace sees.
    pub only_workloads: bool,
}

impl Filter {
    /// What of it the caller may see. An auditor of a namespace sees its events, and who may read there those about its
    /// workloads; without a namespace it takes a role for the whole registry.
    pub fn for_actor(mut self, actor: &Actor) -> Result<Self> {
        let namespace = self.namespace.clone().or_else(|| self.workload.as_ref().map(Workload::namespace));
        if let (Some(namespace), Some(workload)) = (&self.namespace, &self.workload)
            && workload.namespace() != *namespace
        {
            return Err(Error::invalid("query_invalid", "the workload is of another namespace"));
        }
        match &namespace {
            Some(namespace) if actor.may(Permission::Audit, namespace) => {}
            Some(namespace) if actor.may(Permission::Read, namespace) => self.only_workloads = true,
            Some(namespace) => actor.require(Permission::Audit, namespace)?,
            None => actor.require_everywhere(Permission::Audit).map_err(|error| {
                error.hint(
                    "name a namespace that you have a role in: ?namespace=NAME (gradus log --namespace NAME); \
                     events of the whole registry need the role auditor or admin for all namespaces ('*')",
                )
            })?,
        }
        self.namespace = namespace;
        Ok(self)
    }

    /// Whether an event is one of those.
    pub fn passes(&self, event: &Event) -> bool {
        let change = &event.change;
        let of_namespace = |namespace: &Namespace| change.namespace().as_deref() == Some(namespace.as_str());
        self.namespace.as_ref().is_none_or(of_namespace)
            && self.workload.as_ref().is_none_or(|workload| change.workload() == Some(workload))
            && self.kind.as_deref().is_none_or(|kind| kind == change.kind())
            && self.on.as_ref().is_none_or(|on| on.matches(change))
            && (!self.only_workloads || change.workload().is_some())
    }
}

/// The log's length; a position that it has not reached is refused.
pub(super) async fn reach(cx: &Context, cursor: i64) -> Result<i64> {
    let mut length = cx.db.epoch().await?;
    if cursor > length {
        // What was committed a moment ago is read before this process knows of it.
        length = log::length(&mut cx.db.read().await?).await?.unwrap_or_default();
    }
    if (0..=length).contains(&cursor) {
        return Ok(length);
    }
    Err(Error::invalid("cursor_ahead", format!("the log has {length} entries, none at {cursor} yet")).hint(
        format!("was the registry restored from a backup? Go on from {length}, and look at the state itself"),
    ))
}

/// Events from a position on that pass the filter, oldest first.
pub async fn list(cx: &Context, filter: &Filter, from: i64, limit: i64) -> Result<Vec<Event>> {
    let (first, mut from, mut found) = (from, from, Vec::new());
    loop {
        let page = read(cx, filter, from, limit).await?;
        let is_full = page.len() as i64 == limit;
        from = page.last().map_or(from, |last| last.position + 1);
        found.extend(page.into_iter().filter(|event| filter.passes(event)));
        found.truncate(usize::try_from(limit).unwrap_or(0));
        if !is_full || found.len() as i64 == limit {
            if found.is_empty() {
                reach(cx, first).await?;
            }
            return Ok(found);
        }
    }
}

/// Events as far as the database can tell which; some may not pass.
pub(super) async fn read(cx: &Context, filter: &Filter, from: i64, limit: i64) -> Result<Vec<Event>> {
    let rows = {
        let filter = log::Filter {
            namespace: filter.namespace.as_ref().map(Namespace::as_str),
            workload: filter.workload.as_ref().map(Workload::as_str),
            kind: filter.kind.as_deref(),
        };
        log::list(&mut cx.db.read().await?, &filter, from, limit).await?
    };
    rows.into_iter().map(|(_, bytes)| Event::from_bytes(&bytes)).collect()
}
