//! Small builders of real files, and inspections of whole artifacts.

use super::*;
use crate::model::kind::Tier;
use serde_json::{Value, json};

/// Inspects files held in memory.
pub(super) fn inspect_bytes(files: &[(&str, &[u8])]) -> Inspection {
    let sources: Vec<Vec<u8>> = files.iter().map(|(_, bytes)| bytes.to_vec()).collect();
    let views: Vec<FileView> =
        files.iter().zip(&sources).map(|((path, _), source)| FileView { path, source }).collect();
    inspect(&views)
}

pub(super) fn safety_of(bytes: &[u8]) -> Safety {
    inspect_bytes(&[("file.dat", bytes)]).safety
}

/// A safetensors file with this header and zeros as data.
pub(super) fn safetensors_of(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

/// A valid safetensors file of F32 tensors of these names and shapes.
pub(super) fn safetensors_with(tensors: &[(&str, &[u64])]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut offset = 0;
    for (name, shape) in tensors {
        let end = offset + shape.iter().product::<u64>() * 4;
        header.insert((*name).into(), json!({"dtype": "F32", "shape": shape, "data_offsets": [offset, end]}));
        offset = end;
    }
    safetensors_of(&Value::Object(header).to_string(), offset as usize)
}

#[test]
fn an_empty_artifact_is_refused_and_unknown() {
    assert_eq!(detect(&[]).unwrap_err().code, "artifact_empty");
    assert_eq!(inspect(&[]).safety, Safety::Unknown);
}

#[test]
fn a_model_directory_is_read() {
    let weights = safetensors_with(&[("a", &[2, 3]), ("b", &[4])]);
    let config =
        br#"{"architectures":["LlamaForCausalLM"],"max_position_embeddings":2048,"model_type":"llama"}"#;
    let found =
        inspect_bytes(&[("config.json", config), ("model.safetensors", &weights), ("README.md", b"# Hi\n")]);
    assert_eq!((found.kind, found.tier, found.safety), (Kind::Safetensors, Tier::Weights, Safety::Safe));
    assert_eq!((found.parameters, found.tensors), (Some(10), Some(2)));
    assert_eq!(found.architecture.as_deref(), Some("LlamaForCausalLM"));
    assert_eq!(found.context_length, Some(2048));
    assert_eq!(found.dtypes["F32"], 10);
}

/// A source whose store does not answer.
struct Broken;

impl Source for Broken {
    fn size(&self) -> u64 {
        1 << 40
    }

    fn read_at(&self, _: u64, _: usize) -> Result<Vec<u8>> {
        Err(Error::unavailable("store_unavailable", "the store does not answer"))
    }
}

/// A source that answers less than its size promises.
struct Short;

impl Source for Short {
    fn size(&self) -> u64 {
        1000
    }

    fn read_at(&self, _: u64, length: usize) -> Result<Vec<u8>> {
        Ok(vec![0; length.min(10)])
    }
}

#[test]
fn a_store_that_does_not_answer_is_an_error_or_unknown_never_safe() {
    let broken = [FileView { path: "a.safetensors", source: &Broken }];
    assert_eq!(detect(&broken).unwrap_err().code, "store_unavailable");
    assert_eq!(inspect(&broken).safety, Safety::Unknown);
    assert_eq!(inspect(&[FileView { path: "LICENSE", source: &Short }]).safety, Safety::Unknown);
}

#[test]
fn weights_beside_lighter_files_keep_their_tier() {
    let weights = safetensors_with(&[("model.w", &[8, 8])]);
    let lora = safetensors_with(&[("base_model.model.q.lora_A.weight", &[8, 4])]);
    let config: &[u8] = br#"{"peft_type":"LORA","r":8}"#;
    let adapter: [(&str, &[u8]); 2] = [("adapter_config.json", config), ("adapter_model.safetensors", &lora)];
    assert_eq!(inspect_bytes(&adapter).kind, Kind::Peft);
    for hidden in ["model.safetensors", "weights.txt", "sub/x"] {
        let found = inspect_bytes(&[adapter[0], adapter[1], (hidden, &weights)]);
        assert_eq!((found.kind, found.tier), (Kind::Safetensors, Tier::Weights), "{hidden}");
    }
    let descriptor: &[u8] = b"vendor: openai";
    assert_eq!(inspect_bytes(&[("finetune.yaml", descriptor), ("x", &weights)]).tier, Tier::Weights);
}

#[test]
fn every_format_beside_the_first_is_checked_too() {
    let weights = safetensors_with(&[("w", &[1])]);
    let found = inspect_bytes(&[("a.safetensors", &weights), ("b.gguf", b"GGUF\x03\0\0\0")]);
    assert_eq!(found.kind, Kind::Safetensors);
    assert_eq!(found.formats.iter().map(String::as_str).collect::<Vec<_>>(), ["gguf", "safetensors"]);
    assert_eq!((found.safety, found.problems.len()), (Safety::Unknown, 1));
    assert_eq!(found.parameters, Some(1));
}

/// Every seed and every crasher that fuzzing found: real files of each format, and hostile ones. The first
/// word of the file's name is what its inspection must answer.
#[test]
fn the_corpus_is_judged_as_named() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let lora = safetensors_with(&[("m.lora_A.weight", &[8, 4]), ("m.lora_B.weight", &[4, 8])]);
    let mut wrong = Vec::new();
    let mut seen = 0;
    for target in ["safetensors", "gguf", "onnx", "pickle", "adapter"] {
        for entry in std::fs::read_dir(corpus.join(target)).unwrap() {
            let path = entry.unwrap().path();
            let (name, bytes) = (path.file_name().unwrap().to_str().unwrap(), std::fs::read(&path).unwrap());
            let found = match target {
                "adapter" => {
                    inspect_bytes(&[("adapter_config.json", &bytes), ("adapter_model.safetensors", &lora)])
                }
                _ => inspect_bytes(&[(name, &bytes)]),
            };
            seen += 1;
            let expected = name.split('-').next().unwrap();
            let answered = serde_json::to_value(found.safety).unwrap();
            if expected != "crash" && answered != expected {
                wrong.push(format!("{target}/{name}: {answered} {:?} {:?}", found.findings, found.problems));
            }
        }
    }
    assert!(seen > 100, "only {seen} seeds");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_examples_are_what_they_show() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples");
    for (folder, kind) in
        [("model", Kind::Safetensors), ("lora", Kind::Peft), ("finetune", Kind::VendorFinetune)]
    {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(examples.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            files.push((
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                std::fs::read(&path).unwrap(),
            ));
        }
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
        let found = inspect_bytes(&files);
        assert_eq!((found.kind, found.safety), (kind, Safety::Safe), "{folder}: {:?}", found.problems);
    }
}
