//! Changes that windows are given, to see from which size on they are found.

use super::draw::Judged;
use super::pool::{Pool, Row};
use crate::drift::compare::Verdict;
use crate::drift::statistics::random::SplitMix;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Windows for each size of a change.
const TRIES: u64 = 60;
/// Of them, for a power of 0.8.
const ENOUGH: u64 = 48;
/// Steps of halving between no change and the largest that is tried.
const HALVINGS: usize = 7;

/// A way in which data change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Numbers are moved by so many standard deviations, 2 at most.
    Shift,
    /// Numbers are so many times as far from the median, 4 at most.
    Scale,
    /// So large a share of the rows goes from the largest category to the next, half of them at most; of answers to yes and no,
    /// from the more frequent to the other.
    Move,
    /// So large a share of the rows has no value any more, half of them at most.
    Lose,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FoundChange {
    pub change: Change,
    /// Found with power 0.8. Absent: not even the largest that was tried is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smallest: Option<f64>,
    pub largest_tried: f64,
}

/// How much of a change.
#[derive(Clone, Copy)]
pub(super) struct Amount {
    pub change: Change,
    /// 0: none.
    pub by: f64,
}

impl Change {
    /// In words, where a size is said before them.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Shift => "standard deviations away",
            Self::Scale => "times as wide",
            Self::Move => "of the rows in another category",
            Self::Lose => "of the rows without a value",
        }
    }

    /// The size as it is told.
    fn size(self, by: f64) -> f64 {
        if self == Self::Scale { 1.0 + by } else { by }
    }
}

impl Amount {
    pub fn of(self, pool: &Pool, row: Row, random: &mut SplitMix) -> Row {
        match (self.change, row, pool.largest) {
            (Change::Shift, Row::Number(value), _) => Row::Number(value + self.by * pool.deviation),
            (Change::Scale, Row::Number(value), _) => Row::Number(value + self.by * (value - pool.median)),
            (Change::Move, Row::Label(label), Some((first, share, second))) if label == first => {
                if random.uniform() * share < self.by { Row::Label(second) } else { row }
            }
            (Change::Lose, ..) if random.uniform() * pool.present < self.by => Row::Missing,
            _ => row,
        }
    }
}

/// By halving what lies between the largest change that is missed and the smallest that is found.
pub(super) fn smallest(
    pool: &Pool,
    change: Change,
    rules: &Judged<'_>,
    random: &mut SplitMix,
) -> FoundChange {
    let mut is_found = |by: f64| {
        let (mut found, mut missed) = (0, 0);
        // Until it is certain what all of them would say.
        while found < ENOUGH && missed <= TRIES - ENOUGH {
            let run = rules.compare(&[pool.split(Some(Amount { change, by }), random)]);
            if run.verdict == Verdict::Drift { found += 1 } else { missed += 1 }
        }
        found >= ENOUGH
    };
    let (mut least, mut most) = (0.0, pool.most(change));
    let largest_tried = change.size(most);
    if !is_found(most) {
        return FoundChange { change, smallest: None, largest_tried };
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(least, most);
        if is_found(middle) { most = middle } else { least = middle }
    }
    FoundChange { change, smallest: Some(change.size(most)), largest_tried }
}
