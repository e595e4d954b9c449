//! Taking a backup into a folder: the facts of one moment, then the blobs that the folder lacks. The facts get their name
//! last, so that a folder never shows a backup that is not whole.

mod facts;
mod folder;

use super::{Call, Client, Progress, api::get};
use crate::{
    blobs::Hasher,
    error::{Error, Kind, Result},
    model::{
        backup::{blob_path, facts_name},
        digest::Digest,
    },
    wire,
};
use facts::{Facts, Wanted};
use folder::{Folder, at, is_there, private_dir, private_file};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::Method;
use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

/// How a backup is taken.
#[derive(Clone, Copy, Default)]
pub struct Taking {
    /// Read again what the folder has, and fetch anew what is not what its digest says.
    pub verify: bool,
    /// Delete blobs that no facts in the folder name any more.
    pub prune: bool,
}

/// Blobs fetched at a time, and tries of each.
const AT_A_TIME: usize = 4;
const TRIES: u32 = 4;
/// The registry holds garbage collection for a quarter of an hour at a time.
const RENEW: Duration = Duration::from_secs(240);

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
    /// Blobs that the registry has set aside as rotten, and the folder has no copy of.
    pub left_out: Vec<Digest>,
    /// Blobs that were deleted from the folder, with their bytes.
    pub pruned: u64,
    pub pruned_bytes: u64,
}

impl Client {
    /// Backs the registry up. `begun` is told how many bytes of blobs there are; `stopped` ends when somebody wants no more.
    pub async fn take_backup(
        &self,
        folder: &Path,
        taking: Taking,
        stopped: impl Future<Output = ()>,
        begun: impl FnOnce(u64) -> Progress,
    ) -> Result<Backup> {
        let folder = Folder::open(folder)?;
        let held: wire::BackupView = self.json(Call::new(Method::POST, "/v1/backups")).await?;
        let path = format!("/v1/backups/{}", held.id);
        let outcome = tokio::select! {
            outcome = self.fill(&path, &folder, taking, begun) => outcome,
            error = self.keep_held(&path) => Err(error),
            () = stopped => Err(Error::unavailable("backup_stopped", "the backup was stopped")
                .hint("run the same command again: what is in the folder is not fetched again")),
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
        taking: Taking,
        begun: impl FnOnce(u64) -> Progress,
    ) -> Result<Backup> {
        let part = folder.root.join("facts.part");
        let Facts { head, count: facts, wanted, rotten, .. } = self.fetch_facts(path, &part).await?;
        let head = head.ok_or_else(cut)?;
        let lacks =
            |digest: &Digest| !wanted.contains_key(digest) && !folder.root.join(blob_path(digest)).exists();
        let left_out = rotten.into_iter().filter(lacks).collect();
        let bytes = wanted.values().map(|wanted| wanted.size).sum();
        let progress = begun(bytes);
        let mut backup = Backup {
            facts_file: folder.root.join(facts_name(head.taken_at)),
            facts,
            blobs: wanted.len() as u64,
            bytes,
            fetched: 0,
            fetched_bytes: 0,
            left_out,
            pruned: 0,
            pruned_bytes: 0,
        };
        let work = wanted.iter().map(|(digest, wanted)| {
            let progress = progress.clone();
            async move {
                let is_new = self.fetch_blob(path, folder, digest, wanted, taking.verify).await?;
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
        if taking.prune {
            (backup.pruned, backup.pruned_bytes) = folder.prune()?;
        }
        Ok(backup)
    }

    /// Writes the facts to a file, and answers what they say of themselves and of blobs.
    async fn fetch_facts(&self, path: &str, part: &Path) -> Result<Facts> {
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
        if read.is_whole { Ok(read) } else { Err(cut()) }
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
        let message = format!("a blob cannot be backed up, {digest}: {}", error.message);
        Err(match error.code {
            "digest_mismatch" | "blob_rotten" | "object_missing" | "object_truncated" => {
                Error::integrity(error.code, message)
                    .hint("gradus scrub sets it aside and says who needs it; then the same backup goes on without it, and names it")
            }
            _ => Error { message, ..error },
        })
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

fn cut() -> Error {
    Error::unavailable("answer_cut", "the facts ended before they were whole")
        .hint("run the same command again: what is in the folder is not fetched again")
}
