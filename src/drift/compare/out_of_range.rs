//! How likely values outside the reference's range are if nothing changed.

use super::super::statistics::special::binomial;

/// The chance that at least `outside` of `m` current values lie below the least or above the greatest of `n` reference
/// values, if all come from one continuous distribution; ties only make it smaller. 1 of fewer than two reference
/// values.
///
/// The reference cuts the line into `n + 1` gaps, and current values fall into any two of them with the same law
/// (Wilks, "Determination of sample sizes for setting tolerance limits", Annals of Mathematical Statistics 12, 1941).
/// So the two outer gaps have at least `k` values as often as the two lowest: iff at most one of the least `k + 1` of
/// all values is from the reference, which is a hypergeometric tail of two terms.
pub fn out_of_range_p(outside: u64, n: u64, m: u64) -> f64 {
    let (k, n, m) = (outside.min(m) as f64, n as f64, m as f64);
    if n < 2.0 || k == 0.0 {
        return 1.0;
    }
    let (drawn, all) = (k + 1.0, n + m);
    let (p, q) = (n / all, m / all);
    // From three binomial probabilities (Loader 2000).
    let chance = |x: f64| {
        if drawn - x > m {
            return 0.0;
        }
        let low = binomial(x, drawn - x, p, q);
        let rest = binomial(n - x, m - (drawn - x), p, q);
        low * rest / binomial(n, m, p, q)
    };
    (chance(0.0) + chance(1.0)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All arrangements of two reference and `m` current values, counted.
    #[test]
    fn as_counted() {
        for (n, m) in [(2_usize, 3_usize), (3, 4), (5, 2), (2, 1), (4, 6)] {
            let mut at_least = vec![0_u32; m + 1];
            let mut all = 0;
            for word in 0_u32..1 << (n + m) {
                if word.count_ones() as usize == n {
                    let inside = (n + m) as u32
                        - word.trailing_zeros()
                        - (word.leading_zeros() - (32 - (n + m) as u32));
                    let outside = (n + m) - inside as usize;
                    (0..=outside).for_each(|k| at_least[k] += 1);
                    all += 1;
                }
            }
            for (k, count) in at_least.into_iter().enumerate() {
                let (found, counted) =
                    (out_of_range_p(k as u64, n as u64, m as u64), f64::from(count) / f64::from(all));
                assert!((found - counted).abs() < 1e-12, "{n} {m} {k}: {found} {counted}");
            }
        }
    }

    #[test]
    fn odd_input() {
        assert_eq!([out_of_range_p(1, 0, 1), out_of_range_p(1, 1, 5), out_of_range_p(0, 9, 9)], [1.0; 3]);
        assert_eq!(out_of_range_p(9, 5, 3), out_of_range_p(3, 5, 3));
        let p = out_of_range_p(1_000, 1 << 52, 1 << 30);
        assert!((0.0..=1.0).contains(&p), "{p}");
        assert!(out_of_range_p(50, 5_000, 1_000) < 1e-30);
    }
}
