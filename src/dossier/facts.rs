//! Everything the registry knows of one version.

use crate::{
    gates::Report,
    kinds::Inspection,
    model::{
        access::Role,
        artifact::{Dataset, File},
        contract::Diff,
        digest::Digest,
        evidence::{Evaluation, Evidence, EvidenceKind, ModelCard, Statement},
        kind::{Kind, Tier},
        name::{PrincipalName, Workload},
        promotion::MoveKind,
        resolution::Document,
        stage::Stage,
        version::Version,
    },
};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// All of it, at one moment.
#[derive(Clone, Debug)]
pub struct Facts {
    pub workload: Workload,
    pub version: Version,
    pub digest: Digest,
    pub tier: Tier,
    pub kind: Kind,
    pub sequence: i64,
    pub created_at: DateTime<Utc>,
    pub created_by: PrincipalName,
    /// When and why it was withdrawn, if it was.
    pub yanked: Option<(DateTime<Utc>, String)>,
    /// Everyone who pushed the content in this namespace.
    pub authors: BTreeSet<PrincipalName>,
    pub document: Document,
    /// All files, a prompt that was taken along included.
    pub files: Vec<File>,
    pub inspection: Inspection,
    /// What its prompt's lints say at the level of an error.
    pub lint_errors: Vec<String>,
    /// What is said about the content, oldest first.
    pub evidence: Vec<Evidence>,
    /// How the content came into stages, oldest first.
    pub moves: Vec<Step>,
    /// Attempts that wait for a gate.
    pub waiting: Vec<Waiting>,
    /// The versions before it, newest first; not necessarily all.
    pub earlier: Vec<Earlier>,
    /// What the contract changed since the version right below, if there is one.
    pub changes: Option<Changes>,
    /// What the tier must show to enter each stage, as the policy says now.
    pub asked: Vec<Asked>,
    /// The policies that hold, farthest first, by scope and digest.
    pub policies: Vec<(String, Digest)>,
    /// The versions of this registry that it descends from, nearest first.
    pub ancestors: Vec<Ancestor>,
    /// The region of the store that holds the bytes.
    pub region: String,
    pub registry: Registry,
    /// The position of the entry in the log that says the version was made.
    pub pushed_at: Option<i64>,
}

/// A move of a stage to the content.
#[derive(Clone, Debug)]
pub struct Step {
    pub stage: Stage,
    pub number: i64,
    pub kind: MoveKind,
    pub version: Version,
    pub from: Option<Version>,
    pub at: DateTime<Utc>,
    pub by: PrincipalName,
    pub reason: Option<String>,
    /// What the gates said, and the digest of the document that says so.
    pub report: Option<(Digest, Report)>,
    pub ratified: Option<(PrincipalName, DateTime<Utc>)>,
    /// How it left the stage again.
    pub ended: Option<Ended>,
}

/// The move that put something else into the stage.
#[derive(Clone, Debug)]
pub struct Ended {
    pub kind: MoveKind,
    pub to: Version,
    pub at: DateTime<Utc>,
    pub by: PrincipalName,
    pub reason: Option<String>,
}

/// An attempt that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub stage: Stage,
    pub at: DateTime<Utc>,
    pub by: PrincipalName,
    pub judgement: Digest,
    pub report: Report,
}

#[derive(Clone, Debug)]
pub struct Earlier {
    pub version: Version,
    pub digest: Digest,
    pub tier: Tier,
    pub at: DateTime<Utc>,
    pub by: PrincipalName,
    pub is_yanked: bool,
}

#[derive(Clone, Debug)]
pub struct Changes {
    pub since: Version,
    pub diff: Diff,
}

/// What it takes to enter a stage.
#[derive(Clone, Debug)]
pub struct Asked {
    pub stage: Stage,
    pub roles: Vec<Role>,
    /// Each with its parameters.
    pub gates: Vec<String>,
    /// The digest of the policy that has the rule, and of the rule itself.
    pub policy: Digest,
    pub rules: Digest,
}

/// A version of this registry that another was made from.
#[derive(Clone, Debug)]
pub struct Ancestor {
    pub workload: Workload,
    pub version: Version,
    pub digest: Digest,
    pub tier: Tier,
    pub at: DateTime<Utc>,
    /// What it names as its own base.
    pub base: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Registry {
    /// Its name in its log.
    pub name: String,
    /// Where clients reach it, if that is configured.
    pub url: Option<String>,
    /// The signed state of the log that the facts were read at.
    pub checkpoint: String,
}

impl Registry {
    /// A URI for statements that name who did something.
    pub fn id(&self) -> String {
        self.url.clone().unwrap_or_else(|| format!("urn:gradus:registry:{}", self.name))
    }
}

impl Facts {
    /// `namespace/name:VERSION`, for documents and commands.
    pub fn reference(&self) -> String {
        format!("{}:{}", self.workload, self.version)
    }

    /// Evidence of a kind, newest first.
    pub fn said(&self, kind: EvidenceKind) -> impl Iterator<Item = &Evidence> {
        self.evidence.iter().rev().filter(move |evidence| evidence.statement.kind() == kind)
    }

    /// The newest model card.
    pub fn card(&self) -> Option<(&Evidence, &ModelCard)> {
        self.said(EvidenceKind::ModelCard).find_map(|evidence| match &evidence.statement {
            Statement::ModelCard(card) => Some((evidence, card)),
            _ => None,
        })
    }

    /// The first of these parts that the newest model card has.
    pub fn part<'a>(&self, names: &[&'a str]) -> Option<(&'a str, &str, &Evidence)> {
        let (evidence, card) = self.card()?;
        names.iter().find_map(|name| Some((*name, card.parts.get(*name)?.as_str(), evidence)))
    }

    /// Evaluations, newest first.
    pub fn evaluations(&self) -> impl Iterator<Item = (&Evidence, &Evaluation)> {
        self.said(EvidenceKind::Evaluation).filter_map(|evidence| match &evidence.statement {
            Statement::Evaluation(evaluation) => Some((evidence, evaluation)),
            _ => None,
        })
    }

    /// The base model as it was named at the push, or as the files name it.
    pub fn base(&self) -> Option<&str> {
        let finetune = self.inspection.finetune.as_ref().map(|finetune| finetune.base.as_str());
        self.document.lineage.base.as_deref().or(finetune).or(self.inspection.base.as_deref())
    }

    /// What it was trained on: as named at the push, and the training files of a vendor's fine-tune.
    pub fn datasets(&self) -> Vec<Dataset> {
        let mut datasets = BTreeMap::new();
        let files = self.inspection.finetune.iter().flat_map(|finetune| &finetune.training_files);
        let of_vendor = files.filter_map(|file| {
            let digest = format!("sha256:{}", file.sha256).parse().ok()?;
            Some(Dataset { name: file.name.clone(), digest })
        });
        for dataset in self.document.lineage.datasets.iter().cloned().chain(of_vendor) {
            datasets.entry(dataset.digest.clone()).or_insert(dataset);
        }
        datasets.into_values().collect()
    }
}
