//! Whether there are unusually many or few rows.

use super::super::statistics::row_count::{HISTORY_MIN, row_count};
use super::options::Options;
use super::result::{Cell, Test, Verdict};

/// Fewer rows than this share of the usual, or more than its inverse, are worth a look if they are significant too.
const RATIO_MIN: f64 = 0.75;

/// The count against those of past windows; `None` without any.
pub(super) fn test(past: &[u64], count: u64, options: &Options) -> Option<Test> {
    const NAME: &str = "row_count_per_usual";
    if past.is_empty() {
        return None;
    }
    let Some(found) = row_count(past, count) else {
        let why = format!("{} past windows; {HISTORY_MIN} are needed to know what is usual.", past.len());
        return Some(Test::insufficient(NAME, past.len() as u64, 1, &why));
    };
    let unusual = found.p_value <= options.alpha && !(RATIO_MIN..=1.0 / RATIO_MIN).contains(&found.ratio);
    let (usual, p) = (found.usual, found.p_value);
    Some(Test {
        method: "robust, on the scale of root counts".to_owned(),
        verdict: Some(if unusual { Verdict::Warn } else { Verdict::Ok }),
        reason: format!("{count} rows, usual are {usual}; p {p:.2e}."),
        value: Some(found.ratio).filter(|ratio| ratio.is_finite()),
        p_value: Some(p).filter(|p| p.is_finite()),
        cells: vec![Cell::new("rows", usual as u64, count)],
        ..Test::new(NAME, past.len() as u64, 1)
    })
}
