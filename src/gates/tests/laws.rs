//! What holds for all gates. A gate without a sample here fails the first test.

use super::super::statistics::SplitMix;
use super::*;
use serde_json::json;

/// A gate with parameters, and what speaks for and against a version by it.
struct Sample {
    gate: &'static str,
    parameters: Value,
    /// Whose word counts by the parameters; says what lets it pass.
    good: fn(&mut Facts, &str),
    /// Speaks against it.
    bad: fn(&mut Facts, &str),
}

/// The next minute in which nothing was said yet.
fn minute(facts: &Facts) -> i64 {
    let current = facts.current.as_ref().map_or(0, |current| current.evidence.len());
    i64::try_from(facts.candidate.evidence.len() + current).unwrap()
}

fn add(facts: &mut Facts, by: &str, statement: Statement) -> Digest {
    let minute = minute(facts);
    say(facts, by, minute, statement)
}

fn measured_current(facts: &mut Facts) {
    if facts.current.as_ref().is_some_and(|current| current.evidence.is_empty()) {
        say_of_current(facts, "max", 0, evaluation("s", 0.9));
    }
}

fn decided(facts: &mut Facts, by: &str, decision: Decision) {
    let statement = approval(facts, decision);
    add(facts, by, statement);
}

fn health(target: &str, healthy: bool) -> Statement {
    Statement::DeploymentHealth(DeploymentHealth {
        target: target.to_owned(),
        healthy,
        retired: false,
        stage: Some(stage("staging")),
        since: None,
        message: None,
    })
}

#[rustfmt::skip]
fn samples() -> Vec<Sample> {
    let from = json!(["approver"]);
    let nothing: fn(&mut Facts, &str) = |_, _| ();
    vec![
        Sample { gate: "lints", parameters: json!({}), good: nothing,
            bad: |facts, _| facts.candidate.lint_errors.push("no such variable".into()) },
        Sample { gate: "contract_honest", parameters: json!({}), good: nothing,
            bad: |facts, _| facts.contract = Some(Honesty { is_honest: false, reason: "it breaks".into() }) },
        Sample { gate: "safe_formats", parameters: json!({}), good: nothing,
            bad: |facts, _| facts.candidate.inspection.safety = Safety::Unsafe },
        Sample { gate: "base_pinned", parameters: json!({}), good: nothing,
            bad: |facts, _| facts.candidate.base = Some("hf:org/base@main".into()) },
        Sample { gate: "dataset_lineage", parameters: json!({}), good: nothing,
            bad: |facts, _| facts.candidate.datasets.clear() },
        Sample { gate: "evaluation",
            parameters: json!({ "suite": "s", "metric": "accuracy", "at_least": 0.8, "from": from }),
            good: |facts, by| { add(facts, by, evaluation("s", 0.9)); },
            bad: |facts, by| { add(facts, by, evaluation("s", 0.1)); } },
        Sample { gate: "no_regression",
            parameters: json!({ "when_no_baseline": "wait", "margin": 0.05, "from": from }),
            good: |facts, by| { measured_current(facts); add(facts, by, evaluation("s", 0.92)); },
            bad: |facts, by| { measured_current(facts); add(facts, by, evaluation("s", 0.5)); } },
        Sample { gate: "evaluation_unseen", parameters: json!({ "from": from }),
            good: |facts, by| { add(facts, by, evaluation("s", 0.9)); },
            bad: |facts, by| {
                let Statement::Evaluation(mut seen) = evaluation("s", 0.9) else { return };
                seen.datasets = vec![Digest::sha256(b"train")];
                add(facts, by, Statement::Evaluation(seen));
            } },
        Sample { gate: "budget",
            parameters: json!({ "metric": "latency", "at_most": 200, "at_most_ratio": 1.1, "from": from }),
            good: |facts, by| { add(facts, by, measured("load", "latency", 100.0, "ms")); },
            bad: |facts, by| { add(facts, by, measured("load", "latency", 300.0, "ms")); } },
        Sample { gate: "approvals", parameters: json!({}),
            good: |facts, by| decided(facts, by, Decision::Approve),
            bad: |facts, by| decided(facts, by, Decision::Reject) },
        Sample { gate: "soak", parameters: json!({ "hours": 24 }), good: nothing,
            bad: |facts, _| facts.stays.clear() },
        Sample { gate: "signature", parameters: json!({ "keys": ["a".repeat(64)], "from": from }),
            good: |facts, by| { add(facts, by, signature(&"a".repeat(64), None)); },
            bad: |facts, by| { add(facts, by, signature(&"b".repeat(64), None)); } },
        Sample { gate: "provenance", parameters: json!({ "builders": ["https://ci.example.org/*"], "from": from }),
            good: |facts, by| { add(facts, by, built_by("https://ci.example.org/1")); },
            bad: |facts, by| { add(facts, by, built_by("laptop")); } },
        Sample { gate: "model_card", parameters: json!({ "parts": ["license"], "from": from }),
            good: |facts, by| { add(facts, by, card(&[("license", "MIT")])); },
            bad: |facts, by| { add(facts, by, card(&[("license", "")])); } },
        Sample { gate: "licence", parameters: json!({ "allow": ["MIT"], "from": from }),
            good: |facts, by| { add(facts, by, card(&[("license", "MIT")])); },
            bad: |facts, by| { add(facts, by, card(&[("license", "Proprietary")])); } },
        Sample { gate: "scan_clean", parameters: json!({ "from": from }),
            good: |facts, by| { add(facts, by, scan("modelscan 0.8.8", &[])); },
            bad: |facts, by| { add(facts, by, scan("modelscan 0.8.8", &[("high", 2)])); } },
        Sample { gate: "drift_baseline", parameters: json!({ "rows": 100, "from": from }),
            good: |facts, by| { add(facts, by, baseline(100)); },
            bad: |facts, by| { add(facts, by, baseline(99)); } },
        Sample { gate: "drift_clear", parameters: json!({ "from": from }),
            good: |facts, by| { add(facts, by, drift("inputs", DriftVerdict::Clear)); },
            bad: |facts, by| { add(facts, by, drift("inputs", DriftVerdict::Drift)); } },
        Sample { gate: "deployment_healthy", parameters: json!({ "minutes": 0, "from": from }),
            good: |facts, by| { add(facts, by, health("eu-1", true)); },
            bad: |facts, by| { add(facts, by, health("eu-1", false)); } },
        Sample { gate: "evidence_fresh", parameters: json!({ "kind": "scan", "max_days": 7, "from": from }),
            good: |facts, by| { add(facts, by, scan("modelscan 0.8.8", &[])); },
            bad: |facts, _| facts.now += TimeDelta::days(30) },
        Sample { gate: "residency", parameters: json!({ "regions": ["local"] }), good: nothing,
            bad: |facts, _| facts.region = "elsewhere".into() },
        Sample { gate: "workload_described", parameters: json!({}), good: nothing,
            bad: |facts, _| if let Some(card) = &mut facts.card { card.review_on = "2026-02-28".parse().ok() } },
        Sample { gate: "expression", parameters: json!({ "rule": "metrics.s.accuracy.value > 0.8", "from": from }),
            good: |facts, by| { add(facts, by, evaluation("s", 0.9)); },
            bad: |facts, by| { add(facts, by, evaluation("s", 0.1)); } },
        Sample { gate: "freeze_window", parameters: json!({}), good: nothing,
            bad: |facts, _| facts.freezes.push(Freeze { from: facts.now, until: None, reason: "holidays".into() }) },
    ]
}

impl Sample {
    fn judge(&self, facts: &Facts) -> Verdict {
        gate(self.gate, self.parameters.clone()).judge(facts)
    }

    /// Whether it rests on evidence.
    fn rests_on_evidence(&self) -> bool {
        let mut facts = facts();
        (self.good)(&mut facts, "ann");
        !facts.candidate.evidence.is_empty()
    }
}

#[test]
fn every_gate_has_a_sample_that_passes() {
    let samples = samples();
    for definition in GATES {
        let sample = samples.iter().find(|sample| sample.gate == definition.name);
        let sample = sample.unwrap_or_else(|| panic!("{} has no sample", definition.name));
        let mut good = facts();
        (sample.good)(&mut good, "ann");
        let verdict = sample.judge(&good);
        assert_eq!(verdict.outcome, Outcome::Pass, "{}: {}", sample.gate, verdict.reason);
        (sample.bad)(&mut good, "max");
        // A signature or provenance more by somebody else takes nothing away from the one that is allowed.
        if !["signature", "provenance"].contains(&sample.gate) {
            assert_ne!(sample.judge(&good).outcome, Outcome::Pass, "{}", sample.gate);
        }
    }
    assert_eq!(samples.len(), GATES.len());
}

#[test]
fn without_evidence_no_gate_that_asks_for_it_passes() {
    for sample in samples() {
        let asks = find(sample.gate).unwrap().asks_for.is_some();
        assert!(!asks || sample.rests_on_evidence(), "{}", sample.gate);
        if sample.rests_on_evidence() {
            let verdict = sample.judge(&facts());
            assert_eq!(verdict.outcome, Outcome::Wait, "{}: {}", sample.gate, verdict.reason);
            assert!(verdict.evidence.is_empty(), "{}", sample.gate);
        }
    }
}

/// A random past: good and bad words by all sorts of people, also about other content.
fn past(sample: &Sample, random: &mut SplitMix) -> Facts {
    let mut facts = facts();
    for _ in 0..random.below(7) {
        let by = ["ann", "max", "both", "bob", "ci", "eve", "gone", "root"][random.below(8)];
        match random.below(5) {
            0 | 1 => (sample.good)(&mut facts, by),
            2 | 3 => (sample.bad)(&mut facts, by),
            _ => drop(add(&mut facts, by, evaluation("other", 0.3))),
        }
    }
    facts
}

#[test]
fn more_against_never_turns_a_fail_into_a_pass() {
    let mut random = SplitMix(1);
    for sample in samples() {
        let mut failed = 0;
        for _ in 0..300 {
            let mut facts = past(&sample, &mut random);
            let before = sample.judge(&facts);
            (sample.bad)(&mut facts, ["ann", "max", "eve", "bob"][random.below(4)]);
            let after = sample.judge(&facts);
            failed += u32::from(before.outcome == Outcome::Fail);
            // Not from a wait either: what speaks against it is never what was missing.
            if before.outcome != Outcome::Pass {
                assert_ne!(
                    after.outcome,
                    Outcome::Pass,
                    "{}: {} then {}",
                    sample.gate,
                    before.reason,
                    after.reason
                );
            }
        }
        let only_waits = ["soak", "signature", "model_card", "evidence_fresh", "freeze_window"];
        assert!(failed > 0 || only_waits.contains(&sample.gate), "{} never failed", sample.gate);
    }
}

#[test]
fn verdicts_name_the_evidence_they_rest_on() {
    let mut random = SplitMix(2);
    for sample in samples() {
        for _ in 0..300 {
            let facts = past(&sample, &mut random);
            let verdict = sample.judge(&facts);
            if sample.rests_on_evidence() && verdict.outcome != Outcome::Wait {
                assert!(!verdict.evidence.is_empty(), "{}: {}", sample.gate, verdict.reason);
            }
            let known = facts.candidate.evidence.iter().chain(&facts.current.as_ref().unwrap().evidence);
            let known: BTreeSet<&Digest> = known.map(|evidence| &evidence.digest).collect();
            assert!(verdict.evidence.iter().all(|digest| known.contains(digest)), "{}", sample.gate);
            assert!(!verdict.reason.is_empty() && !verdict.reason.ends_with('.'), "{}", verdict.reason);
        }
    }
}

#[test]
fn what_does_not_count_changes_nothing() {
    let mut random = SplitMix(3);
    for sample in samples().into_iter().filter(Sample::rests_on_evidence) {
        for _ in 0..100 {
            let before = past(&sample, &mut random);
            let verdict = sample.judge(&before);
            let mut foreign = before.clone();
            let mut others = facts();
            (sample.good)(&mut others, "ann");
            (if sample.gate == "evidence_fresh" { sample.good } else { sample.bad })(&mut others, "max");
            let others = others.candidate.evidence.into_iter();
            foreign.candidate.evidence.extend(others.map(|mut evidence| {
                evidence.subject = Digest::sha256(b"something else");
                evidence
            }));
            assert_eq!(sample.judge(&foreign), verdict, "{}: about another digest", sample.gate);

            // Nobody who is no approver counts. The baseline of a comparison is not what is asked about here.
            let mut ignored = before.clone();
            measured_current(&mut ignored);
            let verdict = sample.judge(&ignored);
            (sample.good)(&mut ignored, "eve");
            // A rejection is only recorded of whoever may reject, and stands when they may no longer.
            if !matches!(sample.gate, "evidence_fresh" | "approvals") {
                (sample.bad)(&mut ignored, "eve");
            }
            let after = sample.judge(&ignored);
            assert_eq!(after.outcome, verdict.outcome, "{}: {}", sample.gate, after.reason);
            // Approvals and evaluations that do not count are told, since whoever gave them should know.
            if !matches!(sample.gate, "approvals" | "evaluation" | "no_regression") {
                assert_eq!(after, verdict, "{}", sample.gate);
            }
        }
    }
}

#[test]
fn the_same_facts_give_the_same_verdict() {
    let mut random = SplitMix(4);
    for sample in samples() {
        for _ in 0..50 {
            let facts = past(&sample, &mut random);
            assert_eq!(sample.judge(&facts), sample.judge(&facts.clone()), "{}", sample.gate);
        }
    }
}
