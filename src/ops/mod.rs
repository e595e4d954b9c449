//! The verbs, one file each. A verb owns its transaction and appends its event in it; no bytes are moved
//! inside one. Whether the caller may come in at all, the route has checked; what depends on more than the
//! route's namespace is checked here.

pub mod access;
pub mod aliases;
pub mod along;
mod attempt;
pub mod audit;
pub mod backup;
mod bake;
pub mod blobs;
pub mod cards;
pub mod decide;
pub mod delete;
pub mod deployments;
pub mod dossier;
pub mod erase;
pub mod events;
pub mod evidence;
pub mod follow;
pub mod freeze;
pub mod garbage;
mod health;
pub mod hold;
pub mod hooks;
pub mod inspect;
pub mod inventory;
mod issuers;
pub mod judgement;
pub mod keyless;
pub mod lineage;
pub mod listing;
pub mod manifests;
pub mod monitors;
pub mod namespaces;
pub mod policy;
pub mod promote;
pub mod purge;
pub mod push;
pub mod quarantine;
pub mod quotas;
pub mod reads;
pub mod recover;
pub mod render;
pub mod reporting;
pub mod resolve;
pub mod restore;
pub mod retention;
pub mod rollback;
pub mod scrub;
pub mod settle;
pub mod start;
pub mod status;
pub mod tags;
pub mod take_away;
pub mod tokens;
pub mod trust;
pub mod uploads;
pub mod users;
pub mod verify;
pub mod yank;

mod blame;
pub mod claim;
pub mod compose;
mod memo;
mod named;
mod number;
mod purged;
mod referrer;
mod session;
mod snapshot;
mod told;
mod turns;
mod two_admins;
mod walk;

use crate::{
    blobs::Stores,
    clock::Clock,
    config::Config,
    db::Db,
    error::{Error, Result},
    hooks::{Sender, address::Allowed, system_lookup},
    model::name::{Namespace, PrincipalName},
    telemetry::Metrics,
};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Everything a verb works with. One per process, shared by all requests.
pub struct Context {
    pub db: Db,
    pub stores: Stores,
    pub clock: Arc<dyn Clock>,
    pub config: Config,
    pub metrics: Metrics,
    /// Set in local mode: who acts when a call carries no token.
    pub local: Option<PrincipalName>,
    pub(crate) memo: memo::Memo,
    pub(crate) policies: policy::Cache,
    pub(crate) turns: turns::Turns,
    /// Whose identity tokens count, as far as they were asked for their keys.
    pub(crate) issuers: issuers::Issuers,
    /// Bodies being received, each in a task of its own.
    pub(crate) receiving: TaskTracker,
    /// Set when the process is asked to stop: what waits for something ends.
    pub closing: CancellationToken,
    /// Places of those who watch the log.
    pub watchers: Arc<Semaphore>,
    pub(crate) tail: follow::Tail,
    /// Who read what, until it is written down.
    pub(crate) reads: reads::Reads,
    /// Told when runs of monitors were queued here.
    pub(crate) runs: tokio::sync::Notify,
    sender: OnceLock<Arc<Sender>>,
}

impl Context {
    pub fn new(
        db: Db,
        stores: Stores,
        clock: Arc<dyn Clock>,
        config: Config,
        local: Option<PrincipalName>,
    ) -> Arc<Self> {
        let watchers = Arc::new(Semaphore::new(config.limits.watchers.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self {
            db,
            stores,
            clock,
            config,
            metrics: Metrics::new(),
            local,
            memo: memo::Memo::default(),
            policies: policy::Cache::default(),
            turns: turns::Turns::default(),
            issuers: issuers::Issuers::default(),
            receiving: TaskTracker::new(),
            closing: CancellationToken::new(),
            watchers,
            tail: follow::Tail::default(),
            reads: reads::Reads::default(),
            runs: tokio::sync::Notify::new(),
            sender: OnceLock::new(),
        })
    }

    /// What sends to hooks.
    pub fn sender(&self) -> Result<Arc<Sender>> {
        if let Some(sender) = self.sender.get() {
            return Ok(sender.clone());
        }
        let hooks = &self.config.hooks;
        let timeout = Duration::from_secs(hooks.timeout_seconds.into());
        let allowed = Allowed::new(hooks.allow.clone());
        let sender = Sender::new(allowed, timeout, hooks.ca_file.as_deref(), system_lookup())?;
        Ok(self.sender.get_or_init(|| Arc::new(sender)).clone())
    }

    /// Sends by another one from the start.
    pub fn send_by(&self, sender: Sender) {
        let _ = self.sender.set(Arc::new(sender));
    }

    /// How long something unused is kept before garbage collection may take it.
    pub fn grace(&self) -> chrono::TimeDelta {
        chrono::TimeDelta::hours(i64::from(self.config.garbage.grace_hours))
    }
}

/// Most entries of a page, and how many there are when nothing is said.
pub const PAGE_MAX: i64 = 1000;
pub const PAGE_DEFAULT: i64 = 100;

fn unknown_namespace(namespace: &Namespace) -> Error {
    Error::not_found("namespace_unknown", format!("no such namespace: {namespace}"))
        .hint(format!("an admin makes it with: gradus namespace create {namespace}"))
}

/// Text from a caller that goes into events and messages: bounded, without control characters.
fn check_text(what: &str, text: &str, max: usize) -> Result<()> {
    // Among them those that turn the direction of what follows: people would read something else than is there.
    let is_control = |c: char| {
        c.is_control() && c != '\n' || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if text.chars().count() > max || text.chars().any(is_control) {
        return Err(Error::invalid(
            "text_invalid",
            format!("the {what} is too long or has control characters"),
        )
        .hint(format!("at most {max} characters")));
    }
    Ok(())
}
