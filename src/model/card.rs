//! The card of a workload: who answers for it, what it is for, where its limits are, how much could go wrong, and when somebody
//! looks at it again.

use super::digest::shorten;
use crate::error::{Error, Result};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Longest name of an owner, in characters.
pub const OWNER_MAX: usize = 200;
/// Longest purpose, and longest limits of use, in characters.
pub const TEXT_MAX: usize = 2000;

/// How much could go wrong, after the classes of the EU AI Act and what US supervisors (SR 11-7) call materiality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// A mistake is cheap and somebody notices it.
    Low,
    /// People outside the team meet it and can tell; they are told that it is a machine.
    Limited,
    /// It has a part in decisions about people, money or safety.
    High,
    /// The same, and the business depends on it: when it fails, harm is done before anybody can step in.
    Critical,
}

impl Risk {
    pub const ALL: [Self; 4] = [Self::Low, Self::Limited, Self::High, Self::Critical];

    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Limited => "limited",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Risk {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|risk| risk.name() == text).ok_or_else(|| {
            Error::invalid("risk_invalid", format!("not a class of risk: {}", shorten(text)))
                .hint("classes are low, limited, high and critical")
        })
    }
}

/// A day in UTC, written as 2027-03-01 and not otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Day(NaiveDate);

impl Day {
    /// The day of a moment.
    pub fn of(at: DateTime<Utc>) -> Self {
        Self(at.date_naive())
    }

    /// The first moment that is no more of it.
    pub fn end(self) -> DateTime<Utc> {
        self.0.succ_opt().unwrap_or(self.0).and_time(NaiveTime::MIN).and_utc()
    }

    /// How many days it is after another one; below zero: before it.
    pub fn days_after(self, other: Self) -> i64 {
        self.0.signed_duration_since(other.0).num_days()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.format("%Y-%m-%d").fmt(out)
    }
}

impl FromStr for Day {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_plain = text.len() == 10
            && text.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| is_plain);
        day.map(Self).ok_or_else(|| {
            Error::invalid("day_invalid", format!("not a day of the calendar: {}", shorten(text)))
                .hint("write it as YYYY-MM-DD, for example 2027-03-01")
        })
    }
}

impl TryFrom<String> for Day {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

/// One of the things a card says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    Owner,
    Purpose,
    Limits,
    Risk,
    Review,
}

impl Part {
    pub const ALL: [Self; 5] = [Self::Owner, Self::Purpose, Self::Limits, Self::Risk, Self::Review];

    /// Its name, which is also that of the option it is set by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Purpose => "purpose",
            Self::Limits => "limits",
            Self::Risk => "risk",
            Self::Review => "review",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Part {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|part| part.name() == text).ok_or_else(|| {
            Error::invalid("card_part_invalid", format!("not a part of a card: {}", shorten(text)))
                .hint("parts are owner, purpose, limits, risk and review")
        })
    }
}

/// What is said of a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    pub owner: Option<String>,
    pub purpose: Option<String>,
    pub limits: Option<String>,
    pub risk: Option<Risk>,
    /// The last day on which it may be looked at again.
    pub review_on: Option<Day>,
}

impl Card {
    pub fn has(&self, part: Part) -> bool {
        match part {
            Part::Owner => self.owner.is_some(),
            Part::Purpose => self.purpose.is_some(),
            Part::Limits => self.limits.is_some(),
            Part::Risk => self.risk.is_some(),
            Part::Review => self.review_on.is_some(),
        }
    }

    pub fn clear(&mut self, part: Part) {
        match part {
            Part::Owner => self.owner = None,
            Part::Purpose => self.purpose = None,
            Part::Limits => self.limits = None,
            Part::Risk => self.risk = None,
            Part::Review => self.review_on = None,
        }
    }

    /// For how many days the review has been overdue; `None`: it is not.
    pub fn overdue_days(&self, now: DateTime<Utc>) -> Option<i64> {
        let days = Day::of(now).days_after(self.review_on?);
        (days > 0).then_some(days)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_one_of_the_calendar_and_written_in_one_way() {
        for good in ["2027-03-01", "2028-02-29", "0001-01-01", "9999-12-31"] {
            assert_eq!(good.parse::<Day>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "2026-02-30",
            "2027-02-29",
            "2027-13-01",
            "2027-00-10",
            "2027-3-1",
            "27-03-01",
            "2027/03/01",
            "2027-03-01 ",
            " 2027-03-01",
            "+2027-3-01",
            "2027-03-01T00:00:00Z",
            "12027-03-01",
            "2027-03-0\u{663}",
            "tomorrow",
        ] {
            assert_eq!(bad.parse::<Day>().unwrap_err().code, "day_invalid", "{bad:?}");
        }
    }

    #[test]
    fn a_review_is_overdue_from_the_day_after_on() {
        let card = Card { review_on: Some("2026-02-28".parse().unwrap()), ..Card::default() };
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(card.overdue_days(at("2026-02-28T23:59:59.999999Z")), None);
        assert_eq!(card.overdue_days(at("2026-03-01T00:00:00Z")), Some(1));
        assert_eq!(card.overdue_days(at("2027-02-28T12:00:00Z")), Some(365));
        assert_eq!(card.review_on.unwrap().end(), at("2026-03-01T00:00:00Z"));
        assert_eq!(Card::default().overdue_days(at("2026-03-01T00:00:00Z")), None);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for risk in Risk::ALL {
            assert_eq!(risk.to_string().parse::<Risk>().unwrap(), risk);
            assert_eq!(serde_json::to_value(risk).unwrap(), risk.name());
        }
        for part in Part::ALL {
            assert_eq!(part.to_string().parse::<Part>().unwrap(), part);
            assert_eq!(serde_json::to_value(part).unwrap(), part.name());
        }
        assert!("High".parse::<Risk>().is_err() && "review_on".parse::<Part>().is_err());
    }
}
