//! Making a version: from files by `/v1`, or from a manifest that an OCI client pushed. Both doors meet in
//! `commit`, so the same rules hold.

use super::{
    Context,
    compose::{Prepared, Wanted, from_draft, from_manifest},
    evidence::{self, Attached, Said},
    judgement::Judgement,
    namespaces::{ensure_repository, workload_deleted},
    number::{decide, revision},
    policy, promote, purged, quotas, referrer, settle, snapshot, uploads,
};
use crate::{
    db::{Tx, log, manifests, namespaces, stages, tags, versions},
    error::{Error, Result},
    gates,
    kinds::Inspection,
    model::{
        access::{Actor, Role},
        artifact::{Dataset, File},
        contract::{Contract, Diff},
        digest::Digest,
        event::Change,
        kind::Tier,
        manifest::Manifest,
        name::Workload,
        reference::{Reference, Selector},
        stage::Stage,
        version::Version,
    },
};
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
    /// Uploaded files that say something about it: all count, or the version is not made.
    pub evidence: Vec<Digest>,
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
    pub evidence: Vec<Attached>,
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
        let said = prepared.read_evidence(cx, workload, &draft.evidence).await?;
        let digest = prepared.digest.clone();
        let Some(mut pushed) = commit(cx, actor, workload, prepared, &wanted, &said).await? else { continue };
        if !said.is_empty() {
            if !pushed.created {
                pushed.evidence = evidence::add(cx, actor, workload, &digest, said).await?;
            }
            // What was pending on content that was there under another number.
            settle::settle_workload(cx, workload).await;
        }
        return Ok(pushed);
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
        if let Some(pushed) = commit(cx, actor, workload, prepared, &wanted, &[]).await? {
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
    said: &[Said],
) -> Result<Option<Pushed>> {
    if !prepared.own_blobs.is_empty() {
        quotas::expect_version(cx, workload, &prepared.digest, &prepared.own_blobs).await?;
    }
    // Blobs the registry makes itself come before the transaction: no bytes move inside one.
    for bytes in &prepared.own_blobs {
        uploads::put_own(cx, workload, bytes.clone()).await?;
    }
    for said in said {
        said.attach(workload, &prepared.digest).put_blobs(cx).await?;
    }
    let now = cx.clock.now();
    let mut tx = cx.db.write().await?;
    let last = match namespaces::lock_repository(&mut tx, workload).await? {
        Some(last) => last,
        None => {
            ensure_repository(&mut tx, workload, now).await?;
            namespaces::lock_repository(&mut tx, workload).await?.ok_or_else(|| workload_deleted(workload))?
        }
    };
    purged::refuse_again(&mut tx, workload, &prepared.digest).await?;
    if let Some(row) = identical(&mut tx, workload, &prepared, wanted).await? {
        return again(cx, actor, tx, workload, prepared, row).await.map(Some);
    }
    if !prepared.still_on_top(&mut tx, workload, wanted).await? {
        return Ok(None);
    }
    quotas::admit_version(&mut tx, &workload.namespace()).await?;
    let (version, diff) = decide(&mut tx, workload, &prepared, wanted).await?;
    if tags::find(&mut tx, workload, &version.to_string()).await?.is_some() {
        // Two manifests under one name would mean one to `/v1` and the other to OCI clients.
        return Err(taken(workload, &version).hint(
            "a tag of this name is on other OCI content; delete the tag first, or push another version",
        ));
    }
    let sequence = last + 1;
    namespaces::set_last_sequence(&mut tx, workload, sequence).await?;
    prepared.store(&mut tx, workload, now).await?;
    // From here to the commit nobody else writes: no policy and no freeze comes in between, and positions are known.
    let (length, _) = log::lock(&mut tx).await?;
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
        position: Some(length),
        yanked_at: None,
        yanked_because: None,
        purged: None,
    };
    if !versions::insert(&mut tx, &row).await? {
        return Err(taken(workload, &row.version));
    }
    prepared.record_lineage(&mut tx, &row).await?;
    manifests::add_author(&mut tx, workload, &prepared.digest, &actor.principal).await?;
    let change = Change::Pushed {
        workload: workload.clone(),
        version: row.version.clone(),
        digest: row.digest.clone(),
        tier: row.tier,
        kind: row.kind,
        contract: row.contract.clone(),
        sequence,
        document: Some(Digest::sha256(row.document.as_bytes())),
    };
    let mut changes = vec![change];
    if last == 0 {
        changes.extend(super::tags::free_reserved_tags(&mut tx, workload).await?);
    }
    let next = |changes: &[Change]| length + i64::try_from(changes.len()).unwrap_or_default();
    let mut evidence = Vec::new();
    for said in said {
        let attach = said.attach(workload, &row.digest);
        let statements = said.statements.clone();
        let recorded = attach.write(&mut tx, &actor.principal, statements, next(&changes), now).await?;
        for referrer::Recorded { evidence: one, said } in recorded {
            changes.push(referrer::attached(workload, &one, said));
            evidence.push(Attached { evidence: one, created: true });
        }
    }
    let first = first_stage(cx, &mut tx, actor, &row, &prepared.inspection, next(&changes)).await?;
    if let Some(First::Entered(promoted)) = &first {
        changes.push(Change::clone(promoted));
    }
    log::append(&mut tx, now, &actor.principal, changes).await?;
    tx.commit().await?;
    cx.metrics.versions_created.inc();
    let mut notes = prepared.notes;
    if let Some(First::Open(stage)) = first {
        notes.push(ask_for(cx, actor, &row, stage).await);
    }
    Ok(Some(Pushed { created: true, row, diff, notes, inspection: prepared.inspection, evidence }))
}

/// What became of a new version's way into the first stage.
enum First {
    Entered(Box<Change>),
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
    position: i64,
) -> Result<Option<First>> {
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
    facts.blocks = super::monitors::blocks(tx, &row.workload, &row.digest, row.created_at).await?;
    facts.quarantines = super::quarantine::on(cx, tx, row).await?;
    let report = gates::judge(&rules, &facts);
    if report.outcome != gates::Outcome::Pass {
        return Ok(Some(First::Open(stage.clone())));
    }
    let judgement = Judgement::new(row.tier, report, facts).keep(tx).await?;
    let by = promote::By { who: &actor.principal, at: row.created_at, position, overriding: None };
    let entered = promote::enter(tx, row, stage, &by, judgement).await?;
    // Where there is no stage after it, whoever pushes promotes.
    if effective.stages.len() > 1 {
        stages::note_by_push(tx, &row.workload, stage, &row.version).await?;
    }
    Ok(Some(First::Entered(Box::new(entered))))
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
    Ok(Pushed {
        created: false,
        row,
        diff: None,
        notes,
        inspection: prepared.inspection,
        evidence: Vec::new(),
    })
}
