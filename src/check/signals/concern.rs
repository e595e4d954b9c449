//! Which drift tells of broken rules.

use crate::drift::compare::{Column, Concern, Values};

/// Where so large a share of the reference's outputs was JSON, it was the rule.
const RULE: f64 = 0.95;

/// What drift of a signal of outputs is about. Outputs break a rule more often than they did: their schema, or that nothing
/// personal and no secret is in them. A refusal is no violation: it may be just what the input calls for, and nobody
/// promised otherwise.
pub(super) fn concern(signal: &str, reference: &Column, current: &Column) -> Concern {
    let (good, is_rule) = match signal {
        "schema_valid" => ("true", true),
        "schema_violation" => ("valid", true),
        "json" => ("true", share(reference, "true") >= RULE),
        _ if signal.starts_with("pii_") || signal.starts_with("secret_") => ("false", true),
        _ => return Concern::Data,
    };
    let is_worse = share(current, good) < share(reference, good);
    if is_rule && is_worse { Concern::Violations } else { Concern::Data }
}

fn share(column: &Column, label: &str) -> f64 {
    let (Values::Categorical(categories) | Values::Boolean(categories)) = &column.values else { return 0.0 };
    categories.counts.get(label).copied().unwrap_or(0) as f64 / categories.total.max(1) as f64
}
