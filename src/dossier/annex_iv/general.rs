//! Point 1: the general description.

use super::{Asks, Point, by, code, inline, list};
use crate::model::{kind::Tier, resolution::Target};

pub(super) const POINTS: [Asks; 8] = [
    Asks("1(a)", "Intended purpose, provider, version and its relation to previous versions", purpose),
    Asks("1(b)", "Interaction with hardware, software and other AI systems", interaction),
    Asks("1(c)", "Versions of relevant software or firmware", software),
    Asks("1(d)", "Forms in which it is placed on the market or put into service", forms),
    Asks("1(e)", "Hardware on which it is intended to run", hardware),
    Asks("1(f)", "Products of which it is a component", product),
    Asks("1(g)", "User interface provided to the deployer", interface),
    Asks("1(h)", "Instructions for use", instructions),
];

/// Versions before this one that are named.
const EARLIER_MAX: usize = 20;

fn purpose(point: &mut Point<'_>) {
    point.card(&["intended_use"], "what it is intended for");
    point.card(&["provider"], "who the provider is");
    let facts = point.facts;
    point.fact(format!("in the registry it belongs to the namespace {}", facts.workload.namespace()));
    point.fact(format!(
        "version {} (number {} of the workload), tier {}, kind {}, made {}",
        facts.version,
        facts.sequence,
        facts.tier,
        facts.kind,
        by(&facts.created_by, facts.created_at)
    ));
    point.fact(format!("authors of its content: {}", list(&facts.authors)));
    if facts.earlier.is_empty() {
        point.fact("no lower version of the workload");
    }
    for earlier in facts.earlier.iter().take(EARLIER_MAX) {
        let yanked = if earlier.is_yanked { ", withdrawn" } else { "" };
        point.fact(format!(
            "before it: {} ({}{yanked}), {}, made {}",
            earlier.version,
            earlier.tier,
            code(&earlier.digest),
            by(&earlier.by, earlier.at)
        ));
    }
    if let Some(changes) = &facts.changes {
        point.fact(format!(
            "contract compared with {}: {}",
            changes.since,
            super::governance::change(changes.diff.change)
        ));
    }
}

fn interaction(point: &mut Point<'_>) {
    let document = &point.facts.document;
    let contract = &document.contract.digest;
    point.fact(format!("it takes and answers JSON by the contract {}", code(contract)));
    let target = match &document.invoke.target {
        Target::Hosted { models } if models.is_empty() => {
            "a prompt that names no model it is to run on".to_owned()
        }
        Target::Hosted { models } => format!("a prompt for any of the hosted models: {}", list(models)),
        Target::Vendor { vendor, model } => {
            format!("the model {} that the vendor {} keeps", inline(model), inline(vendor))
        }
        Target::Adapter { base, artifact } => {
            let base = base.as_deref().map_or_else(|| "a base model that is not named".to_owned(), inline);
            format!("the adapter {} on {base}", inline(artifact))
        }
        Target::Weights { artifact } => format!("the weights {}", inline(artifact)),
    };
    point.fact(format!("what is invoked: {target}"));
    point.card(
        &["interaction", "integration"],
        "with which other hardware, software or AI systems it interacts",
    );
}

fn software(point: &mut Point<'_>) {
    let found = &point.facts.inspection;
    if !found.formats.is_empty() {
        point.fact(format!("file formats found: {}", list(&found.formats)));
    }
    for (name, value) in &found.facts {
        point.fact(format!("found in the files: {} = {}", inline(name), inline(value)));
    }
    point.card(&["software", "library_name"], "which software versions it needs");
}

fn forms(point: &mut Point<'_>) {
    let facts = point.facts;
    let bytes: u64 = facts.files.iter().map(|file| file.size).sum();
    point.fact(format!(
        "files in the registry: {} with {bytes} bytes, as an OCI artifact {}@{}",
        facts.files.len(),
        facts.workload,
        facts.digest
    ));
    point.fact(format!("bytes are kept in the region: {}", inline(&facts.region)));
    point.card(&["distribution"], "in which forms it is placed on the market or put into service");
}

fn hardware(point: &mut Point<'_>) {
    let found = &point.facts.inspection;
    if let Some(parameters) = found.parameters {
        point.fact(format!("parameters found: {parameters}"));
    }
    for (dtype, count) in &found.dtypes {
        point.fact(format!("of these stored as {}: {count}", inline(dtype)));
    }
    point.card(&["hardware"], "on which hardware it is to run");
}

fn product(point: &mut Point<'_>) {
    point.card(&["product"], "whether it is a component of products, and how those look and are marked");
}

fn interface(point: &mut Point<'_>) {
    point.card(&["user_interface"], "what user interface deployers get");
}

fn instructions(point: &mut Point<'_>) {
    let facts = point.facts;
    point.fact(format!("how to run it, for programs: `gradus resolve {}`", facts.reference()));
    match &facts.document.invoke.prompt_file {
        Some(file) => point.fact(format!(
            "its prompt: {} {}; filled in with `gradus render {}`",
            inline(file.path.as_str()),
            code(&file.digest),
            facts.reference()
        )),
        None => point.fact("it has no prompt"),
    }
    if facts.tier != Tier::Prompt {
        point.fact(format!("its files, verified: `gradus pull {}`", facts.reference()));
    }
    point.card(&["instructions_for_use", "how_to_use", "usage"], "how deployers are to use it");
}
