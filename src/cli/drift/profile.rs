//! `gradus drift profile` and `merge`: describe data where they lie, and keep only that.

use super::super::print::{Out, bytes};
use super::check::blocking;
use super::performance::{PerformanceArgs, open_labels};
use super::side::{Columns, open};
use crate::check::{Request, profile};
use crate::drift::profile::{MAX_BYTES, Profile};
use crate::error::{Error, Result};
use clap::Args;
use serde_json::json;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct ProfileVerb {
    /// Parquet, Arrow IPC, CSV or NDJSON; * and ** stand for parts of a path
    #[arg(value_name = "FILES", required = true)]
    files: Vec<String>,
    /// The profile to write
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    columns: Columns,
    #[command(flatten)]
    performance: PerformanceArgs,
}

#[derive(Args)]
pub struct Merge {
    /// Profiles of different rows
    #[arg(value_name = "PROFILES", required = true)]
    profiles: Vec<PathBuf>,
    /// The profile to write
    #[arg(short, long, value_name = "FILE", default_value = "merged.profile")]
    out: PathBuf,
}

impl ProfileVerb {
    pub async fn run(self, out: &Out) -> Result<()> {
        let Self { files, out: file, columns, performance } = self;
        let made = blocking(move || {
            let (request, reading) = columns.request()?;
            let (performance, labels) = performance.performance()?;
            reading.check(&[&files, &labels])?;
            let labels = open_labels(&labels, reading, request.threads)?;
            let request = Request { performance, ..request };
            profile(&open(&files, reading, request.threads)?, labels.as_ref(), &request)
        });
        write(&made.await?, &file, out)
    }
}

impl Merge {
    pub fn run(self, out: &Out) -> Result<()> {
        let (mut merged, mut known): (Option<Profile>, HashSet<String>) = (None, HashSet::new());
        for path in &self.profiles {
            let next = read(path)?;
            let digest =
                next.digest().map_err(|error| Error::internal("profile_digest", error.to_string()))?;
            if !known.insert(digest) {
                let message =
                    format!("{} is there twice, and its rows would be counted twice", path.display());
                return Err(Error::invalid("profile_merge", message).hint("name each profile once"));
            }
            merged = Some(match merged {
                None => next,
                Some(before) => before.merge(&next).map_err(|error| {
                    Error::invalid("profile_merge", format!("cannot merge {}: {error}", path.display()))
                        .hint("profile all parts with the same --type, --bins, --preset, --output-schema, --sensitive and key")
                })?,
            });
        }
        let merged = merged.ok_or_else(|| Error::invalid("usage", "there is nothing to merge"))?;
        write(&merged, &self.out, out)
    }
}

pub(super) fn read(path: &Path) -> Result<Profile> {
    let unreadable = |why: String| {
        Error::invalid("profile_invalid", format!("{} is no profile: {why}", path.display()))
            .hint("make one with: gradus drift profile FILES -o FILE")
    };
    let file = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    if !file.is_file() {
        return Err(unreadable("not a regular file".to_owned()));
    }
    if file.len() > MAX_BYTES as u64 {
        return Err(unreadable("it is too long".to_owned()));
    }
    let text = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    Profile::parse(&text).map_err(|error| unreadable(error.to_string()))
}

fn write(profile: &Profile, file: &Path, out: &Out) -> Result<()> {
    let refused =
        |error: crate::drift::profile::Invalid| Error::too_large("profile_too_large", error.to_string());
    let text = profile.to_bytes().map_err(refused)?;
    std::fs::write(file, &text).map_err(|source| {
        Error::invalid("file_unwritable", format!("the profile cannot be written: {}", file.display()))
            .source(source)
            .hint("name another file with -o")
    })?;
    let (rows, columns) = (profile.rows(), profile.columns().len());
    let digest = profile.digest().map_err(refused)?;
    out.done(
        &json!({ "file": file, "rows": rows, "columns": columns, "bytes": text.len(), "digest": format!("sha256:{digest}") }),
        format!("{rows} rows and {columns} columns in {}: {}", bytes(text.len() as u64), file.display()),
    )
}
