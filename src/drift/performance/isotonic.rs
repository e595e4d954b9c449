//! Isotonic regression: the rates that rise with the probability and are nearest to what came true.

use super::roc_auc::Point;

/// A step: from the first to the last of its probabilities one rate.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Step {
    first: f64,
    last: f64,
    own: f64,
    rows: f64,
}

/// A map that never falls: the rate of each step, straight lines between steps, beyond the outer ones their rates.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Isotonic(Vec<Step>);

impl Isotonic {
    /// By pooling adjacent violators (Ayer et al., Annals of Mathematical Statistics 26, 1955). `None` of no rows.
    pub fn fit(points: &[Point]) -> Option<Self> {
        let mut steps: Vec<Step> = vec![];
        for Point { score, others, own } in points {
            let mut step = Step { first: *score, last: *score, own: *own, rows: others + own };
            while let Some(before) = steps.last().filter(|before| before.rate() >= step.rate()) {
                step = Step {
                    first: before.first,
                    own: before.own + step.own,
                    rows: before.rows + step.rows,
                    ..step
                };
                steps.pop();
            }
            steps.push(step);
        }
        (!steps.is_empty()).then_some(Self(steps))
    }

    /// The rate at a probability.
    pub fn at(&self, score: f64) -> f64 {
        let next = self.0.partition_point(|step| step.last < score);
        match (next.checked_sub(1).and_then(|before| self.0.get(before)), self.0.get(next)) {
            (Some(before), Some(after)) if score < after.first => {
                let way = (score - before.last) / (after.first - before.last);
                before.rate() + way * (after.rate() - before.rate())
            }
            (_, Some(step)) | (Some(step), None) => step.rate(),
            (None, None) => score,
        }
    }
}

impl Step {
    fn rate(&self) -> f64 {
        self.own / self.rows
    }
}
