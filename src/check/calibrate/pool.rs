//! A column that windows are drawn from.

use super::change::{Amount, Change};
use crate::drift::compare::{Categories, Column, Sample, Values};
use crate::drift::statistics::random::SplitMix;
use std::collections::BTreeMap;

/// Rows of the reference that windows are drawn from, at most.
pub(super) const ROWS_MAX: u64 = 100_000;

pub(super) struct Pool {
    pub name: String,
    /// Of a column like it.
    like: Values,
    rows: Vec<Row>,
    /// Rows of a window, and of what it is compared with.
    sizes: [u64; 2],
    /// Of its numbers.
    pub deviation: f64,
    pub median: f64,
    /// The share of rows that have something.
    pub present: f64,
    /// The largest category, its share of the rows, and the next.
    pub largest: Option<(u32, f64, u32)>,
    labels: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Row {
    Number(f64),
    Label(u32),
    Missing,
    Failed,
}

impl Pool {
    pub fn new(column: &Column, sizes: [u64; 2], random: &mut SplitMix) -> Self {
        let values = &column.values;
        let (mut labels, mut counts) = (vec![], vec![]);
        let (mut deviation, mut median) = (0.0, 0.0);
        match values {
            Values::Numeric(sample) | Values::Time(sample) | Values::Text { lengths: sample, .. } => {
                deviation = sample.ecdf.variance().unwrap_or(0.0).sqrt();
                median = sample.ecdf.quantile(0.5).unwrap_or(0.0);
            }
            Values::Categorical(categories) | Values::Boolean(categories) => {
                (labels, counts) =
                    categories.counts.iter().map(|(label, count)| (label.clone(), *count)).unzip();
            }
        }
        let counted = match values {
            Values::Categorical(_) | Values::Boolean(_) => counts.iter().sum(),
            _ => values.finite(),
        };
        let up_to: Vec<u64> = running(&counts);
        let ends = running(&[counted, column.missing, column.failed, values.not_finite()]);
        // All rows alike, so that each kind of them has its share.
        let rows = some(random, ends[3], ROWS_MAX).into_iter().filter_map(|row| {
            Some(match ends.partition_point(|end| *end <= row) {
                0 => match values {
                    Values::Numeric(sample) | Values::Time(sample) | Values::Text { lengths: sample, .. } => {
                        Row::Number(sample.ecdf.at_rank(row)?)
                    }
                    _ => Row::Label(up_to.partition_point(|end| *end <= row) as u32),
                },
                1 => Row::Missing,
                2 => Row::Failed,
                _ => Row::Number(f64::NAN),
            })
        });
        let rows: Vec<Row> = rows.collect();
        let largest = largest(&counts, column.rows);
        if let [only] = labels.as_slice() {
            labels.push(another(only, matches!(values, Values::Boolean(_))));
        }
        let present = 1.0 - column.missing as f64 / column.rows.max(1) as f64;
        let (name, like) = (column.name.clone(), values.clone());
        Self { name, like, rows, sizes, deviation, median, present, largest, labels }
    }

    /// Whether rows like its own can be drawn: not of a sketch that counts some of its categories only.
    pub fn can_be_drawn(column: &Column) -> bool {
        match &column.values {
            Values::Categorical(categories) | Values::Boolean(categories) => categories.error == 0,
            _ => true,
        }
    }

    /// The largest size of a change that is tried: no more than there is to be moved or lost.
    pub fn most(&self, change: Change) -> f64 {
        match change {
            Change::Shift => 2.0,
            Change::Scale => 3.0,
            Change::Move => self.largest.map_or(0.0, |(_, share, _)| share).min(0.5),
            Change::Lose => self.present.min(0.5),
        }
    }

    /// In which ways such a column can change.
    pub fn changes(&self) -> &'static [Change] {
        match &self.like {
            // Time goes on, and no size of a step is too large.
            Values::Time(_) => &[Change::Lose],
            Values::Numeric(_) | Values::Text { .. }
                if !(self.deviation > 0.0 && self.deviation.is_finite()) =>
            {
                &[Change::Lose]
            }
            Values::Numeric(_) | Values::Text { .. } => &[Change::Shift, Change::Scale, Change::Lose],
            Values::Categorical(_) | Values::Boolean(_) => &[Change::Move, Change::Lose],
        }
    }

    /// Rows to compare with, and a window, which may be changed.
    pub fn split(&self, amount: Option<Amount>, random: &mut SplitMix) -> (Column, Column) {
        let all = self.rows.len() as u64;
        let [window, against] = self.sizes;
        let drawn = some(random, all, window + against);
        let chosen = some(random, drawn.len() as u64, window.min(all / 2));
        let mut is_chosen = vec![false; drawn.len()];
        chosen.into_iter().for_each(|index| is_chosen[index as usize] = true);
        let (mut rest, mut window) = (vec![], vec![]);
        for (index, is_chosen) in drawn.into_iter().zip(is_chosen) {
            let row = self.rows[index as usize];
            match amount {
                _ if !is_chosen => rest.push(row),
                Some(amount) => window.push(amount.of(self, row, random)),
                None => window.push(row),
            }
        }
        (self.column(&rest), self.column(&window))
    }

    fn column(&self, rows: &[Row]) -> Column {
        let count = |wanted: fn(&Row) -> bool| rows.iter().filter(|row| wanted(row)).count() as u64;
        let missing = count(|row| matches!(row, Row::Missing));
        let failed = count(|row| matches!(row, Row::Failed));
        let numbers = || {
            let number = |row: &Row| if let Row::Number(value) = row { Some(*value) } else { None };
            Sample::exact(rows.iter().filter_map(number).collect())
        };
        let categories = || {
            let mut counts = vec![0; self.labels.len()];
            for row in rows {
                if let Row::Label(label) = row {
                    counts[*label as usize] += 1;
                }
            }
            let named: BTreeMap<String, u64> = self.labels.iter().cloned().zip(counts).collect();
            Categories::exact(named)
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
}

fn running(counts: &[u64]) -> Vec<u64> {
    let add = |sum: &mut u64, count: &u64| {
        *sum = sum.saturating_add(*count);
        Some(*sum)
    };
    counts.iter().scan(0, add).collect()
}

/// The largest of categories, its share of all rows, and the next one; of a single one, another that is to come.
fn largest(counts: &[u64], rows: u64) -> Option<(u32, f64, u32)> {
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(counts[*index]));
    let first = *order.first()?;
    let share = counts[first] as f64 / rows.max(1) as f64;
    Some((first as u32, share, order.get(1).map_or(1, |second| *second as u32)))
}

/// A category that the only one there is can change to.
fn another(only: &str, is_boolean: bool) -> String {
    match only {
        "false" if is_boolean => "true".to_owned(),
        "true" if is_boolean => "false".to_owned(),
        _ => format!("other than {only}"),
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

    fn pool(sizes: [u64; 2]) -> Pool {
        let sample = Sample::exact((0..1_000).map(f64::from).collect());
        Pool::new(&Column::new("x", Values::Numeric(sample), 100, 50), sizes, &mut SplitMix(2))
    }

    #[test]
    fn a_window_and_the_rest_are_the_column() {
        let (rest, window) = pool([200, 950]).split(None, &mut SplitMix(2));
        assert_eq!((rest.rows, window.rows), (950, 200));
        assert_eq!((rest.missing + window.missing, rest.failed + window.failed), (100, 50));
        let (rest, window) = pool([200, 300]).split(None, &mut SplitMix(2));
        assert_eq!((rest.rows, window.rows), (300, 200), "compared with fewer than there are");
    }

    /// More rows than are drawn from, nearly all of them without a value, and categories of one row each.
    #[test]
    fn each_kind_of_rows_keeps_its_share() {
        let sample = Sample::exact((0..30_000).map(f64::from).collect());
        let column = Column::new("x", Values::Numeric(sample), 570_000, 0);
        let (rest, window) =
            Pool::new(&column, [20_000, 80_000], &mut SplitMix(2)).split(None, &mut SplitMix(3));
        assert_eq!((rest.rows, window.rows), (80_000, 20_000));
        let share = window.missing as f64 / window.rows as f64;
        assert!((share - 0.95).abs() < 0.01, "{share}");
        let counts = (0..300_000).map(|index| (format!("{index}"), 1)).collect();
        let column = Column::new("y", Values::Categorical(Categories::exact(counts)), 0, 0);
        let (rest, _) = Pool::new(&column, [20_000, 80_000], &mut SplitMix(2)).split(None, &mut SplitMix(3));
        assert_eq!((rest.rows, rest.missing), (80_000, 0));
    }

    /// A sketch of so many categories that it counts none of them.
    #[test]
    fn what_is_not_known_is_not_drawn() {
        let unknown = Categories { counts: BTreeMap::new(), total: 5_000, error: 1 };
        let column = Column::new("id", Values::Categorical(unknown), 0, 0);
        assert!(!Pool::can_be_drawn(&column));
        assert!(Pool::new(&column, [10, 10], &mut SplitMix(1)).largest.is_none());
    }

    #[test]
    fn windows_are_changed_as_is_said() {
        let changed = |change, by| pool([300, 850]).split(Some(Amount { change, by }), &mut SplitMix(3));
        let median = |column: &Column| match &column.values {
            Values::Numeric(sample) => {
                (sample.ecdf.quantile(0.5).unwrap(), sample.ecdf.variance().unwrap().sqrt())
            }
            _ => panic!(),
        };
        let (rest, window) = changed(Change::Shift, 1.0);
        assert!((median(&window).0 - median(&rest).0 - 288.0).abs() < 80.0);
        let (rest, window) = changed(Change::Scale, 1.0);
        assert!((median(&window).1 / median(&rest).1 - 2.0).abs() < 0.2);
        let (rest, window) = changed(Change::Lose, 0.5);
        assert!(rest.missing < 100 && window.missing > 120, "{} {}", rest.missing, window.missing);
    }

    #[test]
    fn what_has_one_category_can_get_another() {
        let mut random = SplitMix(4);
        let of = |column: &Column| Pool::new(column, [100, 100], &mut SplitMix(1));
        let never = of(&Column::boolean("broken", 1_000, 0, 0, 0));
        let (_, window) = never.split(Some(Amount { change: Change::Move, by: 0.3 }), &mut random);
        let Values::Boolean(categories) = &window.values else { panic!() };
        assert!((10..60).contains(&categories.counts["true"]), "{categories:?}");
    }
}
