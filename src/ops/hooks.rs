//! Hooks: made, tested, paused, taken away; what was delivered, and delivering it again. Whoever administers the scope may.

use super::{Context, PAGE_MAX, start::random};
use crate::{
    db::{
        Tx, deliveries,
        hooks::{self as rows, HookRow},
        log,
    },
    error::{Error, Result},
    hooks::{
        target::{Signing, Target},
        webhook::Secret,
    },
    model::{
        access::{Actor, EVERYWHERE, Permission},
        digest::shorten,
        event::Change,
        hook::{DeliveryState, Filter, HookState, Template},
        name::PrincipalName,
        scope::Scope,
    },
    telemetry::DeliveryLabels,
};
use chrono::{DateTime, TimeDelta, Utc};

pub use deliveries::{AttemptRow, DeliveryRow};
pub use rows::HookRow as Hook;

/// Hooks of one namespace with its workloads, and those for the whole registry. What they are sent is queued in the
/// transaction of the event, which everybody else's changes wait for: two hundred rows of two tables at most. And whoever
/// appends after a hook was added reads them all anew, so that a hundred namespaces must not have too many together.
const HOOKS_MAX: i64 = 100;
/// Attempts that are shown of a delivery.
const SHOWN_MAX: i64 = 100;

/// What is asked for.
pub struct NewHook {
    pub scope: Scope,
    pub url: String,
    pub on: Filter,
    pub template: Template,
    /// Without it one is made.
    pub secret: Option<Secret>,
    pub is_asymmetric: bool,
    pub token: Option<String>,
    pub git_ref: Option<String>,
    pub subject: Option<String>,
}

/// Adds a hook. It gets what happens from now on. Answers, where signatures are to be checked, by what: shown only now.
pub async fn add(cx: &Context, actor: &Actor, new: NewHook) -> Result<(HookRow, Option<String>)> {
    may(actor, &new.scope)?;
    let secret = match new.secret {
        None if new.template == Template::Cloudevents => Some(Secret::of(random()?, new.is_asymmetric)),
        given => given,
    };
    let target = Target::new(&new.url, new.template, secret.clone(), new.token, new.git_ref, new.subject)?;
    cx.sender()?.check(&target).await?;
    let id = cx.clock.id().simple().to_string();
    let row = HookRow {
        target: seal(cx, &id, &target)?,
        id,
        shown: target.shown(),
        scope: new.scope,
        filter: new.on,
        state: HookState::Active,
        reason: None,
        failing_since: None,
        created_at: cx.clock.now(),
        created_by: actor.principal.clone(),
    };
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    super::policy::check_scope(cx, &mut tx, &row.scope).await?;
    let (key, place) = match row.scope.namespace() {
        Some(namespace) => (namespace.to_string(), format!("namespace {namespace}")),
        None => (EVERYWHERE.to_owned(), "the whole registry".to_owned()),
    };
    if rows::count(&mut tx, &key).await? >= HOOKS_MAX {
        return Err(Error::conflict("hooks_many", format!("{place} has {HOOKS_MAX} hooks already"))
            .hint("take some away with gradus hook rm ID, or send to one that tells the others"));
    }
    rows::insert(&mut tx, &row).await?;
    let change = Change::HookAdded {
        hook: row.id.clone(),
        scope: row.scope.to_string(),
        to: row.shown.clone(),
        on: row.filter.to_string(),
    };
    record(cx, tx, &actor.principal, change).await?;
    Ok((row, secret.map(|secret| secret.to_verify_by())))
}

/// Appends the event of a change of hooks and commits it.
async fn record(cx: &Context, mut tx: Tx, who: &PrincipalName, change: Change) -> Result<i64> {
    rows::count_change(&mut tx).await?;
    let length = log::append(&mut tx, cx.clock.now(), who, vec![change]).await?;
    tx.commit().await?;
    Ok(length - 1)
}

fn may(actor: &Actor, scope: &Scope) -> Result<()> {
    match scope {
        Scope::Everywhere => actor.require_everywhere(Permission::Administer),
        Scope::Namespace(namespace) => actor.require(Permission::Administer, namespace),
        Scope::Workload(workload) => actor.require(Permission::Administer, &workload.namespace()),
    }
}

fn unknown(id: &str) -> Error {
    Error::not_found("hook_unknown", format!("no such hook: {}", shorten(id)))
        .hint("list those there are with: gradus hook list")
}

/// A hook that the caller may administer. Others do not exist for them.
async fn find(tx: &mut Tx, actor: &Actor, id: &str) -> Result<HookRow> {
    let row = rows::find(tx, id).await?.filter(|row| may(actor, &row.scope).is_ok());
    row.ok_or_else(|| unknown(id))
}

/// Hooks after an id that the caller may administer; of a scope, or all.
pub async fn list(
    cx: &Context,
    actor: &Actor,
    scope: Option<&Scope>,
    after: &str,
    limit: i64,
) -> Result<Vec<HookRow>> {
    if let Some(scope) = scope {
        may(actor, scope)?;
    }
    let limit = usize::try_from(limit).unwrap_or(0);
    let (mut tx, mut after, mut found) = (cx.db.read().await?, after.to_owned(), Vec::new());
    loop {
        let page = rows::list(&mut tx, &after, PAGE_MAX).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after.clone_from(&last.id);
        let is_in = |row: &HookRow| match scope {
            None => true,
            Some(Scope::Namespace(namespace)) => row.scope.namespace().as_ref() == Some(namespace),
            Some(scope) => *scope == row.scope,
        };
        let is_meant = |row: &HookRow| may(actor, &row.scope).is_ok() && is_in(row);
        found.extend(page.into_iter().filter(is_meant));
        if found.len() >= limit {
            found.truncate(limit);
            return Ok(found);
        }
    }
}

/// A hook with what else there is to see of it.
pub struct Shown {
    pub row: HookRow,
    pub template: Template,
    /// By what signatures are checked, where that is no secret.
    pub public_keys: Vec<String>,
    /// Until when the secret before is valid too.
    pub rotating_until: Option<DateTime<Utc>>,
    pub pending: i64,
    /// Given up, and still kept.
    pub dead: i64,
}

pub async fn show(cx: &Context, actor: &Actor, id: &str) -> Result<Shown> {
    let mut tx = cx.db.read().await?;
    let row = find(&mut tx, actor, id).await?;
    let pending = deliveries::count_pending(&mut tx, Some(id)).await?;
    let dead = deliveries::count_dead(&mut tx, id).await?;
    let target = unseal(cx, &row)?;
    let now = cx.clock.now();
    Ok(Shown {
        template: target.template,
        public_keys: target.valid_secrets(now).iter().filter_map(|secret| secret.public()).collect(),
        rotating_until: target
            .secrets
            .iter()
            .filter_map(|signing| signing.until)
            .filter(|until| *until > now)
            .max(),
        pending,
        dead,
        row,
    })
}

/// Takes a hook away. What waits for it is not sent any more.
pub async fn remove(cx: &Context, actor: &Actor, id: &str) -> Result<()> {
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    let row = find(&mut tx, actor, id).await?;
    rows::remove(&mut tx, id, cx.clock.now()).await?;
    let change = Change::HookRemoved { hook: row.id, scope: row.scope.to_string() };
    record(cx, tx, &actor.principal, change).await.map(|_| ())
}

/// Lets a hook wait. Events go on to queue for it; what has waited for `keep_days` is given up (see [`give_up_old`]), so
/// that what is kept for a hook nobody resumes is bounded: as much as happens in twice that time.
pub async fn pause(cx: &Context, actor: &Actor, id: &str, reason: Option<&str>) -> Result<HookRow> {
    let reason = reason.unwrap_or("by hand");
    super::check_text("reason", reason, 1000)?;
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    let row = find(&mut tx, actor, id).await?;
    if row.state == HookState::Disabled {
        return Err(Error::conflict(
            "hook_disabled",
            format!("the hook is disabled, nothing queues for it: {id}"),
        )
        .hint(format!("gradus hook resume {id}")));
    }
    if rows::set_state(&mut tx, id, HookState::Paused, Some(reason)).await? {
        let (hook, scope) = (row.id, row.scope.to_string());
        let change = Change::HookPaused { hook, scope, reason: reason.to_owned() };
        record(cx, tx, &actor.principal, change).await?;
    }
    find(&mut cx.db.read().await?, actor, id).await
}

/// Sends again: first of all what waits, at once.
pub async fn resume(cx: &Context, actor: &Actor, id: &str) -> Result<HookRow> {
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    let row = find(&mut tx, actor, id).await?;
    if rows::set_state(&mut tx, id, HookState::Active, None).await? {
        deliveries::hurry(&mut tx, id, cx.clock.now()).await?;
        let change = Change::HookResumed { hook: row.id, scope: row.scope.to_string() };
        record(cx, tx, &actor.principal, change).await?;
    }
    find(&mut cx.db.read().await?, actor, id).await
}

/// Stops a hook whose receiver is down or gone. By nobody in particular.
pub async fn stop(cx: &Context, id: &str, state: HookState, why: &str) -> Result<()> {
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    let Some(row) = rows::find(&mut tx, id).await? else { return Ok(()) };
    let reason = match state {
        HookState::Disabled => "the receiver answered 410, it is gone for good".to_owned(),
        _ => format!("nothing could be delivered for as long as one event was tried; last: {why}"),
    };
    if row.state != HookState::Active || !rows::set_state(&mut tx, id, state, Some(&reason)).await? {
        return Ok(());
    }
    tracing::warn!(hook = id, %reason, "hook {state}");
    let (hook, scope) = (row.id, row.scope.to_string());
    let change = match state {
        HookState::Disabled => Change::HookDisabled { hook, scope, reason },
        _ => Change::HookPaused { hook, scope, reason },
    };
    record(cx, tx, &PrincipalName::local("scheduler"), change).await.map(|_| ())
}

/// Makes a delivery of a test event. Answers its position.
pub async fn test(cx: &Context, actor: &Actor, id: &str) -> Result<i64> {
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    let row = find(&mut tx, actor, id).await?;
    if row.state == HookState::Disabled {
        return Err(Error::conflict("hook_disabled", format!("the hook is disabled: {id}"))
            .hint(format!("gradus hook resume {id}, then test it")));
    }
    let change = Change::HookTested { hook: row.id, scope: row.scope.to_string() };
    let length = log::append(&mut tx, cx.clock.now(), &actor.principal, vec![change]).await?;
    tx.commit().await?;
    Ok(length - 1)
}

/// Gives a hook another secret. The one before is valid for so many hours more. Answers the new one, shown only now.
pub async fn rotate(
    cx: &Context,
    actor: &Actor,
    id: &str,
    secret: Option<Secret>,
    hours: i64,
) -> Result<(String, DateTime<Utc>)> {
    if !(0..=720).contains(&hours) {
        return Err(Error::invalid(
            "hours_invalid",
            format!("the old secret is valid 0 to 720 hours more, not {hours}"),
        ));
    }
    let now = cx.clock.now();
    let until = now + TimeDelta::hours(hours);
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    let row = find(&mut tx, actor, id).await?;
    let mut target = unseal(cx, &row)?;
    let Some(newest) = target.secrets.first() else {
        return Err(Error::conflict("hook_unsigned", format!("what this hook sends is not signed: {id}"))
            .hint("it is known by a token or its URL; add a new hook and take this one away"));
    };
    let secret = match secret {
        Some(secret) => secret,
        None => Secret::of(random()?, newest.secret.is_asymmetric()),
    };
    // Two are valid at a time: what was on its way out goes now.
    target.secrets.truncate(1);
    target.secrets[0].until = Some(until);
    target.secrets.insert(0, Signing { secret: secret.clone(), until: None });
    rows::set_target(&mut tx, id, &seal(cx, id, &target)?).await?;
    let change = Change::HookRotated { hook: row.id, scope: row.scope.to_string(), until };
    record(cx, tx, &actor.principal, change).await?;
    Ok((secret.to_verify_by(), until))
}

/// Deliveries of a hook about events before a position, newest first.
pub async fn deliveries(
    cx: &Context,
    actor: &Actor,
    id: &str,
    state: Option<DeliveryState>,
    before: i64,
    limit: i64,
) -> Result<Vec<DeliveryRow>> {
    let mut tx = cx.db.read().await?;
    find(&mut tx, actor, id).await?;
    deliveries::list(&mut tx, id, state, before, limit).await
}

/// A delivery with its last attempts.
pub async fn delivery(
    cx: &Context,
    actor: &Actor,
    id: &str,
    position: i64,
) -> Result<(DeliveryRow, Vec<AttemptRow>)> {
    let mut tx = cx.db.read().await?;
    find(&mut tx, actor, id).await?;
    let row = deliveries::find(&mut tx, id, position).await?.ok_or_else(|| no_delivery(id, position))?;
    Ok((row, deliveries::attempts(&mut tx, id, position, SHOWN_MAX).await?))
}

fn no_delivery(id: &str, position: i64) -> Error {
    Error::not_found(
        "delivery_unknown",
        format!("nothing was queued for this hook about event {position}: {id}"),
    )
    .hint(format!("see what is kept: gradus hook deliveries {id}; hooks.keep_days after it ended, a delivery is forgotten"))
}

/// Sends an event once more, under the same id. Answers too how the hook stands: one that is not active sends it later.
pub async fn replay(
    cx: &Context,
    actor: &Actor,
    id: &str,
    position: i64,
) -> Result<(DeliveryRow, HookState)> {
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    let hook = find(&mut tx, actor, id).await?;
    let row = deliveries::find(&mut tx, id, position).await?.ok_or_else(|| no_delivery(id, position))?;
    rows::lock(&mut tx, id).await?;
    if !deliveries::replay(&mut tx, id, position, &row.lane, cx.clock.now()).await? {
        return Err(Error::conflict(
            "delivery_pending",
            format!("event {position} is still to be sent to this hook: {id}"),
        )
        .hint(format!("see how it went so far: gradus hook deliveries {id}")));
    }
    let change = Change::HookReplayed { hook: hook.id, scope: hook.scope.to_string(), delivery: position };
    log::append(&mut tx, cx.clock.now(), &actor.principal, vec![change]).await?;
    tx.commit().await?;
    delivery(cx, actor, id, position).await.map(|(row, _)| (row, hook.state))
}

/// Gives up what was to be sent and waits since `keep_days`, because its hook is not resumed or nobody takes what comes before
/// it: dead letters, which can be replayed for as long again. Answers how many.
pub async fn give_up_old(cx: &Context) -> Result<u64> {
    let now = cx.clock.now();
    let before = now - TimeDelta::days(i64::from(cx.config.hooks.keep_days));
    let hooks = deliveries::with_old(&mut cx.db.read().await?, before).await?;
    let mut all = 0;
    for hook in hooks {
        let mut of_hook = 0;
        loop {
            let mut tx = cx.db.write().await?;
            rows::lock(&mut tx, &hook).await?;
            let gone = deliveries::give_up(&mut tx, &hook, before, now, PAGE_MAX).await?;
            tx.commit().await?;
            of_hook += gone;
            if gone == 0 {
                break;
            }
        }
        if of_hook > 0 {
            tracing::warn!(hook, deliveries = of_hook, "given up unsent: it has waited for keep_days");
            cx.metrics.deliveries.get_or_create(&DeliveryLabels { outcome: "dead" }).inc_by(of_hook);
        }
        all += of_hook;
    }
    Ok(all)
}

/// Forgets what ended long ago, dead letters included. Answers how many deliveries.
pub async fn prune(cx: &Context) -> Result<u64> {
    let before = cx.clock.now() - TimeDelta::days(i64::from(cx.config.hooks.keep_days));
    let mut all = 0;
    loop {
        let mut tx = cx.db.write().await?;
        let gone = deliveries::prune(&mut tx, before, PAGE_MAX).await?;
        tx.commit().await?;
        all += gone;
        if gone == 0 {
            return Ok(all);
        }
    }
}

fn place(id: &str) -> String {
    format!("hooks/{id}")
}

fn seal(cx: &Context, id: &str, target: &Target) -> Result<Vec<u8>> {
    let plain = serde_json::to_vec(target)
        .map_err(|source| Error::internal("hook_encoding", "a hook could not be written").source(source))?;
    let random = random()?;
    let nonce = random.first_chunk().copied().unwrap_or_default();
    cx.db.sealer()?.seal(&place(id), &plain, nonce)
}

/// Where a hook sends to, with its secrets.
pub fn unseal(cx: &Context, row: &HookRow) -> Result<Target> {
    let plain = cx.db.sealer()?.open(&place(&row.id), &row.target)?;
    serde_json::from_slice(&plain).map_err(|_| Error::corrupt("hooks", &row.id, "the target cannot be read"))
}

/// Names the registry in ids of messages.
pub fn registry(cx: &Context) -> String {
    cx.db.signer().map(|signer| signer.log().trim_start_matches("gradus/").to_owned()).unwrap_or_default()
}

/// Names the registry to receivers: by its public URL, where it has one.
pub fn source(cx: &Context) -> String {
    cx.config.public_url.clone().unwrap_or_else(|| format!("urn:gradus:{}", registry(cx)))
}
