//! What takes admins, and of what takes two: whose word counts.

use super::{Context, take_away::Decision};
use crate::{
    db::{Tx, log, principals},
    error::{Error, Result},
    model::{
        access::{Actor, Permission, PrincipalKind, Role},
        event::{Change, Event},
        name::{Namespace, PrincipalName, Workload},
        removal::Authority,
    },
};
use chrono::{DateTime, TimeDelta, Utc};

/// How long a request waits for another admin.
pub(super) const WAITS: TimeDelta = TimeDelta::days(7);

/// Refuses whoever is no admin of the namespace at this moment, and no person.
pub(super) async fn check_admin(tx: &mut Tx, actor: &Actor, namespace: &Namespace) -> Result<()> {
    let hint = "two people who are admins do; what was never promoted goes by a rule: gradus retention set";
    refuse_service(actor, "service_cannot_purge", "purge", hint)?;
    check_still_admin(tx, actor, namespace).await
}

/// Refuses a service: what takes content away for good, or lets it be taken away, is for people.
pub(super) fn refuse_service(actor: &Actor, code: &'static str, what: &str, hint: &str) -> Result<()> {
    if actor.kind != PrincipalKind::Service {
        return Ok(());
    }
    Err(Error::forbidden(code, format!("a service cannot {what}: {}", actor.principal)).hint(hint))
}

/// Refuses whoever is no admin of the namespace at this moment. The log is locked.
pub(super) async fn check_still_admin(tx: &mut Tx, actor: &Actor, namespace: &Namespace) -> Result<()> {
    match principals::now_in(tx, actor, namespace).await?.contains(&Role::Admin) {
        true => Ok(()),
        false => actor.require(Permission::Administer, namespace).and(Err(Error::forbidden(
            "forbidden",
            format!("{} is no admin of {namespace} any more", actor.principal),
        ))),
    }
}

/// Why a request counts no more.
pub(super) enum Lapsed {
    Expired,
    NoAdmin,
}

/// What is said of a request of who is no admin any more.
pub(super) const NO_ADMIN: &str = "whoever asked for it is no admin any more";

/// Whether a request still counts: it does for a week, and for who is an admin at this moment. The log is locked.
pub(super) async fn lapsed(
    tx: &mut Tx,
    namespace: &Namespace,
    requested_by: &PrincipalName,
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<Lapsed>> {
    if expires_at <= now {
        return Ok(Some(Lapsed::Expired));
    }
    let people = principals::standing(tx, namespace, &[requested_by.clone()].into()).await?;
    let is_admin = people.get(requested_by).is_some_and(|person| person.roles.contains(&Role::Admin));
    Ok((!is_admin).then_some(Lapsed::NoAdmin))
}

/// Events that are read at a time.
const PAGE: i64 = 100;

/// How the log tells of a request: kinds of events, and which of the workload's are about it.
pub(super) struct Asked<'a> {
    pub kind: &'static str,
    pub is_it: &'a (dyn Fn(&Change) -> bool + Sync),
    pub withdrawn: &'static str,
    pub takes_back: &'a (dyn Fn(&Change) -> bool + Sync),
}

/// How a request is refused that does not count by the log.
pub(super) const UNKNOWN_TO_LOG: &str = "request_unknown_to_log";
pub(super) const WITHDRAWN_IN_LOG: &str = "request_withdrawn_in_log";

/// The last event of a request. Refuses one that the log does not tell of, or tells to be taken back: whoever can write the
/// database must not make two admins of one.
pub(super) async fn check_asked(
    tx: &mut Tx,
    workload: &Workload,
    by: &PrincipalName,
    asked: Asked<'_>,
) -> Result<Change> {
    let by_them = |event: &Event| event.actor == *by && (asked.is_it)(&event.change);
    let back = |event: &Event| (asked.takes_back)(&event.change);
    let (mut from, mut last, mut was_asked) = (0, None, false);
    while let Some((position, event)) = find_event(tx, workload, asked.kind, from, by_them).await? {
        was_asked = true;
        from = position + 1;
        last = Some(event.change);
        if let Some((withdrawn, _)) = find_event(tx, workload, asked.withdrawn, from, back).await? {
            from = withdrawn + 1;
            last = None;
        }
    }
    if let Some(change) = last {
        return Ok(change);
    }
    let error = match was_asked {
        true => Error::conflict(
            WITHDRAWN_IN_LOG,
            format!("the log tells that the request of {by} was taken back: {workload}"),
        ),
        false => {
            Error::conflict(UNKNOWN_TO_LOG, format!("the log tells of no such request by {by}: {workload}"))
        }
    };
    Err(error
        .hint("somebody may have changed the database; take the request back with --withdraw, then ask anew"))
}

/// The first event of a workload of a kind, from a position on, that is the one.
async fn find_event(
    tx: &mut Tx,
    workload: &Workload,
    kind: &str,
    mut from: i64,
    is_it: impl Fn(&Event) -> bool,
) -> Result<Option<(i64, Event)>> {
    let filter = log::Filter { workload: Some(workload.as_str()), kind: Some(kind), namespace: None };
    loop {
        let page = log::list(tx, &filter, from, PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(None) };
        from = last + 1;
        for (position, bytes) in &page {
            let event = Event::from_bytes(bytes)?;
            if is_it(&event) {
                return Ok(Some((*position, event)));
            }
        }
    }
}

/// Whether one person is enough: whoever has the data directory could delete the files by hand.
pub(super) fn is_alone(cx: &Context, actor: &Actor) -> bool {
    cx.local.as_ref() == Some(&actor.principal)
}

/// What is decided by whoever says `reason` now and whoever asked for it before, who and why.
pub(super) fn decide<'a>(
    cx: &Context,
    actor: &Actor,
    asked: Option<(&PrincipalName, &'a str)>,
    reason: &'a str,
    at: DateTime<Utc>,
) -> Decision<'a> {
    let other = asked.map(|(by, _)| by).filter(|by| **by != actor.principal);
    Decision {
        reason: asked.map_or(reason, |(_, first)| first),
        authority: if is_alone(cx, actor) { Authority::LocalUser } else { Authority::TwoAdmins },
        requested_by: other.cloned(),
        confirmed: other.map(|_| reason),
        at,
    }
}
