//! What kind of values a column has.

use super::Table;
use super::cell::Cell;
use crate::drift::profile::Kind;
use crate::error::Result;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// Rows that are looked at.
pub const LOOKED_AT: u64 = 10_000;
/// Whole numbers or texts of at most so many different values are categories.
const FEW: usize = 10;

/// Whose rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// Looks at the first 10,000 rows. What at least nine of ten values are decides, in this order: truth values;
    /// numbers, which are categories if they are whole and at most ten different ones; times; texts, which are categories
    /// if at most ten different ones or half as many as there are values. Text of a format without types is taken for what
    /// it reads as.
    Own,
    /// Looks at all rows, of which each must be of one type. Whole numbers are categories if at most ten different ones and none is missing, and texts if at most half as many as
    /// there are values; text is never a time. Source: `infer_column_type` of Evidently 0.7.
    Evidently,
}

/// What a column looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inferred {
    /// Absent: it has no values, or such as no kind takes.
    pub kind: Option<Kind>,
    /// Its numbers are whole by their type, as pandas reads them: no other was seen, and none was missing.
    pub is_whole: bool,
}

/// What each column of a table looks like, in its order. Errors: the table cannot be read.
pub fn infer(table: &Table, rules: Rules) -> Result<Vec<Inferred>> {
    let names: Vec<&str> = table.names().iter().map(String::as_str).collect();
    // Columns that can be read alone are, which keeps little in memory.
    let at_once = if table.is_columnar() { 1 } else { names.len().max(1) };
    let kinds = names.chunks(at_once).map(|names| infer_some(table, names, rules));
    Ok(kinds.collect::<Result<Vec<_>>>()?.concat())
}

/// The same of the columns of these names.
pub fn infer_some(table: &Table, names: &[&str], rules: Rules) -> Result<Vec<Inferred>> {
    let mut seen: Vec<Seen> = names.iter().map(|_| Seen::default()).collect();
    let hasher = RandomState::new();
    let mut chunks = table.chunks();
    let mut rows = 0;
    let most = if rules == Rules::Own { LOOKED_AT } else { u64::MAX };
    while rows < most
        && let Some(chunk) = chunks.next()?
    {
        chunk.read(names, &mut |count, values| {
            if rows < most {
                for (seen, values) in seen.iter_mut().zip(values) {
                    values.each(|cell| seen.add(cell, rules, &hasher));
                }
                rows += count;
            }
            Ok(())
        })?;
    }
    let inferred = seen.iter().zip(names).map(|(seen, name)| Inferred {
        kind: match seen.kind(rules) {
            // To the other rules, numbers are numbers also where pandas says that they are categories.
            Some(Kind::Numeric | Kind::Boolean | Kind::Time) if rules == Rules::Evidently => seen.kind(rules),
            _ if table.is_categorical(name) => Some(Kind::Categorical),
            kind => kind,
        },
        is_whole: seen.numbers == 0 && seen.missing == 0,
    });
    Ok(inferred.collect())
}

/// How many values of a column were what.
#[derive(Default)]
struct Seen {
    booleans: u64,
    whole: u64,
    numbers: u64,
    times: u64,
    texts: u64,
    others: u64,
    missing: u64,
    different: HashSet<u64>,
}

impl Seen {
    fn add(&mut self, cell: &Cell<'_>, rules: Rules, hasher: &RandomState) {
        let count = match cell {
            Cell::Missing => {
                self.missing += 1;
                return;
            }
            Cell::Boolean(_) => &mut self.booleans,
            Cell::Whole(_) => &mut self.whole,
            Cell::Number(_) => &mut self.numbers,
            Cell::Time(_) => &mut self.times,
            Cell::Text(_) => &mut self.texts,
            Cell::Other | Cell::Nested(_) => &mut self.others,
            Cell::Untyped(text) if cell.boolean().is_some() && text.len() > 1 => &mut self.booleans,
            Cell::Untyped(text) if text.trim().parse::<i64>().is_ok() => &mut self.whole,
            Cell::Untyped(_) if cell.number().is_some() => &mut self.numbers,
            Cell::Untyped(_) if rules == Rules::Own && cell.time().is_some() => &mut self.times,
            Cell::Untyped(_) => &mut self.texts,
        };
        *count += 1;
        if let Some(label) = cell.label() {
            self.different.insert(hasher.hash_one(label));
        }
    }

    fn kind(&self, rules: Rules) -> Option<Kind> {
        let Self { booleans, whole, numbers, times, texts, others, .. } = *self;
        let values = booleans + whole + numbers + times + texts + others;
        // To the other rules a column is of one type as a whole.
        let most = if rules == Rules::Own { 0.9 } else { 1.0 };
        let is_most = |count: u64| values > 0 && count as f64 >= most * values as f64;
        let few = self.different.len() <= FEW;
        let at_most_half = 2 * self.different.len() as u64 <= values;
        if is_most(booleans) {
            Some(Kind::Boolean)
        } else if is_most(whole) && few && (rules == Rules::Own || self.missing == 0) {
            Some(Kind::Categorical)
        } else if is_most(whole + numbers) {
            Some(Kind::Numeric)
        } else if is_most(times) {
            Some(Kind::Time)
        } else if others * 10 > values || values == 0 {
            None
        } else if at_most_half || (few && rules == Rules::Own) {
            Some(Kind::Categorical)
        } else {
            Some(Kind::Text)
        }
    }
}
