//! Control of the share of false alarms among all alarms of a run.

/// The adjusted p-values, in the order given: an alarm for each that is at or below α keeps the expected share of
/// false ones at or below α (Benjamini and Hochberg, Journal of the Royal Statistical Society B 57, 1995, as adjusted
/// values by Yekutieli and Benjamini 1999). A p that is no number counts as 1.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    adjusted(p, 1.0)
}

/// The same under any dependence of the p-values, at the price of a factor `1 + 1/2 + … + 1/k` (Benjamini and
/// Yekutieli, Annals of Statistics 29, 2001).
pub fn benjamini_yekutieli(p: &[f64]) -> Vec<f64> {
    adjusted(p, (1..=p.len()).map(|k| 1.0 / k as f64).sum())
}

fn adjusted(p: &[f64], factor: f64) -> Vec<f64> {
    let p: Vec<f64> = p.iter().map(|p| if p.is_nan() { 1.0 } else { p.clamp(0.0, 1.0) }).collect();
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut result = vec![1.0; p.len()];
    let mut least = 1.0_f64;
    for (rank, index) in order.iter().enumerate().rev() {
        least = least.min(p[*index] * factor * p.len() as f64 / (rank + 1) as f64);
        result[*index] = least;
    }
    result
}
