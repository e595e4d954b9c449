//! The version's number claims what its contract changed.

use super::{Definition, Facts, Gate, Verdict, define};
use schemars::JsonSchema;
use serde::Deserialize;

pub const GATE: Definition = define::<Honest>(
    "contract_honest",
    "The version's number claims at least what its contract changed: what breaks callers is a major version.",
    None,
);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Honest {}

impl Gate for Honest {
    fn judge(&self, facts: &Facts) -> Verdict {
        match &facts.contract {
            None => Verdict::pass("nothing to compare with"),
            Some(contract) if contract.is_honest => Verdict::pass(&contract.reason),
            Some(contract) => {
                Verdict::fail(&contract.reason).next("push it again under a number that claims the change")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Honesty, Outcome, tests::facts};
    use super::*;

    #[test]
    fn follows_what_was_found() {
        let mut facts = facts();
        assert_eq!(Honest {}.judge(&facts).reason, "nothing to compare with");
        facts.contract =
            Some(Honesty { is_honest: false, reason: "1.1.0 takes away a field of 1.0.0".into() });
        let verdict = Honest {}.judge(&facts);
        assert_eq!((verdict.outcome, verdict.reason.contains("1.1.0")), (Outcome::Fail, true));
    }
}
