//! Profiles: what a table looks like, in a few kilobytes a column, without the table.
//!
//! A profile is made where the data live, from batches, in bounded memory, and parts made apart are merged. Two
//! profiles of the same input are the same bytes on any number of cores: rows are cut into chunks by the caller, the
//! chunk's number decides the seed of its sketches, and parts are merged in the order of the chunks.
//!
//! Each part of a column is exact while that is cheap, and says whether it is:
//!
//! | part | exact while | beyond |
//! |---|---|---|
//! | [`Moments`] | always, but for rounding | |
//! | [`Quantiles`] | at most `exact_limit` different values | KLL sketch, stated rank error |
//! | [`Distinct`] | at most 4,096 different values | HyperLogLog, 1.6 % |
//! | [`Frequent`] | at most `categories` different values | Misra-Gries, stated error |
//! | [`Bins`] | always | |

mod bins;
mod builder;
mod canonical;
mod chunks;
mod column;
mod column_builder;
mod distinct;
mod frequent;
mod hash;
mod invalid;
mod moments;
mod numbers;
mod packed;
mod plan;
#[allow(clippy::module_inception)]
mod profile;
mod quantiles;
mod seed;
#[cfg(test)]
mod tests;

pub use bins::Bins;
pub use builder::ProfileBuilder;
pub use chunks::Chunks;
pub use column::{ColumnProfile, Kind, Values};
pub use column_builder::ColumnBuilder;
pub use distinct::Distinct;
pub use frequent::Frequent;
pub use invalid::Invalid;
pub use moments::Moments;
pub use numbers::Numbers;
pub use plan::{ColumnPlan, Plan, Settings};
pub use profile::{FORMAT, MAX_BYTES, MAX_COLUMNS, Profile};
pub use quantiles::Quantiles;
pub use seed::Seed;

/// Rows a profile can stand for. Up to here a count is exact as an `f64` and as a JSON number in any language.
pub const MAX_ROWS: u64 = 1 << 53;

/// The sum of two counts of rows. Errors: it exceeds [`MAX_ROWS`].
fn add_rows(a: u64, b: u64) -> Result<u64, Invalid> {
    a.checked_add(b).filter(|sum| *sum <= MAX_ROWS).ok_or_else(|| Invalid::new("more than 2^53 rows"))
}

/// The order of numbers that are not NaN; -0 and 0 are equal.
fn ascending(a: &f64, b: &f64) -> std::cmp::Ordering {
    use std::cmp::Ordering::{Equal, Greater, Less};
    if a < b {
        Less
    } else if a > b {
        Greater
    } else {
        Equal
    }
}
