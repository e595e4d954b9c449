//! The test of Epps and Singleton, "An omnibus test for the two-sample problem using the empirical characteristic
//! function", Journal of Statistical Computation and Simulation 26, 1986, at the points 0.4 and 0.8.

use super::ecdf::{Ecdf, steps};
use super::special::chi_square_sf;

type Vector = [f64; 4];
type Matrix = [Vector; 4];

/// `(W, p)`. `None` unless each side has at least five values and the quartiles of both together differ.
pub fn epps_singleton(reference: &Ecdf, current: &Ecdf) -> Option<(f64, f64)> {
    if reference.len().min(current.len()) < 5 {
        return None;
    }
    let (n, m) = (reference.len() as f64, current.len() as f64);
    let total = n + m;
    let together: Vec<(f64, u64)> =
        steps(reference, current).map(|step| (step.value, step.at[0].saturating_add(step.at[1]))).collect();
    let together = Ecdf::weighted(&together);
    let scale = 0.5 * (together.quantile(0.75)? - together.quantile(0.25)?);
    if !(scale > 0.0 && scale.is_finite()) {
        return None;
    }
    let ((left, left_spread), (right, right_spread)) = (moments(reference, scale), moments(current, scale));
    let mut covariance = [[0.0; 4]; 4];
    for (i, row) in covariance.iter_mut().enumerate() {
        for (j, cell) in row.iter_mut().enumerate() {
            *cell = total / n * left_spread[i][j] + total / m * right_spread[i][j];
        }
    }
    // The inverse by eigenvalues; those that are rounding noise are left out, and with them a degree of freedom.
    let (values, vectors) = eigen(covariance);
    let largest = values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    let (mut statistic, mut rank) = (0.0, 0_u32);
    for (k, value) in values.iter().enumerate().filter(|(_, value)| **value > 1e-15 * largest) {
        let along: f64 = (0..4).map(|i| vectors[i][k] * (left[i] - right[i])).sum();
        statistic += total * along * along / value;
        rank += 1;
    }
    if n.max(m) < 25.0 {
        statistic /= 1.0 + total.powf(-0.45) + 10.1 * (n.powf(-1.7) + m.powf(-1.7));
    }
    (rank > 0).then(|| (statistic, chi_square_sf(statistic, f64::from(rank))))
}

/// Means and covariance (divisor `n`) of the cosine and sine at both points.
fn moments(sample: &Ecdf, scale: f64) -> (Vector, Matrix) {
    let n = sample.len() as f64;
    let at = |value: f64| {
        let (a, b) = (0.4 / scale * value, 0.8 / scale * value);
        [a.cos(), b.cos(), a.sin(), b.sin()]
    };
    let (mut mean, mut spread) = ([0.0; 4], [[0.0; 4]; 4]);
    for (value, count) in sample.iter() {
        let g = at(value);
        (0..4).for_each(|i| mean[i] += g[i] * count as f64 / n);
    }
    for (value, count) in sample.iter() {
        let g = at(value);
        for i in 0..4 {
            for j in 0..4 {
                spread[i][j] += (g[i] - mean[i]) * (g[j] - mean[j]) * count as f64 / n;
            }
        }
    }
    (mean, spread)
}

/// Eigenvalues and, in columns, eigenvectors of a symmetric matrix, by Jacobi's rotations (1846).
fn eigen(mut a: Matrix) -> (Vector, Matrix) {
    let mut vectors = [[0.0; 4]; 4];
    (0..4).for_each(|i| vectors[i][i] = 1.0);
    for _ in 0..50 {
        for p in 0..3 {
            for q in p + 1..4 {
                if a[p][q] == 0.0 {
                    continue;
                }
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                let s = t * c;
                for row in &mut a {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                let (up, uq) = (a[p], a[q]);
                for k in 0..4 {
                    a[p][k] = c * up[k] - s * uq[k];
                    a[q][k] = s * up[k] + c * uq[k];
                }
                for row in &mut vectors {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
            }
        }
    }
    ([a[0][0], a[1][1], a[2][2], a[3][3]], vectors)
}
