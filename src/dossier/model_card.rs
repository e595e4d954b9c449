//! A model card: YAML front matter as model hubs read it, then Markdown. From the newest model card that was attached
//! and from what the registry knows itself.

use super::{
    facts::Facts,
    page::{Page, by, code, inline, list, moment, one_line, source},
};
use crate::model::{kind::Kind, kind::Tier};
use serde::Serialize;
use std::collections::BTreeSet;

/// Sections that every card has: heading, parts of an attached card that fill it, what is missing without one.
const SECTIONS: [(&str, &[&str], &str); 6] = [
    ("Intended use", &["intended_use"], "what it is intended for"),
    ("Limitations", &["limitations"], "what it is not good at"),
    ("Training procedure", &["training_procedure"], "how it was trained or written"),
    ("Ethical considerations", &["ethical_considerations"], "which ethical questions it raises"),
    ("License", &["license"], "under which license it may be used"),
    ("Contact", &["contact"], "whom to ask"),
];
/// Parts that have a place of their own: in the front matter, or in the sections about data and evaluation.
const PLACED: [&str; 9] = [
    "training_data",
    "evaluation",
    "license_name",
    "license_link",
    "base_model",
    "datasets",
    "language",
    "library_name",
    "pipeline_tag",
];
/// Rows of metrics, in the front matter and in the table each.
const METRICS_MAX: usize = 2000;

#[derive(Serialize)]
struct Front {
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    license_name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    base_model: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_model_relation: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    datasets: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    library_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline_tag: Option<String>,
    tags: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    metrics: BTreeSet<String>,
    #[serde(rename = "model-index", skip_serializing_if = "Vec::is_empty")]
    index: Vec<Indexed>,
}

#[derive(Serialize)]
struct Indexed {
    name: String,
    results: Vec<Measured>,
}

#[derive(Serialize)]
struct Measured {
    task: Typed,
    dataset: Suite,
    metrics: Vec<Value>,
}

#[derive(Serialize)]
struct Typed {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize)]
struct Suite {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
}

#[derive(Serialize)]
struct Value {
    #[serde(rename = "type")]
    kind: String,
    value: f64,
}

pub(super) fn write(facts: &Facts) -> String {
    let front = serde_norway::to_string(&front(facts)).unwrap_or_default();
    format!("---\n{front}---\n\n{}", body(facts))
}

fn front(facts: &Facts) -> Front {
    let part = |name: &str| facts.part(&[name]).map(|(_, text, _)| word(text));
    let is_name = |text: &String| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    let license = part("license");
    let named = license.as_ref().is_none_or(is_name);
    let base = facts.base().map(|base| match facts.ancestors.first() {
        Some(ancestor) => ancestor.workload.to_string(),
        None => word(base.strip_prefix("hf:").and_then(|base| base.split('@').next()).unwrap_or(base)),
    });
    let relation = (facts.tier == Tier::Adapter && base.is_some()).then_some("adapter");
    let tags = part("tags").unwrap_or_default();
    let tags = tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned);
    let own = ["gradus".to_owned(), facts.tier.to_string(), facts.kind.to_string()];
    let metrics = facts.evaluations().flat_map(|(_, one)| one.metrics.keys()).map(|name| word(name));
    Front {
        license: if named { license.clone() } else { Some("other".to_owned()) },
        license_name: if named { part("license_name") } else { part("license_name").or(license) },
        base_model: base.into_iter().collect(),
        base_model_relation: relation,
        datasets: facts.datasets().iter().map(|one| format!("{}@{}", word(&one.name), one.digest)).collect(),
        language: part("language"),
        library_name: part("library_name").or_else(|| (facts.kind == Kind::Peft).then(|| "peft".to_owned())),
        pipeline_tag: part("pipeline_tag"),
        tags: own.into_iter().chain(tags).collect(),
        metrics: metrics.take(METRICS_MAX).collect(),
        index: index(facts, part("pipeline_tag")),
    }
}

fn index(facts: &Facts, task: Option<String>) -> Vec<Indexed> {
    let of_adapter = facts.inspection.adapter.as_ref().and_then(|adapter| adapter.task_type.as_deref());
    let task = task.or_else(|| of_adapter.map(word)).unwrap_or_else(|| "other".to_owned());
    let mut room = METRICS_MAX;
    let mut results = Vec::new();
    for (_, evaluation) in facts.evaluations() {
        let value = |(name, metric): (&String, &crate::model::evidence::Metric)| Value {
            kind: word(name),
            value: metric.value,
        };
        let metrics: Vec<Value> = evaluation.metrics.iter().take(room).map(value).collect();
        room -= metrics.len();
        if metrics.is_empty() {
            break;
        }
        let suite = word(&evaluation.suite);
        let revision = evaluation.suite_digest.as_ref().map(ToString::to_string);
        let dataset = Suite { name: suite.clone(), kind: suite, revision };
        results.push(Measured { task: Typed { kind: task.clone() }, dataset, metrics });
    }
    match results.is_empty() {
        true => Vec::new(),
        false => vec![Indexed { name: facts.workload.to_string(), results }],
    }
}

/// A value of the front matter: one line, and no HTML for readers who know no front matter and show it as text.
fn word(text: &str) -> String {
    one_line(&text.replace(['<', '>'], " "))
}

fn body(facts: &Facts) -> String {
    let mut page = Page::default();
    page.heading(1, &format!("Model card: {}", facts.reference()));
    details(&mut page, facts);
    for (heading, names, missing) in SECTIONS {
        page.heading(2, heading);
        part(&mut page, facts, names, missing);
    }
    training_data(&mut page, facts);
    evaluation(&mut page, facts);
    further(&mut page, facts);
    page.finish()
}

fn details(page: &mut Page, facts: &Facts) {
    page.heading(2, "Model details");
    page.fact(format!("version {} of {}, manifest {}", facts.version, facts.workload, code(&facts.digest)));
    page.fact(format!(
        "tier {}, kind {}, made {}",
        facts.tier,
        facts.kind,
        by(&facts.created_by, facts.created_at)
    ));
    page.fact(format!("authors: {}", list(&facts.authors)));
    let found = &facts.inspection;
    if let Some(architecture) = &found.architecture {
        page.fact(format!("architecture: {}", inline(architecture)));
    }
    if let Some(parameters) = found.parameters {
        page.fact(format!("parameters: {parameters}, stored as {}", list(found.dtypes.keys())));
    }
    match facts.base() {
        Some(base) => page.fact(format!("base model: {}", inline(base))),
        None if facts.tier == Tier::Adapter => {
            page.gap("no base model is named", "push it again with `--base MODEL`");
        }
        None => {}
    }
    for ancestor in &facts.ancestors {
        let (workload, version, at) = (&ancestor.workload, &ancestor.version, moment(ancestor.at));
        page.fact(format!("descends from {workload}:{version} {}, made at {at}", code(&ancestor.digest)));
    }
    if let Some((at, reason)) = &facts.yanked {
        page.fact(format!("withdrawn (yanked) at {}: {}", moment(*at), inline(reason)));
    }
    if let Some((evidence, _)) = facts.card() {
        page.fact(format!("words in quotation are from the newest model card: {}", source(evidence)));
    }
}

fn part(page: &mut Page, facts: &Facts, names: &[&str], missing: &str) {
    match facts.part(names) {
        Some((_, text, _)) => page.quote(text),
        None => page.gap(
            format!("nothing says {missing}"),
            format!(
                "a model card with a part `{}`, attached with `gradus eval attach {} CARD --kind model_card`",
                names.first().copied().unwrap_or_default(),
                facts.reference()
            ),
        ),
    }
}

fn training_data(page: &mut Page, facts: &Facts) {
    page.heading(2, "Training data");
    let datasets = facts.datasets();
    for dataset in &datasets {
        page.fact(format!("{}: {}", inline(&dataset.name), code(&dataset.digest)));
    }
    match facts.tier {
        Tier::Prompt => page.fact("a prompt: text, for which no model was trained"),
        _ if datasets.is_empty() => {
            page.gap("no training data is named", "push it again with `--dataset NAME=DIGEST`");
        }
        _ => {}
    }
    if facts.tier != Tier::Prompt || facts.part(&["training_data"]).is_some() {
        part(page, facts, &["training_data"], "where the training data come from");
    }
}

fn evaluation(page: &mut Page, facts: &Facts) {
    page.heading(2, "Evaluation");
    let rows: Vec<Vec<String>> = facts
        .evaluations()
        .flat_map(|(evidence, evaluation)| {
            evaluation.metrics.iter().map(move |(name, metric)| {
                let unit =
                    metric.unit.as_deref().map(|unit| format!(" {}", inline(unit))).unwrap_or_default();
                let interval = metric.interval.map(|one| format!("{} to {}", one.low, one.high));
                vec![
                    inline(&evaluation.suite),
                    inline(name),
                    format!("{}{unit}", metric.value),
                    metric.n.map(|n| n.to_string()).unwrap_or_default(),
                    interval.unwrap_or_default(),
                    code(&evidence.digest),
                ]
            })
        })
        .take(METRICS_MAX)
        .collect();
    if rows.is_empty() {
        let filler = format!("`gradus eval attach {} RESULTS.json`", facts.reference());
        page.gap("it was never evaluated", filler);
    } else {
        page.table(&["suite", "metric", "value", "examples", "interval", "evidence"], &rows);
    }
    if let Some((_, text, _)) = facts.part(&["evaluation"]) {
        page.quote(text);
    }
}

/// What else the attached card says, under its own names.
fn further(page: &mut Page, facts: &Facts) {
    let Some((_, card)) = facts.card() else { return };
    let is_placed = |name: &str| {
        PLACED.contains(&name) || SECTIONS.iter().any(|(_, names, _)| names.contains(&name)) || name == "tags"
    };
    let rest: Vec<_> = card.parts.iter().filter(|(name, _)| !is_placed(name)).collect();
    if rest.is_empty() {
        return;
    }
    page.heading(2, "Further parts of the attached card");
    for (name, text) in rest {
        page.fact(format!("{}:", inline(name)));
        page.quote(text);
    }
}
