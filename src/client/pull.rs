//! Fetching a version's files: verified, several at a time, resumed from `.part` files. Nothing is written
//! outside the directory, whatever the manifest says, and a name appears only when its bytes are right.

use super::{Call, Client, Progress, Reply, hashing::hash};
use crate::{
    error::{Error, Kind, Result},
    model::{
        artifact::{Artifact, File},
        digest::{Algorithm, Digest},
        manifest::Manifest,
        name::Workload,
        path::{FilePath, refuse_collisions},
        resolution::Resolution,
    },
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{Method, StatusCode, header};
use std::{
    fs::{self, OpenOptions, TryLockError},
    io::Write as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

const AT_A_TIME: usize = 4;
const RESUMES: u32 = 5;
/// Pieces received that wait for the disk.
const BEHIND: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullOutcome {
    Fetched,
    /// The right bytes were there already.
    Kept,
}

pub struct Pulled {
    pub file: File,
    pub outcome: PullOutcome,
}

/// What a version consists of.
pub struct Contents {
    /// The files that its manifest lists, the prompt that goes with the others last.
    pub files: Vec<File>,
    /// That prompt.
    pub prompt: Option<File>,
    /// A prompt that was taken over and is not in the manifest, because another client wrote that.
    pub beside: Option<File>,
}

impl Contents {
    pub fn all(&self) -> Vec<File> {
        self.files.iter().chain(&self.beside).cloned().collect()
    }
}

impl Client {
    /// All files of a version: those of its verified manifest, and the prompt it took over, if it did.
    pub async fn files(&self, version: &Resolution) -> Result<Vec<File>> {
        Ok(self.contents(version).await?.all())
    }

    /// What a version consists of, from its manifest. That is verified; a prompt beside it is what the server says.
    pub async fn contents(&self, version: &Resolution) -> Result<Contents> {
        let (workload, digest) = (&version.workload, &version.digest);
        let bytes = self.manifest(workload, digest).await?;
        if digest.algorithm().digest(&bytes) != *digest {
            return Err(Error::integrity(
                "manifest_rotten",
                format!("the manifest received does not have the digest: {digest}"),
            ));
        }
        let artifact = Artifact::recognise(&Manifest::parse(&bytes, None)?)?.ok_or_else(|| {
            Error::invalid("not_an_artifact", format!("the manifest is no artifact of ours: {digest}"))
        })?;
        let prompt = artifact.prompt;
        let files: Vec<File> = artifact.files.into_iter().chain(prompt.clone()).collect();
        let beside = version.document.invoke.prompt_file.clone();
        let beside = beside.filter(|beside| !files.iter().any(|file| file.digest == beside.digest));
        refuse_collisions(files.iter().chain(&beside).map(|file| &file.path))?;
        Ok(Contents { files, prompt, beside })
    }

    /// Writes the files below a directory. A file that is there with other bytes is refused, or with `force`
    /// replaced.
    pub async fn pull(
        &self,
        workload: &Workload,
        files: Vec<File>,
        out: &Path,
        force: bool,
        progress: Progress,
    ) -> Result<Vec<Pulled>> {
        fs::create_dir_all(out).map_err(|error| at(out, error))?;
        let work = files.into_iter().map(|file| {
            let progress = progress.clone();
            async move {
                let outcome = self.pull_one(workload, &file, out, force, progress).await?;
                Ok(Pulled { file, outcome })
            }
        });
        stream::iter(work).buffered(AT_A_TIME).try_collect().await
    }

    async fn pull_one(
        &self,
        workload: &Workload,
        file: &File,
        out: &Path,
        force: bool,
        progress: Progress,
    ) -> Result<PullOutcome> {
        let target = target(out, &file.path)?;
        if let Ok(metadata) = fs::symlink_metadata(&target) {
            if metadata.is_file()
                && metadata.len() == file.size
                && hash_prefix(&target, file.size, file.digest.algorithm()).await?.digest() == file.digest
            {
                progress(file.size);
                return Ok(PullOutcome::Kept);
            }
            if !force || !metadata.is_file() {
                return Err(Error::conflict(
                    "file_exists",
                    format!("there is another file already: {}", target.display()),
                )
                .hint("choose an empty directory, or replace what is there with --force"));
            }
        }
        let part = part_of(&target, &file.digest);
        let mut tries = 0;
        loop {
            let is_resumed = fs::symlink_metadata(&part).is_ok_and(|metadata| metadata.len() > 0);
            match self.fetch(workload, file, &part, &progress).await {
                // Renamed while its lock is held, so that nobody takes it for a part that may be gone on with.
                Ok(_locked) => {
                    fs::rename(&part, &target).map_err(|error| at(&target, error))?;
                    return Ok(PullOutcome::Fetched);
                }
                // What was there may have been damaged; it is gone now, so the next try starts over.
                Err(error) if error.code == "digest_mismatch" && is_resumed => {}
                Err(error) if error.kind == Kind::Unavailable && tries < RESUMES => {
                    tries += 1;
                    tokio::time::sleep(std::time::Duration::from_millis(500 * u64::from(tries))).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Fetches what is missing of a part file, and verifies the whole. Answers the file, still locked.
    async fn fetch(
        &self,
        workload: &Workload,
        file: &File,
        part: &Path,
        progress: &Progress,
    ) -> Result<fs::File> {
        let algorithm = file.digest.algorithm();
        let (mut sink, have) = PartFile::open(part, file.size, algorithm).await?;
        progress(have);
        if have < file.size
            && let Err(error) = self.receive(workload, file, &mut sink, have, progress).await
        {
            // Its thread lets go of the part only when all it was given is written.
            let _ = sink.finish().await;
            return Err(error);
        }
        let (found, size, locked) = sink.finish().await?;
        if size < file.size {
            return Err(Error::unavailable(
                "answer_cut",
                format!("the answer ended before it was whole: {}", file.path),
            ));
        }
        if found != file.digest {
            fs::remove_file(part)?;
            return Err(Error::integrity(
                "digest_mismatch",
                format!("the bytes received of {} do not have the digest: {}", file.path, file.digest),
            )
            .hint("nothing was kept; if it happens again, an admin sets rotten copies aside with gradus scrub, and pushing the file again heals it"));
        }
        Ok(locked)
    }

    async fn receive(
        &self,
        workload: &Workload,
        file: &File,
        sink: &mut PartFile,
        have: u64,
        progress: &Progress,
    ) -> Result<()> {
        let mut body = self.body(workload, file, sink, have).await?;
        while let Some(bytes) = body.next().await {
            let bytes = bytes?;
            progress(bytes.len() as u64);
            sink.write(bytes).await?;
        }
        Ok(())
    }

    async fn body(
        &self,
        workload: &Workload,
        file: &File,
        sink: &mut PartFile,
        have: u64,
    ) -> Result<stream::BoxStream<'static, Result<bytes::Bytes>>> {
        let reply =
            self.get_blob(workload, &file.digest, have).await.map_err(|error| name_file(error, file))?;
        if have > 0 && reply.status != StatusCode::PARTIAL_CONTENT {
            sink.restart().await?;
        }
        Ok(reply.stream())
    }

    /// Asks for a blob from some byte on, from wherever the registry says it is.
    pub(super) async fn get_blob(&self, workload: &Workload, digest: &Digest, from: u64) -> Result<Reply> {
        let ranged =
            |call: Call| if from > 0 { call.header(header::RANGE, &format!("bytes={from}-")) } else { call };
        let path = format!("/v2/{workload}/blobs/{digest}");
        let reply = self.send(ranged(Call::new(Method::GET, path))).await?;
        if reply.status != StatusCode::TEMPORARY_REDIRECT {
            return Ok(reply);
        }
        let url = reply.header(header::LOCATION).unwrap_or_default().to_owned();
        self.send(ranged(Call::new(Method::GET, url))).await
    }

    /// Reads a blob and verifies it, writing nothing.
    pub async fn verify_blob(&self, workload: &Workload, file: &File, progress: &Progress) -> Result<()> {
        let reply = self.get_blob(workload, &file.digest, 0).await.map_err(|error| name_file(error, file))?;
        let mut hasher = crate::blobs::Hasher::new(file.digest.algorithm());
        let mut body = reply.stream();
        while let Some(bytes) = body.next().await {
            let bytes = bytes?;
            progress(bytes.len() as u64);
            hasher.update(&bytes);
        }
        if hasher.digest() == file.digest {
            return Ok(());
        }
        Err(Error::integrity(
            "digest_mismatch",
            format!("the stored bytes of {} do not have the digest: {}", file.path, file.digest),
        )
        .hint("an admin sets rotten copies aside with gradus scrub; pushing the file again then heals it"))
    }
}

/// An integrity failure of the server names the file, and keeps its kind on the way through HTTP.
fn name_file(error: Error, file: &File) -> Error {
    if matches!(error.code, "blob_rotten" | "object_missing" | "object_truncated") {
        return Error::integrity(
            error.code,
            format!("the registry's copy of {} is not what its digest says: {}", file.path, file.digest),
        )
        .hint("push the file again: that heals it");
    }
    error
}

/// A failure with the place it happened at.
fn at(path: &Path, source: std::io::Error) -> Error {
    let mut error = Error::from(source);
    error.message = format!("{}: {}", error.message, path.display());
    error.hint("choose another directory with --out, or mend this one")
}

/// Where a file of the manifest goes. No component on the way may be a symlink.
fn target(out: &Path, path: &FilePath) -> Result<PathBuf> {
    let mut target = out.to_owned();
    let mut components = path.as_str().split('/').peekable();
    while let Some(component) = components.next() {
        target.push(component);
        let is_folder = components.peek().is_some();
        match fs::symlink_metadata(&target) {
            Ok(metadata) if metadata.is_symlink() => {
                return Err(Error::invalid(
                    "symlink_refused",
                    format!("there is a symbolic link in the way: {}", target.display()),
                )
                .hint("choose a directory without links"));
            }
            Ok(metadata) if is_folder && !metadata.is_dir() => {
                return Err(Error::conflict(
                    "file_exists",
                    format!("a file is where a folder is needed: {}", target.display()),
                ));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && is_folder => {
                fs::create_dir(&target).map_err(|error| at(&target, error))?
            }
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(at(&target, error)),
            _ => {}
        }
    }
    Ok(target)
}

/// Where a file grows: a name of its own for each content and each target, so that nothing else is ever continued,
/// short enough whatever the target is called, and like no file of an artifact.
fn part_of(target: &Path, digest: &Digest) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let own = Algorithm::Sha256.digest(format!("{digest} {name}").as_bytes());
    target.with_file_name(format!(".gradus-{}.part", &own.hex()[..16]))
}

async fn hash_prefix(path: &Path, length: u64, algorithm: Algorithm) -> Result<crate::blobs::Hasher> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || hash(&path, length, algorithm))
        .await
        .map_err(|error| Error::internal("reading_stopped", "reading a file has stopped").source(error))?
}

enum Command {
    Write(bytes::Bytes),
    Restart,
}

/// A file being received: hashed and written by a thread of its own, beside the network.
struct PartFile {
    commands: tokio::sync::mpsc::Sender<Command>,
    task: tokio::task::JoinHandle<Result<(Digest, u64, fs::File)>>,
}

impl PartFile {
    /// Opens the part for this process alone and tells how much of it can be kept. Only SHA-256 is resumed; the rare
    /// other starts over.
    async fn open(path: &Path, size: u64, algorithm: Algorithm) -> Result<(Self, u64)> {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o644)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .map_err(|error| at(path, error))?;
        // Between opening and locking another pull may have finished it, and what is open is then its file.
        let is_still_here = |file: &fs::File| {
            let (ours, there) = (file.metadata().ok()?, fs::symlink_metadata(path).ok()?);
            Some((ours.dev(), ours.ino()) == (there.dev(), there.ino()))
        };
        match file.try_lock() {
            Ok(()) if is_still_here(&file) == Some(true) => {}
            Ok(()) | Err(TryLockError::WouldBlock) => {
                return Err(Error::conflict(
                    "pull_busy",
                    format!("another pull is writing to this directory: {}", path.display()),
                )
                .hint("wait until it is done, then run the same command again"));
            }
            Err(TryLockError::Error(error)) => return Err(at(path, error)),
        }
        let mut have = file.metadata()?.len();
        if have > size || algorithm != Algorithm::Sha256 {
            file.set_len(0)?;
            have = 0;
        }
        let mut hasher = if have > 0 {
            hash_prefix(path, have, algorithm).await?
        } else {
            crate::blobs::Hasher::new(algorithm)
        };
        let (commands, mut received) = tokio::sync::mpsc::channel(BEHIND);
        let task = tokio::task::spawn_blocking(move || {
            let mut size = have;
            while let Some(command) = received.blocking_recv() {
                match command {
                    Command::Write(bytes) => {
                        file.write_all(&bytes)?;
                        hasher.update(&bytes);
                        size += bytes.len() as u64;
                    }
                    Command::Restart => {
                        file.set_len(0)?;
                        hasher = crate::blobs::Hasher::new(algorithm);
                        size = 0;
                    }
                }
            }
            Ok((hasher.digest(), size, file))
        });
        Ok((Self { commands, task }, have))
    }

    /// A failure to write shows when the file is finished.
    async fn command(&self, command: Command) -> Result<()> {
        self.commands
            .send(command)
            .await
            .map_err(|_| Error::unavailable("disk_full", "the file cannot be written any more"))
    }

    async fn write(&self, bytes: bytes::Bytes) -> Result<()> {
        self.command(Command::Write(bytes)).await
    }

    async fn restart(&mut self) -> Result<()> {
        self.command(Command::Restart).await
    }

    async fn finish(self) -> Result<(Digest, u64, fs::File)> {
        drop(self.commands);
        self.task
            .await
            .map_err(|error| Error::internal("writing_stopped", "writing a file has stopped").source(error))?
    }
}
