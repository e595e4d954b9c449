//! Whether a column holds what its name says.

use super::super::side::Source;
use crate::drift::profile::Kind;
use crate::drift::signals::{Role, Roles};
use crate::error::Result;
use crate::tables::Cell;
use std::collections::BTreeMap;

/// Rows that are looked at.
const LOOKED_AT: u64 = 1_000;

/// Columns whose values do not fit the role that was guessed by their names, by the first side that has them; with the
/// role. What has no values fits. Errors: a table cannot be read.
pub(super) fn misfits(
    roles: &Roles,
    given: &[(&str, Option<Role>)],
    sources: &[&Source],
) -> Result<Vec<(String, Role)>> {
    let is_guessed = |name: &str| given.iter().all(|(column, _)| *column != name);
    let mut open: Vec<&(String, Role)> = roles.columns.iter().filter(|(name, _)| is_guessed(name)).collect();
    let mut misfits = vec![];
    for source in sources {
        let here: Vec<&(String, Role)> = match source.as_profile() {
            // What it lacks may be a text that its columns were derived from.
            Some(profile) => {
                open.iter().filter(|(name, _)| profile.column(name).is_some()).copied().collect()
            }
            None => {
                let columns = source.columns();
                open.iter().filter(|(name, _)| columns.contains(name)).copied().collect()
            }
        };
        open.retain(|column| !here.contains(column));
        let names: Vec<&str> = here.iter().map(|(name, _)| name.as_str()).collect();
        let seen = seen(source, &names)?;
        let fits = |(name, role): &&(String, Role)| match source.as_profile() {
            Some(profile) => profile.column(name).is_none_or(|column| {
                role.kind().map_or(profile.derivations().is_empty(), |kind| {
                    kind == Kind::Categorical || kind == column.kind()
                })
            }),
            None => seen.get(name.as_str()).is_none_or(|seen| seen.fits(*role)),
        };
        misfits.extend(here.into_iter().filter(|column| !fits(column)).cloned());
    }
    Ok(misfits)
}

fn seen<'n>(source: &Source, names: &[&'n str]) -> Result<BTreeMap<&'n str, Seen>> {
    let mut seen: BTreeMap<&str, Seen> = BTreeMap::new();
    source.first_cells(names, LOOKED_AT, &mut |index, cell| {
        if let Some(name) = names.get(index) {
            seen.entry(name).or_default().add(cell);
        }
    })?;
    Ok(seen)
}

/// How many values were what.
#[derive(Default)]
struct Seen {
    values: u64,
    numbers: u64,
    booleans: u64,
    /// And lists and objects.
    texts: u64,
}

impl Seen {
    fn add(&mut self, cell: &Cell<'_>) {
        let is_number = || cell.number().is_some();
        self.values += u64::from(*cell != Cell::Missing);
        self.booleans += u64::from(cell.boolean().is_some());
        self.numbers += u64::from(!matches!(cell, Cell::Boolean(_)) && is_number());
        self.texts += u64::from(match cell {
            Cell::Text(_) | Cell::Nested(_) | Cell::Other => true,
            // Of a format without types.
            Cell::Untyped(_) => !is_number(),
            _ => false,
        });
    }

    fn fits(&self, role: Role) -> bool {
        let is_most = |count: u64| count as f64 >= 0.9 * self.values as f64;
        match (role, role.kind()) {
            (Role::Win, _) | (_, Some(Kind::Categorical)) => true,
            (_, Some(Kind::Boolean)) => is_most(self.booleans),
            (_, Some(_)) => is_most(self.numbers),
            // Answers may be of many kinds.
            (_, None) => 2 * self.texts >= self.values,
        }
    }
}
