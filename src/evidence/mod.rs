//! Evidence files, read into the one form that gates look at. Pure: bytes in, statements out. What a file says is
//! checked against itself and against the version it is about; who may say it is decided elsewhere.
//!
//! Adding a format is one file and one line in `FORMATS`.

mod document;
mod drift_baseline;
mod envelope;
pub mod evaluation;
pub mod imported;
mod interval;
mod lm_eval;
mod markdown;
mod metrics;
pub mod model_card;
mod modelscan;
mod promptfoo;
mod provenance;
mod sarif;
pub mod scan;
mod signature;

use crate::error::{Error, Result};
use crate::model::artifact::File;
use crate::model::digest::{Digest, shorten};
use crate::model::evidence::{EvidenceKind, Examples, MAX_BYTES, Statement};
use chrono::{DateTime, Utc};
use document::Document;

/// What the evidence has to be about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The version's manifest.
    pub digest: &'a Digest,
    /// All its files, the prompt that goes with it included.
    pub files: &'a [File],
    /// The prompt that was taken along, which a signature over the rest may leave out.
    pub prompt: Option<&'a File>,
    /// Of a signature by a bare key, or of provenance in a signed envelope: the public key, PEM.
    pub public_key: Option<&'a str>,
    pub now: DateTime<Utc>,
}

/// One statement of an evidence file.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    pub statement: Statement,
    /// Of an evaluation: results example by example. Empty if there are none.
    pub examples: Examples,
}

impl From<Statement> for Read {
    fn from(statement: Statement) -> Self {
        Self { statement, examples: Examples::new() }
    }
}

/// One format's entry in the registry.
struct Format {
    /// For messages, with its article.
    name: &'static str,
    kind: EvidenceKind,
    /// By content: what makes the document this format and no other.
    recognises: fn(&Document) -> bool,
    read: fn(Document, &About) -> Result<Vec<Read>>,
}

/// No document is recognised by two of them, so their order matters to messages only.
const FORMATS: &[Format] = &[
    evaluation::FORMAT,
    lm_eval::FORMAT,
    promptfoo::FORMAT,
    scan::FORMAT,
    modelscan::FORMAT,
    sarif::FORMAT,
    provenance::FORMAT,
    model_card::FORMAT,
    markdown::FORMAT,
    signature::FORMAT,
    drift_baseline::FORMAT,
    imported::FORMAT,
];

/// Reads an evidence file. The format is recognised by content; a `kind` that is insisted on refuses files of other
/// kinds, and lets a plain text be a model card. A file with several evaluations gives one statement for each.
///
/// Errors: `evidence_reserved`, `evidence_too_large`, `evidence_unrecognised`, `evidence_kind_mismatch`,
/// `evidence_subject`, `evidence_malformed`, `evidence_ambiguous`, those of `parse_strict`, and those of the formats.
pub fn read(kind: Option<EvidenceKind>, bytes: &[u8], about: &About<'_>) -> Result<Vec<Read>> {
    match kind {
        Some(EvidenceKind::Approval) => {
            return Err(reserved("an approval", "gradus approve and gradus reject"));
        }
        Some(EvidenceKind::DriftReport) => return Err(reserved("a drift report", "a drift check")),
        Some(EvidenceKind::DeploymentHealth) => {
            return Err(reserved("a deployment's health", "a deployment report"));
        }
        _ => {}
    }
    if bytes.len() > MAX_BYTES {
        return Err(Error::too_large(
            "evidence_too_large",
            format!("a piece of evidence of {} bytes, at most {MAX_BYTES} are read", bytes.len()),
        ));
    }
    let document = Document::parse(bytes)?;
    let format = choose(kind, &document)?;
    (format.read)(document, about)
}

fn choose(kind: Option<EvidenceKind>, document: &Document) -> Result<&'static Format> {
    let found = FORMATS.iter().find(|format| (format.recognises)(document));
    match (kind, found) {
        (Some(kind), Some(format)) if format.kind != kind => Err(Error::invalid(
            "evidence_kind_mismatch",
            format!("the file is {}, which is evidence of kind {}, not: {kind}", format.name, format.kind),
        )),
        (_, Some(format)) => Ok(format),
        // A plain README has no mark of its own.
        (Some(EvidenceKind::ModelCard), None) if document.text().is_some() => Ok(&markdown::FORMAT),
        (kind, None) => Err(unrecognised(kind, document)),
    }
}

fn unrecognised(kind: Option<EvidenceKind>, document: &Document) -> Error {
    let names: Vec<_> = FORMATS
        .iter()
        .filter(|format| kind.is_none_or(|kind| format.kind == kind))
        .map(|format| format.name)
        .collect();
    let mut message = match kind {
        Some(kind) => format!("not a format that is read as {kind}"),
        None => "not a format of evidence that is read".to_owned(),
    };
    if let Some(version) = document.gradus() {
        message = format!("{message}, gradus: {}", shorten(version));
    }
    Error::invalid("evidence_unrecognised", message).hint(format!("what is read: {}", names.join(", ")))
}

fn reserved(what: &str, verb: &str) -> Error {
    Error::invalid("evidence_reserved", format!("{what} cannot be attached as a file: it comes from {verb}"))
}

fn malformed(message: impl Into<String>) -> Error {
    Error::invalid("evidence_malformed", message)
}

/// A subject that a file names must be the version it is attached to.
fn check_subject(subject: Option<&Digest>, about: &About) -> Result<()> {
    match subject {
        Some(subject) if subject != about.digest => Err(Error::invalid(
            "evidence_subject",
            format!("the file is about another version: {subject}, not {}", about.digest),
        )
        .hint("leave the subject out, or attach the file to the version it names")),
        _ => Ok(()),
    }
}

/// A name that is shown and compared: 1 to `max` characters, none of them a control character.
fn check_name(what: &str, name: &str, max: usize) -> Result<()> {
    let is_good =
        !name.trim().is_empty() && name.chars().count() <= max && !name.chars().any(char::is_control);
    if is_good {
        return Ok(());
    }
    Err(Error::invalid("evidence_name_invalid", format!("not a name for {what}: {}", shorten(name)))
        .hint(format!("1 to {max} characters, no control characters")))
}

/// Text of other tools made fit for a name: on one line, cut where it is too long.
fn as_name(text: &str, max: usize) -> String {
    let line = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    line.collect::<Vec<_>>().join(" ").chars().take(max).collect::<String>().trim_end().to_owned()
}

/// A parser's message made safe to pass on: it may quote the file, at any length. The end is kept, because it says
/// where.
fn bounded(message: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\'' => c.to_string(),
        _ => c.escape_debug().to_string(),
    };
    let length = message.chars().count();
    if length <= 400 {
        return message.chars().map(escape).collect();
    }
    let start: String = message.chars().take(200).map(escape).collect();
    let end: String = message.chars().skip(length - 150).map(escape).collect();
    format!("{start}…{end}")
}

#[cfg(test)]
mod tests;
