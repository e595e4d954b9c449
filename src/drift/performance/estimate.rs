//! Performance without labels, from what calibrated probabilities say: confidence-based performance estimation (CBPE,
//! as NannyML's documentation describes it, "Estimation of performance of the monitored model").
//!
//! A row to which a class was given with probability p is right with probability p, if p means what it says. So expected
//! counts take the place of counts. What will be measured once labels are known varies around the estimate, as each
//! row's outcome is drawn with its probability: the variance is the sum over rows of `p (1 - p)` times the square of by
//! how much the row's outcome moves the metric (of accuracy that of Poisson's binomial distribution). That the map from
//! probabilities to rates has an error of its own is not counted.

use super::calibration::Calibration;
use super::measures::Classification;
use super::roc_auc::{Area, points};
use super::shares::{CLASS_ROWS, Share};
use super::{Sample, Side, roc_auc};

/// Expected metrics by name, and how probabilities were calibrated.
pub(super) struct Expected {
    pub shares: Vec<(&'static str, Share)>,
    /// Of each class that has a probability.
    pub calibrations: Vec<Calibration>,
    /// Rows it is of, all or a sample.
    pub is_sample: bool,
    /// There is one probability, and more than two classes: it does not say how likely each answer is.
    pub is_partial: bool,
}

/// One row of two classes: its probability, what that means, and whether the class was predicted.
struct Row {
    score: f64,
    p: f64,
    said: bool,
}

/// Of the current side, as the reference's labels calibrate it. `None` without probabilities, without rows on the current
/// side, or without labels of the reference to calibrate by.
pub(super) fn expected(reference: &Side, current: &Side) -> Option<Expected> {
    let [of_reference, of_current] = [reference, current].map(Side::classification);
    let of = &of_reference?.probabilities.as_ref()?.of;
    let sample = current.sample.as_ref().filter(|sample| !sample.is_empty())?;
    let calibrations: Vec<Calibration> =
        (0..of.len()).map(|place| calibration(reference, place)).collect::<Option<_>>()?;
    let place = |class: usize| place(of_current?, class, of);
    let rows = sample.rows().filter_map(|row| Some((row.scores, place(row.prediction?))));
    let is_partial = of.len() == 1 && has_other_classes(of_reference?, of_current?, sample, &of[0]);
    let shares = if let [calibration] = calibrations.as_slice() {
        let row = |(scores, class): (&[f64], Option<usize>)| Row {
            score: scores[0],
            p: calibration.at(scores[0]),
            said: class.is_some(),
        };
        let rows: Vec<Row> = rows.map(row).collect();
        let all = [("accuracy", accuracy(&rows)), ("macro F1", f1(&rows)), ("ROC AUC", area(&rows))];
        let known = all.into_iter().filter(|(name, _)| !is_partial || *name == "ROC AUC");
        known.filter_map(|(name, share)| Some((name, share?))).collect()
    } else {
        let right = rows.map(|(scores, class)| chosen(scores, class, &calibrations));
        Vec::from_iter(mean(right).map(|share| ("accuracy", share)))
    };
    Some(Expected { shares, calibrations, is_sample: !sample.is_exact(), is_partial })
}

/// Whether there are more classes than this one and another, among labels of the reference or answers of either side.
fn has_other_classes(
    reference: &Classification,
    current: &Classification,
    sample: &Sample,
    own: &str,
) -> bool {
    let said = sample.rows().filter_map(|row| current.classes.get(row.prediction?));
    let mut others = reference.classes.iter().chain(said).filter(|name| *name != own);
    others.next().is_some_and(|first| others.any(|name| name != first))
}

/// Where a class is among those of the probabilities.
pub(super) fn place(it: &Classification, class: usize, of: &[String]) -> Option<usize> {
    let name = it.classes.get(class)?;
    of.iter().position(|known| known == name)
}

/// Of the probability at this place, by labelled rows of the reference.
fn calibration(reference: &Side, class: usize) -> Option<Calibration> {
    let it = reference.classification()?;
    let probabilities = it.probabilities.as_ref()?;
    if let Some(sample) = &reference.sample {
        let labelled = sample.rows().filter_map(|row| {
            let is_own = place(it, row.target?, &probabilities.of) == Some(class);
            Some((row.is_held_out, (row.scores[class], f64::from(u8::from(is_own)))))
        });
        let labelled: Vec<(bool, (f64, f64))> = labelled.collect();
        let half = |held_out| points(labelled.iter().filter(|row| row.0 == held_out).map(|row| row.1));
        return Calibration::fit(&half(false), &half(true), &points(labelled.iter().map(|row| row.1)));
    }
    let half = |half: usize| probabilities.bins.iter().map(move |bin| [bin[2 * half], bin[2 * half + 1]]);
    let all = probabilities.bins.iter().map(|bin| [bin[0] + bin[2], bin[1] + bin[3]]);
    let points = |bins: Vec<[u64; 2]>| roc_auc::points_of_bins(&bins);
    Calibration::fit(&points(half(0).collect()), &points(half(1).collect()), &points(all.collect()))
}

/// How likely the class that was chosen is: its calibrated probability among those of all classes.
fn chosen(scores: &[f64], class: Option<usize>, calibrations: &[Calibration]) -> f64 {
    let rates = scores.iter().zip(calibrations).map(|(score, calibration)| calibration.at(*score));
    let sum: f64 = rates.sum();
    let Some(class) = class else { return 0.0 };
    if sum > 0.0 { calibrations[class].at(scores[class]) / sum } else { scores[class] }
}

fn accuracy(rows: &[Row]) -> Option<Share> {
    mean(rows.iter().map(|row| if row.said { row.p } else { 1.0 - row.p }))
}

/// Of the probabilities of being right.
fn mean(right: impl Iterator<Item = f64>) -> Option<Share> {
    let (mut n, mut sum, mut variance) = (0_u64, 0.0, 0.0);
    for p in right {
        n += 1;
        sum += p;
        variance += p * (1.0 - p);
    }
    let rows = n as f64;
    Share::new(sum / rows, variance / (rows * rows), n, n)
}

/// Of both classes. `None` if rows too few are expected of one: all of its F1 would hang on them.
fn f1(rows: &[Row]) -> Option<Share> {
    let n = rows.len() as f64;
    let count = |each: fn(&Row) -> f64| rows.iter().map(each).sum::<f64>();
    let own = count(|row| row.p);
    if own.min(n - own) < CLASS_ROWS as f64 {
        return None;
    }
    let said = |row: &Row| f64::from(u8::from(row.said));
    let denominators = own + rows.iter().map(said).sum::<f64>();
    let denominators = [denominators, 2.0 * n - denominators];
    let yes = 2.0 * count(|row| if row.said { row.p } else { 0.0 }) / denominators[0];
    let no = 2.0 * count(|row| if row.said { 0.0 } else { 1.0 - row.p }) / denominators[1];
    let variance = rows.iter().map(|row| {
        let moved =
            (2.0 * said(row) - yes) / denominators[0] + (no - 2.0 * (1.0 - said(row))) / denominators[1];
        row.p * (1.0 - row.p) * moved * moved / 4.0
    });
    Share::new((yes + no) / 2.0, variance.sum(), rows.len() as u64, rows.len() as u64)
}

/// Each row is of the class to the share p, and of others for the rest.
fn area(rows: &[Row]) -> Option<Share> {
    let points = points(rows.iter().map(|row| (row.score, row.p)));
    let Area { area, others, own, placements } = Area::of(&points, 2.0)?;
    // Rows of one probability have one meaning as well.
    let variance = points.iter().zip(placements).map(|(point, [below, above])| {
        let moved = (below - area) / own - (above - area) / others;
        point.own * point.others / (point.own + point.others) * moved * moved
    });
    Share::new(area, variance.sum(), rows.len() as u64, own.min(others) as u64)
}
