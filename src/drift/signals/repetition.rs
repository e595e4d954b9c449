//! How much a text repeats itself.

use super::words::{Word, mix};
use super::{Kind, Signal, Text, Value};

/// As much as places are remembered of.
const COMPRESSED: usize = 32 << 10;
/// Below this the ratio says how short the text is and nothing else.
const LEAST_BYTES: usize = 64;
/// Shares of distinct n-grams fall with the length; of no more than these they can be compared.
const WORDS: usize = 1_000;

pub(super) fn signals() -> Vec<Signal> {
    vec![
        Signal::new(
            "compression",
            Kind::Numeric,
            "what is left when what came before is referred to (LZ77), by bytes, of the first 32 KiB, 0 to 1",
            compression,
        ),
        Signal::new(
            "distinct_2",
            Kind::Numeric,
            "different pairs of words by all pairs, of the first 1,000 words, 0 to 1 (Li et al. 2016, distinct-n)",
            |text| distinct(text.words(), 2),
        ),
        Signal::new(
            "distinct_3",
            Kind::Numeric,
            "different triples of words by all triples, of the first 1,000 words, 0 to 1",
            |text| distinct(text.words(), 3),
        ),
        Signal::new(
            "repeated_lines",
            Kind::Numeric,
            "the most equal lines in a row; empty ones and space around them do not count",
            repeated_lines,
        ),
    ]
}

/// The bytes a byte of its own takes, and a reference to earlier ones.
const LITERAL: usize = 1;
const REFERENCE: usize = 3;
/// The least that is referred to.
const LEAST_MATCH: usize = 4;
/// Places that are remembered, by the hash of what is there.
const PLACES: usize = 1 << 12;

/// A greedy parse after Lempel and Ziv (1977), as LZ4 does it, that counts what it would write. An entropy coder would
/// make all texts shorter and tell little more of them, at many times the cost; and what the coder of some library
/// writes can change with its release, which would look like drift.
fn compression(text: &Text<'_>) -> Value {
    let bytes = text.as_str().as_bytes();
    let bytes = &bytes[..bytes.len().min(COMPRESSED)];
    if bytes.len() < LEAST_BYTES {
        return Value::Missing;
    }
    // One more than the place, so that 0 is none.
    let mut places = [0_u16; PLACES];
    let (mut at, mut written) = (0, 0);
    while let Some(head) = bytes[at..].first_chunk::<LEAST_MATCH>() {
        let hash = u32::from_le_bytes(*head).wrapping_mul(0x9e37_79b1) >> 20;
        let place = std::mem::replace(&mut places[hash as usize], at as u16 + 1);
        let earlier = usize::from(place).checked_sub(1).map(|place| &bytes[place..]);
        let same = |earlier: &[u8]| earlier.iter().zip(&bytes[at..]).take_while(|(a, b)| a == b).count();
        match earlier.map_or(0, same) {
            length @ LEAST_MATCH.. => (at, written) = (at + length, written + REFERENCE),
            _ => (at, written) = (at + 1, written + LITERAL),
        }
    }
    Value::number((written + bytes.len() - at) as f64 / bytes.len() as f64)
}

fn distinct(words: &[Word], n: usize) -> Value {
    let words = &words[..words.len().min(WORDS)];
    let hash = |gram: &[Word]| gram.iter().fold(0, |hash, word| mix(word.hash.wrapping_add(hash)));
    let mut grams: Vec<u64> = words.windows(n).map(hash).collect();
    let all = grams.len();
    grams.sort_unstable();
    grams.dedup();
    if all == 0 { Value::Missing } else { Value::number(grams.len() as f64 / all as f64) }
}

fn repeated_lines(text: &Text<'_>) -> Value {
    let (mut most, mut run, mut last) = (0, 0, "");
    for line in text.as_str().lines().map(str::trim).filter(|line| !line.is_empty()) {
        run = if line == last { run + 1 } else { 1 };
        last = line;
        most = most.max(run);
    }
    Value::count(most)
}
