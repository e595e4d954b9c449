//! The prompt keeps its contract, as far as that can be told without running it.

use super::{Definition, Facts, Gate, Verdict, define};
use schemars::JsonSchema;
use serde::Deserialize;

pub const GATE: Definition =
    define::<Lints>("lints", "The version's prompt, if it has one, has no lint errors.", None);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Lints {}

impl Gate for Lints {
    fn judge(&self, facts: &Facts) -> Verdict {
        match facts.candidate.lint_errors.first() {
            None => Verdict::pass("no lint errors"),
            Some(first) => Verdict::fail(format!(
                "{} lint errors, the first: {first}",
                facts.candidate.lint_errors.len()
            ))
            .next("mend the prompt and push it as a new version"),
        }
    }
}
