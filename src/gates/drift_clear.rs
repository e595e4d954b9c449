//! No drift check of the version found drift.

use super::{Definition, Facts, Gate, Source, Verdict, attach, define, named};
use crate::model::evidence::{DriftVerdict, Evidence, EvidenceKind, Statement};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

pub const GATE: Definition = define::<DriftClear>(
    "drift_clear",
    "The newest report of every drift monitor is clear.",
    Some(EvidenceKind::DriftReport),
);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DriftClear {
    /// Monitors that must have reported; reports of others are left aside. Empty: all that have reported.
    #[serde(default)]
    monitors: Vec<String>,
    /// Whose reports count; empty: anyone's.
    #[serde(default)]
    from: Vec<Source>,
}

impl Gate for DriftClear {
    fn judge(&self, facts: &Facts) -> Verdict {
        type Newest<'a> = (&'a Evidence, DriftVerdict, Option<DateTime<Utc>>);
        let mut newest: BTreeMap<&str, Newest<'_>> = BTreeMap::new();
        for evidence in facts.evidence(EvidenceKind::DriftReport, &self.from) {
            if let Statement::DriftReport(report) = &evidence.statement
                && (self.monitors.is_empty() || self.monitors.contains(&report.monitor))
            {
                // By its window: what is made up for of the past says nothing of now.
                let end = report.window.map(|window| window.end);
                let is_newer = newest.get(report.monitor.as_str()).is_none_or(|(_, _, known)| end >= *known);
                if is_newer {
                    newest.insert(&report.monitor, (evidence, report.verdict, end));
                }
            }
        }
        let of = |wanted| newest.iter().filter(move |(_, (_, verdict, _))| *verdict == wanted);
        let drifted: Vec<_> = of(DriftVerdict::Drift).map(|(monitor, _)| *monitor).collect();
        if !drifted.is_empty() {
            return Verdict::fail(format!("{} monitors found drift: {}", drifted.len(), named(drifted)))
                .by(of(DriftVerdict::Drift).map(|(_, (evidence, ..))| *evidence));
        }
        let check = attach(facts, EvidenceKind::DriftReport);
        let all = newest.values().map(|(evidence, ..)| *evidence);
        let missing: Vec<_> =
            self.monitors.iter().filter(|monitor| !newest.contains_key(monitor.as_str())).collect();
        if !missing.is_empty() {
            let reason = format!("{} monitors have not reported: {}", missing.len(), named(missing));
            return Verdict::wait(reason).by(all).next(check);
        }
        if newest.is_empty() {
            return Verdict::wait("0 drift reports that count").next(check);
        }
        let unclear: Vec<_> = of(DriftVerdict::Unclear).map(|(monitor, _)| *monitor).collect();
        if !unclear.is_empty() {
            let reason =
                format!("{} monitors have too little data to tell: {}", unclear.len(), named(unclear));
            return Verdict::wait(reason).by(all).next(check);
        }
        Verdict::pass(format!("{} monitors are clear: {}", newest.len(), named(newest.keys()))).by(all)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{drift, facts, gate, say};
    use super::super::{Facts, Outcome};
    use super::*;
    use serde_json::json;

    #[test]
    fn the_newest_report_of_each_monitor_counts() {
        let mut facts = facts();
        let outcome = |facts: &Facts, parameters| gate("drift_clear", parameters).judge(facts).outcome;
        assert_eq!(outcome(&facts, json!({})), Outcome::Wait);
        say(&mut facts, "ci", 1, drift("inputs", DriftVerdict::Drift));
        say(&mut facts, "ci", 2, drift("outputs", DriftVerdict::Clear));
        assert_eq!(outcome(&facts, json!({})), Outcome::Fail);
        assert_eq!(outcome(&facts, json!({ "monitors": ["outputs"] })), Outcome::Pass);
        assert_eq!(outcome(&facts, json!({ "monitors": ["outputs", "labels"] })), Outcome::Wait);
        say(&mut facts, "ci", 3, drift("inputs", DriftVerdict::Unclear));
        assert_eq!(outcome(&facts, json!({})), Outcome::Wait);
        say(&mut facts, "ci", 4, drift("inputs", DriftVerdict::Clear));
        assert_eq!(outcome(&facts, json!({})), Outcome::Pass);
        // What was found in later data counts, whenever it was said.
        for (day, minute, verdict) in [(2, 5, DriftVerdict::Drift), (1, 6, DriftVerdict::Clear)] {
            let Statement::DriftReport(mut report) = drift("inputs", verdict) else { panic!() };
            let at = |day| DateTime::UNIX_EPOCH + chrono::TimeDelta::days(day);
            report.window = Some(crate::model::monitor::Window { start: at(day), end: at(day + 1) });
            say(&mut facts, "ci", minute, Statement::DriftReport(report));
        }
        assert_eq!(outcome(&facts, json!({})), Outcome::Fail);
    }
}
