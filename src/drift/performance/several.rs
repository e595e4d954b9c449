//! The area under the ROC curve of several classes: the mean of each class against all others.

use super::sample::Sample;
use super::shares::Share;

/// Over classes given by their place among the probabilities and among the sample's classes, of labelled rows. `None` if
/// one of them has not two rows, or all.
///
/// DeLong's variance of a mean: the same row tells of all areas, so that what it says of them is added before it is
/// squared.
pub(super) fn share(sample: &Sample, classes: &[[usize; 2]]) -> Option<Share> {
    let rows: Vec<_> = sample.rows().filter(|row| row.target.is_some() && row.prediction.is_some()).collect();
    let (n, k) = (rows.len(), classes.len() as f64);
    let mut moved = vec![0.0; n];
    let (mut sum, mut cases) = (0.0, n);
    for [place, class] in classes {
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_unstable_by(|a, b| rows[*a].scores[*place].total_cmp(&rows[*b].scores[*place]));
        let is_own = |row: usize| rows[row].target == Some(*class);
        let own = (0..n).filter(|row| is_own(*row)).count();
        let others = n - own;
        if own < 2 || others < 2 {
            return None;
        }
        cases = cases.min(own).min(others);
        let (mut others_below, mut own_below, mut area) = (0.0, 0.0, 0.0);
        let mut says = vec![0.0; n];
        for tied in order.chunk_by(|a, b| rows[*a].scores[*place] == rows[*b].scores[*place]) {
            let own_here = tied.iter().filter(|row| is_own(**row)).count() as f64;
            let others_here = tied.len() as f64 - own_here;
            let below = (others_below + 0.5 * others_here) / others as f64;
            let above = (own as f64 - own_below - 0.5 * own_here) / own as f64;
            tied.iter().for_each(|row| says[*row] = if is_own(*row) { below } else { above });
            area += own_here * below / own as f64;
            others_below += others_here;
            own_below += own_here;
        }
        for (row, said) in says.into_iter().enumerate() {
            moved[row] += (said - area) / (k * if is_own(row) { own } else { others } as f64);
        }
        sum += area;
    }
    let variance = moved.iter().map(|by| by * by).sum();
    Share::new(sum / k, variance, n as u64, cases as u64)
}
