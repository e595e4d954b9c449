//! Policies: what holds for a workload, applying one, and what one would have said of recorded promotions.

use super::{Context, judgement::Judgement, unknown_namespace};
use crate::{
    db::{Tx, documents, log, namespaces, policies, promotions},
    error::{Error, Result},
    gates::{BUILT_IN, Effective, Facts, Level, Policy, Report, judge},
    model::{
        access::{Actor, EVERYWHERE},
        digest::Digest,
        event::Change,
        kind::Tier,
        scope::Scope,
        stage::{BUILT_IN as BUILT_IN_STAGES, Stage},
    },
};
use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};
use tokio::sync::Semaphore;

pub use policies::PolicyRow;
pub use promotions::PromotionRow;

/// Policies by what they are made of. What is named by digests never changes, so it needs no freshness.
#[derive(Default)]
pub(crate) struct Cache(RwLock<HashMap<Levels, Arc<Effective>>>);

/// Scopes with the digests of their policies.
pub(super) type Levels = Vec<(String, Digest)>;

/// Most entries.
const CACHED_MAX: usize = 1000;

/// What holds for a scope now.
pub(super) async fn effective(cx: &Context, tx: &mut Tx, scope: &str) -> Result<Arc<Effective>> {
    let key = policies::levels(tx, scope).await?;
    effective_of(cx, tx, key).await
}

/// What holds by these policies, farthest first.
pub(super) async fn effective_of(cx: &Context, tx: &mut Tx, key: Levels) -> Result<Arc<Effective>> {
    let cache = &cx.policies.0;
    if let Some(found) = cache.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(&key) {
        return Ok(found.clone());
    }
    let mut levels = Vec::with_capacity(key.len());
    for (scope, digest) in &key {
        let policy = Policy::parse(&documents::read(tx, digest).await?)?;
        levels.push(Level { scope: scope.clone(), digest: digest.clone(), policy: Arc::new(policy) });
    }
    let effective = Arc::new(Effective::merge(&levels)?);
    let mut table = cache.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    if table.len() >= CACHED_MAX {
        table.clear();
    }
    table.insert(key, effective.clone());
    Ok(effective)
}

pub(super) async fn check_scope(cx: &Context, tx: &mut Tx, scope: &Scope) -> Result<()> {
    match scope {
        Scope::Everywhere => Ok(()),
        Scope::Namespace(namespace) => super::namespaces::show(cx, namespace).await.map(drop),
        Scope::Workload(workload) => namespaces::find(tx, &workload.namespace())
            .await?
            .ok_or_else(|| unknown_namespace(&workload.namespace()))
            .map(drop),
    }
}

/// What holds for a scope, and what was applied to it itself, newest first, with the newest's text.
pub struct Shown {
    pub effective: Arc<Effective>,
    pub applied: Vec<PolicyRow>,
    pub text: Option<String>,
}

pub async fn show(cx: &Context, scope: &Scope) -> Result<Shown> {
    let mut tx = cx.db.read().await?;
    check_scope(cx, &mut tx, scope).await?;
    let effective = effective(cx, &mut tx, &scope.to_string()).await?;
    let applied = policies::history(&mut tx, &scope.to_string(), super::PAGE_DEFAULT).await?;
    let text = match applied.first().and_then(|row| row.digest.as_ref()) {
        Some(digest) => String::from_utf8(documents::read(&mut tx, digest).await?).ok(),
        None => None,
    };
    Ok(Shown { effective, applied, text })
}

/// Applies a policy to a scope. The same again changes nothing and answers `None`.
pub async fn apply(cx: &Context, actor: &Actor, scope: &Scope, text: &[u8]) -> Result<Option<i64>> {
    let policy = Policy::parse(text)?;
    let digest = Digest::sha256(text);
    let name = scope.to_string();
    let now = cx.clock.now();
    let mut tx = cx.db.write().await?;
    check_scope(cx, &mut tx, scope).await?;
    let (position, _) = log::lock(&mut tx).await?;
    documents::keep(&mut tx, text).await?;
    let Some(number) =
        policies::apply(&mut tx, &name, Some(&digest), now, &actor.principal, position).await?
    else {
        return Ok(None);
    };
    let effective = effective(cx, &mut tx, &name).await?;
    effective.check()?;
    effective.check_own(&policy)?;
    check_below(cx, &mut tx, &name).await?;
    refuse_aliases(&mut tx, &name, &effective).await?;
    finish(cx, actor, tx, name, number, Some(digest)).await.map(Some)
}

/// Takes a scope's own policy away, so that the levels above it hold.
pub async fn remove(cx: &Context, actor: &Actor, scope: &Scope) -> Result<()> {
    let name = scope.to_string();
    let mut tx = cx.db.write().await?;
    check_scope(cx, &mut tx, scope).await?;
    let (position, _) = log::lock(&mut tx).await?;
    let now = cx.clock.now();
    match policies::apply(&mut tx, &name, None, now, &actor.principal, position).await? {
        Some(number) => {
            let effective = effective(cx, &mut tx, &name).await?;
            effective.check()?;
            check_below(cx, &mut tx, &name).await?;
            refuse_aliases(&mut tx, &name, &effective).await?;
            finish(cx, actor, tx, name, number, None).await.map(drop)
        }
        None => Err(Error::not_found("policy_unknown", format!("it has no policy of its own: {scope}"))
            .hint("see what holds with: gradus policy show")),
    }
}

async fn finish(
    cx: &Context,
    actor: &Actor,
    mut tx: Tx,
    scope: String,
    number: i64,
    policy: Option<Digest>,
) -> Result<i64> {
    let now = cx.clock.now();
    promotions::stir(&mut tx, &scope, now).await?;
    let change = Change::PolicyApplied { scope, number, policy };
    log::append(&mut tx, now, &actor.principal, vec![change]).await?;
    tx.commit().await?;
    Ok(number)
}

/// Most policies below one that are looked at when it changes.
const BELOW_MAX: i64 = 10_000;

/// What is below and has a policy of its own must still have a rule for each of its stages.
async fn check_below(cx: &Context, tx: &mut Tx, scope: &str) -> Result<()> {
    for below in policies::scopes_below(tx, scope, BELOW_MAX).await? {
        effective(cx, tx, &below).await?.check().map_err(|error| {
            Error::conflict(
                "policy_below",
                format!("{below} has a policy that relies on this one: {}", error.message),
            )
            .hint(format!("change that one first: gradus policy show {below} --own"))
        })?;
    }
    Ok(())
}

/// A word is a stage or an alias, not both.
async fn refuse_aliases(tx: &mut Tx, scope: &str, effective: &Effective) -> Result<()> {
    let names = effective.stages.iter().map(|stage| stage.as_str());
    for name in names.filter(|name| !BUILT_IN_STAGES.contains(name)) {
        if let Some(workload) = policies::workload_with_alias(tx, scope, name).await? {
            return Err(Error::conflict(
                "stage_is_an_alias",
                format!("a stage cannot have the name of an alias: {workload}:{name}"),
            )
            .hint(format!("remove it first: gradus alias rm {name} {workload}")));
        }
    }
    Ok(())
}

/// What a policy would have said of a recorded promotion.
pub struct Tested {
    pub promotion: PromotionRow,
    pub then: Report,
    /// Or why it could not be judged by the policy.
    pub now: Result<Report>,
}

/// One at a time in a process: each judges much, by gates of the caller's choice.
static TESTS: Semaphore = Semaphore::const_new(1);

/// Judges recorded promotions of a scope anew, by what would hold if the policy were applied to it. What each was judged
/// on is as it was recorded then.
pub async fn test(cx: &Context, scope: &Scope, text: &[u8], limit: i64) -> Result<Vec<Tested>> {
    let level = Level {
        scope: scope.to_string(),
        digest: Digest::sha256(text),
        policy: Arc::new(Policy::parse(text)?),
    };
    let _turn = TESTS.acquire().await;
    let mut tx = cx.db.read().await?;
    check_scope(cx, &mut tx, scope).await?;
    // What could not be applied is not worth testing.
    with(&mut tx, &level.scope, &level).await?.check_own(&level.policy)?;
    let promotions = promotions::recent(&mut tx, &scope.to_string(), limit).await?;
    drop(tx);
    let (mut tested, mut known) = (Vec::new(), HashMap::new());
    for promotion in promotions {
        let mut tx = cx.db.read().await?;
        let effective = match known.get(&promotion.workload) {
            Some(effective) => Arc::clone(effective),
            None => {
                let effective = Arc::new(with(&mut tx, promotion.workload.as_str(), &level).await?);
                known.insert(promotion.workload.clone(), effective.clone());
                effective
            }
        };
        let mut judgement = Judgement::read(&mut tx, &promotion.judgement).await?;
        judgement.load_evidence(&mut tx, &promotion.workload).await?;
        drop(tx);
        let stage = promotion.stage.clone();
        let work = tokio::task::spawn_blocking(move || {
            let Judgement { tier, report, facts, .. } = judgement;
            (anew(&effective, tier, &stage, facts), report)
        });
        let stopped = |error| Error::internal("judging_stopped", "judging has stopped").source(error);
        let (now, then) = work.await.map_err(stopped)?;
        tested.push(Tested { promotion, then, now });
    }
    Ok(tested)
}

fn anew(effective: &Effective, tier: Tier, stage: &Stage, mut facts: Facts) -> Result<Report> {
    let rules = effective.rules(tier, stage)?;
    // An approval holds for the rules it was given under; here it is asked what other rules would have made of it.
    facts.assume_rules(&rules.digest);
    facts.before = rules.before.clone();
    Ok(judge(&rules, &facts))
}

/// What would hold for a scope with one level in the place of what is there now.
async fn with(tx: &mut Tx, scope: &str, level: &Level) -> Result<Effective> {
    let mut levels = Vec::new();
    for (scope, digest) in policies::levels(tx, scope).await? {
        if scope != level.scope {
            let policy = Arc::new(Policy::parse(&documents::read(tx, &digest).await?)?);
            levels.push(Level { scope, digest, policy });
        }
    }
    levels.push(level.clone());
    levels.sort_by_key(|level| (level.scope != EVERYWHERE, level.scope.contains('/')));
    let effective = Effective::merge(&levels)?;
    effective.check()?;
    Ok(effective)
}

/// A policy that comes with the registry.
pub fn built_in(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
