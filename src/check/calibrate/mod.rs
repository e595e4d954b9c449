//! What a check of so many rows would say of data that did not change, and what it would find.
//!
//! Windows are drawn from the reference itself and compared with the rest of it: how often that is called drift is what
//! the rule costs, whatever the data are like. Then the windows are changed by more and more, until four of five are found.
//! Columns are drawn apart from each other.

use super::request::Request;
use super::run::look;
use super::side::Source;
use crate::drift::compare::{Categories, Column, Run, Side, Test, Values, Verdict};
use crate::drift::statistics::random::SplitMix;
use crate::drift::statistics::two_proportion::wilson;
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rows of the reference that windows are drawn from, at most.
const ROWS_MAX: u64 = 50_000;
/// Windows for each size of a change.
const TRIES: u64 = 60;
const POWER: f64 = 0.8;
/// Steps of halving between no change and the largest that is tried.
const HALVINGS: usize = 7;

/// What is to be found out.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// Rows of a window.
    pub rows: u64,
    /// How many are drawn.
    pub count: u64,
    pub runs_per_month: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    pub reference_rows: u64,
    pub window_rows: u64,
    pub windows: u64,
    /// The share of windows without any change that were called drift, and its interval of confidence 0.95.
    pub false_alarms: f64,
    pub interval: [f64; 2],
    pub false_alarms_per_month: f64,
    /// The largest alpha that would have given at most one false alarm in three months. Absent if these windows are too few
    /// to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha_for_one_a_quarter: Option<f64>,
    pub columns: Vec<ColumnCalibration>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnCalibration {
    pub column: String,
    /// The share of windows in which this column was called drift.
    pub false_alarms: f64,
    /// The smallest change found with power 0.8 in a run of this column alone. Absent: not even the largest tried is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smallest_change: Option<f64>,
    /// What a change is: `standard deviations` that numbers are moved by, or `share of rows` that go from the largest
    /// category to the next.
    pub unit: String,
}

/// Errors: windows larger than half the reference, too few of them, or what reading gave.
pub fn calibrate(source: &Source, request: &Request, windows: Windows) -> Result<Calibration> {
    request.rules.check().map_err(|error| Error::invalid("drift_options", error.to_string()))?;
    let is_rate = windows.runs_per_month > 0.0 && windows.runs_per_month.is_finite();
    if !(20..=100_000).contains(&windows.count) || windows.rows == 0 || !is_rate {
        return Err(Error::invalid("calibration_windows", "these numbers of windows cannot be")
            .hint("at least one row, 20 to 100,000 windows, and some runs a month"));
    }
    let looked = look([source], request)?;
    let loaded = source.load(&looked, request)?;
    if windows.rows > loaded.rows.min(ROWS_MAX) / 2 {
        let message = format!("windows of {} rows cannot be drawn from {} rows", windows.rows, loaded.rows);
        return Err(Error::invalid("calibration_windows", message)
            .hint(format!("windows of at most half the reference, and at most {} rows", ROWS_MAX / 2)));
    }
    let mut random = SplitMix(source.seed().0);
    let mut pools = vec![];
    let names = source.names();
    let derived = looked.watch.derivations.keys().map(String::as_str).filter(|name| !names.contains(name));
    for name in names.iter().copied().chain(derived) {
        if let Some(column) = loaded.column(name)?.filter(|_| looked.kinds.contains_key(name)) {
            pools.push(Pool::new(&column, &mut random));
        }
    }
    let (runs, alphas) = draw(&pools, request, windows, &mut random)?;
    let alarms = runs.iter().filter(|run| run.verdict == Verdict::Drift).count() as f64;
    let share = alarms / windows.count as f64;
    let (low, high) = wilson(share, windows.count as f64, 1.96);
    let columns = pools.iter().map(|pool| {
        let is_drift = |run: &&Run| {
            run.columns.iter().any(|column| column.column == pool.name && column.verdict == Verdict::Drift)
        };
        Ok(ColumnCalibration {
            column: pool.name.clone(),
            false_alarms: runs.iter().filter(is_drift).count() as f64 / windows.count as f64,
            smallest_change: pool.smallest_change(request, windows.rows, &mut random)?,
            unit: pool.unit().to_owned(),
        })
    });
    Ok(Calibration {
        reference_rows: loaded.rows,
        window_rows: windows.rows,
        windows: windows.count,
        false_alarms: share,
        interval: [low, high],
        false_alarms_per_month: share * windows.runs_per_month,
        columns: columns.collect::<Result<_>>()?,
        alpha_for_one_a_quarter: alpha_for(alphas, 1.0 / (3.0 * windows.runs_per_month)),
    })
}

/// Compares windows without any change; of each the smallest alpha by which it would be drift.
fn draw(
    pools: &[Pool],
    request: &Request,
    windows: Windows,
    random: &mut SplitMix,
) -> Result<(Vec<Run>, Vec<f64>)> {
    let mut runs = vec![];
    for _ in 0..windows.count {
        let (reference, current) =
            pools.iter().map(|pool| pool.split(windows.rows, 0.0, random)).unzip::<_, _, Vec<_>, Vec<_>>();
        let mut run = compared(reference, current, request)?;
        // The counts and bins are not looked at.
        run.columns.iter_mut().flat_map(|column| &mut column.tests).for_each(|test| test.cells.clear());
        runs.push(run);
    }
    let is_large = |test: &&Test| test.effect.as_ref().is_some_and(|effect| effect.value >= effect.floor);
    let smallest = |run: &Run| {
        let tests = run.columns.iter().flat_map(|column| &column.tests).filter(is_large);
        tests.filter_map(|test| test.q_value).fold(1.0, f64::min)
    };
    let alphas = runs.iter().map(smallest).collect();
    Ok((runs, alphas))
}

/// The largest alpha at which at most this share of windows is drift.
fn alpha_for(mut alphas: Vec<f64>, share: f64) -> Option<f64> {
    alphas.sort_by(f64::total_cmp);
    let allowed = (share * alphas.len() as f64).floor() as usize;
    // With none allowed the windows are too few to say.
    let first_too_many = *alphas.get(allowed).filter(|_| allowed > 0)?;
    Some((first_too_many * 0.99).min(0.5)).filter(|alpha| *alpha > 0.0)
}

fn compared(reference: Vec<Column>, current: Vec<Column>, request: &Request) -> Result<Run> {
    let side = |columns: Vec<Column>| Side { rows: columns.first().map_or(0, |column| column.rows), columns };
    let run = request.rules.compare(&side(reference), &side(current), &[]);
    run.map_err(|error| Error::invalid("drift_options", error.to_string()))
}

/// A column that windows are drawn from.
struct Pool {
    name: String,
    /// Of a column like it.
    like: Values,
    rows: Vec<Row>,
    /// Of its numbers.
    deviation: f64,
    /// The largest category, its share of the rows, and the next.
    largest: Option<(u32, f64, u32)>,
    labels: Vec<String>,
}

#[derive(Clone, Copy)]
enum Row {
    Number(f64),
    Label(u32),
    Missing,
    Failed,
}

impl Pool {
    fn new(column: &Column, random: &mut SplitMix) -> Self {
        let (mut rows, mut labels, mut deviation, mut largest) = (vec![], vec![], 0.0, None);
        match &column.values {
            Values::Numeric(sample) | Values::Time(sample) | Values::Text { lengths: sample, .. } => {
                deviation = sample.ecdf.variance().unwrap_or(0.0).sqrt();
                let ranks = some(random, sample.ecdf.len(), ROWS_MAX);
                rows.extend(ranks.into_iter().filter_map(|rank| sample.ecdf.at_rank(rank)).map(Row::Number));
            }
            Values::Categorical(categories) | Values::Boolean(categories) => {
                let mut order: Vec<(u64, u32)> = vec![];
                let scale = (ROWS_MAX as f64 / categories.total.max(1) as f64).min(1.0);
                for (label, count) in &categories.counts {
                    let index = labels.len() as u32;
                    labels.push(label.clone());
                    order.push((*count, index));
                    rows.extend((0..(*count as f64 * scale).round() as u64).map(|_| Row::Label(index)));
                }
                order.sort_unstable_by(|a, b| b.cmp(a));
                let share = |count: u64| count as f64 / column.rows.max(1) as f64;
                let pair = order.first().zip(order.get(1));
                largest = pair.map(|(first, second)| (first.1, share(first.0), second.1));
            }
        }
        let scale = rows.len() as f64 / column.values.finite().max(1) as f64;
        let scale = if rows.is_empty() { 1.0 } else { scale };
        let others = |count: u64| ((count as f64 * scale).round() as u64).min(ROWS_MAX);
        rows.extend((0..others(column.missing)).map(|_| Row::Missing));
        rows.extend((0..others(column.failed)).map(|_| Row::Failed));
        Self { name: column.name.clone(), like: column.values.clone(), rows, deviation, largest, labels }
    }

    fn unit(&self) -> &'static str {
        if self.labels.is_empty() { "standard deviations" } else { "share of rows" }
    }

    /// The rest and a window of so many rows, which is changed by so much.
    fn split(&self, rows: u64, change: f64, random: &mut SplitMix) -> (Column, Column) {
        let chosen = some(random, self.rows.len() as u64, rows.min(self.rows.len() as u64 / 2));
        let mut is_chosen = vec![false; self.rows.len()];
        chosen.into_iter().for_each(|index| is_chosen[index as usize] = true);
        let (mut rest, mut window) = (vec![], vec![]);
        for (row, is_chosen) in self.rows.iter().zip(is_chosen) {
            if is_chosen { window.push(self.changed(*row, change, random)) } else { rest.push(*row) }
        }
        (self.column(&rest), self.column(&window))
    }

    fn changed(&self, row: Row, change: f64, random: &mut SplitMix) -> Row {
        match (row, self.largest) {
            (Row::Number(value), _) if change > 0.0 => Row::Number(value + change * self.deviation),
            (Row::Label(label), Some((first, share, second))) if label == first => {
                if random.uniform() * share < change { Row::Label(second) } else { row }
            }
            _ => row,
        }
    }

    fn column(&self, rows: &[Row]) -> Column {
        let count = |wanted: fn(&Row) -> bool| rows.iter().filter(|row| wanted(row)).count() as u64;
        let (missing, failed) =
            (count(|row| matches!(row, Row::Missing)), count(|row| matches!(row, Row::Failed)));
        let numbers = || {
            let numbers =
                rows.iter().filter_map(|row| if let Row::Number(value) = row { Some(*value) } else { None });
            crate::drift::compare::Sample::exact(numbers.collect())
        };
        let categories = || {
            let mut counts = BTreeMap::new();
            for row in rows {
                if let Row::Label(label) = row {
                    *counts.entry(self.labels[*label as usize].clone()).or_default() += 1;
                }
            }
            Categories::exact(counts)
        };
        let values = match &self.like {
            Values::Numeric(_) => Values::Numeric(numbers()),
            Values::Time(_) => Values::Time(numbers()),
            Values::Text { .. } => Values::Text { lengths: numbers(), distinct: None },
            Values::Categorical(_) => Values::Categorical(categories()),
            Values::Boolean(_) => Values::Boolean(categories()),
        };
        Column::new(&self.name, values, missing, failed)
    }

    /// By halving what lies between the largest change that is missed and the smallest that is found.
    fn smallest_change(&self, request: &Request, rows: u64, random: &mut SplitMix) -> Result<Option<f64>> {
        let is_found = |change: f64, random: &mut SplitMix| -> Result<bool> {
            let mut found = 0;
            for _ in 0..TRIES {
                let (reference, current) = self.split(rows, change, random);
                let run = compared(vec![reference], vec![current], request)?;
                found += u64::from(run.verdict == Verdict::Drift);
            }
            Ok(found as f64 >= POWER * TRIES as f64)
        };
        let mut most = if self.labels.is_empty() { 2.0 } else { 0.5 };
        if matches!(self.like, Values::Time(_)) || !is_found(most, random)? {
            return Ok(None);
        }
        let mut least = 0.0;
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(least, most);
            if is_found(middle, random)? { most = middle } else { least = middle }
        }
        Ok(Some(most))
    }
}

/// So many of the numbers below `all`, or all of them, in ascending order (Fan, Muller and Rezucha, "Development of
/// sampling plans by using sequential selection techniques", JASA 57, 1962).
fn some(random: &mut SplitMix, all: u64, wanted: u64) -> Vec<u64> {
    let mut chosen = Vec::with_capacity(wanted.min(all) as usize);
    if wanted >= all {
        return (0..all).collect();
    }
    // Of very many, gaps are drawn instead of looking at each.
    if all > 16 * ROWS_MAX {
        let step = all as f64 / wanted as f64;
        return (0..wanted).map(|index| ((index as f64 + random.uniform()) * step) as u64).collect();
    }
    for number in 0..all {
        let left = wanted - chosen.len() as u64;
        if random.uniform() * ((all - number) as f64) < left as f64 {
            chosen.push(number);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::compare::Sample;

    #[test]
    fn a_choice_has_the_size_asked_for() {
        let mut random = SplitMix(1);
        for (all, wanted) in [(10, 3), (10, 10), (10, 20), (0, 3), (1_000, 999)] {
            let chosen = some(&mut random, all, wanted);
            assert_eq!(chosen.len() as u64, wanted.min(all));
            assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]) && chosen.iter().all(|one| *one < all));
        }
        let mut hits = [0; 10];
        (0..10_000).flat_map(|_| some(&mut random, 10, 3)).for_each(|one| hits[one as usize] += 1);
        assert!(hits.iter().all(|hits| (2_700..3_300).contains(hits)), "{hits:?}");
    }

    #[test]
    fn a_window_and_the_rest_are_the_column() {
        let sample = Sample::exact((0..1_000).map(f64::from).collect());
        let column = Column::new("x", Values::Numeric(sample), 100, 50);
        let mut random = SplitMix(2);
        let pool = Pool::new(&column, &mut random);
        let (rest, window) = pool.split(200, 0.0, &mut random);
        assert_eq!((rest.rows, window.rows), (950, 200));
        assert_eq!((rest.missing + window.missing, rest.failed + window.failed), (100, 50));
    }

    #[test]
    fn alpha_is_what_few_windows_exceed() {
        let alphas: Vec<f64> = (1..=1_000).map(|index| f64::from(index) / 1_000.0).collect();
        let alpha = alpha_for(alphas.clone(), 0.01).unwrap();
        assert_eq!(alphas.iter().filter(|one| **one <= alpha).count(), 10);
        assert_eq!(alpha_for(alphas, 0.0005), None);
    }
}
