//! The most frequent of many strings, in bounded memory.

use super::invalid::{Invalid, require};
use super::{MAX_ROWS, add_rows};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

pub(super) const MAX_CATEGORIES: u32 = 65_536;
/// Bytes of a name kept as it is. A longer one becomes its beginning and a digest of all of it, and is then longer
/// than any name kept as it is: the two cannot be taken for each other.
const MAX_NAME: usize = 128;
const MARK: &str = "…sha256:";
const DIGEST: usize = 32;

/// Counts of strings: exact while at most `capacity` different ones were seen. Beyond, each count is too low by at
/// most [`Self::error`], which is at most `total / (capacity + 1)`; strings not listed occurred at most so often.
///
/// Misra and Gries, "Finding repeated elements", Science of Computer Programming 2(2), 1982; merged after Agarwal,
/// Cormode, Huang, Phillips, Wei and Yi, "Mergeable summaries", PODS 2012, section 3, which keeps the bound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Frequent {
    capacity: u32,
    total: u64,
    error: u64,
    #[serde(serialize_with = "write_sorted", deserialize_with = "read_unique")]
    #[schemars(with = "BTreeMap<String, u64>")]
    counts: HashMap<Box<str>, u64>,
}

impl Frequent {
    /// Room for this many different strings, 1 to 65,536. Errors: another number.
    pub fn new(capacity: u32) -> Result<Self, Invalid> {
        let empty = Self { capacity, total: 0, error: 0, counts: HashMap::new() };
        empty.check().map(|()| empty)
    }

    /// All strings that were added.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// By how much a count may be too low, at most.
    pub fn error(&self) -> u64 {
        self.error
    }

    /// Whether every string is listed with its true count.
    pub fn is_exact(&self) -> bool {
        self.error == 0
    }

    /// At least so often did the string occur; at most [`Self::error`] more.
    pub fn count(&self, item: &str) -> u64 {
        self.counts.get(&*shorten(item)).copied().unwrap_or(0)
    }

    /// The strings listed with their counts, the most frequent first, those of one count by name.
    pub fn items(&self) -> Vec<(&str, u64)> {
        let mut items: Vec<(&str, u64)> = self.counts.iter().map(|(item, count)| (&**item, *count)).collect();
        items.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        items
    }

    /// Occurrences not in any count: 0 when exact.
    pub fn unlisted(&self) -> u64 {
        self.total - self.counts.values().sum::<u64>()
    }

    pub fn add(&mut self, item: &str) {
        self.add_short(&shorten(item), 1);
    }

    /// Adds a string that is short, or was made so, at least once; tells whether it was not listed.
    pub(super) fn add_short(&mut self, item: &str, times: u64) -> bool {
        self.total += times;
        if let Some(count) = self.counts.get_mut(item) {
            *count += times;
            return false;
        }
        self.counts.insert(item.into(), times);
        self.shrink();
        true
    }

    /// The counts of both, in the smaller of the two capacities. Errors: more than [`MAX_ROWS`] strings.
    pub fn merge(&self, other: &Self) -> Result<Self, Invalid> {
        let total = add_rows(self.total, other.total)?;
        let (mut merged, less) = if self.counts.len() < other.counts.len() {
            (other.clone(), self)
        } else {
            (self.clone(), other)
        };
        for (item, count) in &less.counts {
            *merged.counts.entry(item.clone()).or_default() += count;
        }
        merged.capacity = self.capacity.min(other.capacity);
        (merged.total, merged.error) = (total, self.error + other.error);
        merged.shrink();
        Ok(merged)
    }

    /// Back to the capacity: with c of room, the count that is (c + 1)st is taken from all, and what has none left
    /// goes. Each unit of error so costs c + 1 occurrences, which is why it stays below total / (c + 1), and why the
    /// work for it is constant per string on average.
    fn shrink(&mut self) {
        let capacity = self.capacity as usize;
        if self.counts.len() <= capacity {
            return;
        }
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        let cut = *counts.select_nth_unstable_by(capacity, |a, b| b.cmp(a)).1;
        self.error += cut;
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(cut);
            *count > 0
        });
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        require((1..=MAX_CATEGORIES).contains(&self.capacity), "room for 1 to 65,536 categories")?;
        require(self.counts.len() <= self.capacity as usize, "more categories than there is room for")?;
        require(self.counts.keys().all(|item| is_name(item)), "the name of a category is too long")?;
        require(self.counts.values().all(|count| *count > 0), "a category without a count")?;
        let listed = self.counts.values().try_fold(0, |sum, count| add_rows(sum, *count))?;
        require(listed <= self.total && self.total <= MAX_ROWS, "more in the categories than in total")?;
        let lost = u128::from(self.total - listed);
        let cost = u128::from(self.error) * (u128::from(self.capacity) + 1);
        require(cost <= lost && (self.error > 0 || lost == 0), "the error of the categories is not theirs")
    }
}

/// The string itself, or the beginning and the digest of a long one.
pub(super) fn shorten(item: &str) -> Cow<'_, str> {
    if item.len() <= MAX_NAME {
        return Cow::Borrowed(item);
    }
    let mut short = String::from(&item[..item.floor_char_boundary(MAX_NAME)]);
    short.push_str(MARK);
    for byte in &Sha256::digest(item)[..DIGEST / 2] {
        // Writing to a string does not fail.
        let _ = write!(short, "{byte:02x}");
    }
    Cow::Owned(short)
}

fn is_name(item: &str) -> bool {
    let shortened = || {
        let (start, digest) = item.rsplit_once(MARK)?;
        let hex = digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        Some(hex && digest.len() == DIGEST && (MAX_NAME - 3..=MAX_NAME).contains(&start.len()))
    };
    item.len() <= MAX_NAME || shortened() == Some(true)
}

fn write_sorted<S: Serializer>(counts: &HashMap<Box<str>, u64>, out: S) -> Result<S::Ok, S::Error> {
    out.collect_map(counts.iter().collect::<BTreeMap<_, _>>())
}

fn read_unique<'de, D: Deserializer<'de>>(input: D) -> Result<HashMap<Box<str>, u64>, D::Error> {
    // Duplicate names are not found here, but by the comparison of the text with that of what was read.
    HashMap::deserialize(input)
}

#[cfg(test)]
mod tests {
    use super::super::hash::mix;
    use super::*;

    fn of(capacity: u32, items: impl Iterator<Item = u64>) -> Frequent {
        let mut frequent = Frequent::new(capacity).unwrap();
        items.for_each(|item| frequent.add(&item.to_string()));
        frequent.check().unwrap();
        frequent
    }

    #[test]
    fn few_categories_are_counted_exactly() {
        let all = of(10, (0..1_000).map(|i| i % 10));
        assert!(all.is_exact() && all.unlisted() == 0 && all.total() == 1_000);
        assert_eq!(all.items()[..2], [("0", 100), ("1", 100)]);
        let [a, b] = [0..400, 400..1_000].map(|range| of(10, range.map(|i| i % 10)));
        assert_eq!(a.merge(&b).unwrap(), all);
        assert_eq!(b.merge(&a).unwrap(), all);
    }

    /// Zipf-like: item k with a chance of about 1 / (k (k + 1)), and a new one each third time.
    fn exploding(seed: u64) -> impl Iterator<Item = u64> {
        (0..24_000).map(move |i| {
            let random = mix(seed << 32 | i);
            if random.is_multiple_of(3) {
                1_000_000 + i
            } else {
                ((1u64 << 53) / (1 + (random >> 11))).min(900_000)
            }
        })
    }

    #[test]
    fn counts_stay_within_the_stated_error_however_parts_are_merged() {
        for seed in 0..6 {
            let mut truth = HashMap::<u64, u64>::new();
            exploding(seed).for_each(|item| *truth.entry(item).or_default() += 1);
            let parts: Vec<Frequent> =
                (0..6).map(|part| of(64, exploding(seed).skip(part * 4_000).take(4_000))).collect();
            let merge = |a: &Frequent, b: &Frequent| a.merge(b).unwrap();
            let in_order = parts[1..].iter().fold(parts[0].clone(), |sum, part| merge(&sum, part));
            let backwards = parts.iter().rev().skip(1).fold(parts[5].clone(), |sum, part| merge(part, &sum));
            let tree = merge(
                &merge(&merge(&parts[4], &parts[1]), &parts[0]),
                &merge(&parts[3], &merge(&parts[2], &parts[5])),
            );
            for summary in [of(64, exploding(seed)), in_order, backwards, tree] {
                summary.check().unwrap();
                assert!(!summary.is_exact() && summary.error() <= 24_000 / 65 && summary.counts.len() <= 64);
                for (item, count) in &truth {
                    let low = summary.count(&item.to_string());
                    assert!(low <= *count && *count <= low + summary.error(), "{item}: {low} of {count}");
                }
            }
        }
    }

    #[test]
    fn long_names_are_cut_and_still_told_apart() {
        let long = "é".repeat(300);
        let [a, b] = [format!("x{long}a"), format!("x{long}b")];
        let mut frequent = Frequent::new(8).unwrap();
        [&a, &b, &a].into_iter().for_each(|item| frequent.add(item));
        frequent.check().unwrap();
        assert_eq!((frequent.count(&a), frequent.count(&b), frequent.items().len()), (2, 1, 2));
        assert!(frequent.items().iter().all(|(item, _)| item.len() <= MAX_NAME + MARK.len() + DIGEST));
        assert!(!is_name(&"a".repeat(MAX_NAME + 1)) && is_name(&"a".repeat(MAX_NAME)));
    }

    #[test]
    fn room_has_bounds() {
        assert!(Frequent::new(0).is_err() && Frequent::new(65_537).is_err());
        let one = of(1, (0..10).map(|i| i / 7));
        assert_eq!((one.items(), one.error()), (vec![("0", 4)], 3));
    }
}
