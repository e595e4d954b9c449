//! Opening files, and naming their columns.

use super::super::{argument, serve::raise_open_files};
use super::signals::SignalsArgs;
use crate::blobs::Bucket;
use crate::check::{Request, Source};
use crate::drift::profile::Kind;
use crate::error::{Error, Result};
use crate::tables::{Format, Input, LocalFile, Pattern};
use clap::Args;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// What of the data is looked at.
#[derive(Args)]
pub struct Columns {
    /// The format of all files: parquet, arrow, csv or ndjson; without it, what they look like
    #[arg(long, value_parser = argument::<Format>)]
    format: Option<Format>,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    signals: SignalsArgs,
}

/// Which columns, and what they hold.
#[derive(Args)]
pub struct Chosen {
    /// What a column holds, where it does not show: NAME=num, cat, bool, time or text
    #[arg(long = "type", value_name = "NAME=TYPE", value_parser = typed)]
    pub types: Vec<(String, Kind)>,
    /// Only these columns
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// All columns but these
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub ignore: Vec<String>,
}

fn typed(text: &str) -> Result<(String, Kind), String> {
    let (name, kind) = text.rsplit_once('=').ok_or("write NAME=TYPE, for example age=num")?;
    let kind = Request::kind(kind)
        .map_err(|error| format!("{} ({})", error.message, error.hint.unwrap_or_default()))?;
    Ok((name.to_owned(), kind))
}

impl Columns {
    /// What to look at, and the format of the files. Errors: the schema of outputs cannot be read.
    pub fn request(self) -> Result<(Request, Option<Format>)> {
        let Self { format, chosen: Chosen { types, columns, ignore }, signals } = self;
        let request = Request {
            kinds: types.into_iter().collect(),
            only: columns.into_iter().collect(),
            ignored: ignore.into_iter().collect(),
            signals: signals.signals()?,
            ..Request::default()
        };
        Ok((request, format))
    }
}

/// How long a bucket may take to answer.
const SILENCE: Duration = Duration::from_secs(30);

/// Opens the files or objects (`s3://bucket/…`) that patterns mean; call it where blocking is allowed in a runtime. Errors:
/// none matches, or one cannot be opened.
pub fn open(patterns: &[String], format: Option<Format>, threads: usize) -> Result<Source> {
    raise_open_files();
    let mut files: Vec<Arc<dyn Input>> = vec![];
    for pattern in patterns {
        if pattern.contains("://") {
            let (bucket, path) = Bucket::open(pattern, &BTreeMap::new(), SILENCE)?;
            files.extend(Handle::current().block_on(bucket.find(&path))?);
            continue;
        }
        for path in Pattern::new(pattern).local_files()? {
            files.push(Arc::new(local(&path)?));
        }
    }
    Source::open(files, format, threads)
}

fn local(path: &Path) -> Result<LocalFile> {
    LocalFile::open(path).map_err(|error| {
        let message = format!("cannot open {}: {error}", path.display());
        match error.kind() {
            std::io::ErrorKind::NotFound => Error::not_found("table_missing", message)
                .hint("a path, or a pattern in quotes such as 'logs/*.parquet'"),
            std::io::ErrorKind::InvalidInput => Error::invalid("table_unreadable", message)
                .hint("name files, not directories or pipes: 'logs/*.parquet'"),
            _ => Error::invalid("table_unreadable", message).hint(
                "of very many files, profile and merge parts: gradus drift profile, gradus drift merge",
            ),
        }
    })
}
