//! What each artifact format is: pure, bounded header parsers over ranged reads. Nothing here executes
//! or deserialises an artifact. Adding a kind is one file and one line in `FORMATS`.

mod archive;
pub mod files;
mod gguf;
mod inspection;
mod npy;
mod onnx;
mod peft;
mod pickle;
pub mod prompt;
mod protobuf;
mod reader;
mod safetensors;
mod scan;
pub mod vendor;
mod zip;

pub use inspection::{Adapter, Finding, Inspection, Problem, Safety};

use crate::error::{Error, Result};
use crate::model::kind::Kind;
use reader::{Budget, Reader};
use std::sync::OnceLock;

/// Bytes that can be read in ranges: a blob in a store, a local file, a buffer.
pub trait Source: Send + Sync {
    fn size(&self) -> u64;
    /// The bytes at `offset`: `length` of them, fewer only at the end of the file.
    fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>>;
}

impl Source for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let end = start.saturating_add(length).min(self.len());
        Ok(self[start..end].to_vec())
    }
}

/// One file of an artifact: its path in the manifest, `/`-separated, and its bytes.
#[derive(Clone, Copy)]
pub struct FileView<'a> {
    pub path: &'a str,
    pub source: &'a dyn Source,
}

/// One kind's entry in the registry.
struct Format {
    kind: Kind,
    /// Whether the artifact is of this kind: by content first, by names second.
    recognises: fn(&Files) -> bool,
    /// Reads the facts. What cannot be read becomes a problem of the inspection.
    inspect: fn(&Files, &mut Inspection),
}

/// In order of precedence. Full weights come before what merely describes or steers a model, so that a
/// descriptor laid beside weights cannot lower the tier.
const FORMATS: &[Format] = &[
    peft::FORMAT,
    safetensors::FORMAT,
    gguf::FORMAT,
    onnx::FORMAT,
    vendor::FORMAT,
    prompt::FORMAT,
    files::FORMAT,
];

/// An artifact's files and what may still be read of them.
struct Files<'a> {
    views: &'a [FileView<'a>],
    budget: Budget,
}

/// Keeps the beginning of a file, which every format asks for, so that a remote store is asked once.
struct Headed<'a> {
    source: &'a dyn Source,
    head: OnceLock<Vec<u8>>,
}

const KEPT_HEAD: usize = 16 << 10;

impl<'a> Headed<'a> {
    fn all(views: &[FileView<'a>]) -> Vec<Self> {
        views.iter().map(|view| Self { source: view.source, head: OnceLock::new() }).collect()
    }
}

impl Source for Headed<'_> {
    fn size(&self) -> u64 {
        self.source.size()
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let end = offset.saturating_add(length as u64);
        if end > KEPT_HEAD as u64 {
            return self.source.read_at(offset, length);
        }
        let head = match self.head.get() {
            Some(head) => head,
            None => {
                let head = self.source.read_at(0, KEPT_HEAD)?;
                self.head.get_or_init(|| head)
            }
        };
        let part = head.get(offset as usize..(end as usize).min(head.len()));
        Ok(part.unwrap_or_default().to_vec())
    }
}

fn views_of<'a>(files: &[FileView<'a>], headed: &'a [Headed<'a>]) -> Vec<FileView<'a>> {
    files.iter().zip(headed).map(|(view, source)| FileView { path: view.path, source }).collect()
}

impl<'a> Files<'a> {
    fn new(views: &'a [FileView<'a>]) -> Self {
        Self { views, budget: Budget::for_files(views.len()) }
    }

    fn get(&self, path: &str) -> Option<&'a FileView<'a>> {
        self.views.iter().find(|view| view.path == path)
    }

    fn reader(&self, view: &FileView<'a>) -> Reader<'_> {
        Reader::new(view.source, &self.budget)
    }

    /// Whether all files but `own` are small texts: what a kind without weights may have beside it, so that
    /// weights in a format nobody recognises do not pass for a lighter tier.
    fn only_text_beside(&self, own: impl Fn(&FileView) -> bool) -> bool {
        const MAX_TEXT: u64 = 4 << 20;
        self.views.iter().filter(|view| !own(view)).all(|view| {
            let head = self.reader(view).head(4 << 10).unwrap_or_else(|_| vec![0]);
            let is_text = match std::str::from_utf8(&head) {
                Ok(_) => true,
                // Cut inside a character at the end of what was read.
                Err(error) => error.error_len().is_none(),
            };
            view.source.size() <= MAX_TEXT && is_text && !head.contains(&0)
        })
    }
}

/// What this artifact is. Errors: `artifact_empty`, and whatever the sources answer when they cannot be
/// read at all.
pub fn detect(files: &[FileView]) -> Result<Kind> {
    if files.is_empty() {
        return Err(Error::invalid("artifact_empty", "an artifact needs at least one file")
            .hint("name a file or a directory that has files"));
    }
    let headed = Headed::all(files);
    for source in &headed {
        // Recognising treats unreadable as unrecognised; a store that does not answer must not do that.
        source.read_at(0, 1)?;
    }
    Ok(recognise(&Files::new(&views_of(files, &headed))).kind)
}

/// Reads the artifact's facts. Never fails: what cannot be read is recorded as a problem, and then the
/// safety is `unknown`, never `safe`.
pub fn inspect(files: &[FileView]) -> Inspection {
    let headed = Headed::all(files);
    let views = views_of(files, &headed);
    let files = Files::new(&views);
    let format = recognise(&files);
    let mut found = Inspection::new(format.kind);
    if files.views.is_empty() {
        found.problem("", "the artifact has no files");
    }
    (format.inspect)(&files, &mut found);
    files::read_config(&files, &mut found);
    for beside in FORMATS.iter().filter(|other| other.kind != format.kind && (other.recognises)(&files)) {
        let mut other = Inspection::new(beside.kind);
        (beside.inspect)(&files, &mut other);
        found.formats.append(&mut other.formats);
        other.problems.iter().for_each(|problem| found.problem(&problem.path, &problem.reason));
    }
    scan::scan(&files, &mut found);
    found.conclude()
}

fn recognise(files: &Files) -> &'static Format {
    FORMATS.iter().find(|format| (format.recognises)(files)).unwrap_or(&files::FORMAT)
}

#[cfg(test)]
mod tests;
