//! The folder of backups: one writes at a time, files are for their owner only, and nothing is written through a link.

use crate::{
    client::hashing::hash,
    error::{Error, Result},
    model::{
        backup::{Line, blob_path},
        digest::Digest,
    },
};
use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufRead as _, BufReader},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// Whether the folder has the blob. Its length tells a file that was cut; with `verify`, its digest tells rot.
pub(super) async fn is_there(target: &Path, digest: &Digest, size: u64, verify: bool) -> Result<bool> {
    match fs::symlink_metadata(target) {
        Ok(metadata) if !metadata.is_file() => Err(Error::conflict(
            "backup_folder",
            format!("something else is where a blob belongs: {}", target.display()),
        )
        .hint("choose another folder, or take it away")),
        Ok(metadata) if metadata.len() != size => Ok(false),
        Ok(_) if !verify => Ok(true),
        Ok(_) => {
            let (path, algorithm) = (target.to_owned(), digest.algorithm());
            let work = tokio::task::spawn_blocking(move || {
                hash(&path, u64::MAX, algorithm).map(|hasher| hasher.digest())
            });
            let found = work.await.map_err(|error| {
                Error::internal("reading_stopped", "reading a file has stopped").source(error)
            })??;
            Ok(found == *digest)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(at(target, error)),
    }
}

/// The folder of backups, for one of them at a time.
pub(super) struct Folder {
    pub root: PathBuf,
    _lock: File,
}

impl Folder {
    pub fn open(root: &Path) -> Result<Self> {
        private_dir(root).map_err(|error| at(root, error))?;
        let path = root.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(&path)
            .map_err(|error| at(&path, error))?;
        lock.try_lock().map_err(|_| {
            Error::conflict("backup_busy", format!("another backup is being written to: {}", root.display()))
                .hint("wait until it is done, or choose another folder")
        })?;
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    /// Deletes blobs that no facts in the folder name, and what was never finished. Answers how many, and their bytes.
    pub fn prune(&self) -> Result<(u64, u64)> {
        let mut named = BTreeSet::new();
        for entry in fs::read_dir(&self.root)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "jsonl") {
                named_by(&path, &mut named)?;
            }
        }
        let (mut count, mut bytes) = (0, 0);
        for algorithm in ["sha256", "sha512"] {
            // What leads elsewhere, or is not ours by its name, is left alone.
            for fan in folders(&self.root.join("blobs"), algorithm)? {
                for file in fs::read_dir(fan)? {
                    let file = file?;
                    let (path, name) = (file.path(), file.file_name());
                    let name = name.to_string_lossy();
                    let hex = name.strip_suffix(".part").unwrap_or(&name);
                    let is_ours = hex.len() >= 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
                    if is_ours && file.file_type()?.is_file() && !named.contains(&path) {
                        (count, bytes) = (count + 1, bytes + file.metadata()?.len());
                        fs::remove_file(&path).map_err(|error| at(&path, error))?;
                    }
                }
            }
        }
        Ok((count, bytes))
    }
}

/// The folders of an algorithm's blobs, none of them or above them a link.
fn folders(blobs: &Path, algorithm: &str) -> Result<Vec<PathBuf>> {
    let root = blobs.join(algorithm);
    let is_folder = |path: &Path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    if !is_folder(blobs) || !is_folder(&root) {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(root)?.collect::<io::Result<Vec<_>>>()?;
    Ok(entries.into_iter().map(|entry| entry.path()).filter(|path| is_folder(path)).collect())
}

/// Adds where the blobs lie that a file of facts names.
fn named_by(facts: &Path, named: &mut BTreeSet<PathBuf>) -> Result<()> {
    const BLOB: &str = "{\"fact\":{\"table\":\"blobs\"";
    let root = facts.parent().unwrap_or(facts);
    let unread = || {
        Error::integrity("backup_invalid", format!("facts in the folder cannot be read: {}", facts.display()))
            .hint("nothing was pruned; take them away if they are of no use")
    };
    let mut is_whole = false;
    for line in BufReader::new(File::open(facts)?).lines() {
        let line = line.map_err(|error| unread().source(error))?;
        is_whole = line.starts_with("{\"end\":");
        if line.starts_with(BLOB) {
            let Ok(Line::Fact(fact)) = serde_json::from_str(&line) else { return Err(unread()) };
            let digest = fact.row.get("digest").and_then(serde_json::Value::as_str).ok_or_else(unread)?;
            named.insert(root.join(blob_path(&digest.parse()?)));
        }
    }
    if is_whole { Ok(()) } else { Err(unread()) }
}

pub(super) fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// A new, empty file for its owner only. What was there before is taken away, never written through.
pub(super) fn private_file(path: &Path) -> Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(path, error)),
        _ => {}
    }
    let made = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
    made.map_err(|error| at(path, error))
}

/// A failure with the place it happened at.
pub(super) fn at(path: &Path, source: io::Error) -> Error {
    let mut error = Error::from(source);
    error.message = format!("{}: {}", error.message, path.display());
    error.hint("choose another folder with --out, or mend this one")
}
