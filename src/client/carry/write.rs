//! Writing an OCI image layout, and adding to one. The index is a function of what is in the layout: the same versions
//! give the same bytes.

use super::{
    Carried, Document, NAMES, REF_NAME, REFERENCE, REGISTRY, WORKLOAD, Workload,
    folder::{BLOBS, Folder, INDEX, LAYOUT, unreadable},
    index::INDEX_MAX,
};
use crate::{
    client::{Client, Progress, PullOutcome},
    error::{Error, Result},
    model::{
        artifact::File,
        digest::Digest,
        json,
        manifest::{Descriptor, INDEX as INDEX_TYPE},
        path::FilePath,
        reference::{Reference, Selector},
    },
};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// The mark of an index that is ours, in its annotations.
const OURS: &str = "dev.gradus.layout";
/// What our unfinished files begin with.
const UNFINISHED: &str = ".gradus-";

/// What came of a version that was written.
#[derive(Debug, Serialize)]
pub struct Exported {
    pub blobs: usize,
    pub blobs_known: usize,
    pub bytes_fetched: u64,
}

/// A layout that is being written to, by this process alone.
pub struct Writer {
    folder: Folder,
    entries: Vec<Value>,
    _lock: fs::File,
}

impl Writer {
    /// Begins a layout in a folder that is empty or missing, or goes on with one of ours.
    ///
    /// Errors: `out_not_empty`, `export_busy`, `layout_file_refused`, `index_invalid`.
    pub fn open(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).map_err(|error| unreadable(path, error))?;
        let folder = Folder(path.to_owned());
        let is_new = check_place(&folder)?;
        if is_new {
            write(&path.join(LAYOUT), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        }
        let lock = lock(&folder)?;
        let entries = match folder.small(INDEX, INDEX_MAX)? {
            Some(bytes) => ours(&bytes).ok_or_else(|| not_empty(path))?,
            None => Vec::new(),
        };
        fs::create_dir_all(path.join(BLOBS).join("sha256")).map_err(|error| unreadable(path, error))?;
        let writer = Self { folder, entries, _lock: lock };
        writer.write_index()?;
        Ok(writer)
    }

    /// Fetches what is missing of a version, then lists it.
    pub async fn add(&mut self, client: &Client, carried: &Carried, progress: Progress) -> Result<Exported> {
        self.refuse_other(carried)?;
        let blobs = carried.blobs();
        let files: Vec<File> = blobs.iter().map(file_of).collect::<Result<_>>()?;
        // A copy that is not right is fetched again.
        let pulled = client.pull(&carried.workload, files, &self.folder.0, true, progress).await?;
        let fetched: Vec<&File> = pulled
            .iter()
            .filter(|file| file.outcome == PullOutcome::Fetched)
            .map(|file| &file.file)
            .collect();
        for file in &fetched {
            sync(&self.folder.path_of(&file.digest))?;
        }
        let exported = Exported {
            blobs: blobs.len(),
            blobs_known: blobs.len() - fetched.len(),
            bytes_fetched: fetched.iter().map(|file| file.size).sum(),
        };
        for document in std::iter::once(&carried.document).chain(&carried.said) {
            self.put(document)?;
        }
        self.list(carried)?;
        self.write_index()?;
        Ok(exported)
    }

    /// Nobody shall find two contents under one name.
    fn refuse_other(&self, carried: &Carried) -> Result<()> {
        let reference = carried.reference();
        let other = self.entries.iter().find(|entry| {
            entry["annotations"][REFERENCE] == reference.as_str()
                && entry["digest"] != carried.document.digest.as_str()
        });
        match other {
            None => Ok(()),
            Some(other) => Err(Error::conflict(
                "layout_conflict",
                format!(
                    "the layout has other content as {reference}: {}",
                    other["digest"].as_str().unwrap_or_default()
                ),
            )
            .hint("it may be of another registry; name another folder with --out")),
        }
    }

    fn put(&self, document: &Document) -> Result<()> {
        let path = self.folder.path_of(&document.digest);
        let parts = [BLOBS, document.digest.algorithm().name(), document.digest.hex()];
        let mut folder = self.folder.0.clone();
        for part in &parts[..2] {
            folder.push(part);
            let is_folder = fs::symlink_metadata(&folder).map(|metadata| metadata.is_dir());
            match is_folder {
                Ok(true) => {}
                Ok(false) => return Err(in_the_way(&folder)),
                Err(_) => fs::create_dir(&folder).map_err(|error| unreadable(&folder, error))?,
            }
        }
        if fs::symlink_metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(in_the_way(&path));
        }
        match fs::read(&path) {
            Ok(bytes) if bytes == document.bytes => Ok(()),
            _ => write(&path, &document.bytes),
        }
    }

    fn list(&mut self, carried: &Carried) -> Result<()> {
        let reference = carried.reference();
        let mut version = carried.document.descriptor();
        version.annotations =
            [(REFERENCE.to_owned(), reference.clone()), (WORKLOAD.to_owned(), carried.workload.to_string())]
                .into();
        version.annotations.extend(carried.registry.clone().map(|name| (REGISTRY.to_owned(), name)));
        let entry = |descriptor: &Descriptor| {
            serde_json::to_value(descriptor).map_err(|source| {
                Error::internal("manifest_encoding", "an index could not be written as JSON").source(source)
            })
        };
        // What was listed as said about another version may be a version as well.
        self.entries.retain(|entry| {
            let name = entry["annotations"][REFERENCE].as_str();
            name != Some(&reference) && (name.is_some() || entry["digest"] != version.digest.as_str())
        });
        self.entries.push(entry(&version)?);
        let listed: BTreeSet<Digest> =
            self.entries.iter().filter_map(|entry| entry["digest"].as_str()?.parse().ok()).collect();
        for said in carried.said.iter().filter(|said| !listed.contains(&said.digest)) {
            // Whoever may push may say something, and write into it what only the layout says.
            let mut said = said.descriptor();
            said.annotations.retain(|name, _| !NAMES.contains(&name.as_str()));
            self.entries.push(entry(&said)?);
        }
        Ok(())
    }

    fn write_index(&self) -> Result<()> {
        let text = index(self.entries.clone()).to_string();
        if text.len() as u64 > INDEX_MAX {
            return Err(Error::too_large("layout_too_large", "the layout would list too much")
                .hint("write some of the versions to another folder"));
        }
        write(&self.folder.0.join(INDEX), text.as_bytes())
    }
}

/// The index of these entries: versions by their names, then what is said about them, then what others added. Versions of
/// one workload are named by their number; of several, by workload and number.
fn index(mut entries: Vec<Value>) -> Value {
    let reference = |entry: &Value| match entry["annotations"][REFERENCE].as_str()?.parse() {
        Ok(Reference { workload, selector: Selector::Version(version) }) => Some((workload, version)),
        _ => None,
    };
    let workloads: BTreeSet<Workload> =
        entries.iter().filter_map(|entry| Some(reference(entry)?.0)).collect();
    for entry in &mut entries {
        if let Some((workload, version)) = reference(entry) {
            let name = match workloads.len() {
                1 => version.to_string(),
                _ => format!("{workload}:{version}"),
            };
            entry["annotations"][REF_NAME] = json!(name);
        }
    }
    entries.sort_by_cached_key(|entry| {
        let version = reference(entry);
        (
            version.is_none(),
            version,
            entry["digest"].as_str().unwrap_or_default().to_owned(),
            entry.to_string(),
        )
    });
    json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "annotations": { OURS: "1" }, "manifests": entries })
}

/// The entries of an index, if it is ours.
fn ours(bytes: &[u8]) -> Option<Vec<Value>> {
    let mut value = json::parse_strict(bytes, 32).ok()?;
    if value["annotations"][OURS] != "1" {
        return None;
    }
    match value["manifests"].take() {
        Value::Array(entries) if entries.iter().all(Value::is_object) => Some(entries),
        _ => None,
    }
}

/// Whether nothing is there yet. Refuses a folder with anything else than a layout.
fn check_place(folder: &Folder) -> Result<bool> {
    let path = &folder.0;
    let mut is_new = true;
    for entry in fs::read_dir(path).map_err(|error| unreadable(path, error))? {
        let entry = entry.map_err(|error| unreadable(path, error))?;
        match entry.file_name().to_str() {
            Some(BLOBS) if !entry.file_type().is_ok_and(|kind| kind.is_dir()) => {
                return Err(in_the_way(&entry.path()));
            }
            Some(LAYOUT) => is_new = false,
            Some(INDEX | BLOBS) => {}
            Some(name) if name.starts_with(UNFINISHED) => {}
            _ => return Err(not_empty(path)),
        }
    }
    let has_more = [INDEX, BLOBS].iter().any(|name| fs::symlink_metadata(path.join(name)).is_ok());
    if is_new && has_more {
        return Err(not_empty(path));
    }
    Ok(is_new)
}

fn lock(folder: &Folder) -> Result<fs::File> {
    let file = folder.open(&[LAYOUT])?.ok_or_else(|| not_empty(&folder.0))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::conflict(
            "export_busy",
            format!("another export is writing to this folder: {}", folder.0.display()),
        )
        .hint("wait until it is done, then run the same command again")),
        Err(TryLockError::Error(error)) => Err(unreadable(&folder.0, error)),
    }
}

fn file_of(blob: &Descriptor) -> Result<File> {
    let path: FilePath =
        format!("{BLOBS}/{}/{}", blob.digest.algorithm().name(), blob.digest.hex()).parse()?;
    Ok(File { path, digest: blob.digest.clone(), size: blob.size })
}

fn not_empty(path: &Path) -> Error {
    Error::conflict("out_not_empty", format!("the folder has other content: {}", path.display()))
        .hint("name an empty folder, or a layout that gradus export wrote, with --out")
}

fn in_the_way(path: &Path) -> Error {
    Error::invalid("layout_file_refused", format!("a link or another file is in the way: {}", path.display()))
        .hint("name another folder with --out")
}

/// Writes a file whole or not at all, and durably.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name.chars().take(80).collect();
    let scratch: PathBuf = path.with_file_name(format!("{UNFINISHED}{name}.tmp"));
    write_by(&scratch, path, bytes).map_err(|error| unreadable(path, error))
}

fn write_by(scratch: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(scratch) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create_new(true).mode(0o644).custom_flags(libc::O_NOFOLLOW).open(scratch)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(scratch, path)?;
    sync_folder(path)
}

/// Makes a file that is there durable, with its name.
fn sync(path: &Path) -> Result<()> {
    let synced = fs::File::open(path).and_then(|file| file.sync_all()).and_then(|()| sync_folder(path));
    synced.map_err(|error| unreadable(path, error))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(reference: &str) -> Value {
        json!({ "digest": Digest::sha256(reference.as_bytes()), "annotations": { REFERENCE: reference } })
    }

    fn names(entries: &[Value]) -> Vec<String> {
        let index = index(entries.to_vec());
        let list = index["manifests"].as_array().unwrap().iter();
        list.map(|entry| entry["annotations"][REF_NAME].as_str().unwrap_or("-").to_owned()).collect()
    }

    #[test]
    fn the_index_follows_from_what_is_in_it() {
        let said = json!({ "digest": Digest::sha256(b"said"), "artifactType": "x" });
        let mut entries = vec![entry("acme/x:1.10.0"), said, entry("acme/x:1.9.0")];
        assert_eq!(names(&entries), ["1.9.0", "1.10.0", "-"]);
        let one = index(entries.clone()).to_string();
        entries.reverse();
        assert_eq!(index(entries.clone()).to_string(), one);
        entries.push(entry("acme/a:1.0.0"));
        assert_eq!(names(&entries), ["acme/a:1.0.0", "acme/x:1.9.0", "acme/x:1.10.0", "-"]);
        // Names are given anew, so that what an index was before does not show.
        let again = ours(index(entries.clone()).to_string().as_bytes()).unwrap();
        assert_eq!(index(again).to_string(), index(entries).to_string());
    }

    #[test]
    fn only_our_own_layouts_are_added_to() {
        assert!(ours(br#"{"schemaVersion":2,"manifests":[]}"#).is_none());
        assert!(ours(br#"{"annotations":{"dev.gradus.layout":"1"},"manifests":[1]}"#).is_none());
        let folder = tempfile::tempdir().unwrap();
        let code = |path: &Path| Writer::open(path).err().map(|error| error.code);
        let fresh = folder.path().join("a/layout");
        assert_eq!(code(&fresh), None);
        assert_eq!(code(&fresh), None, "again");
        let held = Writer::open(&fresh).unwrap();
        assert_eq!(code(&fresh), Some("export_busy"));
        drop(held);
        fs::write(fresh.join(INDEX), r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
        assert_eq!(code(&fresh), Some("out_not_empty"), "somebody else's index");
        assert_eq!(code(folder.path()), Some("out_not_empty"), "a folder with other things");
        let linked = folder.path().join("linked");
        fs::create_dir(&linked).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", linked.join(LAYOUT)).unwrap();
        assert_eq!(code(&linked), Some("layout_file_refused"));
    }
}
