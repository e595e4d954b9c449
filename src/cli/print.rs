//! Printing: data on stdout, everything else on stderr. No colours, so `NO_COLOR` has nothing to turn off.
#![expect(clippy::print_stderr, reason = "this is the one place that prints")]

use crate::{
    client::Progress,
    error::{Error, Result},
};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::{
    io::{IsTerminal as _, Write as _},
    sync::Arc,
};

pub struct Out {
    pub json: bool,
    quiet: bool,
}

impl Out {
    pub fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    pub fn is_terminal(&self) -> bool {
        std::io::stderr().is_terminal()
    }

    /// A line of data. A reader that has gone away is no error.
    pub fn line(&self, text: impl AsRef<str>) {
        let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
    }

    /// Data as JSON, or, without `--json`, as the caller words it.
    pub fn data(&self, value: &impl Serialize, text: impl FnOnce(&Self)) -> Result<()> {
        if self.json {
            let text = serde_json::to_string_pretty(value).map_err(|source| {
                Error::internal("output_encoding", "the output could not be written").source(source)
            })?;
            self.line(text);
        } else {
            text(self);
        }
        Ok(())
    }

    /// Columns, as wide as their widest cell.
    pub fn table(&self, head: &[&str], rows: &[Vec<String>]) {
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([head[column].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let print = |cells: &mut dyn Iterator<Item = &str>| {
            let line: Vec<String> =
                cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            self.line(line.join("  ").trim_end());
        };
        print(&mut head.iter().copied());
        for row in rows {
            print(&mut row.iter().map(String::as_str));
        }
    }

    /// Something for people: what was done, and why.
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.quiet {
            eprintln!("{}", text.as_ref());
        }
    }

    pub fn error(&self, error: &Error) {
        if self.json {
            let value = serde_json::json!({
                "error": { "code": error.code, "message": error.message, "hint": error.hint, "details": error.details }
            });
            eprintln!("{value}");
            return;
        }
        eprintln!("error: {} [{}]", error.message, error.code);
        // The chain below tells an operator what the message leaves out; it holds no secrets.
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            eprintln!("  because: {cause}");
            source = cause.source();
        }
        if let Some(hint) = &error.hint {
            eprintln!("hint: {hint}");
        }
    }

    /// A progress bar on a terminal, nothing elsewhere. Call the result to end it.
    pub fn progress(&self, what: &str, total: u64) -> (Progress, impl FnOnce()) {
        let bar = if self.quiet || self.json || !self.is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(total)
        };
        if let Ok(style) =
            ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
        {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        let counted = bar.clone();
        let progress: Progress = Arc::new(move |bytes| counted.inc(bytes));
        (progress, move || bar.finish_and_clear())
    }
}

/// A size for people.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = count as f64;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// A time for people, in UTC.
pub fn time(at: chrono::DateTime<chrono::Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}
