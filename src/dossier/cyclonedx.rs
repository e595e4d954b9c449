//! A CycloneDX 1.6 bill of materials (ML-BOM). Keys are sorted, there is no time but that of the version's making, and
//! the serial number comes from the version's identity, so the same facts are the same bytes.

mod card;
mod parts;

use super::facts::Facts;
use crate::model::{digest::Digest, kind::Tier};
use parts::{component_of, property};
use serde_json::{Value, json};

pub(super) fn document(facts: &Facts) -> Value {
    let components = parts::components(facts);
    let main = main_component(facts);
    let used: Vec<&Value> = components.iter().map(|component| &component["bom-ref"]).collect();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial_number(facts),
        "version": revision(facts),
        "metadata": {
            "timestamp": facts.created_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            "tools": { "components": [
                { "type": "application", "name": "gradus", "version": env!("CARGO_PKG_VERSION") },
            ] },
            "component": main,
        },
        "dependencies": [{ "ref": main["bom-ref"], "dependsOn": used }],
        "components": components,
    })
}

/// A UUID of the version: of its name too, since two versions may have the same content.
fn serial_number(facts: &Facts) -> String {
    let identity = format!("gradus cyclonedx\n{}\n{}", facts.reference(), facts.digest);
    let hash = Digest::sha256(identity.as_bytes());
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(hash.hex().as_bytes().as_chunks::<2>().0) {
        *byte = std::str::from_utf8(pair).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0);
    }
    format!("urn:uuid:{}", uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// The content never changes, but more is said about it with time; that makes the next revision of the same bill.
fn revision(facts: &Facts) -> usize {
    1 + facts.evidence.len() + usize::from(facts.yanked.is_some())
}

fn main_component(facts: &Facts) -> Value {
    let mut main = component_of(&facts.workload, &facts.version, &facts.digest);
    main["modelCard"] = card::model_card(facts);
    if let Some(purl) = purl(facts) {
        main["purl"] = json!(purl);
    }
    if let Some(licenses) = card::licenses(facts) {
        main["licenses"] = licenses;
    }
    let authors: Vec<Value> = facts.authors.iter().map(|author| json!({ "name": author })).collect();
    if !authors.is_empty() {
        main["authors"] = json!(authors);
    }
    if let Some(ancestors) = parts::ancestors(facts) {
        main["pedigree"] = json!({ "ancestors": ancestors });
    }
    main["properties"] = json!(properties(facts));
    main["tags"] = json!([facts.tier, facts.kind]);
    main
}

/// Of the OCI artifact, where it is known under which name the registry is reached.
fn purl(facts: &Facts) -> Option<String> {
    let host = facts.registry.url.as_deref()?.split_once("://")?.1.trim_end_matches('/');
    let digest = facts.digest.as_str().replace(':', "%3A");
    let (name, workload, version) = (facts.workload.name(), &facts.workload, &facts.version);
    Some(format!("pkg:oci/{name}@{digest}?repository_url={host}/{workload}&tag={version}"))
}

fn properties(facts: &Facts) -> Vec<Value> {
    let found = &facts.inspection;
    let mut all = vec![
        property("tier", facts.tier),
        property("kind", facts.kind),
        property("contract", &facts.document.contract.digest),
        property("created_by", &facts.created_by),
        property("region", &facts.region),
        property("safety", json!(found.safety).as_str().unwrap_or_default()),
    ];
    all.extend(found.parameters.map(|parameters| property("parameters", parameters)));
    all.extend(found.dtypes.iter().map(|(dtype, count)| property("dtype", format!("{dtype} {count}"))));
    all.extend(found.quantization.as_ref().map(|text| property("quantization", text)));
    if let Some(adapter) = facts.inspection.adapter.as_ref().filter(|_| facts.tier == Tier::Adapter) {
        all.extend(adapter.method.as_ref().map(|method| property("adapter.method", method)));
        all.extend(adapter.rank.map(|rank| property("adapter.rank", rank)));
        all.extend(adapter.target_modules.iter().map(|module| property("adapter.target_module", module)));
    }
    all.extend(facts.yanked.iter().map(|(_, reason)| property("yanked", reason)));
    let said = facts.evidence.iter().map(|one| format!("{} {}", one.statement.kind(), one.digest));
    all.extend(said.map(|text| property("evidence", text)));
    all
}
