//! Where the bytes come from, and sending them: what is cut is taken up again, what is not what its digest says never
//! becomes visible.

use super::{Layout, about, folder::rotten};
use crate::{
    blobs::{ByteStream, Hasher},
    client::{
        Call, Client, Digests, Progress,
        sessions::{Open, Sending},
        upload::{Patience, SMALL},
    },
    error::{Error, Result, causes},
    model::{digest::Digest, manifest::Descriptor, name::Workload},
};
use axum::body::Body;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use http::{Method, StatusCode, header};
use std::{
    fmt,
    io::{Seek as _, SeekFrom},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

const PIECE: usize = 512 * 1024;

/// Where versions are carried from.
pub enum Source<'a> {
    /// A folder. Sessions that were cut are remembered beyond the command.
    Layout(&'a Layout, &'a Digests),
    Registry(&'a Client, &'a Workload),
}

/// What was hashed of a blob on its way.
struct Tally {
    hasher: Hasher,
    at: u64,
}

impl Tally {
    /// Takes bytes that begin at an offset; those that came before are not counted twice.
    fn take(&mut self, offset: u64, bytes: &[u8]) {
        let known = usize::try_from(self.at.saturating_sub(offset)).unwrap_or(usize::MAX);
        if let Some(new) = bytes.get(known..) {
            self.hasher.update(new);
            self.at += new.len() as u64;
        }
    }
}

impl Source<'_> {
    /// The bytes of a blob from an offset on.
    async fn open(&self, blob: &Descriptor, offset: u64) -> Result<ByteStream> {
        match self {
            Self::Layout(layout, _) => {
                let mut file = layout.folder.sized(blob)?;
                file.seek(SeekFrom::Start(offset))?;
                let file = tokio::fs::File::from_std(file).take(blob.size.saturating_sub(offset));
                Ok(ReaderStream::with_capacity(file, PIECE).map_err(Error::from).boxed())
            }
            Self::Registry(client, workload) => {
                let reply = client.get_blob(workload, &blob.digest, offset).await.map_err(not_given)?;
                if offset > 0 && reply.status != StatusCode::PARTIAL_CONTENT {
                    return Err(not_given(Error::unavailable(
                        "range_ignored",
                        format!("the registry does not send a part of: {}", blob.digest),
                    )));
                }
                Ok(reply.stream().map_err(not_given).boxed())
            }
        }
    }

    /// A small blob, whole and verified.
    pub(super) async fn whole(&self, blob: &Descriptor) -> Result<Vec<u8>> {
        let mut body = self.open(blob, 0).await?;
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            bytes.extend_from_slice(&piece?);
            if bytes.len() as u64 > blob.size {
                break;
            }
        }
        match blob.digest.algorithm().digest(&bytes) == blob.digest {
            true => Ok(bytes),
            false => Err(self.rotten(&blob.digest)),
        }
    }

    /// That the bytes which came are not those that were asked for.
    fn rotten(&self, digest: &Digest) -> Error {
        match self {
            Self::Layout(..) => rotten(digest),
            Self::Registry(..) => not_given(rotten(digest).hint(
                "they were damaged on the way, or are where they come from: try again, then look there with gradus scrub",
            )),
        }
    }

    /// Sends a blob that the other side lacks.
    pub(super) async fn send(
        &self,
        blob: &Descriptor,
        target: &Client,
        to: &Workload,
        open: &Open,
        progress: &Progress,
    ) -> Result<()> {
        let sent = match blob.size <= SMALL {
            true => {
                let bytes = self.whole(blob).await?;
                progress(blob.size);
                target.put_blob(to, &blob.digest, bytes).await
            }
            false => self.stream(blob, target, to, open, progress).await,
        };
        sent.map_err(|error| about(&blob.digest, error))
    }

    async fn stream(
        &self,
        blob: &Descriptor,
        target: &Client,
        to: &Workload,
        open: &Open,
        progress: &Progress,
    ) -> Result<()> {
        let file = match self {
            Self::Layout(layout, digests) => Some((*digests, layout.folder.path_of(&blob.digest))),
            Self::Registry(..) => None,
        };
        let send = |session: String, offset| {
            async move { self.stream_in(blob, target, to, &session, offset, progress).await }.boxed()
        };
        target.in_session(&Sending { workload: to, size: blob.size, file }, open, progress, send).await
    }

    async fn stream_in(
        &self,
        blob: &Descriptor,
        target: &Client,
        to: &Workload,
        session: &str,
        mut offset: u64,
        progress: &Progress,
    ) -> Result<()> {
        let hasher = Hasher::new(blob.digest.algorithm());
        let begun = offset;
        let tally = Arc::new(Mutex::new(Tally { hasher, at: begun }));
        let mut patience = Patience::default();
        loop {
            let sent = match self.open(blob, offset).await {
                Ok(body) => {
                    let body = counted(body, offset, tally.clone(), progress.clone());
                    let call = Call::new(Method::PATCH, session)
                        .header(header::CONTENT_TYPE, "application/octet-stream")
                        .header(header::CONTENT_RANGE, &format!("{offset}-{}", blob.size.saturating_sub(1)))
                        .header(header::CONTENT_LENGTH, &(blob.size - offset).to_string())
                        .body(Body::from_stream(body));
                    target.send(call).await.map(drop)
                }
                Err(error) => Err(error),
            };
            match sent {
                Ok(()) => break,
                Err(error) if patience.wait(&error).await => {
                    offset = target.received(session, blob.size).await?;
                }
                Err(error) => return Err(error),
            }
        }
        // Of a session that was taken up again the beginning was sent by an earlier command; the other side hashes all of it.
        let is_right = {
            let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            begun > 0 || tally.hasher.digest() == blob.digest
        };
        if !is_right {
            return Err(self.rotten(&blob.digest));
        }
        target.finish(to, session, &blob.digest).await
    }
}

/// Goes along with a failure of the registry that is copied from, so that nobody takes it for one of the other.
#[derive(Debug)]
struct NotGiven(Option<Box<dyn std::error::Error + Send + Sync>>);

impl fmt::Display for NotGiven {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the registry that is copied from did not give it")
    }
}

impl std::error::Error for NotGiven {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.as_deref().map(|source| source as _)
    }
}

fn not_given(mut error: Error) -> Error {
    let source = error.source.take();
    error.source(NotGiven(source))
}

/// Whether a failure is one of the registry that is copied from.
pub fn is_not_given(error: &Error) -> bool {
    causes(error).any(|cause| cause.is::<NotGiven>())
}

/// Hashes and counts what passes. Each piece is asked for when the one before it was sent, so that nothing piles up.
fn counted(body: ByteStream, offset: u64, tally: Arc<Mutex<Tally>>, progress: Progress) -> ByteStream {
    let mut at = offset;
    body.inspect_ok(move |piece| {
        tally.lock().unwrap_or_else(PoisonError::into_inner).take(at, piece);
        at += piece.len() as u64;
        progress(piece.len() as u64);
    })
    .boxed()
}

/// Which of these blobs a registry lacks.
pub(super) async fn missing(
    target: &Client,
    to: &Workload,
    blobs: &[Descriptor],
) -> Result<(Vec<Descriptor>, usize)> {
    const ASKED: usize = 200;
    let mut there = std::collections::BTreeSet::<Digest>::new();
    for some in blobs.chunks(ASKED) {
        let digests = some.iter().map(|blob| blob.digest.clone()).collect();
        let asked = crate::wire::Present { digests, ..Default::default() };
        there.extend(target.present(to, asked).await?.digests);
    }
    let missing: Vec<_> = blobs.iter().filter(|blob| !there.contains(&blob.digest)).cloned().collect();
    let known = blobs.len() - missing.len();
    Ok((missing, known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Algorithm;

    #[test]
    fn failures_of_the_two_registries_are_told_apart() {
        let failure = || Error::unavailable("server_unreachable", "no answer").source("cut");
        assert!(!is_not_given(&failure()));
        let told = about(&Digest::sha256(b"it"), not_given(failure()));
        assert!(is_not_given(&told) && told.code == "server_unreachable");
        assert_eq!(causes(&told).last().unwrap().to_string(), "cut");
    }

    #[test]
    fn bytes_that_are_sent_again_are_hashed_once() {
        let mut tally = Tally { hasher: Hasher::new(Algorithm::Sha256), at: 0 };
        tally.take(0, b"abcdef");
        tally.take(2, b"cd");
        tally.take(4, b"efgh");
        tally.take(8, b"ij");
        assert_eq!((tally.at, tally.hasher.digest()), (10, Digest::sha256(b"abcdefghij")));
    }
}
