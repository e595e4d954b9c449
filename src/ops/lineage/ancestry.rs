//! From a version to everything it is made of, for whoever must know whether any of that is bad. It goes through all
//! namespaces: what is bad is bad, whoever may see how it came in. But what somebody says of files counts only in their own
//! namespace: else whoever has the same file could say something bad of it for all.

use super::index;
use crate::{
    db::{
        Tx,
        lineage::{self as rows, AT_ONCE, MANY},
        versions::{self, VersionRow},
    },
    error::Result,
    model::{
        digest::Digest,
        kind::Tier,
        lineage::{Part, Relation, Root, RootKind},
        name::Namespace,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
    time::Instant,
};

/// Most contents and files that are followed: some times as many as a version has files.
const STEPS_MAX: usize = 40_000;

/// Digests, each of which is looked at once.
#[derive(Default)]
struct Steps {
    seen: BTreeSet<String>,
    next: Vec<String>,
}

impl Steps {
    fn go(&mut self, digest: String) {
        if self.seen.insert(digest.clone()) {
            self.next.push(digest);
        }
    }
}

/// What content is made of; `None`: it cannot be read, or not in full.
type Content = Arc<(Option<Vec<Part>>, Tier)>;
/// What somebody says of files, and whether that is all.
type Said = Arc<(Vec<Part>, bool)>;

/// What is asked of the index for one version after another, each once.
#[derive(Default)]
pub(in crate::ops) struct Lookups {
    /// Which of the roots each file is, that are versions: what is the same file has the same faults, whatever else it has.
    bad_files: BTreeMap<String, Vec<String>>,
    /// There are more of these.
    is_cut: bool,
    contents: BTreeMap<String, Option<Content>>,
    /// When to give up.
    pub until: Option<Instant>,
    said: BTreeMap<(Namespace, Vec<String>), Said>,
}

/// Most files of versions in quarantine.
const BAD_FILES_MAX: usize = 300_000;

impl Lookups {
    /// For asking whether any of some roots is in versions.
    pub async fn of(tx: &mut Tx, roots: impl Iterator<Item = &Root> + Send) -> Result<Self> {
        let mut all = Self::default();
        let versions = roots.filter(|root| root.kind == RootKind::Version);
        let digests: Vec<String> = versions.map(|root| root.value.clone()).collect();
        let mut count = 0;
        for some in digests.chunks(AT_ONCE) {
            for (digest, file) in rows::bodies_of_contents(tx, some).await? {
                all.bad_files.entry(file).or_default().push(digest);
                count += 1;
            }
            if count > BAD_FILES_MAX {
                all.is_cut = true;
                break;
            }
        }
        Ok(all)
    }

    async fn content(&mut self, tx: &mut Tx, digest: String) -> Result<Option<Content>> {
        if let Some(known) = self.contents.get(&digest) {
            return Ok(known.clone());
        }
        let found = match rows::of_content(tx, &digest).await? {
            None => None,
            Some(rows::Content { parts, tier, .. }) if !parts.is_empty() => {
                let is_all = (parts.len() as i64) < rows::PARTS_MAX;
                Some(Arc::new((Some(parts).filter(|_| is_all), tier)))
            }
            Some(rows::Content { workload, version, tier, .. }) => {
                let parts = match versions::find(tx, &workload, &version).await? {
                    Some(row) => index::own(tx, &row).await?,
                    None => None,
                };
                Some(Arc::new((parts, tier)))
            }
        };
        self.contents.insert(digest, found.clone());
        Ok(found)
    }

    /// What a namespace says of files.
    async fn said(&mut self, tx: &mut Tx, namespace: &Namespace, files: &[String]) -> Result<Said> {
        let asked = (namespace.clone(), files.to_vec());
        if let Some(known) = self.said.get(&asked) {
            return Ok(known.clone());
        }
        let found = Arc::new(rows::of_bodies(tx, files, namespace).await?);
        self.said.insert(asked, found.clone());
        Ok(found)
    }
}

/// Everything a version is made of, and what is the same as it.
#[derive(Default)]
pub(in crate::ops) struct Ancestry {
    names: BTreeSet<(RootKind, String)>,
    /// Not all of it is here.
    pub is_cut: bool,
    /// All that this content is made of.
    contents: Steps,
    /// Whoever is this file: where it comes from.
    bodies: Steps,
    /// Whoever is this template: what it was made with. The model it was measured on does not come along with it.
    templates: Steps,
}

impl Ancestry {
    /// Goes all the way, up to a bound that no honest version comes near.
    pub async fn of(tx: &mut Tx, row: &VersionRow, lookups: &mut Lookups) -> Result<Self> {
        let mut all = Self { is_cut: lookups.is_cut, ..Self::default() };
        let namespace = row.workload.namespace();
        all.names.insert((RootKind::Version, row.digest.to_string()));
        match index::own(tx, row).await? {
            Some(own) => all.take(&own, row.tier),
            None => all.is_cut = true,
        }
        // Few bases lead to many files, so they come first.
        loop {
            let steps = all.contents.seen.len() + all.bodies.seen.len() + all.templates.seen.len();
            if steps > STEPS_MAX || lookups.until.is_some_and(|until| Instant::now() > until) {
                all.is_cut = true;
            }
            if all.is_cut {
                tracing::warn!(workload = %row.workload, version = %row.version, "it is made of more than can be followed");
                return Ok(all);
            }
            if !all.contents.next.is_empty() {
                all.contents(tx, lookups).await?;
            } else if !all.bodies.next.is_empty() {
                let files = mem::take(&mut all.bodies.next);
                all.files(tx, &files, &namespace, (Tier::Weights, lookups)).await?;
            } else if !all.templates.next.is_empty() {
                let files = mem::take(&mut all.templates.next);
                all.files(tx, &files, &namespace, (Tier::Prompt, lookups)).await?;
            } else {
                return Ok(all);
            }
        }
    }

    pub fn has(&self, root: &Root) -> bool {
        self.names.contains(&(root.kind, root.value.clone()))
    }

    async fn contents(&mut self, tx: &mut Tx, lookups: &mut Lookups) -> Result<()> {
        for digest in mem::take(&mut self.contents.next) {
            if let Some(content) = lookups.content(tx, digest).await? {
                match &*content {
                    (Some(parts), tier) => self.take(parts, *tier),
                    (None, _) => self.is_cut = true,
                }
            }
        }
        Ok(())
    }

    async fn files(
        &mut self,
        tx: &mut Tx,
        files: &[String],
        namespace: &Namespace,
        (tier, lookups): (Tier, &mut Lookups),
    ) -> Result<()> {
        let roots = files.iter().filter_map(|file| lookups.bad_files.get(file)).flatten();
        self.names.extend(roots.map(|digest| (RootKind::Version, digest.clone())));
        for some in files.chunks(MANY) {
            let said = lookups.said(tx, namespace, some).await?;
            let (parts, is_all) = &*said;
            self.is_cut |= !is_all;
            let counts = |part: &&Part| tier != Tier::Prompt || part.relation == Relation::Dataset;
            self.take(parts.iter().filter(counts), tier);
        }
        Ok(())
    }

    fn take<'a>(&mut self, parts: impl IntoIterator<Item = &'a Part>, tier: Tier) {
        for Part { relation, value, body } in parts {
            let value = value.clone();
            match relation {
                Relation::Base => {
                    if value.parse::<Digest>().is_ok() {
                        // Of a version, or of a file that one is.
                        self.names.insert((RootKind::Version, value.clone()));
                        self.names.insert((RootKind::File, value.clone()));
                        self.contents.go(value.clone());
                        self.bodies.go(value.clone());
                    }
                    self.names.insert((RootKind::Base, value));
                }
                Relation::Dataset => {
                    self.names.insert((RootKind::Dataset, value));
                }
                Relation::File => {
                    match (*body, tier) {
                        (true, Tier::Prompt) => self.templates.go(value.clone()),
                        (true, _) => self.bodies.go(value.clone()),
                        (false, _) => {}
                    }
                    self.names.insert((RootKind::File, value));
                }
                Relation::Prompt => self.templates.go(value),
                Relation::Licence | Relation::Flag => {}
            }
        }
    }
}
