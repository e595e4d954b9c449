//! The documents that events name: each must be there, and be what its digest says, unless it was deleted by an event.

use super::walk::Mention;
use crate::{
    db::{Tx, audit},
    error::Result,
    model::{digest::Digest, event::Names},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// Digests that are remembered as checked. Most are named again soon after.
const REMEMBERED: usize = 1 << 16;

/// A document that is not what an event names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lost {
    /// The first entry that names it.
    pub position: u64,
    pub digest: Digest,
    /// What is there instead, if anything.
    pub found: Option<Digest>,
}

#[derive(Default)]
pub(super) struct Named {
    good: HashSet<(Names, Digest)>,
    /// By repository too: deleted in one it may still be in another.
    lost: BTreeMap<(String, Digest), Lost>,
}

impl Named {
    /// Takes what entries say, in their order.
    pub async fn take(&mut self, tx: &mut Tx, mentions: Vec<Mention>) -> Result<()> {
        let mut found = BTreeMap::new();
        for place in [Names::Document, Names::Manifest] {
            let asked = mentions.iter().filter_map(|mention| match mention {
                Mention::Named { place: of, digest, .. } if *of == place => Some(digest),
                _ => None,
            });
            let asked: HashSet<&Digest> =
                asked.filter(|digest| !self.good.contains(&(place, (*digest).clone()))).collect();
            for digests in asked.into_iter().collect::<Vec<_>>().chunks(audit::DOCUMENTS) {
                let rows = audit::documents(tx, place, digests).await?;
                for digest in digests {
                    let row = rows.iter().find(|(name, _)| name == digest.as_str());
                    let now = row.map(|(_, bytes)| digest.algorithm().digest(bytes));
                    if now.as_ref() == Some(digest) {
                        self.remember(place, digest);
                    } else {
                        found.insert((*digest).clone(), now);
                    }
                }
            }
        }
        for mention in mentions {
            match mention {
                Mention::Deleted { repository, digest } => drop(self.lost.remove(&(repository, digest))),
                Mention::Named { position, repository, digest, .. } => {
                    if let Some(now) = found.get(&digest) {
                        let lost = Lost { position, digest: digest.clone(), found: now.clone() };
                        self.lost.entry((repository, digest)).or_insert(lost);
                    }
                }
            }
        }
        Ok(())
    }

    fn remember(&mut self, place: Names, digest: &Digest) {
        if self.good.len() >= REMEMBERED {
            self.good.clear();
        }
        self.good.insert((place, digest.clone()));
    }

    pub fn is_whole(&self) -> bool {
        self.lost.is_empty()
    }

    /// What is lost, first named first.
    pub fn lost(self) -> Vec<Lost> {
        let mut lost: Vec<Lost> = self.lost.into_values().collect();
        lost.sort_by(|a, b| (a.position, &a.digest).cmp(&(b.position, &b.digest)));
        lost
    }
}
