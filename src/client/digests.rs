//! What is remembered of files between two pushes, by their path, size, inode and times: digests, so that an unchanged
//! file is not read again, and unfinished uploads, so that they are taken up again.

use crate::{error::Result, model::digest::Digest};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    io::Write as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Mutex,
    time::{Duration, SystemTime},
};

/// Most files remembered.
const MAX: usize = 50_000;
/// A file changed within this time before it was hashed may change again without its time moving on.
const SETTLED: Duration = Duration::from_secs(2);

/// What tells that a file is still the one that was hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    size: u64,
    device: u64,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.size(),
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Table {
    digests: BTreeMap<PathBuf, (Stamp, Digest)>,
    /// Sessions, by where the file was being sent and its path.
    uploads: BTreeMap<String, (Stamp, String)>,
}

/// What is remembered for one user.
pub struct Digests {
    file: Option<PathBuf>,
    table: Mutex<Table>,
}

impl Digests {
    /// Reads what was remembered. A file that cannot be read is as good as none.
    pub fn open(directory: Option<PathBuf>) -> Self {
        let file = directory.map(|directory| directory.join("digests.json"));
        let table = file
            .as_ref()
            .and_then(|file| fs::read(file).ok())
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { file, table: Mutex::new(table.unwrap_or_default()) }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The digest of a file that has not changed since it was remembered.
    pub fn get(&self, path: &Path) -> Option<Digest> {
        let path = fs::canonicalize(path).ok()?;
        let stamp = Stamp::of(&fs::metadata(&path).ok()?);
        let table = self.table();
        table.digests.get(&path).filter(|(known, _)| *known == stamp).map(|(_, digest)| digest.clone())
    }

    /// Remembers the digest of a file whose metadata were `before` when reading it began.
    pub fn put(&self, path: &Path, before: &Metadata, digest: &Digest) {
        let Ok(path) = fs::canonicalize(path) else { return };
        let Ok(after) = fs::metadata(&path) else { return };
        let settled = before
            .modified()
            .is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > SETTLED));
        if !settled || Stamp::of(before) != Stamp::of(&after) {
            return;
        }
        let mut table = self.table();
        if table.digests.len() < MAX || table.digests.contains_key(&path) {
            table.digests.insert(path, (Stamp::of(&after), digest.clone()));
        }
    }

    /// The session in which the file, unchanged since, was being sent to a place.
    pub fn unfinished(&self, place: &str, path: &Path) -> Option<String> {
        let stamp = Stamp::of(&fs::metadata(path).ok()?);
        let table = self.table();
        let (known, session) = table.uploads.get(&upload_key(place, path)?)?;
        (*known == stamp).then(|| session.clone())
    }

    /// Remembers, or with `None` forgets, the session in which a file is being sent.
    pub fn set_unfinished(&self, place: &str, path: &Path, session: Option<&str>) {
        let (Some(key), Ok(metadata)) = (upload_key(place, path), fs::metadata(path)) else { return };
        match session {
            Some(session) => {
                self.table().uploads.insert(key, (Stamp::of(&metadata), session.to_owned()));
            }
            None => drop(self.table().uploads.remove(&key)),
        }
        // A help, not a duty, as with digests.
        let _ = self.save();
    }

    /// Writes what is remembered, whole or not at all.
    pub fn save(&self) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let bytes = serde_json::to_vec(&*self.table()).unwrap_or_default();
        if let Some(directory) = file.parent() {
            fs::create_dir_all(directory)?;
        }
        let scratch = file.with_extension(format!("{}.tmp", std::process::id()));
        let mut out =
            fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&scratch)?;
        out.write_all(&bytes)?;
        fs::rename(scratch, file)?;
        Ok(())
    }
}

fn upload_key(place: &str, path: &Path) -> Option<String> {
    Some(format!("{place} {}", fs::canonicalize(path).ok()?.display()))
}
