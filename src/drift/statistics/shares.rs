//! From counts over cells to shares, and what to do about empty cells.

/// The share of each cell; all 0 where there are no rows.
pub fn shares(counts: &[u64]) -> Vec<f64> {
    let total = total(counts);
    counts.iter().map(|count| if total > 0.0 { *count as f64 / total } else { 0.0 }).collect()
}

/// Shares that are never 0: half a row more in every cell (Krichevsky and Trofimov 1981). They sum to 1.
pub fn smoothed(counts: &[u64]) -> Vec<f64> {
    let total = total(counts) + 0.5 * counts.len() as f64;
    counts.iter().map(|count| (*count as f64 + 0.5) / total).collect()
}

/// The number of rows, as a float so that no counts overflow it.
pub fn total(counts: &[u64]) -> f64 {
    counts.iter().fold(0_u128, |sum, count| sum + u128::from(*count)) as f64
}

/// Both sides have rows over the same cells.
pub(super) fn comparable(reference: &[u64], current: &[u64]) -> bool {
    reference.len() == current.len() && total(reference) > 0.0 && total(current) > 0.0
}
