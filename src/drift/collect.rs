//! Collecting the values of a column while a table is read.

use super::compare::{self, Column};
use super::profile::{ColumnBuilder, ColumnProfile, Invalid, Kind};

/// Some values of a column. Where rows lie within a slice does not matter.
#[derive(Clone, Copy, Debug)]
pub enum Slice<'a> {
    Numbers(&'a [f64]),
    /// Microseconds since 1970, UTC.
    Times(&'a [i64]),
    Booleans(&'a [bool]),
    Strings(&'a [&'a str]),
    /// Rows without a value.
    Missing(u64),
    /// Rows whose value is not of the column's kind.
    Failed(u64),
}

/// What is kept of a column: numbers and times either all or as a sketch, everything else as a sketch, which is exact
/// for up to as many categories as it has room for.
#[derive(Debug)]
pub enum Collector {
    Exact(Exact),
    Sketch(Box<ColumnBuilder>),
}

/// A part of a column that was read.
#[derive(Debug)]
pub enum Collected {
    Exact(Exact),
    Profile(Box<ColumnProfile>),
}

/// All numbers or times of a column.
#[derive(Clone, Debug)]
pub struct Exact {
    name: String,
    kind: Kind,
    values: Vec<f64>,
    missing: u64,
    failed: u64,
}

impl Collector {
    /// Errors: values of another kind than the column's, or more than 2^53 rows.
    pub fn add(&mut self, slice: Slice<'_>) -> Result<(), Invalid> {
        match self {
            Self::Exact(exact) => exact.add(slice),
            Self::Sketch(builder) => match slice {
                Slice::Numbers(values) => builder.numbers(values, None),
                Slice::Times(values) => builder.times(values, None),
                Slice::Booleans(values) => builder.booleans(values, None),
                Slice::Strings(values) => builder.strings(values, None),
                Slice::Missing(rows) => builder.missing(rows),
                Slice::Failed(rows) => builder.failed(rows),
            },
        }
    }

    /// The column in a part of so many rows. Errors: it was fed another number of them, but for none.
    pub fn finish(self, rows: u64) -> Result<Collected, Invalid> {
        Ok(match self {
            Self::Exact(exact) => Collected::Exact(exact.in_part_of(rows)),
            Self::Sketch(builder) => Collected::Profile(Box::new(builder.finish(rows)?)),
        })
    }
}

impl Collected {
    /// Both parts together; profiles in this order. Errors: parts of different columns.
    pub fn merge(self, next: Self) -> Result<Self, Invalid> {
        match (self, next) {
            (Self::Exact(mut a), Self::Exact(b)) if a.kind == b.kind && a.name == b.name => {
                a.values.extend(b.values);
                a.missing += b.missing;
                a.failed += b.failed;
                Ok(Self::Exact(a))
            }
            (Self::Profile(a), Self::Profile(b)) => Ok(Self::Profile(Box::new(a.merge(&b)?))),
            _ => Err(Invalid::new("parts of different columns")),
        }
    }

    pub fn into_column(self) -> Column {
        match self {
            Self::Exact(Exact { name, kind, values, missing, failed }) => {
                let sample = compare::Sample::exact(values);
                let values = if kind == Kind::Time {
                    compare::Values::Time(sample)
                } else {
                    compare::Values::Numeric(sample)
                };
                Column::new(&name, values, missing, failed)
            }
            Self::Profile(profile) => Column::from(&*profile),
        }
    }
}

impl Exact {
    /// For numbers and times only.
    pub fn new(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), kind, values: vec![], missing: 0, failed: 0 }
    }

    fn add(&mut self, slice: Slice<'_>) -> Result<(), Invalid> {
        match (slice, self.kind) {
            (Slice::Numbers(values), Kind::Numeric) => self.values.extend_from_slice(values),
            (Slice::Times(values), Kind::Time) => {
                self.values.extend(values.iter().map(|value| *value as f64));
            }
            (Slice::Missing(rows), _) => self.missing += rows,
            (Slice::Failed(rows), _) => self.failed += rows,
            _ => return Err(Invalid::new("values of another kind than the column's")),
        }
        Ok(())
    }

    /// Rows of a part that lacks the column count as missing.
    fn in_part_of(mut self, rows: u64) -> Self {
        let fed = self.values.len() as u64 + self.missing + self.failed;
        self.missing += rows.saturating_sub(fed);
        self
    }
}
