//! JSON reports of modelscan (`modelscan -r json`; field names checked against modelscan 0.8.8: `modelscan.py`,
//! `reports.py`, `issues.py`). Errors of the scanner count as findings of severity `error`: what could not be looked
//! at is not clean. A report names files by path, not by digest, so it is trusted as far as whoever attaches it.

use super::document::Document;
use super::{About, Format, Read, as_name, malformed, scan};
use crate::error::{Error, Result};
use crate::model::digest::shorten;
use crate::model::evidence::EvidenceKind;

pub(super) const FORMAT: Format = Format {
    name: "a JSON report of modelscan",
    kind: EvidenceKind::Scan,
    recognises: |document| document.json()["summary"]["total_issues_by_severity"].is_object(),
    read,
};

fn read(document: Document, _: &About) -> Result<Vec<Read>> {
    let file = document.json();
    let summary = &file["summary"];
    let mut findings = Vec::new();
    let mut total = 0u64;
    for (severity, count) in summary["total_issues_by_severity"].as_object().into_iter().flatten() {
        let place = "summary.total_issues_by_severity";
        let count = count
            .as_u64()
            .ok_or_else(|| malformed(format!("not a number: {place} / {}", shorten(severity))))?;
        total = total.saturating_add(count);
        findings.push((severity.clone(), count));
    }
    let issues = file["issues"].as_array().ok_or_else(|| malformed("the report has no list of issues"))?;
    let errors = file["errors"].as_array().ok_or_else(|| malformed("the report has no list of errors"))?;
    if total != issues.len() as u64 {
        return Err(Error::invalid(
            "scan_contradicts_itself",
            format!("the summary counts {total} issues, the report lists {}", issues.len()),
        ));
    }
    let scanned = summary["scanned"]["total_scanned"].as_u64();
    let scanned = scanned.ok_or_else(|| malformed("not a number: summary.scanned.total_scanned"))?;
    // A report of skipped files only. With issues or errors it says enough to be kept.
    if scanned == 0 && total == 0 && errors.is_empty() {
        return Err(scan::nothing_scanned("summary.scanned.total_scanned is 0"));
    }
    findings.push(("error".to_owned(), errors.len() as u64));
    let version = summary["modelscan_version"].as_str().map(|version| as_name(version, 100));
    scan::checked(format!("modelscan {}", version.unwrap_or_default()).trim_end().to_owned(), findings)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{code, only};
    use crate::model::evidence::Statement;
    use serde_json::{Value, json};

    /// As `modelscan -p DIR -r json` writes it for a directory with a pickle that calls `posix.system`.
    fn report() -> Value {
        json!({
            "summary": {
                "total_issues_by_severity": {"LOW": 0, "MEDIUM": 0, "HIGH": 0, "CRITICAL": 1},
                "total_issues": 1,
                "input_path": "model/",
                "absolute_path": "/srv/build/model",
                "modelscan_version": "0.8.8",
                "timestamp": "2026-03-02T10:15:30.123456",
                "scanned": {"total_scanned": 2, "scanned_files": ["adapter_model.bin", "head.pkl"]},
                "skipped": {"total_skipped": 0, "skipped_files": []}
            },
            "issues": [{
                "description": "Use of unsafe operator 'system' from module 'posix'",
                "operator": "system",
                "module": "posix",
                "source": "head.pkl",
                "scanner": "modelscan.scanners.PickleUnsafeOpScan",
                "severity": "CRITICAL"
            }],
            "errors": []
        })
    }

    #[test]
    fn issues_and_errors_are_findings() {
        let mut report = report();
        let Statement::Scan(scan) = only(&report.to_string()) else { panic!() };
        assert_eq!(scan.scanner, "modelscan 0.8.8");
        assert_eq!(scan.findings.into_iter().collect::<Vec<_>>(), [("critical".to_owned(), 1)]);

        report["summary"]["total_issues_by_severity"]["CRITICAL"] = json!(0);
        report["issues"] = json!([]);
        let Statement::Scan(scan) = only(&report.to_string()) else { panic!() };
        assert!(scan.findings.is_empty(), "clean");

        report["errors"] =
            json!([{"category": "MODEL_SCAN", "description": "Parsing error", "source": "head.pkl"}]);
        let Statement::Scan(scan) = only(&report.to_string()) else { panic!() };
        assert_eq!(scan.findings["error"], 1);
    }

    #[test]
    fn reports_that_say_nothing_or_two_things_are_refused() {
        let changed = |pointer: &str, value: Value| {
            let mut report = report();
            *report.pointer_mut(pointer).unwrap() = value;
            code(&report.to_string())
        };
        assert_eq!(changed("/issues", json!([])), "scan_contradicts_itself");
        assert_eq!(changed("/issues", json!(null)), "evidence_malformed");
        assert_eq!(changed("/errors", json!(null)), "evidence_malformed");
        assert_eq!(changed("/summary/scanned", json!(7)), "evidence_malformed");
        assert_eq!(changed("/summary/total_issues_by_severity/CRITICAL", json!("1")), "evidence_malformed");

        let mut report = report();
        report["summary"]["total_issues_by_severity"]["CRITICAL"] = json!(0);
        report["issues"] = json!([]);
        report["summary"]["scanned"] = json!({"total_scanned": 0});
        assert_eq!(code(&report.to_string()), "scan_empty");
    }
}
