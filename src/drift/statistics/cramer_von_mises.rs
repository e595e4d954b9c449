//! The two-sample Cramér–von Mises test (Anderson, "On the distribution of the two-sample Cramér–von Mises criterion",
//! Annals of Mathematical Statistics 33, 1962).

use super::ecdf::{Ecdf, steps};
use super::kolmogorov::gcd;
use super::weighted_chi_square::cramer_von_mises_sf;

/// Up to this size of the larger sample the p-value is exact, as SciPy's `auto` has it.
pub const EXACT_MAX: u64 = 20;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CramerVonMises {
    /// `T = nm / (n+m)² · Σ (F - G)²` over all values of both samples. Where values are tied, the squares just left
    /// and just right of them are averaged.
    ///
    /// Without ties this is the `T` of ranks that textbooks and SciPy give. With ties theirs grows by the squares of
    /// the tie sizes though nothing changed, and their p-value falls to 0; this one does not.
    pub statistic: f64,
    pub p_value: f64,
    pub exact: bool,
}

/// `None` unless both sides have at least two values. With ties the p-value is slightly conservative.
pub fn cramer_von_mises(reference: &Ecdf, current: &Ecdf) -> Option<CramerVonMises> {
    let (n, m) = (reference.len(), current.len());
    if n.min(m) < 2 {
        return None;
    }
    let (nf, mf) = (n as f64, m as f64);
    let (mut sum, mut left) = (0.0, 0.0);
    for step in steps(reference, current) {
        let [f, c] = step.up_to();
        let distance = f as f64 / nf - c as f64 / mf;
        let right = distance * distance;
        sum += 0.5 * (left + right) * (step.at[0] as f64 + step.at[1] as f64);
        left = right;
    }
    let total = nf + mf;
    let statistic = nf * mf / (total * total) * sum;
    let exact = n.max(m) <= EXACT_MAX;
    let p_value =
        if exact { exact_p(statistic, n, m) } else { cramer_von_mises_sf(scaled(statistic, nf, mf)) };
    Some(CramerVonMises { statistic, p_value, exact })
}

/// The statistic scaled to the mean and variance of its limit (Anderson 1962, equations 11, 14 and 15).
pub(super) fn scaled(statistic: f64, n: f64, m: f64) -> f64 {
    let (product, total) = (n * m, n + m);
    let mean = (1.0 + 1.0 / total) / 6.0;
    let variance = (total + 1.0) / total * (4.0 * product * total - 3.0 * (n * n + m * m) - 2.0 * product)
        / (180.0 * total * product);
    1.0 / 6.0 + (statistic - mean) / (45.0 * variance).sqrt()
}

/// The exact chance of at least this statistic among all orders of `n + m` distinct values: Xiao, Gordon and Yakovlev,
/// "A C++ program for the Cramér–von Mises two-sample test", Journal of Statistical Software 17(8), 2006. For at most
/// [`EXACT_MAX`] values a side.
pub(super) fn exact_p(statistic: f64, n: u64, m: u64) -> f64 {
    let lcm = n / gcd(n, m) * m;
    // Along a path the statistic is a sum of squares of whole numbers, here of at least the observed one.
    let scale = (lcm * lcm * (n + m) * (n + m)) as f64 / (n * m) as f64;
    let observed = (statistic * scale - 1e-6).ceil() as u64;
    let (a, b) = (lcm / n, lcm / m);
    // For each number of values of the reference: the sums below the observed one, ascending, and how many orders
    // have them.
    let mut column: Vec<Vec<(u64, u64)>> = vec![vec![]; n as usize + 1];
    for u in 0..=m {
        let mut left: Vec<(u64, u64)> = vec![];
        for (v, sums) in column.iter_mut().enumerate() {
            let start = u == 0 && v == 0;
            let mut merged = if start { vec![(0, 1)] } else { merge(&left, sums) };
            let square = (a * v as u64).abs_diff(b * u).pow(2);
            merged.iter_mut().for_each(|(sum, _)| *sum += square);
            merged.retain(|(sum, _)| *sum < observed);
            left.clone_from(&merged);
            *sums = merged;
        }
    }
    let below: u64 = column.last().map_or(0, |sums| sums.iter().map(|(_, orders)| orders).sum());
    let all = (1..=m).fold(1_u128, |all, i| all * u128::from(n + i) / u128::from(i));
    (all - u128::from(below)) as f64 / all as f64
}

fn merge(left: &[(u64, u64)], right: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    while let (Some(l), Some(r)) = (left.peek(), right.peek()) {
        match l.0.cmp(&r.0) {
            std::cmp::Ordering::Less => merged.extend(left.next()),
            std::cmp::Ordering::Greater => merged.extend(right.next()),
            std::cmp::Ordering::Equal => {
                merged.push((l.0, l.1 + r.1));
                left.next();
                right.next();
            }
        }
    }
    merged.extend(left);
    merged.extend(right);
    merged
}
