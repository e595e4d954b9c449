//! Walking what the index of a layout lists.

use super::{Document, REGISTRY, folder::Folder, names::Named};
use crate::{
    error::{Error, Result},
    model::{
        digest::{Digest, shorten},
        json,
        manifest::{self, Descriptor},
    },
};
use serde::Deserialize as _;
use serde_json::Value;
use std::collections::BTreeSet;

/// Most bytes of the index, and entries of it and of all that it lists.
pub(super) const INDEX_MAX: u64 = 64 << 20;
const ENTRIES_MAX: usize = 100_000;
/// Most bytes of all manifests together, which are kept in memory.
pub(super) const MANIFESTS_MAX: u64 = 512 << 20;
/// How deep indexes may list indexes.
const DEPTH_MAX: usize = 4;
pub(super) const JSON_DEPTH: usize = 32;

/// A manifest that stands for itself, with the names and the registry that its entry tells.
#[derive(Debug)]
pub(super) struct Root {
    pub named: Named,
    pub registry: Option<String>,
    pub document: Document,
    /// The indexes that it is listed in.
    pub wholes: Vec<Digest>,
}

impl Root {
    /// Whether it is what somebody typed: one of its names, or its digest.
    pub fn is(&self, typed: &str) -> bool {
        self.named.is(typed) || self.document.digest.as_str() == typed
    }
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

/// What an index lists, and what those list that it lists.
#[derive(Default)]
pub(super) struct Listed {
    pub roots: Vec<Root>,
    /// What is about something else.
    pub said: Vec<Document>,
    /// All manifests, those of indexes and in indexes included.
    pub known: BTreeSet<Digest>,
}

/// Reads all manifests of a layout, by the bytes of its index.
pub(super) fn listed(folder: &Folder, index: &[u8]) -> Result<Listed> {
    let mut reader = Reader { folder, listed: Listed::default(), seen: 0, size: 0 };
    for entry in entries(index)? {
        reader.read(entry, Named::default(), &[])?;
    }
    Ok(reader.listed)
}

pub(super) fn too_much() -> Error {
    Error::too_large("layout_too_large", "the layout lists too much")
        .hint(format!("at most {ENTRIES_MAX} manifests, and {MANIFESTS_MAX} bytes of them"))
}

struct Reader<'a> {
    folder: &'a Folder,
    listed: Listed,
    seen: usize,
    size: u64,
}

impl Reader<'_> {
    /// Reads an entry, which has the name of the whole it is in if it has none of its own. Only of what is about nothing else
    /// the names are read: whoever may push may say something about a version, and call that whatever they like.
    fn read(&mut self, entry: Descriptor, whole: Named, wholes: &[Digest]) -> Result<()> {
        self.seen += 1;
        if self.seen > ENTRIES_MAX || self.size > MANIFESTS_MAX {
            return Err(too_much());
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
        self.listed.known.insert(document.digest.clone());
        if document.manifest.subject.is_some() {
            // What an index about something else lists is not read, and may be there.
            self.listed.known.extend(document.manifest.manifests.iter().map(|listed| listed.digest.clone()));
            self.listed.said.push(document);
            return Ok(());
        }
        let own = Named::of(&entry)?;
        let named = if own == Named::default() { whole } else { own };
        if entry.media_type == manifest::INDEX {
            return self.descend(&document, &named, wholes);
        }
        let registry = entry.annotations.get(REGISTRY).cloned();
        self.listed.roots.push(Root { named, registry, document, wholes: wholes.to_vec() });
        Ok(())
    }

    /// What an index within the index lists. A name of the whole is that of the one manifest in it.
    fn descend(&mut self, document: &Document, named: &Named, wholes: &[Digest]) -> Result<()> {
        let wholes = [wholes, std::slice::from_ref(&document.digest)].concat();
        if wholes.len() >= DEPTH_MAX {
            return Err(Error::invalid(
                "index_too_deep",
                format!("{}: indexes list indexes too deeply", document.digest),
            )
            .hint(format!("at most {DEPTH_MAX} levels")));
        }
        let listed = &document.manifest.manifests;
        for entry in listed {
            let whole = if listed.len() == 1 { named.clone() } else { Named::default() };
            self.read(entry.clone(), whole, &wholes)?;
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
