//! The L-infinity distance: the largest change of one cell's share, 0 to 1.

use super::shares::{comparable, shares};

/// The distance and the cell that has it; `None` if a side has no rows or the cells differ.
pub fn l_infinity(reference: &[u64], current: &[u64]) -> Option<(f64, usize)> {
    if !comparable(reference, current) {
        return None;
    }
    let distances = shares(reference).into_iter().zip(shares(current)).map(|(r, c)| (r - c).abs());
    Some(distances.enumerate().fold((0.0, 0), |most, (cell, d)| if d > most.0 { (d, cell) } else { most }))
}
