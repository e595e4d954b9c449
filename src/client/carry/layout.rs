//! Reading an OCI image layout: what versions are in it, and whether all of it is what it says.

use super::{
    Carried, Document, REGISTRY, Version, Workload, about,
    folder::{Folder, INDEX, LAYOUT},
    gather::Gathered,
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
        manifest::{self, Descriptor, Manifest},
    },
};
use serde::Deserialize as _;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Most bytes of the index, and entries of it and of all that it lists.
pub(super) const INDEX_MAX: u64 = 64 << 20;
const ENTRIES_MAX: usize = 100_000;
/// Most bytes of all manifests together, which are kept in memory.
const MANIFESTS_MAX: u64 = 512 << 20;
/// How deep indexes may list indexes.
const DEPTH_MAX: usize = 4;
const JSON_DEPTH: usize = 32;
/// Entries that a message names.
const SHOWN: usize = 5;
const VERSION: &str = "1.0.0";

/// What of a layout is brought in.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// By these names, or all of them.
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
}

/// A manifest that stands for itself, with the names and the registry that its entry tells.
#[derive(Debug)]
struct Root {
    named: Named,
    registry: Option<String>,
    document: Document,
}

impl Layout {
    /// Reads the index and all manifests. Blobs are read by [`Layout::verify`].
    ///
    /// Errors: `not_a_layout`, `layout_version`, `index_invalid`, `index_too_deep`, `layout_too_large`, `size_mismatch`,
    /// `digest_mismatch`, `blob_missing`, `docker_manifest`, `subject_missing`, and those of names and manifests.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = Folder(path.to_owned());
        check_version(&folder)?;
        let bytes = folder.small(INDEX, INDEX_MAX)?.ok_or_else(|| no_layout(&folder, INDEX))?;
        let mut reader = Reader { folder: &folder, roots: Vec::new(), said: Vec::new(), seen: 0, size: 0 };
        for entry in entries(&bytes)? {
            reader.read(entry, Named::default(), 0)?;
        }
        let Reader { roots, said, .. } = reader;
        let known: BTreeSet<Digest> =
            roots.iter().map(|root| &root.document).chain(&said).map(|one| one.digest.clone()).collect();
        let mut referrers = BTreeMap::<Digest, Vec<Document>>::new();
        let mut seen = BTreeSet::new();
        for document in said {
            let Some(subject) = document.manifest.subject.as_ref().map(|it| it.digest.clone()) else {
                continue;
            };
            if !known.contains(&subject) {
                return Err(Error::integrity(
                    "subject_missing",
                    format!("{} is about a manifest that is not in the layout: {subject}", document.digest),
                )
                .hint("bring the version along with what is said about it"));
            }
            if seen.insert(document.digest.clone()) {
                referrers.entry(subject).or_default().push(document);
            }
        }
        Ok(Self { folder, roots, referrers })
    }

    /// The versions that are wanted, in the order in which they are to come, and what was left out.
    ///
    /// Errors: `ref_name_unknown`, `not_a_version`, `not_an_artifact`, `workload_missing`, `workloads_several`,
    /// `version_ambiguous`, `layout_empty`.
    pub fn versions(&self, wanted: &Wanted) -> Result<(Vec<Carried>, Vec<String>)> {
        let mut notes = Vec::new();
        let mut chosen = BTreeMap::<(Workload, Version), Carried>::new();
        let mut of = BTreeSet::new();
        for Root { named, registry, document } in self.choose(wanted)? {
            let version = match (&wanted.version, &named.version) {
                (Some(version), _) | (None, Some(version)) => version.clone(),
                (None, None) if wanted.names.is_empty() => {
                    notes.push(format!("left out: {} is no version number", label(named, document)));
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
            let (said, left_out) = self.gather(&document.digest);
            let carried = Carried {
                workload: workload.clone(),
                version: version.clone(),
                document: document.clone(),
                said,
                left_out,
                registry: registry.clone(),
            };
            let reference = carried.reference();
            if let Some(other) = chosen.insert((workload, version), carried)
                && other.document.digest != document.digest
            {
                return Err(Error::invalid(
                    "version_ambiguous",
                    format!(
                        "two manifests would be {reference}: {}, {}",
                        other.document.digest, document.digest
                    ),
                )
                .hint("name the one that is meant; gradus import DIR REF_NAME"));
            }
        }
        if of.len() > 1 && wanted.workload.is_some() {
            let names: Vec<String> = of.iter().map(Workload::to_string).collect();
            return Err(Error::invalid(
                "workloads_several",
                format!("versions of several workloads would become one: {}", names.join(", ")),
            )
            .hint("name the versions of one of them before --to, or leave --to out"));
        }
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

    /// What the names choose. With a version to become, exactly one.
    fn choose(&self, wanted: &Wanted) -> Result<Vec<&Root>> {
        if let Some(name) =
            wanted.names.iter().find(|name| !self.roots.iter().any(|root| root.named.is(name)))
        {
            let there: Vec<String> =
                self.roots.iter().take(20).map(|root| label(&root.named, &root.document)).collect();
            return Err(Error::not_found(
                "ref_name_unknown",
                format!("not in the layout: {}", shorten(name)),
            )
            .hint(format!("there are: {}", there.join(", "))));
        }
        let is_wanted =
            |root: &&Root| wanted.names.is_empty() || wanted.names.iter().any(|name| root.named.is(name));
        let chosen: Vec<_> = self.roots.iter().filter(is_wanted).collect();
        let digests: BTreeSet<_> = chosen.iter().map(|root| &root.document.digest).collect();
        if wanted.version.is_some() && digests.len() > 1 {
            return Err(Error::invalid(
                "version_ambiguous",
                format!("{} manifests would become one version", digests.len()),
            )
            .hint("name the one that is meant before --to, or leave the version out"));
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

/// The entries of an index's bytes.
fn entries(bytes: &[u8]) -> Result<Vec<Descriptor>> {
    let refuse = |why: String| Error::invalid("index_invalid", format!("not a usable index.json: {why}"));
    let value = json::parse_strict(bytes, JSON_DEPTH).map_err(|error| refuse(error.message))?;
    if value["schemaVersion"] != 2 {
        return Err(refuse("schemaVersion must be 2".into()));
    }
    if value.get("mediaType").is_some_and(|media_type| media_type != manifest::INDEX) {
        return Err(refuse(format!("mediaType must be {}", manifest::INDEX)));
    }
    let Some(list) = value["manifests"].as_array() else {
        return Err(refuse("manifests must be a list".into()));
    };
    let entry = |(number, value): (usize, &Value)| {
        let digest = value["digest"].as_str().unwrap_or_default();
        // An unknown algorithm is told apart from what is no digest.
        digest.parse::<Digest>().map_err(|mut error| {
            error.message = format!("entry {number} of index.json: {}", error.message);
            error
        })?;
        if !value.is_object() {
            return Err(refuse(format!("entry {number} must be an object")));
        }
        Descriptor::deserialize(value)
            .map_err(|error| refuse(format!("entry {number}, {digest}: {}", shorten(&error.to_string()))))
    };
    list.iter().enumerate().map(entry).collect()
}

/// Walks what an index lists.
struct Reader<'a> {
    folder: &'a Folder,
    roots: Vec<Root>,
    said: Vec<Document>,
    seen: usize,
    size: u64,
}

impl Reader<'_> {
    /// Reads an entry, which has the name of the whole it is in if it has none of its own. Only of what is about nothing else
    /// the names are read: whoever may push may say something about a version, and call that whatever they like.
    fn read(&mut self, entry: Descriptor, whole: Named, depth: usize) -> Result<()> {
        self.seen += 1;
        if self.seen > ENTRIES_MAX || self.size > MANIFESTS_MAX {
            return Err(Error::too_large("layout_too_large", "the layout lists too much")
                .hint(format!("at most {ENTRIES_MAX} manifests, and {MANIFESTS_MAX} bytes of them")));
        }
        check_type(&entry)?;
        let bytes = self.folder.manifest(&entry)?;
        self.size += entry.size;
        let document = Document::read(&entry.digest, Some(&entry.media_type), bytes)?;
        if entry.artifact_type.is_some() && entry.artifact_type != document.manifest.artifact_type {
            return Err(Error::invalid(
                "index_contradicts",
                format!("{}: its entry says another artifactType than the manifest", entry.digest),
            ));
        }
        if document.manifest.subject.is_some() {
            self.said.push(document);
            return Ok(());
        }
        let own = Named::of(&entry)?;
        let named = if own == Named::default() { whole } else { own };
        if entry.media_type == manifest::INDEX {
            return self.descend(&document, &named, depth);
        }
        let registry = entry.annotations.get(REGISTRY).cloned();
        self.roots.push(Root { named, registry, document });
        Ok(())
    }

    /// What an index within the index lists. A name of the whole is that of the one manifest in it.
    fn descend(&mut self, document: &Document, named: &Named, depth: usize) -> Result<()> {
        if depth + 1 >= DEPTH_MAX {
            return Err(Error::invalid(
                "index_too_deep",
                format!("{}: indexes list indexes too deeply", document.digest),
            )
            .hint(format!("at most {DEPTH_MAX} levels")));
        }
        let listed = &document.manifest.manifests;
        for entry in listed {
            let whole = if listed.len() == 1 { named.clone() } else { Named::default() };
            self.read(entry.clone(), whole, depth + 1)?;
        }
        Ok(())
    }
}

fn check_type(entry: &Descriptor) -> Result<()> {
    match entry.media_type.as_str() {
        manifest::IMAGE | manifest::INDEX => Ok(()),
        docker if docker.starts_with("application/vnd.docker.distribution.manifest.") => {
            Err(Error::invalid("docker_manifest", format!("{}: a Docker manifest", entry.digest))
                .hint("write it as an OCI manifest: skopeo copy --format oci"))
        }
        other => Err(Error::invalid(
            "manifest_invalid",
            format!("{}: unsupported media type: {}", entry.digest, shorten(other)),
        )
        .hint(format!("use {} or {}", manifest::IMAGE, manifest::INDEX))),
    }
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
