//! `gradus eval`: evidence about a version.

use super::{
    argument,
    print::{Out, time},
};
use crate::{
    client::Client,
    error::{Error, Result},
    model::{
        evidence::{Decision, DriftVerdict, Evidence, EvidenceKind, MAX_BYTES, Statement},
        name::Workload,
        reference::Reference,
        version::Version,
    },
    wire,
};
use clap::Subcommand;
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub enum Eval {
    /// Attach a file to a version as evidence: evaluation results, a model card, provenance, a scan
    Attach {
        /// The version, for example acme/ticket-triage:1.5.0
        #[arg(value_parser = argument::<Reference>)]
        reference: Reference,
        /// The file; what it is, its content tells
        file: PathBuf,
        /// Refuse unless it is of this kind
        #[arg(long, value_parser = argument::<EvidenceKind>)]
        kind: Option<EvidenceKind>,
        /// Of a signature by a bare key, or of provenance in a signed envelope: the public key, PEM
        #[arg(long, value_name = "KEY")]
        public_key: Option<PathBuf>,
    },
    /// List what is said about a version
    List {
        /// The version, for example acme/ticket-triage:1.5.0
        #[arg(value_parser = argument::<Reference>)]
        reference: Reference,
    },
}

impl Eval {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        match self {
            Self::Attach { reference, file, kind, public_key } => {
                let bytes = read(&file)?;
                let key = public_key.map(std::fs::read_to_string).transpose()?;
                let attached = client.attach(&reference, kind, key.as_deref(), bytes).await?;
                out.data(&attached, |out| {
                    for one in &attached.evidence {
                        out.line(self::attached(one, &attached.workload, &attached.version));
                    }
                    for promoted in &attached.promoted {
                        out.line(format!(
                            "promoted {}:{} to {}",
                            promoted.workload, promoted.version, promoted.stage
                        ));
                    }
                })
            }
            Self::List { reference } => {
                let evidence = client.evidence(&reference).await?;
                out.data(&evidence, |out| {
                    for one in &evidence {
                        out.line(format!(
                            "{}  {}  {}  {}",
                            time(one.at),
                            one.digest.short(),
                            one.by,
                            describe(one)
                        ));
                    }
                })?;
                if evidence.is_empty() {
                    out.note(format!(
                        "nothing is said about {reference}; attach something with gradus eval attach"
                    ));
                }
                Ok(())
            }
        }
    }
}

pub(super) fn attached(one: &wire::AttachedEvidence, workload: &Workload, version: &Version) -> String {
    let what = if one.created { "attached" } else { "attached before:" };
    format!("{what} {} to {workload}:{version} {}", describe(&one.evidence), one.evidence.digest.short())
}

pub(super) fn read(file: &Path) -> Result<Vec<u8>> {
    let unreadable = |source: std::io::Error| {
        Error::not_found("file_not_found", format!("the file cannot be read: {}", file.display()))
            .source(source)
    };
    let size = std::fs::metadata(file).map_err(unreadable)?.len();
    if size > MAX_BYTES as u64 {
        return Err(Error::too_large("evidence_too_large", format!("{} has {size} bytes", file.display()))
            .hint(format!("at most {MAX_BYTES}; attach a summary, and keep the rest where it is")));
    }
    std::fs::read(file).map_err(unreadable)
}

/// A piece of evidence in a few words.
pub(super) fn describe(evidence: &Evidence) -> String {
    match &evidence.statement {
        Statement::Evaluation(evaluation) => {
            let metrics: Vec<String> = evaluation
                .metrics
                .iter()
                .take(5)
                .map(|(name, metric)| format!("{name} {}", metric.value))
                .collect();
            format!("evaluation {}: {}", evaluation.suite, metrics.join(", "))
        }
        Statement::Approval(approval) => {
            let what = match approval.decision {
                Decision::Approve => "approval",
                Decision::Reject => "rejection",
            };
            format!("{what} for {}: {}", approval.stage, approval.message)
        }
        Statement::Scan(scan) => {
            format!("scan by {}: {} findings", scan.scanner, scan.findings.values().sum::<u64>())
        }
        Statement::Signature(signature) => format!("signature by {}", signature.signer()),
        Statement::Provenance(provenance) => {
            let signed = match &provenance.key {
                Some(key) => format!("signed by key {}", key.chars().take(12).collect::<String>()),
                None => "not signed".to_owned(),
            };
            format!("provenance from {}, {signed}", provenance.builder)
        }
        Statement::ModelCard(card) => {
            let parts: Vec<&str> = card.parts.keys().map(String::as_str).take(8).collect();
            format!("model card: {}", parts.join(", "))
        }
        Statement::DriftBaseline(baseline) => {
            format!("drift baseline of {} rows and {} columns", baseline.rows, baseline.columns)
        }
        Statement::DriftReport(report) => {
            let what = match report.verdict {
                DriftVerdict::Clear => "no drift",
                DriftVerdict::Drift => "drift",
                DriftVerdict::Unclear => "too little data to tell",
            };
            format!("drift report of {}: {what}", report.monitor)
        }
        Statement::DeploymentHealth(health) => {
            format!("{} is {}", health.target, health.state())
        }
        Statement::Imported(imported) => imported.sentence(),
    }
}
