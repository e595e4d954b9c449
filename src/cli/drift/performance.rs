//! Which columns hold answers, and what they should have been.

use super::super::argument;
use super::side::{Reading, open};
use crate::check::{Performance, Probability, Source};
use crate::drift::performance::Task;
use crate::error::{Error, Result};
use clap::{Args, ValueEnum};
use std::collections::BTreeMap;

/// Measures how good the answers are.
#[derive(Args)]
#[command(next_help_heading = "Performance")]
pub struct PerformanceArgs {
    /// The column of what should have been answered
    #[arg(long, value_name = "COLUMN", requires = "prediction")]
    target: Option<String>,
    /// The column of what was answered
    #[arg(long, value_name = "COLUMN", requires = "target")]
    prediction: Option<String>,
    /// The column of the probability of the positive class; or, for each class, CLASS=COLUMN
    #[arg(long = "probability", value_name = "[CLASS=]COLUMN", requires = "target", value_parser = argument::<ProbabilityColumn>)]
    probabilities: Vec<ProbabilityColumn>,
    /// Of two classes the one that the probability is of; without it, 1
    #[arg(long, value_name = "CLASS", requires = "probabilities")]
    positive: Option<String>,
    /// Labels that came later: files with the columns of --id and --target
    #[arg(long, value_name = "FILES", num_args = 1.., requires = "id", requires = "target")]
    labels: Vec<String>,
    /// The column by which labels find their rows; it is not checked for drift
    #[arg(long, value_name = "COLUMN", requires = "target")]
    id: Option<String>,
    /// Without it, what the target looks like
    #[arg(long, value_enum, requires = "target")]
    task: Option<TaskName>,
}

#[derive(Clone, Copy, ValueEnum)]
enum TaskName {
    Classification,
    Regression,
}

#[derive(Clone)]
struct ProbabilityColumn {
    class: Option<String>,
    column: String,
}

impl std::str::FromStr for ProbabilityColumn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (class, column) = match text.split_once('=') {
            Some((class, column)) => (Some(class.to_owned()), column),
            None => (None, text),
        };
        Ok(Self { class, column: column.to_owned() })
    }
}

impl PerformanceArgs {
    /// What is asked for, and the files of labels. Errors: probabilities of some classes by name and others without.
    pub fn performance(self) -> Result<(Option<Performance>, Vec<String>)> {
        let Self { target, prediction, probabilities, positive, labels, id, task } = self;
        let Some((target, prediction)) = target.zip(prediction) else { return Ok((None, labels)) };
        let task = task.map(|task| match task {
            TaskName::Classification => Task::Classification,
            TaskName::Regression => Task::Regression,
        });
        let probability = probability(probabilities)?;
        Ok((Some(Performance { task, target, prediction, probability, positive, id }), labels))
    }
}

fn probability(columns: Vec<ProbabilityColumn>) -> Result<Option<Probability>> {
    let many = || {
        Error::invalid("performance_probability", "more than one probability of the positive class")
            .hint("of several classes: --probability CLASS=COLUMN for each of them")
    };
    match columns.as_slice() {
        [] => return Ok(None),
        [ProbabilityColumn { class: None, column }] => return Ok(Some(Probability::One(column.clone()))),
        _ => {}
    }
    let count = columns.len();
    let named = columns.into_iter().filter_map(|column| Some((column.class?, column.column)));
    let each: BTreeMap<String, String> = named.collect();
    if each.len() == count { Ok(Some(Probability::Each(each))) } else { Err(many()) }
}

/// Opens labels, if there are any. Errors: as for [`open`].
pub fn open_labels(files: &[String], reading: Reading, threads: usize) -> Result<Option<Source>> {
    if files.is_empty() { Ok(None) } else { open(files, reading, threads).map(Some) }
}
