mod hostile;
mod samples;

use super::*;
use crate::{
    evidence::{About, read},
    gates::{GateReport, Outcome, Report},
    kinds::{Adapter, Inspection, Safety},
    model::{
        artifact::{Dataset, File},
        contract::{Change, Diff},
        digest::Digest,
        evidence::{
            Approval, Decision, DriftReport, DriftVerdict, Evaluation, Evidence, Interval, Material, Metric,
            ModelCard, Provenance, Scan, Signature, SignatureMethod, Statement,
        },
        kind::{Kind, Tier},
        promotion::MoveKind,
        resolution::{ContractDocument, Document, Invoke, Lineage, Target},
        version::Version,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use samples::{bare, card, evaluation, full, say, time};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Every part of a model card that the technical documentation looks for.
const PARTS: [&str; 26] = [
    "intended_use",
    "provider",
    "interaction",
    "software",
    "distribution",
    "hardware",
    "product",
    "user_interface",
    "instructions_for_use",
    "training_procedure",
    "design",
    "architecture",
    "compute",
    "training_data",
    "human_oversight",
    "predetermined_changes",
    "evaluation",
    "fairness",
    "cybersecurity",
    "limitations",
    "risks",
    "metrics_rationale",
    "risk_management",
    "changes",
    "standards",
    "declaration_of_conformity",
];
const POINTS: [&str; 23] = [
    "### 1(a) ",
    "### 1(b) ",
    "### 1(c) ",
    "### 1(d) ",
    "### 1(e) ",
    "### 1(f) ",
    "### 1(g) ",
    "### 1(h) ",
    "### 2(a) ",
    "### 2(b) ",
    "### 2(c) ",
    "### 2(d) ",
    "### 2(e) ",
    "### 2(f) ",
    "### 2(g) ",
    "### 2(h) ",
    "## 3. ",
    "## 4. ",
    "## 5. ",
    "## 6. ",
    "## 7. ",
    "## 8. ",
    "## 9. ",
];

fn gaps(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("GAP:")).collect()
}

#[test]
fn the_same_facts_are_the_same_bytes() {
    for tier in Tier::ALL {
        for facts in [bare(tier), full(tier)] {
            for format in Format::ALL {
                let text = format.write(&facts);
                assert_eq!(text, format.write(&facts.clone()), "{format}");
                assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{format}");
                assert_eq!(format.name().parse::<Format>().unwrap(), format);
            }
        }
    }
    let error = "pdf".parse::<Format>().unwrap_err();
    assert_eq!(
        (error.code, error.hint.as_deref()),
        ("dossier_format", Some("formats are annex-iv, model-card, cyclonedx, slsa"))
    );
}

#[test]
fn every_point_of_the_annex_is_there_once_and_says_something() {
    for facts in Tier::ALL.into_iter().flat_map(|tier| [bare(tier), full(tier)]) {
        let text = Format::AnnexIv.write(&facts);
        let mut from = 0;
        for point in POINTS {
            assert_eq!(text.matches(&format!("\n{point}")).count(), 1, "{point}");
            let at = text.find(&format!("\n{point}")).unwrap();
            assert!(at >= from, "{point} comes in its order");
            from = at;
            let rest = text[at + 1..].split_once('\n').unwrap().1;
            let own = rest.split("\n#").next().unwrap();
            assert!(own.trim().len() > 20, "{point} is empty: {own}");
        }
        assert_eq!(text.lines().filter(|line| line.starts_with('#')).count(), POINTS.len() + 3);
    }
}

#[test]
fn a_gap_is_where_a_fact_is_missing_and_nowhere_else() {
    for tier in Tier::ALL {
        for format in [Format::AnnexIv, Format::ModelCard] {
            let text = format.write(&full(tier));
            assert_eq!(gaps(&text), [""; 0], "{tier} {format}");
            assert!(
                text.contains("> It sorts tickets.") && !text.contains("older card"),
                "the newest card speaks"
            );
        }
        let text = Format::AnnexIv.write(&bare(tier));
        let found = gaps(&text);
        for part in PARTS.iter().filter(|part| !["changes"].contains(part)).chain(&["post_market_monitoring"])
        {
            assert!(found.iter().any(|gap| gap.contains(&format!("`{part}`"))), "{tier} {part}");
        }
        let trained = tier != Tier::Prompt;
        for (what, is_asked) in [
            ("never evaluated", true),
            ("not entered any stage", true),
            ("nothing has been observed", true),
            ("no training data", trained),
            ("no provenance", trained),
            ("no scanner", trained),
            ("nobody has signed", trained),
            ("no base model", tier == Tier::Adapter),
            ("no architecture", tier == Tier::Weights),
        ] {
            assert_eq!(found.iter().any(|gap| gap.contains(what)), is_asked, "{tier} {what}");
        }
        assert!(found.iter().all(|gap| gap.contains(". To fill it: ")));
    }
    let mut facts = full(Tier::Adapter);
    (facts.document.lineage.base, facts.ancestors) = (Some("hf:org/model@main".into()), Vec::new());
    facts.moves[0].kind = MoveKind::Overridden;
    say(
        &mut facts,
        Statement::Evaluation(Evaluation { suite_digest: None, datasets: Vec::new(), ..evaluation("loose") }),
    );
    let text = Format::AnnexIv.write(&facts);
    let found = gaps(&text);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(
        found[0].contains("can change")
            && found[1].contains("loose")
            && found[2].contains("`gradus ratify acme/x:production`")
    );
}

#[test]
fn the_annex_names_digests_people_and_times() {
    let facts = full(Tier::Adapter);
    let text = Format::AnnexIv.write(&facts);
    for evidence in &facts.evidence[1..] {
        assert!(text.contains(evidence.digest.as_str()), "{:?}", evidence.statement);
    }
    for part in [
        facts.digest.as_str(),
        facts.files[1].digest.as_str(),
        facts.datasets()[0].digest.as_str(),
        "acme/base:3.0.0",
        "`gradus audit proof 2`",
        "refusals doubled",
        "by bo at 2026-03-01 12:07:00Z",
        "gate evaluation: pass: accuracy is 0.95",
        "approved for production: looked at it",
        "| golden | accuracy | 0.95 ratio | 200 | 0.9 to 0.97 at 0.95 |",
        "eu-1",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn the_card_has_front_matter_that_hubs_read() {
    let text = Format::ModelCard.write(&full(Tier::Adapter));
    let front = text.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap().0;
    let front: Value = serde_norway::from_str(front).unwrap();
    assert_eq!(front["license"], "apache-2.0");
    assert_eq!(
        (&front["base_model"], &front["base_model_relation"]),
        (&json!(["acme/base"]), &json!("adapter"))
    );
    assert_eq!(front["datasets"], json!([format!("train@{}", Digest::sha256(b"train"))]));
    assert_eq!(front["tags"], json!(["adapter", "gradus", "peft"]));
    assert_eq!(
        front["model-index"][0]["results"][0]["metrics"][0],
        json!({ "type": "accuracy", "value": 0.95 })
    );
    assert_eq!(front["library_name"], "peft");
    let bare = Format::ModelCard.write(&bare(Tier::Weights));
    assert!(
        gaps(&bare).iter().any(|gap| gap.contains("`license`")) && !bare.contains("license:"),
        "nothing is invented"
    );
}

#[test]
fn the_bill_of_materials_is_whole() {
    for facts in Tier::ALL.into_iter().flat_map(|tier| [bare(tier), full(tier)]) {
        let bom: Value = serde_json::from_str(&Format::CycloneDx.write(&facts)).unwrap();
        let components = bom["components"].as_array().unwrap();
        let main = &bom["metadata"]["component"];
        let mut refs: Vec<&str> =
            components.iter().chain([main]).map(|one| one["bom-ref"].as_str().unwrap()).collect();
        assert_eq!(bom["dependencies"][0]["dependsOn"].as_array().unwrap().len(), components.len());
        for used in main["modelCard"]["modelParameters"]["datasets"].as_array().into_iter().flatten() {
            assert!(refs.contains(&used["ref"].as_str().unwrap()));
        }
        let all = refs.len();
        refs.sort_unstable();
        refs.dedup();
        assert_eq!(refs.len(), all, "{refs:?}");
        assert_eq!(main["hashes"][0]["content"], facts.digest.hex());
        assert_eq!(bom["metadata"]["timestamp"], "2026-03-01T12:00:00Z");
    }
    let facts = full(Tier::Adapter);
    let bom = cyclonedx::document(&facts);
    let base = &bom["metadata"]["component"]["pedigree"]["ancestors"][0];
    assert_eq!(
        (&base["name"], &base["hashes"][0]["content"]),
        (&json!("base"), &json!(Digest::sha256(b"base").hex()))
    );
    assert_eq!(
        base["pedigree"]["ancestors"][0]["purl"],
        "pkg:huggingface/org/Model@0123456789abcdef0123456789abcdef01234567"
    );
    let purl = format!(
        "pkg:oci/x@sha256%3A{}?repository_url=models.example.org/acme/x&tag=1.1.0",
        facts.digest.hex()
    );
    assert_eq!(bom["metadata"]["component"]["purl"], purl);
    let card = &bom["metadata"]["component"]["modelCard"];
    assert_eq!(
        card["modelParameters"]["inputs"],
        json!([{ "format": "body: string" }, { "format": "tier: enum (optional)" }])
    );
    assert_eq!(
        card["quantitativeAnalysis"]["performanceMetrics"][0],
        json!({
            "type": "accuracy (ratio)", "value": "0.95", "slice": "golden", "confidenceInterval": { "lowerBound": "0.9", "upperBound": "0.97" },
        })
    );
    assert_eq!(bom["metadata"]["component"]["licenses"], json!([{ "license": { "id": "Apache-2.0" } }]));
    let same = cyclonedx::document(&Facts { version: Version::new(2, 0, 0), ..facts.clone() });
    assert_ne!(
        bom["serialNumber"], same["serialNumber"],
        "the same content under another name is another bill"
    );
    let mut more = facts.clone();
    say(&mut more, Statement::Evaluation(evaluation("again")));
    let more = cyclonedx::document(&more);
    assert_eq!(
        (&more["serialNumber"], more["version"].as_u64()),
        (&bom["serialNumber"], bom["version"].as_u64().map(|one| one + 1))
    );
}

#[test]
fn the_provenance_is_one_that_the_registry_reads_itself() {
    for tier in Tier::ALL {
        for (facts, builder) in
            [(bare(tier), "https://models.example.org"), (full(tier), "https://ci.example.org/runner")]
        {
            let text = Format::Slsa.write(&facts);
            let about = About {
                digest: &facts.digest,
                files: &facts.files,
                prompt: None,
                public_key: None,
                now: time(0),
            };
            let statement = read(None, text.as_bytes(), &about).unwrap().remove(0).statement;
            let Statement::Provenance(read) = statement else { panic!("{text}") };
            assert_eq!(read.builder, builder);
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(
                value["predicate"]["runDetails"]["byproducts"].as_array().unwrap().len(),
                facts.evidence.len()
            );
            assert_eq!(value["subject"].as_array().unwrap().len(), 1 + facts.files.len());
        }
    }
    let mut facts = full(Tier::Adapter);
    facts.evidence.retain(|one| !matches!(one.statement, Statement::Provenance(_)));
    facts.registry.url = None;
    let value = slsa::statement(&facts);
    let predicate = &value["predicate"];
    assert_eq!(predicate["runDetails"]["builder"]["id"], "urn:gradus:registry:gradus/1");
    assert_eq!(predicate["runDetails"]["metadata"]["invocationId"], "gradus/1/2");
    let inputs = &predicate["buildDefinition"]["resolvedDependencies"];
    assert_eq!(inputs[0]["digest"]["sha256"], Digest::sha256(b"base").hex());
    assert_eq!(inputs[1], json!({ "name": "train", "digest": { "sha256": Digest::sha256(b"train").hex() } }));
}

#[test]
fn a_certificate_is_not_passed_off_as_trusted() {
    let mut facts = full(Tier::Weights);
    let (key, root) = ("cd".repeat(32), "ef".repeat(32));
    let signature = Signature {
        method: SignatureMethod::Certificate,
        key,
        root: Some(root.clone()),
        identity: Some("boss@acme.example".into()),
    };
    assert!(signature.signer().ends_with(" names boss@acme.example, root efefefefefef"));
    say(&mut facts, Statement::Signature(signature));
    let text = Format::AnnexIv.write(&facts);
    let said = format!(
        "with the certificate {}, which names boss@acme.example and holds as far as its root is trusted, {root}",
        "cd".repeat(32)
    );
    assert!(text.contains(&said), "{text}");
    assert!(text.contains("finetune/v1, finished at") && text.contains(", not signed"), "{text}");
}
