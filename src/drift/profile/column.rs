//! The profile of one column.

use super::invalid::{Invalid, require};
use super::{Bins, ColumnPlan, Distinct, Frequent, MAX_ROWS, Numbers, Seed, Settings, add_rows};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const MAX_NAME: usize = 512;

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Numeric,
    Categorical,
    Boolean,
    /// Points in time, in microseconds since 1970 in UTC. Kept as `f64`, exact for the years -285 to 2255.
    Time,
    Text,
}

/// A column: `rows = missing + failed + values`, and `rows + absent` are the rows of its profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnProfile {
    name: String,
    /// Rows of parts that have the column.
    pub(super) rows: u64,
    /// Rows of parts that do not.
    pub(super) absent: u64,
    /// Rows without a value.
    pub(super) missing: u64,
    /// Rows whose value is not of the column's kind.
    pub(super) failed: u64,
    pub(super) values: Values,
}

/// The values of a column, as fits their kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub enum Values {
    Numeric(Numbers),
    Categorical {
        distinct: Distinct,
        frequent: Frequent,
    },
    Boolean {
        no: u64,
        yes: u64,
    },
    Time(Numbers),
    /// Texts themselves are never kept, only their lengths in characters (Unicode scalar values).
    Text {
        distinct: Distinct,
        lengths: Numbers,
    },
}

impl ColumnProfile {
    /// An empty column. Errors: a name that is too long, settings or bins out of bounds, bins for what has none.
    pub(super) fn new(plan: &ColumnPlan, seed: Seed, settings: &Settings) -> Result<Self, Invalid> {
        let bins = plan.bins.clone().map(Bins::new).transpose()?;
        require(bins.is_none() || plan.kind == Kind::Numeric, "bins are for numbers")?;
        let numbers = |bins| Numbers::new(seed, settings, bins);
        let distinct = Distinct::default();
        let values = match plan.kind {
            Kind::Numeric => Values::Numeric(numbers(bins)?),
            Kind::Time => Values::Time(numbers(None)?),
            Kind::Boolean => Values::Boolean { no: 0, yes: 0 },
            Kind::Text => Values::Text { distinct, lengths: numbers(None)? },
            Kind::Categorical => {
                Values::Categorical { distinct, frequent: Frequent::new(settings.categories)? }
            }
        };
        let empty = Self { name: plan.name.clone(), rows: 0, absent: 0, missing: 0, failed: 0, values };
        empty.check().map(|()| empty)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn kind(&self) -> Kind {
        match self.values {
            Values::Numeric(_) => Kind::Numeric,
            Values::Categorical { .. } => Kind::Categorical,
            Values::Boolean { .. } => Kind::Boolean,
            Values::Time(_) => Kind::Time,
            Values::Text { .. } => Kind::Text,
        }
    }

    /// Rows in which the column was there, with or without a value.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows of parts that had no such column.
    pub fn absent(&self) -> u64 {
        self.absent
    }

    /// Rows without a value.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Rows whose value was not of the column's kind.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The column of both parts. Errors: another name or kind, other bins, or too many rows.
    pub fn merge(&self, other: &Self) -> Result<Self, Invalid> {
        require(self.name == other.name, "columns of different names")?;
        let merged = || -> Result<Self, Invalid> {
            Ok(Self {
                name: self.name.clone(),
                rows: add_rows(self.rows, other.rows)?,
                absent: add_rows(self.absent, other.absent)?,
                missing: add_rows(self.missing, other.missing)?,
                failed: add_rows(self.failed, other.failed)?,
                values: self.values.merge(&other.values)?,
            })
        };
        merged().map_err(|error| error.within(&self.name))
    }

    /// The column in a profile of so many rows more that lack it.
    pub(super) fn with_absent(&self, rows: u64) -> Result<Self, Invalid> {
        Ok(Self { absent: add_rows(self.absent, rows)?, ..self.clone() })
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        let checked = || {
            require((1..=MAX_NAME).contains(&self.name.len()), "the name of a column has 1 to 512 bytes")?;
            self.values.check()?;
            let values = self.values.total();
            let parts = [self.missing, self.failed, values].into_iter().try_fold(0, add_rows)?;
            require(parts == self.rows, "missing, failed and other values do not sum up to the rows")?;
            require(add_rows(self.rows, self.absent)? <= MAX_ROWS, "more than 2^53 rows")
        };
        checked().map_err(|error: Invalid| error.within(&self.name))
    }
}

impl Values {
    fn total(&self) -> u64 {
        match self {
            Self::Numeric(numbers) | Self::Time(numbers) | Self::Text { lengths: numbers, .. } => {
                numbers.total()
            }
            Self::Categorical { frequent, .. } => frequent.total(),
            Self::Boolean { no, yes } => no.saturating_add(*yes),
        }
    }

    fn merge(&self, other: &Self) -> Result<Self, Invalid> {
        Ok(match (self, other) {
            (Self::Numeric(a), Self::Numeric(b)) => Self::Numeric(a.merge(b)?),
            (Self::Time(a), Self::Time(b)) => Self::Time(a.merge(b)?),
            (Self::Boolean { no: a, yes: c }, Self::Boolean { no: b, yes: d }) => {
                Self::Boolean { no: add_rows(*a, *b)?, yes: add_rows(*c, *d)? }
            }
            (
                Self::Categorical { distinct: a, frequent: c },
                Self::Categorical { distinct: b, frequent: d },
            ) => Self::Categorical { distinct: a.merge(b), frequent: c.merge(d)? },
            (Self::Text { distinct: a, lengths: c }, Self::Text { distinct: b, lengths: d }) => {
                Self::Text { distinct: a.merge(b), lengths: c.merge(d)? }
            }
            _ => return Err(Invalid::new("columns of different kinds cannot be merged")),
        })
    }

    fn check(&self) -> Result<(), Invalid> {
        let only_finite = |numbers: &Numbers| {
            numbers.check()?;
            require(numbers.total() == numbers.quantiles.count(), "a value that has to be finite is not")?;
            require(numbers.bins.is_none(), "bins are for numbers")
        };
        match self {
            Self::Numeric(numbers) => numbers.check(),
            Self::Time(numbers) => only_finite(numbers),
            Self::Boolean { no, yes } => add_rows(*no, *yes).map(drop),
            Self::Categorical { distinct, frequent } => {
                frequent.check()?;
                distinct.check(frequent.total())?;
                let mut listed = Distinct::default();
                frequent.items().iter().for_each(|(item, _)| listed.add_text(item));
                require(
                    !frequent.is_exact() || *distinct == listed,
                    "the different categories counted are not those listed",
                )
            }
            Self::Text { distinct, lengths } => {
                only_finite(lengths)?;
                distinct.check(lengths.total())
            }
        }
    }
}
