//! Reading files: one thread reads and hashes while the next bytes are already on their way out.

use crate::{
    blobs::{ByteStream, Hasher},
    error::{Error, Result},
    model::digest::{Algorithm, Digest},
};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};
use tokio::sync::{mpsc, oneshot};

/// Bytes read at a time, and how many such pieces wait for the network.
const PIECE: usize = 512 * 1024;
const AHEAD: usize = 4;

pub(super) fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|source| {
        Error::not_found("file_not_found", format!("cannot read the file: {}", path.display())).source(source)
    })
}

/// The digest of a file.
pub async fn hash_file(path: &Path) -> Result<Digest> {
    let path = path.to_owned();
    let work = tokio::task::spawn_blocking(move || {
        hash(&path, u64::MAX, Algorithm::Sha256).map(|hasher| hasher.digest())
    });
    work.await.map_err(stopped)?
}

fn stopped(error: tokio::task::JoinError) -> Error {
    Error::internal("reading_stopped", "reading a file has stopped").source(error)
}

/// Hashes the first `length` bytes of a file.
pub(super) fn hash(path: &Path, length: u64, algorithm: Algorithm) -> Result<Hasher> {
    let mut hasher = Hasher::new(algorithm);
    let mut file = open(path)?.take(length);
    let mut buffer = vec![0; PIECE];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(hasher);
        }
        hasher.update(&buffer[..count]);
    }
}

/// A file from `offset` to `size` as a stream. The digest of the whole file comes when all was read, if asked for.
pub(super) fn stream_file(
    path: PathBuf,
    offset: u64,
    size: u64,
    hashed: bool,
    progress: super::Progress,
) -> (ByteStream, oneshot::Receiver<Digest>) {
    let (pieces, receiver) = mpsc::channel(AHEAD);
    let (digest, result) = oneshot::channel();
    tokio::task::spawn_blocking(move || match read(&path, offset, size, hashed, &pieces, &progress) {
        Ok(Some(hasher)) => drop(digest.send(hasher.digest())),
        Ok(None) => {}
        Err(error) => drop(pieces.blocking_send(Err(error))),
    });
    let body = stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    (body.boxed(), result)
}

fn read(
    path: &Path,
    offset: u64,
    size: u64,
    hashed: bool,
    pieces: &mpsc::Sender<Result<Bytes>>,
    progress: &super::Progress,
) -> Result<Option<Hasher>> {
    use std::io::{Seek as _, SeekFrom};
    let mut hasher = if hashed { Some(hash(path, offset, Algorithm::Sha256)?) } else { None };
    let mut file = open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut left = size - offset.min(size);
    while left > 0 {
        let mut piece = BytesMut::zeroed(usize::try_from(left).unwrap_or(PIECE).min(PIECE));
        let count = file.read(&mut piece)?;
        if count == 0 {
            return Err(Error::conflict(
                "file_changed",
                format!("the file became shorter while it was read: {}", path.display()),
            ));
        }
        piece.truncate(count);
        left -= count as u64;
        if let Some(hasher) = &mut hasher {
            hasher.update(&piece);
        }
        progress(count as u64);
        if pieces.blocking_send(Ok(piece.freeze())).is_err() {
            return Ok(None); // the connection is gone; who sent tells why
        }
    }
    Ok(hasher)
}
