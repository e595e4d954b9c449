//! Nothing enters while the stage is frozen. Holds for every rule, whether it names the gate or not.

use super::{Definition, Facts, Gate, Verdict, define};
use schemars::JsonSchema;
use serde::Deserialize;

pub const GATE: Definition = define::<Frozen>(
    "freeze_window",
    "No freeze of the stage is on, by policy or by the verb freeze. Always judged, also where no rule names it.",
    None,
);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Frozen {}

impl Gate for Frozen {
    fn judge(&self, facts: &Facts) -> Verdict {
        let is_on = |from, until: Option<_>| from <= facts.now && until.is_none_or(|until| until > facts.now);
        match facts.freezes.iter().find(|freeze| is_on(freeze.from, freeze.until)) {
            Some(freeze) => {
                let until = freeze.until.map_or_else(
                    || "somebody lifts it".to_owned(),
                    |until| until.format("%Y-%m-%d %H:%M:%SZ").to_string(),
                );
                Verdict::wait(format!("{} is frozen until {until}: {}", facts.stage, freeze.reason))
                    .until(freeze.until)
            }
            None => {
                let next =
                    facts.freezes.iter().map(|freeze| freeze.from).filter(|from| *from > facts.now).min();
                Verdict::pass("not frozen").until(next)
            }
        }
    }
}
