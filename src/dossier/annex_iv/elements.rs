//! Point 2: what it is made of, and how it came to be.

use super::{Asks, Point, code, inline, list, moment, source};
use crate::{
    gates::is_pinned,
    kinds::Safety,
    model::{
        evidence::{EvidenceKind, SignatureMethod, Statement},
        kind::Tier,
    },
};

pub(super) const POINTS: [Asks; 8] = [
    Asks("2(a)", "Methods and steps of development, and what third parties provided", methods),
    Asks("2(b)", "Design specifications and key design choices", design),
    Asks("2(c)", "System architecture and computational resources", architecture),
    Asks("2(d)", "Data requirements and training data", data),
    Asks("2(e)", "Assessment of the human oversight measures needed (Article 14)", oversight),
    Asks("2(f)", "Pre-determined changes", predetermined),
    Asks("2(g)", "Validation and testing", super::testing::tests),
    Asks("2(h)", "Cybersecurity measures", security),
];

fn methods(point: &mut Point<'_>) {
    let facts = point.facts;
    match facts.base() {
        Some(base) => {
            let is_fixed =
                is_pinned(base) || facts.inspection.finetune.is_some() || !facts.ancestors.is_empty();
            point.fact(format!("made from the pre-trained model {}", inline(base)));
            if !is_fixed {
                let filler = "push it again with `--base hf:org/model@COMMIT` or `--base NAME@sha256:…`";
                point.gap("the base model can change under the name it was given", filler);
            }
        }
        None if facts.tier == Tier::Adapter => {
            point.gap("no base model is named", "push it again with `--base MODEL`");
        }
        None => {}
    }
    for ancestor in &facts.ancestors {
        let (workload, version) = (&ancestor.workload, &ancestor.version);
        let (digest, at) = (code(&ancestor.digest), moment(ancestor.at));
        point.fact(format!(
            "which is in this registry: {workload}:{version} ({}) {digest}, made at {at}",
            ancestor.tier
        ));
    }
    if let Some(adapter) = &facts.inspection.adapter {
        let unknown = || "not stated".to_owned();
        point.fact(format!(
            "adapter: method {}, rank {}, alpha {}, task {}; target modules: {}",
            adapter.method.as_deref().map_or_else(unknown, inline),
            adapter.rank.map_or_else(unknown, |rank| rank.to_string()),
            adapter.alpha.as_deref().map_or_else(unknown, inline),
            adapter.task_type.as_deref().map_or_else(unknown, inline),
            list(&adapter.target_modules)
        ));
    }
    if let Some(finetune) = &facts.inspection.finetune {
        let (vendor, method) = (inline(&finetune.vendor), inline(&finetune.method));
        point.fact(format!("a fine-tune that the vendor {vendor} made, method {method}"));
    }
    provenance(point);
    point.card(&["training_procedure"], "by which methods and steps it was developed");
}

fn provenance(point: &mut Point<'_>) {
    let facts = point.facts;
    let mut is_known = false;
    for evidence in facts.said(EvidenceKind::Provenance) {
        let Statement::Provenance(provenance) = &evidence.statement else { continue };
        is_known = true;
        let finished =
            provenance.finished_at.map(|at| format!(", finished at {}", moment(at))).unwrap_or_default();
        let signed = match &provenance.key {
            Some(key) => format!(", signed with the key {}", inline(key)),
            None => ", not signed".to_owned(),
        };
        point.fact(format!(
            "provenance: built by {} as {}{finished}{signed}; {}",
            inline(&provenance.builder),
            inline(&provenance.build_type),
            source(evidence)
        ));
        for material in &provenance.materials {
            let digest = material.digest.as_deref().map(inline).unwrap_or_default();
            point.fact(format!("which went into it: {} {digest}", inline(&material.uri)).trim_end());
        }
    }
    match facts.tier {
        Tier::Prompt => point.fact("a prompt: text, for which no model was trained"),
        _ if !is_known => {
            let filler = point.attach("PROVENANCE.json --kind provenance");
            point.gap("no provenance says what built the files, and of what", filler);
        }
        _ => {}
    }
}

fn design(point: &mut Point<'_>) {
    point.fact(format!("contract of input and output: {}", code(&point.facts.document.contract.digest)));
    point.card(
        &["design", "model_description", "model_details"],
        "what the general logic and the design choices are, and the reasons for them",
    );
}

fn architecture(point: &mut Point<'_>) {
    let found = &point.facts.inspection;
    if let Some(architecture) = &found.architecture {
        point.fact(format!("architecture found in the files: {}", inline(architecture)));
    } else if point.facts.tier == Tier::Weights {
        point.gap("the files name no architecture", "push it again with its `config.json`");
    }
    let counted = [("tensors", found.tensors), ("context length", found.context_length)];
    for (what, count) in counted.into_iter().filter_map(|(what, count)| Some((what, count?))) {
        point.fact(format!("{what}: {count}"));
    }
    if let Some(quantization) = &found.quantization {
        point.fact(format!("quantization: {}", inline(quantization)));
    }
    for file in &point.facts.files {
        point.fact(format!(
            "file {}: {}, {} bytes",
            inline(file.path.as_str()),
            code(&file.digest),
            file.size
        ));
    }
    point.card(&["architecture"], "how its components work together");
    point.card(
        &["compute", "technical_specifications"],
        "which computational resources were used to develop, train, test and validate it",
    );
}

fn data(point: &mut Point<'_>) {
    let datasets = point.facts.datasets();
    for dataset in &datasets {
        point.fact(format!("trained on {}: {}", inline(&dataset.name), code(&dataset.digest)));
    }
    if datasets.is_empty() && point.facts.tier != Tier::Prompt {
        point.gap("no training data is named", "push it again with `--dataset NAME=DIGEST`");
    }
    point.card(
        &["training_data"],
        "where the training data come from, how they were selected, labelled and cleaned",
    );
}

fn oversight(point: &mut Point<'_>) {
    point.card(&["human_oversight"], "which human oversight it needs, and how its output can be interpreted");
}

fn predetermined(point: &mut Point<'_>) {
    point.fact("the content cannot change: the version is bound to its digest, and another content is another version");
    point.card(
        &["predetermined_changes"],
        "which changes are foreseen, and how it stays compliant through them",
    );
}

fn security(point: &mut Point<'_>) {
    let facts = point.facts;
    let found = &facts.inspection;
    point.fact(match found.safety {
        Safety::Safe => "inspection: nothing in the files runs code when loaded",
        Safety::Unsafe => "inspection: the files contain what can run code when loaded",
        Safety::Unknown => "inspection: not all of the files could be vouched for",
    });
    for note in found.notes() {
        point.fact(inline(&note));
    }
    for evidence in facts.said(EvidenceKind::Scan) {
        let Statement::Scan(scan) = &evidence.statement else { continue };
        let counts: Vec<String> =
            scan.findings.iter().map(|(severity, count)| format!("{count} {}", inline(severity))).collect();
        let counts = if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") };
        point.fact(format!("scan by {} found {counts}; {}", inline(&scan.scanner), source(evidence)));
    }
    for evidence in facts.said(EvidenceKind::Signature) {
        let Statement::Signature(signature) = &evidence.statement else { continue };
        let key = inline(&signature.key);
        // Whether somebody trusts the root is decided by whoever reads this: a certificate can name anybody.
        let by = match signature.method {
            SignatureMethod::Key => format!("key {key}"),
            SignatureMethod::Certificate => {
                let who = signature.identity.as_deref().map(inline).unwrap_or_else(|| "nobody".to_owned());
                let root = signature.root.as_deref().map(inline).unwrap_or_else(|| "none".to_owned());
                format!(
                    "certificate {key}, which names {who} and holds as far as its root is trusted, {root}"
                )
            }
        };
        point.fact(format!(
            "its files are signed (OpenSSF model signing) with the {by}; {}",
            source(evidence)
        ));
    }
    if facts.tier != Tier::Prompt {
        if facts.said(EvidenceKind::Scan).next().is_none() {
            let filler = point.attach("REPORT.json --kind scan");
            point.gap("no scanner has looked at the files", filler);
        }
        if facts.said(EvidenceKind::Signature).next().is_none() {
            let filler = format!("`gradus sign {}`", facts.reference());
            point.gap("nobody has signed the files", filler);
        }
    }
    point.card(&["cybersecurity"], "which measures protect it where it runs");
}
