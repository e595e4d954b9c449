//! Sending files to a repository: what is there is not sent, what is cut is taken up again.

use super::{Call, Client, Digests, Progress, hash_file, hashing::stream_file};
use crate::{
    error::{Error, Kind, Result},
    model::{artifact::File, digest::Digest, name::Workload, path::FilePath},
    wire,
};
use axum::body::Body;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{Method, header};
use std::path::PathBuf;

/// Files up to this size go in one request.
const SMALL: u64 = 1024 * 1024;
/// Files sent at a time.
const AT_A_TIME: usize = 4;
/// Times a cut upload is taken up again.
const RESUMES: u32 = 5;

/// A file to send.
#[derive(Clone, Debug)]
pub struct Upload {
    pub path: FilePath,
    pub source: PathBuf,
    pub size: u64,
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
        let sizes = files.iter().map(|file| file.size).collect();
        let known = self.present(workload, wire::Present { sizes, digests: Vec::new() }).await?.sizes;
        let work = files.into_iter().map(|file| {
            let hash_first = known.contains(&file.size);
            let progress = progress.clone();
            async move { self.upload_one(workload, file, hash_first, digests, progress).await }
        });
        let sent = stream::iter(work).buffered(AT_A_TIME).try_collect().await;
        // Remembering is a help, not a duty: without a writable cache directory a push is as good.
        let _ = digests.save();
        sent
    }

    async fn upload_one(
        &self,
        workload: &Workload,
        upload: Upload,
        hash_first: bool,
        digests: &Digests,
        progress: Progress,
    ) -> Result<Sent> {
        let Upload { path, source, size } = upload;
        let metadata = std::fs::metadata(&source)?;
        let remembered = digests.get(&source);
        let digest = match remembered {
            Some(digest) => Some(digest),
            // Small files are hashed at once; of large ones only those that may be there already.
            None if hash_first || size <= SMALL => Some(hash_file(&source).await?),
            None => None,
        };
        if let Some(digest) = &digest {
            digests.put(&source, &metadata, digest);
            let asked = wire::Present { sizes: Vec::new(), digests: vec![digest.clone()] };
            if !self.present(workload, asked).await?.digests.is_empty() {
                progress(size);
                return Ok(Sent { file: File { path, digest: digest.clone(), size }, sent: false });
            }
        }
        let digest = match digest {
            Some(digest) if size <= SMALL => {
                let bytes = tokio::fs::read(&source).await?;
                progress(bytes.len() as u64);
                self.put_blob(workload, &digest, Body::from(bytes)).await?;
                digest
            }
            digest => {
                let digest = self.send_file(workload, &source, size, digest, progress).await?;
                digests.put(&source, &metadata, &digest);
                digest
            }
        };
        Ok(Sent { file: File { path, digest, size }, sent: true })
    }

    /// Sends a whole blob in one request.
    pub async fn put_blob(&self, workload: &Workload, digest: &Digest, body: Body) -> Result<()> {
        let path = format!("/v2/{workload}/blobs/uploads/?digest={digest}");
        let call =
            Call::new(Method::POST, path).header(header::CONTENT_TYPE, "application/octet-stream").body(body);
        self.send(call).await.map(drop)
    }

    /// Sends a large file in a session, hashing it on the way unless its digest is known.
    async fn send_file(
        &self,
        workload: &Workload,
        source: &std::path::Path,
        size: u64,
        known: Option<Digest>,
        progress: Progress,
    ) -> Result<Digest> {
        let begun = self.send(Call::new(Method::POST, format!("/v2/{workload}/blobs/uploads/"))).await?;
        let session = begun.header("docker-upload-uuid").ok_or_else(no_session)?.to_owned();
        let session = format!("/v2/{workload}/blobs/uploads/{session}");
        let (mut offset, mut resumes) = (0, 0);
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
                        Some(known) => Some(known),
                        None if hash_here => hashed.await.ok(),
                        None => theirs,
                    };
                    break ours.ok_or_else(|| {
                        Error::conflict(
                            "file_changed",
                            format!("the file changed while it was sent: {}", source.display()),
                        )
                    })?;
                }
                Err(error)
                    if error.kind == Kind::Unavailable
                        || error.code == "body_incomplete"
                        || error.kind == Kind::Conflict =>
                {
                    if resumes == RESUMES || error.code == "file_changed" {
                        return Err(error);
                    }
                    resumes += 1;
                    tokio::time::sleep(std::time::Duration::from_millis(500 * u64::from(resumes))).await;
                    offset = self.received(&session).await?;
                }
                Err(error) => return Err(error),
            }
        };
        let finish =
            Call::new(Method::PUT, format!("{session}?digest={digest}")).header(header::CONTENT_LENGTH, "0");
        self.send(finish).await?;
        Ok(digest)
    }

    /// How many bytes of a session the registry has.
    async fn received(&self, session: &str) -> Result<u64> {
        let mut tries = 0;
        loop {
            match self.send(Call::new(Method::GET, session)).await {
                Ok(reply) => {
                    let received = reply.header("gradus-received").and_then(|received| received.parse().ok());
                    return received.ok_or_else(no_session);
                }
                Err(error) if error.kind == Kind::Unavailable && tries < RESUMES => {
                    tries += 1;
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn no_session() -> Error {
    Error::unavailable("answer_invalid", "the server started no upload session")
}
