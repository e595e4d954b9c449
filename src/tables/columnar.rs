//! Arrays as Parquet and Arrow IPC have them.

use super::cell::{Cell, feed};
use super::table::column_name;
use crate::drift::collect::{Collector, Slice};
use crate::drift::profile::{Invalid, Kind};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DecimalType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayAccessor, ArrayRef, make_array};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Fields, TimeUnit};

const DAY: i64 = 86_400_000_000;

/// A column that is no struct itself: its name, with those of the structs it lies in, and the way to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Leaf {
    pub name: String,
    pub path: Vec<usize>,
}

/// The columns of a schema, those within structs as `outer.inner`.
pub(super) fn leaves(fields: &Fields) -> Vec<Leaf> {
    let mut found = nested(fields);
    for (place, leaf) in found.iter_mut().enumerate() {
        leaf.name = column_name(&leaf.name, place);
    }
    found
}

fn nested(fields: &Fields) -> Vec<Leaf> {
    let mut found = vec![];
    for (index, field) in fields.iter().enumerate() {
        match field.data_type() {
            DataType::Struct(inner) => found.extend(nested(inner).into_iter().map(|leaf| Leaf {
                name: format!("{}.{}", field.name(), leaf.name),
                path: std::iter::once(index).chain(leaf.path).collect(),
            })),
            _ => found.push(Leaf { name: field.name().clone(), path: vec![index] }),
        }
    }
    found
}

/// The structs that columns lie in, named alike.
pub(super) fn outers(fields: &Fields) -> Vec<Leaf> {
    let mut found = vec![];
    for (index, field) in fields.iter().enumerate() {
        let DataType::Struct(inner) = field.data_type() else { continue };
        found.push(Leaf { name: column_name(field.name(), index), path: vec![index] });
        found.extend(outers(inner).into_iter().map(|outer| Leaf {
            name: column_name(&format!("{}.{}", field.name(), outer.name), index),
            path: std::iter::once(index).chain(outer.path).collect(),
        }));
    }
    found
}

/// The array of a leaf, from that of its outermost struct. `None` if the way does not lead there.
pub(super) fn descend(root: &ArrayRef, path: &[usize]) -> Option<ArrayRef> {
    path.iter().try_fold(root.clone(), |array, index| {
        let outer = array.as_struct_opt()?;
        let inner = outer.columns().get(*index)?;
        // What lies in a struct that is not there is not there either, whatever stands in its place.
        let nulls = NullBuffer::union(outer.nulls(), inner.nulls());
        if nulls.as_ref().map_or(0, NullBuffer::null_count) == inner.null_count() {
            return Some(inner.clone());
        }
        inner.to_data().into_builder().nulls(nulls).build().ok().map(make_array)
    })
}

/// Feeds a column of this kind; what is of another kind has failed.
pub(super) fn feed_array(array: &ArrayRef, kind: Kind, collector: &mut Collector) -> Result<(), Invalid> {
    let fast = match (array.data_type(), kind) {
        (DataType::Float64, Kind::Numeric) if array.null_count() == 0 => {
            return collector.add(Slice::Numbers(array.as_primitive::<Float64Type>().values()));
        }
        (DataType::Float64, Kind::Numeric) => Some(numbers::<Float64Type>(array, |value| value)),
        (DataType::Float32, Kind::Numeric) => Some(numbers::<Float32Type>(array, f64::from)),
        (DataType::Int32, Kind::Numeric) => Some(numbers::<Int32Type>(array, f64::from)),
        (DataType::Int64, Kind::Numeric) => Some(numbers::<Int64Type>(array, |value| value as f64)),
        _ => None,
    };
    let Some(values) = fast else { return feed(cells(array).iter(), kind, collector) };
    collector.add(Slice::Numbers(&values))?;
    collector.add(Slice::Missing(array.null_count() as u64))
}

fn numbers<T: ArrowPrimitiveType>(array: &ArrayRef, number: impl Fn(T::Native) -> f64) -> Vec<f64> {
    array.as_primitive::<T>().iter().flatten().map(number).collect()
}

/// The values of any array, one for each row.
pub(super) fn cells(array: &ArrayRef) -> Vec<Cell<'_>> {
    match array.data_type() {
        DataType::Null => vec![Cell::Missing; array.len()],
        DataType::Boolean => each(array.as_boolean(), Cell::Boolean),
        DataType::Int8 => whole::<Int8Type>(array),
        DataType::Int16 => whole::<Int16Type>(array),
        DataType::Int32 => whole::<Int32Type>(array),
        DataType::Int64 => whole::<Int64Type>(array),
        DataType::UInt8 => whole::<UInt8Type>(array),
        DataType::UInt16 => whole::<UInt16Type>(array),
        DataType::UInt32 => whole::<UInt32Type>(array),
        DataType::UInt64 => each(array.as_primitive::<UInt64Type>(), |value| {
            i64::try_from(value).map_or(Cell::Number(value as f64), Cell::Whole)
        }),
        DataType::Float16 => each(array.as_primitive::<Float16Type>(), |value| Cell::Number(value.to_f64())),
        DataType::Float32 => each(array.as_primitive::<Float32Type>(), |value| Cell::Number(value.into())),
        DataType::Float64 => each(array.as_primitive::<Float64Type>(), Cell::Number),
        DataType::Decimal32(_, _) => decimals::<Decimal32Type>(array),
        DataType::Decimal64(_, _) => decimals::<Decimal64Type>(array),
        DataType::Decimal128(_, _) => decimals::<Decimal128Type>(array),
        DataType::Decimal256(_, _) => decimals::<Decimal256Type>(array),
        DataType::Utf8 => each(array.as_string::<i32>(), |text| Cell::Text(text.into())),
        DataType::LargeUtf8 => each(array.as_string::<i64>(), |text| Cell::Text(text.into())),
        DataType::Utf8View => each(array.as_string_view(), |text| Cell::Text(text.into())),
        DataType::Date32 => each(array.as_primitive::<Date32Type>(), |days| {
            i64::from(days).checked_mul(DAY).map_or(Cell::Other, Cell::Time)
        }),
        DataType::Date64 => times::<Date64Type>(array, |ms| ms.checked_mul(1_000)),
        DataType::Timestamp(TimeUnit::Second, _) => {
            times::<TimestampSecondType>(array, |s| s.checked_mul(1_000_000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            times::<TimestampMillisecondType>(array, |ms| ms.checked_mul(1_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => times::<TimestampMicrosecondType>(array, Some),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            times::<TimestampNanosecondType>(array, |ns| Some(ns.div_euclid(1_000)))
        }
        DataType::Dictionary(_, _) => dictionary(array),
        _ => {
            (0..array.len()).map(|row| if array.is_null(row) { Cell::Missing } else { Cell::Other }).collect()
        }
    }
}

fn each<'a, A: ArrayAccessor>(array: A, cell: impl Fn(A::Item) -> Cell<'a>) -> Vec<Cell<'a>> {
    arrow_array::iterator::ArrayIter::new(array).map(|value| value.map_or(Cell::Missing, &cell)).collect()
}

fn whole<T: ArrowPrimitiveType<Native: Into<i64>>>(array: &ArrayRef) -> Vec<Cell<'_>> {
    each(array.as_primitive::<T>(), |value| Cell::Whole(value.into()))
}

fn times<T: ArrowPrimitiveType<Native = i64>>(
    array: &ArrayRef,
    microseconds: impl Fn(i64) -> Option<i64>,
) -> Vec<Cell<'_>> {
    each(array.as_primitive::<T>(), |value| microseconds(value).map_or(Cell::Other, Cell::Time))
}

fn decimals<T: DecimalType>(array: &ArrayRef) -> Vec<Cell<'_>> {
    let array = array.as_primitive::<T>();
    let number = |row: usize| array.value_as_string(row).parse().map_or(Cell::Other, Cell::Number);
    (0..array.len()).map(|row| if array.is_null(row) { Cell::Missing } else { number(row) }).collect()
}

fn dictionary(array: &ArrayRef) -> Vec<Cell<'_>> {
    let Some(array) = array.as_any_dictionary_opt() else { return vec![Cell::Other; array.len()] };
    if array.values().is_empty() {
        return vec![Cell::Missing; array.len()];
    }
    let values = cells(array.values());
    let keys = array.normalized_keys();
    let value = |row: usize| values.get(keys[row]).cloned().unwrap_or(Cell::Missing);
    (0..keys.len()).map(|row| if array.keys().is_null(row) { Cell::Missing } else { value(row) }).collect()
}
