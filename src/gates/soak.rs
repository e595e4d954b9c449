//! The content has been in a stage for a while, without a break.

use super::{Definition, Facts, Gate, Verdict, define, moment};
use crate::model::stage::Stage;
use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::Deserialize;

pub const GATE: Definition =
    define::<Soak>("soak", "The content has been in the stage before for so long, without a break.", None);

/// Longest soak a rule may ask for: a year.
const HOURS_MAX: f64 = 366.0 * 24.0;
const MILLISECONDS: f64 = 3_600_000.0;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Soak {
    /// Hours, also fractions of one.
    hours: f64,
    /// The stage to have been in. Without it: the stage before the one to be entered.
    #[serde(default)]
    stage: Option<Stage>,
}

/// The longest the content has been in a stage at one go, in hours up to now.
pub(super) fn longest(facts: &Facts, stage: &Stage) -> Option<f64> {
    let stays = facts.stays.iter().filter(|stay| stay.stage == *stage);
    stays
        .map(|stay| {
            // A clock that was moved back makes nothing longer.
            let until = stay.until.unwrap_or(facts.now).min(facts.now);
            let length = (until - stay.from).max(TimeDelta::zero());
            let milliseconds = length.num_milliseconds() as f64;
            milliseconds / MILLISECONDS
        })
        .max_by(f64::total_cmp)
}

impl Gate for Soak {
    fn check(&self) -> Result<(), String> {
        match (0.0..=HOURS_MAX).contains(&self.hours) {
            true => Ok(()),
            false => Err(format!("hours: 0 to {HOURS_MAX}")),
        }
    }

    fn judge(&self, facts: &Facts) -> Verdict {
        let hours = self.hours;
        let Some(stage) = self.stage.as_ref().or(facts.before.as_ref()) else {
            return Verdict::pass("the first stage has none before it");
        };
        let promote = format!("gradus promote {} --to {stage}", facts.reference());
        let Some(longest) = longest(facts, stage) else {
            return Verdict::wait(format!("0 of {hours} hours in {stage}: it has not been there"))
                .next(promote);
        };
        if longest >= hours {
            return Verdict::pass(format!("{longest:.1} hours in {stage}, {hours} are needed"));
        }
        let now = facts.stays.iter().find(|stay| stay.stage == *stage && stay.until.is_none());
        match now {
            Some(stay) => {
                let needed = TimeDelta::milliseconds((hours * MILLISECONDS).ceil() as i64);
                let ends = stay.from.checked_add_signed(needed);
                let at = ends.map_or_else(|| "never".to_owned(), moment);
                Verdict::wait(format!("{longest:.1} of {hours} hours in {stage}, the rest is over at {at}"))
                    .until(ends)
            }
            None => Verdict::wait(format!(
                "it was in {stage} for {longest:.1} hours at the longest, {hours} at one go are needed"
            ))
            .next(promote),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, Stay, tests::facts};
    use super::*;

    fn hours(hours: i64) -> TimeDelta {
        TimeDelta::hours(hours)
    }

    #[test]
    fn only_one_stay_counts() {
        let gate = Soak { hours: 24.0, stage: None };
        let mut facts = facts();
        let now = facts.now;
        let staging = facts.before.clone().unwrap();
        let stay = |from, until| Stay { stage: staging.clone(), from, until };
        facts.stays.clear();
        assert!(gate.judge(&facts).reason.starts_with("0 of 24 hours"));
        facts.stays = vec![stay(now - hours(40), Some(now - hours(20))), stay(now - hours(10), None)];
        let verdict = gate.judge(&facts);
        assert_eq!((verdict.outcome, verdict.changes_at), (Outcome::Wait, Some(now + hours(14))));
        assert!(verdict.reason.starts_with("20.0 of 24 hours in staging, the rest is over at 20"));
        facts.stays.pop();
        assert!(
            gate.judge(&facts).reason.ends_with("for 20.0 hours at the longest, 24 at one go are needed")
        );
        facts.stays.push(stay(now - hours(24), None));
        assert_eq!(gate.judge(&facts).outcome, Outcome::Pass);
        facts.stays = vec![stay(now + hours(1), None)];
        assert_eq!(gate.judge(&facts).changes_at, Some(now + hours(25)), "the clock was moved back");
    }

    #[test]
    fn the_first_stage_passes_and_hours_are_bounded() {
        let mut facts = facts();
        facts.before = None;
        assert_eq!(Soak { hours: 1.0, stage: None }.judge(&facts).outcome, Outcome::Pass);
        for bad in [-1.0, f64::NAN, 1e9] {
            assert!(Soak { hours: bad, stage: None }.check().is_err(), "{bad}");
        }
    }
}
