//! From a version to everything it is made of, for whoever must know whether any of that is bad. It goes through all
//! namespaces: what is bad is bad, whoever may see how it came in.

use super::NODES_MAX;
use crate::{
    db::{Tx, lineage as rows, versions::VersionRow},
    error::Result,
    model::{
        digest::Digest,
        kind::Tier,
        lineage::{Part, Relation, Root, RootKind},
    },
};
use std::collections::BTreeSet;

/// What is still to be looked at.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// All that this content is made of.
    Content(String),
    /// Whoever is this file: where it comes from.
    Body(String),
    /// Whoever is this template: what it was made with. The model it was measured on does not come along with it.
    Template(String),
}

/// Everything a version is made of, and what is the same as it.
#[derive(Default)]
pub(in crate::ops) struct Ancestry {
    names: BTreeSet<(RootKind, String)>,
    seen: BTreeSet<Step>,
    next: Vec<Step>,
}

impl Ancestry {
    /// Goes all the way, up to a bound that no honest version comes near.
    pub async fn of(tx: &mut Tx, row: &VersionRow) -> Result<Self> {
        let mut all = Self::default();
        let own = rows::of_version(tx, &(row.workload.clone(), row.sequence)).await?;
        all.names.insert((RootKind::Version, row.digest.to_string()));
        all.take(own, row.tier);
        while let Some(step) = all.next.pop() {
            if all.seen.len() >= NODES_MAX {
                tracing::warn!(workload = %row.workload, version = %row.version, "it is made of more than is followed");
                break;
            }
            match &step {
                Step::Content(digest) => {
                    for (part, tier) in rows::of_content(tx, digest).await? {
                        all.take(vec![part], tier);
                    }
                }
                Step::Body(file) => {
                    let parts = rows::of_body(tx, file).await?;
                    all.take(parts, Tier::Weights);
                    all.same(tx, file).await?;
                }
                Step::Template(file) => {
                    let mut parts = rows::of_body(tx, file).await?;
                    parts.retain(|part| part.relation == Relation::Dataset);
                    all.take(parts, Tier::Prompt);
                    all.same(tx, file).await?;
                }
            }
            all.seen.insert(step);
        }
        Ok(all)
    }

    pub fn has(&self, root: &Root) -> bool {
        self.names.contains(&(root.kind, root.value.clone()))
    }

    fn go(&mut self, step: Step) {
        if !self.seen.contains(&step) {
            self.next.push(step);
        }
    }

    fn take(&mut self, parts: Vec<Part>, tier: Tier) {
        for Part { relation, value, body } in parts {
            match relation {
                Relation::Base => {
                    if value.parse::<Digest>().is_ok() {
                        // Of a version, or of a file that one is.
                        self.names.insert((RootKind::Version, value.clone()));
                        self.names.insert((RootKind::File, value.clone()));
                        self.go(Step::Content(value.clone()));
                        self.go(Step::Body(value.clone()));
                    }
                    self.names.insert((RootKind::Base, value));
                }
                Relation::Dataset => {
                    self.names.insert((RootKind::Dataset, value));
                }
                Relation::File => {
                    match (body, tier) {
                        (true, Tier::Prompt) => self.go(Step::Template(value.clone())),
                        (true, _) => self.go(Step::Body(value.clone())),
                        (false, _) => {}
                    }
                    self.names.insert((RootKind::File, value));
                }
                Relation::Prompt => self.go(Step::Template(value)),
                Relation::Licence | Relation::Flag => {}
            }
        }
    }

    /// What is the same file has the same faults, whatever else it has.
    async fn same(&mut self, tx: &mut Tx, file: &str) -> Result<()> {
        let contents = rows::contents_of_body(tx, file).await?;
        self.names.extend(contents.into_iter().map(|digest| (RootKind::Version, digest)));
        Ok(())
    }
}
