//! Quarantine: a version, a base model, a dataset or a file is bad, and with it everything that is made from it. What it hits is
//! not promoted, and where policy says so not pulled.

use super::{
    Context,
    lineage::{
        ancestry::{Ancestry, Lookups},
        hits::Hits,
        index,
    },
    policy::effective,
    promote::check_reason,
    resolve,
};
use crate::{
    db::{
        Tx,
        lineage::{self, Key},
        log, manifests, promotions, quarantines as rows,
        versions::VersionRow,
    },
    error::{Error, Result},
    gates::{Pulls, Quarantine},
    model::{
        access::{Actor, EVERYWHERE, Permission},
        digest::shorten,
        event::{Change, Quarantined},
        lineage::{Root, RootKind, wanted},
        name::Namespace,
        reference::Reference,
    },
};
use rows::STANDING_MAX;

pub use rows::QuarantineRow;

/// What is meant: a version by its reference, or something that is none here, by its name.
#[derive(Clone, Debug)]
pub enum Of {
    Version(Reference),
    Named(RootKind, String),
}

/// What was set, and how many versions it hits now.
pub struct Set {
    pub row: QuarantineRow,
    pub hits: i64,
    /// Versions that are not hit although they have the same files as some that are, or were made from them.
    pub alike: i64,
    /// There are more than were counted.
    pub more: bool,
}

/// Where a caller may set or clear it: the whole registry, or the namespace of a version.
fn scope_of(actor: &Actor, of: &Of) -> Result<String> {
    match of {
        _ if actor.may_everywhere(Permission::Administer) => Ok(EVERYWHERE.to_owned()),
        Of::Version(reference) => {
            let namespace = reference.workload.namespace();
            actor.require(Permission::Administer, &namespace)?;
            Ok(namespace.to_string())
        }
        Of::Named(..) => {
            actor.require_everywhere(Permission::Administer)?;
            Ok(EVERYWHERE.to_owned())
        }
    }
}

type Named = Option<(crate::model::name::Workload, crate::model::version::Version)>;

async fn root_of(cx: &Context, of: &Of) -> Result<(Root, Named)> {
    match of {
        Of::Named(RootKind::Version, _) => {
            Err(Error::invalid("quarantine_of", "a version is named by its reference"))
        }
        Of::Named(kind, value) => Ok((Root { kind: *kind, value: wanted(kind.relation(), value)? }, None)),
        Of::Version(reference) => {
            let mut tx = cx.db.read().await?;
            let row = resolve::find_any(cx, &mut tx, &reference.workload, &reference.selector).await?;
            let root = Root { kind: RootKind::Version, value: row.digest.to_string() };
            Ok((root, Some((row.workload, row.version))))
        }
    }
}

/// Puts something in quarantine. An admin of the registry hits all namespaces, one of a namespace only what is in it.
pub async fn set(cx: &Context, actor: &Actor, of: &Of, reason: &str) -> Result<Set> {
    check_reason(reason)?;
    let scope = scope_of(actor, of)?;
    let (root, named) = root_of(cx, of).await?;
    index::require_whole(cx).await?;
    // Counted before, since it may take a while and must not hold up others.
    let may_be_hit = |(workload, _): &Key| scope == EVERYWHERE || workload.namespace().as_str() == scope;
    let Hits { by_namespace, alike, more } =
        Hits::count(&mut cx.db.read().await?, &root, &may_be_hit).await?;
    let hits = by_namespace.values().sum();
    let mut tx = cx.db.write().await?;
    let (_, latest) = log::lock(&mut tx).await?;
    let now = latest.map_or_else(|| cx.clock.now(), |latest| latest.max(cx.clock.now()));
    if rows::count(&mut tx, &scope).await? >= STANDING_MAX {
        return Err(Error::conflict(
            "quarantine_too_many",
            format!("so much is in quarantine that no more is taken: {scope}"),
        )
        .hint(format!(
            "at most {STANDING_MAX} at a time; see what is over with gradus quarantine list, and clear it"
        )));
    }
    let row = QuarantineRow {
        id: cx.clock.id().simple().to_string(),
        scope,
        root,
        named,
        reason: reason.to_owned(),
        set_at: now,
        set_by: actor.principal.clone(),
        cleared_at: None,
        cleared_by: None,
        cleared_because: None,
    };
    if !rows::insert(&mut tx, &row).await? {
        return Err(Error::conflict(
            "quarantine_stands",
            format!("it is in quarantine already: {}", shown(&row)),
        )
        .hint("see why with: gradus quarantine list"));
    }
    promotions::stir(&mut tx, &row.scope, now).await?;
    let change = Change::QuarantineSet(Quarantined { hits: Some(hits), more, ..told(&row, reason) });
    let mut changes = vec![change];
    if row.scope == EVERYWHERE {
        // Those who are hit are told, and nothing of others.
        let each = by_namespace.iter().take(TOLD_MAX);
        changes.extend(
            each.map(|(namespace, hits)| Change::QuarantineSet(told_to(&row, namespace, *hits, more))),
        );
    }
    log::append(&mut tx, now, &actor.principal, changes).await?;
    tx.commit().await?;
    Ok(Set { row, hits, alike, more })
}

/// Ends a quarantine. Answers what stood of it: an admin of the registry ends it everywhere.
pub async fn clear(cx: &Context, actor: &Actor, of: &Of, reason: &str) -> Result<Vec<QuarantineRow>> {
    check_reason(reason)?;
    let scope = scope_of(actor, of)?;
    let (root, _) = root_of(cx, of).await?;
    let mut tx = cx.db.write().await?;
    let (_, latest) = log::lock(&mut tx).await?;
    let now = latest.map_or_else(|| cx.clock.now(), |latest| latest.max(cx.clock.now()));
    let standing = rows::of_root(&mut tx, &root).await?;
    let is_everywhere = standing.iter().any(|row| row.scope == EVERYWHERE);
    let mut mine: Vec<QuarantineRow> =
        standing.into_iter().filter(|row| scope == EVERYWHERE || row.scope == scope).collect();
    if mine.is_empty() {
        if is_everywhere {
            return Err(Error::forbidden("forbidden", "an admin of the registry has put this in quarantine")
                .hint("it takes an admin of the registry to clear it"));
        }
        return Err(Error::not_found(
            "quarantine_unknown",
            format!("it is not in quarantine: {}", shorten(&root.to_string())),
        )
        .hint("see what is with: gradus quarantine list"));
    }
    let mut changes = Vec::new();
    for row in &mut mine {
        rows::clear(&mut tx, &row.id, now, &actor.principal, reason).await?;
        row.cleared_at = Some(now);
        row.cleared_by = Some(actor.principal.clone());
        row.cleared_because = Some(reason.to_owned());
        promotions::stir(&mut tx, &row.scope, now).await?;
        changes.push(Change::QuarantineCleared(told(row, reason)));
    }
    log::append(&mut tx, now, &actor.principal, changes).await?;
    tx.commit().await?;
    Ok(mine)
}

fn told(row: &QuarantineRow, reason: &str) -> Quarantined {
    Quarantined {
        quarantine: row.id.clone(),
        scope: row.scope.clone(),
        root: row.root.kind,
        value: row.root.value.clone(),
        workload: row.named.as_ref().map(|(workload, _)| workload.clone()),
        version: row.named.as_ref().map(|(_, version)| version.clone()),
        reason: reason.to_owned(),
        hits: None,
        more: false,
    }
}

/// Most namespaces that are told one by one.
const TOLD_MAX: usize = 1000;

/// What a namespace is told of what holds for all.
fn told_to(row: &QuarantineRow, namespace: &Namespace, hits: i64, more: bool) -> Quarantined {
    let elsewhere = is_elsewhere(row, namespace);
    let whole = told(row, if elsewhere { HIDDEN } else { &row.reason });
    Quarantined {
        scope: namespace.to_string(),
        workload: whole.workload.filter(|_| !elsewhere),
        version: whole.version.filter(|_| !elsewhere),
        value: if elsewhere { String::new() } else { whole.value },
        hits: Some(hits),
        more,
        ..whole
    }
}

fn shown(row: &QuarantineRow) -> String {
    match &row.named {
        Some((workload, version)) => format!("{workload}:{version}"),
        None => row.root.to_string(),
    }
}

/// What is in quarantine, oldest first, as far as the caller may know of it: versions of namespaces that may be read, and what
/// holds for all.
pub async fn list(
    cx: &Context,
    actor: &Actor,
    cleared: bool,
    after: &str,
    limit: i64,
) -> Result<Vec<QuarantineRow>> {
    let namespaces = actor.readable();
    let may = |row: &QuarantineRow| match (&namespaces, &row.named) {
        (None, _) | (Some(_), None) => true,
        (Some(namespaces), Some((workload, _))) => namespaces.contains(&workload.namespace()),
    };
    let mut tx = cx.db.read().await?;
    let (mut after, mut found) = (after.to_owned(), Vec::new());
    loop {
        let page = rows::list(&mut tx, cleared, &after, super::PAGE_MAX).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after.clone_from(&last.id);
        for row in page.into_iter().filter(&may) {
            found.push(row);
            if found.len() as i64 == limit {
                return Ok(found);
            }
        }
    }
}

/// What in quarantine a version is, or is made from. It is remembered until anything changes.
pub(super) async fn on(cx: &Context, tx: &mut Tx, row: &VersionRow) -> Result<Vec<Quarantine>> {
    // Nearly always there is nothing, and nothing more is asked.
    if !rows::any_in(tx, &row.workload.namespace()).await? {
        return Ok(Vec::new());
    }
    let (length, _) = log::head(tx).await?;
    let content = format!("{}@{}", row.workload, row.digest);
    if let Some(hits) = cx.memo.quarantines(length, &content) {
        return Ok(hits.to_vec());
    }
    let hits = look(tx, row).await?;
    // What is recorded later of what was there before is no change that anybody is told of.
    if lineage::behind(tx, "").await?.is_none() {
        cx.memo.keep_quarantines(length, content, &hits);
    }
    Ok(hits)
}

async fn look(tx: &mut Tx, row: &VersionRow) -> Result<Vec<Quarantine>> {
    let standing = rows::standing(tx, &row.workload.namespace()).await?;
    let Some((by, at)) = standing.first().map(|first| (first.set_by.clone(), first.set_at)) else {
        return Ok(Vec::new());
    };
    let mut lookups = Lookups::of(tx, standing.iter().map(|quarantine| &quarantine.root)).await?;
    let ancestry = Ancestry::of(tx, row, &mut lookups).await?;
    let hits = standing.into_iter().filter(|quarantine| ancestry.has(&quarantine.root));
    let said = |hit: QuarantineRow| {
        // Of versions elsewhere those who may not read them learn nothing.
        let (what, reason) = match is_elsewhere(&hit, &row.workload.namespace()) {
            true => ("a version that it is made from".to_owned(), HIDDEN.to_owned()),
            false => (shown(&hit), hit.reason),
        };
        Quarantine { what, reason, by: hit.set_by, at: hit.set_at }
    };
    let mut hits: Vec<Quarantine> = hits.map(said).collect();
    if ancestry.is_cut {
        let reason = "so nobody can tell that nothing in quarantine is in it".to_owned();
        hits.push(Quarantine { what: "it is made of more than can be followed".to_owned(), reason, by, at });
    }
    Ok(hits)
}

/// Instead of a reason, where what it is about may not be read.
const HIDDEN: &str = "ask whoever set it for the reason";

/// Whether it is of a version that is in another namespace.
fn is_elsewhere(row: &QuarantineRow, namespace: &Namespace) -> bool {
    row.named.as_ref().is_some_and(|(workload, _)| workload.namespace() != *namespace)
}

/// Refuses to give out what is in quarantine, where the policy says so. Elsewhere answers what is to be said with it.
pub(super) async fn check_pull(cx: &Context, tx: &mut Tx, row: &VersionRow) -> Result<Vec<String>> {
    let hits = on(cx, tx, row).await?;
    let Some(first) = hits.first() else { return Ok(Vec::new()) };
    let reference = format!("{}:{}", row.workload, row.version);
    let effective = effective(cx, tx, row.workload.as_str()).await?;
    if effective.quarantine.pulls == Pulls::Allow {
        return Ok(hits.iter().map(|hit| format!("{reference} is in quarantine: {hit}")).collect());
    }
    Err(Error::forbidden("quarantined", format!("{reference} is in quarantine: {first}"))
        .hint("use another version; an admin ends it, named as it was set, with: gradus quarantine clear REFERENCE -m WHY, or with --base, --dataset or --file instead of REFERENCE"))
}

/// The same for content by its digest in a repository, if it is a version's.
pub(super) async fn check_content(
    cx: &Context,
    tx: &mut Tx,
    repository: &crate::model::name::Workload,
    digest: &crate::model::digest::Digest,
) -> Result<()> {
    if !rows::any(tx).await? {
        return Ok(());
    }
    match crate::db::versions::find_by_digest(tx, repository, digest).await? {
        Some(row) => check_pull(cx, tx, &row).await.map(drop),
        None => Ok(()),
    }
}

/// Contents of one workload with the same file that are looked at, newest first.
const SAME_MAX: i64 = 200;

/// The same for a file of versions of the repository: it is refused if all of them are.
pub async fn check_file(
    cx: &Context,
    repository: &crate::model::name::Workload,
    file: &crate::model::digest::Digest,
) -> Result<()> {
    let mut tx = cx.db.read().await?;
    if !rows::any_in(&mut tx, &repository.namespace()).await?
        || effective(cx, &mut tx, repository.as_str()).await?.quarantine.pulls == Pulls::Allow
    {
        return Ok(());
    }
    let mut refused = Ok(());
    for version in manifests::versions_with(&mut tx, repository, file, SAME_MAX).await? {
        let Some(row) = crate::db::versions::find(&mut tx, repository, &version).await? else { continue };
        match check_pull(cx, &mut tx, &row).await {
            Ok(_) => return Ok(()),
            Err(error) if error.code == "quarantined" => refused = Err(error),
            Err(error) => return Err(error),
        }
    }
    refused
}
