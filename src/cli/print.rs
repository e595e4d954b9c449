//! Printing: data on stdout, everything else on stderr. No colours, so `NO_COLOR` has nothing to turn off.

use crate::{
    client::Progress,
    error::{Error, Result},
};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
    sync::{Arc, OnceLock},
};

pub struct Out {
    pub json: bool,
    quiet: bool,
    /// The options that name the registry, as typed.
    place: String,
    /// Why stdout takes no more.
    failed: OnceLock<io::Error>,
    /// How the command ends, where that is an outcome and no error.
    ended: OnceLock<u8>,
}

impl Out {
    pub fn new(json: bool, quiet: bool, place: String) -> Self {
        Self { json, quiet, place, failed: OnceLock::new(), ended: OnceLock::new() }
    }

    /// Lets the command end with an exit code that scripts branch on.
    pub fn end_with(&self, code: u8) {
        let _ = self.ended.set(code);
    }

    pub fn ended(&self) -> u8 {
        self.ended.get().copied().unwrap_or(0)
    }

    pub fn is_terminal(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// A command to try next, on the same registry.
    pub fn command(&self, rest: &str) -> String {
        format!("gradus{} {rest}", self.place)
    }

    /// A line of data. What goes wrong is kept for `finish`.
    pub fn line(&self, text: impl AsRef<str>) {
        if self.failed.get().is_none()
            && let Err(error) = writeln!(io::stdout(), "{}", text.as_ref())
        {
            let _ = self.failed.set(error);
        }
    }

    /// Whether all data was written. A reader that has gone away has seen what it wanted.
    pub fn finish(&self) -> Result<()> {
        if let Err(error) = io::stdout().flush() {
            let _ = self.failed.set(error);
        }
        match self.failed.get() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::invalid("output_failed", format!("the output could not be written: {error}"))
                    .hint("send it elsewhere; if the command was to change something, that is done"))
            }
            _ => Ok(()),
        }
    }

    /// Prints a text that was asked for, and ends.
    pub fn answer(&self, text: &str) -> ExitCode {
        self.line(text);
        match self.finish() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                self.error(&error);
                ExitCode::FAILURE
            }
        }
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

    /// Says what was done where there is no data to print; programs get it with `--json`.
    pub fn done(&self, value: &impl Serialize, sentence: impl AsRef<str>) -> Result<()> {
        self.note(sentence);
        self.data(value, |_| {})
    }

    /// Columns, as wide as their widest cell.
    pub fn table(&self, head: &[&str], rows: &[Vec<String>]) {
        // What others named must not move the cursor.
        let printable =
            |cell: &String| cell.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(printable).collect()).collect();
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            // A format has no more room than this.
            cells.chain([head[column].chars().count()]).max().unwrap_or(0).min(10_000)
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let print = |cells: &mut dyn Iterator<Item = &str>| {
            let line: Vec<String> =
                cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            self.line(line.join("  ").trim_end());
        };
        print(&mut head.iter().copied());
        for row in &rows {
            print(&mut row.iter().map(String::as_str));
        }
    }

    /// Something for people: what was done, and why.
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.quiet {
            say(text);
        }
    }

    pub fn error(&self, error: &Error) {
        if self.json {
            let value = serde_json::json!({
                "error": { "code": error.code, "message": error.message, "hint": error.hint, "details": error.details }
            });
            return say(value.to_string());
        }
        say(format!("error: {} [{}]", error.message, error.code));
        // The chain below tells an operator what the message leaves out; it holds no secrets.
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            say(format!("  because: {cause}"));
            source = cause.source();
        }
        if let Some(usage) = error.details.as_ref().and_then(|details| details["usage"].as_str()) {
            say(format!("usage: {usage}"));
        }
        if let Some(hint) = &error.hint {
            say(format!("hint: {hint}"));
        }
    }

    /// A progress bar on a terminal, nothing elsewhere. Call the result to end it.
    pub fn progress(&self, what: &str, total: u64) -> (Progress, impl FnOnce() + use<>) {
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

/// A line on stderr. If that is closed too, nobody is listening. What others named must not move the cursor, nor turn the
/// direction of the text.
fn say(text: impl AsRef<str>) {
    let is_safe = |c: char| {
        c == '\n' || !(c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    };
    let text: String = text.as_ref().chars().map(|c| if is_safe(c) { c } else { '\u{fffd}' }).collect();
    let _ = writeln!(io::stderr(), "{text}");
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

/// A number of things for people.
pub fn count<N: TryInto<u64> + Copy>(number: N, thing: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// A time for people, in UTC.
pub fn time(at: chrono::DateTime<chrono::Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// As one word of a shell command.
/// How long ago something was, in the largest unit that fits.
pub fn ago(at: chrono::DateTime<chrono::Utc>) -> String {
    let minutes = (chrono::Utc::now() - at).num_minutes().max(0);
    match minutes {
        0..=119 => format!("{minutes} min"),
        120..=2879 => format!("{} h", minutes / 60),
        _ => format!("{} days", minutes / 1440),
    }
}

pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:,=^".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
