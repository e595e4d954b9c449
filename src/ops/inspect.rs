//! Looking into an artifact through bounded ranged reads of the stored bytes, whatever door they came in by.

use super::{Context, blobs};
use crate::{
    blobs::{Key, Store},
    error::{Error, Result},
    kinds::{self, FileView, Inspection, Source},
    model::{artifact::File, name::Workload},
};
use std::sync::Arc;
use tokio::runtime::Handle;

/// A stored object as the parsers see it. They are synchronous, so they run on a blocking thread and wait
/// there for each read.
struct Stored {
    runtime: Handle,
    store: Arc<Store>,
    key: Key,
    size: u64,
}

impl Source for Stored {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let end = offset.saturating_add(length as u64).min(self.size);
        let range = offset.min(end)..end;
        self.runtime.block_on(self.store.read_whole(self.key, range)).map(|bytes| bytes.to_vec())
    }
}

/// What kind of artifact the files are, and what is in them.
pub(super) async fn inspect(cx: &Context, workload: &Workload, files: &[File]) -> Result<Inspection> {
    let mut sources = Vec::with_capacity(files.len());
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
        let source = Stored { runtime: Handle::current(), store, key: row.key.parse()?, size: row.size };
        sources.push((file.path.to_string(), source));
    }
    let work = tokio::task::spawn_blocking(move || {
        let views: Vec<FileView<'_>> =
            sources.iter().map(|(path, source)| FileView { path, source }).collect();
        kinds::detect(&views)?; // fails when the store does not answer; inspecting would call that unknown
        Ok(kinds::inspect(&views))
    });
    work.await.map_err(|error| {
        Error::internal("inspection_stopped", "looking into the files has stopped").source(error)
    })?
}

pub(super) fn missing_file(file: &File) -> Error {
    Error::invalid(
        "file_missing",
        format!("the repository does not have the bytes of {}: {}", file.path, file.digest),
    )
    .hint("upload the file first, then create the version")
}
