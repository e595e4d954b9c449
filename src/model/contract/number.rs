//! Exact comparison of JSON numbers, and equality of JSON values as JSON Schema means it (1 equals 1.0).

use serde_json::{Number, Value};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher};

/// The number as an integer, if it is one and fits: 2.0 counts, 2.5 and 1e300 do not.
pub(super) fn integer(number: &Number) -> Option<i128> {
    if let Some(value) = number.as_i64() {
        return Some(value.into());
    }
    if let Some(value) = number.as_u64() {
        return Some(value.into());
    }
    let value = number.as_f64()?;
    // Below 2^100 the conversion is exact for a whole number.
    (value.fract() == 0.0 && value.abs() < 2f64.powi(100)).then_some(value as i128)
}

/// Compares without rounding: two integers as integers, otherwise as floats. A float with a fraction is below
/// 2^52, where rounding a far larger integer cannot change the order.
pub(super) fn compare(a: &Number, b: &Number) -> Option<Ordering> {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare(a, b) == Some(Ordering::Equal),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// A test for being one of `values`, in time that does not grow with how many there are.
pub(super) fn among(values: &[Value]) -> impl Fn(&Value) -> bool {
    let mut table: HashMap<u64, Vec<&Value>> = HashMap::with_capacity(values.len());
    for value in values {
        table.entry(hash(value)).or_default().push(value);
    }
    move |value| table.get(&hash(value)).is_some_and(|found| found.iter().any(|one| equal(one, value)))
}

/// The same for equal values.
fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    match value {
        Value::Number(number) => match integer(number) {
            Some(whole) => whole.hash(&mut hasher),
            None => number.as_f64().map(f64::to_bits).hash(&mut hasher),
        },
        Value::String(text) => text.hash(&mut hasher),
        Value::Array(items) => items.iter().for_each(|item| hasher.write_u64(hash(item))),
        Value::Object(map) => {
            let member = |(key, value): (&String, &Value)| {
                let mut hasher = DefaultHasher::new();
                (key, hash(value)).hash(&mut hasher);
                hasher.finish()
            };
            hasher.write_u64(map.iter().map(member).fold(0, |all, one| all ^ one));
        }
        Value::Bool(value) => value.hash(&mut hasher),
        Value::Null => {}
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn integers_beyond_floats_are_told_apart() {
        assert!(equal(&json!(1), &json!(1.0)) && equal(&json!([{"a": 2.0}]), &json!([{"a": 2}])));
        assert!(!equal(&json!(9_007_199_254_740_993_u64), &json!(9_007_199_254_740_992.0)));
        assert!(!equal(&json!(u64::MAX), &json!(u64::MAX - 1)));
        assert!(!equal(&json!({"a": 1}), &json!({"b": 1})));
        let values =
            [json!(1), json!(0.5), json!("1"), json!([{"a": 2, "b": null}]), json!(true), json!(1e300)];
        let known = among(&values);
        let mut same =
            [json!(1.0), json!(0.5), json!("1"), json!([{"b": null, "a": 2.0}]), json!(true), json!(1e300)];
        assert!(same.iter().all(&known));
        same[3] = json!([{"b": null}]);
        assert!(!known(&same[3]) && !known(&json!(null)) && !known(&json!(2)));
        let order = |a: Value, b: Value| compare(a.as_number().unwrap(), b.as_number().unwrap());
        assert_eq!(order(json!(0.5), json!(1)), Some(Ordering::Less));
        assert_eq!(order(json!(1e300), json!(u64::MAX)), Some(Ordering::Greater));
        assert_eq!(order(json!(-1), json!(i64::MIN)), Some(Ordering::Greater));
    }
}
