//! Vectors, such as embeddings.

use super::super::profile::Kind;
use super::super::statistics::mmd::mmd;
use super::super::statistics::special::normal_isf;
use super::options::Options;
use super::power::POWER;
use super::result::{Concern, Effect, Finding, Summary, Test, Verdict};

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
    /// Of those drawn, what is no list of finite numbers, or of another length than the first.
    pub failed: u64,
    /// All of one length.
    pub drawn: Vec<Vec<f32>>,
}

impl Vectors {
    /// Draw so many.
    pub const DRAWN: usize = 500;

    fn dimension(&self) -> usize {
        self.drawn.first().map_or(0, Vec::len)
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
    let stop = |verdict: Verdict, reason: String| Finding {
        column: name.to_owned(),
        kind: Kind::Numeric,
        concern: Concern::Data,
        verdict,
        reason,
        effect_per_floor: None,
        reference: reference.map(Vectors::summary),
        current: current.map(Vectors::summary),
        tests: vec![],
        edges: vec![],
        bins: vec![],
    };
    let (Some(r), Some(c)) = (reference, current) else {
        let side = if reference.is_none() { "reference" } else { "current data" };
        return stop(Verdict::Invalid, format!("The {side} has no such column."));
    };
    for (side, vectors) in [("reference", r), ("current data", c)] {
        match vectors.drawn.len() {
            0 => return stop(Verdict::NoData, format!("The {side} has no vectors.")),
            1 => return stop(Verdict::InsufficientData, format!("The {side} has one vector.")),
            _ => {}
        }
    }
    if r.dimension() != c.dimension() {
        let reason = format!(
            "The reference has vectors of {} numbers, the current data of {}.",
            r.dimension(),
            c.dimension()
        );
        return stop(Verdict::Invalid, reason);
    }
    let tests = test(r, c, options, seed).into_iter().collect();
    Finding { tests, ..stop(Verdict::Ok, String::new()) }
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
