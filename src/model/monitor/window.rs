//! Which time the data of a run are of.

use crate::error::{Error, Result};
use chrono::{
    DateTime, Days, DurationRound as _, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta,
    TimeZone, Utc,
};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// From `start` on, up to and without `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
}

/// How long a window is: whole calendar days of the monitor's zone (`1d`, `7d`, `2w`), of which some have 23 or 25 hours,
/// or a duration that ends with the run (`6h`, `24h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Length {
    Days(u32),
    Hours(u32),
}

const DAYS_MAX: u32 = 366;

impl Length {
    /// The window of a run at this time: the last whole days before it, or the hours up to it.
    pub fn before(self, at: DateTime<Utc>, zone: Tz) -> Window {
        match self {
            Self::Hours(hours) => Window { start: at - TimeDelta::hours(hours.into()), end: at },
            Self::Days(days) => {
                let today = at.with_timezone(&zone).date_naive();
                Window { start: midnight(back(today, days), zone), end: midnight(today, zone) }
            }
        }
    }
}

impl Window {
    /// The same window so much earlier, days as the calendar of the zone has them.
    #[must_use]
    pub fn shifted_back(self, by: Length, zone: Tz) -> Self {
        let shift = |at: DateTime<Utc>| match by {
            Length::Hours(hours) => at - TimeDelta::hours(hours.into()),
            Length::Days(days) => {
                let local = at.with_timezone(&zone).naive_local();
                instant(back(local.date(), days).and_time(local.time()), zone)
            }
        };
        Self { start: shift(self.start), end: shift(self.end) }
    }

    /// The days of the zone that it touches, in their order; at most so many.
    pub fn days(self, zone: Tz) -> Vec<NaiveDateTime> {
        let first = self.start.with_timezone(&zone).date_naive();
        let days = first.iter_days().take_while(|day| midnight(*day, zone) < self.end);
        days.take(DAYS_MAX as usize + 2).map(|day| day.and_time(NaiveTime::MIN)).collect()
    }

    /// The hours of the zone that it touches, as its clocks show them; one that comes twice comes twice.
    pub fn hours(self, zone: Tz) -> Vec<NaiveDateTime> {
        let shown = |at: DateTime<Utc>| hour(at, zone).with_timezone(&zone).naive_local();
        // Some zones lie half an hour beside the hours of UTC.
        let quarters =
            (0..4 * 24 * (i64::from(DAYS_MAX) + 2)).map(|count| self.start + TimeDelta::minutes(15 * count));
        let mut hours: Vec<NaiveDateTime> = quarters.take_while(|at| *at < self.end).map(shown).collect();
        hours.dedup();
        hours
    }

    pub fn contains(self, at: DateTime<Utc>) -> bool {
        self.start <= at && at < self.end
    }
}

/// When the hour of the zone began in which something is.
pub(super) fn hour(at: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
    let local = at.with_timezone(&zone).naive_local();
    at - (local - local.duration_trunc(TimeDelta::hours(1)).unwrap_or(local))
}

fn back(day: NaiveDate, days: u32) -> NaiveDate {
    day.checked_sub_days(Days::new(days.into())).unwrap_or(NaiveDate::MIN)
}

/// When a day begins. Where the clock skips midnight, with the first moment after the gap.
pub fn midnight(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    instant(day.and_time(NaiveTime::MIN), zone)
}

/// The first moment at which the clock of the zone shows this or, if it never does, something later.
fn instant(local: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    let quarter_hours = (0..=4 * 26).map(|quarters| local + TimeDelta::minutes(15 * quarters));
    let shown = quarter_hours.into_iter().find_map(|local| match zone.from_local_datetime(&local) {
        MappedLocalTime::Single(at) => Some(at),
        MappedLocalTime::Ambiguous(first, _) => Some(first),
        MappedLocalTime::None => None,
    });
    shown.map_or_else(|| local.and_utc(), |at| at.with_timezone(&Utc))
}

impl FromStr for Length {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(
                "monitor_window",
                format!("not a length of time: {}", text.chars().take(40).collect::<String>()),
            )
            .hint("7d or 2w are whole days of the calendar, 24h are hours; at most 366 days")
        };
        let (count, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
        let count: u32 = count.parse().map_err(|_| wrong())?;
        let length = match unit {
            "d" => Self::Days(count),
            "w" => Self::Days(count.checked_mul(7).ok_or_else(wrong)?),
            "h" => Self::Hours(count),
            _ => return Err(wrong()),
        };
        let fits = match length {
            Self::Days(days) => (1..=DAYS_MAX).contains(&days),
            Self::Hours(hours) => (1..=24 * DAYS_MAX).contains(&hours),
        };
        if fits { Ok(length) } else { Err(wrong()) }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(days) => write!(out, "{days}d"),
            Self::Hours(hours) => write!(out, "{hours}h"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BERLIN: Tz = chrono_tz::Europe::Berlin;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn window(length: &str, run: &str, zone: Tz) -> (String, String, i64) {
        let window = length.parse::<Length>().unwrap().before(at(run), zone);
        let text = |at: DateTime<Utc>| at.format("%m-%dT%H:%M").to_string();
        (text(window.start), text(window.end), (window.end - window.start).num_hours())
    }

    #[test]
    fn days_are_whole_and_hours_are_not() {
        let of = |length, run| window(length, run, BERLIN);
        assert_eq!(of("1d", "2026-01-10T05:00:00Z"), ("01-08T23:00".into(), "01-09T23:00".into(), 24));
        assert_eq!(of("24h", "2026-01-10T05:00:00Z"), ("01-09T05:00".into(), "01-10T05:00".into(), 24));
        // Just after midnight in Berlin it is still yesterday in UTC.
        assert_eq!(of("1d", "2026-01-09T23:01:00Z"), ("01-08T23:00".into(), "01-09T23:00".into(), 24));
        assert_eq!(of("1w", "2026-01-10T05:00:00Z").2, 7 * 24);
    }

    #[test]
    fn the_days_on_which_the_clock_changes_have_23_and_25_hours() {
        assert_eq!(window("1d", "2026-03-30T05:00:00Z", BERLIN).2, 23);
        assert_eq!(window("1d", "2026-10-26T05:00:00Z", BERLIN).2, 25);
        // There the clock skipped midnight.
        let cairo = window("1d", "2026-04-24T12:00:00Z", chrono_tz::Africa::Cairo);
        let next = window("1d", "2026-04-25T12:00:00Z", chrono_tz::Africa::Cairo);
        assert_eq!((cairo.1, cairo.2), (next.0.clone(), 24));
        assert_eq!((next.0.as_str(), next.2), ("04-23T22:00", 23));
    }

    /// Days follow each other without a gap and without an overlap, in whatever zone.
    #[test]
    fn windows_tile_the_year() {
        for zone in [BERLIN, chrono_tz::Africa::Cairo, chrono_tz::Pacific::Apia, chrono_tz::Asia::Kathmandu] {
            let mut end = None;
            for day in 0..366 {
                let run = at("2026-01-01T12:00:00Z") + TimeDelta::days(day);
                let window = Length::Days(1).before(run, zone);
                assert!(
                    window.start < window.end && end.is_none_or(|end| end == window.start),
                    "{zone} {run}"
                );
                assert_eq!(window.days(zone).len(), 1);
                end = Some(window.end);
            }
        }
    }

    #[test]
    fn the_same_phase_is_the_same_time_of_the_calendar() {
        let window = Length::Days(1).before(at("2026-03-31T12:00:00Z"), BERLIN);
        let week = window.shifted_back(Length::Days(7), BERLIN);
        // In summer time, and in winter time a week before.
        assert_eq!((window.start, week.start), (at("2026-03-29T22:00:00Z"), at("2026-03-22T23:00:00Z")));
        let hours = window.shifted_back(Length::Hours(24), BERLIN);
        assert_eq!(window.start - hours.start, TimeDelta::hours(24));
    }

    #[test]
    fn lengths_are_read_and_bounded() {
        for text in ["1d", "24h", "366d"] {
            assert_eq!(text.parse::<Length>().unwrap().to_string(), text);
        }
        assert_eq!("2w".parse::<Length>().unwrap(), Length::Days(14));
        for text in ["", "d", "0d", "367d", "1m", "-1d", "1.5d", "999999999999d", "9000h", "1é"] {
            assert_eq!(text.parse::<Length>().unwrap_err().code, "monitor_window", "{text}");
        }
    }
}
