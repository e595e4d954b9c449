//! What is remembered of files between two pushes, by their path, size, inode and times: digests, so that an unchanged
//! file is not read again, and unfinished uploads, so that they are taken up again.

use crate::{error::Result, model::digest::Digest};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    io::Write as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

const DIGESTS: &str = "digests.json";
const UPLOADS: &str = "uploads.json";
/// Most files, and most unfinished uploads, remembered.
const MAX: usize = 50_000;
const MAX_UPLOADS: usize = 1000;
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

type Table = BTreeMap<PathBuf, (Stamp, Digest)>;
/// Sessions, by where the file was being sent and its path.
type Unfinished = BTreeMap<String, (Stamp, String)>;

/// What is remembered for one user.
pub struct Digests {
    directory: Option<PathBuf>,
    table: Mutex<Table>,
    uploads: Mutex<Unfinished>,
}

impl Digests {
    /// Reads what was remembered. A file that cannot be read is as good as none.
    pub fn open(directory: Option<PathBuf>) -> Self {
        let (table, uploads) = (read(directory.as_deref(), DIGESTS), read(directory.as_deref(), UPLOADS));
        Self { directory, table: Mutex::new(table), uploads: Mutex::new(uploads) }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn uploads(&self) -> MutexGuard<'_, Unfinished> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The digest of a file that has not changed since it was remembered.
    pub fn get(&self, path: &Path) -> Option<Digest> {
        let path = fs::canonicalize(path).ok()?;
        let stamp = Stamp::of(&fs::metadata(&path).ok()?);
        let table = self.table();
        table.get(&path).filter(|(known, _)| *known == stamp).map(|(_, digest)| digest.clone())
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
        if table.len() < MAX || table.contains_key(&path) {
            table.insert(path, (Stamp::of(&after), digest.clone()));
        }
    }

    /// The session in which the file, unchanged since, was being sent to a place.
    pub fn unfinished(&self, place: &str, path: &Path) -> Option<String> {
        self.session(place, path).filter(|(is_same, _)| *is_same).map(|(_, session)| session)
    }

    /// The session in which a file was being sent to a place that has changed since.
    pub fn outdated(&self, place: &str, path: &Path) -> Option<String> {
        self.session(place, path).filter(|(is_same, _)| !is_same).map(|(_, session)| session)
    }

    /// The session of a file, and whether the file has not changed since.
    fn session(&self, place: &str, path: &Path) -> Option<(bool, String)> {
        let stamp = Stamp::of(&fs::metadata(path).ok()?);
        let uploads = self.uploads();
        let (known, session) = uploads.get(&upload_key(place, path)?)?;
        Some((*known == stamp, session.clone()))
    }

    /// Remembers, or with `None` forgets, the session in which a file is being sent. Answers whether it is remembered beyond
    /// this process.
    pub fn set_unfinished(&self, place: &str, path: &Path, session: Option<&str>) -> bool {
        let (Some(key), Ok(metadata)) = (upload_key(place, path), fs::metadata(path)) else { return false };
        let mut uploads = self.uploads();
        match session {
            Some(session) => {
                // Older ones are of files nobody came back for.
                while uploads.len() >= MAX_UPLOADS {
                    uploads.pop_first();
                }
                uploads.insert(key, (Stamp::of(&metadata), session.to_owned()));
            }
            None => drop(uploads.remove(&key)),
        }
        // A help, not a duty, as with digests.
        let written = write(self.directory.as_deref(), UPLOADS, &*uploads);
        session.is_some() && self.directory.is_some() && written.is_ok()
    }

    /// Writes the digests.
    pub fn save(&self) -> Result<()> {
        write(self.directory.as_deref(), DIGESTS, &*self.table())
    }
}

fn read<T: Default + DeserializeOwned>(directory: Option<&Path>, name: &str) -> T {
    let bytes = directory.and_then(|directory| fs::read(directory.join(name)).ok());
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Writes a file whole or not at all.
fn write(directory: Option<&Path>, name: &str, value: &impl Serialize) -> Result<()> {
    let Some(directory) = directory else { return Ok(()) };
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    fs::create_dir_all(directory)?;
    let file = directory.join(name);
    let scratch = file.with_extension(format!("{}.tmp", std::process::id()));
    let mut out =
        fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&scratch)?;
    out.write_all(&bytes)?;
    fs::rename(scratch, file)?;
    Ok(())
}

fn upload_key(place: &str, path: &Path) -> Option<String> {
    Some(format!("{place} {}", fs::canonicalize(path).ok()?.display()))
}
