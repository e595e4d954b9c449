//! Feeding a profile.

use super::{ColumnBuilder, Invalid, Plan, Profile};

/// Collects the profile of one chunk of a table.
#[derive(Debug)]
pub struct ProfileBuilder {
    plan_seed: super::Seed,
    columns: Vec<ColumnBuilder>,
}

impl ProfileBuilder {
    /// A builder for the chunk of this number. The number makes the coins of each chunk its own; cut a table into
    /// the same chunks again and the profile is the same, whoever built which chunk.
    /// Errors: settings, names or bins out of bounds.
    pub fn new(plan: &Plan, chunk: u64) -> Result<Self, Invalid> {
        let seed = plan.seed.part(chunk);
        let columns = plan.columns.iter().enumerate();
        let columns =
            columns.map(|(i, column)| ColumnBuilder::new(column, seed.part(i as u64), &plan.settings));
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
