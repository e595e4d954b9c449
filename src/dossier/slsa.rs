//! How the version came to be, as an in-toto statement with SLSA provenance v1. Where provenance was attached, builder
//! and materials are those it names; otherwise the build is the push, and the registry did it. The statement is a
//! report of facts and is not signed: who wants the builder's own word reads the evidence it names.

use super::{facts::Facts, page::one_line};
use crate::model::{
    digest::Digest,
    evidence::{Evidence, EvidenceKind, Provenance, Statement},
};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

const PUSH: &str = "urn:gradus:build:push:v1";

pub(super) fn statement(facts: &Facts) -> Value {
    let attached = facts.said(EvidenceKind::Provenance).find_map(|evidence| match &evidence.statement {
        Statement::Provenance(provenance) => Some((evidence, provenance)),
        _ => None,
    });
    let (definition, mut run) = match attached {
        Some((evidence, provenance)) => built(facts, evidence, provenance),
        None => pushed(facts),
    };
    run["byproducts"] = json!(facts.evidence.iter().map(byproduct).collect::<Vec<_>>());
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects(facts),
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": { "buildDefinition": definition, "runDetails": run },
    })
}

fn subjects(facts: &Facts) -> Vec<Value> {
    let mut all = vec![json!({ "name": facts.reference(), "digest": digests(&facts.digest) })];
    all.extend(facts.files.iter().map(|file| json!({ "name": file.path, "digest": digests(&file.digest) })));
    all
}

fn digests(digest: &Digest) -> Value {
    json!({ digest.algorithm().name(): digest.hex() })
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Build definition and run as the provenance has them. Parameters of the build are in the evidence only: none are
/// named here, so that nobody takes these for all of them.
fn built(facts: &Facts, evidence: &Evidence, provenance: &Provenance) -> (Value, Value) {
    let materials = provenance.materials.iter().map(|material| {
        let mut one = Map::new();
        if !material.uri.is_empty() {
            one.insert("uri".into(), json!(material.uri));
        }
        if let Some((algorithm, hex)) = material.digest.as_deref().and_then(|digest| digest.split_once(':')) {
            one.insert("digest".into(), json!({ algorithm: hex }));
        }
        Value::Object(one)
    });
    let definition = json!({
        "buildType": provenance.build_type,
        "externalParameters": {},
        "internalParameters": { "dev.gradus": {
            "evidence": evidence.digest,
            "attached_by": evidence.by,
            "attached_at": time(evidence.at),
            "version": facts.reference(),
        } },
        "resolvedDependencies": materials.collect::<Vec<_>>(),
    });
    let mut run = json!({ "builder": { "id": provenance.builder } });
    if let Some(at) = provenance.finished_at {
        run["metadata"] = json!({ "finishedOn": time(at) });
    }
    (definition, run)
}

/// The push: who brought which files under which name, with the lineage that was named.
fn pushed(facts: &Facts) -> (Value, Value) {
    let definition = json!({
        "buildType": PUSH,
        "externalParameters": {
            "workload": facts.workload,
            "version": facts.version.to_string(),
            "base": facts.document.lineage.base,
            "datasets": facts.document.lineage.datasets,
            "contract": facts.document.contract.digest,
        },
        "internalParameters": {
            "tier": facts.tier,
            "kind": facts.kind,
            "sequence": facts.sequence,
            "pushed_by": facts.created_by,
            "authors": facts.authors,
        },
        "resolvedDependencies": lineage(facts),
    });
    let mut metadata = json!({ "finishedOn": time(facts.created_at) });
    if let Some(position) = facts.pushed_at {
        metadata["invocationId"] = json!(format!("{}/{position}", facts.registry.name));
    }
    (definition, json!({ "builder": { "id": facts.registry.id() }, "metadata": metadata }))
}

fn lineage(facts: &Facts) -> Vec<Value> {
    let mut all = Vec::new();
    if let Some(base) = facts.base() {
        let base = one_line(base);
        let mut one = json!({ "name": "base", "uri": uri(&base) });
        let pinned = base.rsplit_once('@').and_then(|(_, at)| at.parse::<Digest>().ok());
        if let Some(digest) = facts.ancestors.first().map(|ancestor| &ancestor.digest).or(pinned.as_ref()) {
            one["digest"] = digests(digest);
        }
        all.push(one);
    }
    for dataset in facts.datasets() {
        all.push(json!({ "name": one_line(&dataset.name), "digest": digests(&dataset.digest) }));
    }
    all
}

/// Names of this registry have no scheme.
fn uri(base: &str) -> String {
    let is_scheme = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    match base.split_once(':') {
        Some((scheme, _)) if is_scheme(scheme) => base.to_owned(),
        _ => format!("urn:gradus:base:{base}"),
    }
}

/// What is said about the version is not part of it, and names it: evidence, by the digest of its own manifest.
fn byproduct(evidence: &Evidence) -> Value {
    json!({
        "name": evidence.statement.kind(),
        "digest": digests(&evidence.digest),
        "mediaType": crate::model::manifest::IMAGE,
        "annotations": { "by": evidence.by, "at": time(evidence.at) },
    })
}
