//! `gradus drift key`: what columns that are not to be told are hashed with.

use super::super::{argument, print::Out};
use crate::{
    check::{Request, Source},
    client::Client,
    drift::signals::{Derived, HashKey},
    error::{Error, Result},
    model::{digest::unhex, name::Namespace},
    ops::start::random,
};
use clap::Args;
use serde_json::json;
use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

#[derive(Args)]
pub struct Key {
    /// The namespace, for example acme
    #[arg(value_parser = argument::<Namespace>)]
    namespace: Namespace,
    /// The file to write, which only you can read
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
}

impl Key {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let Self { namespace, out: file } = self;
        let key = client.drift_key(&namespace).await?;
        let opened = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&file);
        opened.and_then(|mut file| writeln!(file, "{}", key.key)).map_err(|source| {
            Error::invalid("file_unwritable", format!("the key cannot be written: {}", file.display()))
                .source(source)
                .hint("name a file that is not there yet with -o")
        })?;
        let told =
            format!("the key of {namespace}, {}, is in {}: keep it to yourself", key.id, file.display());
        out.done(&json!({ "namespace": namespace, "id": key.id, "file": file }), told)
    }
}

/// Reads what was written. The error never repeats it.
pub fn read(file: &Path) -> Result<HashKey> {
    let unusable = |why: &str| {
        Error::invalid("drift_key", format!("{} holds no key: {why}", file.display()))
            .hint("gradus drift key NAMESPACE -o FILE")
    };
    let text = std::fs::read_to_string(file).map_err(|error| unusable(&error.to_string()))?;
    parse(text.trim()).ok_or_else(|| unusable("a key is 64 hexadecimal digits"))
}

fn parse(text: &str) -> Option<HashKey> {
    unhex(text).map(|bytes| HashKey::new(&bytes))
}

/// The key of a namespace, if columns are to be hashed and none was given.
pub async fn of_namespace(
    request: Request,
    baseline: Option<&Source>,
    client: &Client,
    namespace: &Namespace,
) -> Result<Request> {
    let is_hashed = has_hashes(baseline);
    let is_remembered = is_hashed || remembers(baseline);
    if request.hash_key.is_some() || (request.sensitive.is_empty() && !is_remembered) {
        return Ok(request);
    }
    let key = client.drift_key(namespace).await?;
    let unreadable = || Error::internal("drift_key", "the server's key is no key");
    Ok(Request { hash_key: Some(parse(&key.key).ok_or_else(unreadable)?), ..request })
}

/// Whether a side says what is not to be told.
fn remembers(side: Option<&Source>) -> bool {
    side.and_then(Source::as_profile).is_some_and(|profile| !profile.sensitive().is_empty())
}

fn has_hashes(side: Option<&Source>) -> bool {
    let profile = side.and_then(Source::as_profile);
    profile.is_some_and(|profile| profile.derivations().keys().any(|name| Derived::hashes_of(name).is_some()))
}

/// A key of this check alone, if columns are to be hashed and none was given: nothing else is compared with its hashes.
pub fn of_check(request: Request, sides: &[&Source]) -> Result<Request> {
    let is_hashed = sides.iter().any(|side| has_hashes(Some(side)));
    let is_wanted = !request.sensitive.is_empty() || sides.iter().any(|side| remembers(Some(side)));
    if request.hash_key.is_some() || !is_wanted || is_hashed {
        return Ok(request);
    }
    Ok(Request { hash_key: Some(HashKey::new(&random()?)), ..request })
}
