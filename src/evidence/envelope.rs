//! in-toto statements as they come: bare, in a DSSE envelope, or in a Sigstore bundle around one.
//!
//! The envelope's signature is checked where a key comes with the file. Otherwise who attached it is known, which is
//! what policies can ask for.

use super::document::{Document, parse_json};
use super::malformed;
use crate::error::{Error, Result};
use crate::signing::verify_envelope;
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

/// The statement in an envelope that this key (PEM) signed, and the key's fingerprint.
pub(super) fn signed_statement(document: &Document, key: &str) -> Result<(Value, String)> {
    let Some(envelope) = envelope(document.json()) else {
        return Err(Error::invalid(
            "signature_missing",
            "the statement is not in an envelope that a key could sign",
        )
        .hint("attach it without a key to record it as not signed, or sign it as a DSSE envelope"));
    };
    let payload = payload(document.json())?;
    let signatures = envelope["signatures"].as_array().map(Vec::as_slice).unwrap_or_default();
    let signatures: Vec<_> =
        signatures.iter().filter_map(|signature| decode(signature["sig"].as_str()?).ok()).collect();
    let payload_type = envelope["payloadType"].as_str().unwrap_or_default();
    let key = verify_envelope(key, payload_type, &payload, &signatures)?;
    Ok((parse_json(&payload)?, key))
}

fn open(file: &Value) -> Result<Value> {
    parse_json(&payload(file)?)
}

fn payload(file: &Value) -> Result<Vec<u8>> {
    let payload = envelope(file).and_then(|envelope| envelope["payload"].as_str());
    let payload =
        payload.ok_or_else(|| malformed("neither an in-toto statement nor an envelope with a payload"))?;
    decode(payload).map_err(|error| malformed(format!("the envelope's payload is not Base64: {error}")))
}

/// The specification allows both alphabets.
fn decode(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text))
}
