//! Merging the chunks of a table in their order, in whatever order they are done.

use super::invalid::{Invalid, require};
use std::collections::BTreeMap;

/// Merges chunk 0, 1, 2 and so on. A chunk that is done before its turn waits.
#[derive(Debug)]
pub struct Chunks<T> {
    merged: Option<T>,
    next: u64,
    waiting: BTreeMap<u64, T>,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { merged: None, next: 0, waiting: BTreeMap::new() }
    }
}

impl<T> Chunks<T> {
    /// Takes what was made of a chunk. Errors: a chunk there was already, or those of `merge`.
    pub fn add(
        &mut self,
        chunk: u64,
        part: T,
        merge: impl Fn(T, T) -> Result<T, Invalid>,
    ) -> Result<(), Invalid> {
        let known = chunk < self.next || self.waiting.contains_key(&chunk);
        require(!known, "the same chunk twice")?;
        self.waiting.insert(chunk, part);
        while let Some(part) = self.waiting.remove(&self.next) {
            self.next += 1;
            self.merged = Some(match self.merged.take() {
                Some(merged) => merge(merged, part)?,
                None => part,
            });
        }
        Ok(())
    }

    /// Chunks that wait for one before them: whoever reads ahead can keep this small.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// All chunks merged; absent when there were none. Errors: a chunk is missing.
    pub fn finish(self) -> Result<Option<T>, Invalid> {
        require(self.waiting.is_empty(), &format!("chunk {} is missing", self.next))?;
        Ok(self.merged)
    }
}
