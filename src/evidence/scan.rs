//! Gradus' own format of a scan, and the checks that every scan passes.

use super::document::Document;
use super::{About, Format, Read, check_name, check_subject};
use crate::error::{Error, Result};
use crate::model::digest::Digest;
use crate::model::evidence::{EvidenceKind, Scan, Statement};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const FORMAT: Format = Format {
    name: "a scan (gradus: scan/v1)",
    kind: EvidenceKind::Scan,
    recognises: |document| document.gradus() == Some("scan/v1"),
    read,
};

const MAX_SEVERITIES: usize = 100;

/// What a scanner found in the files of one version.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Gradus scan file")]
struct ScanFile {
    #[expect(dead_code, reason = "checked by reading it; there is one version")]
    gradus: FormatVersion,
    /// The scanner with its version, for example `modelscan 0.8.8`.
    scanner: String,
    /// The manifest digest of the version that was scanned. If given, the file can be attached to that one only.
    #[serde(default)]
    subject: Option<Digest>,
    /// How many findings there are of each severity, for example `high`. All zero, or none: clean.
    findings: BTreeMap<String, u64>,
}

#[derive(Deserialize, JsonSchema)]
enum FormatVersion {
    #[serde(rename = "scan/v1")]
    V1,
}

/// The JSON Schema of the format, as published in `schemas/scan.schema.json`.
pub fn schema() -> Value {
    schemars::schema_for!(ScanFile).to_value()
}

fn read(document: Document, about: &About) -> Result<Vec<Read>> {
    let file: ScanFile = document.typed("a scan file")?;
    check_subject(file.subject.as_ref(), about)?;
    checked(file.scanner, file.findings)
}

/// Severities in lower case, without those that nothing was found of: an empty list means clean.
pub(super) fn checked(
    scanner: String,
    findings: impl IntoIterator<Item = (String, u64)>,
) -> Result<Vec<Read>> {
    check_name("a scanner", &scanner, 200)?;
    let mut counts = BTreeMap::<String, u64>::new();
    for (severity, count) in findings.into_iter().filter(|(_, count)| *count > 0) {
        check_name("a severity", &severity, 40)?;
        let sum = counts.entry(severity.to_lowercase()).or_default();
        *sum = sum.saturating_add(count);
        if counts.len() > MAX_SEVERITIES {
            let message = format!("more than {MAX_SEVERITIES} severities in one scan");
            return Err(Error::too_large("evidence_too_large", message));
        }
    }
    Ok(vec![Statement::Scan(Scan { scanner, findings: counts }).into()])
}

/// A report of a scan that looked at nothing is not a clean one.
pub(super) fn nothing_scanned(why: &str) -> Error {
    Error::invalid("scan_empty", format!("the report is of a scan that looked at nothing: {why}"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{DIGEST, about, code, only};
    use super::*;

    #[test]
    fn findings_are_counted_by_severity() {
        let file = format!(
            r#"{{"gradus": "scan/v1", "scanner": "inhouse 3.1", "subject": "{DIGEST}",
                "findings": {{"High": 2, "high": 1, "low": 0}}}}"#
        );
        let Statement::Scan(scan) = only(&file) else { panic!() };
        assert_eq!(scan.scanner, "inhouse 3.1");
        assert_eq!(scan.findings, BTreeMap::from([("high".to_owned(), 3)]));
    }

    #[test]
    fn bad_scans_are_refused() {
        for (file, wanted) in [
            (r#"{"gradus": "scan/v1", "scanner": "x"}"#, "evidence_malformed"),
            (r#"{"gradus": "scan/v1", "scanner": "x", "findings": {"high": -1}}"#, "evidence_malformed"),
            (r#"{"gradus": "scan/v1", "scanner": "x", "findings": {}, "clean": true}"#, "evidence_malformed"),
            (r#"{"gradus": "scan/v1", "scanner": " ", "findings": {}}"#, "evidence_name_invalid"),
            (r#"{"gradus": "scan/v1", "scanner": "x", "findings": {"a\nb": 1}}"#, "evidence_name_invalid"),
            (r#"{"gradus": "scan/v1", "scanner": "x", "findings": {"a": 1, "a": 0}}"#, "json_duplicate_key"),
        ] {
            assert_eq!(code(file), wanted, "{file}");
        }
        let other = Digest::sha256(b"another version");
        let file =
            format!(r#"{{"gradus": "scan/v1", "scanner": "x", "findings": {{}}, "subject": "{other}"}}"#);
        let error = super::super::read(None, file.as_bytes(), &about()).unwrap_err();
        assert_eq!(error.code, "evidence_subject");
        assert!(error.message.contains(other.as_str()), "{error}");
    }
}
