//! The Mann–Whitney U test (1947), one-sided.

use super::ecdf::{Ecdf, steps};
use super::special::normal_sf;

/// With at most this many values on a side and no ties the p-value is exact, as SciPy's `auto` has it.
pub const EXACT_MAX: u64 = 8;
/// The exact distribution is not built for larger sides than this.
const OTHER_MAX: u64 = 100_000;

/// `(U, p)`: in how many pairs the reference is the greater one, ties counted half, and the chance of at most that if
/// nothing changed. Small if the current values lie higher; blind to values that lie lower. With continuity and tie
/// correction. `None` if a side is empty.
pub fn mann_whitney_less(reference: &Ecdf, current: &Ecdf) -> Option<(f64, f64)> {
    if reference.is_empty() || current.is_empty() {
        return None;
    }
    let (n, m) = (reference.len() as f64, current.len() as f64);
    let total = n + m;
    let (mut twice, mut ties) = (0.0, 0.0);
    for step in steps(reference, current) {
        let [f, g] = step.at.map(|count| count as f64);
        twice += f * (2.0 * step.below[1] as f64 + g);
        ties += (f + g) * ((f + g) * (f + g) - 1.0);
    }
    let u = 0.5 * twice;
    let (short, long) = (reference.len().min(current.len()), reference.len().max(current.len()));
    if ties == 0.0 && short <= EXACT_MAX && long <= OTHER_MAX {
        return Some((u, at_most(u as usize, short as usize, long as usize)));
    }
    let deviation = (n * m / 12.0 * ((total + 1.0) - ties / (total * (total - 1.0)))).max(0.0).sqrt();
    let z = ((n * m - u) - n * m / 2.0 - 0.5) / deviation;
    Some((u, normal_sf(z)))
}

/// The chance of at most `u`, from the number of orders with each U: the coefficients of the Gaussian binomial
/// `Π (1 - q^(m+i)) / (1 - q^i)`, whole numbers that fit as `n` is at most 8.
fn at_most(u: usize, n: usize, m: usize) -> f64 {
    let (pairs, mirrored) = (n * m, 2 * u > n * m);
    // By symmetry the longer tail is one minus the shorter one.
    let end = if mirrored { pairs - u } else { u + 1 };
    let mut orders = vec![0_i128; end.max(1)];
    orders[0] = 1;
    for i in 1..=n {
        for k in (m + i..orders.len()).rev() {
            orders[k] -= orders[k - m - i];
        }
        for k in i..orders.len() {
            orders[k] += orders[k - i];
        }
    }
    let all = (1..=n).fold(1_i128, |all, i| all * (m + i) as i128 / i as i128);
    let counted: i128 = orders[..end].iter().sum();
    let counted = if mirrored { all - counted } else { counted };
    counted as f64 / all as f64
}
