//! What files are, byte for byte.

use crate::drift::profile::Seed;
use crate::error::{Error, Result};
use crate::tables::Input;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const BLOCK: u64 = 4 << 20;

/// The SHA-256 of each file, in hexadecimal digits. Errors: a file cannot be read.
pub(super) fn digests(inputs: &[Arc<dyn Input>], threads: usize) -> Result<Vec<String>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = vec![];
        while let Some((index, input)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|index| Some((index, inputs.get(index)?)))
        {
            done.push((index, digest(&**input)));
        }
        done
    };
    let mut all: Vec<(usize, Result<String>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(inputs.len())).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, digest)| digest).collect()
}

fn digest(input: &dyn Input) -> Result<String> {
    let mut digest = Sha256::new();
    let mut offset = 0;
    while offset < input.len() {
        let length = BLOCK.min(input.len() - offset);
        let bytes = input.read_at(offset, length as usize).map_err(|error| {
            Error::unavailable("table_unavailable", format!("cannot read {}: {error}", input.name()))
        })?;
        digest.update(&bytes);
        offset += length;
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The seed of sketches of these files.
pub(super) fn seed(digests: &[String]) -> Seed {
    let digest = Sha256::digest(digests.concat());
    Seed(digest.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte)))
}
