//! Where a monitor that compares each window with the rows right before it tells of drift, in series that people have annotated.
//!
//! Arguments: rows of a window, rows before it, alpha, and runs without drift that end it. On standard input each line is one
//! series, `{"name": …, "columns": [[…], …]}`; each line of the output says where drift begins: `{"name": …, "found": […]}`.

#![allow(clippy::print_stdout)]

use chrono::{DateTime, TimeDelta};
use gradus::{
    drift::compare::{Column, Options, Rules, Side, Verdict},
    model::monitor::{Alert, Hygiene, Told},
};
use serde_json::{Value, json};
use std::ops::Range;

fn main() {
    let arguments: Vec<f64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let [window, before, alpha, clear_after] = arguments[..] else { panic!("four numbers") };
    let hygiene = Hygiene { clear_after: clear_after as u32, ..Hygiene::default() };
    let rules = Rules::Sound(Options { alpha, ..Options::default() });
    for line in std::io::stdin().lines() {
        let series: Value = serde_json::from_str(&line.expect("a line")).expect("a series");
        let columns: Vec<Vec<f64>> = serde_json::from_value(series["columns"].clone()).expect("columns");
        let found = begins(&columns, window as usize, before as usize, &rules, hygiene);
        println!("{}", json!({ "name": series["name"], "found": found }));
    }
}

fn begins(columns: &[Vec<f64>], window: usize, before: usize, rules: &Rules, hygiene: Hygiene) -> Vec<usize> {
    let rows = columns.first().map_or(0, Vec::len);
    let (mut told, mut found) = (vec![], vec![]);
    for start in (before..).step_by(window).take_while(|start| start + window <= rows) {
        let run = rules
            .compare(&side(columns, start - before..start), &side(columns, start..start + window), &[])
            .expect("options");
        let at = DateTime::UNIX_EPOCH + TimeDelta::minutes(start as i64);
        told.push(Told { at, drifted: run.verdict == Verdict::Drift });
        if hygiene.alert(&told) == Alert::Begun {
            found.push(start);
        }
    }
    found
}

fn side(columns: &[Vec<f64>], rows: Range<usize>) -> Side {
    let named = columns.iter().enumerate();
    let columns = named
        .map(|(place, values)| Column::numeric(&format!("x{place}"), values[rows.clone()].to_vec(), 0, 0));
    Side { rows: rows.len() as u64, columns: columns.collect() }
}
