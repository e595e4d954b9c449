//! One value as a file has it, and how it is read as a value of a kind.

use crate::drift::collect::{Collector, Slice};
use crate::drift::profile::{Invalid, Kind};
use crate::error::Result;
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde_json::Value;
use std::borrow::Cow;

#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    Missing,
    Whole(i64),
    Number(f64),
    Boolean(bool),
    /// Microseconds since 1970, UTC.
    Time(i64),
    Text(Cow<'a, str>),
    /// Text of a format that has no types.
    Untyped(&'a str),
    /// A list or an object, which no kind takes; of arrays it is [`Cell::Other`].
    Nested(&'a Value),
    /// A list, a record that cannot be read, or what else no kind takes.
    Other,
}

/// Takes some rows: how many there are, and the values of each column.
pub(super) type Rows<'f> = dyn FnMut(u64, &[Vec<Cell<'_>>]) -> Result<()> + 'f;

/// How many rows to look at together, so that wide tables need no more memory than narrow ones.
pub(super) fn rows_at_once(columns: usize) -> usize {
    ((1 << 18) / columns.max(1)).clamp(1, 4_096)
}

/// What stands for nothing in a format without types, as pandas reads it.
const NOTHING: [&str; 19] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
    "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];

impl<'a> Cell<'a> {
    pub fn untyped(text: &'a str) -> Self {
        if NOTHING.contains(&text.trim()) { Self::Missing } else { Self::Untyped(text) }
    }

    /// As a number; truth values are 0 and 1.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Whole(value) => Some(*value as f64),
            Self::Number(value) => Some(*value),
            Self::Boolean(value) => Some(f64::from(u8::from(*value))),
            _ => self.text()?.trim().parse().ok(),
        }
    }

    /// As microseconds since 1970. A text is as RFC 3339 has it; without an offset it is UTC, without a time midnight.
    pub fn time(&self) -> Option<i64> {
        match self {
            Self::Time(value) => Some(*value),
            _ => parse_time(self.text()?.trim()),
        }
    }

    pub fn boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(*value),
            Self::Whole(value @ 0..=1) => Some(*value == 1),
            // Whole numbers of a format without types.
            Self::Untyped("0") => Some(false),
            Self::Untyped("1") => Some(true),
            _ => match self.text()?.trim() {
                "true" | "True" | "TRUE" => Some(true),
                "false" | "False" | "FALSE" => Some(false),
                _ => None,
            },
        }
    }

    /// As the name of a category or as a text. A whole number has no decimal point, whatever its type.
    pub fn label(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Whole(value) => value.to_string().into(),
            Self::Number(value) => value.to_string().into(),
            Self::Boolean(value) => value.to_string().into(),
            Self::Time(value) => DateTime::from_timestamp_micros(*value)?.to_rfc3339().into(),
            // Whole numbers are written as others where one of them was missing once.
            Self::Untyped(text) if text.contains('.') => match text.trim().parse::<f64>() {
                Ok(value) if value.is_finite() && value.fract() == 0.0 => value.to_string().into(),
                _ => (*text).into(),
            },
            _ => self.text()?.into(),
        })
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Untyped(text) => Some(text),
            _ => None,
        }
    }
}

fn parse_time(text: &str) -> Option<i64> {
    if text.as_bytes().get(4) != Some(&b'-') {
        return None;
    }
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros());
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_micros());
    }
    let formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];
    let time = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())?;
    Some(time.and_utc().timestamp_micros())
}

/// Feeds a column of this kind; what is of another kind has failed.
pub(super) fn feed<'a>(
    cells: impl Iterator<Item = &'a Cell<'a>>,
    kind: Kind,
    collector: &mut Collector,
) -> Result<(), Invalid> {
    let (mut missing, mut failed) = (0, 0);
    let cells = cells.filter(|cell| {
        let there = !matches!(cell, Cell::Missing);
        missing += u64::from(!there);
        there
    });
    match kind {
        Kind::Numeric => {
            let values = of_kind(cells, Cell::number, &mut failed);
            collector.add(Slice::Numbers(&values))?;
        }
        Kind::Time => {
            let values = of_kind(cells, Cell::time, &mut failed);
            collector.add(Slice::Times(&values))?;
        }
        Kind::Boolean => {
            let values = of_kind(cells, Cell::boolean, &mut failed);
            collector.add(Slice::Booleans(&values))?;
        }
        Kind::Categorical | Kind::Text => {
            let values = of_kind(cells, Cell::label, &mut failed);
            let values: Vec<&str> = values.iter().map(|value| &**value).collect();
            collector.add(Slice::Strings(&values))?;
        }
    }
    collector.add(Slice::Missing(missing))?;
    collector.add(Slice::Failed(failed))
}

fn of_kind<'a, T>(
    cells: impl Iterator<Item = &'a Cell<'a>>,
    read: impl Fn(&'a Cell<'a>) -> Option<T>,
    failed: &mut u64,
) -> Vec<T> {
    let values = cells.filter_map(|cell| {
        let value = read(cell);
        *failed += u64::from(value.is_none());
        value
    });
    values.collect()
}
