//! Nothing in the version runs code when it is loaded.

use super::{Definition, Facts, Gate, Verdict, define};
use crate::kinds::Safety;
use schemars::JsonSchema;
use serde::Deserialize;

pub const GATE: Definition = define::<SafeFormats>(
    "safe_formats",
    "The registry has read every file, and none can run code when it is loaded.",
    None,
);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SafeFormats {}

impl Gate for SafeFormats {
    fn judge(&self, facts: &Facts) -> Verdict {
        let found = &facts.candidate.inspection;
        match found.safety {
            Safety::Safe => Verdict::pass("every file was read, none runs code when loaded"),
            Safety::Unsafe => {
                let first = found.findings.first().map_or_else(
                    || "no finding is named".to_owned(),
                    |finding| format!("the first: {}: {}", finding.path, finding.what),
                );
                Verdict::fail(format!("{} findings of code that runs on load, {first}", found.findings.len()))
                    .next("save the weights as safetensors and push them as a new version")
            }
            Safety::Unknown => {
                let first = found.problems.first().map_or_else(
                    || "it was never inspected".to_owned(),
                    |problem| format!("the first: {}: {}", problem.path, problem.reason),
                );
                Verdict::fail(format!("{} files could not be vouched for, {first}", found.problems.len()))
                    .next("leave out what cannot be read, or mend it, and push a new version")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, tests::facts};
    use super::*;
    use crate::kinds::{Finding, Problem};

    #[test]
    fn unknown_is_not_safe() {
        let mut facts = facts();
        assert_eq!(SafeFormats {}.judge(&facts).outcome, Outcome::Pass);
        let found = &mut facts.candidate.inspection;
        found.safety = Safety::Unknown;
        found.problems = vec![Problem { path: "a.bin".into(), reason: "cut short".into() }];
        let verdict = SafeFormats {}.judge(&facts);
        assert_eq!(verdict.outcome, Outcome::Fail);
        assert_eq!(verdict.reason, "1 files could not be vouched for, the first: a.bin: cut short");
        let found = &mut facts.candidate.inspection;
        found.safety = Safety::Unsafe;
        found.findings = vec![Finding { path: "b.pkl".into(), what: "a pickle".into() }];
        assert!(SafeFormats {}.judge(&facts).reason.ends_with("the first: b.pkl: a pickle"));
    }
}
