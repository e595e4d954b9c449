//! What resolving a reference answers: one shape at every tier, so that a consumer written against a prompt
//! keeps working when the adapter and the weights come. Published as `schemas/resolution.schema.json`.

use super::{
    artifact::{Dataset, File},
    digest::Digest,
    kind::{Kind, Tier},
    name::Workload,
    version::Version,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The answer to `resolve`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Resolution {
    /// As asked, for example `acme/ticket-triage:^1`.
    pub reference: String,
    pub workload: Workload,
    pub version: Version,
    /// The manifest's digest: the identity of the version's content.
    pub digest: Digest,
    pub tier: Tier,
    pub kind: Kind,
    /// The version as a count within its workload, for clients that know whole numbers only.
    pub sequence: i64,
    /// The version as 40 hexadecimal digits, for clients that expect a revision.
    pub revision: String,
    /// Why it was withdrawn, if it was.
    pub yanked: Option<String>,
    pub warnings: Vec<String>,
    #[serde(flatten)]
    pub document: Document,
}

/// The part of a resolution that is fixed when the version is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Document {
    pub contract: ContractDocument,
    pub invoke: Invoke,
    pub lineage: Lineage,
}

/// What goes in and what comes out, as JSON Schemas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ContractDocument {
    pub digest: Digest,
    pub input: Value,
    pub output: Value,
}

/// How to run the workload, at every tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Invoke {
    /// The prompt in its normal form (see `prompt.schema.json`); `render` fills it in. `null` for a workload that has none.
    pub prompt: Option<Value>,
    /// The file the prompt came from.
    pub prompt_file: Option<File>,
    /// Sampling parameters where no model is named.
    pub parameters: serde_json::Map<String, Value>,
    pub target: Target,
}

/// What answers the prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Target {
    /// Any of these models, by the consumer's choice. Empty: any at all.
    Hosted { models: Vec<String> },
    /// A fine-tuned model that a vendor keeps.
    Vendor { vendor: String, model: String },
    /// A base model with this adapter on it.
    Adapter { base: Option<String>, artifact: String },
    /// These weights.
    Weights { artifact: String },
}

/// What the artifact was made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Lineage {
    pub base: Option<String>,
    pub datasets: Vec<Dataset>,
}
