//! Facts to judge in tests, and what holds for all gates.

mod laws;
mod policies;

use super::*;
use crate::kinds::{
    Inspection, Safety,
    vendor::{Finetune, TrainingFile},
};
use crate::model::{
    access::{PrincipalKind, Role},
    artifact::Dataset,
    card::{Card, Risk},
    evidence::*,
    kind::{Kind, Tier},
    name::PrincipalName,
    stage::Stage,
    version::Version,
};
use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn name(text: &str) -> PrincipalName {
    text.parse().unwrap()
}

fn stage(text: &str) -> Stage {
    text.parse().unwrap()
}

pub(super) fn finetune() -> Finetune {
    let file = TrainingFile { name: "t.jsonl".into(), sha256: "ab".repeat(32) };
    Finetune {
        vendor: "openai".into(),
        model: "ft:1".into(),
        base: "gpt-4o-mini-2024-07-18".into(),
        method: "dpo".into(),
        training_files: vec![file],
        hyperparameters: BTreeMap::new(),
    }
}

fn subject(version: Version, content: &[u8]) -> Subject {
    Subject {
        version,
        digest: Digest::sha256(content),
        base: Some(format!("hf:org/base@{}", "1".repeat(40))),
        datasets: vec![Dataset { name: "train".into(), digest: Digest::sha256(b"train") }],
        inspection: Inspection {
            kind: Kind::Safetensors,
            tier: Tier::Weights,
            safety: Safety::Safe,
            formats: BTreeSet::from(["safetensors".to_owned()]),
            parameters: Some(6_000),
            ..Inspection::default()
        },
        lint_errors: Vec::new(),
        evidence: Vec::new(),
        examples: BTreeMap::new(),
    }
}

/// Weights 2.0.0 that are to enter production, where 1.0.0 is; two days in staging; nothing said about either.
pub(super) fn facts() -> Facts {
    let now = "2026-03-01T12:00:00Z".parse().unwrap();
    let people = [
        ("ann", PrincipalKind::Person, vec![Role::Approver]),
        ("max", PrincipalKind::Local, vec![Role::Approver]),
        ("both", PrincipalKind::Person, vec![Role::Approver, Role::Releaser]),
        ("root", PrincipalKind::Person, vec![Role::Admin]),
        ("bob", PrincipalKind::Person, vec![Role::Contributor, Role::Approver]),
        ("ci", PrincipalKind::Service, vec![Role::Contributor, Role::Approver]),
        ("eve", PrincipalKind::Person, vec![Role::Contributor]),
        ("gone", PrincipalKind::Person, vec![]),
    ];
    let person = |(by, kind, roles): (&str, PrincipalKind, Vec<Role>)| {
        (name(by), Person { kind, roles: roles.into_iter().collect() })
    };
    Facts {
        now,
        workload: "acme/model".into(),
        stage: stage("production"),
        before: Some(stage("staging")),
        rules: Digest::sha256(b"rules"),
        candidate: subject(Version::new(2, 0, 0), b"two"),
        current: Some(subject(Version::new(1, 0, 0), b"one")),
        contract: None,
        authors: BTreeSet::from([name("bob")]),
        people: people.into_iter().map(person).collect(),
        stays: vec![Stay { stage: stage("staging"), from: now - TimeDelta::hours(48), until: None }],
        rolled_back_from: BTreeSet::new(),
        freezes: Vec::new(),
        region: "local".into(),
        tier: Tier::Weights,
        yanked: None,
        blocks: vec![],
        quarantines: vec![],
        card: Some(card_of_workload()),
    }
}

fn card_of_workload() -> Card {
    Card {
        owner: Some("triage team".into()),
        purpose: Some("Sorts tickets.".into()),
        limits: Some("English only.".into()),
        risk: Some(Risk::Limited),
        review_on: Some("2027-03-01".parse().unwrap()),
    }
}

fn evidence(facts: &Facts, subject: &Digest, by: &str, minute: i64, statement: Statement) -> Evidence {
    let at = facts.now - TimeDelta::hours(24) + TimeDelta::minutes(minute);
    let text = format!("{subject} {by} {at} {statement:?}");
    let digest = Digest::sha256(text.as_bytes());
    Evidence { digest, subject: subject.clone(), statement, by: name(by), at }
}

/// Somebody says something about the candidate.
pub(super) fn say(facts: &mut Facts, by: &str, minute: i64, statement: Statement) -> Digest {
    let said = evidence(facts, &facts.candidate.digest, by, minute, statement);
    let digest = said.digest.clone();
    facts.candidate.evidence.push(said);
    digest
}

/// Somebody says something about the version now in the stage.
pub(super) fn say_of_current(facts: &mut Facts, by: &str, minute: i64, statement: Statement) -> Digest {
    let subject = facts.current.as_ref().unwrap().digest.clone();
    let said = evidence(facts, &subject, by, minute, statement);
    let digest = said.digest.clone();
    facts.current.as_mut().unwrap().evidence.push(said);
    digest
}

pub(super) fn measured(suite: &str, metric: &str, value: f64, unit: &str) -> Statement {
    let measured = Metric {
        value,
        n: Some(1_000),
        interval: None,
        unit: Some(unit.to_owned()),
        better: Better::default(),
    };
    Statement::Evaluation(Evaluation {
        suite: suite.into(),
        metrics: BTreeMap::from([(metric.to_owned(), measured)]),
        ..Evaluation::default()
    })
}

/// An accuracy on a suite, over 1,000 examples that were not trained on.
pub(super) fn evaluation(suite: &str, accuracy: f64) -> Statement {
    match measured(suite, "accuracy", accuracy, "ratio") {
        Statement::Evaluation(mut evaluation) => {
            evaluation.datasets = vec![Digest::sha256(b"held out")];
            Statement::Evaluation(evaluation)
        }
        other => other,
    }
}

pub(super) fn approval(facts: &Facts, decision: Decision) -> Statement {
    let (stage, rules) = (facts.stage.clone(), facts.rules.clone());
    Statement::Approval(Approval { stage, rules, decision, message: "because".into() })
}

pub(super) fn signature(key: &str, certificate: Option<(&str, &str)>) -> Statement {
    Statement::Signature(Signature {
        method: if certificate.is_some() { SignatureMethod::Certificate } else { SignatureMethod::Key },
        key: key.into(),
        root: certificate.map(|(root, _)| root.to_owned()),
        identity: certificate.map(|(_, identity)| identity.to_owned()),
    })
}

pub(super) fn built_by(builder: &str) -> Statement {
    Statement::Provenance(Provenance {
        builder: builder.into(),
        build_type: "https://example.org/train/v1".into(),
        materials: Vec::new(),
        finished_at: None,
        key: None,
    })
}

pub(super) fn card(parts: &[(&str, &str)]) -> Statement {
    let parts = parts.iter().map(|(part, text)| ((*part).to_owned(), (*text).to_owned())).collect();
    Statement::ModelCard(ModelCard { parts })
}

pub(super) fn scan(scanner: &str, findings: &[(&str, u64)]) -> Statement {
    let findings = findings.iter().map(|(severity, count)| ((*severity).to_owned(), *count)).collect();
    Statement::Scan(Scan { scanner: scanner.into(), findings })
}

pub(super) fn baseline(rows: u64) -> Statement {
    Statement::DriftBaseline(DriftBaseline { profile: Digest::sha256(b"profile"), rows, columns: 3 })
}

pub(super) fn drift(monitor: &str, verdict: DriftVerdict) -> Statement {
    Statement::DriftReport(DriftReport {
        monitor: monitor.into(),
        verdict,
        window: None,
        rows: None,
        reason: None,
    })
}

/// A gate as a policy would have it.
pub(super) fn gate(name: &str, parameters: Value) -> Box<dyn Gate> {
    let definition = find(name).unwrap();
    (definition.read)(parameters).unwrap()
}
