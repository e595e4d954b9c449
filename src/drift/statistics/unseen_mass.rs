//! How much of one side lies in categories that the other side has never seen, and whether that is more than chance
//! brings. With the sides in the other order it is the mass of vanished categories.

use super::shares::{comparable, total};
use super::special::{binomial_sf, normal_isf};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnseenMass {
    /// The share of the other side's rows in categories unseen by the first, 0 to 1.
    pub mass: f64,
    /// The share that Good and Turing expect there if nothing changed: the singletons' share (Good 1953).
    pub expected: f64,
    /// An upper 95 % bound of that share (Esty, "A normal limit law for a nonparametric estimator of the coverage of a
    /// random sample", Annals of Statistics 11, 1983), never below the rule of three.
    pub bound: f64,
    /// The one-sided chance of at least so many rows if the true share were the bound: small only for what neither
    /// the estimate's error nor the draw explains.
    pub p_value: f64,
}

/// `seen` and `other` are counts over the same categories, all of both sides. `None` if a side has no rows or the
/// categories differ.
pub fn unseen_mass(seen: &[u64], other: &[u64]) -> Option<UnseenMass> {
    if !comparable(seen, other) {
        return None;
    }
    let n = total(seen);
    let new =
        seen.iter().zip(other).filter(|(s, _)| **s == 0).fold(0_u64, |sum, (_, o)| sum.saturating_add(*o));
    let with = |times: u64| seen.iter().filter(|count| **count == times).count() as f64;
    let (once, twice) = (with(1), with(2));
    let expected = once / n;
    let error = (once * (1.0 - once / n) + 2.0 * twice).sqrt() / n;
    let bound = (expected + normal_isf(0.05) * error).max(3.0 / n).min(1.0);
    let rows = other.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
    let p_value = binomial_sf(new, rows, bound);
    Some(UnseenMass { mass: new as f64 / total(other), expected, bound, p_value })
}
