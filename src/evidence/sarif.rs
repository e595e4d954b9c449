//! SARIF 2.1.0, the exchange format of static analysers: results are counted by level. What somebody marked as
//! suppressed still counts, because the mark may come from whoever wants the file to pass. A run that says it failed
//! adds a finding of level `error`.

use super::document::Document;
use super::{About, Format, Read, as_name, malformed, scan};
use crate::error::{Error, Result};
use crate::model::digest::shorten;
use crate::model::evidence::EvidenceKind;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const FORMAT: Format = Format {
    name: "a SARIF 2.1.0 log",
    kind: EvidenceKind::Scan,
    recognises: |document| {
        let file = document.json();
        file["runs"].is_array() && file["version"].is_string()
    },
    read,
};

const MAX_RUNS: usize = 100;

fn read(document: Document, _: &About) -> Result<Vec<Read>> {
    let file = document.json();
    if file["version"] != "2.1.0" {
        let version = shorten(&file["version"].to_string());
        return Err(malformed(format!("only SARIF 2.1.0 is read, the file's version is: {version}")));
    }
    let runs = file["runs"].as_array().map(Vec::as_slice).unwrap_or_default();
    if runs.is_empty() {
        return Err(scan::nothing_scanned("there are no runs"));
    }
    if runs.len() > MAX_RUNS {
        return Err(Error::too_large("evidence_too_large", format!("{} runs in one file", runs.len())));
    }
    let mut scanners = Vec::new();
    let mut findings = BTreeMap::<&str, u64>::new();
    for (at, run) in runs.iter().enumerate() {
        let driver = &run["tool"]["driver"];
        let name = driver["name"].as_str();
        let name = name.ok_or_else(|| malformed(format!("no name: /runs/{at}/tool/driver/name")))?;
        let version = driver["semanticVersion"].as_str().or_else(|| driver["version"].as_str());
        scanners.push(as_name(&format!("{name} {}", version.unwrap_or_default()), 100));
        count(at, run, &mut findings)?;
    }
    scanners.dedup();
    let findings = findings.into_iter().map(|(level, count)| (level.to_owned(), count));
    scan::checked(as_name(&scanners.join(", "), 200), findings)
}

fn count(at: usize, run: &Value, findings: &mut BTreeMap<&str, u64>) -> Result<()> {
    // The standard: without a list the run was not meant to produce results; an empty one means none were found.
    let results = run["results"].as_array();
    let results =
        results.ok_or_else(|| scan::nothing_scanned(&format!("there is no list: /runs/{at}/results")))?;
    let rules = Rules::of(&run["tool"]["driver"]["rules"]);
    for (index, result) in results.iter().enumerate() {
        // Found in an earlier run, and gone.
        if result["baselineState"] == "absent" {
            continue;
        }
        let level = level(result, &rules)
            .ok_or_else(|| malformed(format!("not a level: /runs/{at}/results/{index}/level")))?;
        if level != "none" {
            *findings.entry(level).or_default() += 1;
        }
    }
    let invocations = run["invocations"].as_array().into_iter().flatten();
    let failed = invocations.filter(|invocation| invocation["executionSuccessful"] == false).count();
    if failed > 0 {
        *findings.entry("error").or_default() += failed as u64;
    }
    Ok(())
}

struct Rules<'a> {
    list: &'a [Value],
    by_id: BTreeMap<&'a str, usize>,
}

impl<'a> Rules<'a> {
    fn of(rules: &'a Value) -> Self {
        let list = rules.as_array().map(Vec::as_slice).unwrap_or_default();
        let ids = list.iter().enumerate().filter_map(|(at, rule)| Some((rule["id"].as_str()?, at)));
        Self { list, by_id: ids.collect() }
    }

    fn get(&self, result: &Value) -> Option<&'a Value> {
        // The rule of a plug-in has its index in the plug-in's list.
        if !result["rule"]["toolComponent"].is_null() {
            return None;
        }
        let index = result["ruleIndex"].as_u64().or_else(|| result["rule"]["index"].as_u64());
        let index = index.and_then(|index| usize::try_from(index).ok());
        let id = result["ruleId"].as_str().or_else(|| result["rule"]["id"].as_str());
        self.list.get(index.or_else(|| self.by_id.get(id?).copied())?)
    }
}

/// The level as the standard derives it: the result's own, else none for what is not a failure, else the rule's,
/// else warning.
fn level(result: &Value, rules: &Rules) -> Option<&'static str> {
    const LEVELS: [&str; 4] = ["error", "warning", "note", "none"];
    let known = |level: &str| LEVELS.into_iter().find(|known| *known == level);
    match &result["level"] {
        Value::Null => {}
        level => return known(level.as_str()?),
    }
    if result["kind"].as_str().is_some_and(|kind| kind != "fail") {
        return Some("none");
    }
    let of_rule = rules.get(result).and_then(|rule| rule["defaultConfiguration"]["level"].as_str());
    known(of_rule.unwrap_or("warning"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{code, only};
    use crate::model::evidence::Statement;
    use serde_json::{Value, json};

    fn log() -> Value {
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": {"driver": {
                    "name": "picklecheck", "semanticVersion": "2.0.1",
                    "rules": [
                        {"id": "PC001", "defaultConfiguration": {"level": "error"}},
                        {"id": "PC002", "defaultConfiguration": {"level": "note"}},
                        {"id": "PC003"}
                    ]
                }},
                "invocations": [{"executionSuccessful": true}],
                "results": [
                    {"ruleId": "PC001", "message": {"text": "calls os.system"}},
                    {"ruleId": "PC001", "ruleIndex": 0, "level": "warning", "message": {"text": "may call"}},
                    {"ruleIndex": 1, "message": {"text": "large"}},
                    {"ruleId": "PC003", "message": {"text": "odd"}, "suppressions": [{"kind": "external"}]},
                    {"ruleId": "PC001", "kind": "pass", "message": {"text": "looked at"}},
                    {"ruleId": "PC001", "baselineState": "absent", "message": {"text": "was here"}}
                ]
            }]
        })
    }

    #[test]
    fn results_are_counted_by_level() {
        let mut log = log();
        let Statement::Scan(scan) = only(&log.to_string()) else { panic!() };
        assert_eq!(scan.scanner, "picklecheck 2.0.1");
        let found: Vec<_> = scan.findings.iter().map(|(level, count)| (level.as_str(), *count)).collect();
        assert_eq!(found, [("error", 1), ("note", 1), ("warning", 2)]);

        log["runs"][0]["invocations"][0]["executionSuccessful"] = json!(false);
        log["runs"][0]["results"] = json!([]);
        let Statement::Scan(scan) = only(&log.to_string()) else { panic!() };
        assert_eq!(scan.findings["error"], 1);
    }

    #[test]
    fn logs_that_are_not_of_a_scan_are_refused() {
        let changed = |pointer: &str, value: Value| {
            let mut log = log();
            *log.pointer_mut(pointer).unwrap() = value;
            code(&log.to_string())
        };
        assert_eq!(changed("/version", json!("2.0.0")), "evidence_malformed");
        assert_eq!(changed("/runs", json!([])), "scan_empty");
        assert_eq!(changed("/runs/0/results", json!(null)), "scan_empty");
        assert_eq!(changed("/runs/0/tool/driver/name", json!(null)), "evidence_malformed");
        assert_eq!(changed("/runs/0/results/1/level", json!("fatal")), "evidence_malformed");
        assert_eq!(changed("/runs/0/results/1/level", json!(9)), "evidence_malformed");
    }
}
