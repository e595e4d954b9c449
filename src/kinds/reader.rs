//! Ranged reads with a budget: whatever a hostile file claims, looking at it costs bounded time and
//! memory, and running out of budget is an error like any other (so the answer becomes `unknown`).

use super::Source;
use crate::error::{Error, Result};
use std::cell::Cell;
use std::io;

/// The most one read may ask for.
pub(super) const MAX_READ: usize = 16 << 20;
const ARTIFACT_BUDGET: u64 = 256 << 20;
/// What looking at the head and the tail of one file may take.
const FILE_BUDGET: u64 = 192 << 10;

/// How many bytes may still be read (or inflated) for one artifact.
pub(super) struct Budget(Cell<u64>);

impl Budget {
    pub(super) fn for_files(count: usize) -> Self {
        Self(Cell::new(ARTIFACT_BUDGET + FILE_BUDGET * count as u64))
    }

    pub(super) fn spend(&self, bytes: usize) -> Result<()> {
        match self.0.get().checked_sub(bytes as u64) {
            Some(left) => {
                self.0.set(left);
                Ok(())
            }
            None => {
                self.0.set(0);
                Err(Error::too_large(
                    "inspection_budget",
                    "more bytes to look at than an inspection may read",
                ))
            }
        }
    }
}

pub(super) fn malformed(message: impl Into<String>) -> Error {
    Error::invalid("artifact_malformed", message)
}

fn truncated(offset: u64) -> Error {
    malformed(format!("the file ends early: offset {offset}"))
}

/// Budgeted access to one source.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) budget: &'a Budget,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a dyn Source, budget: &'a Budget) -> Self {
        Self { source, budget }
    }

    pub(super) fn size(&self) -> u64 {
        self.source.size()
    }

    /// Exactly `length` bytes; a shorter answer is an error.
    pub(super) fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        if offset.checked_add(length as u64).is_none_or(|end| end > self.size()) {
            return Err(truncated(offset));
        }
        if length > MAX_READ {
            return Err(Error::too_large(
                "inspection_budget",
                format!("a part is too large to read: {length} bytes"),
            ));
        }
        self.budget.spend(length)?;
        let bytes = self.source.read_at(offset, length)?;
        if bytes.len() == length { Ok(bytes) } else { Err(truncated(offset)) }
    }

    /// The first bytes, at most `length`, fewer if the file is shorter.
    pub(super) fn head(&self, length: usize) -> Result<Vec<u8>> {
        self.read(0, self.size().min(length as u64) as usize)
    }

    /// The whole file, if it is at most `limit` bytes.
    pub(super) fn whole(&self, limit: usize) -> Result<Vec<u8>> {
        if self.size() > limit as u64 {
            return Err(Error::too_large(
                "inspection_budget",
                format!("larger than the {limit} bytes that are read of such a file: {} bytes", self.size()),
            ));
        }
        self.read(0, self.size() as usize)
    }

    pub(super) fn cursor(self) -> Cursor<'a> {
        Cursor {
            reader: self,
            position: 0,
            end: self.size(),
            window: Vec::new(),
            start: 0,
            chunk: FIRST_CHUNK,
        }
    }
}

/// A part of a source, itself a source: a member of an archive.
pub(super) struct Slice<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) offset: u64,
    pub(super) size: u64,
}

impl Source for Slice<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let length = self.size.saturating_sub(offset).min(length as u64) as usize;
        self.source.read_at(self.offset.saturating_add(offset), length)
    }
}

const FIRST_CHUNK: usize = 4 << 10;
const LAST_CHUNK: usize = 256 << 10;

/// Reads forward, skips without reading, and never past `end`.
pub(super) struct Cursor<'a> {
    reader: Reader<'a>,
    position: u64,
    end: u64,
    window: Vec<u8>,
    start: u64,
    /// Grows while reading on, starts small again after a skip: files with many small parts between
    /// large ones must not cost a large read for each.
    chunk: usize,
}

impl Cursor<'_> {
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn remaining(&self) -> u64 {
        self.end - self.position
    }

    /// The bytes at hand: never empty unless the cursor is at its end.
    fn at_hand(&mut self) -> Result<&[u8]> {
        let used = (self.position - self.start) as usize;
        if used >= self.window.len() && self.remaining() > 0 {
            let length = self.remaining().min(self.chunk as u64) as usize;
            self.window = self.reader.read(self.position, length)?;
            self.start = self.position;
            self.chunk = (self.chunk * 4).min(LAST_CHUNK);
        }
        let used = (self.position - self.start) as usize;
        Ok(self.window.get(used..).unwrap_or_default())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        let mut filled = 0;
        while let Some(rest) = array.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let count = self.copy_into(rest)?;
            if count == 0 {
                return Err(truncated(self.position));
            }
            filled += count;
        }
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u32_le(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64_le(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// `length` bytes, of which only the first `keep` are returned; the rest is skipped.
    pub(super) fn bytes(&mut self, length: u64, keep: usize) -> Result<Vec<u8>> {
        if length > self.remaining() {
            return Err(truncated(self.position));
        }
        let mut kept = vec![0; length.min(keep as u64) as usize];
        let mut filled = 0;
        while let Some(rest) = kept.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            filled += self.copy_into(rest)?;
        }
        self.skip(length - kept.len() as u64)?;
        Ok(kept)
    }

    pub(super) fn skip(&mut self, length: u64) -> Result<()> {
        if length > self.remaining() {
            return Err(truncated(self.position));
        }
        self.position += length;
        if self.position - self.start > self.window.len() as u64 {
            self.window.clear();
            self.start = self.position;
            self.chunk = FIRST_CHUNK;
        }
        Ok(())
    }

    /// Up to and without the next newline, which must come; the first `keep` bytes are returned.
    pub(super) fn line(&mut self, keep: usize) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            let at_hand = self.at_hand()?;
            if at_hand.is_empty() {
                return Err(truncated(self.position));
            }
            let newline = at_hand.iter().position(|byte| *byte == b'\n');
            let part = &at_hand[..newline.unwrap_or(at_hand.len())];
            let wanted = part.len().min(keep.saturating_sub(line.len()));
            line.extend_from_slice(&part[..wanted]);
            let passed = part.len() as u64 + u64::from(newline.is_some());
            self.skip(passed)?;
            if newline.is_some() {
                return Ok(line);
            }
        }
    }

    fn copy_into(&mut self, target: &mut [u8]) -> Result<usize> {
        let at_hand = self.at_hand()?;
        let count = at_hand.len().min(target.len());
        target[..count].copy_from_slice(&at_hand[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl io::Read for Cursor<'_> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        self.copy_into(target).map_err(|error| io::Error::other(error.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_skips_and_never_past_the_end() {
        let bytes: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        let budget = Budget::for_files(1);
        let mut cursor = Reader::new(&bytes, &budget).cursor();
        assert_eq!(cursor.array::<5000>().unwrap()[..], bytes[..5000]);
        cursor.skip(150_000).unwrap();
        assert_eq!(cursor.bytes(10_000, 3).unwrap(), bytes[155_000..155_003]);
        assert_eq!((cursor.position(), cursor.remaining()), (165_000, 35_000));
        assert!(cursor.skip(35_001).is_err() && cursor.bytes(u64::MAX, 1).is_err());
        cursor.skip(34_999).unwrap();
        assert_eq!(cursor.u32_le().unwrap_err().code, "artifact_malformed");
    }

    #[test]
    fn lines_may_be_longer_than_any_chunk() {
        let mut bytes = vec![b'x'; 700_000];
        bytes.extend_from_slice(b"\nsecond\nno end");
        let budget = Budget::for_files(1);
        let mut cursor = Reader::new(&bytes, &budget).cursor();
        assert_eq!(cursor.line(4).unwrap(), b"xxxx");
        assert_eq!(cursor.line(99).unwrap(), b"second");
        assert!(cursor.line(99).is_err());
    }

    #[test]
    fn the_budget_ends() {
        let bytes = vec![0; 1 << 20];
        let budget = Budget(Cell::new((1 << 20) + 10));
        let reader = Reader::new(&bytes, &budget);
        assert!(reader.whole(1 << 20).is_ok());
        assert_eq!(reader.head(11).unwrap_err().code, "inspection_budget");
        assert!(reader.head(1).is_err(), "an exhausted budget stays exhausted");
        assert_eq!(reader.read(0, MAX_READ + 1).unwrap_err().code, "artifact_malformed");
    }

    #[test]
    fn a_slice_cannot_see_beyond_itself() {
        let bytes = b"0123456789".to_vec();
        let slice = Slice { source: &bytes, offset: 2, size: 3 };
        assert_eq!(slice.read_at(1, 100).unwrap(), b"34");
        assert_eq!(slice.read_at(9, 1).unwrap(), b"");
    }
}
