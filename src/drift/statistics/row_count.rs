//! Whether a window has an unusual number of rows, judged by the numbers of past windows.

use super::special::student_two_sided;

/// Fewer past windows than this say too little about what is usual.
pub const HISTORY_MIN: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowCount {
    /// The usual number of rows: the median of the past.
    pub usual: f64,
    /// The count's ratio to the usual one; 1 where both are 0, infinite where only the usual one is.
    pub ratio: f64,
    /// How many robust standard deviations the count lies off, on the root scale.
    pub deviation: f64,
    pub p_value: f64,
}

/// `None` with fewer than five past counts.
///
/// The rule: on the scale `2 √(count + 3/8)` a Poisson count has standard deviation 1 whatever its mean (Anscombe
/// 1948), so that small and large counts are judged alike. The centre is the median and the spread 1.4826 × the median
/// absolute deviation with the correction for few values of Croux and Rousseeuw (1992): up to half of the past may be
/// outliers. The spread counts as at least 1, the Poisson one, so that a past without any variation makes no alarm of
/// a few rows. The median's own error adds the share `π/2k` to the variance. As the spread is estimated with 37 % of
/// the efficiency of the usual estimate, p comes from Student's distribution with `0.37 (k - 1)` degrees of freedom.
pub fn row_count(past: &[u64], count: u64) -> Option<RowCount> {
    if past.len() < HISTORY_MIN {
        return None;
    }
    let k = past.len() as f64;
    let root = |count: u64| 2.0 * (count as f64 + 0.375).sqrt();
    let roots: Vec<f64> = past.iter().map(|count| root(*count)).collect();
    let centre = median(roots.clone());
    let spread = median(roots.iter().map(|root| (root - centre).abs()).collect()) * 1.4826 * few(past.len());
    let deviation =
        (root(count) - centre) / (spread.max(1.0) * (1.0 + std::f64::consts::PI / (2.0 * k)).sqrt());
    let usual = median(past.iter().map(|count| *count as f64).collect());
    let ratio = if usual == count as f64 { 1.0 } else { count as f64 / usual };
    Some(RowCount {
        usual,
        ratio,
        deviation,
        p_value: student_two_sided(deviation, (0.37 * (k - 1.0)).max(1.0)),
    })
}

/// By how much the median absolute deviation of few values is too small (Croux and Rousseeuw 1992).
fn few(k: usize) -> f64 {
    match k {
        0..=5 => 1.206,
        6 => 1.200,
        7 => 1.140,
        8 => 1.129,
        9 => 1.107,
        _ => k as f64 / (k as f64 - 0.8),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { 0.5 * (values[half - 1] + values[half]) }
}
