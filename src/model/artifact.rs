//! Gradus artifacts as OCI manifests: how one is composed, and how one is recognised.
//!
//! The manifest is a pure function of the files, kind, contract, prompt, base and datasets, so the same
//! push gives the same digest anywhere. Weights and adapters follow CNCF ModelPack; prompts and
//! vendor-managed fine-tunes have artifact types of their own.

use super::{
    digest::Digest,
    kind::{Kind, Tier},
    manifest::{Descriptor, EMPTY_CONFIG, IMAGE, Manifest},
    path::{FilePath, refuse_collisions},
};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub const MODEL_PACK: &str = "application/vnd.cncf.model.manifest.v1+json";
pub const PROMPT: &str = "application/vnd.gradus.prompt.v1+json";
pub const FINETUNE: &str = "application/vnd.gradus.finetune.v1+json";
const MODEL_CONFIG: &str = "application/vnd.cncf.model.config.v1+json";
pub const PROMPT_FILE: &str = "application/vnd.gradus.prompt.file.v1";
pub const CONTRACT: &str = "application/vnd.gradus.contract.v1+json";
const FINETUNE_FILE: &str = "application/vnd.gradus.finetune.file.v1";

const FILE_PATH: &str = "org.cncf.model.filepath";
const TITLE: &str = "org.opencontainers.image.title";
const TIER: &str = "dev.gradus.tier";
const KIND: &str = "dev.gradus.kind";
const BASE: &str = "dev.gradus.base";
const DATASETS: &str = "dev.gradus.datasets";
const CONTRACT_DIGEST: &str = "dev.gradus.contract";

/// Most files in one artifact.
pub const FILES_MAX: usize = 10_000;

/// A file by its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub path: FilePath,
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}

/// A dataset the artifact was trained on, pinned by digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    pub name: String,
    pub digest: Digest,
}

/// What an artifact is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    pub kind: Kind,
    pub files: Vec<File>,
    /// The contract document, where the manifest carries one.
    pub contract: Option<(Digest, u64)>,
    /// The prompt file that goes with an adapter or weights.
    pub prompt: Option<File>,
    /// The base model, for example `hf:org/model@REVISION`.
    pub base: Option<String>,
    pub datasets: Vec<Dataset>,
}

/// Manifest bytes, and the config blob they need.
pub struct Composed {
    pub manifest: Vec<u8>,
    pub digest: Digest,
    pub config: Vec<u8>,
}

impl Artifact {
    pub fn check(&self) -> Result<()> {
        if self.files.is_empty() {
            return Err(Error::invalid("artifact_empty", "an artifact needs at least one file"));
        }
        if self.files.len() > FILES_MAX {
            return Err(Error::too_large(
                "too_many_files",
                format!("{} files in one artifact", self.files.len()),
            )
            .hint(format!("at most {FILES_MAX}")));
        }
        refuse_collisions(self.files.iter().chain(&self.prompt).map(|file| &file.path))?;
        if let Some(base) = &self.base {
            let printable = base.bytes().all(|byte| byte.is_ascii_graphic());
            if base.is_empty() || base.len() > 512 || !printable {
                return Err(Error::invalid(
                    "base_invalid",
                    "the base model's name must be 1 to 512 printable ASCII characters",
                )
                .hint("for example hf:org/model@REVISION or acme/base@sha256:…"));
            }
        }
        for dataset in &self.datasets {
            if dataset.name.is_empty()
                || dataset.name.len() > 256
                || dataset.name.chars().any(char::is_control)
            {
                return Err(Error::invalid(
                    "dataset_invalid",
                    "a dataset's name must be 1 to 256 characters",
                ));
            }
        }
        Ok(())
    }

    /// The manifest of this artifact: keys sorted, files by path, no time, no host, no version number.
    pub fn compose(&self) -> Result<Composed> {
        self.check()?;
        let mut files: Vec<&File> = self.files.iter().collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));

        let (artifact_type, config_type, config) = match self.kind {
            Kind::Prompt => (PROMPT, EMPTY_CONFIG, b"{}".to_vec()),
            Kind::VendorFinetune => (FINETUNE, EMPTY_CONFIG, b"{}".to_vec()),
            _ => (MODEL_PACK, MODEL_CONFIG, model_config(self.kind, &files)?),
        };
        let mut layers: Vec<Descriptor> =
            files.iter().map(|file| file_layer(file, media_type(self.kind, &file.path))).collect();
        if let Some(prompt) = &self.prompt {
            layers.push(file_layer(prompt, PROMPT_FILE));
        }
        let mut annotations = BTreeMap::new();
        if let Some((digest, size)) = &self.contract {
            layers.push(Descriptor {
                annotations: BTreeMap::new(),
                artifact_type: None,
                digest: digest.clone(),
                media_type: CONTRACT.to_owned(),
                size: *size,
            });
            annotations.insert(CONTRACT_DIGEST.to_owned(), digest.to_string());
        }
        annotations.insert(TIER.to_owned(), self.kind.tier().to_string());
        annotations.insert(KIND.to_owned(), self.kind.to_string());
        if let Some(base) = &self.base {
            annotations.insert(BASE.to_owned(), base.clone());
        }
        if !self.datasets.is_empty() {
            let mut datasets = self.datasets.clone();
            datasets.sort();
            datasets.dedup();
            annotations.insert(DATASETS.to_owned(), encode(&datasets)?);
        }
        let manifest = serde_json::json!({
            "annotations": annotations,
            "artifactType": artifact_type,
            "config": Descriptor {
                annotations: BTreeMap::new(),
                artifact_type: None,
                digest: Digest::sha256(&config),
                media_type: config_type.to_owned(),
                size: config.len() as u64,
            },
            "layers": layers,
            "mediaType": IMAGE,
            "schemaVersion": 2,
        });
        let manifest = encode(&manifest)?.into_bytes();
        Ok(Composed { digest: Digest::sha256(&manifest), manifest, config })
    }

    /// The artifact a manifest describes, or `None` when it is other OCI content. What the manifest says of
    /// its tier and kind is a claim: `claims` returns it, and the registry compares it with what it finds.
    pub fn recognise(manifest: &Manifest) -> Result<Option<Recognised>> {
        let files_are = match manifest.artifact_type.as_deref() {
            Some(PROMPT) => Some(Kind::Prompt),
            Some(FINETUNE) => Some(Kind::VendorFinetune),
            Some(MODEL_PACK | "application/vnd.cnai.model.manifest.v1+json") => None,
            _ => return Ok(None),
        };
        let refuse = |why: String| Error::invalid("artifact_invalid", why);
        let mut recognised = Recognised {
            kind: files_are,
            tier_claimed: None,
            kind_claimed: None,
            files: Vec::new(),
            contract: None,
            prompt: None,
            base: manifest.annotations.get(BASE).cloned(),
            datasets: Vec::new(),
        };
        for layer in &manifest.layers {
            match layer.media_type.as_str() {
                CONTRACT => recognised.contract = Some((layer.digest.clone(), layer.size)),
                PROMPT_FILE if files_are != Some(Kind::Prompt) => recognised.prompt = Some(file_of(layer)?),
                _ => recognised.files.push(file_of(layer)?),
            }
        }
        if let Some(tier) = manifest.annotations.get(TIER) {
            recognised.tier_claimed = Some(tier.parse()?);
        }
        if let Some(kind) = manifest.annotations.get(KIND) {
            recognised.kind_claimed = Some(kind.parse()?);
        }
        if let Some(datasets) = manifest.annotations.get(DATASETS) {
            recognised.datasets = serde_json::from_str(datasets)
                .map_err(|error| refuse(format!("the annotation {DATASETS} cannot be read: {error}")))?;
        }
        if let (Some(claimed), Some((digest, _))) =
            (manifest.annotations.get(CONTRACT_DIGEST), &recognised.contract)
            && claimed != digest.as_str()
        {
            return Err(refuse(format!(
                "the annotation {CONTRACT_DIGEST} names another contract than the layer: {digest}"
            )));
        }
        Ok(Some(recognised))
    }
}

/// What a manifest with a recognised artifact type says. Kind and tier are claims.
pub struct Recognised {
    /// Known from the artifact type alone, for prompts and vendor-managed fine-tunes.
    pub kind: Option<Kind>,
    pub tier_claimed: Option<Tier>,
    pub kind_claimed: Option<Kind>,
    pub files: Vec<File>,
    pub contract: Option<(Digest, u64)>,
    pub prompt: Option<File>,
    pub base: Option<String>,
    pub datasets: Vec<Dataset>,
}

impl Recognised {
    /// The artifact, once the registry has found out what kind it is. Refuses a claim that is not so.
    pub fn into_artifact(self, found: Kind) -> Result<Artifact> {
        if let Some(kind) = self.kind.filter(|kind| *kind != found) {
            return Err(Error::invalid(
                "claim_refused",
                format!("the artifact type is for {kind}, the files are: {found}"),
            ));
        }
        let refuse = |claim: String| {
            Err(Error::invalid(
                "claim_refused",
                format!("the manifest claims {claim}, the files are: {found}"),
            )
            .hint("leave the claim out, or push the files that it speaks of"))
        };
        if let Some(kind) = self.kind_claimed.filter(|kind| *kind != found) {
            return refuse(kind.to_string());
        }
        if let Some(tier) = self.tier_claimed.filter(|tier| *tier != found.tier()) {
            return refuse(format!("tier {tier}"));
        }
        let artifact = Artifact {
            kind: found,
            files: self.files,
            contract: self.contract,
            prompt: self.prompt,
            base: self.base,
            datasets: self.datasets,
        };
        artifact.check()?;
        Ok(artifact)
    }
}

fn encode(value: &impl Serialize) -> Result<String> {
    // Through `Value`, whose maps are sorted.
    serde_json::to_value(value).and_then(|value| serde_json::to_string(&value)).map_err(|source| {
        Error::internal("manifest_encoding", "a manifest could not be written as JSON").source(source)
    })
}

fn file_layer(file: &File, media_type: &str) -> Descriptor {
    let path = file.path.to_string();
    Descriptor {
        annotations: [(FILE_PATH.to_owned(), path.clone()), (TITLE.to_owned(), path)].into(),
        artifact_type: None,
        digest: file.digest.clone(),
        media_type: media_type.to_owned(),
        size: file.size,
    }
}

fn file_of(layer: &Descriptor) -> Result<File> {
    let path =
        layer.annotations.get(FILE_PATH).or_else(|| layer.annotations.get(TITLE)).ok_or_else(|| {
            Error::invalid("artifact_invalid", format!("a layer has no file name: {}", layer.digest))
                .hint(format!("give each layer the annotation {FILE_PATH} or {TITLE}"))
        })?;
    if !layer.media_type.ends_with(".raw") && layer.media_type.contains(".tar") {
        return Err(Error::invalid(
            "artifact_packed",
            format!("a layer is an archive, files must be raw: {path}"),
        )
        .hint("push one uncompressed layer per file, so that each file has its own digest"));
    }
    Ok(File { path: path.parse()?, digest: layer.digest.clone(), size: layer.size })
}

/// Extensions of weights, as ModelPack tells them apart.
const WEIGHTS: [&str; 12] =
    ["safetensors", "gguf", "onnx", "bin", "pt", "pth", "ckpt", "h5", "keras", "npz", "npy", "msgpack"];
/// And of others that models are known to be kept in.
const MORE_WEIGHTS: [&str; 8] = ["pkl", "pickle", "joblib", "tflite", "pb", "mlmodel", "dduf", "engine"];

fn extension(path: &FilePath) -> String {
    let name = path.file_name().to_ascii_lowercase();
    name.rsplit_once('.').map_or_else(String::new, |(_, extension)| extension.to_owned())
}

/// Whether a file is known as weights by its name.
pub fn is_weights(path: &FilePath) -> bool {
    let extension = extension(path);
    WEIGHTS.iter().chain(&MORE_WEIGHTS).any(|known| *known == extension)
}

/// CNCF ModelPack layer types, by what the file is for. Prompts and fine-tune descriptors have their own.
fn media_type(kind: Kind, path: &FilePath) -> &'static str {
    match kind {
        Kind::Prompt => return PROMPT_FILE,
        Kind::VendorFinetune => return FINETUNE_FILE,
        _ => {}
    }
    let name = path.file_name().to_ascii_lowercase();
    match extension(path).as_str() {
        weights if WEIGHTS.contains(&weights) => "application/vnd.cncf.model.weight.v1.raw",
        "md" | "rst" | "pdf" => "application/vnd.cncf.model.doc.v1.raw",
        "py" | "ipynb" | "sh" | "rs" => "application/vnd.cncf.model.code.v1.raw",
        "parquet" | "csv" | "jsonl" => "application/vnd.cncf.model.dataset.v1.raw",
        _ if name.starts_with("license") || name.starts_with("notice") => {
            "application/vnd.cncf.model.doc.v1.raw"
        }
        _ => "application/vnd.cncf.model.weight.config.v1.raw",
    }
}

/// The ModelPack config: only what follows from the files, so that the digest never depends on the reader.
fn model_config(kind: Kind, files: &[&File]) -> Result<Vec<u8>> {
    let format = match kind {
        Kind::Gguf => "gguf",
        Kind::Onnx => "onnx",
        Kind::Safetensors | Kind::Peft => "safetensors",
        _ => "other",
    };
    let diff_ids: Vec<&Digest> = files.iter().map(|file| &file.digest).collect();
    let config = serde_json::json!({
        "config": { "format": format },
        "descriptor": {},
        "modelfs": { "type": "layers", "diffIds": diff_ids },
    });
    Ok(encode(&config)?.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> File {
        File { path: path.parse().unwrap(), digest: Digest::sha256(path.as_bytes()), size: path.len() as u64 }
    }

    fn artifact() -> Artifact {
        Artifact {
            kind: Kind::Safetensors,
            files: vec![file("model.safetensors"), file("config.json"), file("README.md")],
            contract: Some((Digest::sha256(b"contract"), 8)),
            prompt: Some(file("triage.prompt.yaml")),
            base: Some("hf:org/model@abc".into()),
            datasets: vec![Dataset { name: "tickets".into(), digest: Digest::sha256(b"data") }],
        }
    }

    #[test]
    fn composing_does_not_depend_on_order_and_is_recognised_again() {
        let one = artifact();
        let mut other = artifact();
        other.files.reverse();
        let composed = one.compose().unwrap();
        assert_eq!(composed.digest, other.compose().unwrap().digest);

        let manifest = Manifest::parse(&composed.manifest, Some(IMAGE)).unwrap();
        assert_eq!(manifest.config.as_ref().unwrap().digest, Digest::sha256(&composed.config));
        let back = Artifact::recognise(&manifest).unwrap().unwrap().into_artifact(Kind::Safetensors).unwrap();
        assert_eq!(back.compose().unwrap().digest, composed.digest);
    }

    #[test]
    fn a_claim_that_is_not_so_is_refused() {
        let composed = artifact().compose().unwrap();
        let manifest = Manifest::parse(&composed.manifest, None).unwrap();
        let recognised = Artifact::recognise(&manifest).unwrap().unwrap();
        assert_eq!(recognised.into_artifact(Kind::Peft).unwrap_err().code, "claim_refused");
    }

    #[test]
    fn bad_artifacts_are_refused() {
        let check = |change: fn(&mut Artifact), code: &str| {
            let mut bad = artifact();
            change(&mut bad);
            assert_eq!(bad.check().unwrap_err().code, code);
        };
        check(|a| a.files.clear(), "artifact_empty");
        check(|a| a.files = vec![file("a"); FILES_MAX + 1], "too_many_files");
        check(|a| a.files.push(file("CONFIG.json")), "path_collision");
        check(|a| a.base = Some("a b".into()), "base_invalid");
        check(|a| a.datasets[0].name.clear(), "dataset_invalid");
    }
}
