//! SLSA provenance v1 in an in-toto Statement v1. It counts for the version only if its subjects are the version:
//! the manifest, or every one of the files, by digest. One file that a trusted builder did make must not vouch for
//! weights that it did not.

use super::document::Document;
use super::{About, Format, Read, envelope};
use crate::error::{Error, Result};
use crate::model::artifact::FILES_MAX;
use crate::model::digest::{Digest, shorten};
use crate::model::evidence::{EvidenceKind, Material, Provenance, Statement};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) const FORMAT: Format = Format {
    name: "SLSA provenance v1 (an in-toto statement, or a DSSE envelope or Sigstore bundle with one)",
    kind: EvidenceKind::Provenance,
    recognises: |document| {
        envelope::is_statement(document)
            && envelope::predicate_type(document).as_deref() != Some(envelope::MODEL_SIGNATURE)
    },
    read,
};

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://slsa.dev/provenance/v1";
const MAX_MATERIALS: usize = 1000;
const MAX_URI: usize = 2000;

fn read(document: Document, about: &About) -> Result<Vec<Read>> {
    let (statement, key) = match about.public_key {
        Some(key) => {
            envelope::signed_statement(&document, key).map(|(statement, key)| (statement, Some(key)))?
        }
        None => (envelope::statement(document)?, None),
    };
    expect(&statement, "_type", STATEMENT)?;
    expect(&statement, "predicateType", PREDICATE)?;
    check_subjects(&statement["subject"], about)?;
    let (build, run) = (&statement["predicate"]["buildDefinition"], &statement["predicate"]["runDetails"]);
    let finished_at = match &run["metadata"]["finishedOn"] {
        Value::Null => None,
        time => Some(moment(time)?),
    };
    let provenance = Provenance {
        builder: uri(&run["builder"]["id"], "predicate.runDetails.builder.id")?,
        build_type: uri(&build["buildType"], "predicate.buildDefinition.buildType")?,
        materials: materials(&build["resolvedDependencies"])?,
        finished_at,
        key,
    };
    Ok(vec![Statement::Provenance(provenance).into()])
}

fn invalid(message: String) -> Error {
    Error::invalid("provenance_invalid", message)
}

fn expect(statement: &Value, key: &str, wanted: &str) -> Result<()> {
    match statement[key].as_str() {
        Some(found) if found == wanted => Ok(()),
        found => {
            let found = shorten(found.unwrap_or("none"));
            Err(invalid(format!("{key} is {found}, only this one is read: {wanted}")))
        }
    }
}

fn check_subjects(subjects: &Value, about: &About) -> Result<()> {
    let wrong = |message: String| Error::invalid("evidence_subject", message);
    let subjects = subjects.as_array().map(Vec::as_slice).unwrap_or_default();
    if subjects.is_empty() {
        return Err(wrong("the provenance names no subject".to_owned()));
    }
    if subjects.len() > FILES_MAX + 1 {
        let message = format!("the provenance names {} subjects", subjects.len());
        return Err(Error::too_large("evidence_too_large", message));
    }
    let ours: BTreeSet<_> = about.files.iter().map(|file| &file.digest).chain([about.digest]).collect();
    let mut named = BTreeSet::new();
    for subject in subjects {
        let digests = digests(&subject["digest"]);
        let Some(own) = digests.iter().find_map(|digest| ours.get(digest)) else {
            let name = shorten(subject["name"].as_str().unwrap_or("without a name"));
            return Err(wrong(format!("a subject of the provenance is not in this version: {name}")).hint(
                "every subject must be the version's manifest or one of its files, by sha256 or sha512",
            ));
        };
        named.insert(*own);
    }
    if named.contains(about.digest) {
        return Ok(());
    }
    match about.files.iter().find(|file| !named.contains(&file.digest)) {
        Some(file) => {
            Err(wrong(format!("the provenance does not cover a file: {}", shorten(file.path.as_str())))
                .hint("its subjects must be all files of the version, or its manifest"))
        }
        None => Ok(()),
    }
}

/// Those of a subject in algorithms that the registry knows.
fn digests(digest: &Value) -> Vec<Digest> {
    let of = |algorithm: &str| {
        let hex = digest[algorithm].as_str()?;
        format!("{algorithm}:{}", hex.to_ascii_lowercase()).parse().ok()
    };
    ["sha256", "sha512"].into_iter().filter_map(of).collect()
}

fn uri(value: &Value, place: &str) -> Result<String> {
    let text = value.as_str().unwrap_or_default();
    let is_uri = text.len() <= MAX_URI
        && text.split_once(':').is_some_and(|(scheme, rest)| {
            let of_scheme = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(of_scheme)
                && !rest.is_empty()
        })
        && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    if is_uri {
        return Ok(text.to_owned());
    }
    let found = if value.is_null() { "missing".to_owned() } else { shorten(&value.to_string()) };
    Err(invalid(format!("not a URI: {place} is {found}")))
}

fn materials(dependencies: &Value) -> Result<Vec<Material>> {
    let list = match dependencies {
        Value::Null => return Ok(Vec::new()),
        Value::Array(list) => list,
        _ => return Err(invalid("resolvedDependencies is not a list".to_owned())),
    };
    if list.len() > MAX_MATERIALS {
        let message = format!("{} resolved dependencies, at most: {MAX_MATERIALS}", list.len());
        return Err(Error::too_large("evidence_too_large", message));
    }
    list.iter().enumerate().map(|(at, dependency)| material(at, dependency)).collect()
}

/// A dependency needs a URI or a digest; where only a name is beside the digest, that is kept as its URI.
fn material(at: usize, dependency: &Value) -> Result<Material> {
    let digest = dependency["digest"].as_object().and_then(|digests| {
        let best =
            ["sha256", "sha512", "gitCommit", "sha1"].into_iter().find(|name| digests.contains_key(*name));
        let algorithm = best.or_else(|| digests.keys().next().map(String::as_str))?;
        Some(format!("{algorithm}:{}", digests[algorithm].as_str()?))
    });
    let uri =
        dependency["uri"].as_str().or_else(|| dependency["name"].as_str()).unwrap_or_default().to_owned();
    let fits = |text: &str| text.len() <= MAX_URI && !text.chars().any(char::is_control);
    if (uri.is_empty() && digest.is_none()) || !fits(&uri) || !digest.as_deref().is_none_or(fits) {
        return Err(invalid(format!("not a dependency with a URI or a digest: resolvedDependencies[{at}]")));
    }
    Ok(Material { uri, digest })
}

fn moment(value: &Value) -> Result<DateTime<Utc>> {
    let text = value.as_str().unwrap_or_default();
    let time = DateTime::parse_from_rfc3339(text);
    let time =
        time.map_err(|_| invalid(format!("not a time: finishedOn is {}", shorten(&value.to_string()))))?;
    Ok(time.with_timezone(&Utc))
}

#[cfg(test)]
#[path = "provenance_tests.rs"]
mod tests;
