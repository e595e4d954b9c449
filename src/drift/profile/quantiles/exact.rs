use super::super::invalid::{Invalid, require};
use super::super::packed::Packed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Each different value once, ascending, with its count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Listed", into = "Listed")]
#[schemars(with = "Listed")]
pub(super) struct Exact {
    points: Vec<(f64, u64)>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Listed {
    values: Packed<f64>,
    /// One for each value; left out where each is 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    counts: Vec<u64>,
}

impl Exact {
    pub fn points(&self) -> &[(f64, u64)] {
        &self.points
    }

    pub fn add_sorted(&mut self, values: &[f64]) {
        self.add(values.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u64)));
    }

    pub fn merge(&self, other: &Self) -> Self {
        let mut merged = self.clone();
        merged.add(other.points.iter().copied());
        merged
    }

    /// Adds ascending points: those whose value is known only raise a count.
    fn add(&mut self, points: impl Iterator<Item = (f64, u64)>) {
        let (mut at, mut fresh) = (0, Vec::new());
        for (value, count) in points {
            at += self.points[at..].iter().take_while(|known| known.0 < value).count();
            match self.points.get_mut(at).filter(|known| known.0 == value) {
                Some(known) => known.1 += count,
                None => fresh.push((value, count)),
            }
        }
        self.insert(fresh);
    }

    /// Merges ascending points of new values from the end, where there is room.
    fn insert(&mut self, mut fresh: Vec<(f64, u64)>) {
        let mut known = self.points.len();
        let mut end = known + fresh.len();
        self.points.resize(end, (0.0, 0));
        while let Some(last) = fresh.last() {
            end -= 1;
            if known > 0 && self.points[known - 1].0 > last.0 {
                known -= 1;
                self.points[end] = self.points[known];
            } else {
                self.points[end] = *last;
                fresh.pop();
            }
        }
    }

    pub fn rank(&self, x: f64) -> u64 {
        let below = self.points.partition_point(|(value, _)| *value <= x);
        self.points[..below].iter().map(|(_, count)| count).sum()
    }

    pub fn check(&self, limit: u32, count: u64, (min, max): (f64, f64)) -> Result<(), Invalid> {
        let points = &self.points;
        require(points.len() <= limit as usize, "more different values than the limit")?;
        require(points.iter().all(|(value, _)| value.is_finite()), "a value is not finite")?;
        require(points.is_sorted_by(|a, b| a.0 < b.0), "the values do not rise")?;
        require(points.iter().all(|(value, _)| !is_negative_zero(*value)), "a negative zero")?;
        require(points.iter().all(|(_, count)| *count > 0), "a value without a count")?;
        let total = points.iter().try_fold(0u64, |sum, (_, count)| sum.checked_add(*count));
        require(total == Some(count), "the counts of values do not sum up to the number of values")?;
        let ends = points.first().zip(points.last());
        require(
            ends.is_none_or(|(low, high)| (low.0, high.0) == (min, max)),
            "the range is not that of the values",
        )
    }
}

pub(super) fn is_negative_zero(value: f64) -> bool {
    value == 0.0 && value.is_sign_negative()
}

impl From<Exact> for Listed {
    fn from(exact: Exact) -> Self {
        let (values, mut counts): (Vec<f64>, Vec<u64>) = exact.points.into_iter().unzip();
        if counts.iter().all(|count| *count == 1) {
            counts.clear();
        }
        Self { values: Packed(values), counts }
    }
}

impl TryFrom<Listed> for Exact {
    type Error = Invalid;

    fn try_from(Listed { values: Packed(values), mut counts }: Listed) -> Result<Self, Invalid> {
        if counts.is_empty() {
            counts.resize(values.len(), 1);
        }
        require(counts.len() == values.len(), "not one count for each value")?;
        Ok(Self { points: values.into_iter().zip(counts).collect() })
    }
}
