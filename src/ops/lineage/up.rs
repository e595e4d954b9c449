//! What a version is made of: its base, its datasets, the template that comes along, and who else is the same weights; and what
//! these are made of.

use super::{
    DEPTH_MAX, NODES_MAX, Sight,
    nodes::{Node, Tree, briefs},
};
use crate::{
    db::{
        Tx,
        lineage::{self as rows, Key},
        versions,
    },
    error::Result,
    model::{
        digest::Digest,
        kind::Tier,
        lineage::{Part, Relation, fullest},
        reference::{Reference, Selector},
        resolution::Document,
    },
    ops::resolve::document_of,
};
use std::collections::{BTreeMap, BTreeSet};

/// Others that are named for sharing a file with a version, and versions of one digest or template.
const SHARING_MAX: i64 = 20;

struct Walk<'a> {
    tree: Tree,
    sees: Sight<'a>,
    known: BTreeMap<Key, usize>,
    others: BTreeMap<(Relation, String), usize>,
}

/// Everything a version is made of, as far as may be seen. What may not be is named as the version names it, and no more.
pub async fn up(tx: &mut Tx, first: &Key, depth: usize, sees: Sight<'_>) -> Result<Tree> {
    let mut walk = Walk { tree: Tree::default(), sees, known: BTreeMap::new(), others: BTreeMap::new() };
    let mut level = walk.versions(tx, vec![first.clone()]).await?;
    for _ in 0..depth.min(DEPTH_MAX) {
        let mut next = Vec::new();
        for at in std::mem::take(&mut level) {
            walk.step(tx, at, &mut next).await?;
        }
        level = next;
        if level.is_empty() || walk.tree.cut && walk.tree.nodes.len() >= NODES_MAX {
            break;
        }
    }
    walk.tree.cut |= !level.is_empty();
    Ok(walk.tree)
}

impl Walk<'_> {
    /// Adds versions that are new and may be seen. Answers the places of those.
    async fn versions(&mut self, tx: &mut Tx, keys: Vec<Key>) -> Result<Vec<usize>> {
        let keys: Vec<Key> =
            keys.into_iter().filter(|key| (self.sees)(key) && !self.known.contains_key(key)).collect();
        let mut new = Vec::new();
        for brief in briefs(tx, &keys).await? {
            if self.tree.nodes.len() >= NODES_MAX {
                self.tree.cut = true;
                break;
            }
            let key = brief.key.clone();
            let at = self.tree.add(Node::Version(brief.into()));
            self.known.insert(key, at);
            new.push(at);
        }
        Ok(new)
    }

    async fn step(&mut self, tx: &mut Tx, at: usize, next: &mut Vec<usize>) -> Result<()> {
        let Some(Node::Version(version)) = self.tree.nodes.get(at) else { return Ok(()) };
        let (key, number, tier) =
            (version.brief.key.clone(), version.brief.version.clone(), version.brief.tier);
        let parts = rows::of_version(tx, &key).await?;
        let Some(row) = versions::find(tx, &key.0, &number).await? else { return Ok(()) };
        self.bases(tx, at, &parts, next).await?;
        // Of what was purged the names are left, and not which digest has which.
        let document = if row.purged.is_none() { Some(document_of(&row)?) } else { None };
        self.datasets(at, &parts, document.as_ref());
        let named = |wanted: Relation| parts.iter().filter(move |part| part.relation == wanted);
        for prompt in named(Relation::Prompt) {
            let keys = rows::with_body(tx, &prompt.value, SHARING_MAX).await?;
            if !self.join(tx, at, Relation::Prompt, keys, next).await? {
                self.other(at, Relation::Prompt, &prompt.value, Some(prompt.value.clone()));
            }
        }
        for body in named(Relation::File).filter(|part| part.body && tier != Tier::Prompt) {
            let keys = rows::with_body(tx, &body.value, SHARING_MAX + 1).await?;
            self.tree.cut |= keys.len() as i64 > SHARING_MAX;
            self.join(tx, at, Relation::File, keys, next).await?;
        }
        Ok(())
    }

    /// The bases: versions here where the digest tells which, and names otherwise.
    async fn bases(&mut self, tx: &mut Tx, at: usize, parts: &[Part], next: &mut Vec<usize>) -> Result<()> {
        let bases = || parts.iter().filter(|part| part.relation == Relation::Base);
        let digests: Vec<String> =
            bases().map(|part| part.value.clone()).filter(|name| name.parse::<Digest>().is_ok()).collect();
        // The digest of a version is not told to those who may not read it.
        let mut names: BTreeSet<String> =
            bases().filter(|part| !part.body).map(|part| part.value.clone()).collect();
        for digest in digests {
            let mut keys = rows::with_content(tx, &digest, SHARING_MAX).await?;
            keys.extend(rows::with_body(tx, &digest, SHARING_MAX).await?);
            if self.join(tx, at, Relation::Base, keys, next).await? {
                // The version is there under its own name.
                let whole: Vec<String> =
                    names.iter().filter(|name| name.ends_with(&digest)).cloned().collect();
                for name in whole {
                    let model = name.strip_suffix(&digest).and_then(|rest| rest.strip_suffix('@'));
                    names.retain(|other| *other != name && Some(other.as_str()) != model);
                }
            }
        }
        names.retain(|name| !self.has(name));
        let names: Vec<String> = fullest(&names).into_iter().cloned().collect();
        for name in names {
            let digest = name.rsplit('@').next().filter(|text| text.parse::<Digest>().is_ok());
            let digest = digest.map(str::to_owned);
            self.other(at, Relation::Base, &name, digest);
        }
        Ok(())
    }

    /// Whether a base is named by a version that was come to.
    fn has(&self, name: &str) -> bool {
        let Ok(Reference { workload, selector: Selector::Version(version) }) = name.parse() else {
            return false;
        };
        self.tree.nodes.iter().any(|node| {
            matches!(node, Node::Version(it) if it.brief.key.0 == workload && it.brief.version == version)
        })
    }

    /// Datasets by name where there is one for a digest.
    fn datasets(&mut self, at: usize, parts: &[Part], document: Option<&Document>) {
        let mut named = BTreeSet::new();
        for dataset in document.iter().flat_map(|document| &document.lineage.datasets) {
            let digest = dataset.digest.to_string();
            named.extend([dataset.name.clone(), digest.clone()]);
            self.other(at, Relation::Dataset, &dataset.name, Some(digest));
        }
        for part in parts.iter().filter(|part| part.relation == Relation::Dataset) {
            if !named.contains(&part.value) {
                let digest = part.value.parse::<Digest>().ok().map(String::from);
                self.other(at, Relation::Dataset, &part.value, digest);
            }
        }
    }

    /// Says that a version is made of others. Answers false if none of them may be seen.
    async fn join(
        &mut self,
        tx: &mut Tx,
        to: usize,
        relation: Relation,
        keys: Vec<Key>,
        next: &mut Vec<usize>,
    ) -> Result<bool> {
        next.extend(self.versions(tx, keys.clone()).await?);
        let mut any = false;
        for key in keys {
            if let Some(from) = self.known.get(&key).copied() {
                any = true;
                if relation != Relation::File || !self.tree.is_joined(to, from) {
                    self.tree.join(from, to, relation);
                }
            }
        }
        Ok(any)
    }

    fn other(&mut self, to: usize, relation: Relation, name: &str, digest: Option<String>) {
        let is = (relation, format!("{name} {}", digest.as_deref().unwrap_or_default()));
        let from = match self.others.get(&is) {
            Some(at) => *at,
            None if self.tree.nodes.len() >= NODES_MAX => {
                self.tree.cut = true;
                return;
            }
            None => {
                let at = self.tree.add(Node::Other { relation, name: name.to_owned(), digest });
                self.others.insert(is, at);
                at
            }
        };
        self.tree.join(from, to, relation);
    }
}
