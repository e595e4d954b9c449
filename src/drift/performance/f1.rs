//! Macro F1: the mean over classes of `2 TP / (actual + predicted)`.

use super::measures::Classification;
use super::shares::Share;
use std::collections::BTreeMap;

pub(super) const METHOD: &str = "z test, variances by the delta method";

/// Over these classes; `None` of none, or without rows.
///
/// Its variance is that of a mean: a row of class t taken for class p moves it by the sum of what it adds to the
/// numerators less F1 times what it adds to the denominators, each over its denominator (van der Vaart, "Asymptotic
/// Statistics", 1998, chapter 3).
pub(super) fn share(of: &Classification, classes: &[&str]) -> Option<Share> {
    let rows = of.total();
    let n = rows as f64;
    let mut counts: BTreeMap<&str, [f64; 2]> = classes.iter().map(|name| (*name, [0.0; 2])).collect();
    for [target, prediction, rows] in &of.confusion {
        let rows = *rows as f64;
        if let Some(count) = counts.get_mut(of.name(*target)) {
            *count = [count[0] + if target == prediction { rows } else { 0.0 }, count[1] + rows];
        }
        if let Some(count) = counts.get_mut(of.name(*prediction)) {
            count[1] += rows;
        }
    }
    // Of each class F1, and the share of rows in its denominator.
    let scores: BTreeMap<&str, [f64; 2]> =
        counts.iter().map(|(name, [hits, all])| (*name, [2.0 * hits / all, all / n])).collect();
    let k = scores.len() as f64;
    let value = scores.values().map(|[score, _]| score).sum::<f64>() / k;
    let moved = |name: &str, hit: f64| scores.get(name).map_or(0.0, |[score, all]| (hit - score) / all);
    let squares = of.confusion.iter().map(|[target, prediction, rows]| {
        let hit = if target == prediction { 1.0 } else { 0.0 };
        let by = moved(of.name(*target), hit) + moved(of.name(*prediction), hit);
        *rows as f64 * by * by / (k * k)
    });
    Share::new(value, squares.sum::<f64>() / (n * n), rows, rows)
}
