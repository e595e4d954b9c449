//! When somebody is told: not at each run that finds drift, and once when it is over.

use crate::error::{Error, Result};
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// How much drift is news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hygiene {
    /// So many of the last `of` runs must have found drift.
    pub drifted: u32,
    pub of: u32,
    /// So many runs in a row without drift end it.
    pub clear_after: u32,
    /// After drift has ended, it is no news for so many hours.
    pub cooldown_hours: u32,
}

impl Default for Hygiene {
    fn default() -> Self {
        Self { drifted: 1, of: 1, clear_after: 2, cooldown_hours: 0 }
    }
}

/// What a run's verdict means for whoever is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Alert {
    /// Nothing is going on, or nothing new.
    Quiet,
    /// It has begun: somebody is told.
    Begun,
    /// It goes on, and was told.
    Lasts,
    /// It is over: somebody is told.
    Ended,
}

impl Alert {
    const NAMES: [(Self, &'static str); 4] =
        [(Self::Quiet, "quiet"), (Self::Begun, "begun"), (Self::Lasts, "lasts"), (Self::Ended, "ended")];

    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(it, _)| *it == self).map_or("", |(_, name)| name)
    }
}

impl FromStr for Alert {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::NAMES.into_iter().find(|(_, name)| *name == text).map(|(it, _)| it);
        known.ok_or_else(|| Error::invalid("run_alert", "not what a run means"))
    }
}

/// A run as far as it tells of drift. One that could not tell is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// When the window ended.
    pub at: DateTime<Utc>,
    pub drifted: bool,
}

const RUNS_MAX: u32 = 100;

impl Hygiene {
    /// Errors: numbers that make no sense.
    pub fn check(&self) -> Result<()> {
        let fits = (1..=RUNS_MAX).contains(&self.of)
            && (1..=self.of).contains(&self.drifted)
            && (1..=RUNS_MAX).contains(&self.clear_after)
            && self.cooldown_hours <= 24 * 366;
        if fits {
            return Ok(());
        }
        Err(Error::invalid("monitor_hygiene", "these numbers of runs cannot be")
            .hint("drifted: 1 to of; of and clear_after: 1 to 100; cooldown_hours: at most 8784"))
    }

    /// What the newest run means. `runs`: all there were since the monitor began or changed, oldest first.
    pub fn alert(&self, runs: &[Told]) -> Alert {
        let mut state = State { is_on: false, ended: None };
        let mut newest = Alert::Quiet;
        for (index, run) in runs.iter().enumerate() {
            newest = self.step(&mut state, &runs[..=index], run.at);
        }
        newest
    }

    fn step(&self, state: &mut State, runs: &[Told], now: DateTime<Utc>) -> Alert {
        let last = |count: u32| runs.iter().rev().take(count as usize);
        if state.is_on {
            let is_over =
                runs.len() >= self.clear_after as usize && last(self.clear_after).all(|run| !run.drifted);
            if is_over {
                *state = State { is_on: false, ended: Some(now) };
                return Alert::Ended;
            }
            return Alert::Lasts;
        }
        let cooldown = TimeDelta::hours(self.cooldown_hours.into());
        let is_cooling = state.ended.is_some_and(|ended| now - ended < cooldown);
        let drifted = last(self.of).filter(|run| run.drifted).count();
        let is_news = runs.last().is_some_and(|run| run.drifted) && drifted >= self.drifted as usize;
        if is_news && !is_cooling {
            state.is_on = true;
            return Alert::Begun;
        }
        Alert::Quiet
    }
}

struct State {
    is_on: bool,
    ended: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use Alert::{Begun, Ended, Lasts, Quiet};

    /// What each of daily runs means; `x` found drift.
    fn alerts(hygiene: Hygiene, runs: &str) -> Vec<Alert> {
        let at = |day: usize| DateTime::UNIX_EPOCH + TimeDelta::days(day as i64);
        let told: Vec<Told> =
            runs.chars().enumerate().map(|(day, run)| Told { at: at(day), drifted: run == 'x' }).collect();
        (1..=told.len()).map(|count| hygiene.alert(&told[..count])).collect()
    }

    #[test]
    fn drift_is_told_once_and_ends_once() {
        assert_eq!(
            alerts(Hygiene::default(), ".xx.x..x"),
            [Quiet, Begun, Lasts, Lasts, Lasts, Lasts, Ended, Begun]
        );
    }

    #[test]
    fn some_of_the_last_runs_must_have_found_it() {
        let hygiene = Hygiene { drifted: 2, of: 3, clear_after: 1, ..Hygiene::default() };
        assert_eq!(alerts(hygiene, "x..x.x."), [Quiet, Quiet, Quiet, Quiet, Quiet, Begun, Ended]);
        assert_eq!(alerts(hygiene, "xx"), [Quiet, Begun]);
    }

    #[test]
    fn what_has_just_ended_is_no_news() {
        let hygiene = Hygiene { clear_after: 1, cooldown_hours: 48, ..Hygiene::default() };
        assert_eq!(alerts(hygiene, "x.xxx"), [Begun, Ended, Quiet, Begun, Lasts]);
    }

    #[test]
    fn numbers_that_cannot_be_are_refused() {
        let refused = |drifted, of, clear_after| {
            Hygiene { drifted, of, clear_after, cooldown_hours: 0 }.check().is_err()
        };
        assert!(refused(0, 1, 1) && refused(2, 1, 1) && refused(1, 1, 0) && refused(1, 101, 1));
        assert!(Hygiene::default().check().is_ok());
    }
}
