//! Where the values of a column lie: all of them while few are different, a KLL sketch beyond.

mod exact;
mod kll;
#[cfg(test)]
mod tests;

use super::invalid::{Invalid, require};
use super::{MAX_ROWS, Seed, Settings, add_rows, ascending};
use exact::Exact;
use kll::Kll;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Numbers added at once, at least: enough to make one sort worth its while, few enough for the fastest cache.
const BLOCK: usize = 4_096;

/// The distribution of finite numbers: every different value with its count while at most `exact_limit` are
/// different, however many rows there are; from then on a sketch whose ranks are off by a stated share of the rows.
/// The same numbers in the same order give the same sketch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quantiles {
    seed: Seed,
    /// The size of the sketch's top level.
    k: u32,
    exact_limit: u32,
    count: u64,
    min: Option<f64>,
    max: Option<f64>,
    kept: Kept,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Exact(Exact),
    Sketch(Kll),
}

impl Quantiles {
    /// No values yet. Errors: settings out of bounds.
    pub fn new(seed: Seed, settings: &Settings) -> Result<Self, Invalid> {
        settings.check()?;
        let (k, exact_limit) = (settings.k, settings.exact_limit);
        let kept = Kept::Exact(Exact::default());
        Ok(Self { seed, k, exact_limit, count: 0, min: None, max: None, kept })
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// The smallest value, exactly.
    pub fn min(&self) -> Option<f64> {
        self.min
    }

    /// The largest value, exactly.
    pub fn max(&self) -> Option<f64> {
        self.max
    }

    /// Whether every value is here with its true count.
    pub fn is_exact(&self) -> bool {
        matches!(self.kept, Kept::Exact(_))
    }

    /// The number of different values, while that is known.
    pub fn different(&self) -> Option<u64> {
        match &self.kept {
            Kept::Exact(exact) => Some(exact.points().len() as u64),
            Kept::Sketch(_) => None,
        }
    }

    /// Adds the finite ones of these numbers, in any order. The sketch depends on how they are cut into slices.
    pub fn add(&mut self, values: &[f64]) {
        let mut rest = values;
        while !rest.is_empty() {
            let (block, later) = rest.split_at(self.block().min(rest.len()));
            let finite = block.iter().filter(|value| value.is_finite());
            let mut sorted: Vec<f64> = finite.map(|value| value + 0.0).collect();
            sorted.sort_unstable_by(ascending);
            self.add_sorted(&sorted);
            rest = later;
        }
    }

    /// How many numbers to add at once: more while many different ones are kept, as each addition passes them all; and as
    /// many as can be kept at first, when all may turn out to be different.
    pub(super) fn block(&self) -> usize {
        match &self.kept {
            Kept::Exact(exact) if exact.points().is_empty() => BLOCK.max(self.exact_limit as usize),
            Kept::Exact(exact) => BLOCK.max(exact.points().len() / 2),
            Kept::Sketch(_) => BLOCK,
        }
    }

    /// Adds finite ascending numbers without -0.
    pub(super) fn add_sorted(&mut self, values: &[f64]) {
        let [Some(first), Some(last)] = [values.first(), values.last()] else { return };
        self.count = self.count.saturating_add(values.len() as u64);
        self.min = Some(self.min.map_or(*first, |min| min.min(*first)));
        self.max = Some(self.max.map_or(*last, |max| max.max(*last)));
        match &mut self.kept {
            Kept::Exact(exact) => exact.add_sorted(values),
            Kept::Sketch(kll) => kll.add_sorted(values),
        }
        self.shrink();
    }

    /// Adds finite numbers without -0, of which the sketch sees one in 2^`halvings`, and after which all there were have this
    /// range. Only where not every value is kept.
    pub(super) fn add_halved(&mut self, values: &[f64], range: Option<(f64, f64)>, halvings: u32) {
        let Kept::Sketch(kll) = &mut self.kept else { return };
        self.count = self.count.saturating_add(values.len() as u64);
        (self.min, self.max) = range.unzip();
        kll.add_halved(self.seed, values.to_vec(), halvings as usize);
        self.shrink();
    }

    /// The distribution of both, with the smaller of the two `k` and `exact_limit`. Which of the two is merged into
    /// which makes no difference; how three are grouped does, within the stated error. The two must stand for
    /// different rows, and their seeds be different: the same coins twice do not cancel.
    /// Errors: more than [`MAX_ROWS`] values.
    pub fn merge(&self, other: &Self) -> Result<Self, Invalid> {
        let kept = match (&self.kept, &other.kept) {
            (Kept::Exact(a), Kept::Exact(b)) => Kept::Exact(a.merge(b)),
            (a, b) => Kept::Sketch(a.to_sketch().merge(b.to_sketch())),
        };
        let mut merged = Self {
            seed: self.seed.and(other.seed),
            k: self.k.min(other.k),
            exact_limit: self.exact_limit.min(other.exact_limit),
            count: add_rows(self.count, other.count)?,
            min: self.min.into_iter().chain(other.min).reduce(f64::min),
            max: self.max.into_iter().chain(other.max).reduce(f64::max),
            kept,
        };
        merged.shrink();
        Ok(merged)
    }

    /// Back to the room there is.
    fn shrink(&mut self) {
        if let Kept::Exact(exact) = &self.kept
            && exact.points().len() > self.exact_limit as usize
        {
            self.kept = Kept::Sketch(self.kept.to_sketch());
        }
        if let Kept::Sketch(kll) = &mut self.kept {
            kll.compress(self.seed, self.k, self.count);
        }
    }

    /// The values kept, ascending and each once, with the number of rows each stands for. The numbers sum up to
    /// [`Self::count`].
    pub fn points(&self) -> Vec<(f64, u64)> {
        match &self.kept {
            Kept::Exact(exact) => exact.points().to_vec(),
            Kept::Sketch(kll) => kll.points(),
        }
    }

    /// The number of values `<= x`.
    pub fn rank(&self, x: f64) -> u64 {
        match &self.kept {
            Kept::Exact(exact) => exact.rank(x),
            Kept::Sketch(kll) => kll.rank(x),
        }
    }

    /// The smallest value that at least the share `q` of all values does not exceed: the inverse of the empirical
    /// distribution function, type 1 of Hyndman and Fan 1996. The ends are exact. Absent for no values and for a
    /// share that is not between 0 and 1.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if !(0.0..=1.0).contains(&q) {
            return None;
        }
        let wanted = (q * self.count as f64).ceil() as u64;
        if wanted <= 1 {
            return self.min;
        }
        if wanted >= self.count {
            return self.max;
        }
        let mut rank = 0;
        let reaches = |(_, count): &(f64, u64)| {
            rank += count;
            rank >= wanted
        };
        self.points().into_iter().find(reaches).map(|(value, _)| value)
    }

    /// By which share of all values the rank of one `x` chosen beforehand is off at most, but for a chance of
    /// `delta`: 0 when exact. Follows from the coins that were really flipped, see `Kll`.
    pub fn rank_error(&self, delta: f64) -> f64 {
        match &self.kept {
            Kept::Exact(_) => 0.0,
            Kept::Sketch(kll) => (kll.error(delta) / self.count as f64).min(1.0),
        }
    }

    /// The same for all `x` at once, which is what a distance between distributions needs: m values at equal steps of
    /// rank are all right but for m times the chance, and between two of them no rank is off by 1 / m more.
    pub fn uniform_rank_error(&self, delta: f64) -> f64 {
        if self.is_exact() {
            return 0.0;
        }
        let m = 8.0 * f64::from(self.k);
        (self.rank_error(delta / (2.0 * m)) + 1.0 / m).min(1.0)
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        Settings { k: self.k, exact_limit: self.exact_limit, ..Settings::default() }.check()?;
        require(self.count <= MAX_ROWS, "more than 2^53 values")?;
        let range = match (self.min, self.max, self.count) {
            (None, None, 0) => (0.0, 0.0),
            (Some(min), Some(max), 1..) => (min, max),
            _ => return Err(Invalid::new("a range that is not that of the values")),
        };
        match &self.kept {
            Kept::Exact(exact) => exact.check(self.exact_limit, self.count, range),
            Kept::Sketch(kll) => kll.check(self.k, self.count, range),
        }
    }
}

impl Kept {
    fn to_sketch(&self) -> Kll {
        match self {
            Self::Exact(exact) => Kll::of(exact),
            Self::Sketch(kll) => kll.clone(),
        }
    }
}
