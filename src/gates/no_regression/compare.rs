//! One metric of one suite, before and now: better, worse, or not to be told yet.

use super::NoRegression;
use crate::gates::{
    Outcome,
    statistics::{Bounded, Pairs, bootstrap, difference, mean, normal_quantile, wilson},
};
use crate::model::{
    digest::Digest,
    evidence::{Better, Evaluation, Evidence, Metric},
};
use std::collections::BTreeMap;

/// The margin where the rule names none: two points of a ratio, two percent of anything else.
const MARGIN: f64 = 0.02;
const RATIO: &str = "ratio";

/// One metric of both versions.
pub(super) struct Comparison<'a> {
    pub(super) suite: &'a str,
    pub(super) metric: &'a str,
    pub(super) old: (&'a Evidence, &'a Evaluation, &'a Metric),
    pub(super) new: (&'a Evidence, &'a Evaluation, &'a Metric),
    /// Example by example, where both have it.
    pub(super) examples: Option<(&'a Results, &'a Results)>,
}

/// Example id → result.
type Results = BTreeMap<String, f64>;

pub(super) type Said = (Outcome, String);

impl NoRegression {
    pub(super) fn compare(&self, comparison: &Comparison<'_>, comparisons: usize) -> Said {
        let Comparison { suite, metric, old: (_, _, old), new: (_, _, new), examples } = comparison;
        let name = format!("{metric} on {suite}");
        if old.unit != new.unit {
            let unit = |metric: &Metric| metric.unit.clone().unwrap_or_else(|| "none".to_owned());
            return (Outcome::Wait, format!("{name} is in unit {}, there in {}", unit(new), unit(old)));
        }
        if old.better != new.better {
            return (Outcome::Wait, format!("{name} is better the other way round there"));
        }
        let values = examples.iter().flat_map(|(old, new)| old.values().chain(new.values()));
        if !values.chain([&old.value, &new.value]).all(|value| value.is_finite()) {
            return (Outcome::Wait, format!("{name} is not a number"));
        }
        match examples {
            Some((old_results, new_results)) if !old_results.is_empty() => {
                self.paired(&name, comparison, old_results, new_results, comparisons)
            }
            _ => self.apart(&name, old, new, comparisons),
        }
    }

    /// Example by example.
    fn paired(
        &self,
        name: &str,
        comparison: &Comparison<'_>,
        old: &Results,
        new: &Results,
        comparisons: usize,
    ) -> Said {
        let pairs: Vec<(f64, f64)> =
            old.iter().filter_map(|(id, old)| new.get(id).map(|new| (*old, *new))).collect();
        let missing = old.len() - pairs.len();
        if missing > 0 {
            // What was left out may be just what got worse.
            let reason = format!("{name} lacks the results of {missing} of the {} examples", old.len());
            return (Outcome::Wait, reason);
        }
        let n = pairs.len() as u64;
        if n < self.min_n {
            return (Outcome::Wait, format!("{name} has {n} paired examples, {} are needed", self.min_n));
        }
        let metric = comparison.new.2;
        let error = 1.0 - self.confidence;
        let is_binary = pairs.iter().all(|(old, new)| [old, new].iter().all(|v| **v == 0.0 || **v == 1.0));
        let (olds, news): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let (old, new) = (mean(&olds), mean(&news));
        let margin = self.margin(metric, is_binary, old);
        let (low, high, is_worse) = if is_binary {
            let good = if metric.better == Better::Higher { 1.0 } else { 0.0 };
            let mut counts = Pairs::default();
            for (old, new) in &pairs {
                match (*old == good, *new == good) {
                    (true, true) => counts.both += 1,
                    (false, true) => counts.better += 1,
                    (true, false) => counts.worse += 1,
                    (false, false) => counts.neither += 1,
                }
            }
            let (low, high) = counts.difference(normal_quantile(self.confidence));
            (low, high, counts.chance() <= error / count(comparisons))
        } else {
            let sign = direction(metric);
            let differences: Vec<f64> = pairs.iter().map(|(old, new)| sign * (new - old)).collect();
            let seed = comparison.seed();
            let (below, above) = (error, 1.0 - error / count(comparisons));
            let (mut low, mut high) = bootstrap(&differences, below, above, seed);
            if is_mostly_tied(&differences) {
                // Resampling what is all the same finds nothing else. What a few more examples might show is as much
                // as a ratio can change, or as large as what was seen.
                let largest = olds.iter().chain(&news).fold(0.0_f64, |most, value| most.max(value.abs()));
                let reach = if metric.unit.as_deref() == Some(RATIO) { 1.0 } else { largest };
                low -= unseen(differences.len(), below) * reach;
                high += unseen(differences.len(), 1.0 - above) * reach;
            }
            (low, high, high < 0.0)
        };
        let what = format!("{name} is {}, was {}, on {n} paired examples", short(new), short(old));
        decide(&what, direction(metric) * (new - old), (low, high), is_worse, margin, Some(n))
    }

    /// Each by itself.
    fn apart(&self, name: &str, old: &Metric, new: &Metric, comparisons: usize) -> Said {
        let (Some(old_n), Some(new_n)) = (old.n, new.n) else {
            return (
                Outcome::Wait,
                format!("{name} does not say on how many examples it rests, on one side or both"),
            );
        };
        let n = old_n.min(new_n);
        if n < self.min_n {
            return (Outcome::Wait, format!("{name} rests on {n} examples, {} are needed", self.min_n));
        }
        let error = 1.0 - self.confidence;
        let at = |p: f64| {
            let z = normal_quantile(p);
            Some(difference(bounded(new, z)?, bounded(old, z)?))
        };
        let (Some((low, _)), Some((_, high))) = (at(self.confidence), at(1.0 - error / count(comparisons)))
        else {
            let reason = format!(
                "{name} is {}, was {}, with no interval and no examples on one side or both; two bare numbers are \
                 not compared (a ratio needs its n and the unit ratio)",
                short(new.value),
                short(old.value)
            );
            return (Outcome::Wait, reason);
        };
        let what = format!("{name} is {}, was {}, on {n} examples", short(new.value), short(old.value));
        let margin = self.margin(new, false, old.value);
        decide(&what, direction(new) * (new.value - old.value), (low, high), high < 0.0, margin, Some(n))
    }

    fn margin(&self, metric: &Metric, is_binary: bool, old: f64) -> f64 {
        let is_ratio = is_binary || metric.unit.as_deref() == Some(RATIO);
        self.margin.unwrap_or(if is_ratio { MARGIN } else { MARGIN * old.abs() })
    }
}

/// Whether more than half of the values are one and the same.
fn is_mostly_tied(values: &[f64]) -> bool {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    // What more than half of them are is in the middle.
    let middle = sorted[sorted.len() / 2];
    values.iter().filter(|value| **value == middle).count() * 2 > values.len()
}

/// The largest share of examples that may be otherwise although none of `n` was, but for a chance of `error`: the upper
/// bound of Clopper and Pearson (Biometrika 26:404-413, 1934) for none of n, "the rule of three".
fn unseen(n: usize, error: f64) -> f64 {
    1.0 - error.powf(1.0 / n as f64)
}

impl Comparison<'_> {
    /// The same evidence gives the same resamples, so the same verdict.
    fn seed(&self) -> u64 {
        let text = format!("{} {} {} {}", self.old.0.digest, self.new.0.digest, self.suite, self.metric);
        u64::from_str_radix(&Digest::sha256(text.as_bytes()).hex()[..16], 16).unwrap_or_default()
    }
}

/// The three answers. `low` and `high` bound the difference `d`; above 0 is better.
fn decide(what: &str, d: f64, (low, high): (f64, f64), is_worse: bool, margin: f64, n: Option<u64>) -> Said {
    let between = format!("the difference lies between {} and {}", short(low), short(high));
    let allowed = format!("{} less is allowed", short(margin));
    if low >= -margin {
        return (Outcome::Pass, format!("{what}: {between}, {allowed}"));
    }
    if is_worse {
        return (Outcome::Fail, format!("{what}, which is worse: {between}, {allowed}"));
    }
    // An interval narrows with the root of the number.
    let needed = n.filter(|_| d + margin > 0.0).map(|n| {
        let needed = (n as f64 * ((d - low) / (d + margin)).powi(2)).ceil();
        format!("; about {} examples would tell", short(needed))
    });
    (Outcome::Wait, format!("{what}, too few to tell: {between}, {allowed}{}", needed.unwrap_or_default()))
}

/// A metric with its bounds at `z` standard errors, turned so that more is better.
fn bounded(metric: &Metric, z: f64) -> Option<Bounded> {
    let value = metric.value;
    let interval = metric.interval.and_then(|interval| {
        let makes_sense = interval.low <= value
            && value <= interval.high
            // A width of nothing is what simple formulas give at 0 and 1, not certainty.
            && interval.low < interval.high
            && (0.5..1.0).contains(&interval.level);
        let scale = z / normal_quantile(0.5 + interval.level / 2.0);
        makes_sense.then_some(((value - interval.low) * scale, (interval.high - value) * scale))
    });
    let (below, above) = interval.or_else(|| {
        // The mean of anything between 0 and 1 varies at most as a share does.
        let is_ratio = metric.unit.as_deref() == Some(RATIO) && (0.0..=1.0).contains(&value);
        let n = metric.n.filter(|n| is_ratio && *n > 0)? as f64;
        let (low, high) = wilson(value, n, z);
        Some((value - low, high - value))
    })?;
    Some(match metric.better {
        Better::Higher => Bounded { value, below, above },
        Better::Lower => Bounded { value: -value, below: above, above: below },
    })
}

fn direction(metric: &Metric) -> f64 {
    match metric.better {
        Better::Higher => 1.0,
        Better::Lower => -1.0,
    }
}

fn count(comparisons: usize) -> f64 {
    comparisons as f64
}

/// Four significant digits.
fn short(value: f64) -> String {
    format!("{value:.3e}").parse::<f64>().unwrap_or(value).to_string()
}
