//! Which runs are due.

use super::schedule::Schedule;
use super::window::Window;
use crate::error::{Error, Result};
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What to do about runs that were missed, as while no server ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Misfire {
    /// Only the newest is made up for.
    #[default]
    Coalesce,
    /// All are, oldest first.
    CatchUp,
    /// None is that is later than an hour.
    Skip,
}

/// Runs made up for at once; the others follow.
const MOST: usize = 50;
const LATE: TimeDelta = TimeDelta::hours(1);

/// A run that is due: when it was to be, and of which data. The window tells runs apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub at: DateTime<Utc>,
    pub window: Window,
}

/// The runs that are due now, oldest first. `window`: of a run at some time. `after`: the last time that was dealt with, or when the monitor was made.
/// `grace`: how long after its time a run waits for data that come late.
pub fn due(
    schedule: &Schedule,
    window: impl Fn(DateTime<Utc>) -> Window,
    after: DateTime<Utc>,
    now: DateTime<Utc>,
    grace: TimeDelta,
    misfire: Misfire,
) -> Vec<Due> {
    let ready = now - grace;
    let run = |at| Due { at, window: window(at) };
    let times = std::iter::successors(schedule.next(after), |at| schedule.next(*at));
    let mut times = times.take_while(|at| *at <= ready);
    match misfire {
        Misfire::CatchUp => times.take(MOST).map(run).collect(),
        Misfire::Coalesce => schedule.last(ready).filter(|last| *last > after).map(run).into_iter().collect(),
        Misfire::Skip => {
            let in_time = schedule.last(ready).filter(|last| *last > after && ready - *last < LATE);
            // Whatever was missed stays so.
            times.next().and(in_time).map(run).into_iter().collect()
        }
    }
}

impl FromStr for Misfire {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "coalesce" => Self::Coalesce,
            "catch-up" | "catch_up" => Self::CatchUp,
            "skip" => Self::Skip,
            _ => {
                let message =
                    format!("not a way to treat missed runs: {}", text.chars().take(40).collect::<String>());
                return Err(Error::invalid("monitor_misfire", message).hint("coalesce, catch-up or skip"));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::window::Length;
    use super::*;

    fn days(after: &str, now: &str, grace: i64, misfire: Misfire) -> Vec<String> {
        let schedule = Schedule::new("0 6 * * *", "UTC").unwrap();
        let at = |text: &str| format!("2026-{text}:00Z").parse().unwrap();
        let window = |at| Length::Days(1).before(at, schedule.zone());
        let due = due(&schedule, window, at(after), at(now), TimeDelta::minutes(grace), misfire);
        due.into_iter().map(|due| due.window.start.format("%m-%d").to_string()).collect()
    }

    #[test]
    fn a_run_is_due_once_its_time_and_grace_are_over() {
        for misfire in [Misfire::Coalesce, Misfire::CatchUp, Misfire::Skip] {
            let due = |after, now, grace| days(after, now, grace, misfire);
            assert!(due("11-10T07:00", "11-11T05:59", 0).is_empty());
            assert_eq!(due("11-10T07:00", "11-11T06:00", 0), ["11-10"]);
            assert!(due("11-10T07:00", "11-11T06:29", 30).is_empty());
            assert_eq!(due("11-10T07:00", "11-11T06:30", 30), ["11-10"]);
            assert!(due("11-11T06:00", "11-11T06:30", 0).is_empty(), "dealt with");
        }
    }

    #[test]
    fn missed_runs_are_made_up_for_as_was_asked() {
        let due = |misfire| days("11-10T07:00", "11-14T09:00", 0, misfire);
        assert_eq!(due(Misfire::CatchUp), ["11-10", "11-11", "11-12", "11-13"]);
        assert_eq!(due(Misfire::Coalesce), ["11-13"]);
        assert!(due(Misfire::Skip).is_empty(), "it is three hours late");
        assert_eq!(days("01-01T00:00", "11-14T09:00", 0, Misfire::CatchUp).len(), MOST);
    }
}
