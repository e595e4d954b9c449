//! Which format a file has.

use super::input::Input;
use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Parquet,
    /// Of files or of streams.
    ArrowIpc,
    Csv,
    /// A JSON object on each line.
    Ndjson,
}

const SUFFIXES: [(&str, Format); 10] = [
    (".parquet", Format::Parquet),
    (".pq", Format::Parquet),
    (".arrow", Format::ArrowIpc),
    (".arrows", Format::ArrowIpc),
    (".feather", Format::ArrowIpc),
    (".ipc", Format::ArrowIpc),
    (".csv", Format::Csv),
    (".tsv", Format::Csv),
    (".ndjson", Format::Ndjson),
    (".jsonl", Format::Ndjson),
];

impl Format {
    /// By the first bytes, or else by the name. Errors: neither tells.
    pub fn of(input: &dyn Input) -> Result<Self> {
        let start = input.read_at(0, input.len().min(6) as usize).unwrap_or_default();
        if start.starts_with(b"PAR1") {
            return Ok(Self::Parquet);
        }
        if start.starts_with(b"ARROW1") || start.starts_with(&[0xff; 4]) {
            return Ok(Self::ArrowIpc);
        }
        let name = input.name().to_ascii_lowercase();
        let plain = name.strip_suffix(".gz").unwrap_or(&name);
        let by_name = SUFFIXES.iter().find(|(suffix, _)| plain.ends_with(suffix));
        by_name.map(|(_, format)| *format).ok_or_else(|| {
            let message = format!("cannot tell the format of {}", input.name());
            Error::invalid("table_format", message)
                .hint("name it with --format parquet, arrow, csv or ndjson, or by the file's ending")
        })
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "parquet" => Self::Parquet,
            "arrow" => Self::ArrowIpc,
            "csv" => Self::Csv,
            "ndjson" => Self::Ndjson,
            _ => {
                let message = format!("there is no format {text}");
                return Err(
                    Error::invalid("table_format", message).hint("one of parquet, arrow, csv, ndjson")
                );
            }
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Parquet => "Parquet",
            Self::ArrowIpc => "Arrow IPC",
            Self::Csv => "CSV",
            Self::Ndjson => "NDJSON",
        })
    }
}
