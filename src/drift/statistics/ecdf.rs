//! The empirical distribution of one numeric sample.

/// Larger samples count as this large, so that products of two sizes fit an `i128`.
const ROWS_MAX: u64 = i64::MAX as u64;

/// Distinct ascending values with cumulative counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ecdf {
    values: Vec<f64>,
    /// How many of the sample are at or below the value of the same index.
    cumulative: Vec<u64>,
}

/// One distinct value of two samples together: how often it occurs in each, and how many are below it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    pub value: f64,
    pub at: [u64; 2],
    pub below: [u64; 2],
}

impl Step {
    /// How many of each sample are at or below the value.
    pub fn up_to(&self) -> [u64; 2] {
        [self.below[0] + self.at[0], self.below[1] + self.at[1]]
    }
}

impl Ecdf {
    /// From values in any order. Values that are not finite are the caller's to count; here they are left out.
    pub fn new(mut sample: Vec<f64>) -> Self {
        sample.retain(|value| value.is_finite());
        // As integers in the same order they sort several times faster than with a comparison of floats.
        let mut keys: Vec<u64> = sample.into_iter().map(key).collect();
        keys.sort_unstable();
        let ends = keys
            .windows(2)
            .enumerate()
            .filter(|(_, pair)| pair[0] != pair[1])
            .map(|(index, _)| index as u64 + 1);
        let mut cumulative = Vec::with_capacity(keys.len());
        cumulative.extend(ends);
        cumulative.extend((!keys.is_empty()).then_some(keys.len() as u64));
        keys.dedup();
        // Few distinct values must not hold the memory of many.
        keys.shrink_to_fit();
        cumulative.shrink_to_fit();
        Self { values: keys.into_iter().map(unkey).collect(), cumulative }
    }

    /// From values that stand for many, as a quantile sketch gives them: `(value, weight)` in any order.
    pub fn weighted(points: &[(f64, u64)]) -> Self {
        let mut points: Vec<(u64, u64)> = points
            .iter()
            .filter(|(value, weight)| value.is_finite() && *weight > 0)
            .map(|(v, w)| (key(*v), *w))
            .collect();
        points.sort_unstable_by_key(|(key, _)| *key);
        let mut ecdf = Self::default();
        let mut total = 0_u64;
        for (index, (key, weight)) in points.iter().enumerate() {
            total = total.saturating_add(*weight).min(ROWS_MAX);
            if points.get(index + 1).map(|next| next.0) != Some(*key) {
                ecdf.values.push(unkey(*key));
                ecdf.cumulative.push(total);
            }
        }
        ecdf
    }

    /// How many values the sample has.
    pub fn len(&self) -> u64 {
        self.cumulative.last().copied().unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The distinct values, ascending.
    pub fn distinct(&self) -> &[f64] {
        &self.values
    }

    pub fn min(&self) -> Option<f64> {
        self.values.first().copied()
    }

    pub fn max(&self) -> Option<f64> {
        self.values.last().copied()
    }

    /// Each distinct value with how often it occurs.
    pub fn iter(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let before = std::iter::once(0).chain(self.cumulative.iter().copied());
        self.values
            .iter()
            .zip(&self.cumulative)
            .zip(before)
            .map(|((value, up_to), below)| (*value, up_to - below))
    }

    /// How many are below `x`.
    pub fn count_below(&self, x: f64) -> u64 {
        self.count(self.values.partition_point(|value| *value < x))
    }

    /// How many are at or below `x`.
    pub fn count_up_to(&self, x: f64) -> u64 {
        self.count(self.values.partition_point(|value| *value <= x))
    }

    fn count(&self, distinct: usize) -> u64 {
        distinct.checked_sub(1).map_or(0, |last| self.cumulative[last])
    }

    /// The value of rank `index` from 0, as in the sorted sample.
    pub fn at_rank(&self, index: u64) -> Option<f64> {
        self.values.get(self.cumulative.partition_point(|up_to| *up_to <= index)).copied()
    }

    /// The quantile at `0 <= p <= 1`, linear between order statistics (Hyndman and Fan 1996, type 7).
    pub fn quantile(&self, p: f64) -> Option<f64> {
        let position = (self.len().checked_sub(1)?) as f64 * p.clamp(0.0, 1.0);
        let (low, share) = (position.floor(), position.fract());
        let left = self.at_rank(low as u64)?;
        let right = self.at_rank(low as u64 + 1).unwrap_or(left);
        // Not left + share * (right - left), which overflows when they are far apart.
        Some(if share == 0.0 { left } else { left * (1.0 - share) + right * share })
    }

    /// The mean; `None` of nothing.
    pub fn mean(&self) -> Option<f64> {
        let n = self.len() as f64;
        // Around a value in the middle, so that a large common offset costs no digits.
        let middle = self.values.get(self.values.len() / 2)?;
        let around =
            |pivot: f64| pivot + self.iter().map(|(v, count)| (v - pivot) * (count as f64 / n)).sum::<f64>();
        Some(if (self.max()? - self.min()?).is_finite() { around(*middle) } else { around(0.0) })
    }

    /// The mean of `(value - mean)²`: the variance with divisor `n`; `None` of nothing.
    pub fn variance(&self) -> Option<f64> {
        let (mean, n) = (self.mean()?, self.len() as f64);
        let moment = |power| -> f64 {
            self.iter().map(|(v, count)| (v - mean).powi(power) * (count as f64 / n)).sum()
        };
        // The second term takes back what rounding left in the mean.
        Some((moment(2) - moment(1).powi(2)).max(0.0))
    }
}

/// The distinct values of two samples together, ascending.
pub fn steps<'a>(left: &'a Ecdf, right: &'a Ecdf) -> impl Iterator<Item = Step> + 'a {
    let (mut i, mut j) = (0, 0);
    let mut below = [0, 0];
    std::iter::from_fn(move || {
        let (l, r) = (left.values.get(i).copied(), right.values.get(j).copied());
        let value = match (l, r) {
            (Some(l), Some(r)) => l.min(r),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => return None,
        };
        let mut up_to = below;
        if l == Some(value) {
            up_to[0] = left.cumulative[i];
            i += 1;
        }
        if r == Some(value) {
            up_to[1] = right.cumulative[j];
            j += 1;
        }
        let step = Step { value, at: [up_to[0] - below[0], up_to[1] - below[1]], below };
        below = up_to;
        Some(step)
    })
}

/// The counts of two samples over their distinct values together: a numeric sample of few values as categories.
pub fn cells(left: &Ecdf, right: &Ecdf) -> (Vec<u64>, Vec<u64>) {
    steps(left, right).map(|step| (step.at[0], step.at[1])).unzip()
}

/// An integer that sorts as the finite float does; both zeros are one.
fn key(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn unkey(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_ranks() {
        let ecdf = Ecdf::new(vec![2.0, -1.0, 2.0, f64::NAN, 0.0, -0.0, f64::INFINITY, -3.5]);
        assert_eq!(ecdf.distinct(), [-3.5, -1.0, 0.0, 2.0]);
        assert_eq!(ecdf.iter().map(|(_, count)| count).collect::<Vec<_>>(), [1, 1, 2, 2]);
        assert_eq!(
            (ecdf.len(), ecdf.count_below(0.0), ecdf.count_up_to(0.0), ecdf.count_up_to(-9.0)),
            (6, 2, 4, 0)
        );
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 6].map(|i| ecdf.at_rank(i)).map(|v| v.unwrap_or(9.0)),
            [-3.5, -1.0, 0.0, 0.0, 2.0, 2.0, 9.0]
        );
        assert_eq!(ecdf.quantile(0.5), Some(0.0));
        assert_eq!(ecdf.quantile(0.9), Some(2.0));
        assert_eq!(
            ecdf,
            Ecdf::weighted(&[(2.0, 2), (0.0, 1), (-1.0, 1), (f64::NAN, 4), (-3.5, 1), (0.0, 1), (7.0, 0)])
        );
    }

    #[test]
    fn of_nothing_and_of_much() {
        let none = Ecdf::new(vec![]);
        assert_eq!((none.len(), none.quantile(0.5), none.mean(), none.variance()), (0, None, None, None));
        assert_eq!(steps(&none, &none).count(), 0);
        let wide = Ecdf::new(vec![f64::MAX, f64::MIN, f64::MAX]);
        assert!(wide.quantile(0.3).is_some_and(f64::is_finite));
        assert!(wide.mean().is_some_and(f64::is_finite));
        let much = Ecdf::weighted(&[(1.0, u64::MAX), (2.0, u64::MAX)]);
        assert_eq!(much.len(), ROWS_MAX);
    }

    #[test]
    fn two_samples_together() {
        let (a, b) = (Ecdf::new(vec![1.0, 1.0, 3.0]), Ecdf::new(vec![0.0, 1.0, 4.0, 4.0]));
        let all: Vec<Step> = steps(&a, &b).collect();
        assert_eq!(all.iter().map(|step| step.value).collect::<Vec<_>>(), [0.0, 1.0, 3.0, 4.0]);
        assert_eq!(all[1], Step { value: 1.0, at: [2, 1], below: [0, 1] });
        assert_eq!(all[3].up_to(), [3, 4]);
        assert_eq!(cells(&a, &b), (vec![0, 2, 1, 0], vec![1, 1, 0, 2]));
    }
}
