//! What is to be known to measure performance.

use super::super::side::Source;
use crate::drift::performance::{MAX_CLASSES, Task};
use crate::error::{Error, Result};
use crate::tables::Cell;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The longest name of a class.
const CLASS_MAX: usize = 200;

/// Which columns hold answers and what they should have been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Performance {
    /// Without it, what the target looks like: numbers with fractions, or of more than ten kinds, are regression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// What should have been answered. Labels that come later have a column of this name too.
    pub target: String,
    /// What was answered.
    pub prediction: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<Probability>,
    /// Of two classes the one that the probability is of; without it, 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
    /// By which labels that come later find their rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A column with the probability of the positive class, or one for each class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Probability {
    One(String),
    Each(BTreeMap<String, String>),
}

impl Performance {
    /// Columns whose values a report names.
    pub(in super::super) fn told(&self) -> Vec<&String> {
        let probabilities: Vec<&String> = match &self.probability {
            None => vec![],
            Some(Probability::One(column)) => vec![column],
            Some(Probability::Each(each)) => each.values().collect(),
        };
        [&self.target, &self.prediction].into_iter().chain(probabilities).collect()
    }

    /// Classes with the columns of their probabilities, by class. Of two classes the positive one is enough.
    /// Errors: it contradicts itself.
    pub(super) fn probabilities(&self) -> Result<Vec<(String, String)>> {
        let wrong = |why: String| Err(Error::invalid("performance_probability", why));
        let positive = self.positive.as_ref().map(|name| class_of_text(name).into_owned());
        let each = match &self.probability {
            None if positive.is_some() => {
                return wrong("a positive class is that of a probability".to_owned());
            }
            None => return Ok(vec![]),
            Some(Probability::One(column)) => {
                return Ok(vec![(positive.unwrap_or_else(|| "1".to_owned()), column.clone())]);
            }
            Some(Probability::Each(each)) => each,
        };
        let named = each.iter().map(|(class, column)| (class_of_text(class).into_owned(), column.clone()));
        let mut classes: Vec<(String, String)> = named.collect::<BTreeMap<_, _>>().into_iter().collect();
        if classes.is_empty() || classes.len() < each.len() || classes.len() > MAX_CLASSES {
            return wrong(format!("probabilities of 1 to {MAX_CLASSES} different classes"));
        }
        if classes.len() > 2 && positive.is_some() {
            return wrong("of more than two classes none is the positive one".to_owned());
        }
        if classes.len() == 2 {
            let positive = positive.unwrap_or_else(|| classes[1].0.clone());
            classes.retain(|(class, _)| *class == positive);
        } else if positive.as_ref().is_some_and(|positive| classes.iter().all(|(class, _)| class != positive))
        {
            classes.clear();
        }
        if classes.is_empty() {
            return wrong("there is no probability of the positive class".to_owned());
        }
        Ok(classes)
    }

    /// Refuses names of columns that are nowhere: they are a mistake. Of a target nobody may have heard yet but a profile.
    pub(super) fn check_names(&self, sources: &[Option<&Source>]) -> Result<()> {
        let sources = || sources.iter().copied().flatten();
        let known: BTreeSet<&str> = sources().flat_map(Source::names).collect();
        let is_told = sources().any(|source| source.as_profile().is_some());
        let columns = match &self.probability {
            None => vec![],
            Some(Probability::One(column)) => vec![column],
            Some(Probability::Each(each)) => each.values().collect(),
        };
        let target = Some(&self.target).filter(|_| !is_told);
        let asked = columns.into_iter().chain([&self.prediction]).chain(target).chain(&self.id);
        let unknown: Vec<&str> = asked.map(String::as_str).filter(|name| !known.contains(name)).collect();
        // Files without any row may have no columns at all.
        if unknown.is_empty() || known.is_empty() {
            return Ok(());
        }
        let some: Vec<&str> = known.iter().take(10).copied().collect();
        Err(Error::invalid("drift_column", format!("no side has a column {}", unknown.join(", "))).hint(
            format!("there are {}{}", some.join(", "), if known.len() > 10 { " and more" } else { "" }),
        ))
    }
}

/// The class that a value stands for, whatever its type: 1, "1", 1.0 and true are one class. `None` of what is none.
pub(super) fn class<'a>(cell: &'a Cell<'_>) -> Option<Cow<'a, str>> {
    if let Some(value) = cell.boolean() {
        return Some(if value { "1" } else { "0" }.into());
    }
    match cell {
        Cell::Text(text) => Some(class_of_text(text)),
        Cell::Untyped(text) => Some(class_of_text(text)),
        Cell::Number(value) if value.is_nan() => None,
        Cell::Number(value) => Some(decimal(*value)),
        _ => cell.label(),
    }
    .filter(|class| !class.is_empty() && class.len() <= CLASS_MAX)
}

fn class_of_text(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    match text {
        "true" | "True" | "TRUE" => "1".into(),
        "false" | "False" | "FALSE" => "0".into(),
        _ if is_decimal(text) => text.parse().map_or(text.into(), decimal),
        _ => text.into(),
    }
}

/// Digits around a dot: a number that other formats write without the last zeros.
fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let dots = digits.bytes().filter(|byte| *byte == b'.').count();
    dots == 1 && digits.len() > 1 && digits.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit())
}

/// A number as text, the same for 0 and -0.
fn decimal<'a>(value: f64) -> Cow<'a, str> {
    (value + 0.0).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_class_has_many_spellings() {
        let cells = [
            Cell::Whole(1),
            Cell::Number(1.0),
            Cell::Boolean(true),
            Cell::Text("1".into()),
            Cell::Text(" 1.0".into()),
            Cell::Untyped("True"),
            Cell::Untyped("1.0"),
        ];
        assert!(cells.iter().all(|cell| class(cell).as_deref() == Some("1")));
        for (text, expected) in [
            ("01", "01"),
            ("1.5", "1.5"),
            ("yes", "yes"),
            ("v1.0.", "v1.0."),
            ("0.50", "0.5"),
            ("+.50", "0.5"),
            ("-0.0", "0"),
            ("1.2.0", "1.2.0"),
            ("1e.0", "1e.0"),
            (".", "."),
        ] {
            assert_eq!(class(&Cell::Untyped(text)).as_deref(), Some(expected));
        }
        for (number, expected) in [(0.5, Some("0.5")), (-0.0, Some("0")), (f64::NAN, None)] {
            assert_eq!(class(&Cell::Number(number)).as_deref(), expected);
        }
        assert_eq!((class(&Cell::Missing), class(&Cell::Other)), (None, None));
        assert_eq!(class(&Cell::Text("x".repeat(201).into())), None);
    }

    #[test]
    fn probabilities_that_contradict_themselves_are_refused() {
        let asked = |probability: Option<Probability>, positive: Option<&str>| {
            let performance = Performance {
                task: None,
                target: "y".to_owned(),
                prediction: "p".to_owned(),
                probability,
                positive: positive.map(str::to_owned),
                id: None,
            };
            performance.probabilities().map_err(|error| error.code)
        };
        let each = |names: &[&str]| {
            Some(Probability::Each(
                names.iter().map(|name| ((*name).to_owned(), format!("p_{name}"))).collect(),
            ))
        };
        let pair = |class: &str, column: &str| vec![(class.to_owned(), column.to_owned())];
        let one = || Some(Probability::One("s".to_owned()));
        assert_eq!(asked(one(), None), Ok(pair("1", "s")));
        assert_eq!(asked(one(), Some("true")), Ok(pair("1", "s")));
        assert_eq!(asked(each(&["no", "yes"]), None), Ok(pair("yes", "p_yes")));
        assert_eq!(asked(each(&["no", "yes"]), Some("no")), Ok(pair("no", "p_no")));
        assert_eq!(asked(each(&["a", "b", "c"]), None).map(|all| all.len()), Ok(3));
        for (probability, positive) in [
            (None, Some("1")),
            (each(&[]), None),
            (each(&["a", "b"]), Some("c")),
            (each(&["a", "b", "c"]), Some("a")),
            (each(&["1", "1.0"]), None),
        ] {
            assert_eq!(asked(probability, positive), Err("performance_probability"));
        }
    }
}
