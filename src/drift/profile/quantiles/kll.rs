use super::super::invalid::{Invalid, require};
use super::super::packed::Packed;
use super::super::{MAX_ROWS, Seed, ascending};
use super::exact::{Exact, is_negative_zero};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Levels a sketch of [`MAX_ROWS`] values can have.
const MAX_LEVELS: usize = MAX_ROWS.ilog2() as usize + 1;
/// No level is smaller: the lowest levels weigh next to nothing.
const MIN_CAPACITY: usize = 16;

/// The sketch of Karnin, Lang and Liberty, "Optimal quantile approximation in streams", FOCS 2016 (arXiv:1603.05346):
/// level h holds values that stand for 2^h rows each. A level that is too full is *compacted*: of its sorted values
/// every other one moves up, and a coin decides whether the even or the odd ones. That moves the rank of any x by 0
/// or by 2^h, up or down by the coin.
///
/// Two refinements: levels are compacted only while all of them together are too large; and coins come in opposite
/// pairs (Ivkin, Liberty, Lang, Karnin and Braverman, "Streaming quantiles algorithms with small space and update
/// time", arXiv:1907.00236), so that a pair together moves a rank by at most 2^h.
///
/// With c_h coins flipped for level h the error of a rank is then a sum of independent terms, each at most 2^h and as
/// often up as down, and by Hoeffding's inequality exceeds t with a chance of at most 2 exp(-t^2 / (2 Σ c_h 4^h)). It
/// does not depend on the order or on the distribution of the values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Kll {
    levels: Vec<Level>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Level {
    /// Ascending.
    values: Packed<f64>,
    /// How often the level was compacted, as a whole or in one of its pairs; rounded up where coins would be torn from their pairs.
    compactions: u64,
}

impl Kll {
    /// The same points: the bits of a count choose the levels of a value.
    pub fn of(exact: &Exact) -> Self {
        let mut sketch = Self::default();
        for (value, count) in exact.points() {
            let mut bits = *count;
            while bits != 0 {
                sketch.level(bits.trailing_zeros() as usize).values.0.push(*value);
                bits &= bits - 1;
            }
        }
        sketch
    }

    pub fn add_sorted(&mut self, values: &[f64]) {
        self.level(0).add(values.iter().copied());
    }

    /// Adds values in any order, of each 2^`halvings` only one: they are compacted in pairs, which need not be sorted before.
    /// The error grows by that of so many compactions more, which are counted like all others.
    pub fn add_halved(&mut self, seed: Seed, mut values: Vec<f64>, halvings: usize) {
        let rest = values.split_off(values.len() >> halvings << halvings);
        for h in 0..halvings {
            let pairs = values.len() / 2;
            let level = self.level(h);
            // Pairs of coins are not torn apart.
            let first = level.compactions.next_multiple_of(64);
            level.compactions = first + pairs.next_multiple_of(2) as u64;
            for block in 0..pairs.div_ceil(64) {
                let coins = seed.coins(h, first / 64 + block as u64);
                for pair in 64 * block..pairs.min(64 * (block + 1)) {
                    let (a, b) = (values[2 * pair], values[2 * pair + 1]);
                    let is_upper = coins >> (pair % 64) & 1 == 1;
                    values[pair] = if (a < b) == is_upper { b } else { a };
                }
            }
            values.truncate(pairs);
        }
        for (h, mut values) in [(0, rest), (halvings, values)] {
            values.sort_unstable_by(ascending);
            self.level(h).add(values.into_iter());
        }
    }

    pub fn merge(mut self, mut other: Self) -> Self {
        // Pairs stay within one sketch: what is left open is closed.
        for level in self.levels.iter_mut().chain(&mut other.levels) {
            level.compactions = level.compactions.next_multiple_of(2);
        }
        for (h, level) in other.levels.into_iter().enumerate() {
            let mine = self.level(h);
            mine.add(level.values.0.into_iter());
            mine.compactions += level.compactions;
        }
        self
    }

    fn level(&mut self, h: usize) -> &mut Level {
        if self.levels.len() <= h {
            self.levels.resize_with(h + 1, Level::default);
        }
        &mut self.levels[h]
    }

    fn len(&self) -> usize {
        self.levels.iter().map(|level| level.values.0.len()).sum()
    }

    /// Compacts the lowest level that is full until all levels of a sketch of `count` values together have room.
    pub fn compress(&mut self, seed: Seed, k: u32, count: u64) {
        let capacities = capacities(k, count);
        let room: usize = capacities.iter().sum();
        let mut len = self.len();
        while len > room {
            let full = self.levels.iter().enumerate().position(|(h, level)| {
                level.values.0.len() >= capacities.get(h).map_or(k as usize, |capacity| *capacity)
            });
            // None where heavy values beyond the top take the room; they are few.
            let Some(h) = full else { return };
            len -= self.compact(seed, h);
        }
    }

    /// Moves half of a level up; returns how many values that saved.
    fn compact(&mut self, seed: Seed, h: usize) -> usize {
        let level = self.level(h);
        let values = std::mem::take(&mut level.values.0);
        // Of an odd number the lowest stays.
        let (stays, pairs) = values.split_at(values.len() % 2);
        level.values.0.extend_from_slice(stays);
        let odd = usize::from(seed.coin(h, level.compactions));
        level.compactions += 1;
        self.level(h + 1).add(pairs.as_chunks::<2>().0.iter().map(|pair| pair[odd]));
        pairs.len() / 2
    }

    pub fn points(&self) -> Vec<(f64, u64)> {
        let weighted = self.levels.iter().enumerate();
        let mut points: Vec<(f64, u64)> = weighted
            .flat_map(|(h, level)| level.values.0.iter().map(move |value| (*value, 1 << h)))
            .collect();
        points.sort_by(|a, b| ascending(&a.0, &b.0));
        points.dedup_by(|next, point| {
            let same = next.0 == point.0;
            point.1 += if same { next.1 } else { 0 };
            same
        });
        points
    }

    pub fn rank(&self, x: f64) -> u64 {
        let below = |level: &Level| level.values.0.partition_point(|value| *value <= x) as u64;
        self.levels.iter().enumerate().map(|(h, level)| below(level) << h).sum()
    }

    /// What the rank of one x is off by at most, in rows, but for a chance of `delta`.
    pub fn error(&self, delta: f64) -> f64 {
        let coins = self.levels.iter().map(|level| level.compactions.div_ceil(2));
        let squares: f64 = coins.enumerate().map(|(h, coins)| coins as f64 * 4f64.powi(h as i32)).sum();
        (2.0 * squares * (2.0 / delta).ln()).sqrt()
    }

    pub fn check(&self, k: u32, count: u64, (min, max): (f64, f64)) -> Result<(), Invalid> {
        require((1..=MAX_LEVELS).contains(&self.levels.len()), "the number of levels")?;
        let room = capacities(k, count).iter().sum::<usize>() + k as usize;
        require(self.len() <= room, "more values than a sketch has room for")?;
        let mut total = 0u128;
        for (h, level) in self.levels.iter().enumerate() {
            let values = &level.values.0;
            total += (values.len() as u128) << h;
            require(values.iter().all(|value| (min..=max).contains(value)), "a value out of range")?;
            require(values.is_sorted(), "the values of a level do not rise")?;
            require(!values.iter().any(|value| is_negative_zero(*value)), "a negative zero")?;
            // Each compaction takes at least two values, and each row passes a level once.
            require(level.compactions <= count >> h, "more compactions than values")?;
        }
        require(total == u128::from(count), "the weights do not sum up to the number of values")
    }
}

impl Level {
    fn add(&mut self, ascending_values: impl Iterator<Item = f64>) {
        let known = self.values.0.len();
        self.values.0.extend(ascending_values);
        // Two ascending runs: the standard sort finds and merges them.
        if known > 0 {
            self.values.0.sort_by(ascending);
        }
    }
}

/// The room of each level: k at the top, and each level below two thirds of the one above. The number of levels
/// follows from the number of values, so that sketches merged in any order agree.
fn capacities(k: u32, count: u64) -> Vec<usize> {
    let top = (0..MAX_LEVELS).find(|h| u64::from(k) << h >= count).unwrap_or(MAX_LEVELS);
    let mut capacities: Vec<usize> =
        std::iter::successors(Some(k as usize), |above| Some((above * 2 / 3).max(MIN_CAPACITY)))
            .take(top + 1)
            .collect();
    capacities.reverse();
    capacities
}
