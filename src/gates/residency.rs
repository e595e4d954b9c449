//! The bytes lie where they may.

use super::{Definition, Facts, Gate, Verdict, define, matches_any, named};
use schemars::JsonSchema;
use serde::Deserialize;

pub const GATE: Definition =
    define::<Residency>("residency", "The store that holds the bytes is in a region that is allowed.", None);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Residency {
    /// Allowed regions: exact, or up to a `*` at the end, for example `eu-*`. Empty: any that is stated. The store
    /// in the data directory is in region `local`.
    #[serde(default)]
    regions: Vec<String>,
}

impl Gate for Residency {
    fn judge(&self, facts: &Facts) -> Verdict {
        let region = facts.region.trim();
        if region.is_empty() {
            return Verdict::fail("nothing says which region the store is in")
                .next("state the region of the store in the server's configuration");
        }
        if self.regions.is_empty() || matches_any(&self.regions, region) {
            return Verdict::pass(format!("the bytes are in {region}"));
        }
        Verdict::fail(format!(
            "the bytes are in {region}, the {} regions allowed are {}",
            self.regions.len(),
            named(&self.regions)
        ))
        .next("push it to a namespace whose store is in an allowed region")
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, tests::facts};
    use super::*;

    #[test]
    fn regions_are_stated_and_allowed() {
        let mut facts = facts();
        let outcome = |facts: &Facts, regions: &[&str]| {
            Residency { regions: regions.iter().map(|region| (*region).to_owned()).collect() }
                .judge(facts)
                .outcome
        };
        facts.region = "eu-central-1".into();
        assert_eq!(outcome(&facts, &[]), Outcome::Pass);
        assert_eq!(outcome(&facts, &["us-east-1", "eu-*"]), Outcome::Pass);
        assert_eq!(outcome(&facts, &["eu-"]), Outcome::Fail);
        facts.region.clear();
        assert_eq!(outcome(&facts, &[]), Outcome::Fail);
        assert_eq!(outcome(&facts, &["*"]), Outcome::Fail, "a region nobody stated is in no list");
    }
}
