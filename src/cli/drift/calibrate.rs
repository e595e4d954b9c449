//! `gradus drift calibrate`: what checks of windows of some size would say and find.

use super::super::{argument, print::Out};
use super::check::blocking;
use super::side::{Columns, open};
use super::{baseline, key, needed};
use crate::check::{Calibration, ColumnCalibration, Null, Windows, calibrate};
use crate::client::Client;
use crate::error::Result;
use crate::model::reference::Reference;
use clap::Args;

#[derive(Args)]
pub struct Calibrate {
    /// The version whose baseline windows are drawn from, for example acme/ticket-triage:production
    #[arg(value_name = "REFERENCE", value_parser = argument::<Reference>, required_unless_present = "reference")]
    pub version: Option<Reference>,
    /// Draw windows from files instead, or from a profile; needs no registry
    #[arg(long, value_name = "FILES", num_args = 1.., conflicts_with = "version")]
    reference: Vec<String>,
    /// Rows of a window: as many as a check will have
    #[arg(long, value_name = "ROWS")]
    rows: u64,
    /// Rows that each window is compared with, at most, as for a monitor that compares with days before; without it all others of
    /// the 100,000 that are drawn from
    #[arg(long, value_name = "ROWS")]
    against_rows: Option<u64>,
    /// How many windows to draw
    #[arg(long, default_value_t = 400)]
    windows: u64,
    /// How often a check runs: 30 is each day
    #[arg(long, default_value_t = 30.0)]
    runs_per_month: f64,
    #[command(flatten)]
    columns: Columns,
}

impl Calibrate {
    /// `client` is needed where there is a version.
    pub async fn run(self, client: Option<&Client>, out: &Out) -> Result<()> {
        let Self { version, reference, rows, against_rows, windows, runs_per_month, columns } = self;
        let baseline = match &version {
            Some(version) => Some(baseline::fetch(needed(client)?, version).await?),
            None => None,
        };
        let made = blocking(move || {
            let (request, reading) = columns.request()?;
            reading.check(&[&reference])?;
            let source = match baseline {
                Some(baseline) => baseline,
                None => open(&reference, reading, request.threads)?,
            };
            let request = key::of_check(request, &[&source])?;
            let windows =
                Windows { rows, against: against_rows, count: windows, runs_per_month, details: true };
            calibrate(&source, &request, windows)
        });
        let calibration = made.await?;
        out.data(&calibration, |out| print(&calibration, out))
    }
}

fn print(it: &Calibration, out: &Out) {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    out.line(format!(
        "{} of {} windows of {} rows, each against {} rows, drawn from the {} of the reference, were called drift (95 %: {} to {})",
        percent(it.false_alarms),
        it.windows,
        it.window_rows,
        it.against_rows,
        it.reference_rows,
        percent(it.interval[0]),
        percent(it.interval[1])
    ));
    out.line(format!("false alarms expected in a month: {:.2}", it.false_alarms_per_month));
    match it.alpha_for_one_a_quarter {
        Some(alpha) => out.line(format!("at most one in three months: --alpha {alpha:.4}")),
        None => out.line("at most one in three months: more --windows are needed to tell"),
    }
    if !it.left_out.is_empty() {
        out.line(format!(
            "left out, as the profile does not count all their categories: {}",
            it.left_out.join(", ")
        ));
    }
    out.line("");
    out.line("What tests come to where nothing has changed; drift begins at FLOOR:");
    let nulls = it.columns.iter().flat_map(|column| column.nulls.iter().map(|null| (&column.column, null)));
    let row = |(column, null): (&String, &Null)| {
        let [floor, median, p95, p99] =
            [null.floor, null.median, null.p95, null.p99].map(|x| format!("{x:.4}"));
        let (statistic, effect) = (null.statistic.replace('_', " "), null.effect.clone());
        vec![
            column.clone(),
            statistic,
            null.windows.to_string(),
            effect,
            floor,
            median,
            p95,
            p99,
            percent(null.significant),
        ]
    };
    out.table(
        &["COLUMN", "TEST", "WINDOWS", "EFFECT", "FLOOR", "MEDIAN", "95 %", "99 %", "P <= 0.05"],
        &nulls.map(row).collect::<Vec<_>>(),
    );
    out.line("");
    let row = |column: &ColumnCalibration| {
        let found = column.found.iter().map(|found| match (found.smallest, found.change.unit()) {
            (Some(smallest), unit) => format!("{smallest:.3} {unit}"),
            (None, unit) => format!("not even {:.3} {unit}", found.largest_tried),
        });
        vec![column.column.clone(), percent(column.false_alarms), found.collect::<Vec<_>>().join("; ")]
    };
    out.table(
        &["COLUMN", "FALSE ALARMS", "FOUND WITH POWER 0.8"],
        &it.columns.iter().map(row).collect::<Vec<_>>(),
    );
}
