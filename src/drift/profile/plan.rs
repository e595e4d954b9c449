//! What to profile.

use super::frequent::MAX_CATEGORIES;
use super::invalid::{Invalid, require};
use super::{Kind, Seed};
use std::ops::RangeInclusive;

const K: RangeInclusive<u32> = 64..=65_536;
const MAX_EXACT: u32 = 1 << 20;
const MAX_HALVINGS: u32 = 6;
/// h halvings of n numbers add n (2^h - 1) / 4 to the sum of squares that bounds the error (see `Kll`), which measured about
/// (0.7 n / k)^2 without.
const HALVED: f64 = 0.36;

/// How much a profile keeps of each column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The size of quantile sketches, 64 to 65,536. The rank of a number is then off by less than 2.3 / k of the rows
    /// with a chance of 99 %, all ranks at once by less than 4 / k: 0.11 % and 0.2 % for the default, which keeps
    /// about 6,000 values. Each sketch states its own error.
    pub k: u32,
    /// Up to so many different numbers in a column are all kept, with their counts; at most 2^20.
    pub exact_limit: u32,
    /// So many different strings in a column are counted; 1 to 65,536.
    pub categories: u32,
    /// Where not all numbers are kept, the sketch sees one of each 2^this many: of very many rows that is hardly worse, and
    /// several times as fast. At most 6.
    pub halvings: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { k: 2_048, exact_limit: 65_536, categories: 4_096, halvings: 0 }
    }
}

impl Settings {
    /// The defaults, with less room for each of many columns: a few thousand columns together keep at most a million
    /// values, some 11 MB on disk, be they all there are or a sketch.
    pub fn for_columns(columns: usize) -> Self {
        let share = (1u32 << 20) / u32::try_from(columns).unwrap_or(u32::MAX).max(1);
        let default = Self::default();
        Self {
            exact_limit: share.clamp(192, default.exact_limit),
            k: (share / 3).clamp(*K.start(), default.k),
            ..default
        }
    }

    /// As many halvings as make the error of ranks in a column of so many values larger by at most a tenth. Of one that is mostly
    /// missing in so many rows it grows by more, which its stated error says.
    pub fn for_rows(self, rows: u64) -> Self {
        let room = HALVED * rows as f64 / f64::from(self.k).powi(2);
        let halvings = (0..=MAX_HALVINGS).take_while(|halvings| f64::from((1u32 << halvings) - 1) <= room);
        Self { halvings: halvings.last().unwrap_or(0), ..self }
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        require(K.contains(&self.k), "the size of a quantile sketch is 64 to 65,536")?;
        require(self.exact_limit <= MAX_EXACT, "at most 2^20 values are kept exactly")?;
        require(self.halvings <= MAX_HALVINGS, "at most one of 64 numbers is seen")?;
        require((1..=MAX_CATEGORIES).contains(&self.categories), "room for 1 to 65,536 categories")
    }
}

/// One column to profile.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnPlan {
    pub name: String,
    pub kind: Kind,
    /// Edges of fixed bins, for numbers only.
    pub bins: Option<Vec<f64>>,
}

/// What to profile, the same for every chunk.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub seed: Seed,
    pub settings: Settings,
    pub columns: Vec<ColumnPlan>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn very_many_rows_need_not_all_be_seen() {
        let of = |rows| Settings::default().for_rows(rows).halvings;
        assert_eq!([0, 2_000_000, 10_000_000, 100_000_000, 1_000_000_000].map(of), [0, 0, 0, 3, 6]);
        assert_eq!(of(u64::MAX), MAX_HALVINGS);
    }
}
