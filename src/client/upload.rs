//! Sending files to a repository: what is there is not sent, what is cut is taken up again.

use super::{
    Call, Client, Digests, Progress, hash_file,
    hashing::stream_file,
    sessions::{Open, Sending},
};
use crate::{
    error::{Error, Kind, Result},
    model::{artifact::File, digest::Digest, name::Workload, path::FilePath},
    wire,
};
use axum::body::Body;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use http::{Method, header};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::Metadata,
    path::{Path, PathBuf},
    time::Duration,
};

/// Files up to this size go in one request.
pub(super) const SMALL: u64 = 1024 * 1024;
/// Files sent at a time.
pub(super) const AT_A_TIME: usize = 4;
/// Times a cut upload is taken up again.
const RESUMES: u32 = 5;
/// Times, and seconds between them, that a writer's turn is waited for: one that was killed keeps it for 90 seconds.
const TURNS: u32 = 50;
const TURN: Duration = Duration::from_secs(2);

/// A file to send.
#[derive(Clone, Debug)]
pub struct Upload {
    pub path: FilePath,
    pub source: PathBuf,
    pub size: u64,
}

/// A file, how it was before it was read, and its digest if that is known.
type Hashed = (Upload, Metadata, Option<Digest>);

/// A large file on its way.
struct Large<'a> {
    source: &'a Path,
    size: u64,
    /// Its digest, if it was hashed before.
    known: Option<Digest>,
}

/// What became of a file.
pub struct Sent {
    pub file: File,
    /// False: the registry had it.
    pub sent: bool,
}

impl Client {
    /// Makes all files present in a repository, several at a time.
    pub async fn upload(
        &self,
        workload: &Workload,
        files: Vec<Upload>,
        digests: &Digests,
        progress: Progress,
    ) -> Result<Vec<Sent>> {
        // Files of one size may be one file, so this asks for what is needed at least.
        let sizes: BTreeSet<u64> = files.iter().map(|file| file.size).collect();
        let sizes = sizes.into_iter().collect();
        let known = self.present(workload, wire::Present { sizes, ..Default::default() }).await?.sizes;
        let hashing = files.into_iter().map(|file| {
            // Small files are hashed at once; of large ones only those that may be there already.
            let hash_first = known.contains(&file.size) || file.size <= SMALL;
            async move {
                let metadata = std::fs::metadata(&file.source)?;
                let digest = match digests.get(&file.source) {
                    None if hash_first => Some(hash_file(&file.source).await?),
                    remembered => remembered,
                };
                Ok::<_, Error>((file, metadata, digest))
            }
        });
        let mut hashed: Vec<_> = stream::iter(hashing).buffered(AT_A_TIME).try_collect().await?;
        // Now that more is known of them than their sizes, all that must be sent has to have room before any is.
        match self.ask_room(workload, room_for(&hashed)).await {
            Err(refused) if refused.code == "quota_exceeded" => {
                // Only now is it worth reading large files of one size twice.
                if !hash_alike(&mut hashed).await? {
                    return Err(refused);
                }
                self.ask_room(workload, room_for(&hashed)).await?;
            }
            answer => drop(answer?),
        }
        let open = Open::default();
        let send = |(at, hashed): (usize, Hashed)| {
            let (progress, open) = (progress.clone(), &open);
            async move { Ok::<_, Error>((at, self.upload_one(workload, hashed, digests, open, progress).await?)) }
        };
        // The same file again waits until it is there, and need not be sent then.
        let mut seen = BTreeSet::new();
        let (first, again): (Vec<_>, Vec<_>) =
            hashed.into_iter().enumerate().partition(|(_, (_, _, digest))| {
                digest.as_ref().is_none_or(|digest| seen.insert(digest.clone()))
            });
        let first = stream::iter(first).map(send).buffered(AT_A_TIME);
        let again = stream::iter(again).map(send).buffered(AT_A_TIME);
        let sent = first.chain(again).try_collect::<BTreeMap<_, _>>().await;
        self.give_up(open).await;
        // Remembering is a help, not a duty: without a writable cache directory a push is as good.
        let _ = digests.save();
        Ok(sent?.into_values().collect())
    }

    async fn upload_one(
        &self,
        workload: &Workload,
        (upload, metadata, digest): Hashed,
        digests: &Digests,
        open: &Open,
        progress: Progress,
    ) -> Result<Sent> {
        let Upload { path, source, size } = upload;
        if let Some(digest) = &digest {
            digests.put(&source, &metadata, digest);
            let asked = wire::Present { digests: vec![digest.clone()], ..Default::default() };
            if !self.present(workload, asked).await?.digests.is_empty() {
                progress(size);
                return Ok(Sent { file: File { path, digest: digest.clone(), size }, sent: false });
            }
        }
        let digest = match digest {
            Some(digest) if size <= SMALL => {
                let bytes = tokio::fs::read(&source).await?;
                progress(bytes.len() as u64);
                self.put_blob(workload, &digest, bytes).await?;
                digest
            }
            digest => {
                let file = Large { source: &source, size, known: digest };
                let sending = Sending { workload, size, file: Some((digests, source.clone())) };
                let send = |session, offset| {
                    self.send_in(workload, &file, session, offset, progress.clone()).boxed()
                };
                let digest = self.in_session(&sending, open, &progress, send).await?;
                digests.put(&source, &metadata, &digest);
                digest
            }
        };
        // Bytes of two states of a file are no file.
        let after = std::fs::metadata(&source)?;
        if after.len() != metadata.len() || after.modified().ok() != metadata.modified().ok() {
            return Err(file_changed(&source));
        }
        Ok(Sent { file: File { path, digest, size }, sent: true })
    }

    /// Sends a whole blob in one request.
    pub async fn put_blob(&self, workload: &Workload, digest: &Digest, bytes: Vec<u8>) -> Result<()> {
        let path = format!("/v2/{workload}/blobs/uploads/?digest={digest}");
        let call = Call::new(Method::POST, path)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .bytes(bytes);
        self.send(call).await.map(drop)
    }

    pub(super) async fn begin(&self, workload: &Workload) -> Result<String> {
        let begun = self.send(Call::new(Method::POST, format!("/v2/{workload}/blobs/uploads/"))).await?;
        Ok(begun.header("docker-upload-uuid").ok_or_else(no_session)?.to_owned())
    }

    /// Sends a file from an offset on, hashing it on the way unless its digest is known.
    async fn send_in(
        &self,
        workload: &Workload,
        file: &Large<'_>,
        session: String,
        mut offset: u64,
        progress: Progress,
    ) -> Result<Digest> {
        let Large { source, size, ref known } = *file;
        let mut patience = Patience::default();
        let digest = loop {
            // In-process the registry's own hash will do: it is the same memory and the same code.
            let hash_here = known.is_none() && !self.is_local();
            let (body, hashed) = stream_file(source.to_owned(), offset, size, hash_here, progress.clone());
            let call = Call::new(Method::PATCH, session.clone())
                .header(header::CONTENT_TYPE, "application/octet-stream")
                .header(header::CONTENT_RANGE, &format!("{offset}-{}", size.saturating_sub(1)))
                .header(header::CONTENT_LENGTH, &(size - offset).to_string())
                .body(Body::from_stream(body));
            match self.send(call).await {
                Ok(reply) => {
                    let theirs =
                        reply.header("gradus-digest").and_then(|digest| digest.parse::<Digest>().ok());
                    let ours = match known {
                        Some(known) => Some(known.clone()),
                        None if hash_here => hashed.await.ok(),
                        None => theirs,
                    };
                    break ours.ok_or_else(|| file_changed(source))?;
                }
                Err(error) => {
                    if !patience.wait(&error).await {
                        return Err(error);
                    }
                    offset = self.received(&session, size).await?;
                }
            }
        };
        self.finish(workload, &session, &digest).await?;
        Ok(digest)
    }

    /// Ends a session. Repeated when the answer did not come; then the blob may be there and the session gone.
    pub(super) async fn finish(&self, workload: &Workload, session: &str, digest: &Digest) -> Result<()> {
        let path = format!("{session}?digest={digest}");
        let (mut patience, mut is_repeated) = (Patience::default(), false);
        loop {
            let call = Call::new(Method::PUT, path.clone()).header(header::CONTENT_LENGTH, "0");
            match self.send(call).await {
                Ok(_) => return Ok(()),
                Err(error) if error.code == "upload_unknown" && is_repeated => {
                    let asked = wire::Present { digests: vec![digest.clone()], ..Default::default() };
                    let there = self.present(workload, asked).await?.digests;
                    return if there.is_empty() { Err(error) } else { Ok(()) };
                }
                Err(error) if patience.wait(&error).await => is_repeated = true,
                Err(error) => return Err(error),
            }
        }
    }

    /// How many bytes of a session the registry has: at most those that were sent.
    pub(super) async fn received(&self, session: &str, sent: u64) -> Result<u64> {
        let mut tries = 0;
        loop {
            match self.send(Call::new(Method::GET, session)).await {
                Ok(reply) => {
                    let received = reply.header("gradus-received").and_then(|received| received.parse().ok());
                    return received.filter(|received| *received <= sent).ok_or_else(no_session);
                }
                Err(error) if error.kind == Kind::Unavailable && tries < RESUMES => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// How often an upload is tried again, and why.
#[derive(Default)]
pub(super) struct Patience {
    resumes: u32,
    turns: u32,
}

impl Patience {
    /// Waits before another try; answers false if none would help.
    pub(super) async fn wait(&mut self, error: &Error) -> bool {
        let may_pass = matches!(error.kind, Kind::Unavailable | Kind::Range);
        match error.code {
            "upload_busy" if self.turns < TURNS => {
                self.turns += 1;
                tokio::time::sleep(TURN).await;
                true
            }
            code if (may_pass || code == "body_incomplete") && self.resumes < RESUMES => {
                self.resumes += 1;
                let said = error.details.as_ref().and_then(|details| details["retry_after_seconds"].as_u64());
                let said = Duration::from_secs(said.unwrap_or(0).min(30));
                tokio::time::sleep(said.max(Duration::from_millis(500 * u64::from(self.resumes)))).await;
                true
            }
            _ => false,
        }
    }
}

fn room_for(files: &[Hashed]) -> wire::Present {
    let mut asked = wire::Present::default();
    for (file, _, digest) in files {
        match digest.clone() {
            Some(digest) => asked.files.push(wire::PresentFile { digest, size: file.size }),
            None => asked.sizes.push(file.size),
        }
    }
    asked
}

/// Hashes the files that may be the same as others, since they have the same size. Answers whether there were any.
async fn hash_alike(files: &mut [Hashed]) -> Result<bool> {
    let mut sizes = BTreeMap::<u64, usize>::new();
    for (file, ..) in files.iter() {
        *sizes.entry(file.size).or_default() += 1;
    }
    let mut any = false;
    for (file, _, digest) in files {
        if digest.is_none() && sizes[&file.size] > 1 {
            *digest = Some(hash_file(&file.source).await?);
            any = true;
        }
    }
    Ok(any)
}

fn file_changed(source: &Path) -> Error {
    Error::conflict("file_changed", format!("the file changed while it was sent: {}", source.display()))
        .hint("push again when nothing writes to it")
}

fn no_session() -> Error {
    Error::unavailable("answer_invalid", "the server started no upload session")
}
