//! The days whose files are meant by `{date}`.

use crate::{
    error::{Error, Result},
    model::monitor::{Template, Window, midnight},
};
use chrono::NaiveDate;
use chrono_tz::Tz;
use std::str::FromStr;

const DAYS_MAX: i64 = 366;

/// A day, or all from one to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    first: NaiveDate,
    last: NaiveDate,
}

impl FromStr for Days {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let days = first.parse().ok().zip(last.parse().ok()).map(|(first, last)| Self { first, last });
        days.filter(|days| (0..DAYS_MAX).contains(&(days.last - days.first).num_days())).ok_or_else(|| {
            let message = format!("not a day, nor {DAYS_MAX} days at most from one to a later one: {text}");
            Error::invalid("drift_date", message).hint("2026-11-25, or 2026-11-01..2026-11-30")
        })
    }
}

/// Whether `{date}` stands in some name.
pub fn has_date(patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| pattern.contains("{date"))
}

/// Puts days, or their hours, in the place of `{date}`: for each pattern those that it stands for. Errors: a form of a date that is
/// none, or nobody said which.
pub fn dated(patterns: &[String], days: Option<Days>) -> Result<Vec<Vec<String>>> {
    let mut found = vec![];
    for pattern in patterns {
        if !has_date(std::slice::from_ref(pattern)) {
            found.push(vec![pattern.clone()]);
            continue;
        }
        let days = days.ok_or_else(|| {
            Error::invalid("drift_date", format!("{pattern} is of some date, and none was said"))
                .hint("--date 2026-11-25, or --date 2026-11-01..2026-11-30")
        })?;
        let template: Template = pattern.parse()?;
        let after = days.last.succ_opt().unwrap_or(days.last);
        let window = Window { start: midnight(days.first, Tz::UTC), end: midnight(after, Tz::UTC) };
        found.push(template.paths(window, Tz::UTC));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_stand_in_names_of_files() {
        let of = |pattern: &str, days: Option<&str>| {
            let days = days.map(|days| days.parse().unwrap());
            dated(&[pattern.to_owned()], days).map(|all| all.concat()).map_err(|error| error.code)
        };
        assert_eq!(of("a/*.csv", None), Ok(vec!["a/*.csv".to_owned()]));
        assert_eq!(of("dt={date}/*.csv", Some("2026-02-28")).unwrap(), ["dt=2026-02-28/*.csv"]);
        let days = of("{date:%Y/%m/%d}.csv", Some("2026-02-28..2026-03-01")).unwrap();
        assert_eq!(days, ["2026/02/28.csv", "2026/03/01.csv"]);
        assert_eq!(of("{date:%Y-%m-%dT%H}.csv", Some("2026-02-28")).unwrap().len(), 24);
        assert_eq!(of("{date}.csv", None), Err("drift_date"));
        assert_eq!(of("{date:%Q}.csv", Some("2026-02-28")), Err("monitor_source"));
        for wrong in ["", "yesterday", "2026-02-30", "2026-02-02..2026-02-01", "..", "2024-01-01..2025-12-31"]
        {
            assert!(wrong.parse::<Days>().is_err(), "{wrong}");
        }
    }
}
