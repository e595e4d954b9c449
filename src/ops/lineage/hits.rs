//! What a quarantine hits: of everything that leads down from a root, what a gate would find the root in.

use super::{
    DEPTH_MAX,
    ancestry::{Ancestry, Lookups},
    down::down,
    nodes::Node,
};
use crate::{
    db::{Tx, lineage::Key, versions},
    error::Result,
    model::{lineage::Root, name::Namespace},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How long is counted: what is bad is to be stopped soon.
const COUNTING_MAX: Duration = Duration::from_secs(5);

/// Versions that a root hits.
#[derive(Debug, Default)]
pub(in crate::ops) struct Hits {
    /// Of each namespace that is hit.
    pub by_namespace: BTreeMap<Namespace, i64>,
    /// Versions that are not hit although they have the same files as some that are, or were made from them: those who say
    /// what is in the files say so elsewhere.
    pub alike: i64,
    /// There are more than were counted.
    pub more: bool,
}

impl Hits {
    /// Counts what is asked about, as far as that goes in some seconds.
    pub async fn count(
        tx: &mut Tx,
        root: &Root,
        asked: &(dyn Fn(&Key) -> bool + Send + Sync),
    ) -> Result<Self> {
        let until = Instant::now() + COUNTING_MAX;
        let tree = down(tx, root, None, DEPTH_MAX, &|_| true).await?;
        let mut lookups = Lookups::of(tx, std::iter::once(root)).await?;
        lookups.until = Some(until);
        let mut hits = Self { more: tree.cut, ..Self::default() };
        // The same content is hit in a namespace under all names, or under none.
        let mut known = BTreeMap::new();
        for node in tree.nodes {
            let Node::Version(version) = node else { continue };
            let (workload, digest) = (&version.brief.key.0, &version.brief.digest);
            if !asked(&version.brief.key) {
                continue;
            }
            if Instant::now() > until {
                hits.more = true;
                break;
            }
            let content = (workload.namespace(), digest.clone());
            let is_hit = match known.get(&content) {
                Some(is_hit) => *is_hit,
                None => {
                    let Some(row) = versions::find(tx, workload, &version.brief.version).await? else {
                        continue;
                    };
                    let ancestry = Ancestry::of(tx, &row, &mut lookups).await?;
                    if ancestry.is_cut && Instant::now() > until {
                        continue;
                    }
                    let is_hit = ancestry.has(root) || ancestry.is_cut;
                    known.insert(content.clone(), is_hit);
                    is_hit
                }
            };
            match is_hit {
                true => *hits.by_namespace.entry(content.0).or_insert(0) += 1,
                false => hits.alike += 1,
            }
        }
        Ok(hits)
    }
}
