//! Feeding a column.

use super::frequent::shorten;
use super::invalid::{Invalid, require};
use super::{ColumnPlan, ColumnProfile, Distinct, Frequent, Numbers, Seed, Settings, Values, add_rows};

/// Collects the values of one column of one chunk. Values may come in slices of any length: the profile is the same.
///
/// `valid` says for each value of a slice whether it is there; a value that is not there counts as missing. Without
/// it all are there.
#[derive(Debug)]
pub struct ColumnBuilder {
    column: ColumnProfile,
    /// Numbers that wait to be added together.
    block: Vec<f64>,
    halvings: u32,
}

impl ColumnBuilder {
    pub(super) fn new(plan: &ColumnPlan, seed: Seed, settings: &Settings) -> Result<Self, Invalid> {
        let column = ColumnProfile::new(plan, seed, settings)?;
        Ok(Self { column, block: Vec::new(), halvings: settings.halvings })
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.column.rows
    }

    /// Adds numbers. Errors: a column of another kind, or `valid` of another length; then nothing was added.
    pub fn numbers(&mut self, values: &[f64], valid: Option<&[bool]>) -> Result<(), Invalid> {
        let ColumnProfile { rows, missing, values: Values::Numeric(numbers), .. } = &mut self.column else {
            return Err(wrong_kind());
        };
        count(rows, missing, values, valid)?;
        match valid {
            None => add_slice(numbers, &mut self.block, values, self.halvings),
            Some(_) => there(values, valid).for_each(|value| {
                add_one(numbers, &mut self.block, *value, self.halvings);
            }),
        }
        Ok(())
    }

    /// Adds times in microseconds since 1970, UTC. Errors: as for [`Self::numbers`].
    pub fn times(&mut self, values: &[i64], valid: Option<&[bool]>) -> Result<(), Invalid> {
        let ColumnProfile { rows, missing, values: Values::Time(numbers), .. } = &mut self.column else {
            return Err(wrong_kind());
        };
        count(rows, missing, values, valid)?;
        there(values, valid).for_each(|value| {
            add_one(numbers, &mut self.block, *value as f64, self.halvings);
        });
        Ok(())
    }

    /// Adds booleans. Errors: as for [`Self::numbers`].
    pub fn booleans(&mut self, values: &[bool], valid: Option<&[bool]>) -> Result<(), Invalid> {
        let ColumnProfile { rows, missing, values: Values::Boolean { no, yes }, .. } = &mut self.column
        else {
            return Err(wrong_kind());
        };
        count(rows, missing, values, valid)?;
        there(values, valid).for_each(|value| *(if *value { &mut *yes } else { &mut *no }) += 1);
        Ok(())
    }

    /// Adds categories or texts. Errors: as for [`Self::numbers`].
    pub fn strings(&mut self, values: &[&str], valid: Option<&[bool]>) -> Result<(), Invalid> {
        let ColumnProfile { rows, missing, values: kept, .. } = &mut self.column;
        match kept {
            Values::Categorical { distinct, frequent } => {
                count(rows, missing, values, valid)?;
                there(values, valid).for_each(|value| {
                    add_category(distinct, frequent, value, 1);
                });
            }
            Values::Text { distinct, lengths } => {
                count(rows, missing, values, valid)?;
                there(values, valid).for_each(|value| {
                    distinct.add_text(value);
                    add_one(lengths, &mut self.block, value.chars().count() as f64, self.halvings);
                });
            }
            _ => return Err(wrong_kind()),
        }
        Ok(())
    }

    /// Adds categories, each so many times: one call for a batch that comes with a dictionary.
    /// Errors: a column of another kind, or more than 2^53 rows; then nothing was added.
    pub fn categories(&mut self, counts: &[(&str, u64)]) -> Result<(), Invalid> {
        let Values::Categorical { distinct, frequent } = &mut self.column.values else {
            return Err(wrong_kind());
        };
        let all = counts.iter().try_fold(0, |sum, (_, times)| add_rows(sum, *times))?;
        self.column.rows = add_rows(self.column.rows, all)?;
        let there = counts.iter().filter(|(_, times)| *times > 0);
        there.for_each(|(value, times)| add_category(distinct, frequent, value, *times));
        Ok(())
    }

    /// Adds rows without a value. Errors: more than 2^53 rows.
    pub fn missing(&mut self, rows: u64) -> Result<(), Invalid> {
        self.column.rows = add_rows(self.column.rows, rows)?;
        self.column.missing += rows;
        Ok(())
    }

    /// Adds rows whose value is not of the column's kind. Errors: more than 2^53 rows.
    pub fn failed(&mut self, rows: u64) -> Result<(), Invalid> {
        self.column.rows = add_rows(self.column.rows, rows)?;
        self.column.failed += rows;
        Ok(())
    }

    /// The column in a chunk of `rows`; one that was fed nothing is absent there. Errors: another number of rows.
    pub fn finish(mut self, rows: u64) -> Result<ColumnProfile, Invalid> {
        if let Values::Numeric(numbers) | Values::Time(numbers) | Values::Text { lengths: numbers, .. } =
            &mut self.column.values
        {
            numbers.add(&mut self.block, self.halvings);
        }
        if self.column.rows == 0 {
            self.column.absent = rows;
        }
        let complete =
            require(self.column.rows + self.column.absent == rows, "fewer rows than other columns");
        complete.map_err(|error| error.within(self.column.name())).map(|()| self.column)
    }
}

fn wrong_kind() -> Invalid {
    Invalid::new("values of another kind than the column's")
}

fn count<T>(rows: &mut u64, missing: &mut u64, values: &[T], valid: Option<&[bool]>) -> Result<(), Invalid> {
    require(valid.is_none_or(|valid| valid.len() == values.len()), "not one validity for each value")?;
    *rows = add_rows(*rows, values.len() as u64)?;
    *missing += valid.unwrap_or_default().iter().filter(|valid| !**valid).count() as u64;
    Ok(())
}

fn there<'a, T>(values: &'a [T], valid: Option<&'a [bool]>) -> impl Iterator<Item = &'a T> {
    let all_there = valid.is_none();
    let valid = valid.unwrap_or_default().iter().copied().chain(std::iter::repeat(all_there));
    values.iter().zip(valid).filter_map(|(value, valid)| valid.then_some(value))
}

fn add_category(distinct: &mut Distinct, frequent: &mut Frequent, value: &str, times: u64) {
    let item = shorten(value);
    // What is listed was counted as different when it came.
    if frequent.add_short(&item, times) {
        distinct.add_text(&item);
    }
}

fn add_slice(numbers: &mut Numbers, block: &mut Vec<f64>, mut values: &[f64], halvings: u32) {
    while !values.is_empty() {
        let room = numbers.block(halvings).saturating_sub(block.len());
        let (now, later) = values.split_at(room.min(values.len()));
        block.extend_from_slice(now);
        values = later;
        add_if_full(numbers, block, halvings);
    }
}

fn add_one(numbers: &mut Numbers, block: &mut Vec<f64>, value: f64, halvings: u32) {
    block.push(value);
    add_if_full(numbers, block, halvings);
}

fn add_if_full(numbers: &mut Numbers, block: &mut Vec<f64>, halvings: u32) {
    if block.len() >= numbers.block(halvings) {
        numbers.add(block, halvings);
    }
}
