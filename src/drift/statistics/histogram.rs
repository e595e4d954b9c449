//! Bins for numeric columns, and counting into them.

use super::ecdf::Ecdf;

/// NumPy's `histogram_bin_edges(…, "sturges")` for `rows` values from `min` to `max`, of integers or not: what
/// Evidently bins by. `None` unless the values are finite with `min <= max`, or if bins of width 0 would come out.
pub fn sturges_edges(min: f64, max: f64, rows: u64, integers: bool) -> Option<Vec<f64>> {
    let range = max - min;
    if rows == 0 || !range.is_finite() || range < 0.0 {
        return None;
    }
    // In this order of operations: where the logarithm is whole, rounding decides over one bin.
    let mut width = range / ((rows as f64).log2() + 1.0);
    if integers && width > 0.0 && width < 1.0 {
        width = 1.0;
    }
    let bins = if width > 0.0 { (range / width).ceil() } else { 1.0 };
    let (min, max) = if range == 0.0 { (min - 0.5, max + 0.5) } else { (min, max) };
    let step = (max - min) / bins;
    let mut edges: Vec<f64> = (0..bins as u32).map(|i| f64::from(i) * step + min).collect();
    edges.push(max);
    edges.windows(2).all(|pair| pair[0] < pair[1]).then_some(edges)
}

/// How many values lie in each bin `[edge, next edge)`, the last one closed; values outside all bins are not counted.
pub fn counts(sample: &Ecdf, edges: &[f64]) -> Vec<u64> {
    let last = edges.len().saturating_sub(2);
    edges
        .windows(2)
        .enumerate()
        .map(|(bin, pair)| {
            let end = if bin == last { sample.count_up_to(pair[1]) } else { sample.count_below(pair[1]) };
            end.saturating_sub(sample.count_below(pair[0]))
        })
        .collect()
}

/// Inner edges that split the reference into at most `bins` parts of about equal mass. For [`open_counts`]. Heavy values
/// get one part of their own and fewer edges come out; of a constant, one edge above it. Outliers do not matter.
pub fn quantile_edges(reference: &Ecdf, bins: usize) -> Vec<f64> {
    let mut edges: Vec<f64> =
        (1..bins).filter_map(|i| inner_edge(reference, i as f64 / bins as f64)).collect();
    edges.dedup();
    edges
}

/// The distinct value of the reference that starts the part above the quantile `p`: what is below it is nearest to `p`.
fn inner_edge(reference: &Ecdf, p: f64) -> Option<f64> {
    let values = reference.distinct();
    let target = p * reference.len() as f64;
    // The first value with at least the target at or below it; the edge comes before or after it.
    let reached = values.partition_point(|value| (reference.count_up_to(*value) as f64) < target);
    let index = reached.min(values.len().checked_sub(1)?);
    let (below, up_to) =
        (reference.count_below(values[index]) as f64, reference.count_up_to(values[index]) as f64);
    if index > 0 && target - below <= up_to - target {
        return Some(values[index]);
    }
    // Above the greatest value of the reference a part is open for what is new.
    Some(values.get(index + 1).copied().unwrap_or(values[index].next_up()))
}

/// Inner edges of `bins` equal widths over the bulk of the reference: from the lower to the upper quartile and up to
/// three times their distance beyond (Tukey's far fences), as far as there are values. One outlier of 9e9 leaves
/// the bins as they are. Of a constant, the edges that part it from what is less and more. For [`open_counts`].
pub fn equal_width_edges(reference: &Ecdf, bins: usize) -> Vec<f64> {
    let (Some(min), Some(max), Some(low), Some(high)) =
        (reference.min(), reference.max(), reference.quantile(0.25), reference.quantile(0.75))
    else {
        return vec![];
    };
    if min == max {
        return vec![min, min.next_up()];
    }
    let fence = 3.0 * (high - low);
    // Of a mostly constant column the fences are one point: then its whole range.
    let within = || {
        let last = reference.count_up_to(high + fence).checked_sub(1)?;
        reference.at_rank(reference.count_below(low - fence)).zip(reference.at_rank(last))
    };
    let (from, to) = within().filter(|_| fence > 0.0).unwrap_or((min, max));
    let share = |i: usize| i as f64 / bins as f64;
    let mut edges: Vec<f64> = (1..bins).map(|i| from * (1.0 - share(i)) + to * share(i)).collect();
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    edges
}

/// How many values lie below the first inner edge, between each two, and from the last one on. Every value is counted.
pub fn open_counts(sample: &Ecdf, inner: &[f64]) -> Vec<u64> {
    let ends = inner.iter().map(|edge| sample.count_below(*edge)).chain([sample.len()]);
    ends.scan(0, |start, end| Some(end.saturating_sub(std::mem::replace(start, end)))).collect()
}
