//! Where the data of a window lie: `triage/dt={date}/*.parquet`.

use super::window::Window;
use crate::error::{Error, Result};
use chrono::NaiveDateTime;
use chrono::format::{Fixed, Item, Numeric, StrftimeItems};
use chrono_tz::Tz;
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

/// A year's hours have as many paths.
const TEMPLATE_MAX: usize = 1_024;

/// A path with `{date}`, or `{date:%Y/%m/%d}` for another form of it: a day of the monitor's zone, or an hour of it where the
/// form says one, as `{date:%Y-%m-%dT%H}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Date(String),
}

impl Template {
    /// The paths of the days or hours of a window, each once, in their order. A template without a date has one path.
    pub fn paths(&self, window: Window, zone: Tz) -> Vec<String> {
        let times = if self.is_hourly() { window.hours(zone) } else { window.days(zone) };
        let mut paths: Vec<String> = times.into_iter().map(|time| self.path(time)).collect();
        let mut known = HashSet::new();
        paths.retain(|path| known.insert(path.clone()));
        paths
    }

    fn path(&self, time: NaiveDateTime) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Date(form) => time.format(form).to_string(),
        };
        self.parts.iter().map(part).collect()
    }

    /// Whether the hours of a day lie apart.
    pub fn is_hourly(&self) -> bool {
        self.forms().any(has_hour)
    }

    /// Whether days lie apart, and their hours do not.
    pub fn is_daily(&self) -> bool {
        self.forms().next().is_some() && !self.is_hourly()
    }

    /// What comes before the first date.
    pub fn start(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    fn forms(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Date(form) => Some(form.as_str()),
            Part::Text(_) => None,
        })
    }
}

impl FromStr for Template {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::invalid("monitor_source", format!("not a place of data: {why}"))
                .hint("for example logs/triage/dt={date}/*.parquet, or {date:%Y/%m/%d}")
        };
        if text.len() > TEMPLATE_MAX {
            return Err(wrong("it is too long"));
        }
        let (mut parts, mut rest) = (vec![], text);
        while let Some((before, after)) = rest.split_once('{') {
            let (inner, behind) = after.split_once('}').ok_or_else(|| wrong("a { is not closed"))?;
            let form = match inner.split_once(':') {
                None if inner == "date" => "%Y-%m-%d",
                Some(("date", form)) => form,
                _ => return Err(wrong("only {date} can stand in braces")),
            };
            // What is unknown to a form of dates would panic when it is written.
            if !is_known(form) {
                return Err(wrong("a date cannot be written in that form"));
            }
            parts.extend([Part::Text(before.to_owned()), Part::Date(form.to_owned())]);
            rest = behind;
        }
        if rest.contains('}') {
            return Err(wrong("a } closes nothing"));
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self { text: text.to_owned(), parts })
    }
}

/// Whether a form asks for nothing that an hour of a calendar does not have.
fn is_known(form: &str) -> bool {
    use Numeric::{
        Day, Hour, IsoWeek, IsoYear, IsoYearDiv100, IsoYearMod100, Month, NumDaysFromSun, Ordinal,
        WeekFromMon, WeekFromSun, WeekdayFromMon, Year, YearDiv100, YearMod100,
    };
    StrftimeItems::new(form).all(|item| match item {
        Item::Literal(_) | Item::OwnedLiteral(_) | Item::Space(_) | Item::OwnedSpace(_) => true,
        Item::Numeric(number, _) => matches!(
            number,
            Year | YearDiv100
                | YearMod100
                | IsoYear
                | IsoYearDiv100
                | IsoYearMod100
                | Month
                | Day
                | Ordinal
                | IsoWeek
                | WeekFromSun
                | WeekFromMon
                | NumDaysFromSun
                | WeekdayFromMon
                | Hour
        ),
        Item::Fixed(fixed) => matches!(
            fixed,
            Fixed::ShortMonthName | Fixed::LongMonthName | Fixed::ShortWeekdayName | Fixed::LongWeekdayName
        ),
        Item::Error => false,
    })
}

fn has_hour(form: &str) -> bool {
    StrftimeItems::new(form).any(|item| matches!(item, Item::Numeric(Numeric::Hour, _)))
}

impl fmt::Display for Template {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::window::Length;
    use super::*;

    #[test]
    fn a_window_has_the_paths_of_its_days() {
        let zone = chrono_tz::Europe::Berlin;
        let window = |length: Length| length.before("2026-03-02T05:00:00Z".parse().unwrap(), zone);
        let paths = |text: &str, length| text.parse::<Template>().unwrap().paths(window(length), zone);
        assert_eq!(paths("dt={date}/*.pq", Length::Days(2)), ["dt=2026-02-28/*.pq", "dt=2026-03-01/*.pq"]);
        assert_eq!(paths("{date:%Y/%m}/{date:%d}.csv", Length::Days(1)), ["2026/03/01.csv"]);
        assert_eq!(paths("all.csv", Length::Days(5)), ["all.csv"]);
        assert_eq!(
            paths("{date:%Y-%m}.csv", Length::Days(30)),
            ["2026-01.csv", "2026-02.csv", "2026-03.csv"]
        );
        assert_eq!(
            paths("dt={date}/{date:%H}.csv", Length::Hours(2)),
            ["dt=2026-03-02/04.csv", "dt=2026-03-02/05.csv"]
        );
        assert_eq!(paths("{date:%-H}", Length::Days(1)).len(), 24, "an hour in another form");
        // From six to six: two days.
        assert_eq!(paths("{date}", Length::Hours(24)), ["2026-03-01", "2026-03-02"]);
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in [
            "{",
            "{day}",
            "}",
            "{date:%Q}",
            "{date:%H:%M}",
            "{date:%I}",
            "{date:%-M}",
            "{date:%s}",
            "{date:%D %T}",
            "a{date",
            "{date}}",
        ] {
            assert_eq!(text.parse::<Template>().unwrap_err().code, "monitor_source", "{text}");
        }
    }
}
