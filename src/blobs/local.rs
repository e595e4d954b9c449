//! Objects as files. An upload appends to its file; the file becomes the object where it lies, so nothing is
//! copied or renamed. What is acknowledged is on disk.

use super::{ByteStream, Key, Listed, OWNER, lost};
use crate::error::{Error, Result};
use bytes::{Bytes, BytesMut};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Seek as _, SeekFrom, Write as _},
    ops::Range,
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, mpsc as std_mpsc},
};
use tokio::sync::{mpsc, oneshot};

/// Bytes read from a file at a time.
const PIECE: usize = 512 * 1024;
/// Pieces of an upload that wait for the disk.
const WRITE_BEHIND: usize = 32;
/// After so many bytes the disk is told to start writing them out.
const FLUSH: u64 = 32 * 1024 * 1024;

#[derive(Clone)]
pub(super) struct Local {
    root: PathBuf,
}

/// Makes a directory only its owner can enter.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

impl Local {
    pub(super) fn open(root: &Path) -> Result<Self> {
        let blobs = root.join("blobs");
        private_dir(&blobs).map_err(|source| {
            Error::unavailable("store_unavailable", format!("cannot make the directory: {}", blobs.display()))
                .source(source)
        })?;
        Ok(Self { root: root.to_owned() })
    }

    fn file(&self, key: Key) -> PathBuf {
        self.root.join(key.path().as_ref())
    }

    pub(super) fn check(&self) -> Result<()> {
        fs::metadata(self.root.join("blobs")).map(drop).map_err(|source| {
            Error::unavailable("store_unavailable", "the directory of the store is not there").source(source)
        })
    }

    /// Reads piece by piece: each is a task of its own that nobody waits in, so a reader who stops reading holds no
    /// thread. The next piece is read while the one before is on its way.
    pub(super) fn read(&self, key: Key, range: Range<u64>) -> ByteStream {
        let path = self.file(key);
        let first = tokio::task::spawn_blocking(move || {
            let missing = |source: io::Error| match source.kind() {
                io::ErrorKind::NotFound => lost("object_missing"),
                _ => source.into(),
            };
            read_piece(Arc::new(File::open(path).map_err(missing)?), range)
        });
        stream::unfold(Some(first), |piece| async {
            let read = piece?.await.unwrap_or_else(|_| {
                Err(Error::unavailable("store_unavailable", "reading from the disk has stopped"))
            });
            Some(match read {
                Ok((bytes, file, rest)) => {
                    let next = (!rest.is_empty())
                        .then(|| tokio::task::spawn_blocking(move || read_piece(file, rest)));
                    (Ok(bytes), next)
                }
                Err(error) => (Err(error), None),
            })
        })
        .boxed()
    }

    pub(super) async fn size(&self, key: Key) -> Result<Option<u64>> {
        match tokio::fs::metadata(self.file(key)).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The mark lies among the objects: where they are not mounted, it is not either.
    fn owner(&self) -> PathBuf {
        self.root.join("blobs").join(OWNER)
    }

    pub(super) async fn read_owner(&self) -> Result<Option<Bytes>> {
        match tokio::fs::read(self.owner()).await {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whole or not at all, and never over another mark.
    pub(super) fn write_owner(&self, bytes: &[u8]) -> Result<()> {
        let (mark, scratch) = (self.owner(), self.owner().with_extension(uuid::Uuid::now_v7().to_string()));
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&scratch)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if fs::metadata(&mark).is_ok_and(|metadata| metadata.len() == 0) {
            fs::remove_file(&mark)?; // of an older version that was stopped in the middle
        }
        let linked = written.and_then(|()| fs::hard_link(&scratch, &mark));
        fs::remove_file(&scratch)?;
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => Ok(linked.and_then(|()| sync_dir(&self.root.join("blobs")))?),
        }
    }

    pub(super) async fn delete(&self, key: Key) -> Result<()> {
        match tokio::fs::remove_file(self.file(key)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    pub(super) fn list(&self) -> BoxStream<'static, Result<Listed>> {
        let blobs = self.root.join("blobs");
        let (sender, receiver) = mpsc::channel(256);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = list_files(&blobs, &sender) {
                let _ = sender.blocking_send(Err(error.into()));
            }
        });
        stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|item| (item, receiver)) })
            .boxed()
    }

    /// Opens the file of an upload for appending after `received` bytes.
    pub(super) async fn append(&self, key: Key, received: u64) -> Result<Appender> {
        let path = self.file(key);
        let (sender, receiver) = mpsc::channel(WRITE_BEHIND);
        let (ready, opened) = oneshot::channel();
        let task = tokio::task::spawn_blocking(move || match open_at(&path, received) {
            Ok(file) => {
                let _ = ready.send(Ok(()));
                write_file(file, &path, received, receiver)
            }
            Err(error) => {
                let _ = ready.send(Err(error));
                Ok(())
            }
        });
        opened.await.map_err(|_| gone())??;
        Ok(Appender { sender, task })
    }
}

fn gone() -> Error {
    Error::unavailable("store_unavailable", "writing to the disk has stopped")
}

/// The first bytes of a range of the file, and the rest of the range.
fn read_piece(file: Arc<File>, range: Range<u64>) -> Result<(Bytes, Arc<File>, Range<u64>)> {
    let want = usize::try_from(range.end - range.start).unwrap_or(PIECE).min(PIECE);
    let mut piece = BytesMut::zeroed(want);
    let got = file.read_at(&mut piece, range.start)?;
    if got == 0 && want > 0 {
        return Err(lost("object_truncated"));
    }
    piece.truncate(got);
    Ok((piece.freeze(), file, range.start + got as u64..range.end))
}

fn list_files(blobs: &Path, sender: &mpsc::Sender<Result<Listed>>) -> io::Result<()> {
    for fan in fs::read_dir(blobs)? {
        let fan = fan?;
        if !fan.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(fan.path())? {
            let file = file?;
            let Some(key) = file.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let metadata = match file.metadata() {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let listed =
                Listed { key, size: metadata.len(), modified: metadata.modified()?.into(), is_tail: false };
            if sender.blocking_send(Ok(listed)).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn open_at(path: &Path, received: u64) -> Result<File> {
    let folder = path.parent().unwrap_or(path);
    if !folder.exists() {
        private_dir(folder)?;
        sync_dir(folder.parent().unwrap_or(folder))?;
    }
    let mut file = OpenOptions::new()
        .create(received == 0)
        .write(true)
        .read(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::integrity("upload_lost", "the bytes received so far are gone"),
            _ => source.into(),
        })?;
    // The lock dies with its process, so a killed server never blocks the one that follows.
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Error::conflict("upload_busy", "somebody else is writing to this upload")
                .hint("wait until they are done, then ask where the upload stands"));
        }
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    if file.metadata()?.len() < received {
        return Err(Error::integrity("upload_lost", "some of the bytes received so far are gone"));
    }
    // What was written after the last acknowledgement does not count.
    file.set_len(received)?;
    file.seek(SeekFrom::Start(received))?;
    Ok(file)
}

enum Command {
    Write(Bytes),
    Sync(oneshot::Sender<io::Result<()>>),
}

fn write_file(
    mut file: File,
    path: &Path,
    received: u64,
    mut commands: mpsc::Receiver<Command>,
) -> io::Result<()> {
    // A second handle starts writing pages out early, so that the last sync has little left to do.
    let (flush, flushes) = std_mpsc::sync_channel::<()>(1);
    let handle = file.try_clone()?;
    let flusher = std::thread::spawn(move || {
        while flushes.recv().is_ok() {
            // A failure shows again in the sync that counts.
            let _ = handle.sync_data();
        }
    });
    let (mut since_flush, mut in_folder) = (0, false);
    let (mut durable, mut written) = (received, received);
    let mut failed = None;
    while let Some(command) = commands.blocking_recv() {
        match command {
            Command::Write(bytes) if failed.is_none() => {
                if let Err(error) = file.write_all(&bytes) {
                    // On a full disk the part that does not count would keep others from writing.
                    let _ = file.set_len(durable);
                    failed = Some(error);
                    continue;
                }
                written += bytes.len() as u64;
                since_flush += bytes.len() as u64;
                if since_flush >= FLUSH {
                    since_flush = 0;
                    let _ = flush.try_send(());
                }
            }
            Command::Write(_) => {}
            Command::Sync(reply) => {
                let result = match failed.take() {
                    Some(error) => Err(error),
                    None => file.sync_all().and_then(|()| match path.parent() {
                        Some(folder) if !in_folder => sync_dir(folder),
                        _ => Ok(()),
                    }),
                };
                in_folder |= result.is_ok();
                if result.is_ok() {
                    durable = written;
                }
                let _ = reply.send(result);
            }
        }
    }
    drop(flush);
    let _ = flusher.join();
    Ok(())
}

/// Appends to the file of an upload from a thread of its own, so that hashing and writing overlap.
pub(super) struct Appender {
    sender: mpsc::Sender<Command>,
    task: tokio::task::JoinHandle<io::Result<()>>,
}

impl Appender {
    pub(super) async fn write(&self, bytes: Bytes) -> Result<()> {
        self.sender.send(Command::Write(bytes)).await.map_err(|_| gone())
    }

    /// Returns once everything written is on disk.
    pub(super) async fn sync(&self) -> Result<()> {
        let (reply, done) = oneshot::channel();
        self.sender.send(Command::Sync(reply)).await.map_err(|_| gone())?;
        Ok(done.await.map_err(|_| gone())??)
    }

    /// Releases the file.
    pub(super) async fn close(self) -> Result<()> {
        drop(self.sender);
        Ok(self.task.await.map_err(|_| gone())??)
    }
}
