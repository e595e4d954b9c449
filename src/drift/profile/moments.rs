//! Count, mean and central moments of finite numbers.

use super::invalid::{Invalid, require};
use super::{MAX_ROWS, add_rows};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Count, range, mean and the sums of the second to fourth powers of the distances from the mean. What exceeds the
/// range of an `f64` on the way is absent from then on, never wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Moments {
    count: u64,
    min: Option<f64>,
    max: Option<f64>,
    mean: Option<f64>,
    m2: Option<f64>,
    m3: Option<f64>,
    m4: Option<f64>,
}

impl Moments {
    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn min(&self) -> Option<f64> {
        self.min
    }

    pub fn max(&self) -> Option<f64> {
        self.max
    }

    pub fn mean(&self) -> Option<f64> {
        self.mean
    }

    /// The mean squared distance from the mean (`ddof` 0), absent for no values.
    pub fn variance(&self) -> Option<f64> {
        Some(self.m2? / self.count as f64)
    }

    /// The square root of [`Self::variance`].
    pub fn deviation(&self) -> Option<f64> {
        self.variance().map(f64::sqrt)
    }

    /// The third standardised moment (g1, biased); absent where the variance is 0.
    pub fn skewness(&self) -> Option<f64> {
        self.standardised(self.m3?, 3)
    }

    /// The fourth standardised moment less 3 (g2, biased); absent where the variance is 0.
    pub fn excess_kurtosis(&self) -> Option<f64> {
        Some(self.standardised(self.m4?, 4)? - 3.0)
    }

    fn standardised(&self, sum: f64, power: i32) -> Option<f64> {
        finite(sum / self.count as f64 / self.deviation()?.powi(power))
    }

    /// Adds finite numbers; others make the sums absent. Two passes over a slice, its sums then merged: the rounding depends on how the values
    /// are cut into slices, so whoever wants the same bytes cuts them the same way.
    pub fn add(&mut self, values: &[f64]) {
        *self = self.merged(&Self::of(values), self.count.saturating_add(values.len() as u64));
    }

    /// The moments of both. Errors: more than [`MAX_ROWS`] values.
    pub fn merge(&self, other: &Self) -> Result<Self, Invalid> {
        Ok(self.merged(other, add_rows(self.count, other.count)?))
    }

    /// The two-pass sums of one slice. The first value serves as origin, so that equal values have exactly no
    /// variance; what rounding the mean leaves over is corrected as in Chan, Golub and LeVeque, "Algorithms for
    /// computing the sample variance", The American Statistician 37(3), 1983, (1.7).
    fn of(values: &[f64]) -> Self {
        let Some(origin) = values.first() else { return Self::default() };
        let n = values.len() as f64;
        let (sum, low, high) = sum_and_range(values, *origin);
        let mean = origin + sum / n;
        let [s1, s2, s3, s4] = power_sums(values, mean);
        let e = s1 / n;
        Self {
            count: values.len() as u64,
            min: finite(low),
            max: finite(high),
            mean: finite(mean + e).map(|mean| mean.max(low).min(high)),
            m2: positive(s2 - e * s1),
            m3: finite(s3 - 3.0 * e * s2 + 2.0 * e * e * s1),
            m4: positive(s4 - 4.0 * e * s3 + 6.0 * e * e * s2 - 3.0 * e * e * e * s1),
        }
    }

    /// Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", Stanford
    /// STAN-CS-79-773, 1979; third and fourth powers after Pébay, "Formulas for robust, one-pass parallel computation
    /// of covariances and arbitrary-order statistical moments", Sandia SAND2008-6212, 2008.
    fn merged(&self, other: &Self, count: u64) -> Self {
        if other.count == 0 {
            return self.clone();
        }
        if self.count == 0 {
            return other.clone();
        }
        let (a, b, n) = (self.count as f64, other.count as f64, count as f64);
        let means = self.mean.zip(other.mean);
        let d = means.map(|(x, y)| y - x);
        // Shares instead of products of counts, which would leave the integers an `f64` holds.
        let (p, q) = (a / n, b / n);
        let min = self.min.into_iter().chain(other.min).reduce(f64::min);
        let max = self.max.into_iter().chain(other.max).reduce(f64::max);
        // Rounding must not carry the mean out of the range.
        let mean = means.zip(min.zip(max)).map(|((x, y), (min, max))| (x * p + y * q).max(min).min(max));
        let second = || {
            let d = d?;
            Some(self.m2? + other.m2? + d * d * (a * q))
        };
        let third = || {
            let d = d?;
            let between = d * d * d * (a * q) * (p - q);
            Some(self.m3? + other.m3? + between + 3.0 * d * (p * other.m2? - q * self.m2?))
        };
        let fourth = || {
            let d = d?;
            let between = d * d * d * d * (a * q) * (p * p - p * q + q * q);
            let mixed = 6.0 * d * d * (p * p * other.m2? + q * q * self.m2?);
            Some(self.m4? + other.m4? + between + mixed + 4.0 * d * (p * other.m3? - q * self.m3?))
        };
        Self {
            count,
            min,
            max,
            mean: mean.and_then(finite),
            m2: second().and_then(positive),
            m3: third().and_then(finite),
            m4: fourth().and_then(positive),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let all = [self.min, self.max, self.mean, self.m2, self.m3, self.m4];
        require(self.count <= MAX_ROWS, "more than 2^53 values")?;
        require(all.into_iter().flatten().all(f64::is_finite), "a moment is not finite")?;
        require(
            self.m2.is_none_or(|m2| m2 >= 0.0) && self.m4.is_none_or(|m4| m4 >= 0.0),
            "a negative square",
        )?;
        match (self.min, self.max) {
            (None, None) => {
                require(self.count == 0 && all.iter().all(Option::is_none), "moments of no values")
            }
            (Some(min), Some(max)) => {
                require(self.count > 0 && min <= max, "the smallest exceeds the largest")
            }
            _ => Err(Invalid::new("half a range")),
        }
    }
}

fn finite(x: f64) -> Option<f64> {
    // -0 becomes 0: one number, one text.
    x.is_finite().then_some(x + 0.0)
}

/// A sum of squares, which rounding may have left below 0.
fn positive(sum: f64) -> Option<f64> {
    finite(sum).map(|sum| sum.max(0.0))
}

/// The sum of the distances from `origin`, and the range, which begins there.
fn sum_and_range(values: &[f64], origin: f64) -> (f64, f64, f64) {
    let (mut sums, mut lows, mut highs) = ([0.0; 4], [origin; 4], [origin; 4]);
    let mut add = |lane: usize, value: f64| {
        sums[lane] += value - origin;
        lows[lane] = if value < lows[lane] { value } else { lows[lane] };
        highs[lane] = if value > highs[lane] { value } else { highs[lane] };
    };
    let (quads, rest) = values.as_chunks::<4>();
    quads.iter().for_each(|quad| (0..4).for_each(|lane| add(lane, quad[lane])));
    rest.iter().enumerate().for_each(|(lane, value)| add(lane, *value));
    let [a, b, c, d] = sums;
    ((a + b) + (c + d), lows.into_iter().fold(origin, f64::min), highs.into_iter().fold(origin, f64::max))
}

/// The sums of the first four powers of the distances from `origin`, in four lanes a compiler can keep in registers.
fn power_sums(values: &[f64], origin: f64) -> [f64; 4] {
    let mut lanes = [[0.0; 4]; 4];
    let (quads, rest) = values.as_chunks::<4>();
    for quad in quads {
        for (lane, value) in quad.iter().enumerate() {
            add_powers(&mut lanes, lane, value - origin);
        }
    }
    for (lane, value) in rest.iter().enumerate() {
        add_powers(&mut lanes, lane, value - origin);
    }
    lanes.map(|[a, b, c, d]| (a + b) + (c + d))
}

fn add_powers(lanes: &mut [[f64; 4]; 4], lane: usize, d: f64) {
    let square = d * d;
    lanes[0][lane] += d;
    lanes[1][lane] += square;
    lanes[2][lane] += square * d;
    lanes[3][lane] += square * square;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Moments {
        let mut moments = Moments::default();
        values.chunks(7).for_each(|slice| moments.add(slice));
        moments.check().unwrap();
        moments
    }

    fn near(left: Option<f64>, right: f64, relative: f64) {
        let left = left.unwrap();
        assert!((left - right).abs() <= relative * right.abs().max(1e-300), "{left} is not {right}");
    }

    /// `numpy.mean`, `numpy.var`, `scipy.stats.skew`, `scipy.stats.kurtosis` of (i * 37 mod 101)^2 / 10 for i below
    /// 1,000: NumPy 2.4.6, SciPy 1.17.1.
    #[test]
    fn moments_are_scipys() {
        let values: Vec<f64> =
            (0..1_000).map(|i| f64::from((i * 37 % 101) * (i * 37 % 101)) / 10.0).collect();
        let moments = of(&values);
        near(moments.mean(), 335.2446, 1e-14);
        near(moments.variance(), 90964.23687084, 1e-13);
        near(moments.skewness(), 0.6437899954397681, 1e-12);
        near(moments.excess_kurtosis(), -0.8531363079161984, 1e-12);
    }

    #[test]
    fn a_large_offset_changes_no_variance() {
        let values: Vec<f64> = (0..10_000).map(|i| f64::from(i * 37 % 101)).collect();
        let far: Vec<f64> = values.iter().map(|value| value + 1e9).collect();
        near(of(&far).variance(), of(&values).variance().unwrap(), 1e-10);
        assert_eq!(of(&[1e17 + 3.0; 999]).variance(), Some(0.0));
    }

    #[test]
    fn merging_is_associative_and_commutative_up_to_rounding() {
        let values: Vec<f64> = (0..3_000).map(|i| f64::from(i * i % 1_009).sqrt() - 12.0).collect();
        let [a, b, c] = [&values[..10], &values[10..900], &values[900..]].map(of);
        let left = a.merge(&b).and_then(|ab| ab.merge(&c)).unwrap();
        let right = b.merge(&c).and_then(|bc| bc.merge(&a)).unwrap();
        for pick in [Moments::mean, Moments::variance, Moments::skewness, Moments::excess_kurtosis] {
            near(pick(&left), pick(&right).unwrap(), 1e-11);
            near(pick(&left), pick(&of(&values)).unwrap(), 1e-11);
        }
        assert_eq!((left.count(), left.min(), left.max()), (3_000, right.min().map(|_| -12.0), right.max()));
        assert_eq!(a.merge(&Moments::default()).unwrap(), a);
    }

    #[test]
    fn what_exceeds_an_f64_is_absent() {
        let moments = of(&[-1e308, 1e308, 1e308, 5.0]);
        assert_eq!((moments.variance(), moments.skewness(), moments.excess_kurtosis()), (None, None, None));
        assert_eq!((moments.min(), moments.max(), moments.count()), (Some(-1e308), Some(1e308), 4));
        assert_eq!(of(&[]), Moments::default());
        assert_eq!(
            (of(&[]).variance(), of(&[2.0]).variance(), of(&[2.0]).skewness()),
            (None, Some(0.0), None)
        );
    }
}
