//! What files are, byte for byte.

use super::side::guarded;
use crate::drift::profile::Seed;
use crate::error::{Error, Result};
use crate::tables::Input;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// So much of the end of a file tells it from others that are profiled beside it.
const END: u64 = 1 << 20;

/// The SHA-256 of each file, in hexadecimal digits. Errors: a file cannot be read, or it was stopped.
pub(super) fn digests(
    inputs: &[Arc<dyn Input>],
    threads: usize,
    is_stopped: &AtomicBool,
) -> Result<Vec<String>> {
    let whole = |input: &dyn Input| digest(input, Sha256::new(), 0, is_stopped);
    let hex = |digest: [u8; 32]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(each(inputs, threads, whole)?.into_iter().map(hex).collect())
}

/// The seed of sketches of these files: from the digests of their lengths and ends. That of all they hold would take as long as
/// all else, and has to be known before.
pub(super) fn seed(inputs: &[Arc<dyn Input>], threads: usize) -> Result<Seed> {
    let end = |input: &dyn Input| {
        let length = Sha256::new().chain_update(input.len().to_le_bytes());
        digest(input, length, input.len().saturating_sub(END), &AtomicBool::new(false))
    };
    let digest = Sha256::digest(each(inputs, threads, end)?.concat());
    Ok(Seed(digest.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))))
}

/// What is found of each file, on many cores.
fn each<T: Send>(
    inputs: &[Arc<dyn Input>],
    threads: usize,
    find: impl Fn(&dyn Input) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = vec![];
        while let Some((index, input)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|index| Some((index, inputs.get(index)?)))
        {
            done.push((index, guarded(|| find(&**input))));
        }
        done
    };
    let mut all: Vec<(usize, Result<T>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(inputs.len())).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, found)| found).collect()
}

/// Of what lies behind an offset, after what was digested before.
fn digest(
    input: &dyn Input,
    mut digest: Sha256,
    mut offset: u64,
    is_stopped: &AtomicBool,
) -> Result<[u8; 32]> {
    while offset < input.len() {
        if is_stopped.load(Ordering::Relaxed) {
            return Err(Error::internal("digest_stopped", "nobody wants the digests any more"));
        }
        let length = input.piece().min(input.len() - offset);
        let bytes = input.read_at(offset, length as usize).map_err(|error| {
            Error::unavailable("table_unavailable", format!("cannot read {}: {error}", input.name()))
        })?;
        digest.update(&bytes);
        offset += length;
    }
    Ok(digest.finalize().into())
}
