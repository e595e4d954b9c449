//! The statistics behind "not worse": few, exact where that is cheap, and the same for the same data.

pub(super) use crate::drift::statistics::random::SplitMix;

/// The standard normal distribution function, by the series of Marsaglia, "Evaluating the Normal Distribution",
/// Journal of Statistical Software 11(4), 2004.
pub(super) fn normal_cdf(x: f64) -> f64 {
    if x.abs() > 8.0 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut sum, mut term, mut n) = (x, x, 1.0);
    loop {
        n += 2.0;
        term *= x * x / n;
        let next = sum + term;
        if next == sum {
            break;
        }
        sum = next;
    }
    let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    (0.5 + sum * density).clamp(0.0, 1.0)
}

/// The value below which the share `p` of a standard normal distribution lies, by bisection.
pub(super) fn normal_quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if normal_cdf(middle) < p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// Wilson's score interval of a share `p` of `n` (Wilson 1927), at `z` standard errors.
pub(super) fn wilson(p: f64, n: f64, z: f64) -> (f64, f64) {
    let z2 = z * z;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

/// A value with the distances to its lower and upper bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounded {
    pub(super) value: f64,
    pub(super) below: f64,
    pub(super) above: f64,
}

/// The interval of `a - b` for independent `a` and `b`, by squaring and adding the distances that matter on each
/// side. With Wilson's intervals this is Newcombe's hybrid score interval (Newcombe, "Interval estimation for the
/// difference between independent proportions", Statistics in Medicine 17:873-890, 1998, method 10); Zou and Donner
/// (2008) show it for intervals of any kind.
pub(super) fn difference(a: Bounded, b: Bounded) -> (f64, f64) {
    let d = a.value - b.value;
    (d - a.below.hypot(b.above), d + a.above.hypot(b.below))
}

/// Pairs of pass and fail, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pairs {
    pub(super) both: u64,
    /// Only the new one passes.
    pub(super) better: u64,
    /// Only the old one passes.
    pub(super) worse: u64,
    pub(super) neither: u64,
}

impl Pairs {
    /// The interval of the difference of the two shares, new minus old: Newcombe, "Improved confidence intervals for
    /// the difference between binomial proportions based on paired data", Statistics in Medicine 17:2635-2650, 1998,
    /// method 10.
    pub(super) fn difference(self, z: f64) -> (f64, f64) {
        let [e, f, g, h] = [self.both, self.better, self.worse, self.neither].map(|count| count as f64);
        let n = e + f + g + h;
        let (new, old) = ((e + f) / n, (e + g) / n);
        let ((new_low, new_high), (old_low, old_high)) = (wilson(new, n, z), wilson(old, n, z));
        let product = (e + f) * (g + h) * (e + g) * (f + h);
        let cross = e * h - f * g;
        // The correlation, with a continuity correction where it is positive.
        let phi = match (product > 0.0, cross > 0.0) {
            (false, _) => 0.0,
            (true, true) => (cross - n / 2.0).max(0.0) / product.sqrt(),
            (true, false) => cross / product.sqrt(),
        };
        let distance = |a: f64, b: f64| (a * a - 2.0 * phi * a * b + b * b).max(0.0).sqrt();
        let d = new - old;
        (d - distance(new - new_low, old_high - old), d + distance(new_high - new, old - old_low))
    }

    /// How likely at least so many pairs got worse if nothing changed: the exact one-sided test of McNemar (1947),
    /// a binomial test on the pairs that differ.
    pub(super) fn chance(self) -> f64 {
        tail(self.worse, self.worse + self.better)
    }
}

/// The chance of at least `k` heads in `n` tosses of a fair coin.
fn tail(k: u64, n: u64) -> f64 {
    let mut log = -(n as f64) * std::f64::consts::LN_2;
    let mut sum = 0.0;
    for i in 0..=n {
        if i >= k {
            sum += log.exp();
        }
        log += ((n - i) as f64 / (i + 1) as f64).ln();
    }
    sum.min(1.0)
}

const RESAMPLES: usize = 2_000;
/// From here on the mean is normal enough, and resampling would only take time.
const RESAMPLED_MAX: usize = 1_000;

/// The mean of values.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Bounds of the mean: below the first, and above the second, it lies with the chance `1 - p` for each `p`. By the
/// bias-corrected and accelerated bootstrap (Efron, "Better bootstrap confidence intervals", JASA 82:171-185, 1987);
/// for many values by the normal distribution.
pub(super) fn bootstrap(values: &[f64], low: f64, high: f64, seed: u64) -> (f64, f64) {
    let n = values.len();
    let centre = mean(values);
    let moment = |power| values.iter().map(|value| (value - centre).powi(power)).sum::<f64>();
    let (second, third) = (moment(2), moment(3));
    if second <= 0.0 {
        return (centre, centre);
    }
    if n > RESAMPLED_MAX {
        let error = (second / (n - 1) as f64 / n as f64).sqrt();
        return (centre + normal_quantile(low) * error, centre + normal_quantile(high) * error);
    }
    let mut random = SplitMix(seed);
    let mut means: Vec<f64> =
        (0..RESAMPLES).map(|_| (0..n).map(|_| values[random.below(n)]).sum::<f64>() / n as f64).collect();
    means.sort_by(f64::total_cmp);
    // Half of those that are equal count as below.
    let below = means.partition_point(|mean| *mean < centre) + means.partition_point(|mean| *mean <= centre);
    let bias = normal_quantile((below as f64 / (2 * RESAMPLES) as f64).clamp(0.01, 0.99));
    let acceleration = third / (6.0 * second.powf(1.5));
    let at = |p: f64| {
        let z = bias + normal_quantile(p);
        let share = normal_cdf(bias + z / (1.0 - acceleration * z));
        let index = (share * RESAMPLES as f64) as usize;
        means[index.min(RESAMPLES - 1)]
    };
    (at(low), at(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(left: f64, right: f64, within: f64) {
        assert!((left - right).abs() <= within, "{left} is not {right}");
    }

    /// `scipy.stats.norm.cdf` and `ppf`, SciPy 1.17.1.
    #[test]
    fn the_normal_distribution_is_scipys() {
        for (x, expected) in [
            (-3.5, 0.000_232_629_079_035_525_02),
            (-1.0, 0.158_655_253_931_457_07),
            (0.3, 0.617_911_422_188_952_6),
            (2.5, 0.993_790_334_674_223_8),
            (6.0, 0.999_999_999_013_412_3),
        ] {
            near(normal_cdf(x), expected, 1e-14);
        }
        for (p, expected) in [
            (0.001, -3.090_232_306_167_813),
            (0.05, -1.644_853_626_951_472_9),
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_054),
            (0.9999, 3.719_016_485_455_709),
        ] {
            near(normal_quantile(p), expected, 1e-10);
        }
        assert_eq!((normal_cdf(-50.0), normal_cdf(50.0)), (0.0, 1.0));
    }

    /// `statsmodels.stats.proportion`, statsmodels 0.15.0: `proportion_confint(c, n, 0.05, "wilson")` and
    /// `confint_proportions_2indep(c1, n1, c2, n2, method="newcomb", compare="diff")`.
    #[test]
    fn intervals_of_shares_are_statsmodels() {
        let z = normal_quantile(0.975);
        for (c, n, low, high) in [
            (0.0, 30.0, 0.0, 0.113_513_393_173_968_8),
            (45.0, 50.0, 0.786_397_685_625_203_4, 0.956_524_235_068_109_5),
            (81.0, 263.0, 0.255_288_519_878_274_2, 0.366_209_576_982_800_04),
            (100.0, 100.0, 0.963_006_501_793_014_3, 1.0),
        ] {
            let found = wilson(c / n, n, z);
            near(found.0, low, 1e-10);
            near(found.1, high, 1e-10);
        }
        let share = |c: f64, n: f64| {
            let (low, high) = wilson(c / n, n, z);
            Bounded { value: c / n, below: c / n - low, above: high - c / n }
        };
        for ((a, b), low, high) in [
            ((share(56.0, 70.0), share(48.0, 80.0)), 0.052_431_472_402_364_98, 0.333_872_654_036_906_14),
            ((share(9.0, 10.0), share(3.0, 10.0)), 0.170_522_723_934_502_9, 0.809_017_973_535_488),
            ((share(10.0, 10.0), share(0.0, 20.0)), 0.679_086_037_141_914_5, 1.0),
        ] {
            let found = difference(a, b);
            near(found.0, low, 1e-10);
            near(found.1, high, 1e-10);
        }
    }

    /// `scipy.stats.binomtest(k, n, 0.5, alternative="greater").pvalue`, SciPy 1.17.1.
    #[test]
    fn the_binomial_tail_is_scipys() {
        for (k, n, expected) in [
            (0, 0, 1.0),
            (0, 9, 1.0),
            (5, 6, 0.109_375),
            (14, 20, 0.057_659_149_169_921_875),
            (60, 100, 0.028_443_966_820_490_444),
            (50_300, 100_000, 0.029_098_676_555_095_182),
        ] {
            near(tail(k, n), expected, 1e-9);
        }
    }

    /// The formula written out once more in NumPy; and no interval leaves -1 to 1 or its own estimate.
    #[test]
    fn paired_shares() {
        let z = normal_quantile(0.95);
        for ((both, better, worse, neither), low, high) in [
            ((36, 12, 2, 0), 0.08166543565795026, 0.3171226823802243),
            ((90, 0, 0, 10), -0.02659977684715277, 0.02659977684715277),
            ((100, 0, 0, 0), -0.026342720783174345, 0.026342720783174345),
            ((180, 4, 11, 5), -0.07078317125486921, -0.0019403157096862383),
            ((10, 30, 25, 8), -0.09722570947431444, 0.22996535497573795),
        ] {
            let found = Pairs { both, better, worse, neither }.difference(z);
            near(found.0, low, 1e-10);
            near(found.1, high, 1e-10);
        }
        let mut random = SplitMix(7);
        for _ in 0..2_000 {
            let mut count = || random.below(40) as u64;
            let pairs = Pairs { both: count(), better: count(), worse: count(), neither: count() + 1 };
            let d = (pairs.better as f64 - pairs.worse as f64)
                / (pairs.both + pairs.better + pairs.worse + pairs.neither) as f64;
            let (low, high) = pairs.difference(z);
            assert!((-1.0..=d).contains(&low) && (d..=1.0).contains(&high), "{pairs:?}");
        }
    }

    /// `scipy.stats.bootstrap((x,), numpy.mean, confidence_level=0.9, n_resamples=200000, method="BCa")` gives -0.4577
    /// and -0.1390; for 200 copies of x `scipy.stats.norm.interval(0.9, mean, sem)`. SciPy 1.17.1.
    #[test]
    fn bootstrap_is_scipys() {
        let x: Vec<f64> = (0..40).map(|i| f64::from((i * 37 % 41) * (i * 37 % 41)) / 800.0 - 1.0).collect();
        let (low, high) = bootstrap(&x, 0.05, 0.95, 1);
        near(low, -0.4577, 0.015);
        near(high, -0.139, 0.015);
        assert_eq!(bootstrap(&x, 0.05, 0.95, 1), (low, high), "the same seed");
        let (low, high) = bootstrap(&x.repeat(200), 0.05, 0.95, 1);
        near(low, -0.319_854_522_134_635_9, 1e-9);
        near(high, -0.297_395_477_865_364_1, 1e-9);
        assert_eq!(bootstrap(&[0.25; 30], 0.05, 0.95, 1), (0.25, 0.25));
    }
}
