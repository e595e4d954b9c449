//! What performance should be by the probabilities, where labels are awaited.

use super::super::super::compare::{Effect, Test, Verdict};
use super::super::calibration::Calibration;
use super::super::estimate::expected;
use super::super::report::{ASSUMPTION, Estimate, EstimatedMetric};
use super::super::shares::{self, Share};
use super::super::{accuracy, f1};
use super::{Comparison, Pair, frequent};

impl Pair<'_> {
    /// The estimate, and findings of it unless each row has its label.
    pub(super) fn estimate(&self, all: &mut Comparison) {
        let [reference, current] = self.sides;
        let Some(expected) = expected(reference, current) else { return };
        let Some(of_reference) = reference.classification() else { return };
        let classes = frequent(&[of_reference]);
        let is_awaited = current.measures.measured() < current.measures.rows;
        let mut metrics = vec![];
        let tests = expected.shares.len() as f64;
        for (name, share) in expected.shares {
            let measured = match name {
                "accuracy" => accuracy::share(of_reference),
                "macro F1" if classes.len() == 2 => f1::share(of_reference, &classes),
                "ROC AUC" => {
                    let pair = Pair { sides: [reference; 2], ..*self };
                    pair.areas(of_reference, of_reference).ok().and_then(|(areas, _)| areas[0])
                }
                _ => None,
            };
            if let Some(measured) = measured.filter(|_| is_awaited) {
                let test = self.judged(name, measured, share, self.options.alpha / tests);
                all.findings.push(self.finding(&format!("estimated {name}"), vec![test]));
            }
            let reference = measured.and_then(Share::reported);
            let Some(current) = share.reported() else { continue };
            metrics.push(EstimatedMetric { name: name.to_owned(), reference, current });
        }
        let mean = |side: usize| {
            let sum: f64 = expected.calibrations.iter().map(|calibration| calibration.errors[side]).sum();
            sum / expected.calibrations.len() as f64
        };
        let notes = [
            (expected.is_sample, "of a sample of rows, drawn by their places"),
            (expected.is_partial, "accuracy of more than two classes takes a probability of each"),
        ];
        let notes: Vec<&str> = notes.iter().filter(|(applies, _)| *applies).map(|(_, note)| *note).collect();
        all.estimate = Some(Estimate {
            assumption: ASSUMPTION.to_owned(),
            calibrated: expected.calibrations.iter().any(Calibration::is_map),
            calibration_error: [mean(0), mean(1)],
            metrics,
            note: notes.join("; "),
        });
    }

    /// An estimate warns at most: no labels say that it holds. It has no p-value among those of the run; `alpha` is its
    /// part of what all estimates may be wrong by. Of few rows it warns only of what they can find.
    fn judged(&self, name: &str, measured: Share, estimated: Share, alpha: f64) -> Test {
        let statistic = format!("estimated_{}_difference", name.to_lowercase().replace(' ', "_"));
        let mut test = shares::test(&statistic, "", measured, estimated, self.options);
        let is_significant = test.p_value.take().is_some_and(|p| p <= alpha);
        let is_resolved = test.effect.as_ref().is_some_and(Effect::is_resolved);
        let is_large = test.effect.as_ref().is_some_and(|effect| {
            effect.value >= if is_resolved { effect.floor } else { effect.floor.max(effect.detectable) }
        });
        let verdict = match () {
            () if is_significant && is_large => Verdict::Warn,
            () if is_resolved => Verdict::Ok,
            () => Verdict::InsufficientData,
        };
        test.verdict = Some(verdict);
        test.method = "from calibrated probabilities; warns at most".to_owned();
        test.reason =
            format!("{:.3} expected, {:.3} in the reference; {ASSUMPTION}.", estimated.value, measured.value);
        test
    }
}
