//! Values as JSON, of lists and objects as well.

use super::cell::Cell;
use super::columnar::cells;
use super::table::Values;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Lists within each other that are looked into.
const MAX_DEPTH: usize = 64;

/// A value as a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Text<'a> {
    Missing,
    There(Cow<'a, str>),
    /// It cannot be read.
    Unreadable,
}

impl Values<'_> {
    /// Each value as a text: a list or an object as JSON, everything else as a category is named.
    pub fn each_text(&self, mut look: impl FnMut(Text<'_>)) {
        match self {
            Self::Array(array) if is_nested(array.data_type()) => {
                for row in 0..array.len() {
                    look(match json(array, row, 0) {
                        Value::Null => Text::Missing,
                        value => Text::There(value.to_string().into()),
                    });
                }
            }
            _ => self.each(|cell| look(text(cell))),
        }
    }

    /// One value as JSON; a text is taken for JSON if it is some.
    pub fn json(&self, row: usize) -> Value {
        match self {
            Self::Absent => Value::Null,
            Self::Array(array) => parsed(json(array, row, 0)),
            Self::Cells(cells) => parsed(cells.get(row).map_or(Value::Null, value)),
        }
    }

    /// Whether there is a value.
    pub fn is_there(&self, row: usize) -> bool {
        match self {
            Self::Absent => false,
            Self::Array(array) => row < array.len() && !array.is_null(row),
            Self::Cells(cells) => cells.get(row).is_some_and(|cell| *cell != Cell::Missing),
        }
    }
}

fn parsed(value: Value) -> Value {
    match &value {
        Value::String(text) => serde_json::from_str(text).unwrap_or(value),
        _ => value,
    }
}

fn text<'a>(cell: &'a Cell<'_>) -> Text<'a> {
    match cell {
        Cell::Missing => Text::Missing,
        Cell::Nested(value) => Text::There(value.to_string().into()),
        Cell::Untyped(text) => Text::There((*text).into()),
        _ => cell.label().map_or(Text::Unreadable, Text::There),
    }
}

fn value(cell: &Cell<'_>) -> Value {
    match cell {
        Cell::Whole(value) => Value::from(*value),
        // Not a number and infinities are nothing in JSON.
        Cell::Number(value) => Value::from(*value),
        Cell::Boolean(value) => Value::from(*value),
        Cell::Nested(value) => (*value).clone(),
        _ => cell.label().map_or(Value::Null, |label| Value::from(label.into_owned())),
    }
}

fn is_nested(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(_, _)
            | DataType::Struct(_)
            | DataType::Map(_, _)
    )
}

/// The value of a row of any array.
fn json(array: &ArrayRef, row: usize, depth: usize) -> Value {
    if row >= array.len() || array.is_null(row) || depth > MAX_DEPTH {
        return Value::Null;
    }
    let list = |values: ArrayRef| match is_nested(values.data_type()) {
        true => (0..values.len()).map(|row| json(&values, row, depth + 1)).collect(),
        false => cells(&values).iter().map(value).collect(),
    };
    match array.data_type() {
        DataType::List(_) => list(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(_, _) => list(array.as_fixed_size_list().value(row)),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let member = |(field, column): (&arrow_schema::FieldRef, &ArrayRef)| {
                (field.name().clone(), json(column, row, depth + 1))
            };
            Value::Object(fields.iter().zip(columns).map(member).collect())
        }
        DataType::Map(_, _) => {
            let entries: ArrayRef = std::sync::Arc::new(array.as_map().value(row));
            let columns = entries.as_struct().columns();
            let [keys, values] = columns else { return Value::Null };
            let member = |(row, key): (usize, &Cell<'_>)| {
                let key = key.label().map_or(String::new(), Cow::into_owned);
                (key, json(values, row, depth + 1))
            };
            Value::Object(cells(keys).iter().enumerate().map(member).collect::<Map<_, _>>())
        }
        _ => cells(&array.slice(row, 1)).first().map_or(Value::Null, value),
    }
}
