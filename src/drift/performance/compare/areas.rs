//! The area under the ROC curve on both sides.

use super::super::estimate::place;
use super::super::roc_auc::{self, points, points_of_bins};
use super::super::shares::{CLASS_ROWS, Share};
use super::super::{Classification, Sample, several};
use super::{Pair, frequent};

/// With a larger share of rows in one bin, bins say nothing of ranks.
const CROWDED: f64 = 0.9;

/// Of both sides with what is special about them; or why there are none.
type Areas = Result<([Option<Share>; 2], String), String>;

impl Pair<'_> {
    /// Of one class: by all probabilities, or by bins where a side is a profile.
    pub(super) fn areas(&self, r: &Classification, c: &Classification) -> Areas {
        let samples = self.sides.map(|side| side.sample.as_ref());
        let enough =
            |share: Share, own: f64, others: f64| (own.min(others) >= CLASS_ROWS as f64).then_some(share);
        let share = |points: Vec<roc_auc::Point>| {
            let (own, others) = points.iter().fold((0.0, 0.0), |sum, at| (sum.0 + at.own, sum.1 + at.others));
            enough(roc_auc::share(&points)?, own, others)
        };
        if let [Some(first), Some(second)] = samples {
            let of = |sample: &Sample, it: &Classification| {
                let of = it.probabilities.as_ref().map_or(&[][..], |probabilities| &probabilities.of);
                let rows = sample.rows().filter(|row| row.prediction.is_some());
                let own = |class| f64::from(u8::from(place(it, class, of).is_some()));
                share(points(rows.filter_map(|row| Some((row.scores[0], own(row.target?))))))
            };
            let is_exact = first.is_exact() && second.is_exact();
            let note = if is_exact { "" } else { "of a sample of rows, drawn by their places" };
            return Ok(([of(first, r), of(second, c)], note.to_owned()));
        }
        let bins = [r, c].map(|it| {
            let bins = it.probabilities.iter().flat_map(|probabilities| &probabilities.bins);
            bins.map(|bin| [bin[0] + bin[2], bin[1] + bin[3]]).collect::<Vec<[u64; 2]>>()
        });
        if bins.iter().any(|bins| is_crowded(bins)) {
            return Err(
                "More than 90 % of the rows of a side are in one of the 1,000 bins of probabilities that a \
                        profile keeps, which do not tell how these rank."
                    .to_owned(),
            );
        }
        Ok((bins.map(|bins| share(points_of_bins(&bins))), "of probabilities in 1,000 bins".to_owned()))
    }

    pub(super) fn areas_of_several(&self, r: &Classification, c: &Classification, of: &[String]) -> Areas {
        let classes = frequent(&[r, c]);
        let [Some(first), Some(second)] = self.sides.map(|side| side.sample.as_ref()) else {
            return Err("A profile does not keep the probabilities of several classes.".to_owned());
        };
        let share = |sample: &Sample, it: &Classification| {
            let place = |name: &&str| {
                let among = |names: &[String]| names.iter().position(|known| known == name);
                Some([among(of)?, among(&it.classes)?])
            };
            let places: Vec<[usize; 2]> = classes.iter().filter_map(place).collect();
            if places.len() < 2 { None } else { several::share(sample, &places) }
        };
        let sampled = if first.is_exact() && second.is_exact() { "" } else { ", of a sample of rows" };
        let note = format!("the mean of each of {} classes against all others{sampled}", classes.len());
        Ok(([share(first, r), share(second, c)], note))
    }
}

/// Whether nearly all rows are in one bin, as those of rare events are: within it nothing ranks.
fn is_crowded(bins: &[[u64; 2]]) -> bool {
    let rows = |bin: &[u64; 2]| (bin[0] + bin[1]) as f64;
    bins.iter().map(rows).fold(0.0, f64::max) > CROWDED * bins.iter().map(rows).sum::<f64>()
}
