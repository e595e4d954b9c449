//! What is made of something: from a version, a base model, a dataset or a file to everything that names it, and on.

use super::{
    DEPTH_MAX, NODES_MAX, Sight,
    nodes::{Node, Tree, briefs},
};
use crate::{
    db::{
        Tx,
        lineage::{self as rows, AT_ONCE, Key},
    },
    error::Result,
    model::{
        kind::Tier,
        lineage::{Relation, Root, RootKind},
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// Rows that name a few things; beyond that the walk is cut.
const NAMING_MAX: i64 = 20_000;

/// Names, and the node that is asked about by each.
type Asked = BTreeMap<(Relation, String), usize>;

/// A walk under way.
struct Walk<'a> {
    tree: Tree,
    sees: Sight<'a>,
    /// Where each version is among the nodes.
    known: BTreeMap<Key, usize>,
    /// What was asked for.
    asked: BTreeSet<(Relation, String)>,
    /// Prompts that were only measured on what is asked about: their templates do not have it in them.
    measured: BTreeSet<usize>,
}

/// Everything that is made of a root, as far as may be seen. A version that may not be seen hides what is made of it:
/// that its digest is known says nothing of it.
///
/// Of content that several versions have, `first` is the one that is meant.
pub async fn down(
    tx: &mut Tx,
    root: &Root,
    first: Option<&Key>,
    depth: usize,
    sees: Sight<'_>,
) -> Result<Tree> {
    let mut walk = Walk {
        tree: Tree::default(),
        sees,
        known: BTreeMap::new(),
        asked: BTreeSet::new(),
        measured: BTreeSet::new(),
    };
    let mut level = walk.begin(tx, root, first).await?;
    // What names something that is no version is a step from it already.
    let steps = depth.min(DEPTH_MAX) - usize::from(root.kind != RootKind::Version && depth > 0);
    for _ in 0..steps {
        if level.is_empty() || walk.tree.cut {
            break;
        }
        let mut next = Vec::new();
        for some in level.chunks(AT_ONCE) {
            walk.step(tx, some, &mut next).await?;
        }
        level = next;
    }
    if !level.is_empty() && !walk.tree.cut {
        // It may be that nothing comes after these; that is found out only by going on.
        let mut beyond = Vec::new();
        let before = walk.tree.nodes.len();
        for some in level.chunks(AT_ONCE) {
            walk.step(tx, some, &mut beyond).await?;
        }
        walk.tree.nodes.truncate(before);
        walk.tree.edges.retain(|edge| edge.from < before && edge.to < before);
        walk.tree.cut |= !beyond.is_empty();
    }
    Ok(walk.tree)
}

impl Walk<'_> {
    /// The root, and what names it itself.
    async fn begin(&mut self, tx: &mut Tx, root: &Root, first: Option<&Key>) -> Result<Vec<usize>> {
        let limit = NODES_MAX as i64 + 1;
        if root.kind == RootKind::Version {
            let same = rows::with_content(tx, &root.value, limit).await?;
            let Some(first) = first.or(same.first()).cloned() else { return Ok(Vec::new()) };
            let mut level = self.add(tx, vec![(None, first)]).await?;
            let way = level.first().map(|at| (*at, Relation::File));
            level.extend(self.add(tx, same.into_iter().map(|key| (way, key)).collect()).await?);
            return Ok(level);
        }
        let digest = root.value.parse::<crate::model::digest::Digest>().ok().map(String::from);
        let node = Node::Other { relation: root.kind.relation(), name: root.value.clone(), digest };
        let at = self.tree.add(node);
        let mut found = Vec::new();
        for key in rows::having(tx, root.kind.relation(), &root.value, limit).await? {
            found.push((Some((at, root.kind.relation())), key));
        }
        if root.kind == RootKind::File {
            // Whoever names the file as the base has it in it too.
            for key in rows::having(tx, Relation::Base, &root.value, limit).await? {
                found.push((Some((at, Relation::Base)), key));
            }
        }
        if root.kind == RootKind::Base {
            // A digest may be that of a version here, or of its weights.
            for key in rows::with_content(tx, &root.value, limit).await? {
                found.push((Some((at, Relation::File)), key));
            }
            for key in rows::with_body(tx, &root.value, limit).await? {
                found.push((Some((at, Relation::File)), key));
            }
        }
        self.add(tx, found).await
    }

    /// What names any of some versions. Each name is asked for once, by the first that has it.
    async fn step(&mut self, tx: &mut Tx, some: &[usize], next: &mut Vec<usize>) -> Result<()> {
        let (mut asked, mut places) = (BTreeMap::new(), BTreeMap::new());
        for at in some {
            let Some(Node::Version(version)) = self.tree.nodes.get(*at) else { continue };
            let (key, digest) = (version.brief.key.clone(), version.brief.digest.to_string());
            places.insert(key, (*at, version.brief.tier));
            self.ask(&mut asked, (Relation::Base, digest), *at);
        }
        let keys: Vec<Key> = places.keys().cloned().collect();
        for few in keys.chunks(AT_ONCE) {
            for (key, file) in rows::bodies(tx, few).await? {
                let Some((at, tier)) = places.get(&key).copied() else { continue };
                let relations: &[Relation] = match tier {
                    Tier::Prompt if self.measured.contains(&at) => &[],
                    Tier::Prompt => &[Relation::File, Relation::Prompt],
                    _ => &[Relation::Base, Relation::File],
                };
                for relation in relations {
                    self.ask(&mut asked, (*relation, file.clone()), at);
                }
            }
        }
        let values: BTreeSet<String> = asked.keys().map(|(_, value)| value.clone()).collect();
        let values: Vec<String> = values.into_iter().collect();
        for few in values.chunks(AT_ONCE) {
            let naming = rows::naming(tx, few, NAMING_MAX).await?;
            self.tree.cut |= naming.len() as i64 == NAMING_MAX;
            let mut found = Vec::new();
            for (part, key) in naming {
                let relation = part.relation;
                if let Some(from) = asked.get(&(relation, part.value)) {
                    found.push((Some((*from, relation)), key));
                }
            }
            next.extend(self.add(tx, found).await?);
        }
        Ok(())
    }

    fn ask(&mut self, asked: &mut Asked, what: (Relation, String), at: usize) {
        if self.asked.insert(what.clone()) {
            asked.insert(what, at);
        }
    }

    /// Adds versions, each once, and the way to them. Answers those that are new.
    async fn add(&mut self, tx: &mut Tx, found: Vec<(Option<(usize, Relation)>, Key)>) -> Result<Vec<usize>> {
        let mut keys: Vec<Key> = Vec::new();
        let mut wanted = BTreeSet::new();
        for (_, key) in &found {
            if (self.sees)(key) && !self.known.contains_key(key) && wanted.insert(key.clone()) {
                keys.push(key.clone());
            }
        }
        let room = NODES_MAX.saturating_sub(self.tree.nodes.len());
        self.tree.cut |= keys.len() > room;
        keys.truncate(room);
        let before = self.tree.nodes.len();
        let mut new = Vec::with_capacity(keys.len());
        for brief in briefs(tx, &keys).await? {
            let key = brief.key.clone();
            let at = self.tree.add(Node::Version(brief.into()));
            self.known.insert(key, at);
            new.push(at);
        }
        for (way, key) in found {
            let (Some((from, relation)), Some(to)) = (way, self.known.get(&key).copied()) else { continue };
            let is_prompt =
                matches!(&self.tree.nodes[to], Node::Version(version) if version.brief.tier == Tier::Prompt);
            if is_prompt && relation == Relation::Base && to >= before {
                self.measured.insert(to);
            }
            // Who shares a file with another is not made of it once more the other way round.
            if relation != Relation::File || !self.tree.is_joined(to, from) {
                self.tree.join(from, to, relation);
            }
        }
        Ok(new)
    }
}
