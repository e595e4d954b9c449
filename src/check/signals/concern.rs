//! Which drift tells of broken rules, or of a service that is worse.

use crate::drift::compare::{Column, Concern, Finding, Values, Verdict};
use crate::drift::statistics::mann_whitney::mann_whitney_less;
use crate::drift::statistics::t_test::t_test;
use crate::drift::statistics::two_proportion::two_proportion;

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

/// What drift of latencies, or of failed and repeated attempts, would be about: the numbers are significantly higher than they were,
/// most of them or their mean, which a few very slow answers move. That a service is faster than it was harms nobody.
pub(super) fn health(reference: &Column, current: &Column, alpha: f64) -> Concern {
    let (Values::Numeric(r), Values::Numeric(c)) = (&reference.values, &current.values) else {
        return Concern::Data;
    };
    let is_higher = mann_whitney_less(&r.ecdf, &c.ecdf).is_some_and(|(_, p)| p <= 0.5 * alpha);
    let has_higher_mean = t_test(&r.ecdf, &c.ecdf).is_some_and(|(t, p)| t < 0.0 && p <= alpha);
    if is_higher || has_higher_mean { Concern::Health } else { Concern::Data }
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
