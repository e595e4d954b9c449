//! Taking a backup into a folder: the facts of one moment, then the blobs that the folder lacks. The facts get their name
//! last, so that a folder never shows a backup that is not whole.

use super::{Call, Client, Progress, api::get, hashing::hash};
use crate::{
    blobs::Hasher,
    error::{Error, Kind, Result},
    model::{
        backup::{Head, LINE_MAX, Line, blob_path, facts_name},
        digest::{Algorithm, Digest},
    },
    wire,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::Method;
use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

/// Blobs fetched at a time, and tries of each.
const AT_A_TIME: usize = 4;
const TRIES: u32 = 4;
/// The registry holds garbage collection for a quarter of an hour at a time.
const RENEW: Duration = Duration::from_secs(240);

/// A blob as the facts name it: how large, and the stores that have it.
struct Wanted {
    size: u64,
    stores: Vec<String>,
}

#[derive(Debug, serde::Serialize)]
pub struct Backup {
    /// The file of the facts.
    pub facts_file: PathBuf,
    pub facts: u64,
    pub blobs: u64,
    pub bytes: u64,
    /// Of the blobs, how many were fetched now.
    pub fetched: u64,
    pub fetched_bytes: u64,
}

impl Client {
    /// Backs the registry up. With `verify`, blobs that the folder has already are read again, and fetched anew where they
    /// are not what their digests say. `begun` is told how many bytes of blobs there are.
    pub async fn take_backup(
        &self,
        folder: &Path,
        verify: bool,
        begun: impl FnOnce(u64) -> Progress,
    ) -> Result<Backup> {
        let folder = Folder::open(folder)?;
        let held: wire::BackupView = self.json(Call::new(Method::POST, "/v1/backups")).await?;
        let path = format!("/v1/backups/{}", held.id);
        let outcome = tokio::select! {
            outcome = self.fill(&path, &folder, verify, begun) => outcome,
            error = self.keep_held(&path) => Err(error),
        };
        let ended = self.send(Call::new(Method::DELETE, &path)).await;
        let backup = outcome?;
        // Whole all the same: it is let go by itself a little later.
        if let Err(error) = ended {
            tracing::warn!(%error, "the registry was not told that the backup is done");
        }
        Ok(backup)
    }

    /// Ends only when the backup is held no more.
    async fn keep_held(&self, path: &str) -> Error {
        loop {
            tokio::time::sleep(RENEW).await;
            let renewed = self.send(Call::new(Method::POST, format!("{path}/renew"))).await;
            match renewed {
                Err(error) if error.kind != Kind::Unavailable => return error,
                Ok(_) | Err(_) => {}
            }
        }
    }

    async fn fill(
        &self,
        path: &str,
        folder: &Folder,
        verify: bool,
        begun: impl FnOnce(u64) -> Progress,
    ) -> Result<Backup> {
        let part = folder.root.join("facts.part");
        let (head, facts, wanted) = self.fetch_facts(path, &part).await?;
        let bytes = wanted.values().map(|wanted| wanted.size).sum();
        let progress = begun(bytes);
        let mut backup = Backup {
            facts_file: folder.root.join(facts_name(head.taken_at)),
            facts,
            blobs: wanted.len() as u64,
            bytes,
            fetched: 0,
            fetched_bytes: 0,
        };
        let work = wanted.iter().map(|(digest, wanted)| {
            let progress = progress.clone();
            async move {
                let is_new = self.fetch_blob(path, folder, digest, wanted, verify).await?;
                progress(wanted.size);
                Ok::<_, Error>((is_new, wanted.size))
            }
        });
        let mut done = stream::iter(work).buffer_unordered(AT_A_TIME);
        while let Some((is_new, size)) = done.try_next().await? {
            backup.fetched += u64::from(is_new);
            backup.fetched_bytes += if is_new { size } else { 0 };
        }
        drop(done);
        fs::rename(&part, &backup.facts_file).map_err(|error| at(&backup.facts_file, error))?;
        File::open(&folder.root)?.sync_all()?;
        Ok(backup)
    }

    /// Writes the facts to a file, and answers what they begin with, how many they are, and the blobs they name.
    async fn fetch_facts(&self, path: &str, part: &Path) -> Result<(Head, u64, BTreeMap<Digest, Wanted>)> {
        let mut body = self.send(get(format!("{path}/facts"))).await?.stream();
        let mut file = BufWriter::new(private_file(part)?);
        let mut read = Facts::default();
        while let Some(piece) = body.next().await {
            let piece = piece?;
            file.write_all(&piece).map_err(|error| at(part, error))?;
            read.take(&piece)?;
        }
        let file = file.into_inner().map_err(|error| at(part, error.into_error()))?;
        file.sync_all().map_err(|error| at(part, error))?;
        match (read.head, read.is_whole) {
            (Some(head), true) => Ok((head, read.count, read.wanted)),
            _ => Err(Error::unavailable("answer_cut", "the facts ended before they were whole")
                .hint("run the same command again: what is in the folder is not fetched again")),
        }
    }

    /// Fetches a blob, unless the folder has it. Answers whether it did.
    async fn fetch_blob(
        &self,
        path: &str,
        folder: &Folder,
        digest: &Digest,
        wanted: &Wanted,
        verify: bool,
    ) -> Result<bool> {
        let target = folder.root.join(blob_path(digest));
        if is_there(&target, digest, wanted.size, verify).await? {
            return Ok(false);
        }
        let mut failed = None;
        for attempt in 0..TRIES {
            // Each store that has it, in turn.
            for store in &wanted.stores {
                let blob = format!("{path}/blobs/{store}/{digest}");
                match self.fetch_into(&blob, &target, digest).await {
                    Ok(()) => return Ok(true),
                    Err(error) if error.code == "backup_lapsed" => return Err(error),
                    Err(error) => failed = Some(error),
                }
            }
            if failed.as_ref().is_none_or(|error| error.kind != Kind::Unavailable) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500) * 2u32.pow(attempt)).await;
        }
        let error = failed.unwrap_or_else(|| Error::internal("backup_invalid", "a blob is in no store"));
        let kind = if error.kind == Kind::Unavailable { Kind::Unavailable } else { Kind::Integrity };
        Err(Error::new(kind, error.code, format!("a blob cannot be backed up, {digest}: {}", error.message))
            .hint("gradus scrub names what is rotten and who needs it; pushing it again heals it. Nothing else of the backup is lost: run it again"))
    }

    async fn fetch_into(&self, blob: &str, target: &Path, digest: &Digest) -> Result<()> {
        let mut body = self.send(get(blob)).await?.stream();
        let parent = target.parent().unwrap_or(target);
        private_dir(parent).map_err(|error| at(parent, error))?;
        let part = target.with_extension("part");
        let mut file = private_file(&part)?;
        let mut hasher = Hasher::new(digest.algorithm());
        while let Some(piece) = body.next().await {
            let piece = piece?;
            hasher.update(&piece);
            let mut handle = file;
            // One thread of the pool at a time; the network fills the next piece meanwhile.
            file = tokio::task::spawn_blocking(move || handle.write_all(&piece).map(|()| handle))
                .await
                .map_err(|error| {
                    Error::internal("writing_stopped", "writing a file has stopped").source(error)
                })?
                .map_err(|error| at(&part, error))?;
        }
        if hasher.digest() != *digest {
            fs::remove_file(&part)?;
            return Err(Error::integrity("digest_mismatch", "the bytes received do not have the digest"));
        }
        file.sync_all().map_err(|error| at(&part, error))?;
        fs::rename(&part, target).map_err(|error| at(target, error))?;
        Ok(File::open(parent)?.sync_all()?)
    }
}

/// Reads lines as they come.
#[derive(Default)]
struct Facts {
    rest: Vec<u8>,
    head: Option<Head>,
    count: u64,
    wanted: BTreeMap<Digest, Wanted>,
    hasher: Option<Hasher>,
    is_whole: bool,
}

impl Facts {
    fn take(&mut self, mut piece: &[u8]) -> Result<()> {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            let (line, more) = piece.split_at(end + 1);
            piece = more;
            if self.rest.is_empty() {
                self.line(line)?;
            } else {
                self.rest.extend_from_slice(line);
                let whole = std::mem::take(&mut self.rest);
                self.line(&whole)?;
            }
        }
        self.rest.extend_from_slice(piece);
        if self.rest.len() > LINE_MAX { Err(unknown_line()) } else { Ok(()) }
    }

    fn line(&mut self, bytes: &[u8]) -> Result<()> {
        let line: Line = serde_json::from_slice(bytes).map_err(|error| unknown_line().source(error))?;
        if let Line::End(end) = &line {
            let digest = self.hasher.as_ref().map(Hasher::digest);
            self.is_whole = digest.as_ref() == Some(&end.digest) && end.facts == self.count;
            return Ok(());
        }
        self.hasher.get_or_insert_with(|| Hasher::new(Algorithm::Sha256)).update(bytes);
        match line {
            Line::Backup(head) => self.head = Some(head),
            Line::Fact(fact) => {
                self.count += 1;
                let is_rotten = |name| fact.row.get(name).is_some_and(|at: &serde_json::Value| !at.is_null());
                if fact.table == "blobs" && !is_rotten("quarantined_at") {
                    let text = |name: &str| fact.row.get(name).and_then(serde_json::Value::as_str);
                    let size = fact.row.get("size").and_then(serde_json::Value::as_u64);
                    let (Some(store), Some(digest), Some(size)) = (text("store"), text("digest"), size)
                    else {
                        return Err(unknown_line());
                    };
                    let wanted = self.wanted.entry(digest.parse()?);
                    let wanted = wanted.or_insert_with(|| Wanted { size, stores: Vec::new() });
                    wanted.stores.push(store.to_owned());
                }
            }
            Line::End(_) => {}
        }
        Ok(())
    }
}

fn unknown_line() -> Error {
    Error::unavailable("answer_invalid", "the server's facts are not what this client knows")
        .hint("are the server and this client of the same version?")
}

/// Whether the folder has the blob. Its length tells a file that was cut; with `verify`, its digest tells rot.
async fn is_there(target: &Path, digest: &Digest, size: u64, verify: bool) -> Result<bool> {
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
            let work = tokio::task::spawn_blocking(move || digest_of(&path, algorithm));
            let found = work.await.map_err(|error| {
                Error::internal("reading_stopped", "reading a file has stopped").source(error)
            })??;
            Ok(found == *digest)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(at(target, error)),
    }
}

fn digest_of(path: &Path, algorithm: Algorithm) -> Result<Digest> {
    if algorithm == Algorithm::Sha256 {
        return Ok(hash(path, u64::MAX)?.digest());
    }
    let (mut file, mut hasher) = (File::open(path)?, Hasher::new(algorithm));
    let mut buffer = vec![0; 1 << 16];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hasher.digest()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// The folder of backups, for one of them at a time.
struct Folder {
    root: PathBuf,
    _lock: File,
}

impl Folder {
    fn open(root: &Path) -> Result<Self> {
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
}

fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// A new, empty file for its owner only. What was there before is taken away, never written through.
fn private_file(path: &Path) -> Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(path, error)),
        _ => {}
    }
    let made = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
    made.map_err(|error| at(path, error))
}

/// A failure with the place it happened at.
fn at(path: &Path, source: io::Error) -> Error {
    let mut error = Error::from(source);
    error.message = format!("{}: {}", error.message, path.display());
    error.hint("choose another folder with --out, or mend this one")
}
