//! Evidence: immutable records about one manifest digest. What a statement says is kept in one form, whatever
//! file it came from; the exact bytes are kept beside it.

use super::{digest::Digest, monitor::Window, name::PrincipalName, stage::Stage};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// Most bytes of one piece of evidence.
pub const MAX_BYTES: usize = 16 << 20;

/// Annotations of the OCI manifest that carries a piece of evidence: who said it, of what it speaks, and when.
pub const BY: &str = "dev.gradus.evidence.by";
pub const ABOUT: &str = "dev.gradus.evidence.about";
pub const CREATED: &str = "org.opencontainers.image.created";
/// The media type of the layer that is a public key.
pub const PEM: &str = "application/x-pem-file";

/// What a piece of evidence is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// Metrics measured on a suite of examples.
    Evaluation,
    /// Somebody's yes or no to one promotion. Made by `approve` and `reject` only.
    Approval,
    /// What a scanner found in the files.
    Scan,
    /// A signature over the files' digests, checked when it came.
    Signature,
    /// How the files were made (SLSA).
    Provenance,
    /// Intended use, limits, licence.
    ModelCard,
    /// The profile of data that later data are compared with.
    DriftBaseline,
    /// What a drift check found. Made by drift checks only.
    DriftReport,
    /// How a deployment fares. Made by deployment reports only.
    DeploymentHealth,
    /// What was said at another registry by a verb of its own, such as an approval. It informs, no gate counts it.
    Imported,
}

impl EvidenceKind {
    pub const ALL: [Self; 10] = [
        Self::Evaluation,
        Self::Approval,
        Self::Scan,
        Self::Signature,
        Self::Provenance,
        Self::ModelCard,
        Self::DriftBaseline,
        Self::DriftReport,
        Self::DeploymentHealth,
        Self::Imported,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Evaluation => "evaluation",
            Self::Approval => "approval",
            Self::Scan => "scan",
            Self::Signature => "signature",
            Self::Provenance => "provenance",
            Self::ModelCard => "model_card",
            Self::DriftBaseline => "drift_baseline",
            Self::DriftReport => "drift_report",
            Self::DeploymentHealth => "deployment_health",
            Self::Imported => "imported",
        }
    }

    /// The artifact type of the OCI manifest that carries it.
    pub fn artifact_type(self) -> String {
        format!("application/vnd.gradus.evidence.{}.v1+json", self.name().replace('_', "-"))
    }

    pub fn of_artifact_type(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.artifact_type() == text)
    }

    /// Whether whoever may push may attach it. The others come only from verbs of their own.
    pub fn is_attachable(self) -> bool {
        !matches!(self, Self::Approval | Self::DriftReport | Self::DeploymentHealth)
    }
}

impl fmt::Display for EvidenceKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for EvidenceKind {
    type Err = crate::error::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            crate::error::Error::invalid(
                "evidence_kind_invalid",
                format!("not a kind of evidence: {}", super::digest::shorten(text)),
            )
            .hint(format!("kinds are {names}"))
        })
    }
}

/// What a piece of evidence says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "statement", rename_all = "snake_case")]
pub enum Statement {
    Evaluation(Evaluation),
    Approval(Approval),
    Scan(Scan),
    Signature(Signature),
    Provenance(Provenance),
    ModelCard(ModelCard),
    DriftBaseline(DriftBaseline),
    DriftReport(DriftReport),
    DeploymentHealth(DeploymentHealth),
    Imported(Imported),
}

impl Statement {
    pub fn kind(&self) -> EvidenceKind {
        match self {
            Self::Evaluation(_) => EvidenceKind::Evaluation,
            Self::Approval(_) => EvidenceKind::Approval,
            Self::Scan(_) => EvidenceKind::Scan,
            Self::Signature(_) => EvidenceKind::Signature,
            Self::Provenance(_) => EvidenceKind::Provenance,
            Self::ModelCard(_) => EvidenceKind::ModelCard,
            Self::DriftBaseline(_) => EvidenceKind::DriftBaseline,
            Self::DriftReport(_) => EvidenceKind::DriftReport,
            Self::DeploymentHealth(_) => EvidenceKind::DeploymentHealth,
            Self::Imported(_) => EvidenceKind::Imported,
        }
    }

    /// What a newer statement speaks of again: its kind, and the suite of an evaluation.
    pub fn topic(&self) -> (EvidenceKind, Option<&str>) {
        let suite = match self {
            Self::Evaluation(evaluation) => Some(evaluation.suite.as_str()),
            _ => None,
        };
        (self.kind(), suite)
    }
}

/// Metrics of one version on one suite.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// The suite's name: evaluations are compared within one suite only.
    pub suite: String,
    /// The suite's content. Where both sides have one, only equal ones are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite_digest: Option<Digest>,
    /// The data that was evaluated on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub datasets: Vec<Digest>,
    pub metrics: BTreeMap<String, Metric>,
    /// What measured it, for example `lm-eval 0.4.9`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Metrics for which the result of each example is kept too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with_examples: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    pub value: f64,
    /// Examples behind the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// For example `ratio`, `ms`, `usd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    #[serde(default)]
    pub better: Better,
}

/// A confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
    /// How sure, for example 0.95.
    pub level: f64,
}

/// Which way a metric improves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    #[default]
    Higher,
    Lower,
}

/// Results example by example: metric → example id → result. Pass and fail are 1 and 0.
pub type Examples = BTreeMap<String, BTreeMap<String, f64>>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    pub stage: Stage,
    /// The digest of the rules the promotion is judged by: an approval holds for these only.
    pub rules: Digest,
    pub decision: Decision,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    Approve,
    Reject,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scan {
    /// For example `modelscan 0.8.8`.
    pub scanner: String,
    /// Findings by severity, for example `high`. Empty: clean.
    #[serde(default)]
    pub findings: BTreeMap<String, u64>,
}

/// An OpenSSF model signature that was checked against the version's files when it was attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    pub method: SignatureMethod,
    /// SHA-256 in hex: of the public key's PEM text (key method), or of the leaf certificate's DER (certificate method).
    pub key: String,
    /// Certificate method: SHA-256 in hex of the DER of the chain's last certificate, which vouches for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Who the certificate says it was made out to. Worth what the root is worth, which is not known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

impl Signature {
    /// By whom, in a few words that claim no more than was checked.
    pub fn signer(&self) -> String {
        fn short(print: &str) -> String {
            print.chars().take(12).collect()
        }
        let root = self.root.as_deref().map(|root| format!(", root {}", short(root))).unwrap_or_default();
        match (self.method, &self.identity) {
            (SignatureMethod::Key, _) => format!("key {}", short(&self.key)),
            (SignatureMethod::Certificate, Some(identity)) => {
                format!("a certificate that names {identity}{root}")
            }
            (SignatureMethod::Certificate, None) => {
                format!("certificate {} that names nobody{root}", short(&self.key))
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SignatureMethod {
    Key,
    Certificate,
}

/// The parts of SLSA provenance v1 that gates look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    pub builder: String,
    pub build_type: String,
    /// What went into the build: URI, and digest where the statement has one.
    #[serde(default)]
    pub materials: Vec<Material>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
    /// Of a signed envelope that was checked when it came: SHA-256 in hex of the public key's PEM text. Without it,
    /// nobody's signature was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Material {
    pub uri: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// A model card's parts by name, for example `license`, `intended_use`, `limitations`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    pub parts: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriftBaseline {
    /// Of the profile's bytes, which the repository has as a blob.
    pub profile: Digest,
    pub rows: u64,
    pub columns: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriftReport {
    pub monitor: String,
    pub verdict: DriftVerdict,
    /// Of which time the data are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// In a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Most reports about one version that are kept; above three quarters of them only news.
pub const DRIFT_REPORTS_MAX: usize = 8000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DriftVerdict {
    Clear,
    Drift,
    /// Too little data to tell.
    Unclear,
}

/// Most pieces that one speaker may say of how a version fares where it is deployed: they come by themselves, and have a
/// place of their own, so that nobody fills that of others.
pub const HEALTH_MAX: usize = 6000;
/// What only lasts is kept up to here, so that there is room for news.
pub const HEALTH_STILL_MAX: usize = 4000;
/// Most pieces that all speakers together may say of it.
pub const HEALTH_ALL_MAX: usize = 5 * HEALTH_MAX;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeploymentHealth {
    pub target: String,
    pub healthy: bool,
    /// What was said of the content's health there is taken back: the target was retired, or runs what had failed. A bad
    /// word counts on if whoever takes it back does not count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
    /// The stage the target follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Since when the target has had these bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl DeploymentHealth {
    /// In a word.
    pub fn state(&self) -> &'static str {
        match (self.retired, self.healthy) {
            (true, _) => "retired",
            (_, true) => "healthy",
            (_, false) => "not healthy",
        }
    }
}

/// What was said of the same bytes at another registry, in evidence that comes only from verbs of its own. What it says
/// here is that this was brought along: it was not said here, and no gate counts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Imported {
    /// The digest of the manifest it was at the other registry.
    pub original: Digest,
    /// What kind of evidence it was there.
    pub about: EvidenceKind,
    /// What it said, in a word or a few: `approved`, `drift report`, `healthy on eu-1`.
    pub said: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Who said it there, as the other registry names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it was said there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The other registry's name, as whoever brought it along says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
}

impl Imported {
    /// In a sentence without an end, which leaves no doubt that it does not count.
    pub fn sentence(&self) -> String {
        let mut text = self.said.clone();
        let mut add = |word: &str, what: Option<String>| {
            if let Some(what) = what {
                text.push_str(&format!(" {word} {what}"));
            }
        };
        add("for", self.stage.as_ref().map(Stage::to_string));
        add("by", self.by.clone());
        add("on", self.at.map(|at| at.format("%Y-%m-%d").to_string()));
        add("at", self.registry.clone());
        let reason = self.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("imported: {text}{reason}; does not count here")
    }
}

/// A statement with what makes it evidence: about which bytes, by whom, when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// The digest of the OCI manifest that carries it: its identity.
    pub digest: Digest,
    /// The manifest digest it is about.
    pub subject: Digest,
    #[serde(flatten)]
    pub statement: Statement,
    pub by: PrincipalName,
    pub at: DateTime<Utc>,
}
