//! Windows without any change, compared with the rest.

use super::super::request::Request;
use super::super::signals::Watch;
use super::pool::Pool;
use super::{Windows, on_all_cores};
use crate::drift::compare::{Column, Finding, Run, Test, Verdict};
use crate::drift::statistics::random::SplitMix;

/// What is kept of a comparison.
pub(super) struct Drawn {
    pub is_drift: bool,
    /// The smallest alpha by which it would be drift.
    pub alpha: f64,
    /// A column that cannot be compared, and why.
    pub invalid: Option<(String, String)>,
    /// Where somebody wants to know more, without their counts, which are most of them.
    pub columns: Vec<Finding>,
}

pub(super) fn draw(
    pools: &[Pool],
    rules: &Judged<'_>,
    windows: Windows,
    random: &mut SplitMix,
) -> Vec<Drawn> {
    let numbers: Vec<u64> = (0..windows.count).collect();
    on_all_cores(&numbers, rules.request.threads, random, |_, random| {
        let pairs: Vec<_> = pools.iter().map(|pool| pool.split(None, random)).collect();
        let mut run = rules.compare(&pairs);
        let invalid = run.columns.iter().find(|column| column.verdict == Verdict::Invalid);
        let invalid = invalid.map(|column| (column.column.clone(), column.reason.clone()));
        let (is_drift, alpha) = (run.verdict == Verdict::Drift, smallest_alpha(&run));
        run.columns.retain(|_| windows.details);
        for column in &mut run.columns {
            column.tests.iter_mut().for_each(|test| test.cells = vec![]);
            (column.bins, column.edges) = (vec![], vec![]);
        }
        Drawn { is_drift, alpha, invalid, columns: run.columns }
    })
}

/// As a test is decided: with too few rows only what they would find.
fn smallest_alpha(run: &Run) -> f64 {
    let is_large = |test: &&Test| {
        test.effect.as_ref().is_some_and(|effect| {
            let least = if effect.is_resolved() { effect.floor } else { effect.floor.max(effect.detectable) };
            effect.value >= least
        })
    };
    let tests = run.columns.iter().flat_map(|column| &column.tests).filter(is_large);
    tests.filter_map(|test| test.q_value).fold(1.0, f64::min)
}

/// How columns are compared and judged: as in a check of them, but for vectors and how good answers are.
pub(super) struct Judged<'a> {
    pub request: &'a Request,
    pub watch: &'a Watch,
}

impl Judged<'_> {
    /// References and windows of columns.
    pub fn compare(&self, pairs: &[(Column, Column)]) -> Run {
        let rules = &self.request.rules;
        let examined = pairs.iter().filter_map(|(reference, current)| {
            let mut finding = rules.examine(&[reference], &[current], false)?;
            self.watch.mark(&mut finding, [Some(reference), Some(current)], rules);
            Some(finding)
        });
        let rows = pairs.first().map_or([0, 0], |(reference, current)| [reference.rows, current.rows]);
        let mut run = rules.judge(examined.collect(), rows, &[]);
        run.columns.iter_mut().for_each(|finding| self.watch.settle(finding));
        run
    }
}
