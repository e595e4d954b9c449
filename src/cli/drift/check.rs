//! `gradus drift check`.

use super::super::{argument, print::Out};
use super::days::{Days, dated, has_date};
use super::performance::{PerformanceArgs, open_labels};
use super::side::{Columns, Reading, open};
use super::{baseline, key, needed};
use crate::check::{PerformanceReport, Report, Request, check, html};
use crate::client::Client;
use crate::drift::compare::{Correction, Finding, Options, Verdict};
use crate::error::{Error, Result};
use crate::model::reference::Reference;
use clap::{Args, ValueEnum};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// So many columns that are as they were are listed.
const LISTED: usize = 20;

#[derive(Args)]
pub struct Check {
    /// The version whose baseline to compare with, for example acme/ticket-triage:production
    #[arg(value_name = "REFERENCE", value_parser = argument::<Reference>, required_unless_present = "reference")]
    pub version: Option<Reference>,
    /// Compare with files instead, or with a profile made by `gradus drift profile`; needs no registry
    #[arg(long, value_name = "FILES", num_args = 1.., conflicts_with = "version")]
    reference: Vec<String>,
    /// The day that {date} in the names of those files stands for, or FIRST..LAST; without it that of the data
    #[arg(long, value_name = "DAY", value_parser = argument::<Days>, requires = "reference")]
    reference_date: Option<Days>,
    /// The data to check: Parquet, Arrow IPC, CSV or NDJSON; * and ** stand for parts of a path
    #[arg(long, value_name = "FILES", required = true, num_args = 1..)]
    data: Vec<String>,
    /// By which rules: sound, or compat:evidently@0.7 for the numbers of another tool
    #[arg(long, default_value = "sound")]
    mode: String,
    /// What else to compute of each column (psi, hellinger, …); in a compat mode, which tests to take
    #[arg(long = "stat", value_name = "NAMES", value_delimiter = ',')]
    statistics: Vec<String>,
    /// The share of false ones among all alarms that is accepted
    #[arg(long, default_value_t = 0.05)]
    alpha: f64,
    /// How p-values are corrected for there being many
    #[arg(long, value_enum, default_value_t = CorrectionName::Bh)]
    correction: CorrectionName,
    /// Write the report as one HTML page
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    columns: Columns,
    #[command(flatten)]
    performance: PerformanceArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum CorrectionName {
    /// Benjamini and Hochberg
    Bh,
    /// Benjamini and Yekutieli, for any dependence
    By,
}

impl Check {
    /// `client` is needed where there is a version.
    pub async fn run(self, client: Option<&Client>, out: &Out) -> Result<()> {
        let Self { version, reference, data, report: page, columns, performance, .. } = self;
        let shown = match data.as_slice() {
            [one] => one.clone(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
            [] => String::new(),
        };
        let options = Options {
            alpha: self.alpha,
            correction: match self.correction {
                CorrectionName::Bh => Correction::BenjaminiHochberg,
                CorrectionName::By => Correction::BenjaminiYekutieli,
            },
            bins: columns.bins()?,
            ..Options::default()
        };
        let rules = Request::rules(&self.mode, &self.statistics, options)?;
        let (request, reading) = columns.request()?;
        let (performance, labels) = performance.performance()?;
        let request = Request { rules, performance, ..request };
        let (title, baseline, request) = match &version {
            Some(version) => {
                let client = needed(client)?;
                let baseline = baseline::fetch(client, version).await?;
                let namespace = version.workload.namespace();
                let request = key::of_namespace(request, Some(&baseline), client, &namespace).await?;
                (format!("Drift check of {version} on {shown}"), Some(baseline), request)
            }
            None => (format!("Drift check of {shown}"), None, request),
        };
        let before = Reading { days: self.reference_date.or(reading.days), ..reading };
        let of_days = if self.reference_date.is_some() {
            [&data, &labels, &vec![]]
        } else {
            [&data, &labels, &reference]
        };
        reading.check(&of_days)?;
        Reading { days: self.reference_date, ..reading }.check(&[&reference])?;
        check_apart(&reference, before, &data, reading)?;
        let checked = blocking(move || {
            let reference = match baseline {
                Some(baseline) => baseline,
                None => open(&reference, before, request.threads)?,
            };
            let current = open(&data, reading, request.threads)?;
            let labels = open_labels(&labels, reading, request.threads)?;
            let request = key::of_check(request, &[&reference, &current])?;
            check(&reference, &current, labels.as_ref(), &request)
        });
        let report = checked.await?;
        if let Some(file) = &page {
            write_page(&report, &title, &[], file, out)?;
        }
        out.data(&report, |out| print(&report, out))?;
        match report.run.verdict {
            Verdict::Drift => out.end_with(10),
            // Something, or all of it, could not be compared, which must not pass for no drift.
            Verdict::Invalid | Verdict::NoData => out.end_with(1),
            _ => {}
        }
        Ok(())
    }
}

/// Refuses data that would be compared with themselves.
fn check_apart(reference: &[String], before: Reading, data: &[String], reading: Reading) -> Result<()> {
    let paths = |patterns: &[String], days| -> Result<BTreeSet<String>> {
        let all = dated(patterns, days)?.concat();
        Ok(all.iter().map(|path| path.trim_start_matches("./").to_owned()).collect())
    };
    let is_dated = has_date(reference) && has_date(data);
    match paths(reference, before.days)?.intersection(&paths(data, reading.days)?).next() {
        Some(path) if is_dated => {
            Err(Error::invalid("drift_date", format!("{path} would be compared with itself"))
                .hint("say --reference-date, with days that are not those of --date"))
        }
        _ => Ok(()),
    }
}

/// Runs what reads and computes where that holds nobody up.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|source| Error::internal("drift_ended", "the check ended before its time").source(source))?
}

/// Writes the report as a page.
pub(super) fn write_page(
    report: &Report,
    title: &str,
    past: &[html::Past],
    file: &Path,
    out: &Out,
) -> Result<()> {
    let text = html::page(report, title, past)?;
    std::fs::write(file, text).map_err(|source| {
        Error::invalid("file_unwritable", format!("the report cannot be written: {}", file.display()))
            .source(source)
            .hint("name another file")
    })?;
    out.note(format!("the report is in {}", file.display()));
    Ok(())
}

pub(super) fn print(report: &Report, out: &Out) {
    let run = &report.run;
    out.line(format!("{}  {}", run.verdict.name(), run.reason));
    let about = |side: &crate::check::SideReport| {
        let numbers = if side.exact { "" } else { ", as a sketch" };
        format!("{} rows{numbers}", side.rows)
    };
    out.line(format!("reference {}, current {}", about(&report.reference), about(&report.current)));
    report.notes().into_iter().for_each(|note| out.line(note));
    out.line("");
    let shown: Vec<&Finding> = run
        .columns
        .iter()
        .enumerate()
        .filter(|(index, finding)| *index < LISTED || finding.verdict >= Verdict::Warn)
        .map(|(_, finding)| finding)
        .collect();
    let row = |finding: &&Finding| {
        vec![finding.column.clone(), finding.verdict.name().to_owned(), finding.reason.clone()]
    };
    out.table(&["COLUMN", "VERDICT", "WHY"], &shown.iter().map(row).collect::<Vec<_>>());
    if shown.len() < run.columns.len() {
        out.line(format!("and {} more columns; all of them with --json", run.columns.len() - shown.len()));
    }
    if let Some(test) = &run.row_count {
        out.line(format!("rows: {}", test.reason));
    }
    if let Some(performance) = &report.performance {
        print_performance(performance, out);
    }
}

fn print_performance(report: &PerformanceReport, out: &Out) {
    out.line("");
    out.line(html::answered("reference", &report.reference));
    out.line(html::answered("current data", &report.current));
    if let Some(labels) = &report.labels {
        out.line(html::labels(labels));
    }
    let metrics = report.metrics.iter().map(|metric| {
        vec![metric.name.clone(), html::shown_value(metric.reference), html::shown_value(metric.current)]
    });
    out.table(&["METRIC", "REFERENCE", "CURRENT"], &metrics.collect::<Vec<_>>());
    if let Some(estimate) = &report.estimate {
        let metrics = estimate.metrics.iter().map(|metric| {
            let expected = html::shown_value(Some(metric.current));
            vec![metric.name.clone(), html::shown_value(metric.reference), expected]
        });
        out.line("");
        out.table(&["ESTIMATED", "REFERENCE", "EXPECTED"], &metrics.collect::<Vec<_>>());
        out.line(format!("the estimate {}", estimate.assumption));
    }
}
