//! Walking through a few columns, row by row in their order.

use super::Table;
use super::cell::Cell;
use super::nested::Text;
use super::table::Values;
use crate::drift::compare::Vectors;
use crate::error::Result;
use serde_json::Value;
use std::collections::BTreeMap;

/// Shows all rows, with a value for each of the columns; one that there is none of is missing. Errors: the table cannot be
/// read.
pub fn each_row(table: &Table, names: &[&str], look: &mut dyn FnMut(u64, &[Cell<'_>])) -> Result<()> {
    let mut row = 0;
    each_batch(table, names, &mut |count, values| {
        let columns: Vec<Vec<Cell<'_>>> = values.iter().map(Values::cells).collect();
        for index in 0..count as usize {
            let cells = columns.iter().map(|column| column.get(index).cloned().unwrap_or(Cell::Missing));
            look(row + index as u64, &cells.collect::<Vec<_>>());
        }
        row += count;
        Ok(true)
    })
}

/// Shows the values of the first rows, each with the place of its column. Errors: the table cannot be read.
pub fn first_cells(
    table: &Table,
    names: &[&str],
    most: u64,
    look: &mut dyn FnMut(usize, &Cell<'_>),
) -> Result<()> {
    let mut rows = 0;
    each_batch(table, names, &mut |count, values| {
        for (place, values) in values.iter().enumerate() {
            values.each(|cell| look(place, cell));
        }
        rows += count;
        Ok(rows < most)
    })
}

/// The first texts of a column, not much more than so many bytes of them. Errors: the table cannot be read.
pub fn texts(table: &Table, name: &str, most: usize, bytes: usize) -> Result<Vec<String>> {
    let (mut texts, mut length) = (vec![], 0);
    each_batch(table, &[name], &mut |_, values| {
        values.iter().for_each(|values| {
            values.each_text(|text| match text {
                Text::There(text) if texts.len() < most && length < bytes => {
                    length += text.len();
                    texts.push(text.into_owned());
                }
                _ => {}
            });
        });
        Ok(texts.len() < most && length < bytes)
    })?;
    Ok(texts)
}

/// At most so many of a column's vectors, each choice of rows equally likely: those whose numbers are the lowest by
/// `priority`, a random number for each row. Errors: the table cannot be read.
pub fn vectors(table: &Table, name: &str, most: usize, priority: impl Fn(u64) -> u64) -> Result<Vectors> {
    let mut found = Vectors::default();
    let mut chosen: BTreeMap<(u64, u64), Value> = BTreeMap::new();
    each_batch(table, &[name], &mut |count, values| {
        for index in 0..count as usize {
            let row = found.rows + index as u64;
            let Some(values) = values.first().filter(|values| values.is_there(index)) else {
                found.missing += 1;
                continue;
            };
            let key = (priority(row), row);
            // Only what is chosen is read.
            if chosen.len() < most || chosen.last_key_value().is_some_and(|(last, _)| key < *last) {
                chosen.insert(key, values.json(index));
                if chosen.len() > most {
                    chosen.pop_last();
                }
            }
        }
        found.rows += count;
        Ok(true)
    })?;
    let mut chosen: Vec<(u64, Value)> = chosen.into_iter().map(|((_, row), value)| (row, value)).collect();
    chosen.sort_by_key(|(row, _)| *row);
    for (_, value) in chosen {
        match vector(&value) {
            Some(vector) => found.drawn.push(vector),
            None => found.failed += 1,
        }
    }
    Ok(found)
}

fn vector(value: &Value) -> Option<Vec<f32>> {
    let number = |value: &Value| value.as_f64().map(|value| value as f32).filter(|value| value.is_finite());
    let vector: Vec<f32> = value.as_array()?.iter().map(number).collect::<Option<_>>()?;
    Some(vector).filter(|vector| !vector.is_empty())
}

/// Until `look` has seen enough.
fn each_batch(
    table: &Table,
    names: &[&str],
    look: &mut dyn FnMut(u64, &[Values<'_>]) -> Result<bool>,
) -> Result<()> {
    let mut chunks = table.chunks();
    let mut goes_on = true;
    while goes_on && let Some(chunk) = chunks.next()? {
        chunk.read(names, &mut |count, values| {
            goes_on = goes_on && look(count, values)?;
            Ok(())
        })?;
    }
    Ok(())
}
