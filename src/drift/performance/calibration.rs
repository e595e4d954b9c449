//! What probabilities mean: how often what they say came true.

use super::isotonic::Isotonic;
use super::roc_auc::Point;

/// Groups of equally many rows by which the calibration error is measured.
const GROUPS: f64 = 10.0;

/// A map from probabilities to rates, if it is better than none.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Calibration {
    map: Option<Isotonic>,
    /// On rows held out: of probabilities as they are, and of calibrated ones.
    pub errors: [f64; 2],
}

impl Calibration {
    /// Fits a map to one half, and keeps one of all rows if it lowers the error on the other half. `None` if a half has
    /// no rows.
    pub fn fit(fitted: &[Point], held_out: &[Point], all: &[Point]) -> Option<Self> {
        let half = Isotonic::fit(fitted)?;
        let errors = [error(held_out, |score| score)?, error(held_out, |score| half.at(score))?];
        Some(Self { map: Isotonic::fit(all).filter(|_| errors[1] < errors[0]), errors })
    }

    pub fn is_map(&self) -> bool {
        self.map.is_some()
    }

    pub fn at(&self, score: f64) -> f64 {
        self.map.as_ref().map_or(score, |map| map.at(score))
    }
}

/// The expected calibration error: by how much rates miss mean probabilities in groups of rows (Naeini, Cooper and
/// Hauskrecht, AAAI 2015, with groups of equal size). `None` of no rows.
fn error(points: &[Point], map: impl Fn(f64) -> f64) -> Option<f64> {
    let all: f64 = points.iter().map(|point| point.others + point.own).sum();
    let (mut missed, mut seen) = (0.0, 0.0);
    let mut group = 0.0;
    for (index, Point { score, others, own }) in points.iter().enumerate() {
        group += own - map(*score) * (others + own);
        let before = (seen * GROUPS / all).floor();
        seen += others + own;
        if (seen * GROUPS / all).floor() > before || index + 1 == points.len() {
            missed += f64::abs(group);
            group = 0.0;
        }
    }
    (all > 0.0).then_some(missed / all)
}
