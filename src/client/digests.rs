//! What is remembered of files between two pushes, by their path, size, inode and times: digests, so that an unchanged
//! file is not read again, and unfinished uploads, so that they are taken up again. Commands that run at once share it.

use crate::{error::Result, model::digest::Digest};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

const DIGESTS: &str = "digests.json";
const UPLOADS: &str = "uploads.json";
/// Most files, and most unfinished uploads, remembered.
const MAX: usize = 50_000;
const MAX_UPLOADS: usize = 1000;
/// A file changed within this time before it was hashed may change again without its time moving on.
const SETTLED: Duration = Duration::from_secs(2);
/// How long to wait for others to write. Who takes longer was stopped at it.
const LONGEST: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(10);

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
    /// What was there at the start.
    known: Table,
    /// What this process adds to it.
    added: Mutex<Table>,
    /// What was there at the start, with the changes of this process.
    uploads: Mutex<Unfinished>,
}

impl Digests {
    /// Reads what was remembered. A file that cannot be read is as good as none.
    pub fn open(directory: Option<PathBuf>) -> Self {
        let known = read(directory.as_deref(), DIGESTS).unwrap_or_default();
        let uploads = read(directory.as_deref(), UPLOADS).unwrap_or_default();
        Self { directory, known, added: Mutex::default(), uploads: Mutex::new(uploads) }
    }

    fn added(&self) -> MutexGuard<'_, Table> {
        self.added.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn uploads(&self) -> MutexGuard<'_, Unfinished> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The digest of a file that has not changed since it was remembered.
    pub fn get(&self, path: &Path) -> Option<Digest> {
        let path = fs::canonicalize(path).ok()?;
        let stamp = Stamp::of(&fs::metadata(&path).ok()?);
        let added = self.added();
        let entry = added.get(&path).or_else(|| self.known.get(&path));
        entry.filter(|(known, _)| *known == stamp).map(|(_, digest)| digest.clone())
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
        self.added().insert(path, (Stamp::of(&after), digest.clone()));
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
        let ours = uploads.get(&key).map(|(_, session)| session.clone());
        let change = |all: &mut Unfinished| match session {
            Some(session) => {
                // Older ones are of files nobody came back for.
                while all.len() >= MAX_UPLOADS && !all.contains_key(&key) {
                    all.pop_first();
                }
                all.insert(key.clone(), (Stamp::of(&metadata), session.to_owned()));
            }
            None => {
                // Another command may have begun one of its own for the file.
                if all.get(&key).map(|(_, session)| session) == ours.as_ref() {
                    all.remove(&key);
                }
            }
        };
        change(&mut uploads);
        // A help, not a duty, as with digests.
        let written = update(self.directory.as_deref(), UPLOADS, &*uploads, change);
        session.is_some() && self.directory.is_some() && written.is_ok()
    }

    /// Writes the digests.
    pub fn save(&self) -> Result<()> {
        let added = self.added();
        update(self.directory.as_deref(), DIGESTS, &self.known, |all: &mut Table| {
            for (path, entry) in added.iter() {
                if all.len() < MAX || all.contains_key(path) {
                    all.insert(path.clone(), entry.clone());
                }
            }
        })
    }
}

fn read<T: DeserializeOwned>(directory: Option<&Path>, name: &str) -> Option<T> {
    let bytes = fs::read(directory?.join(name)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Makes a change to what is in a file by now, since others write there too; if nothing can be read there, to what this
/// process knows of. The file is written whole or not at all.
fn update<T: Clone + Serialize + DeserializeOwned>(
    directory: Option<&Path>,
    name: &str,
    known: &T,
    change: impl FnOnce(&mut T),
) -> Result<()> {
    let Some(directory) = directory else { return Ok(()) };
    fs::create_dir_all(directory)?;
    let file = directory.join(name);
    // Without it, what another writes right now may be lost: better than losing this for certain.
    let _lock = lock(&file.with_extension("lock"));
    let mut all = read(Some(directory), name).unwrap_or_else(|| known.clone());
    change(&mut all);
    let bytes = serde_json::to_vec(&all).map_err(io::Error::from)?;
    let scratch = file.with_extension(format!("{}.tmp", std::process::id()));
    let mut out = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&scratch)?;
    out.write_all(&bytes)?;
    fs::rename(scratch, file)?;
    Ok(())
}

/// A lock for as long as the answer is kept. It has a file of its own, since the other is replaced at each change.
fn lock(path: &Path) -> Option<File> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).ok()?;
    let start = Instant::now();
    while let Err(error) = file.try_lock() {
        if !matches!(error, TryLockError::WouldBlock) || start.elapsed() > LONGEST {
            return None;
        }
        thread::sleep(AGAIN);
    }
    Some(file)
}

fn upload_key(place: &str, path: &Path) -> Option<String> {
    Some(format!("{place} {}", fs::canonicalize(path).ok()?.display()))
}
