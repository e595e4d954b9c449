//! Making a version: from files by `/v1`, or from a manifest that an OCI client pushed. Both doors meet in
//! `commit`, so the same rules hold.

use super::{
    Context,
    compose::{Prepared, Wanted, from_draft, from_manifest},
    judgement, policy, promote, snapshot, uploads,
};
use crate::{
    db::{Tx, log, manifests, namespaces, stages, tags, versions},
    error::{Error, Result},
    gates,
    kinds::Inspection,
    model::{
        access::{Actor, Role},
        artifact::{Dataset, File},
        contract::{self, Contract, Diff},
        event::Change,
        kind::Tier,
        manifest::Manifest,
        name::Workload,
        reference::{Reference, Selector},
        stage::Stage,
        version::{Bump, Version},
    },
};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeSet, sync::Arc};
use versions::VersionRow;

/// Tries to decide on a version while others push to the same workload.
const TRIES: usize = 8;

/// What to make a version of. The files are in the repository already.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Refuse unless the files are of this tier.
    pub tier: Option<Tier>,
    pub files: Vec<File>,
    pub contract: Option<Contract>,
    pub prompt: Option<File>,
    pub base: Option<String>,
    pub datasets: Vec<Dataset>,
    pub wanted: Wanted,
}

#[derive(Debug)]
pub struct Pushed {
    /// False: the same content was a version before; that one is answered.
    pub created: bool,
    pub row: VersionRow,
    /// How the contract differs from the version before.
    pub diff: Option<Diff>,
    /// What the registry did on its own or noticed, for people.
    pub notes: Vec<String>,
    pub inspection: Inspection,
}

/// Makes a version from uploaded files.
pub async fn push(cx: &Arc<Context>, actor: &Actor, workload: &Workload, draft: Draft) -> Result<Pushed> {
    let wanted = draft.wanted.clone();
    if let (Some(version), Some(bump)) = (&wanted.version, wanted.bump) {
        return Err(Error::invalid(
            "version_and_bump",
            format!("both a version and a bump: {version}, {bump}"),
        )
        .hint("give one of them; with neither the contract decides"));
    }
    for _ in 0..TRIES {
        let prepared = from_draft(cx, workload, &draft).await?;
        if let Some(pushed) = commit(cx, actor, workload, prepared, &wanted).await? {
            return Ok(pushed);
        }
    }
    Err(busy(workload))
}

/// Makes a version from a manifest with a semver tag, if its artifact type is one of ours.
pub async fn push_manifest(
    cx: &Arc<Context>,
    actor: &Actor,
    workload: &Workload,
    manifest: &Manifest,
    bytes: &[u8],
    version: &Version,
) -> Result<Option<Pushed>> {
    let wanted = Wanted { version: Some(version.clone()), bump: None };
    for _ in 0..TRIES {
        let Some(prepared) = from_manifest(cx, workload, manifest, bytes, version).await? else {
            return Ok(None);
        };
        if let Some(pushed) = commit(cx, actor, workload, prepared, &wanted).await? {
            return Ok(Some(pushed));
        }
    }
    Err(busy(workload))
}

fn busy(workload: &Workload) -> Error {
    Error::unavailable("workload_busy", format!("others keep pushing to this workload: {workload}"))
        .hint("try again")
}

/// Decides the version and writes it, in one transaction. `None`: what it was prepared on has changed.
async fn commit(
    cx: &Arc<Context>,
    actor: &Actor,
    workload: &Workload,
    prepared: Prepared,
    wanted: &Wanted,
) -> Result<Option<Pushed>> {
    // Blobs the registry makes itself come before the transaction: no bytes move inside one.
    for bytes in &prepared.own_blobs {
        uploads::put_own(cx, workload, bytes.clone()).await?;
    }
    let now = cx.clock.now();
    let mut tx = cx.db.write().await?;
    let last = match namespaces::lock_repository(&mut tx, workload).await? {
        Some(last) => last,
        None => {
            namespaces::ensure_repository(&mut tx, workload, now).await?;
            namespaces::lock_repository(&mut tx, workload).await?.unwrap_or(0)
        }
    };
    if let Some(row) = identical(&mut tx, workload, &prepared, wanted).await? {
        return again(cx, actor, tx, workload, prepared, row).await.map(Some);
    }
    if !prepared.still_on_top(&mut tx, workload, wanted).await? {
        return Ok(None);
    }
    let (version, diff) = decide(&mut tx, workload, &prepared, wanted).await?;
    if tags::find(&mut tx, workload, &version.to_string()).await?.is_some() {
        // Two manifests under one name would mean one to `/v1` and the other to OCI clients.
        return Err(taken(workload, &version).hint(
            "a tag of this name is on other OCI content; delete the tag first, or push another version",
        ));
    }
    let sequence = last + 1;
    namespaces::set_last_sequence(&mut tx, workload, sequence).await?;
    let row = VersionRow {
        workload: workload.clone(),
        revision: revision(workload, &version, prepared.digest.as_str()),
        version,
        digest: prepared.digest.clone(),
        sequence,
        tier: prepared.inspection.kind.tier(),
        kind: prepared.inspection.kind,
        contract: prepared.contract.digest(),
        document: prepared.document.clone(),
        lint_errors: (!prepared.lint_errors.is_empty())
            .then(|| serde_json::json!(prepared.lint_errors).to_string()),
        created_at: now,
        created_by: actor.principal.clone(),
        yanked_at: None,
        yanked_because: None,
    };
    prepared.store(&mut tx, workload, now).await?;
    if !versions::insert(&mut tx, &row).await? {
        return Err(taken(workload, &row.version));
    }
    manifests::add_author(&mut tx, workload, &prepared.digest, &actor.principal).await?;
    let change = Change::Pushed {
        workload: workload.clone(),
        version: row.version.clone(),
        digest: row.digest.clone(),
        tier: row.tier,
        kind: row.kind,
        contract: row.contract.clone(),
        sequence,
    };
    let mut changes = vec![change];
    if last == 0 {
        changes.extend(super::manifests::free_reserved_tags(&mut tx, workload).await?);
    }
    let first = first_stage(cx, &mut tx, actor, &row, &prepared.inspection, changes.len()).await?;
    if let Some(First::Entered(promoted)) = &first {
        changes.push(promoted.clone());
    }
    log::append(&mut tx, now, &actor.principal, changes).await?;
    tx.commit().await?;
    cx.metrics.versions_created.inc();
    let mut notes = prepared.notes;
    if let Some(First::Open(stage)) = first {
        notes.push(ask_for(cx, actor, &row, stage).await);
    }
    Ok(Some(Pushed { created: true, row, diff, notes, inspection: prepared.inspection }))
}

/// What became of a new version's way into the first stage.
enum First {
    Entered(Change),
    /// Its gates do not pass by what is known at once.
    Open(Stage),
}

/// Gates that look at nothing but the artifact itself, which a push knows.
const AT_ONCE: [&str; 4] = ["lints", "safe_formats", "base_pinned", "dataset_lineage"];

/// A push enters the first stage by itself, in the same transaction where the gates pass on what a push knows.
async fn first_stage(
    cx: &Context,
    tx: &mut Tx,
    actor: &Actor,
    row: &VersionRow,
    inspection: &Inspection,
    events_before: usize,
) -> Result<Option<First>> {
    // No policy and no freeze comes between reading them here and the commit.
    let (length, _) = log::lock(tx).await?;
    let effective = policy::effective(cx, tx, row.workload.as_str()).await?;
    let Some(stage) = effective.first() else { return Ok(None) };
    let Ok(rules) = effective.rules(row.tier, stage) else { return Ok(None) };
    let roles: BTreeSet<Role> = actor.roles_in(&row.workload.namespace()).into_iter().collect();
    if promote::check_may(&rules.rule.roles, &roles, "push").is_err() {
        return Ok(None);
    }
    if !rules.rule.gates.iter().all(|gate| AT_ONCE.contains(&gate.definition.name)) {
        return Ok(Some(First::Open(stage.clone())));
    }
    let mut facts = snapshot::of_new(row, inspection, &rules, &actor.principal, row.created_at)?;
    facts.rolled_back_from = stages::rolled_back_from(tx, &row.workload, &row.digest).await?;
    facts.yanked = versions::yanked_of(tx, &row.workload, &row.digest).await?;
    facts.freezes = snapshot::freezes(tx, &row.workload, &effective, stage, row.created_at).await?;
    let report = gates::judge(&rules, &facts);
    if report.outcome != gates::Outcome::Pass {
        return Ok(Some(First::Open(stage.clone())));
    }
    let judgement = judgement::Judgement { tier: row.tier, report, facts };
    let judgement = judgement.keep(tx).await?;
    let position = length + i64::try_from(events_before).unwrap_or_default();
    let by = promote::By { who: &actor.principal, at: row.created_at, position, overriding: None };
    let entered = promote::enter(tx, row, stage, &by, judgement).await?;
    Ok(Some(First::Entered(entered)))
}

/// Asks for the first stage as anybody would. Answers what came of it, for the pusher; the version stands in any case.
async fn ask_for(cx: &Context, actor: &Actor, row: &VersionRow, stage: Stage) -> String {
    let reference =
        Reference { workload: row.workload.clone(), selector: Selector::Version(row.version.clone()) };
    let name = stage.clone();
    let ask = promote::Ask { reference, stage, dry_run: false, overriding: None, expect: None };
    match promote::promote(cx, actor, &ask).await {
        Ok(promotion) => {
            let open = promotion.report.gates.iter().find(|gate| gate.outcome != gates::Outcome::Pass);
            match open {
                Some(gate) => format!("not in {name}: {}: {}", gate.gate, gate.reason),
                None => format!("it is in {name}"),
            }
        }
        Err(error) => format!("not in {name}: {error}"),
    }
}

/// The version that this push would make again.
async fn identical(
    tx: &mut Tx,
    workload: &Workload,
    prepared: &Prepared,
    wanted: &Wanted,
) -> Result<Option<VersionRow>> {
    match &wanted.version {
        None => versions::find_by_digest(tx, workload, &prepared.digest).await,
        Some(version) => match versions::find(tx, workload, version).await? {
            Some(row) if row.digest == prepared.digest => Ok(Some(row)),
            Some(row) => Err(taken(workload, &row.version)),
            None => Ok(None),
        },
    }
}

fn taken(workload: &Workload, version: &Version) -> Error {
    Error::conflict("version_taken", format!("the version exists with other content: {workload}:{version}"))
        .hint("versions never change; push without --version to get the next free one")
}

/// Answers the version that is there. Who pushes it again becomes an author too, which the log records.
async fn again(
    cx: &Context,
    actor: &Actor,
    mut tx: Tx,
    workload: &Workload,
    prepared: Prepared,
    row: VersionRow,
) -> Result<Pushed> {
    if manifests::add_author(&mut tx, workload, &row.digest, &actor.principal).await? {
        let change = Change::PushedAgain {
            workload: workload.clone(),
            version: row.version.clone(),
            digest: row.digest.clone(),
        };
        log::append(&mut tx, cx.clock.now(), &actor.principal, vec![change]).await?;
        tx.commit().await?;
    }
    let mut notes = prepared.notes;
    if let Some(reason) = &row.yanked_because {
        notes.push(format!(
            "{}:{} is yanked ({reason}): ranges and latest pass it by; push it under a number of its own with --version",
            row.workload, row.version
        ));
    }
    Ok(Pushed { created: false, row, diff: None, notes, inspection: prepared.inspection })
}

/// The version number: the one asked for, if it claims enough, or the next one.
async fn decide(
    tx: &mut Tx,
    workload: &Workload,
    prepared: &Prepared,
    wanted: &Wanted,
) -> Result<(Version, Option<Diff>)> {
    if let Some(version) = &wanted.version {
        check_above(tx, workload, version, &prepared.contract).await?;
        let Some(older) = versions::below(tx, workload, version, true).await? else {
            return Ok((version.clone(), None));
        };
        let diff = contract_diff(&older, &prepared.contract)?;
        check_claim(workload, version, &older.version, &diff)?;
        return Ok((version.clone(), Some(diff)));
    }
    let Some(newest) = versions::newest(tx, workload).await? else {
        return Ok((Version::new(1, 0, 0), None));
    };
    // Compared with what stands, numbered above all that ever was.
    let followed = match newest.yanked_at {
        None => Some(newest.clone()),
        Some(_) => versions::newest_standing(tx, workload).await?,
    };
    let Some(followed) = followed else {
        return Ok((newest.version.bumped(wanted.bump.unwrap_or(Bump::Patch))?, None));
    };
    let diff = contract_diff(&followed, &prepared.contract)?;
    let needed = needed_bump(&diff, &followed.version);
    let next = newest.version.bumped(Bump::Patch)?;
    let version = match wanted.bump {
        None if next.claims_over(&followed.version) >= needed => next,
        bump => newest.version.bumped(bump.unwrap_or(needed))?,
    };
    if let Some(release) = versions::below(tx, workload, &version, true).await? {
        let since_release = contract_diff(&release, &prepared.contract)?;
        let claims = version.claims_over(&release.version);
        if claims < needed_bump(&since_release, &release.version) {
            if wanted.bump.is_some() {
                check_claim(workload, &version, &release.version, &since_release)?;
            }
            let version = release.version.bumped(needed_bump(&since_release, &release.version))?;
            return Ok((version, Some(since_release)));
        }
    }
    Ok((version, Some(diff)))
}

/// A release put below another must not promise what that one, as it is numbered, would break.
async fn check_above(tx: &mut Tx, workload: &Workload, version: &Version, contract: &Contract) -> Result<()> {
    if version.is_prerelease() {
        return Ok(()); // nobody comes to it by a range and moves on
    }
    let Some(newer) = versions::above(tx, workload, version).await? else { return Ok(()) };
    let diff = contract::diff(contract, &super::resolve::contract_of(&newer)?);
    if newer.version.claims_over(version) >= needed_bump(&diff, version) {
        return Ok(());
    }
    Err(too_little(
        format!("the next release, {}, breaks more of this contract than its number says", newer.version),
        &diff,
    )
    .hint("push it under a higher number, or with the contract of the releases around it"))
}

/// The part of the version that a contract change must raise. Below 1.0.0 the parts stand one lower, as
/// Cargo and npm read `^0.2`.
pub(super) fn needed_bump(diff: &Diff, older: &Version) -> Bump {
    let initial = older.semver().major == 0;
    match diff.change {
        contract::Change::Major if initial => Bump::Minor,
        contract::Change::Major => Bump::Major,
        contract::Change::Minor if !initial => Bump::Minor,
        _ => Bump::Patch,
    }
}

fn check_claim(workload: &Workload, version: &Version, older: &Version, diff: &Diff) -> Result<()> {
    let needed = needed_bump(diff, older);
    if version.claims_over(older) >= needed {
        return Ok(());
    }
    Err(too_little(
        format!("{workload}:{version} claims less than its contract changed since {older}, which needs a {needed} bump"),
        diff,
    )
    .hint(format!("push with --bump {needed}, or keep the contract")))
}

fn too_little(message: String, diff: &Diff) -> Error {
    let entry = |entry: &contract::DiffEntry| format!("{} {}: {}", entry.side, entry.path, entry.reason);
    let reasons: Vec<String> = diff.entries.iter().take(5).map(entry).collect();
    Error::invalid("version_claims_too_little", format!("{message}: {}", reasons.join("; ")))
        .details(serde_json::to_value(diff).unwrap_or_default())
}

fn contract_diff(older: &VersionRow, contract: &Contract) -> Result<Diff> {
    Ok(contract::diff(&super::resolve::contract_of(older)?, contract))
}

/// The version as 40 hexadecimal digits: what a git revision looks like.
fn revision(workload: &Workload, version: &Version, digest: &str) -> String {
    let mut hash = Sha256::new();
    for part in ["gradus revision", workload.as_str(), &version.to_string(), digest] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    crate::model::digest::hex(&hash.finalize()[..20])
}
