//! The inventory: of each workload who answers for it, what is in its stages, who let it in, where it runs, and what is known to
//! be wrong. It is read for many workloads at once, so that their number costs no round trips.

use super::{Context, policy::effective_of, snapshot::freezes_of};
use crate::{
    db::{
        Tx,
        cards::{self, CardRow},
        inventory::{self as rows, Held, Targets},
        policies::{self, FreezeRow},
        quarantines, versions as versions_db,
    },
    error::{Error, Result},
    gates::{Effective, Freeze, Quarantine},
    model::{
        access::{Actor, EVERYWHERE, Permission},
        digest::Digest,
        evidence::{Decision, Statement},
        monitor::MonitorName,
        name::{Namespace, PrincipalName, Workload},
        resolution::Document,
        stage::Stage,
        version::Version,
    },
};
use chrono::{DateTime, Utc};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub use rows::{Held as InStage, Targets as Running};

/// Workloads that are read at once.
const AT_ONCE: usize = 100;

/// What there is to say of a workload.
pub struct Item {
    pub workload: Workload,
    pub card: Option<CardRow>,
    pub versions: i64,
    /// The newest that is not yanked.
    pub newest: Option<Version>,
    /// The last stage of its line, what is there, and what is in the others, in their order.
    pub stage: Option<Stage>,
    pub current: Option<InUse>,
    pub others: Vec<(Stage, Version)>,
    pub pending: i64,
    pub unratified: i64,
    pub targets: Targets,
    pub monitors: i64,
    /// Monitors that have told of drift which has not ended.
    pub drifting: Vec<MonitorName>,
    /// What keeps versions out of the last stage now.
    pub freezes: Vec<Freeze>,
}

/// What is in the last stage.
pub struct InUse {
    pub held: Held,
    pub base: Option<String>,
    /// As its newest model card has it.
    pub licence: Option<String>,
    /// Whose last word on it for this stage is yes.
    pub approvers: Vec<PrincipalName>,
    /// What in quarantine it is, or is made from.
    pub quarantined: Vec<Quarantine>,
}

/// Workloads the actor may see, after a name.
pub async fn inventory(
    cx: &Context,
    actor: &Actor,
    namespace: Option<&Namespace>,
    after: &str,
    limit: i64,
) -> Result<Vec<Item>> {
    let of = |namespace: &Namespace| (format!("{namespace}/"), format!("{namespace}0"));
    // `/` comes right before `0`. What may not be read is passed over, and not come to name by name.
    let mut ranges = match (namespace, actor.readable()) {
        (Some(namespace), _) => {
            actor.require(Permission::Read, namespace)?;
            super::namespaces::show(cx, namespace).await?;
            vec![of(namespace)]
        }
        (None, Some(namespaces)) => namespaces.iter().map(of).collect(),
        // Comes after all that a name may begin with.
        (None, None) => vec![(String::new(), "~".to_owned())],
    };
    ranges.sort_unstable();
    ranges.retain(|(_, before)| before.as_str() > after);
    let mut tx = cx.db.read().await?;
    let mut items = Vec::new();
    let limit = usize::try_from(limit).unwrap_or(0);
    for (first, before) in ranges {
        let mut after = after.to_owned().max(first);
        while items.len() < limit {
            let names = rows::names(&mut tx, &after, &before, super::PAGE_MAX).await?;
            let Some(last) = names.last() else { break };
            after = last.to_string();
            let visible = names.into_iter().filter(|name| actor.may(Permission::Read, &name.namespace()));
            let visible: Vec<Workload> = visible.take(limit - items.len()).collect();
            for some in visible.chunks(AT_ONCE) {
                items.extend(read(cx, &mut tx, some).await?);
            }
        }
    }
    Ok(items)
}

/// Rows by the workload they are of.
fn by_workload<T>(rows: Vec<T>, of: impl Fn(&T) -> String) -> BTreeMap<String, Vec<T>> {
    let mut all: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for row in rows {
        all.entry(of(&row)).or_default().push(row);
    }
    all
}

/// Reads workloads that are in the order of their names. What lies between them is read too and left aside.
async fn read(cx: &Context, tx: &mut Tx, workloads: &[Workload]) -> Result<Vec<Item>> {
    let (Some(first), Some(last)) = (workloads.first(), workloads.last()) else { return Ok(Vec::new()) };
    let (now, range) = (cx.clock.now(), (first.as_str(), last.as_str()));
    let mut cards: BTreeMap<Workload, CardRow> =
        cards::between(tx, range).await?.into_iter().map(|row| (row.workload.clone(), row)).collect();
    let versions = rows::versions(tx, range).await?;
    let mut versions: BTreeMap<_, _> =
        versions.into_iter().map(|(name, count, newest)| (name, (count, newest))).collect();
    let mut stages = by_workload(rows::stages(tx, range).await?, |held| held.workload.clone());
    let targets: BTreeMap<String, Targets> = rows::targets(tx, range).await?.into_iter().collect();
    let mut monitors = by_workload(rows::monitors(tx, range).await?, |row| row.0.clone());
    let pending: BTreeMap<String, i64> = rows::pending(tx, range).await?.into_iter().collect();
    let unratified: BTreeMap<String, i64> = rows::unratified(tx, range).await?.into_iter().collect();
    let lines = lines(cx, tx, workloads, now).await?;
    let last_stages: BTreeSet<&Stage> = lines.iter().filter_map(|line| line.effective.last()).collect();
    let mut details = BTreeMap::new();
    for stage in last_stages {
        details.insert(stage.clone(), Details::read(tx, range, stage).await?);
    }
    let any_bad = quarantines::any(tx).await?;
    let mut items = Vec::with_capacity(workloads.len());
    for (workload, line) in workloads.iter().zip(&lines) {
        let name = workload.as_str();
        let stage = line.effective.last().cloned();
        let mut held = stages.remove(name).unwrap_or_default();
        let at = held.iter().position(|held| Some(&held.stage) == stage.as_ref());
        let current = at.map(|at| held.swap_remove(at));
        let position = |held: &Held| line.effective.stages.iter().position(|stage| *stage == held.stage);
        held.retain(|held| position(held).is_some());
        held.sort_by_key(position);
        let (count, newest) = versions.remove(name).unwrap_or_default();
        let monitors = monitors.remove(name).unwrap_or_default();
        let mut current = match (current, stage.as_ref().and_then(|stage| details.get(stage))) {
            (Some(held), Some(details)) => Some(details.of(held)?),
            _ => None,
        };
        if let Some(current) = current.as_mut().filter(|_| any_bad)
            && let Some(row) = versions_db::find(tx, workload, &current.held.version).await?
        {
            current.quarantined = super::quarantine::on(cx, tx, &row).await?;
        }
        items.push(Item {
            workload: workload.clone(),
            card: cards.remove(workload),
            versions: count,
            newest,
            current,
            stage,
            others: held.into_iter().map(|held| (held.stage, held.version)).collect(),
            pending: pending.get(name).copied().unwrap_or(0),
            unratified: unratified.get(name).copied().unwrap_or(0),
            targets: targets.get(name).copied().unwrap_or_default(),
            monitors: i64::try_from(monitors.len()).unwrap_or(i64::MAX),
            drifting: monitors.into_iter().filter(|row| row.2).map(|row| row.1).collect(),
            freezes: line.freezes.clone(),
        });
    }
    Ok(items)
}

/// What holds for a workload.
struct Line {
    effective: Arc<Effective>,
    /// Of its last stage, now.
    freezes: Vec<Freeze>,
}

async fn lines(cx: &Context, tx: &mut Tx, workloads: &[Workload], now: DateTime<Utc>) -> Result<Vec<Line>> {
    let namespaces: BTreeSet<Namespace> = workloads.iter().map(Workload::namespace).collect();
    let (Some(first), Some(last)) = (namespaces.first(), workloads.last()) else { return Ok(Vec::new()) };
    // From the first namespace to whatever is last: `a-b/x` comes before `a/x`, and both after `a`.
    let last = namespaces.last().map_or(last.as_str(), |namespace| namespace.as_str().max(last.as_str()));
    let range = (first.as_str(), last);
    let levels: BTreeMap<String, Digest> = policies::levels_between(tx, range).await?.into_iter().collect();
    let frozen = by_workload(policies::freezes_between(tx, range, now).await?, |row| row.scope.clone());
    let mut lines = Vec::with_capacity(workloads.len());
    for workload in workloads {
        let namespace = workload.namespace();
        let scopes = [EVERYWHERE, namespace.as_str(), workload.as_str()];
        let key = scopes.iter().filter_map(|scope| Some(((*scope).to_owned(), levels.get(*scope)?.clone())));
        let effective = effective_of(cx, tx, key.collect()).await?;
        let rows: Vec<&FreezeRow> = scopes.iter().filter_map(|scope| frozen.get(*scope)).flatten().collect();
        let mut freezes = match effective.last() {
            Some(stage) => freezes_of(&effective, stage, rows.into_iter(), now),
            None => Vec::new(),
        };
        freezes.retain(|freeze| freeze.from <= now);
        lines.push(Line { effective, freezes });
    }
    Ok(lines)
}

/// What is known of the versions in one stage, by workload.
struct Details {
    documents: BTreeMap<String, String>,
    said: BTreeMap<String, Vec<(String, Statement, PrincipalName)>>,
}

impl Details {
    async fn read(tx: &mut Tx, range: rows::Names<'_>, stage: &Stage) -> Result<Self> {
        let documents = rows::documents(tx, range, stage).await?.into_iter().collect();
        let said = by_workload(rows::said(tx, range, stage).await?, |row| row.0.clone());
        Ok(Self { documents, said })
    }

    fn of(&self, held: Held) -> Result<InUse> {
        let name = held.workload.as_str();
        let base = match self.documents.get(name) {
            Some(text) => {
                let document: Document = serde_json::from_str(text).map_err(|_| {
                    Error::corrupt(
                        "versions",
                        format!("{name}:{}", held.version),
                        "the document cannot be read",
                    )
                })?;
                document.lineage.base
            }
            None => None,
        };
        let (mut licence, mut approvers) = (None, BTreeSet::new());
        for (_, statement, by) in self.said.get(name).into_iter().flatten() {
            match statement {
                Statement::Approval(approval) if approval.stage == held.stage => {
                    match approval.decision {
                        Decision::Approve => approvers.insert(by.clone()),
                        Decision::Reject => approvers.remove(by),
                    };
                }
                Statement::ModelCard(card) => {
                    let named = card.parts.get("license").map(|text| text.trim());
                    licence = named.filter(|text| !text.is_empty()).map(str::to_owned);
                }
                _ => {}
            }
        }
        Ok(InUse { held, base, licence, approvers: approvers.into_iter().collect(), quarantined: Vec::new() })
    }
}
