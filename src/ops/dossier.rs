//! Dossiers: everything the registry knows of one version, gathered for a document.

use super::{
    Context, audit, evidence,
    judgement::Judgement,
    policy::effective,
    resolve::{contract_of, document_of, find},
};
use crate::{
    db::{
        Tx, evidence as said, log, manifests, namespaces, promotions,
        stages::{self, Move},
        versions::{self, VersionRow},
    },
    dossier::{Ancestor, Asked, Changes, Earlier, Ended, Facts, Format, Registry, Step, Waiting},
    error::{Error, Result},
    gates::Effective,
    model::{
        access::{Actor, Permission},
        contract,
        event::{Change, Event},
        reference::{Reference, Selector},
        resolution::Document,
    },
};
use std::collections::BTreeSet;

/// Moves of one content; only rollbacks back and forth make so many.
const MOVES_MAX: i64 = 200;
const WAITING_MAX: i64 = 100;
const EARLIER_MAX: i64 = 20;
/// Versions that each are the base of the one before.
const ANCESTORS_MAX: usize = 8;

/// Writes a version's dossier. Of its ancestors in this registry those are named that the caller may read.
pub async fn export(cx: &Context, actor: &Actor, reference: &Reference, format: Format) -> Result<String> {
    let facts = facts(cx, actor, reference).await?;
    Ok(format.write(&facts))
}

async fn facts(cx: &Context, actor: &Actor, reference: &Reference) -> Result<Facts> {
    let registry = registry(cx).await?;
    let row = find(cx, &mut cx.db.read().await?, &reference.workload, &reference.selector).await?;
    let (files, _) = evidence::files(cx, &row.workload, &row.digest).await?;
    let mut tx = cx.db.read().await?;
    let document = document_of(&row)?;
    let unreadable = || Error::corrupt("inspections", &row.digest, "the inspection cannot be read");
    let report = manifests::find_inspection(&mut tx, &row.digest).await?.ok_or_else(unreadable)?;
    let lint_errors = row.lint_errors.as_deref().map(serde_json::from_str).transpose().map_err(|_| {
        Error::corrupt("versions", format!("{}:{}", row.workload, row.version), "the lints cannot be read")
    })?;
    let namespace = row.workload.namespace();
    let store = namespaces::find(&mut tx, &namespace).await?.map(|namespace| namespace.store);
    let effective = effective(cx, &mut tx, row.workload.as_str()).await?;
    let mut moves = Vec::new();
    for step in stages::moves_of(&mut tx, &row.workload, &row.digest, MOVES_MAX).await? {
        moves.push(step_of(&mut tx, step).await?);
    }
    Ok(Facts {
        yanked: row.yanked_at.map(|at| (at, row.yanked_because.clone().unwrap_or_default())),
        authors: manifests::authors(&mut tx, &namespace, &row.digest).await?,
        files,
        inspection: serde_json::from_str(&report).map_err(|_| unreadable())?,
        lint_errors: lint_errors.unwrap_or_default(),
        evidence: said::about(&mut tx, &row.workload, &row.digest).await?,
        moves,
        waiting: waiting(&mut tx, &row).await?,
        earlier: earlier(&mut tx, &row).await?,
        changes: changes(&mut tx, &row).await?,
        asked: asked(&effective, &row)?,
        policies: effective.levels.clone(),
        ancestors: ancestors(&mut tx, actor, &row, &document).await?,
        region: store
            .and_then(|store| cx.stores.get(&store).ok().map(|store| store.region.clone()))
            .unwrap_or_default(),
        registry,
        pushed_at: pushed_at(&mut tx, &row).await?,
        workload: row.workload,
        version: row.version,
        digest: row.digest,
        tier: row.tier,
        kind: row.kind,
        sequence: row.sequence,
        created_at: row.created_at,
        created_by: row.created_by,
        document,
    })
}

async fn registry(cx: &Context) -> Result<Registry> {
    Ok(Registry {
        name: cx.db.signer().map(|signer| signer.verifier(1).name()).unwrap_or_default(),
        url: cx.config.public_url.clone(),
        checkpoint: audit::checkpoint(cx).await?,
    })
}

/// A move with what the gates said, and how it ended.
async fn step_of(tx: &mut Tx, step: Move) -> Result<Step> {
    let report = match step.judgement {
        Some(digest) => {
            let report = Judgement::read(tx, &digest).await?.report;
            Some((digest, report))
        }
        None => None,
    };
    let next = stages::history(tx, &step.workload, &step.stage, step.number + 2, 1).await?.pop();
    let ended = next.filter(|next| next.number > step.number).map(|next| Ended {
        kind: next.kind,
        to: next.version,
        at: next.at,
        by: next.by,
        reason: next.reason,
    });
    Ok(Step {
        stage: step.stage,
        number: step.number,
        kind: step.kind,
        version: step.version,
        from: step.from,
        at: step.at,
        by: step.by,
        reason: step.reason,
        report,
        ratified: step.ratified_by.zip(step.ratified_at),
        ended,
    })
}

async fn waiting(tx: &mut Tx, row: &VersionRow) -> Result<Vec<Waiting>> {
    let mut waiting = Vec::new();
    for pending in promotions::pending_of(tx, &row.workload, WAITING_MAX).await? {
        if pending.digest == row.digest {
            let report = Judgement::read(tx, &pending.judgement).await?.report;
            waiting.push(Waiting {
                stage: pending.stage,
                at: pending.requested_at,
                by: pending.requested_by,
                judgement: pending.judgement,
                report,
            });
        }
    }
    Ok(waiting)
}

async fn earlier(tx: &mut Tx, row: &VersionRow) -> Result<Vec<Earlier>> {
    let filter = versions::Filter::default();
    let rows = versions::list(tx, &row.workload, &filter, Some(&row.version), EARLIER_MAX).await?;
    let earlier = |row: VersionRow| Earlier {
        version: row.version,
        digest: row.digest,
        tier: row.tier,
        at: row.created_at,
        by: row.created_by,
        is_yanked: row.yanked_at.is_some(),
    };
    Ok(rows.into_iter().map(earlier).collect())
}

async fn changes(tx: &mut Tx, row: &VersionRow) -> Result<Option<Changes>> {
    let Some(below) = versions::below(tx, &row.workload, &row.version, false).await? else { return Ok(None) };
    let diff = contract::diff(&contract_of(&below)?, &contract_of(row)?);
    Ok(Some(Changes { since: below.version, diff }))
}

/// What the policy asks of the tier for each stage.
fn asked(effective: &Effective, row: &VersionRow) -> Result<Vec<Asked>> {
    let asked = |stage| {
        let rules = effective.rules(row.tier, stage)?;
        let gate = |gate| serde_json::to_value(gate).map(|gate| plain(&gate)).unwrap_or_default();
        Ok(Asked {
            stage: rules.stage.clone(),
            roles: rules.rule.roles.clone(),
            gates: rules.rule.gates.iter().map(gate).collect(),
            policy: rules.policy.clone(),
            rules: rules.digest.clone(),
        })
    };
    effective.stages.iter().map(asked).collect()
}

/// A gate's name, or its name with parameters as JSON.
fn plain(gate: &serde_json::Value) -> String {
    gate.as_str().map_or_else(|| gate.to_string(), str::to_owned)
}

/// The versions of this registry that a version descends from, as far as the caller may read them.
async fn ancestors(
    tx: &mut Tx,
    actor: &Actor,
    row: &VersionRow,
    document: &Document,
) -> Result<Vec<Ancestor>> {
    let mut ancestors: Vec<Ancestor> = Vec::new();
    let mut base = document.lineage.base.clone();
    // A base can be named by its number before there is such a version, so the names can go in a circle.
    let mut seen = BTreeSet::from([row.digest.clone()]);
    while let Some(row) = match &base {
        Some(base) if ancestors.len() < ANCESTORS_MAX => version_named(tx, actor, base).await?,
        _ => None,
    } {
        if !seen.insert(row.digest.clone()) {
            break;
        }
        // Of what was purged nobody knows any more what it came from.
        base = if row.purged.is_some() { None } else { document_of(&row)?.lineage.base };
        ancestors.push(Ancestor {
            workload: row.workload,
            version: row.version,
            digest: row.digest,
            tier: row.tier,
            at: row.created_at,
            base: base.clone(),
        });
    }
    Ok(ancestors)
}

/// The version that a base names for good: by digest or by number. A name that moves is no ancestor.
async fn version_named(tx: &mut Tx, actor: &Actor, base: &str) -> Result<Option<VersionRow>> {
    let Ok(Reference { workload, selector }) = base.parse() else { return Ok(None) };
    if !actor.may(Permission::Read, &workload.namespace()) {
        return Ok(None);
    }
    match selector {
        Selector::Digest(digest) => versions::find_by_digest(tx, &workload, &digest).await,
        Selector::Version(version) => versions::find(tx, &workload, &version).await,
        _ => Ok(None),
    }
}

/// The position of the event that says the version was made.
async fn pushed_at(tx: &mut Tx, row: &VersionRow) -> Result<Option<i64>> {
    let filter = log::Filter { workload: Some(row.workload.as_str()), kind: Some("pushed"), namespace: None };
    let mut from = 0;
    loop {
        let events = log::list(tx, &filter, from, super::PAGE_MAX).await?;
        let Some((last, _)) = events.last() else { return Ok(None) };
        from = last + 1;
        for (position, bytes) in events {
            let made = Event::from_bytes(&bytes)?.change;
            if matches!(made, Change::Pushed { version, .. } if version == row.version) {
                return Ok(Some(position));
            }
        }
    }
}
