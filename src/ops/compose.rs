//! What goes into a version before it is one: kind found, contract and prompt settled, manifest composed.
//! Everything slow or large happens here, outside the transaction that then checks that it still holds.

use super::{
    Context, blobs,
    evidence::{self, Said},
    inspect::{inspect, missing_file},
    push::Draft,
    resolve::{contract_of, document_of},
};
use crate::{
    db::{Tx, manifests, versions},
    error::{Error, Result},
    kinds::{Inspection, prompt},
    model::{
        artifact::{Artifact, File},
        contract::Contract,
        digest::Digest,
        kind::{Kind, Tier},
        manifest::{Descriptor, IMAGE, Manifest},
        name::Workload,
        resolution::{ContractDocument, Document, Invoke, Lineage, Target},
        version::{Bump, Version},
    },
};
use chrono::{DateTime, Utc};
use versions::VersionRow;

/// Which version number is asked for. Neither: by what the contract says.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub version: Option<Version>,
    pub bump: Option<Bump>,
}

pub(super) struct Prepared {
    pub digest: Digest,
    pub inspection: Inspection,
    pub contract: Contract,
    pub document: String,
    /// What the prompt's lints say at the level of an error.
    pub lint_errors: Vec<String>,
    pub notes: Vec<String>,
    /// Blobs the registry adds: the config, the contract.
    pub own_blobs: Vec<Vec<u8>>,
    manifest: Manifest,
    bytes: Vec<u8>,
    /// Blobs that belong to the version without being in its manifest (a contract or prompt taken over).
    also_uses: Vec<Digest>,
    /// What was taken over from the version before.
    taken: Taken,
}

/// What a version takes over from the one before: outer `None` where it brings its own, inner `None` where there
/// was nothing to take.
#[derive(Default)]
struct Taken {
    contract: Option<Option<Digest>>,
    prompt: Option<Option<Digest>>,
}

impl Prepared {
    /// Whether the same contract and prompt would be taken over now.
    pub(super) async fn still_on_top(
        &self,
        tx: &mut Tx,
        workload: &Workload,
        wanted: &Wanted,
    ) -> Result<bool> {
        if self.taken.contract.is_none() && self.taken.prompt.is_none() {
            return Ok(true);
        }
        // That there is none of the number itself was seen before.
        let now = match &wanted.version {
            Some(version) => versions::below(tx, workload, version, false).await?,
            None => versions::newest_standing(tx, workload).await?,
        };
        let same = |taken: &Option<Option<Digest>>, now: Option<Digest>| {
            taken.as_ref().is_none_or(|taken| *taken == now)
        };
        let document = now.as_ref().map(document_of).transpose()?;
        let prompt = document.and_then(|document| document.invoke.prompt_file).map(|file| file.digest);
        Ok(same(&self.taken.contract, now.map(|row| row.contract)) && same(&self.taken.prompt, prompt))
    }

    /// Files that were uploaded to go with it, read as evidence about it.
    pub(super) async fn read_evidence(
        &self,
        cx: &Context,
        workload: &Workload,
        uploaded: &[Digest],
    ) -> Result<Vec<Said>> {
        evidence::read_uploaded(cx, workload, &self.digest, &self.manifest, uploaded).await
    }

    /// Records what the version is made of, once its row is there.
    pub(super) async fn record_lineage(&self, tx: &mut Tx, row: &VersionRow) -> Result<()> {
        super::lineage::index::record(tx, row, &self.manifest, &self.inspection).await
    }

    pub(super) async fn store(&self, tx: &mut Tx, workload: &Workload, at: DateTime<Utc>) -> Result<()> {
        super::manifests::insert(tx, workload, &self.manifest, &self.bytes, &self.digest, at).await?;
        for digest in &self.also_uses {
            manifests::add_use(tx, workload, &self.digest, digest).await?;
        }
        let report = serde_json::to_string(&self.inspection).map_err(|source| {
            Error::internal("inspection_encoding", "an inspection could not be written").source(source)
        })?;
        manifests::insert_inspection(tx, &self.digest, &report, at).await
    }
}

/// The version a new one follows: the one of the same number if there is one, else the one right below, and
/// without a number the newest. Yanked ones are not followed.
async fn line(tx: &mut Tx, workload: &Workload, version: Option<&Version>) -> Result<Option<VersionRow>> {
    let Some(version) = version else { return versions::newest_standing(tx, workload).await };
    match versions::find(tx, workload, version).await? {
        // What was purged has nothing to take over; that its number is taken shows when it is decided.
        Some(row) if row.purged.is_none() => Ok(Some(row)),
        _ => versions::below(tx, workload, version, false).await,
    }
}

pub(super) async fn from_draft(cx: &Context, workload: &Workload, draft: &Draft) -> Result<Prepared> {
    let older = line(&mut cx.db.read().await?, workload, draft.wanted.version.as_ref()).await?;
    let inspection = inspect(cx, workload, &draft.files).await?;
    refuse_unreadable(&inspection)?;
    refuse_other_tier(draft.tier, inspection.kind)?;
    let artifact = Artifact {
        kind: inspection.kind,
        files: draft.files.clone(),
        contract: None,
        prompt: draft.prompt.clone(),
        base: draft.base.clone(),
        datasets: draft.datasets.clone(),
    };
    artifact.check()?;
    let mut settled =
        settle(cx, workload, artifact, draft.contract.clone(), older.as_ref(), &inspection).await?;
    let contract_bytes = settled.contract.canonical_bytes();
    settled.artifact.contract = Some((Digest::sha256(&contract_bytes), contract_bytes.len() as u64));
    let composed = settled.artifact.compose()?;
    let manifest = Manifest::parse(&composed.manifest, Some(IMAGE))?;
    Ok(Prepared {
        document: document(workload, &composed.digest, &settled, &inspection)?,
        digest: composed.digest,
        inspection,
        contract: settled.contract,
        lint_errors: settled.lint_errors,
        notes: settled.notes,
        own_blobs: vec![composed.config, contract_bytes],
        manifest,
        bytes: composed.manifest,
        also_uses: Vec::new(),
        taken: settled.taken,
    })
}

/// `None` when the manifest is other OCI content.
pub(super) async fn from_manifest(
    cx: &Context,
    workload: &Workload,
    manifest: &Manifest,
    bytes: &[u8],
    version: &Version,
) -> Result<Option<Prepared>> {
    let Some(recognised) = Artifact::recognise(manifest)? else { return Ok(None) };
    let older = line(&mut cx.db.read().await?, workload, Some(version)).await?;
    let inspection = inspect(cx, workload, &recognised.files).await?;
    refuse_unreadable(&inspection)?;
    let artifact = recognised.into_artifact(inspection.kind)?;
    let contract = match &artifact.contract {
        Some((digest, _)) if older.as_ref().is_some_and(|older| older.contract == *digest) => {
            older.as_ref().map(contract_of).transpose()?
        }
        Some((digest, _)) => {
            let bytes =
                blobs::read_whole(cx, workload, digest, crate::model::contract::MAX_BYTES as u64).await?;
            Some(Contract::parse(&bytes)?)
        }
        None => None,
    };
    let own_prompt = artifact.prompt.is_some();
    let settled = settle(cx, workload, artifact, contract, older.as_ref(), &inspection).await?;
    let digest = Digest::sha256(bytes);
    let mut also_uses = Vec::new();
    if !own_prompt && let Some(prompt) = &settled.artifact.prompt {
        also_uses.push(prompt.digest.clone());
    }
    Ok(Some(Prepared {
        document: document(workload, &digest, &settled, &inspection)?,
        digest,
        inspection,
        contract: settled.contract,
        lint_errors: settled.lint_errors,
        notes: settled.notes,
        own_blobs: Vec::new(),
        manifest: manifest.clone(),
        bytes: bytes.to_vec(),
        also_uses,
        taken: settled.taken,
    }))
}

/// Weights that cannot be read are a mistake of whoever pushes them. What would run code is recorded whatever else is
/// wrong with it.
fn refuse_unreadable(inspection: &Inspection) -> Result<()> {
    match &inspection.unreadable {
        Some(problem) if inspection.findings.is_empty() => Err(Error::invalid(
            "artifact_unreadable",
            format!("{} is not what its name or its first bytes say: {}", problem.path, problem.reason),
        )
        .hint("make the file again, or fetch it again; it may have been cut short")),
        _ => Ok(()),
    }
}

fn refuse_other_tier(insisted: Option<Tier>, found: Kind) -> Result<()> {
    match insisted {
        Some(tier) if tier != found.tier() => Err(Error::invalid(
            "tier_mismatch",
            format!("these files are not {tier} but {}: {found}", found.tier()),
        )
        .hint("leave the word out to push what the files are")),
        _ => Ok(()),
    }
}

/// Contract and prompt, given or taken over.
struct Settled {
    artifact: Artifact,
    contract: Contract,
    prompt: Option<(File, prompt::Prompt)>,
    taken: Taken,
    lint_errors: Vec<String>,
    notes: Vec<String>,
}

async fn settle(
    cx: &Context,
    workload: &Workload,
    mut artifact: Artifact,
    given: Option<Contract>,
    older: Option<&VersionRow>,
    inspection: &Inspection,
) -> Result<Settled> {
    let (mut notes, mut taken) = (Vec::new(), Taken::default());
    let previous = older.map(document_of).transpose()?;
    let prompt_file = match (&artifact.prompt, artifact.kind.tier()) {
        (Some(_), Tier::Prompt) => {
            return Err(Error::invalid("prompt_twice", "a prompt artifact is its own prompt")
                .hint("leave out --prompt"));
        }
        (None, Tier::Prompt) => Some(artifact.files[0].clone()),
        (Some(file), _) => Some(file.clone()),
        (None, _) => {
            let before = previous.as_ref().and_then(|document| document.invoke.prompt_file.clone());
            taken.prompt = Some(before.as_ref().map(|file| file.digest.clone()));
            if let (Some(file), Some(older)) = (&before, older) {
                notes.push(format!("prompt {} taken over from {}", file.path, older.version));
                artifact.prompt = before.clone();
            }
            before
        }
    };
    artifact.check()?;
    let prompt = match prompt_file {
        Some(file) => Some(read_prompt(cx, workload, file).await?),
        None => None,
    };
    let contract = match (given, prompt.as_ref().and_then(|(_, prompt)| prompt.contract()), older) {
        (Some(given), _, _) => given,
        // A prompt's own schemas speak for it when it is what is pushed, not when it is taken along.
        (None, Some(own), _) if artifact.kind.tier() == Tier::Prompt => {
            notes.push("contract from the prompt's own input and output schemas".into());
            own
        }
        (None, _, Some(older)) => {
            taken.contract = Some(Some(older.contract.clone()));
            notes.push(format!("contract taken over from {}", older.version));
            contract_of(older)?
        }
        (None, Some(own), None) => {
            taken.contract = Some(None);
            own
        }
        (None, None, None) => {
            taken.contract = Some(None);
            notes.push("no contract given: this version promises nothing; give one with --contract".into());
            Contract::open()
        }
    };
    let mut lint_errors = Vec::new();
    if let Some((_, prompt)) = &prompt {
        for lint in prompt.lints(&contract) {
            if lint.level == prompt::Level::Error {
                lint_errors.push(format!("{}: {}", lint.path, lint.message));
            }
            notes.push(format!("prompt: {}: {}", lint.path, lint.message));
        }
    }
    notes.extend(inspection.notes());
    Ok(Settled { artifact, contract, prompt, taken, lint_errors, notes })
}

async fn read_prompt(cx: &Context, workload: &Workload, file: File) -> Result<(File, prompt::Prompt)> {
    let bytes =
        blobs::read_whole(cx, workload, &file.digest, prompt::MAX_BYTES as u64).await.map_err(|error| {
            match error.code {
                "blob_unknown" => missing_file(&file),
                _ => error,
            }
        })?;
    let prompt = prompt::parse(file.path.as_str(), &bytes)?;
    Ok((file, prompt))
}

/// What resolving the version will answer.
fn document(
    workload: &Workload,
    digest: &Digest,
    settled: &Settled,
    inspection: &Inspection,
) -> Result<String> {
    let encoding = |source| {
        Error::internal("document_encoding", "a version's document could not be written").source(source)
    };
    let artifact = format!("{workload}@{digest}");
    let base = settled.artifact.base.clone().or_else(|| inspection.base.clone());
    let target = match (settled.artifact.kind.tier(), &inspection.finetune) {
        (_, Some(finetune)) if settled.artifact.kind == Kind::VendorFinetune => {
            Target::Vendor { vendor: finetune.vendor.clone(), model: finetune.model.clone() }
        }
        (Tier::Prompt, _) => Target::Hosted {
            models: settled.prompt.as_ref().map(|(_, prompt)| prompt.models()).unwrap_or_default(),
        },
        (Tier::Adapter, _) => Target::Adapter { base: base.clone(), artifact },
        (Tier::Weights, _) => Target::Weights { artifact },
    };
    let (prompt, prompt_file, parameters) = match &settled.prompt {
        Some((file, prompt)) => (
            Some(serde_json::to_value(prompt).map_err(encoding)?),
            Some(file.clone()),
            prompt.parameters_for(None),
        ),
        None => (None, None, serde_json::Map::new()),
    };
    let document = Document {
        contract: ContractDocument {
            digest: settled.contract.digest(),
            input: settled.contract.input.clone(),
            output: settled.contract.output.clone(),
        },
        invoke: Invoke { prompt, prompt_file, parameters, target },
        lineage: Lineage { base, datasets: settled.artifact.datasets.clone() },
    };
    serde_json::to_string(&document).map_err(encoding)
}

/// The entry of a manifest in a referrers list (image-spec: descriptor with the artifact type and annotations).
pub(super) fn descriptor_of(manifest: &Manifest, digest: &Digest, size: u64) -> Descriptor {
    Descriptor {
        annotations: manifest.annotations.clone(),
        artifact_type: manifest.artifact_type.clone(),
        digest: digest.clone(),
        media_type: manifest.media_type.clone(),
        size,
    }
}
