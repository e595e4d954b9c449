//! What a walk comes to, with where it is in use.

use crate::{
    db::{
        Tx,
        lineage::{self, AT_ONCE, Brief, Key},
        reads,
    },
    error::Result,
    model::{
        access::{Actor, Permission},
        digest::Digest,
        lineage::Relation,
        name::{PrincipalName, Workload},
        stage::Stage,
    },
    ops::Context,
};
use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};

/// A version, the stages it is in now, and the targets that run it.
#[derive(Clone, Debug)]
pub struct Version {
    pub brief: Brief,
    pub stages: Vec<Stage>,
    pub targets: i64,
    /// Not all, where there are many.
    pub running_on: Vec<String>,
    /// Who has read it lately, as far as the caller may know; not all, where there are many.
    pub readers: Vec<PrincipalName>,
}

impl From<Brief> for Version {
    fn from(brief: Brief) -> Self {
        Self { brief, stages: Vec::new(), targets: 0, running_on: Vec::new(), readers: Vec::new() }
    }
}

#[derive(Clone, Debug)]
pub enum Node {
    Version(Version),
    /// What is no version here: a base model, a dataset, a template, a file.
    Other {
        relation: Relation,
        /// As it is named.
        name: String,
        digest: Option<String>,
    },
}

/// One of two nodes was made from the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Places in the list of nodes.
    pub from: usize,
    pub to: usize,
    pub relation: Relation,
}

/// What a walk came to. The first node is where it began.
#[derive(Debug, Default)]
pub struct Tree {
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    /// There is more than this.
    pub cut: bool,
    joined: BTreeSet<(usize, usize)>,
}

impl Tree {
    pub(super) fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    pub(super) fn join(&mut self, from: usize, to: usize, relation: Relation) {
        if from != to && self.joined.insert((from, to)) {
            self.edges.push(Edge { from, to, relation });
        }
    }

    pub(super) fn is_joined(&self, from: usize, to: usize) -> bool {
        self.joined.contains(&(from, to))
    }

    fn versions(&mut self) -> impl Iterator<Item = &mut Version> {
        self.nodes.iter_mut().filter_map(|node| match node {
            Node::Version(version) => Some(version),
            Node::Other { .. } => None,
        })
    }

    /// Adds where the versions are in use.
    pub(super) async fn fill(&mut self, tx: &mut Tx) -> Result<()> {
        let mut versions: Vec<&mut Version> = self.versions().collect();
        fill_in(tx, &mut versions, true).await
    }
}

/// Versions of a tree whose readers are looked up, readers that are named of each, and how far back.
const READ_OF_MAX: usize = 200;
const READERS_MAX: i64 = 20;
const LATELY: TimeDelta = TimeDelta::days(30);

impl Tree {
    /// Adds who has read the versions lately, where the caller may read the log of reads.
    pub(super) async fn fill_readers(&mut self, cx: &Context, actor: &Actor, tx: &mut Tx) -> Result<()> {
        let since = cx.clock.now() - LATELY;
        let may = |version: &&mut Version| actor.may(Permission::Audit, &version.brief.key.0.namespace());
        for version in self.versions().filter(may).take(READ_OF_MAX) {
            let Brief { key: (workload, _), version: number, .. } = &version.brief;
            version.readers = reads::readers(tx, workload, number, since, READERS_MAX).await?;
        }
        Ok(())
    }
}

/// Most targets that are named of one version, and that are read for a few versions.
const NAMED_MAX: usize = 100;
const READ_MAX: i64 = 2000;

/// Adds where versions are in use.
pub(super) async fn fill_in(tx: &mut Tx, versions: &mut [&mut Version], with_names: bool) -> Result<()> {
    type Place = (String, String);
    let mut workloads: Vec<Workload> = versions.iter().map(|it| it.brief.key.0.clone()).collect();
    workloads.sort();
    workloads.dedup();
    let mut stages: BTreeMap<Place, Vec<Stage>> = BTreeMap::new();
    for few in workloads.chunks(AT_ONCE) {
        for (workload, version, stage) in lineage::stages_of(tx, few).await? {
            stages.entry((workload.to_string(), version.to_string())).or_default().push(stage);
        }
    }
    let mut digests: Vec<Digest> = versions.iter().map(|it| it.brief.digest.clone()).collect();
    digests.sort();
    digests.dedup();
    let (mut counts, mut names) = (BTreeMap::new(), BTreeMap::<Place, Vec<String>>::new());
    for few in digests.chunks(AT_ONCE) {
        counts.extend(lineage::targets_of(tx, few).await?);
        if with_names {
            for (workload, version, target) in lineage::running_on(tx, few, READ_MAX).await? {
                let named = names.entry((workload, version)).or_default();
                if named.len() < NAMED_MAX {
                    named.push(target);
                }
            }
        }
    }
    for version in versions {
        let place = (version.brief.key.0.to_string(), version.brief.version.to_string());
        version.stages = stages.remove(&place).unwrap_or_default();
        version.targets = counts.get(&place).copied().unwrap_or(0);
        version.running_on = names.remove(&place).unwrap_or_default();
    }
    Ok(())
}

/// What is known of versions, in the order in which they are asked for.
pub(super) async fn briefs(tx: &mut Tx, keys: &[Key]) -> Result<Vec<Brief>> {
    let mut all = Vec::with_capacity(keys.len());
    for few in keys.chunks(AT_ONCE) {
        let mut found: BTreeMap<Key, Brief> =
            lineage::briefs(tx, few).await?.into_iter().map(|brief| (brief.key.clone(), brief)).collect();
        all.extend(few.iter().filter_map(|key| found.remove(key)));
    }
    Ok(all)
}
