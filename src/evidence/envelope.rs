//! in-toto statements as they come: bare, in a DSSE envelope, or in a Sigstore bundle around one.
//!
//! The envelope's signature is not checked here. Who attached the evidence is known, and is what policies ask for;
//! a signature that counts is evidence of its own.

use super::document::{Document, parse_json};
use super::malformed;
use crate::error::Result;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::Value;

pub(super) const MODEL_SIGNATURE: &str = "https://model_signing/signature/v1.0";
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

fn envelope(file: &Value) -> Option<&Value> {
    [file, &file["dsseEnvelope"]].into_iter().find(|value| value["payload"].is_string())
}

/// Whether it is a statement, or an envelope that says it holds one.
pub(super) fn is_statement(document: &Document) -> bool {
    let file = document.json();
    file["predicateType"].is_string()
        || envelope(file).is_some_and(|envelope| envelope["payloadType"] == PAYLOAD_TYPE)
}

/// What the statement is about, if there is one that can be read.
pub(super) fn predicate_type(document: &Document) -> Option<String> {
    if !is_statement(document) {
        return None;
    }
    if let Some(found) = document.json()["predicateType"].as_str() {
        return Some(found.to_owned());
    }
    Some(open(document.json()).ok()?["predicateType"].as_str()?.to_owned())
}

pub(super) fn statement(document: Document) -> Result<Value> {
    match document {
        Document::Json { value, .. } if value["predicateType"].is_string() => Ok(value),
        document => open(document.json()),
    }
}

fn open(file: &Value) -> Result<Value> {
    let payload = envelope(file).and_then(|envelope| envelope["payload"].as_str());
    let payload =
        payload.ok_or_else(|| malformed("neither an in-toto statement nor an envelope with a payload"))?;
    // The specification allows both alphabets.
    let bytes = STANDARD.decode(payload).or_else(|_| URL_SAFE.decode(payload));
    let bytes = bytes.map_err(|error| malformed(format!("the envelope's payload is not Base64: {error}")))?;
    parse_json(&bytes)
}
