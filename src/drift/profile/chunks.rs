//! Merging the chunks of a table in their order, in whatever order they are done.

use super::Profile;
use super::invalid::{Invalid, require};
use std::collections::BTreeMap;

/// Merges chunk 0, 1, 2 and so on. A chunk that is done before its turn waits.
#[derive(Debug, Default)]
pub struct Chunks {
    merged: Option<Profile>,
    next: u64,
    waiting: BTreeMap<u64, Profile>,
}

impl Chunks {
    /// Takes the profile of a chunk. Errors: a chunk there was already, or one that cannot be merged with those
    /// before it.
    pub fn add(&mut self, chunk: u64, profile: Profile) -> Result<(), Invalid> {
        let known = chunk < self.next || self.waiting.contains_key(&chunk);
        require(!known, "the same chunk twice")?;
        self.waiting.insert(chunk, profile);
        while let Some(profile) = self.waiting.remove(&self.next) {
            self.next += 1;
            self.merged = Some(match self.merged.take() {
                Some(merged) => merged.merge(&profile)?,
                None => profile,
            });
        }
        Ok(())
    }

    /// Chunks that wait for one before them: whoever reads ahead can keep this small.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The profile of all chunks; absent when there were none. Errors: a chunk is missing.
    pub fn finish(self) -> Result<Option<Profile>, Invalid> {
        require(self.waiting.is_empty(), &format!("chunk {} is missing", self.next))?;
        Ok(self.merged)
    }
}
