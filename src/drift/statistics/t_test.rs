//! Student's t test of two samples with equal variance (1908), two-sided.

use super::ecdf::Ecdf;
use super::special::student_two_sided;

/// `(t, p)`, with t positive where the reference has the larger mean; NaN where neither side varies and the means are
/// equal. `None` if a side is empty or there are fewer than three values.
pub fn t_test(reference: &Ecdf, current: &Ecdf) -> Option<(f64, f64)> {
    let (n, m) = (reference.len() as f64, current.len() as f64);
    let degrees_of_freedom = n + m - 2.0;
    let difference = reference.mean()? - current.mean()?;
    let pooled = (n * reference.variance()? + m * current.variance()?) / degrees_of_freedom;
    let t = difference / (pooled * (1.0 / n + 1.0 / m)).sqrt();
    (degrees_of_freedom >= 1.0).then(|| (t, student_two_sided(t, degrees_of_freedom)))
}
