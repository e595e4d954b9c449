//! The statistics of drift: pure functions of two samples, a reference and a current one.
//!
//! Numeric samples come as two [`Ecdf`], categorical or binned ones as two slices of counts over the same cells.
//! Nothing here knows of files, columns or monitors, and nothing panics: where a statistic is undefined (an empty
//! side, too few values) the function gives `None` or says so in its documentation.
//!
//! p-values keep their relative accuracy in the far tail: each is summed from its small side and never found as
//! `1 - something near 1`. The one exception is [`compat`], which repeats another tool's numbers as they are.

pub mod anderson_darling;
pub mod benjamini_hochberg;
pub mod chi_square;
pub mod compat;
pub mod cramer_von_mises;
pub mod ecdf;
pub mod energy;
pub mod epps_singleton;
pub mod fisher_exact;
pub mod hellinger;
pub mod histogram;
pub mod jensen_shannon;
pub mod kolmogorov;
pub mod ks;
pub mod kullback_leibler;
pub mod l_infinity;
pub mod mann_whitney;
pub mod mmd;
pub mod psi;
pub mod random;
pub mod row_count;
pub mod shares;
pub mod special;
pub mod t_test;
pub mod two_proportion;
pub mod unseen_mass;
pub mod wasserstein;
pub mod weighted_chi_square;

#[cfg(test)]
mod tests;

pub use ecdf::Ecdf;
