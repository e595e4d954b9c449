//! Rows with their probabilities, as many as there is room for.

use super::super::statistics::random::SplitMix;
use super::classes::{NONE, moved};

/// Room for so many probabilities.
pub const SCORES_MAX: usize = 1 << 20;

/// All rows, or of more of them those with the least hashes of their places: a sample that depends on the seed and the
/// places alone, however the rows are cut.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Probabilities of a row.
    width: usize,
    room: usize,
    keys: Vec<u64>,
    targets: Vec<u16>,
    predictions: Vec<u16>,
    scores: Vec<f64>,
    seen: u64,
}

/// One row; a class is absent where there is no label, or no prediction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scored<'a> {
    pub target: Option<usize>,
    pub prediction: Option<usize>,
    pub scores: &'a [f64],
    /// A fair coin.
    pub is_held_out: bool,
}

/// The hash of the place of a row.
pub(super) fn key(seed: u64, chunk: u64, row: u64) -> u64 {
    let place = SplitMix(chunk.rotate_left(40) ^ row).bits();
    SplitMix(seed ^ place).bits()
}

/// The coin of a row.
pub(super) fn is_held_out(key: u64) -> bool {
    key & 1 == 1
}

impl Sample {
    pub fn new(width: usize) -> Self {
        Self { width, room: SCORES_MAX / width.max(1), ..Self::default() }
    }

    #[cfg(test)]
    pub(super) fn with_room(width: usize, room: usize) -> Self {
        Self { width, room, ..Self::default() }
    }

    pub(super) fn push(&mut self, key: u64, target: u16, prediction: u16, scores: &[f64]) {
        self.seen += 1;
        self.keys.push(key);
        self.targets.push(target);
        self.predictions.push(prediction);
        self.scores.extend_from_slice(scores);
        self.shrink(2 * self.room);
    }

    /// Adds rows of other classes, which went to these places.
    pub(super) fn absorb(&mut self, other: Self, places: &[u16]) {
        self.seen += other.seen;
        self.keys.extend(other.keys);
        self.targets.extend(other.targets.iter().map(|class| moved(*class, places)));
        self.predictions.extend(other.predictions.iter().map(|class| moved(*class, places)));
        self.scores.extend(other.scores);
        self.shrink(2 * self.room);
    }

    /// Its rows, and no more than there is room for; classes have gone to these places.
    pub(super) fn finished(mut self, places: &[u16]) -> Self {
        self.shrink(self.room);
        for class in self.targets.iter_mut().chain(&mut self.predictions) {
            *class = moved(*class, places);
        }
        self
    }

    /// Of more than `most` rows, leaves those there is room for.
    fn shrink(&mut self, most: usize) {
        if self.keys.len() <= most {
            return;
        }
        let mut keys = self.keys.clone();
        let (_, greatest, _) = keys.select_nth_unstable(self.room.saturating_sub(1));
        let (greatest, width) = (*greatest, self.width);
        let mut kept = 0;
        for row in 0..self.keys.len() {
            if self.keys[row] <= greatest {
                self.keys[kept] = self.keys[row];
                self.targets[kept] = self.targets[row];
                self.predictions[kept] = self.predictions[row];
                self.scores.copy_within(row * width..(row + 1) * width, kept * width);
                kept += 1;
            }
        }
        self.keys.truncate(kept);
        self.targets.truncate(kept);
        self.predictions.truncate(kept);
        self.scores.truncate(kept * width);
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether all rows are here.
    pub fn is_exact(&self) -> bool {
        self.seen == self.keys.len() as u64
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Scored<'_>> {
        let class = |class: u16| (class != NONE).then_some(usize::from(class));
        self.scores.chunks_exact(self.width.max(1)).enumerate().map(move |(row, scores)| Scored {
            target: class(self.targets[row]),
            prediction: class(self.predictions[row]),
            scores,
            is_held_out: is_held_out(self.keys[row]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However rows are cut into chunks, the same are left, with what belongs to them.
    #[test]
    fn a_sample_depends_on_the_places_of_rows_alone() {
        let part = |rows: std::ops::Range<u64>| {
            let mut sample = Sample::with_room(2, 500);
            rows.for_each(|row| sample.push(key(7, 0, row), (row % 3) as u16, 1, &[row as f64, -1.0]));
            sample
        };
        let same: Vec<u16> = (0..3).collect();
        let merged = |cuts: &[u64]| {
            let mut whole = Sample::with_room(2, 500);
            cuts.windows(2).for_each(|cut| whole.absorb(part(cut[0]..cut[1]), &same));
            whole.finished(&same)
        };
        let rows = |sample: &Sample| {
            let mut rows: Vec<u64> = sample.rows().map(|row| row.scores[0] as u64).collect();
            assert!(sample.rows().all(|row| row.target == Some(row.scores[0] as usize % 3)));
            rows.sort_unstable();
            rows
        };
        let (one, many) = (merged(&[0, 20_000]), merged(&[0, 10, 1_500, 7_000, 20_000]));
        assert_eq!((one.len(), one.is_exact()), (500, false));
        assert_eq!(rows(&one), rows(&many));
        let upper = rows(&one).iter().filter(|row| **row >= 10_000).count();
        assert!((200..300).contains(&upper), "it is fair: {upper}");
        assert!(merged(&[0, 500]).is_exact());
    }
}
