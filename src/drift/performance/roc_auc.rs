//! The area under the ROC curve: how often a row of the class has a higher probability than a row of another.

use super::shares::Share;

pub(super) const METHOD: &str = "z test, variances after DeLong";

/// A probability with the number of rows that have it: of other classes, and of this one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub score: f64,
    pub others: f64,
    pub own: f64,
}

/// Different probabilities, the least first, of rows that are of the class to this share: 0 or 1, or what is expected.
pub(super) fn points(rows: impl Iterator<Item = (f64, f64)>) -> Vec<Point> {
    let mut points: Vec<Point> = rows.map(|(score, own)| Point { score, others: 1.0 - own, own }).collect();
    // Of equal ones in the order in which they come: the same sums each time.
    points.sort_by(|a, b| a.score.total_cmp(&b.score));
    points.dedup_by(|next, point| {
        let is_same = next.score == point.score;
        if is_same {
            (point.others, point.own) = (point.others + next.others, point.own + next.own);
        }
        is_same
    });
    points
}

/// The points of bins of equal width, each at its middle.
pub(super) fn points_of_bins(bins: &[[u64; 2]]) -> Vec<Point> {
    let width = 1.0 / bins.len() as f64;
    let point = |(bin, [others, own]): (usize, &[u64; 2])| Point {
        score: (bin as f64 + 0.5) * width,
        others: *others as f64,
        own: *own as f64,
    };
    bins.iter().enumerate().map(point).filter(|point| point.others + point.own > 0.0).collect()
}

/// The area, and for each point the share of other rows below it and that of rows of the class above it, ties counting
/// half.
pub(super) struct Area {
    pub area: f64,
    pub others: f64,
    pub own: f64,
    pub placements: Vec<[f64; 2]>,
}

impl Area {
    /// `None` if either kind has fewer rows than this.
    pub fn of(points: &[Point], least: f64) -> Option<Self> {
        let others: f64 = points.iter().map(|point| point.others).sum();
        let own: f64 = points.iter().map(|point| point.own).sum();
        if others < least || own < least {
            return None;
        }
        let (mut others_below, mut own_below) = (0.0, 0.0);
        let place = |point: &Point| {
            let below = (others_below + 0.5 * point.others) / others;
            let above = (own - own_below - 0.5 * point.own) / own;
            (others_below, own_below) = (others_below + point.others, own_below + point.own);
            [below, above]
        };
        let placements: Vec<[f64; 2]> = points.iter().map(place).collect();
        let area =
            points.iter().zip(&placements).map(|(point, [below, _])| point.own * below).sum::<f64>() / own;
        Some(Self { area, others, own, placements })
    }
}

/// The area. `None` without two rows of either kind.
///
/// Its variance is that of the placements of either kind of rows (DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988).
pub(super) fn share(points: &[Point]) -> Option<Share> {
    let Area { area, others, own, placements } = Area::of(points, 2.0)?;
    let (mut of_own, mut of_others) = (0.0, 0.0);
    for (point, [below, above]) in points.iter().zip(placements) {
        of_own += point.own * (below - area).powi(2);
        of_others += point.others * (above - area).powi(2);
    }
    let variance = of_own / (own - 1.0) / own + of_others / (others - 1.0) / others;
    Share::new(area, variance, (own + others) as u64, own.min(others) as u64)
}
