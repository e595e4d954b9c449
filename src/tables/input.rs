//! Where bytes come from.

use bytes::Bytes;
use parquet::file::reader::{ChunkReader, Length};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A file that does not change while it is read.
#[allow(clippy::len_without_is_empty)]
pub trait Input: Send + Sync {
    /// As people know it: a path or a URL without secrets.
    fn name(&self) -> &str;
    fn len(&self) -> u64;
    /// How much is best read at once, where all of it is wanted.
    fn piece(&self) -> u64 {
        4 << 20
    }
    /// Exactly so many bytes. Errors: fewer are there, or what reading gave.
    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes>;
}

pub struct LocalFile {
    name: String,
    file: File,
    length: u64,
}

impl LocalFile {
    /// Errors: what opening gave, or no regular file.
    pub fn open(path: &Path) -> io::Result<Self> {
        // Looked at before it is opened: opening a pipe waits for somebody to write to it.
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let file = File::open(path)?;
        Ok(Self { name: path.display().to_string(), file, length: metadata.len() })
    }
}

impl Input for LocalFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> u64 {
        self.length
    }

    /// What the next read finds in the cache again, and the allocator need not ask the system for.
    fn piece(&self) -> u64 {
        512 << 10
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes.into())
    }
}

/// An input read in few large pieces, however small those are that are asked for.
pub(super) struct Window {
    input: Arc<dyn Input>,
    /// Up to where it is worth reading ahead.
    end: u64,
    /// The piece read last, and where it begins.
    block: Mutex<(u64, Bytes)>,
}

impl Window {
    pub fn new(input: &Arc<dyn Input>, end: u64) -> Self {
        Self { input: input.clone(), end: end.min(input.len()), block: Mutex::default() }
    }

    pub fn whole(input: &Arc<dyn Input>) -> Self {
        Self::new(input, u64::MAX)
    }

    fn bytes(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let mut block = self.block.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = offset..offset.saturating_add(length as u64);
        let known = block.0..block.0 + block.1.len() as u64;
        if !(known.start <= wanted.start && wanted.end <= known.end) {
            let ahead = self.input.piece().min(self.end.saturating_sub(offset));
            *block = (offset, self.input.read_at(offset, length.max(ahead as usize))?);
        }
        let start = (offset - block.0) as usize;
        Ok(block.1.slice(start..start + length))
    }
}

impl Length for Window {
    fn len(&self) -> u64 {
        self.input.len()
    }
}

impl ChunkReader for Window {
    type T = Reader;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Reader> {
        let block = self.block.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let window = Self { input: self.input.clone(), end: self.end, block: Mutex::new(block) };
        Ok(Reader { window, position: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        Ok(self.bytes(start, length)?)
    }
}

/// Reads a window from some place on.
pub(super) struct Reader {
    window: Window,
    position: u64,
}

impl Reader {
    pub fn new(window: Window) -> Self {
        Self { window, position: 0 }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.window.input.len().saturating_sub(self.position);
        let length = (buffer.len() as u64).min(left) as usize;
        buffer[..length].copy_from_slice(&self.window.bytes(self.position, length)?);
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(target) => Some(target),
            SeekFrom::End(by) => self.window.input.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
