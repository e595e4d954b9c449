//! Vectors, such as embeddings.

use super::super::profile::Kind;
use super::super::statistics::mmd::mmd;
use super::super::statistics::special::normal_isf;
use super::options::Options;
use super::power::POWER;
use super::rates;
use super::result::{Concern, Effect, Finding, Summary, Test, Verdict};
use std::collections::BTreeMap;

/// The median of the distances is the width of the kernel.
const STATISTIC: &str = "mmd_rbf_of_median_bandwidth";
/// So many that a p-value can be significant beside some hundred others.
const SHUFFLES: u32 = 9_999;
/// The least MMD that matters: that of normal vectors all of whose numbers move by 0.1 standard deviations, which is the
/// size of the other floors. In `d` dimensions MMD² is then `2 (d / (d+1))^(d/2) (1 - exp(-0.01 d / 4 (d+1)))`, about
/// 0.003 for all d above some ten.
const FLOOR: f64 = 0.055;

/// A column of vectors, some of which were drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vectors {
    pub rows: u64,
    pub missing: u64,
    /// Of those drawn, what is no list of finite numbers.
    pub failed: u64,
    pub drawn: Vec<Vec<f32>>,
}

impl Vectors {
    /// Draw so many.
    pub const DRAWN: usize = 500;

    /// The commonest length; of equals the preferred one, or else the first.
    fn dimension(&self, preferred: Option<usize>) -> Option<usize> {
        let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
        self.drawn.iter().for_each(|vector| *counts.entry(vector.len()).or_default() += 1);
        let most = counts.values().max()?;
        let first = || self.drawn.iter().map(Vec::len).find(|length| counts.get(length) == Some(most));
        preferred.filter(|length| counts.get(length) == Some(most)).or_else(first)
    }

    /// Those of this length; the others failed.
    fn of_dimension(&self, length: Option<usize>) -> Self {
        let drawn: Vec<Vec<f32>> =
            self.drawn.iter().filter(|vector| Some(vector.len()) == length).cloned().collect();
        Self { failed: self.failed + (self.drawn.len() - drawn.len()) as u64, drawn, ..*self }
    }

    fn summary(&self) -> Summary {
        Summary {
            rows: self.rows,
            missing: self.missing,
            failed: self.failed,
            not_finite: 0,
            exact: self.drawn.len() as u64 == self.rows - self.missing.min(self.rows),
            quantiles: None,
            distinct: None,
        }
    }
}

/// Whether the vectors are still of one distribution. A side is absent if it has no such column. The seed decides the
/// shuffles.
pub fn examine_vectors(
    name: &str,
    reference: Option<&Vectors>,
    current: Option<&Vectors>,
    options: &Options,
    seed: u64,
) -> Finding {
    let dimension = reference.and_then(|side| side.dimension(None));
    let dimensions = [dimension, current.and_then(|side| side.dimension(dimension))];
    let reference = reference.map(|side| side.of_dimension(dimensions[0]));
    let current = current.map(|side| side.of_dimension(dimensions[1]));
    let stop = |verdict: Verdict, reason: String| Finding {
        column: name.to_owned(),
        kind: Kind::Numeric,
        concern: Concern::Data,
        verdict,
        reason,
        effect_per_floor: None,
        reference: reference.as_ref().map(Vectors::summary),
        current: current.as_ref().map(Vectors::summary),
        tests: vec![],
        edges: vec![],
        bins: vec![],
    };
    let (Some(r), Some(c)) = (&reference, &current) else {
        let side = if reference.is_none() { "reference" } else { "current data" };
        return stop(Verdict::Invalid, format!("The {side} has no such column."));
    };
    if let [Some(r), Some(c)] = dimensions.map(|length| length.filter(|_| dimensions[0] != dimensions[1])) {
        let reason = format!("The reference has vectors of {r} numbers, the current data of {c}.");
        return stop(Verdict::Invalid, reason);
    }
    let mut tests = rates(r, c, options);
    for (side, vectors) in [("reference", r), ("current data", c)] {
        let (verdict, what) = match vectors.drawn.len() {
            0 => (Verdict::NoData, "no vectors"),
            1 => (Verdict::InsufficientData, "one vector"),
            _ => continue,
        };
        return Finding { tests, ..stop(verdict, format!("The {side} has {what}.")) };
    }
    tests.extend(test(r, c, options, seed));
    Finding { tests, ..stop(Verdict::Ok, String::new()) }
}

/// Rows without a vector, and what of those drawn is none.
fn rates(reference: &Vectors, current: &Vectors, options: &Options) -> Vec<Test> {
    let missing = |side: &Vectors| (side.missing, side.rows);
    let failed = |side: &Vectors| (side.failed, side.failed + side.drawn.len() as u64);
    let missing = rates::test(rates::MISSING, missing(reference), missing(current), options);
    missing
        .into_iter()
        .chain(rates::test(rates::FAILED, failed(reference), failed(current), options))
        .collect()
}

fn test(reference: &Vectors, current: &Vectors, options: &Options, seed: u64) -> Option<Test> {
    let found = mmd(&reference.drawn, &current.drawn, SHUFFLES, seed)?;
    let [n, m] = found.used.map(|used| used as u64);
    // On the scale of MMD², as far as a normal null would have it.
    let detectable = ((normal_isf(options.alpha) + normal_isf(1.0 - POWER)) * found.null_deviation).max(0.0);
    // The deviation falls with the rows.
    let rows_needed = 2.0 * super::power::effective_rows(n, m) * detectable / (2.0 * FLOOR).powi(2);
    Some(Test {
        method: format!(
            "{SHUFFLES} shuffles of both sides together, seed {seed:016x}; width of the kernel {}",
            found.bandwidth
        ),
        value: Some(found.statistic).filter(|value| value.is_finite()),
        p_value: Some(found.p_value),
        effect: Some(Effect {
            name: "MMD".to_owned(),
            value: found.statistic.max(0.0).sqrt(),
            floor: FLOOR,
            detectable: detectable.sqrt(),
            rows_needed: rows_needed.ceil() as u64,
        })
        .filter(|effect| effect.value.is_finite() && effect.detectable.is_finite()),
        ..Test::new(STATISTIC, n, m)
    })
}
