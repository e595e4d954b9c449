//! Opening files, and naming their columns.

use super::super::{argument, serve::raise_open_files};
use super::days::{Days, dated, has_date};
use super::key;
use super::signals::SignalsArgs;
use crate::blobs::Bucket;
use crate::check::{Request, Source};
use crate::drift::compare::{Options, Rules};
use crate::drift::profile::{self, Bins};
use crate::error::{Error, Kind, Result};
use crate::tables::{Format, Input, LocalFile, Pattern};
use clap::Args;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// What of the data is looked at.
#[derive(Args)]
pub struct Columns {
    /// The format of all files: parquet, arrow, csv or ndjson; without it, what they look like
    #[arg(long, value_parser = argument::<Format>)]
    format: Option<Format>,
    /// The day that {date} in names of files stands for, or FIRST..LAST; {date:%Y/%m/%d} and such are other forms of it
    #[arg(long, value_name = "DAY", value_parser = argument::<Days>)]
    date: Option<Days>,
    #[command(flatten)]
    chosen: Chosen,
    /// What --sensitive columns are hashed with, as gradus drift key wrote it; without it that of the namespace, or in a check of
    /// files only a new one
    #[arg(long, value_name = "FILE")]
    sensitive_key: Option<PathBuf>,
    #[command(flatten)]
    signals: SignalsArgs,
}

/// Which columns, and what they hold.
#[derive(Args)]
pub struct Chosen {
    /// What a column holds, where it does not show: NAME=num, cat, bool, time or text
    #[arg(long = "type", value_name = "NAME=TYPE", value_parser = typed)]
    pub types: Vec<(String, profile::Kind)>,
    /// Compare a column of numbers by these bins, too: NAME=0,18,65 has the bins 0 to below 18, 18 to 65, and what lies outside
    #[arg(long = "bins", value_name = "NAME=EDGES", value_parser = binned)]
    pub bins: Vec<(String, Vec<f64>)>,
    /// Only these columns
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// All columns but these
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub ignore: Vec<String>,
    /// Columns, objects, or fields as output:$.customer, whose values are not to be told: they are compared by hashes with a
    /// secret key. Names of an object's members are told
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub sensitive: Vec<String>,
}

impl Chosen {
    /// The edges of bins by column. Errors: a column has two.
    pub fn bins(&self) -> Result<BTreeMap<String, Vec<f64>>> {
        let bins: BTreeMap<_, _> = self.bins.iter().cloned().collect();
        if bins.len() < self.bins.len() {
            return Err(
                Error::invalid("drift_options", "a column has --bins twice").hint("name all edges together")
            );
        }
        Ok(bins)
    }
}

fn binned(text: &str) -> Result<(String, Vec<f64>), String> {
    let (name, edges) = text.rsplit_once('=').ok_or("write NAME=EDGES, for example age=0,18,65")?;
    let number = |text: &str| text.trim().parse().map_err(|_| format!("not a number: {text}"));
    let edges: Vec<f64> = edges.split(',').map(number).collect::<Result<_, _>>()?;
    Bins::new(edges.clone()).map_err(|error| error.to_string())?;
    Ok((name.to_owned(), edges))
}

fn typed(text: &str) -> Result<(String, profile::Kind), String> {
    let (name, kind) = text.rsplit_once('=').ok_or("write NAME=TYPE, for example age=num")?;
    let kind = Request::kind(kind)
        .map_err(|error| format!("{} ({})", error.message, error.hint.unwrap_or_default()))?;
    Ok((name.to_owned(), kind))
}

impl Columns {
    pub fn bins(&self) -> Result<BTreeMap<String, Vec<f64>>> {
        self.chosen.bins()
    }

    /// What to look at, and how the files are read. Errors: the schema of outputs, or the key, cannot be read.
    pub fn request(self) -> Result<(Request, Reading)> {
        let Self { format, date, chosen, sensitive_key, signals } = self;
        let bins = chosen.bins()?;
        let Chosen { types, columns, ignore, sensitive, .. } = chosen;
        let request = Request {
            rules: Rules::Sound(Options { bins, ..Options::default() }),
            kinds: types.into_iter().collect(),
            only: columns.into_iter().collect(),
            ignored: ignore.into_iter().collect(),
            signals: signals.signals()?,
            sensitive: sensitive.into_iter().collect(),
            hash_key: sensitive_key.as_deref().map(key::read).transpose()?,
            ..Request::default()
        };
        Ok((request, Reading { format, days: date }))
    }
}

/// How files are named and read.
#[derive(Clone, Copy)]
pub struct Reading {
    pub format: Option<Format>,
    pub days: Option<Days>,
}

impl Reading {
    /// Refuses days that stand in no name.
    pub fn check(&self, patterns: &[&Vec<String>]) -> Result<()> {
        if self.days.is_none() || patterns.iter().any(|patterns| has_date(patterns)) {
            return Ok(());
        }
        let why = "a date was said, and {date} stands in no name of a file";
        Err(Error::invalid("drift_date", why).hint("for example logs/dt={date}/*.parquet"))
    }
}

/// How long a bucket may take to answer.
const SILENCE: Duration = Duration::from_secs(30);

/// Opens the files or objects (`s3://bucket/…`) that patterns mean; of several days some may have none. Call it where blocking is
/// allowed in a runtime. Errors: none matches, or one cannot be opened.
pub fn open(patterns: &[String], reading: Reading, threads: usize) -> Result<Source> {
    raise_open_files();
    let mut files: Vec<Arc<dyn Input>> = vec![];
    for paths in dated(patterns, reading.days)? {
        let (mut found, mut missing) = (vec![], None);
        for path in &paths {
            match matching(path) {
                Err(error) if error.kind == Kind::NotFound => missing = missing.or(Some(error)),
                matching => found.extend(matching?),
            }
        }
        match missing {
            Some(error) if found.is_empty() => return Err(error),
            _ => files.extend(found),
        }
    }
    Source::open(files, reading.format, threads)
}

fn matching(pattern: &str) -> Result<Vec<Arc<dyn Input>>> {
    if pattern.contains("://") {
        let (bucket, path) = Bucket::open(pattern, &BTreeMap::new(), SILENCE)?;
        return Handle::current().block_on(bucket.find(&path));
    }
    let local = |path| local(path).map(|file| Arc::new(file) as Arc<dyn Input>);
    Pattern::new(pattern).local_files()?.iter().map(|path| local(path)).collect()
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
