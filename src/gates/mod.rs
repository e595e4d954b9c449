//! Gates: what a version must show before it enters a stage. One file each, pure: a gate looks at [`Facts`] and
//! answers a [`Verdict`], the same for the same facts. Adding one is a file with a `GATE` and a line in [`GATES`].

mod approvals;
mod base_pinned;
mod budget;
mod contract_honest;
mod dataset_lineage;
mod deployment_healthy;
mod drift_baseline;
mod drift_clear;
mod effective;
mod evaluation;
mod evaluation_unseen;
mod expression;
mod facts;
mod fresh;
mod frozen;
mod judge;
mod licence;
mod lints;
mod model_card;
mod no_regression;
mod policy;
mod provenance;
mod residency;
mod safe_formats;
mod scan_clean;
mod signature;
mod soak;
mod statistics;
#[cfg(test)]
mod tests;
mod workload_described;

pub use crate::model::access::Person;
pub use base_pinned::is_pinned;
pub use deployment_healthy::standing as standing_health;
pub use effective::{Effective, Level, Rules};
pub use facts::{Block, Facts, Freeze, Honesty, Quarantine, Source, Stay, Subject};
pub use judge::{GateReport, Report, judge};
pub use policy::{BUILT_IN, Bake, FreezeWindow, GateSpec, OnUnhealthy, Policy, Pulls, QuarantineRule, Rule};

use crate::model::{
    digest::Digest,
    evidence::{Evidence, EvidenceKind},
};
use chrono::{DateTime, Utc};
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// All gates, in the order in which `gradus policy gates` prints them.
pub const GATES: [&Definition; 24] = [
    &lints::GATE,
    &contract_honest::GATE,
    &safe_formats::GATE,
    &base_pinned::GATE,
    &dataset_lineage::GATE,
    &evaluation::GATE,
    &no_regression::GATE,
    &evaluation_unseen::GATE,
    &budget::GATE,
    &approvals::GATE,
    &soak::GATE,
    &signature::GATE,
    &provenance::GATE,
    &model_card::GATE,
    &licence::GATE,
    &scan_clean::GATE,
    &drift_baseline::GATE,
    &drift_clear::GATE,
    &deployment_healthy::GATE,
    &fresh::GATE,
    &residency::GATE,
    &workload_described::GATE,
    &expression::GATE,
    &frozen::GATE,
];

/// What a gate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Pass,
    /// Not yet: something that is asked for is not there, or cannot be told yet.
    Wait,
    /// What is there speaks against it.
    Fail,
}

/// A gate's answer, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub outcome: Outcome,
    /// One sentence, with the numbers and names it rests on.
    pub reason: String,
    /// The evidence it rests on.
    pub evidence: Vec<Digest>,
    /// When time alone may change the answer: evidence gets too old, a soak or a freeze ends.
    pub changes_at: Option<DateTime<Utc>>,
    /// What to do, for whoever reads the report.
    pub next: Option<String>,
}

impl Verdict {
    fn new(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self { outcome, reason: reason.into(), evidence: Vec::new(), changes_at: None, next: None }
    }

    pub fn pass(reason: impl Into<String>) -> Self {
        Self::new(Outcome::Pass, reason)
    }

    pub fn wait(reason: impl Into<String>) -> Self {
        Self::new(Outcome::Wait, reason)
    }

    pub fn fail(reason: impl Into<String>) -> Self {
        Self::new(Outcome::Fail, reason)
    }

    /// Names the evidence the verdict rests on.
    #[must_use]
    pub fn by<'a>(mut self, evidence: impl IntoIterator<Item = &'a Evidence>) -> Self {
        self.evidence.extend(evidence.into_iter().map(|evidence| evidence.digest.clone()));
        self
    }

    #[must_use]
    pub fn until(mut self, at: Option<DateTime<Utc>>) -> Self {
        self.changes_at = at;
        self
    }

    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next = Some(step.into());
        self
    }
}

/// A gate with its parameters.
pub trait Gate: Send + Sync {
    /// What the types of the parameters cannot rule out. A policy with such parameters is refused.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn judge(&self, facts: &Facts) -> Verdict;
}

/// What there is to know about a gate without any parameters.
pub struct Definition {
    pub name: &'static str,
    /// What it asks, in one sentence.
    pub summary: &'static str,
    /// Evidence without which it never passes.
    pub asks_for: Option<EvidenceKind>,
    /// The schema of its parameters.
    pub schema: fn(&mut SchemaGenerator) -> schemars::Schema,
    read: fn(Value) -> Result<Box<dyn Gate>, String>,
}

/// Parameters are a gate.
const fn define<P: Gate + DeserializeOwned + JsonSchema + 'static>(
    name: &'static str,
    summary: &'static str,
    asks_for: Option<EvidenceKind>,
) -> Definition {
    Definition { name, summary, asks_for, schema: schema_of::<P>, read: read::<P> }
}

fn schema_of<P: JsonSchema>(generator: &mut SchemaGenerator) -> schemars::Schema {
    generator.subschema_for::<P>()
}

fn read<P: Gate + DeserializeOwned + 'static>(parameters: Value) -> Result<Box<dyn Gate>, String> {
    let gate = serde_json::from_value::<P>(parameters).map_err(|error| error.to_string())?;
    gate.check()?;
    Ok(Box::new(gate))
}

/// The gate of this name.
pub fn find(name: &str) -> Option<&'static Definition> {
    GATES.into_iter().find(|gate| gate.name == name)
}

/// Whether a name is one of the patterns: exact, or up to a `*` at the end.
fn matches_any(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    })
}

/// Whether it can be the SHA-256 of a key or a certificate.
fn is_fingerprint(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// How evidence of a kind is attached to the candidate.
fn attach(facts: &Facts, kind: EvidenceKind) -> String {
    let reference = facts.reference();
    match kind {
        EvidenceKind::Evaluation => format!("gradus eval attach {reference} RESULTS.json"),
        EvidenceKind::Signature => format!("gradus sign {reference} --key KEY.pem"),
        EvidenceKind::Approval => format!("gradus approve {reference} --to {} -m WHY", facts.stage),
        EvidenceKind::DriftBaseline => format!("gradus drift baseline {reference} --data FILES"),
        EvidenceKind::DriftReport => format!("run a drift check of {reference}"),
        EvidenceKind::DeploymentHealth => {
            format!("gradus deployment report {reference} --target NAME --status running --health healthy")
        }
        kind => format!("gradus eval attach {reference} FILE --kind {kind}"),
    }
}

/// A moment, for messages.
fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// A list for messages: at most five names, then how many more.
pub(crate) fn named<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    const SHOWN: usize = 5;
    let mut names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    let list = names.join(", ");
    if more == 0 { list } else { format!("{list} and {more} more") }
}
