//! Feeding a profile.

use super::{ColumnBuilder, ColumnProfile, Invalid, Plan, Profile};

impl Plan {
    /// A builder for one column in the chunk of this number. The number makes the coins of each chunk its own; cut a
    /// table into the same chunks again and the profile is the same, whoever built which part of it.
    /// Errors: settings, the name or bins out of bounds.
    ///
    /// # Panics
    /// If there is no column of this index.
    pub fn builder(&self, chunk: u64, column: usize) -> Result<ColumnBuilder, Invalid> {
        ColumnBuilder::new(&self.columns[column], self.seed.part(chunk).part(column as u64), &self.settings)
    }

    /// The profile of a table whose columns were merged one by one, each over all chunks in their order.
    /// Errors: columns of different numbers of rows, names that are not unique, too many columns.
    pub fn profile(&self, rows: u64, columns: Vec<ColumnProfile>) -> Result<Profile, Invalid> {
        Profile::new(self.seed, rows, columns)
    }
}

/// Collects the profile of one chunk of a table.
#[derive(Debug)]
pub struct ProfileBuilder {
    plan_seed: super::Seed,
    columns: Vec<ColumnBuilder>,
}

impl ProfileBuilder {
    /// A builder for the chunk of this number. Errors: settings, names or bins out of bounds.
    pub fn new(plan: &Plan, chunk: u64) -> Result<Self, Invalid> {
        let columns = (0..plan.columns.len()).map(|column| plan.builder(chunk, column));
        Ok(Self { plan_seed: plan.seed, columns: columns.collect::<Result<_, _>>()? })
    }

    /// The builders of the columns, in the order of the plan. Columns may be fed at the same time by many threads.
    pub fn columns(&mut self) -> &mut [ColumnBuilder] {
        &mut self.columns
    }

    /// The chunk's profile. A column that was fed nothing is absent from the chunk.
    /// Errors: columns fed different numbers of rows, names that are not unique, too many columns.
    pub fn finish(self) -> Result<Profile, Invalid> {
        let rows = self.columns.iter().map(ColumnBuilder::rows).max().unwrap_or(0);
        let columns = self.columns.into_iter().map(|column| column.finish(rows)).collect::<Result<_, _>>()?;
        Profile::new(self.plan_seed, rows, columns)
    }
}
