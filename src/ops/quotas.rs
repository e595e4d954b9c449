//! What a namespace may have at most: bytes and versions. Asked before anything is received, and decided under the quota's
//! lock in the transaction that adds it, so that no two find room in the same place. Who has no quota is asked nothing.

use super::{Context, namespaces as ops_namespaces, uploads::remove_idle};
use crate::{
    db::{
        Tx, log, namespaces,
        quotas::{self, QuotaRow, Used},
        uploads, versions,
    },
    error::{Error, Result},
    model::{
        access::{Actor, Permission},
        digest::Digest,
        event::Change,
        name::{Namespace, Workload},
        size::SIZE_MAX,
    },
};
use chrono::TimeDelta;
use std::collections::BTreeMap;

/// Not counted since the quota was set.
const UNCOUNTED: u64 = SIZE_MAX;
/// An upload that has not moved for that long gives way to others that need its room: longer than clients go on trying (ours
/// gives up after some thirteen minutes of a server's silence), and short enough to wait for after one was killed.
const MOVED: TimeDelta = TimeDelta::minutes(15);

/// How a namespace stands.
pub struct Standing {
    pub namespace: Namespace,
    pub quota: Option<QuotaRow>,
    pub used: Used,
    pub versions: u64,
    /// Bytes that uploads under way have brought so far.
    pub uploading: u64,
}

/// Sets what is named and leaves the other as it is.
pub async fn set(
    cx: &Context,
    actor: &Actor,
    namespace: &Namespace,
    bytes: Option<u64>,
    versions: Option<u64>,
) -> Result<Standing> {
    if bytes.is_none() && versions.is_none() {
        return Err(Error::invalid("quota_invalid", "a quota is of bytes, of versions, or of both")
            .hint(format!("gradus quota set {namespace} --bytes 10GiB --versions 1000")));
    }
    if [bytes, versions].into_iter().flatten().any(|most| most == 0 || most > SIZE_MAX) {
        return Err(Error::invalid("quota_invalid", format!("a quota is a number from 1 to {SIZE_MAX}"))
            .hint(format!("to let as much in as comes: gradus quota rm {namespace}")));
    }
    ops_namespaces::show(cx, namespace).await?;
    let now = cx.clock.now();
    let mut tx = cx.db.write().await?;
    // Whoever adds something locks it too where there is no quota: what is under way is counted, or waits for this one.
    namespaces::lock(&mut tx, namespace).await?;
    let before = quotas::lock(&mut tx, namespace).await?;
    let row = QuotaRow {
        namespace: namespace.clone(),
        bytes: bytes.or(before.as_ref().and_then(|before| before.bytes)),
        versions: versions.or(before.as_ref().and_then(|before| before.versions)),
        counted: UNCOUNTED,
        set_at: now,
        set_by: actor.principal.clone(),
    };
    if before.is_some_and(|before| (before.bytes, before.versions) == (row.bytes, row.versions)) {
        drop(tx);
        return show(cx, actor, namespace).await;
    }
    quotas::put(&mut tx, &row).await?;
    let change = Change::QuotaSet { namespace: namespace.clone(), bytes: row.bytes, versions: row.versions };
    log::append(&mut tx, now, &actor.principal, vec![change]).await?;
    tx.commit().await?;
    show(cx, actor, namespace).await
}

pub async fn remove(cx: &Context, actor: &Actor, namespace: &Namespace) -> Result<()> {
    ops_namespaces::show(cx, namespace).await?;
    let mut tx = cx.db.write().await?;
    if !quotas::remove(&mut tx, namespace).await? {
        return Err(Error::not_found("quota_unknown", format!("{namespace} has no quota")));
    }
    let change = Change::QuotaRemoved { namespace: namespace.clone() };
    log::append(&mut tx, cx.clock.now(), &actor.principal, vec![change]).await?;
    tx.commit().await
}

pub async fn show(cx: &Context, actor: &Actor, namespace: &Namespace) -> Result<Standing> {
    ops_namespaces::show(cx, namespace).await?;
    let others = readable(cx, actor).await?;
    standing(&mut cx.db.read().await?, namespace.clone(), others.as_deref()).await
}

/// The namespaces that the actor may read; `None`: all. What others have is not told of otherwise.
async fn readable(cx: &Context, actor: &Actor) -> Result<Option<String>> {
    if actor.may_everywhere(Permission::Read) {
        return Ok(None);
    }
    let all = ops_namespaces::list(cx, actor, "", i64::MAX).await?;
    Ok(Some(all.into_iter().map(|row| format!(",{},", row.name)).collect()))
}

async fn standing(tx: &mut Tx, namespace: Namespace, others: Option<&str>) -> Result<Standing> {
    Ok(Standing {
        quota: quotas::find(tx, &namespace).await?,
        used: quotas::used(tx, &namespace, others).await?,
        versions: quotas::versions(tx, &namespace).await?,
        uploading: quotas::uploading(tx, &namespace).await?,
        namespace,
    })
}

/// How the namespaces that the actor may see stand, after a name.
pub async fn list(cx: &Context, actor: &Actor, after: &str, limit: i64) -> Result<Vec<Standing>> {
    let namespaces = ops_namespaces::list(cx, actor, after, limit).await?;
    let others = readable(cx, actor).await?;
    let mut tx = cx.db.read().await?;
    let mut standings = Vec::with_capacity(namespaces.len());
    for row in namespaces {
        standings.push(standing(&mut tx, row.name, others.as_deref()).await?);
    }
    Ok(standings)
}

/// Refusal code of what a quota does not let in.
pub const EXCEEDED: &str = "quota_exceeded";

/// What there is no room for.
struct Excess<'a> {
    namespace: &'a Namespace,
    what: &'a str,
    used: u64,
    /// What other uploads have brought, which are under way.
    others: u64,
    asked: u64,
    allowed: u64,
}

impl Excess<'_> {
    /// 403, as other registries answer it: clients of the distribution-spec show its message and do not try again.
    fn refuse(&self) -> Error {
        let Self { namespace, what, used, others, asked, allowed } = *self;
        let mut details = serde_json::json!({
            "namespace": namespace, "of": what, "used": used, "asked": asked, "allowed": allowed
        });
        let (mut also, mut wait) = (String::new(), "");
        if others > 0 {
            details["under_way"] = others.into();
            also = format!(", {others} more are on their way in other uploads");
            wait = "wait until other uploads have ended; ";
        }
        Error::forbidden(
            EXCEEDED,
            format!("the quota of {namespace} is {allowed} {what}; it has {used}{also}, and this needs {asked} more"),
        )
        .hint(format!(
            "{wait}an admin of the registry can raise it: gradus quota set {namespace} --{what} NUMBER; what is used shows: gradus quota show {namespace}"
        ))
        .details(details)
    }
}

/// Refuses what a quota has no room for beside what others are bringing. Answers what is counted now, which may be more
/// than there is. Nothing always has room.
async fn fits(tx: &mut Tx, quota: &QuotaRow, others: u64, asked: u64) -> Result<u64> {
    let Some(allowed) = quota.bytes.filter(|_| asked > 0) else { return Ok(quota.counted) };
    let has_room =
        |used: u64| used.saturating_add(others).checked_add(asked).is_some_and(|all| all <= allowed);
    if has_room(quota.counted) {
        return Ok(quota.counted);
    }
    // Counted anew: what was removed since has not been subtracted.
    let used = quotas::bytes(tx, &quota.namespace).await?;
    if has_room(used) {
        return Ok(used);
    }
    Err(Excess { namespace: &quota.namespace, what: "bytes", used, others, asked, allowed }.refuse())
}

/// Refuses so many more bytes where there is no room for them beside what uploads under way have brought, but for `own`. Those that
/// stand still give way, the longest first, if that makes room. Answers how much there is room for.
async fn make_room(cx: &Context, quota: &QuotaRow, own: u64, asked: u64) -> Result<u64> {
    let room = |used: u64, others: u64| {
        quota.bytes.map_or(u64::MAX, |allowed| allowed.saturating_sub(used).saturating_sub(others))
    };
    let namespace = &quota.namespace;
    let mut tx = cx.db.read().await?;
    let mut others = quotas::uploading(&mut tx, namespace).await?.saturating_sub(own);
    let refused = loop {
        let refused = match fits(&mut tx, quota, others, asked).await {
            Ok(used) => return Ok(room(used, others)),
            Err(refused) if refused.code == EXCEEDED => refused,
            Err(error) => return Err(error),
        };
        // An upload that ended between the two questions was counted by both.
        let later = quotas::uploading(&mut tx, namespace).await?.saturating_sub(own);
        if later >= others {
            break refused;
        }
        others = later;
    };
    let now = cx.clock.now();
    let idle = uploads::list_idle_of(&mut tx, namespace, now - MOVED, now).await?;
    let given = idle.iter().fold(0u64, |sum, row| sum.saturating_add(row.received));
    if fits(&mut tx, quota, others.saturating_sub(given), asked).await.is_err() {
        return Err(refused);
    }
    drop(tx);
    for row in idle {
        if !remove_idle(cx, &row, now - MOVED).await? {
            continue;
        }
        let mut tx = cx.db.read().await?;
        let others = quotas::uploading(&mut tx, namespace).await?.saturating_sub(own);
        if let Ok(used) = fits(&mut tx, quota, others, asked).await {
            return Ok(room(used, others));
        }
    }
    Err(refused)
}

/// Refuses so many more bytes where there is no room for them, before they are received.
pub(super) async fn expect_bytes(cx: &Context, namespace: &Namespace, asked: u64) -> Result<()> {
    let quota = quotas::find(&mut cx.db.read().await?, namespace).await?;
    match quota {
        Some(quota) => make_room(cx, &quota, 0, asked).await.map(drop),
        None => Ok(()),
    }
}

/// The same of one blob, of which an upload has brought `own` bytes. What the namespace has, needs no room. Answers up to
/// which size there is room.
pub(super) async fn expect_blob(
    cx: &Context,
    repository: &Workload,
    digest: Option<&Digest>,
    size: u64,
    own: u64,
) -> Result<u64> {
    let namespace = repository.namespace();
    let mut tx = cx.db.read().await?;
    let quota = quotas::find(&mut tx, &namespace).await?.filter(|quota| quota.bytes.is_some());
    let Some(quota) = quota else { return Ok(u64::MAX) };
    if let Some(digest) = digest
        && quotas::has_blob(&mut tx, &namespace, digest).await?
    {
        return Ok(u64::MAX);
    }
    drop(tx);
    make_room(cx, &quota, own, size).await
}

/// Locks the quota; where there is none, the namespace, so that none is set before what is added now can be counted.
async fn lock(tx: &mut Tx, namespace: &Namespace) -> Result<Option<QuotaRow>> {
    if let Some(quota) = quotas::lock(tx, namespace).await? {
        return Ok(Some(quota));
    }
    namespaces::lock(tx, namespace).await?;
    quotas::lock(tx, namespace).await
}

/// Lets a blob in, in the transaction that links it, before it is linked.
pub(super) async fn admit_blob(tx: &mut Tx, repository: &Workload, digest: &Digest, size: u64) -> Result<()> {
    let namespace = repository.namespace();
    let quota = lock(tx, &namespace).await?.filter(|quota| quota.bytes.is_some());
    let Some(quota) = quota else { return Ok(()) };
    if quotas::has_blob(tx, &namespace, digest).await? {
        return Ok(());
    }
    let counted = fits(tx, &quota, 0, size).await?;
    quotas::set_counted(tx, &namespace, counted.saturating_add(size)).await
}

/// What is to come altogether.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    pub bytes: u64,
    pub versions: u64,
}

/// Refuses what needs more than there is room for. `new`: sizes of files that no file of the namespace has; `files`: those
/// whose digest is known. Without `needs` they are all that is to come, and if one of them is certainly new, so is the version.
/// Answers which of `files` need room.
pub(super) async fn expect_files(
    cx: &Context,
    repository: &Workload,
    new: &[u64],
    files: &BTreeMap<Digest, u64>,
    needs: Option<Needs>,
) -> Result<Vec<Digest>> {
    let namespace = repository.namespace();
    let mut tx = cx.db.read().await?;
    let Some(quota) = quotas::find(&mut tx, &namespace).await? else { return Ok(Vec::new()) };
    let mut lacking = Vec::new();
    for digest in files.keys() {
        if !quotas::has_blob(&mut tx, &namespace, digest).await? {
            lacking.push(digest.clone());
        }
    }
    let sizes = new.iter().chain(lacking.iter().filter_map(|digest| files.get(digest)));
    let needs = needs.unwrap_or_else(|| Needs {
        bytes: sizes.fold(0, |sum, size| sum.saturating_add(*size)),
        versions: u64::from(!new.is_empty() || !lacking.is_empty()),
    });
    fits(&mut tx, &quota, 0, needs.bytes).await?;
    more_versions(&mut tx, &quota, needs.versions).await?;
    Ok(lacking)
}

/// Refuses a version before the registry makes its own blobs for it.
pub(super) async fn expect_version(
    cx: &Context,
    workload: &Workload,
    digest: &Digest,
    own: &[Vec<u8>],
) -> Result<()> {
    let namespace = workload.namespace();
    let mut tx = cx.db.read().await?;
    let Some(quota) = quotas::find(&mut tx, &namespace).await? else { return Ok(()) };
    if versions::of_manifest(&mut tx, workload, digest).await?.is_none() {
        more_versions(&mut tx, &quota, 1).await?;
    }
    let mut asked = 0;
    for bytes in own {
        if !quotas::has_blob(&mut tx, &namespace, &Digest::sha256(bytes)).await? {
            asked += bytes.len() as u64;
        }
    }
    fits(&mut tx, &quota, 0, asked).await.map(drop)
}

/// Lets one more version in, in the transaction that makes it, whose repository is locked.
pub(super) async fn admit_version(tx: &mut Tx, namespace: &Namespace) -> Result<()> {
    match lock(tx, namespace).await? {
        Some(quota) => more_versions(tx, &quota, 1).await,
        None => Ok(()),
    }
}

async fn more_versions(tx: &mut Tx, quota: &QuotaRow, asked: u64) -> Result<()> {
    let Some(allowed) = quota.versions.filter(|_| asked > 0) else { return Ok(()) };
    let used = quotas::versions(tx, &quota.namespace).await?;
    if used.checked_add(asked).is_some_and(|all| all <= allowed) {
        return Ok(());
    }
    let namespace = &quota.namespace;
    Err(Excess { namespace, what: "versions", used, others: 0, asked, allowed }.refuse())
}
