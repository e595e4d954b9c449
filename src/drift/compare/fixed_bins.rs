//! Cells that somebody fixed for a column, as `0,18,65` for ages: they are compared as categories are.
//!
//! Their counts are exact however many rows a profile saw, while its quantiles are then a sketch.

use super::categories;
use super::options::Options;
use super::result::{Cell, Test};
use super::side::Sample;

const CHI_SQUARE: &str = "chi_square_of_fixed_bins";
const RARE: &str = "rate_of_other_than_the_usual_bin";

/// How many are below, in each bin and above. `None`: a side is a sketch that was not counted in these bins.
pub(super) fn cells(reference: &Sample, current: &Sample, edges: &[f64]) -> Option<Vec<Cell>> {
    let counts = counts(reference, edges)?.into_iter().zip(counts(current, edges)?);
    let label = |i: usize| match (i.checked_sub(1).and_then(|i| edges.get(i)), edges.get(i)) {
        (Some(low), Some(high)) if i + 1 == edges.len() => format!("{low:?} to {high:?}"),
        (Some(low), Some(high)) => format!("{low:?} to < {high:?}"),
        (None, Some(high)) => format!("< {high:?}"),
        (Some(low), None) => format!("> {low:?}"),
        (None, None) => String::new(),
    };
    Some(counts.enumerate().map(|(i, (r, c))| Cell::new(label(i), r, c)).collect())
}

fn counts(sample: &Sample, edges: &[f64]) -> Option<Vec<u64>> {
    if let Some(bins) = sample.bins.as_ref().filter(|bins| bins.edges() == edges) {
        let inner = bins.counts().iter().copied();
        return Some([bins.below()].into_iter().chain(inner).chain([bins.above()]).collect());
    }
    if sample.error() > 0.0 {
        return None;
    }
    let (ecdf, last) = (&sample.ecdf, *edges.last()?);
    // The last bin has its upper edge, too.
    let below = edges[..edges.len() - 1].iter().map(|edge| ecdf.count_below(*edge));
    let up_to: Vec<u64> = below.chain([ecdf.count_up_to(last), ecdf.len()]).collect();
    let before = [0].into_iter().chain(up_to.iter().copied());
    Some(up_to.iter().zip(before).map(|(to, before)| to.saturating_sub(before)).collect())
}

/// `None` if all rows are in one cell.
pub(super) fn test(cells: &[Cell], options: &Options) -> Option<Test> {
    let filled = || cells.iter().filter(|cell| cell.reference + cell.current > 0);
    let side = |pick: fn(&Cell) -> u64| filled().map(pick).collect::<Vec<_>>();
    let names = filled().map(|cell| cell.label.as_str()).collect();
    // Edges that somebody gave can be told.
    let options = &Options { named_from: 0, ..options.clone() };
    let test = categories::of_counts(names, side(|cell| cell.reference), side(|cell| cell.current), options)?;
    let statistic = if test.statistic == categories::RARE { RARE } else { CHI_SQUARE };
    Some(Test { statistic: statistic.to_owned(), ..test })
}
