//! Looking into an artifact through bounded ranged reads of the stored bytes, whatever door they came in by.

use super::{Context, blobs};
use crate::{
    blobs::{Key, Store},
    error::{Error, Result},
    kinds::{self, FileView, Inspection, Source},
    model::{artifact::File, name::Workload},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::{runtime::Handle, sync::Semaphore};

/// A stored object as the parsers see it. They are synchronous, so they run on a blocking thread and wait
/// there for each read.
struct Stored {
    runtime: Handle,
    store: Arc<Store>,
    row: blobs::BlobRow,
    key: Key,
    /// The first bytes of the file, and its last ones, fetched beforehand.
    head: Bytes,
    tail: Bytes,
    /// The first read that failed. To a parser a failed read and bad bytes are the same, to the registry not: what
    /// could not be read now must not be recorded as what the artifact is.
    failed: Failed,
}

type Failed = Arc<Mutex<Option<(blobs::BlobRow, Error)>>>;

impl Source for Stored {
    fn size(&self) -> u64 {
        self.row.size
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let end = offset.saturating_add(length as u64).min(self.row.size);
        let range = offset.min(end)..end;
        let tail_at = self.row.size - self.tail.len() as u64;
        for (known, at) in [(&self.head, 0), (&self.tail, tail_at)] {
            if range.start >= at && range.end <= at + known.len() as u64 {
                let part = usize::try_from(range.start - at)..usize::try_from(range.end - at);
                if let (Ok(start), Ok(end)) = (part.start, part.end) {
                    return Ok(known[start..end].to_vec());
                }
            }
        }
        let read = self.runtime.block_on(self.store.read_whole(self.key, range)).map(|bytes| bytes.to_vec());
        read.map_err(|error| {
            let told = Error::new(error.kind, error.code, error.message.clone());
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert_with(|| (self.row.clone(), error));
            told
        })
    }
}

/// What every parser looks at first, fetched for many files at a time: one after the other would take minutes on a
/// distant store.
const HEAD: u64 = 16 << 10;
const TAIL: u64 = 64 << 10;
const AT_A_TIME: usize = 16;
/// Most bytes held of all files; beyond that ends, then beginnings too, are read when they are asked for.
const EDGES_MAX: u64 = 64 << 20;

impl Stored {
    async fn fetch_edges(mut self, count: u64) -> Result<Self> {
        let size = self.row.size;
        if count * HEAD <= EDGES_MAX {
            self.head = self.store.read_whole(self.key, 0..size.min(HEAD)).await?;
        }
        if count * (HEAD + TAIL) <= EDGES_MAX && size > HEAD {
            self.tail = self.store.read_whole(self.key, size.saturating_sub(TAIL).max(HEAD)..size).await?;
        }
        Ok(self)
    }
}

/// Artifacts looked into at a time: each may hold as much as the bounds above and those of the parsers.
static AT_ONCE: Semaphore = Semaphore::const_new(8);

/// What kind of artifact the files are, and what is in them.
pub(super) async fn inspect(cx: &Context, workload: &Workload, files: &[File]) -> Result<Inspection> {
    let _turn = AT_ONCE.acquire().await;
    let mut sources = Vec::with_capacity(files.len());
    let failed = Failed::default();
    for file in files {
        let row = blobs::open(cx, workload, &file.digest).await.map_err(|error| match error.code {
            "blob_unknown" => missing_file(file),
            _ => error,
        })?;
        if row.size != file.size {
            return Err(Error::invalid(
                "size_mismatch",
                format!("{} is said to have {} bytes, it has: {}", file.path, file.size, row.size),
            ));
        }
        let store = cx.stores.get(&row.store)?.clone();
        let key = row.key.parse()?;
        let (head, tail) = (Bytes::new(), Bytes::new());
        let source =
            Stored { runtime: Handle::current(), store, row, key, head, tail, failed: failed.clone() };
        sources.push((file.path.to_string(), source));
    }
    let count = sources.len() as u64;
    let work = sources.into_iter().map(|(path, source)| async move {
        let row = source.row.clone();
        source.fetch_edges(count).await.map(|source| (path, source)).map_err(|error| (row, error))
    });
    let fetched: Result<Vec<_>, _> = stream::iter(work).buffered(AT_A_TIME).try_collect().await;
    let sources = match fetched {
        Ok(sources) => sources,
        Err((row, error)) => return Err(unread(cx, workload, files, &row, error).await),
    };
    let work = tokio::task::spawn_blocking(move || {
        let views: Vec<FileView<'_>> =
            sources.iter().map(|(path, source)| FileView { path, source }).collect();
        kinds::detect(&views)?;
        Ok(kinds::inspect(&views))
    });
    let inspection = work.await.map_err(|error| {
        Error::internal("inspection_stopped", "looking into the files has stopped").source(error)
    })?;
    let failed = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
    match failed {
        None => inspection,
        Some((row, error)) => Err(unread(cx, workload, files, &row, error).await),
    }
}

/// Why a file could not be read.
async fn unread(
    cx: &Context,
    workload: &Workload,
    files: &[File],
    row: &blobs::BlobRow,
    error: Error,
) -> Error {
    let error = blobs::explain(cx, workload, row, error).await;
    let file = files.iter().find(|file| file.digest == row.digest);
    if error.code == "blob_unknown" { file.map_or(error, missing_file) } else { error }
}

pub(super) fn missing_file(file: &File) -> Error {
    Error::invalid(
        "file_missing",
        format!("the repository does not have the bytes of {}: {}", file.path, file.digest),
    )
    .hint("upload the file first, then create the version")
}
