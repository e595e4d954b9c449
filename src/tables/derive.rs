//! Columns that are computed from others while a table is read.

use super::cell::{Cell, feed};
use super::nested::Text;
use super::table::Values;
use crate::drift::collect::Collector;
use crate::drift::profile::{Invalid, Kind};
use crate::drift::signals::{self, Derived, Value};
use std::collections::BTreeMap;

/// Columns to compute, by their names.
pub type Derivations = BTreeMap<String, Derived>;

/// Feeds what signals say of the texts of one column: each text is read once for all of them. Without a text there is no
/// value, and of one that cannot be read none of the column's kind.
pub(super) fn feed_derived(
    source: &Values<'_>,
    columns: &mut [(&Derived, Kind, &mut Collector)],
) -> Result<(), Invalid> {
    if matches!(source, Values::Absent) || columns.is_empty() {
        return Ok(());
    }
    let mut said: Vec<Vec<Cell<'static>>> = columns.iter().map(|_| vec![]).collect();
    source.each_text(|text| match text {
        Text::Missing => said.iter_mut().for_each(|said| said.push(Cell::Missing)),
        Text::Unreadable => said.iter_mut().for_each(|said| said.push(Cell::Other)),
        Text::There(text) => {
            let text = signals::Text::new(&text);
            for (said, (derived, ..)) in said.iter_mut().zip(&*columns) {
                said.push(cell(derived.signal.of(&text)));
            }
        }
    });
    for ((_, kind, collector), said) in columns.iter_mut().zip(&said) {
        feed(said.iter(), *kind, collector)?;
    }
    Ok(())
}

fn cell(value: Value) -> Cell<'static> {
    match value {
        Value::Missing => Cell::Missing,
        Value::Number(value) => Cell::Number(value),
        Value::Boolean(value) => Cell::Boolean(value),
        Value::Label(text) => Cell::Text(text),
        Value::Other => Cell::Other,
    }
}
