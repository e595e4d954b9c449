//! Fisher's exact test (1935) of a 2 × 2 table.

use super::special::binomial;

/// The two-sided p-value: the chance of all tables with the same margins that are at most as likely as this one.
///
/// `a` of `n` and `b` of `m`. 1 where a margin is empty. The work grows with the root of the smallest margin.
pub fn fisher_exact(a: u64, n: u64, b: u64, m: u64) -> f64 {
    let (a, b) = (a.min(n), b.min(m));
    let (hits, total) = (u128::from(a) + u128::from(b), u128::from(n) + u128::from(m));
    if n == 0 || m == 0 || hits == 0 || hits == total {
        return 1.0;
    }
    // The rarer outcome is counted, in the smaller sample: fewest tables.
    let (x, size, others) = if n <= m { (a, n, m) } else { (b, m, n) };
    let (x, hits) =
        if 2 * hits <= total { (u128::from(x), hits) } else { (u128::from(size - x), total - hits) };
    let (size, others) = (u128::from(size), u128::from(others));
    let p = hits as f64 / total as f64;
    let q = (total - hits) as f64 / total as f64;
    // The hypergeometric probability from three binomial ones (Loader 2000).
    let base = binomial(hits as f64, (total - hits) as f64, p, q);
    let chance = |x: u128| {
        let rest = hits - x;
        binomial(x as f64, (size - x) as f64, p, q) * binomial(rest as f64, (others - rest) as f64, p, q)
            / base
    };
    // Equally likely tables count also where rounding parts them.
    let observed = chance(x) * (1.0 + 1e-11);
    let (low, high) = (hits.saturating_sub(others), hits.min(size));
    // From the observed table outwards, then from the other end inwards until it gets too likely.
    let mode = ((size + 1) * (hits + 1) / (total + 2)).clamp(low, high);
    let take = |range: &mut dyn Iterator<Item = u128>| {
        let mut sum = 0.0;
        for x in range {
            let term = chance(x);
            if term > observed {
                break;
            }
            sum += term;
            if term < sum * 1e-17 {
                break;
            }
        }
        sum
    };
    if chance(mode) <= observed {
        return 1.0;
    }
    let near: f64 = if x < mode { take(&mut (low..=x).rev()) } else { take(&mut (x..=high)) };
    let far: f64 = if x < mode {
        from_end(high, mode, &chance, observed)
    } else {
        from_end(low, mode, &chance, observed)
    };
    (near + far).min(1.0)
}

/// The chance of all tables from `end` towards `mode` that are at most as likely as `observed`.
fn from_end(end: u128, mode: u128, chance: &dyn Fn(u128) -> f64, observed: f64) -> f64 {
    // The likelihood grows from the end to the mode: find the last one that counts, then sum from there to the end.
    let (mut inside, mut outside) = (end, mode);
    if chance(end) > observed {
        return 0.0;
    }
    while inside.abs_diff(outside) > 1 {
        let middle = inside.min(outside) + inside.abs_diff(outside) / 2;
        if chance(middle) <= observed { inside = middle } else { outside = middle }
    }
    let mut sum = 0.0;
    let mut x = inside;
    loop {
        let term = chance(x);
        sum += term;
        if x == end || term < sum * 1e-17 {
            return sum;
        }
        x = if end > x { x + 1 } else { x - 1 };
    }
}
