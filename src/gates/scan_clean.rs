//! Scanners found nothing, or no more than is allowed.

use super::{Definition, Facts, Gate, Source, Verdict, attach, define, named};
use crate::model::evidence::{Evidence, EvidenceKind, Scan, Statement};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

pub const GATE: Definition = define::<ScanClean>(
    "scan_clean",
    "The newest scan of every scanner found no more than is allowed.",
    Some(EvidenceKind::Scan),
);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ScanClean {
    /// Scanners by name, without the version, of which a scan must be there. Scans of others are looked at too.
    #[serde(default)]
    scanners: Vec<String>,
    /// Findings allowed by severity, for example `low: 3`. What is not named here: none.
    #[serde(default)]
    max: BTreeMap<String, u64>,
    /// Whose scans count; empty: anyone's.
    #[serde(default)]
    from: Vec<Source>,
}

/// A scanner's name in lower case, without the version after it.
fn name(scanner: &str) -> String {
    let scanner = scanner.trim();
    let name = match scanner.rsplit_once(char::is_whitespace) {
        Some((name, version))
            if version.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()) =>
        {
            name.trim_end()
        }
        _ => scanner,
    };
    name.to_lowercase()
}

impl ScanClean {
    /// The first severity of which there is too much.
    fn excess<'a>(&self, scan: &'a Scan) -> Option<(&'a str, u64, u64)> {
        scan.findings.iter().find_map(|(severity, count)| {
            let max = self.max.iter().find(|(named, _)| named.eq_ignore_ascii_case(severity));
            let max = max.map_or(0, |(_, max)| *max);
            (*count > max).then_some((severity.as_str(), *count, max))
        })
    }
}

impl Gate for ScanClean {
    fn judge(&self, facts: &Facts) -> Verdict {
        let mut newest: BTreeMap<String, (&Evidence, &Scan)> = BTreeMap::new();
        for evidence in facts.evidence(EvidenceKind::Scan, &self.from) {
            if let Statement::Scan(scan) = &evidence.statement {
                newest.insert(name(&scan.scanner), (evidence, scan));
            }
        }
        for (evidence, scan) in newest.values() {
            if let Some((severity, count, max)) = self.excess(scan) {
                return Verdict::fail(format!(
                    "{} found {count} of severity {severity}, {max} are allowed",
                    scan.scanner
                ))
                .by([*evidence]);
            }
        }
        let all = newest.values().map(|(evidence, _)| *evidence);
        let attach = attach(facts, EvidenceKind::Scan);
        let missing: Vec<&String> =
            self.scanners.iter().filter(|scanner| !newest.contains_key(&name(scanner))).collect();
        if !missing.is_empty() {
            let count = missing.len();
            return Verdict::wait(format!("{count} scans are missing, by {}", named(missing)))
                .by(all)
                .next(attach);
        }
        if newest.is_empty() {
            return Verdict::wait("0 scans that count").next(attach);
        }
        let scanners = named(newest.values().map(|(_, scan)| &scan.scanner));
        Verdict::pass(format!("{} scans are clean, by {scanners}", newest.len())).by(all)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{facts, gate, say, scan};
    use super::super::{Facts, Outcome};
    use super::*;
    use serde_json::json;

    #[test]
    fn a_newer_version_of_a_scanner_is_the_same_scanner() {
        for (scanner, expected) in
            [("modelscan 0.8.8", "modelscan"), ("Trivy  fs v1.2", "trivy  fs"), ("picklescan", "picklescan")]
        {
            assert_eq!(name(scanner), expected);
        }
    }

    #[test]
    fn every_scanner_must_be_clean() {
        let mut facts = facts();
        let outcome = |facts: &Facts, parameters| gate("scan_clean", parameters).judge(facts).outcome;
        assert_eq!(outcome(&facts, json!({})), Outcome::Wait);
        say(&mut facts, "ci", 1, scan("modelscan 0.8.7", &[("HIGH", 1)]));
        say(&mut facts, "ci", 2, scan("picklescan 0.1", &[]));
        assert_eq!(outcome(&facts, json!({})), Outcome::Fail);
        assert_eq!(outcome(&facts, json!({ "max": { "high": 1 } })), Outcome::Pass);
        say(&mut facts, "ci", 3, scan("modelscan 0.8.8", &[("high", 0)]));
        assert_eq!(outcome(&facts, json!({ "scanners": ["modelscan"] })), Outcome::Pass);
        assert_eq!(outcome(&facts, json!({ "scanners": ["model"] })), Outcome::Wait);
    }
}
