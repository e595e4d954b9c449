//! Which drift tells of broken rules, or of a service that is worse.

use crate::drift::compare::{Column, Concern, Finding, Options, Values, Verdict};
use crate::drift::statistics::Ecdf;
use crate::drift::statistics::mann_whitney::mann_whitney_less;
use crate::drift::statistics::special::normal_sf;
use crate::drift::statistics::two_proportion::{cohens_h, two_proportion};
use std::f64::consts::SQRT_2;

/// Where so large a share of the reference's outputs was JSON, it was the rule.
const RULE: f64 = 0.95;

/// What drift of the values of a signal of outputs would be about. Outputs break a rule significantly more often than they
/// did: their schema, or that nothing personal and no secret is in them. A refusal is no violation: it may be just what the
/// input calls for, and nobody promised otherwise.
pub(super) fn concern(signal: &str, reference: &Column, current: &Column, alpha: f64) -> Concern {
    let good = match signal {
        "schema_valid" => "true",
        "schema_violation" => "valid",
        "json" if is_nearly_all(counts(reference, "true")) => "true",
        _ if is_rule(signal) => "false",
        _ => return Concern::Data,
    };
    let test = two_proportion(counts(reference, good), counts(current, good), 1.0 - alpha);
    let is_worse = test.is_some_and(|test| test.difference < 0.0 && test.p_value <= alpha);
    if is_worse { Concern::Violations } else { Concern::Data }
}

/// What drift of latencies, or of failed and repeated attempts, would be about. The service is worse if the numbers are higher than
/// they were significantly and by what matters, by the floors of a shift and of a rate: most of them, or the share of those that
/// only one in a hundred exceeded before. That a service is faster or steadier than it was harms nobody.
pub(super) fn health(reference: &Column, current: &Column, options: &Options) -> Concern {
    let (Values::Numeric(r), Values::Numeric(c)) = (&reference.values, &current.values) else {
        return Concern::Data;
    };
    let (r, c) = (&r.ecdf, &c.ecdf);
    let pairs = r.len() as f64 * c.len() as f64;
    // Of two normal distributions as far apart as the floor says, one number is greater than the other so often.
    let floor = normal_sf(-options.floors.shift / SQRT_2) - 0.5;
    let is_most = |(u, p): (f64, f64)| p <= 0.5 * options.alpha && 0.5 - u / pairs >= floor;
    let is_slower = mann_whitney_less(r, c).is_some_and(is_most);
    let above = |side: &Ecdf, limit| (side.len() - side.count_up_to(limit), side.len());
    let has_more_slow = r.quantile(0.99).is_some_and(|limit| {
        let (before, now) = (above(r, limit), above(c, limit));
        let is_many = cohens_h(share(before), share(now)) >= options.floors.rate;
        let test = two_proportion(before, now, 1.0 - options.alpha);
        is_many && test.is_some_and(|test| test.difference > 0.0 && test.p_value <= options.alpha)
    });
    if is_slower || has_more_slow { Concern::Health } else { Concern::Data }
}

fn share((hits, rows): (u64, u64)) -> f64 {
    hits as f64 / rows.max(1) as f64
}

/// Once it was judged: that values are missing, or of another type, breaks no rule.
pub(super) fn settle(finding: &mut Finding) {
    let mut drifted = finding.tests.iter().filter(|test| test.verdict == Some(finding.verdict));
    let is_found = matches!(finding.verdict, Verdict::Drift | Verdict::Warn);
    if !(is_found && drifted.any(|test| test.is_of_values())) {
        finding.concern = Concern::Data;
    }
}

/// Whether it says that a rule is broken that holds for all outputs.
pub(super) fn is_rule(signal: &str) -> bool {
    signal.starts_with("pii_") || signal.starts_with("secret_") || signal.starts_with("schema_")
}

fn is_nearly_all((hits, rows): (u64, u64)) -> bool {
    hits as f64 >= RULE * rows.max(1) as f64
}

/// Rows of a category, and all rows that have one.
fn counts(column: &Column, label: &str) -> (u64, u64) {
    let (Values::Categorical(categories) | Values::Boolean(categories)) = &column.values else {
        return (0, 0);
    };
    (categories.counts.get(label).copied().unwrap_or(0), categories.total)
}
