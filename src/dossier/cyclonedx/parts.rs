//! The components: files, prompt, datasets, models it is made from or for.

use crate::{
    dossier::{facts::Facts, page::one_line},
    model::{
        artifact::File,
        digest::{Algorithm, Digest},
        name::Workload,
        resolution::Target,
        version::Version,
    },
};
use serde_json::{Value, json};

pub(super) fn property(name: &str, value: impl ToString) -> Value {
    json!({ "name": format!("dev.gradus:{name}"), "value": one_line(&value.to_string()) })
}

pub(super) fn hashes(digest: &Digest) -> Value {
    let algorithm = match digest.algorithm() {
        Algorithm::Sha256 => "SHA-256",
        Algorithm::Sha512 => "SHA-512",
    };
    json!([{ "alg": algorithm, "content": digest.hex() }])
}

/// A version of this registry.
pub(super) fn component_of(workload: &Workload, version: &Version, digest: &Digest) -> Value {
    json!({
        "type": "machine-learning-model",
        "bom-ref": format!("{workload}:{version}@{digest}"),
        "group": workload.namespace(),
        "name": workload.name(),
        "version": version.to_string(),
        "hashes": hashes(digest),
    })
}

pub(super) fn components(facts: &Facts) -> Vec<Value> {
    let prompt = facts.document.invoke.prompt_file.as_ref();
    let mut all: Vec<Value> = facts.files.iter().map(|file| of_file(file, Some(file) == prompt)).collect();
    for dataset in facts.datasets() {
        let name = one_line(&dataset.name);
        all.push(json!({
            "type": "data",
            "bom-ref": data_ref(&dataset.digest),
            "name": name,
            "hashes": hashes(&dataset.digest),
            "data": [{ "type": "dataset", "name": name }],
        }));
    }
    all.extend(called(facts));
    all
}

fn of_file(file: &File, is_prompt: bool) -> Value {
    let mut component = json!({
        "type": "file",
        "bom-ref": format!("file:{}", file.path),
        "name": file.path,
        "hashes": hashes(&file.digest),
        "properties": [property("size", file.size)],
    });
    if is_prompt {
        component["type"] = json!("data");
        component["data"] = json!([{ "type": "configuration", "name": "prompt" }]);
    }
    component
}

pub(super) fn data_ref(digest: &Digest) -> String {
    format!("data:{digest}")
}

/// Models that are not in the registry and that the version calls: the hosted ones of a prompt, a vendor's fine-tune.
fn called(facts: &Facts) -> Vec<Value> {
    let model = |name: &str| {
        let name = one_line(name);
        json!({ "type": "machine-learning-model", "bom-ref": format!("model:{name}"), "name": name })
    };
    match &facts.document.invoke.target {
        Target::Hosted { models } => {
            let names: std::collections::BTreeSet<&String> = models.iter().collect();
            names
                .into_iter()
                .map(|name| {
                    let mut one = model(name);
                    one["scope"] = json!("optional");
                    one
                })
                .collect()
        }
        Target::Vendor { vendor, model: name } => {
            let mut one = model(name);
            one["supplier"] = json!({ "name": one_line(vendor) });
            vec![one]
        }
        Target::Adapter { .. } | Target::Weights { .. } => Vec::new(),
    }
}

/// What the version was made from, each with its own ancestor inside. The farthest may be a model of elsewhere.
pub(super) fn ancestors(facts: &Facts) -> Option<Value> {
    let outermost = match facts.ancestors.last() {
        Some(last) => last.base.as_deref(),
        None => facts.base(),
    };
    let mut above = outermost.map(elsewhere);
    for ancestor in facts.ancestors.iter().rev() {
        let mut component = component_of(&ancestor.workload, &ancestor.version, &ancestor.digest);
        component["properties"] = json!([property("tier", ancestor.tier)]);
        if let Some(above) = above {
            component["pedigree"] = json!({ "ancestors": [above] });
        }
        above = Some(component);
    }
    above.map(|nearest| json!([nearest]))
}

/// A base model that is no version the reader may see here: its name as given, and its digest if the name has one.
fn elsewhere(base: &str) -> Value {
    let (name, revision) = base.rsplit_once('@').map_or((base, None), |(name, at)| (name, Some(at)));
    let mut component = json!({
        "type": "machine-learning-model",
        "bom-ref": format!("base:{}", one_line(base)),
        "name": one_line(name),
    });
    let Some(revision) = revision else { return component };
    component["version"] = json!(one_line(revision));
    if let Ok(digest) = revision.parse() {
        component["hashes"] = hashes(&digest);
    }
    let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._/".contains(&b));
    if let Some(name) = name.strip_prefix("hf:").filter(|name| is_plain(name) && is_plain(revision)) {
        component["name"] = json!(name);
        component["purl"] = json!(format!("pkg:huggingface/{name}@{}", revision.to_lowercase()));
    }
    component
}
