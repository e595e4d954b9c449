//! Reading an OCI image layout: what versions are in it, and whether all of it is what it says.

use super::{
    Carried, Document, Version, Workload, about,
    folder::{Folder, INDEX, LAYOUT},
    gather::Gathered,
    index::{INDEX_MAX, JSON_DEPTH, Listed, MANIFESTS_MAX, Root, listed, too_much},
    names::Named,
};
use crate::{
    client::Progress,
    error::{Error, Result},
    model::{
        artifact::Artifact,
        digest::{Algorithm, Digest, shorten},
        evidence::EvidenceKind,
        json,
        manifest::{Descriptor, Manifest},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    path::Path,
};

/// Entries that a message names.
const SHOWN: usize = 5;
const VERSION: &str = "1.0.0";

/// What of a layout is brought in.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// By these names or digests, or all of them.
    pub names: Vec<String>,
    /// The workload to bring it to, whatever it was called.
    pub workload: Option<Workload>,
    /// The version it becomes, where the layout names none.
    pub version: Option<Version>,
}

/// An image layout whose manifests have all been read and verified.
#[derive(Debug)]
pub struct Layout {
    pub(super) folder: Folder,
    /// What the index lists and is about nothing else.
    roots: Vec<Root>,
    /// By the manifest they are about.
    referrers: BTreeMap<Digest, Vec<Document>>,
    /// The first that is about something which is not in the layout: itself, and that.
    astray: Option<(Digest, Digest)>,
}

impl Layout {
    /// Reads the index and all manifests. Blobs are read by [`Layout::verify`].
    ///
    /// Errors: `not_a_layout`, `layout_version`, `index_invalid`, `index_too_deep`, `layout_too_large`, `size_mismatch`,
    /// `digest_mismatch`, `blob_missing`, `docker_manifest`, and those of names and manifests.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = Folder(path.to_owned());
        check_version(&folder)?;
        let bytes = folder.small(INDEX, INDEX_MAX)?.ok_or_else(|| no_layout(&folder, INDEX))?;
        let Listed { roots, said, known } = listed(&folder, &bytes)?;
        let mut referrers = BTreeMap::<Digest, Vec<Document>>::new();
        let (mut seen, mut astray) = (BTreeSet::new(), None);
        for document in said {
            let Some(subject) = document.manifest.subject.as_ref().map(|it| it.digest.clone()) else {
                continue;
            };
            if !known.contains(&subject) {
                astray.get_or_insert((document.digest, subject));
            } else if seen.insert(document.digest.clone()) {
                referrers.entry(subject).or_default().push(document);
            }
        }
        Ok(Self { folder, roots, referrers, astray })
    }

    /// The versions that are wanted, in the order in which they are to come, and what was left out.
    ///
    /// Errors: `subject_missing`, `ref_name_unknown`, `not_a_version`, `not_an_artifact`, `workload_missing`,
    /// `workloads_several`, `version_ambiguous`, `layout_empty`.
    pub fn versions(&self, wanted: &Wanted) -> Result<(Vec<Carried>, Vec<String>)> {
        // Whoever names what they want does not want the rest.
        if let (Some((said, subject)), true) = (&self.astray, wanted.names.is_empty()) {
            return Err(Error::integrity(
                "subject_missing",
                format!("{said} is about a manifest that is not in the layout: {subject}"),
            )
            .hint("bring that along too, or name the versions to bring in; gradus import DIR REF_NAME"));
        }
        let mut notes = Vec::new();
        let (mut chosen, mut size) = (BTreeMap::<(Workload, Version), Carried>::new(), 0);
        let mut of = BTreeSet::new();
        for Root { named, registry, document, wholes } in self.choose(wanted)? {
            let version = match (&wanted.version, &named.version) {
                (Some(version), _) | (None, Some(version)) => version.clone(),
                (None, None) if wanted.names.is_empty() => {
                    let note = format!("left out: {} is no version number", label(named, document));
                    notes.push((&document.digest, note));
                    continue;
                }
                (None, None) => return Err(no_version(named, document)),
            };
            recognised(document, named)?;
            of.extend(named.workload.clone());
            let workload = wanted.workload.clone().or_else(|| named.workload.clone());
            let workload = workload.ok_or_else(|| {
                Error::invalid(
                    "workload_missing",
                    format!("the layout does not say of which workload it is: {}", label(named, document)),
                )
                .hint("name one: --to NAMESPACE/NAME")
            })?;
            let one = match chosen.entry((workload, version)) {
                Entry::Occupied(place) if place.get().document.digest != document.digest => {
                    let one = place.get();
                    let reference = one.reference();
                    return Err(Error::invalid(
                        "version_ambiguous",
                        format!(
                            "two manifests would be {reference}: {}, {}",
                            one.document.digest, document.digest
                        ),
                    )
                    .hint("name the one that is meant by its digest: gradus import DIR sha256:…"));
                }
                // Listed once more, maybe in an index.
                Entry::Occupied(place) => place.into_mut(),
                Entry::Vacant(place) => {
                    let (workload, version) = place.key().clone();
                    let (said, left_out) = self.gather(&document.digest);
                    // Any number of names may be given to one manifest, and each is kept with all that is said about it.
                    size += said.iter().map(|one| one.bytes.len() as u64).sum::<u64>();
                    if size > MANIFESTS_MAX {
                        return Err(too_much());
                    }
                    let document = document.clone();
                    place.insert(Carried { workload, version, document, said, left_out, registry: None })
                }
            };
            one.registry = one.registry.take().or_else(|| registry.clone());
            one.left_out.extend(self.about(wholes).filter(|about| !one.left_out.contains(about)));
        }
        if of.len() > 1 && wanted.workload.is_some() {
            let names: Vec<String> = of.iter().map(Workload::to_string).collect();
            return Err(Error::invalid(
                "workloads_several",
                format!("versions of several workloads would become one: {}", names.join(", ")),
            )
            .hint("name the versions of one of them before --to, or leave --to out"));
        }
        // A manifest may be listed several times, and have a name only once.
        let comes: BTreeSet<&Digest> = chosen.values().map(|carried| &carried.document.digest).collect();
        notes.retain(|(digest, _)| !comes.contains(digest));
        let notes: Vec<String> = notes.into_iter().map(|(_, note)| note).collect();
        if chosen.is_empty() {
            return Err(empty(&notes));
        }
        Ok((chosen.into_values().collect(), notes))
    }

    /// What is said about a version, and what of that is left out.
    fn gather(&self, version: &Digest) -> (Vec<Document>, Vec<String>) {
        let mut gathered = Gathered::default();
        let mut about = vec![version.clone()];
        while !about.is_empty() {
            let found = about.iter().filter_map(|subject| self.referrers.get(subject)).flatten();
            let found: Vec<&Document> = found.collect();
            let chosen = gathered.choose(found.iter().map(|document| document.descriptor()).collect());
            let documents = found.into_iter().filter(|document| chosen.contains(&document.digest));
            about = gathered.take(documents.cloned().collect());
        }
        gathered.finish()
    }

    /// That something is said about the indexes a version is listed in, which do not come along.
    fn about(&self, indexes: &[Digest]) -> Option<String> {
        let said: Vec<&Document> =
            indexes.iter().filter_map(|index| self.referrers.get(index)).flatten().take(SHOWN + 1).collect();
        let names: Vec<String> = said.iter().take(SHOWN).map(|document| document.label()).collect();
        let more = if said.len() > SHOWN { ", …" } else { "" };
        (!said.is_empty())
            .then(|| format!("{}{more}: about an index that lists it, with all about that", names.join(", ")))
    }

    /// What the names choose. With a version to become, exactly one.
    fn choose(&self, wanted: &Wanted) -> Result<Vec<&Root>> {
        if let Some(name) = wanted.names.iter().find(|name| !self.roots.iter().any(|root| root.is(name))) {
            let there: Vec<String> =
                self.roots.iter().take(20).map(|root| label(&root.named, &root.document)).collect();
            return Err(Error::not_found(
                "ref_name_unknown",
                format!("not in the layout: {}", shorten(name)),
            )
            .hint(format!("there are: {}", there.join(", "))));
        }
        let is_wanted =
            |root: &&Root| wanted.names.is_empty() || wanted.names.iter().any(|name| root.is(name));
        let chosen: Vec<_> = self.roots.iter().filter(is_wanted).collect();
        let digests: BTreeSet<_> = chosen.iter().map(|root| &root.document.digest).collect();
        if wanted.version.is_some() && digests.len() > 1 {
            return Err(Error::invalid(
                "version_ambiguous",
                format!("{} manifests would become one version", digests.len()),
            )
            .hint("name the one that is meant before --to, by its name or by its digest, or leave the version out"));
        }
        Ok(chosen)
    }

    /// Reads blobs, and compares sizes and digests.
    pub async fn verify(&self, blobs: Vec<Descriptor>, progress: Progress) -> Result<()> {
        let folder = self.folder.clone();
        let work = tokio::task::spawn_blocking(move || {
            blobs.iter().try_for_each(|blob| folder.verify(blob, &progress))
        });
        work.await
            .map_err(|error| Error::internal("reading_stopped", "reading a file has stopped").source(error))?
    }
}

fn check_version(folder: &Folder) -> Result<()> {
    let bytes = folder.small(LAYOUT, 4096)?.ok_or_else(|| no_layout(folder, LAYOUT))?;
    let value = json::parse_strict(&bytes, JSON_DEPTH).map_err(|_| no_layout(folder, LAYOUT))?;
    match value["imageLayoutVersion"].as_str() {
        Some(VERSION) => Ok(()),
        Some(other) => Err(Error::invalid(
            "layout_version",
            format!("the layout is of a version that is not read: {}", shorten(other)),
        )
        .hint(format!("what is read: {VERSION}"))),
        None => Err(no_layout(folder, LAYOUT)),
    }
}

fn no_layout(folder: &Folder, file: &str) -> Error {
    Error::invalid("not_a_layout", format!("not an OCI image layout: {}", folder.0.display())).hint(format!(
        "it needs a file {file}; gradus export and skopeo copy … oci:DIR:TAG write such folders"
    ))
}

/// Refuses what would not become a version.
fn recognised(document: &Document, named: &Named) -> Result<()> {
    let Document { digest, manifest, .. } = document;
    if digest.algorithm() != Algorithm::Sha256 {
        return Err(Error::invalid(
            "digest_unsupported",
            format!("a version's manifest is named by its SHA-256, not: {digest}"),
        ));
    }
    if Artifact::recognise(manifest).map_err(|error| about(digest, error))?.is_some() {
        return Ok(());
    }
    let kind = manifest.artifact_type.as_deref().unwrap_or("none");
    let name = named.name.as_deref().unwrap_or("NAME");
    Err(Error::invalid(
        "not_an_artifact",
        format!(
            "{}: no prompt, adapter or weights; its artifactType is: {}",
            label(named, document),
            shorten(kind)
        ),
    )
    .hint(format!(
        "other OCI content is pushed by other tools: skopeo copy oci:DIR:{name} docker://…, or oras"
    )))
}

fn no_version(named: &Named, document: &Document) -> Error {
    Error::invalid("not_a_version", format!("no version number: {}", label(named, document)))
        .hint("say which version it becomes: --to NAMESPACE/NAME:VERSION")
}

fn empty(left_out: &[String]) -> Error {
    let error = Error::not_found("layout_empty", "there is no version in the layout");
    let hint = "a version has a number as its name; give one with --to NAMESPACE/NAME:VERSION";
    if left_out.is_empty() {
        return error.hint(hint);
    }
    let shown = left_out.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("; ");
    let more = if left_out.len() > SHOWN { "; …" } else { "" };
    error.hint(format!("{shown}{more}; {hint}")).details(
        serde_json::json!({ "count": left_out.len(), "left_out": left_out[..left_out.len().min(100)] }),
    )
}

/// What to call an entry to people.
fn label(named: &Named, document: &Document) -> String {
    match &named.name {
        Some(name) => shorten(name),
        None => document.digest.to_string(),
    }
}

/// Whether evidence comes only from a verb of its own, so that it is brought along as something that informs.
pub(super) fn is_reserved(manifest: &Manifest) -> bool {
    let kind = manifest.artifact_type.as_deref().and_then(EvidenceKind::of_artifact_type);
    kind.is_some_and(|kind| !kind.is_attachable())
}
