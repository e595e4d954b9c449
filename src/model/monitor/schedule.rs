//! When a monitor runs: a cron expression in a time zone.

use crate::error::{Error, Result};
use chrono::{DateTime, MappedLocalTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// Five fields: minute, hour, day of month, month, day of week, as the clock on a wall of the zone shows them.
///
/// Where the clock goes forward, a time of day that is left out is made up for right after the gap if the expression names
/// just one time of day, and otherwise is left out. Where it goes back, a time of day that comes twice is taken the first
/// time only, unless the expression means each hour.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: Tz,
    is_hourly: bool,
}

impl Schedule {
    /// Errors: no such expression or zone, or one that never comes, as the thirtieth of February.
    pub fn new(expression: &str, zone: &str) -> Result<Self> {
        let zone: Tz = zone.parse().map_err(|_| {
            Error::invalid("monitor_zone", format!("there is no time zone {}", shortened(zone)))
                .hint("a name of the IANA database, such as Europe/Berlin or UTC")
        })?;
        let wrong = |why: String| {
            Error::invalid("monitor_schedule", format!("not a schedule: {}: {why}", shortened(expression)))
                .hint(
                    "five fields, minute hour day month weekday: '0 6 * * *' is six in the morning each day",
                )
        };
        if expression.split_whitespace().count() != 5 {
            return Err(wrong("it has not five fields".to_owned()));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(expression).map_err(|error| wrong(error.to_string()))?;
        let hour = expression.split_whitespace().nth(1);
        let is_hourly = hour.is_some_and(|hour| ["*", "*/1", "0-23"].contains(&hour));
        let schedule = Self { cron, zone, is_hourly };
        if schedule.next(DateTime::UNIX_EPOCH).is_none() {
            return Err(wrong("it never comes".to_owned()));
        }
        Ok(schedule)
    }

    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The first time after this one. `None`: there is none within some thousands of years.
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let of_zone = |from: DateTime<Utc>| self.following(&from.with_timezone(&self.zone));
        // Within an hour that comes twice the library goes back in time: then from some time behind it.
        let mut starts = (0..=3).map(|hours| after + TimeDelta::hours(hours));
        let next = starts.find_map(|from| of_zone(from).filter(|next| *next > after));
        // And it leaves out the second run of an hour that comes twice.
        let offset = after.with_timezone(&self.zone).offset().fix();
        let again = self.following(&after.with_timezone(&offset)).filter(|again| self.comes_twice(*again));
        match (next, again.filter(|_| self.is_hourly)) {
            (Some(next), Some(again)) => Some(next.min(again)),
            (next, again) => next.or(again),
        }
    }

    fn following<Z: TimeZone>(&self, after: &DateTime<Z>) -> Option<DateTime<Utc>> {
        Some(self.cron.find_next_occurrence(after, false).ok()?.with_timezone(&Utc))
    }

    /// The last time at or before this one.
    pub fn last(&self, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = until.with_timezone(&self.zone);
        let last = self.cron.find_previous_occurrence(&local, true).ok()?.with_timezone(&Utc);
        // Of times in an hour that comes twice, and in general, the one that `next` knows.
        std::iter::successors(Some(last), |time| self.next(*time)).take_while(|time| *time <= until).last()
    }

    fn comes_twice(&self, at: DateTime<Utc>) -> bool {
        let shown = at.with_timezone(&self.zone).naive_local();
        matches!(self.zone.from_local_datetime(&shown), MappedLocalTime::Ambiguous(_, _))
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn times(expression: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::new(expression, zone).unwrap();
        let times = std::iter::successors(schedule.next(at(from)), |time| schedule.next(*time));
        times.take(count).map(|time| time.format("%dT%H:%M").to_string()).collect()
    }

    #[test]
    fn times_are_those_of_the_zone() {
        assert_eq!(times("0 6 * * *", "Europe/Berlin", "2026-01-10T00:00:00Z", 2), ["10T05:00", "11T05:00"]);
        assert_eq!(times("0 6 * * *", "Asia/Kolkata", "2026-01-10T00:00:00Z", 1), ["10T00:30"]);
        assert_eq!(times("*/15 * * * 1", "UTC", "2026-11-26T09:00:00Z", 2), ["30T00:00", "30T00:15"]);
    }

    /// In Berlin the clock goes from 2 to 3 on 29 March 2026, and from 3 to 2 on 25 October.
    #[test]
    fn each_day_has_its_run_when_the_clock_changes() {
        let spring = times("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3);
        assert_eq!((spring[0].as_str(), spring[2].as_str()), ("28T01:30", "30T00:30"));
        assert!(spring[1].starts_with("29T01:"), "after the gap: {spring:?}");
        let autumn = times("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z", 3);
        assert_eq!(autumn, ["24T00:30", "25T00:30", "26T01:30"]);
        let hourly = times("0 * * * *", "Europe/Berlin", "2026-10-24T23:00:00Z", 4);
        assert_eq!(hourly, ["25T00:00", "25T01:00", "25T02:00", "25T03:00"]);
        let often = times("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 4);
        assert_eq!(often, ["25T00:30", "25T01:00", "25T01:30", "25T02:00"]);
        let hourly = times("0 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3);
        assert_eq!(hourly, ["29T01:00", "29T02:00", "29T03:00"]);
    }

    #[test]
    fn the_last_time_is_one_of_the_next_ones() {
        for (expression, zone) in
            [("0 * * * *", "Europe/Berlin"), ("30 2 * * *", "Europe/Berlin"), ("15 0 * * *", "Africa/Cairo")]
        {
            let schedule = Schedule::new(expression, zone).unwrap();
            for (from, hours) in
                [("2026-03-28T00:00:00Z", 72), ("2026-10-24T00:00:00Z", 72), ("2026-04-23T00:00:00Z", 72)]
            {
                let mut last = schedule.next(at(from)).unwrap();
                for minutes in (0..hours * 60).step_by(20) {
                    let now = at(from) + chrono::TimeDelta::minutes(minutes);
                    while let Some(next) = schedule.next(last).filter(|next| *next <= now) {
                        last = next;
                    }
                    if last <= now {
                        assert_eq!(schedule.last(now), Some(last), "{expression} {zone} {now}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_never_comes_or_is_no_schedule_is_refused() {
        let code = |expression: &str, zone: &str| Schedule::new(expression, zone).unwrap_err().code;
        for expression in ["0 0 30 2 *", "0 6 * *", "0 0 6 * * *", "61 * * * *", "", "@daily", "a b c d e"] {
            assert_eq!(code(expression, "UTC"), "monitor_schedule", "{expression}");
        }
        assert_eq!(code("0 6 * * *", "Mars/Olympus"), "monitor_zone");
    }

    #[test]
    fn the_last_time_is_at_or_before() {
        let schedule = Schedule::new("0 6 * * *", "UTC").unwrap();
        assert_eq!(schedule.last(at("2026-11-26T06:00:00Z")), Some(at("2026-11-26T06:00:00Z")));
        assert_eq!(schedule.last(at("2026-11-26T05:59:59Z")), Some(at("2026-11-25T06:00:00Z")));
    }
}
