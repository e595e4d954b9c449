//! The decision: has the current side of a comparison drifted from the reference?
//!
//! Two [`Side`]s go in, exact or from profiles; a [`Run`] comes out, which is the JSON report as well. Nothing that a
//! column can be makes the run fail: what cannot be compared gets a verdict of its own.
//!
//! A test says [`Verdict::Drift`] iff it is significant after correction over all columns and tests of the run *and*
//! its effect is large enough to matter. Significance without size is noise in 70,000 rows, size without significance
//! in 200.
//!
//! | kind | tests with a p-value | described only |
//! |---|---|---|
//! | numeric | Kolmogorov–Smirnov (effect D), Anderson–Darling (effect Wasserstein / spread), out-of-range mass | |
//! | categorical, boolean | pooled chi-square (effect Cramér's V) or, if all but one are too rare for it, their rate with the same effect; new and vanished categories | Jensen–Shannon base 2 |
//! | text | those of numbers, on lengths | different texts |
//! | vectors | maximum mean discrepancy, shuffled | |
//! | time | | range |
//! | all | rates of missing, of failed, of not finite values, where there are any | |
//!
//! Of a sketch no p-value is taken but that of the least Kolmogorov–Smirnov distance its error leaves; it stands in for
//! Anderson and Darling's as well.
//!
//! How many rows are enough follows from the effects that matter: see [`power`].

mod categories;
mod column;
mod compat;
mod decide;
mod described;
mod fixed_bins;
mod from_profile;
mod invalid;
mod numeric;
mod options;
mod out_of_range;
mod pinned;
pub mod power;
mod rates;
mod result;
mod row_count;
mod run;
mod side;
#[cfg(test)]
mod tests;
mod vectors;

pub use compat::Evidently;
pub use described::Described;
pub use from_profile::RANK_ERROR_CHANCE;
pub use invalid::Invalid;
pub use options::{Correction, Floors, Options};
pub use out_of_range::out_of_range_p;
pub use result::{Cell, Concern, Direction, Effect, Finding, Mode, Run, Summary, Test, Verdict, schema};
pub use run::Rules;
pub use side::{Categories, Column, Sample, Side, Values};
pub use vectors::{Vectors, examine_vectors};
