//! A backup's folder, read: its facts as lines, checked before any of them is believed.

use crate::{
    blobs::Hasher,
    db::{SCHEMA, facts::Row},
    error::{Error, Result},
    model::{
        backup::{FORMAT, Fact, Head, LINE_MAX, Line, blob_path, signed_text},
        digest::{Algorithm, Digest},
        note::Signer,
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};
use tokio::sync::mpsc;

/// The table with the one row that a database has only with a registry.
pub(super) const HEAD: &str = "log_head";
/// Facts that are written at once have about so many bytes.
const BATCH: usize = 8 * 1024 * 1024;

/// A blob of the backup, in one of the original's stores.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlobAt {
    pub store: String,
    pub digest: Digest,
    pub size: u64,
    /// The original had set it aside as rotten, so this backup brought no bytes of it.
    pub was_rotten: bool,
}

/// A backup that is whole and the registry's own.
pub struct Source {
    folder: PathBuf,
    file: PathBuf,
    pub head: Head,
    pub facts: u64,
    pub digest: Digest,
    pub blobs: Vec<BlobAt>,
    /// Names of stores that namespaces and blobs are in.
    pub stores: BTreeSet<String>,
    /// Hooks that were not taken away.
    pub hooks: u64,
    /// The row that makes a registry of a database.
    pub log_head: Row,
}

fn invalid(file: &Path, why: impl std::fmt::Display) -> Error {
    Error::integrity(
        "backup_invalid",
        format!("the facts of the backup cannot be used: {}: {why}", file.display()),
    )
    .hint("restore others of this folder with --facts FILE, or another backup")
}

impl Source {
    /// Reads the facts: the newest of the folder, unless a file of it is named. `key_id` and `signer` are of the secret that
    /// the original was started with.
    pub fn read(folder: &Path, named: Option<&Path>, key_id: &str, signer: &Signer) -> Result<Self> {
        let file = match named {
            Some(file) if file.exists() => file.to_owned(),
            Some(file) => folder.join(file),
            None => newest(folder)?,
        };
        let mut lines = Lines::open(&file)?;
        let head = match lines.next()? {
            Some(Line::Backup(head)) => head,
            _ => return Err(invalid(&file, "it does not begin as a backup does")),
        };
        if head.format != FORMAT || head.schema > SCHEMA || head.schema < 1 {
            return Err(Error::invalid(
                "backup_newer",
                format!("the backup was made by another gradus, {}: {}", head.gradus, file.display()),
            )
            .hint("restore it with that version, or a later one"));
        }
        if head.key_id != key_id {
            return Err(Error::invalid("secret_mismatch", "the backup is of a registry with another secret")
                .hint("give the secret of the original: GRADUS_SECRET, [keys] file in the configuration, or the file `secret` in the data directory"));
        }
        let (mut blobs, mut stores, mut hooks, mut log_head) = (BTreeSet::new(), BTreeSet::new(), 0, None);
        let end = loop {
            match lines.next()? {
                Some(Line::Fact(fact)) => {
                    look(&fact, &mut blobs, &mut stores).map_err(|why| invalid(&file, why))?;
                    let is_there = |row: &Row| row.get("removed_at").is_some_and(Value::is_null);
                    hooks += u64::from(fact.table == "hooks" && is_there(&fact.row));
                    if fact.table == HEAD {
                        log_head = Some(fact.row);
                    }
                }
                Some(Line::End(end)) => break end,
                Some(Line::Backup(_)) => return Err(invalid(&file, "it begins twice")),
                None => return Err(invalid(&file, "it was cut short")),
            }
        };
        if lines.facts != end.facts || lines.digest() != end.digest {
            return Err(invalid(&file, "they are not what they were when the backup was made"));
        }
        let signature = BASE64.decode(&end.signature).unwrap_or_default();
        if !signer.signed_text(&signed_text(&end.digest), &signature) {
            return Err(invalid(&file, "they are not signed by the registry's key"));
        }
        if lines.next()?.is_some() {
            return Err(invalid(&file, "something follows its end"));
        }
        let log_head = log_head.ok_or_else(|| invalid(&file, "it has no log"))?;
        let (folder, blobs) = (folder.to_owned(), blobs.into_iter().collect());
        Ok(Self { folder, file, head, facts: end.facts, digest: end.digest, blobs, stores, hooks, log_head })
    }

    /// Where the bytes of a digest are. Links are not followed.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.folder.join(blob_path(digest))
    }

    /// Digests whose bytes are not there, or not as many as there were.
    pub fn absent(&self) -> BTreeSet<Digest> {
        let mut known = BTreeMap::new();
        for blob in &self.blobs {
            known.entry(&blob.digest).or_insert(blob.size);
        }
        let is_missing = |(digest, size): &(&Digest, u64)| {
            let found = fs::symlink_metadata(self.blob(digest));
            !found.is_ok_and(|found| found.is_file() && found.len() == *size)
        };
        known.into_iter().filter(is_missing).map(|(digest, _)| digest.clone()).collect()
    }

    /// Digests that the original had nowhere but set aside as rotten. A folder may have them from before.
    pub fn rotten(&self) -> BTreeSet<Digest> {
        let whole: BTreeSet<&Digest> =
            self.blobs.iter().filter(|blob| !blob.was_rotten).map(|blob| &blob.digest).collect();
        self.blobs.iter().map(|blob| &blob.digest).filter(|digest| !whole.contains(digest)).cloned().collect()
    }

    /// Sends all rows, some of one table at a time, and answers the digest of what was read.
    pub fn send(
        &self,
        most: impl Fn(&str) -> usize,
        rows: &mpsc::Sender<(String, Vec<Row>)>,
    ) -> Result<Digest> {
        let mut lines = Lines::open(&self.file)?;
        let (mut table, mut batch, mut began) = (String::new(), Vec::new(), 0);
        let gone = || Error::internal("restore_stopped", "writing the facts has stopped");
        while let Some(line) = lines.next()? {
            let Line::Fact(fact) = line else { continue };
            let is_full = batch.len() >= most(&table) || lines.bytes - began > BATCH as u64;
            if (fact.table != table || is_full) && !batch.is_empty() {
                let rows_of_table = (table.clone(), std::mem::take(&mut batch));
                rows.blocking_send(rows_of_table).map_err(|_| gone())?;
                began = lines.bytes;
            }
            table = fact.table;
            batch.push(fact.row);
        }
        if !batch.is_empty() {
            rows.blocking_send((table, batch)).map_err(|_| gone())?;
        }
        Ok(lines.digest())
    }
}

/// Whether a name is one that a backup gives: what somebody called otherwise has no place in the order.
fn is_facts(name: &str) -> bool {
    let time = name.strip_prefix("facts-").and_then(|name| name.strip_suffix(".jsonl"));
    time.is_some_and(|time| time.bytes().all(|byte| byte.is_ascii_digit() || b"TZ.".contains(&byte)))
}

/// The facts whose name sorts last.
fn newest(folder: &Path) -> Result<PathBuf> {
    let none = |why: String| {
        Error::not_found("backup_unknown", format!("{why}: {}", folder.display()))
            .hint("name the folder that `gradus backup --out` wrote")
    };
    let entries =
        fs::read_dir(folder).map_err(|error| none("the folder cannot be read".into()).source(error))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let facts: Vec<String> = names.filter(|name| is_facts(name)).collect();
    match facts.iter().max() {
        Some(newest) => Ok(folder.join(newest)),
        None if folder.join("facts.part").exists() => {
            Err(none("the backup was cut short, and there is no earlier one".into())
                .hint("run the same `gradus backup` again: what is in the folder is not fetched again"))
        }
        None => Err(none("there is no backup in the folder".into())),
    }
}

/// Notes what has to be known before anything is written.
fn look(fact: &Fact, blobs: &mut BTreeSet<BlobAt>, stores: &mut BTreeSet<String>) -> Result<(), String> {
    let text = |name: &str| fact.row.get(name).and_then(Value::as_str);
    match fact.table.as_str() {
        "blobs" => {
            let size = fact.row.get("size").and_then(Value::as_u64);
            let digest = text("digest").and_then(|digest| digest.parse().ok());
            let (Some(store), Some(digest), Some(size)) = (text("store"), digest, size) else {
                return Err("a blob cannot be read".into());
            };
            stores.insert(store.to_owned());
            let was_rotten = text("quarantined_at").is_some();
            blobs.insert(BlobAt { store: store.to_owned(), digest, size, was_rotten });
        }
        "namespaces" => {
            stores.extend(text("store").map(str::to_owned));
        }
        _ => {}
    }
    Ok(())
}

/// Lines of a file of facts, hashed up to the last.
struct Lines {
    path: PathBuf,
    file: BufReader<File>,
    hasher: Hasher,
    facts: u64,
    bytes: u64,
    line: Vec<u8>,
}

impl Lines {
    fn open(path: &Path) -> Result<Self> {
        let is_file = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
        let file = is_file.then(|| File::open(path)).transpose()?;
        let file = file.ok_or_else(|| {
            Error::not_found("backup_unknown", format!("there are no facts: {}", path.display()))
                .hint("name a file facts-….jsonl of the folder")
        })?;
        let hasher = Hasher::new(Algorithm::Sha256);
        let file = BufReader::with_capacity(1 << 18, file);
        Ok(Self { path: path.to_owned(), file, hasher, facts: 0, bytes: 0, line: Vec::new() })
    }

    fn digest(&self) -> Digest {
        self.hasher.digest()
    }

    fn next(&mut self) -> Result<Option<Line>> {
        self.line.clear();
        let count = self.file.by_ref().take(LINE_MAX as u64).read_until(b'\n', &mut self.line)?;
        if count == 0 {
            return Ok(None);
        }
        let cut = || invalid(&self.path, format!("line {} was cut short, or is damaged", self.facts + 2));
        if self.line.last() != Some(&b'\n') {
            return Err(cut());
        }
        let line: Line = serde_json::from_slice(&self.line).map_err(|error| cut().source(error))?;
        if !matches!(line, Line::End(_)) {
            self.hasher.update(&self.line);
        }
        self.facts += u64::from(matches!(line, Line::Fact(_)));
        self.bytes += count as u64;
        Ok(Some(line))
    }
}
