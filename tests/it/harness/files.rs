//! Sample artifacts, and pushing them by the API as a client does.

use super::{Answer, Env};
use gradus::model::digest::Digest;
use serde_json::{Value, json};
use std::path::PathBuf;

pub fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/examples").join(name)
}

pub fn read(name: &str) -> Vec<u8> {
    std::fs::read(example(name)).expect("an example file")
}

pub fn contract() -> Value {
    serde_json::from_slice(&read("contract.json")).expect("JSON")
}

/// Uploads bytes to a repository and describes them as a file.
pub async fn upload(env: &Env, workload: &str, path: &str, bytes: &[u8]) -> Value {
    let digest = Digest::sha256(bytes);
    let at = format!("/v2/{workload}/blobs/uploads/?digest={digest}");
    env.call("POST", &at).body(bytes.to_vec()).expect(201).await;
    json!({ "path": path, "digest": digest, "size": bytes.len() })
}

/// A prompt whose content differs with `text`.
pub fn prompt(text: &str) -> Vec<u8> {
    format!("gradus: prompt/v1\nmessages:\n  - role: user\n    content: |\n      {text} {{{{ body }}}}\n")
        .into_bytes()
}

/// Pushes a small prompt as a new version; `more` is merged into the request.
pub async fn push_prompt(env: &Env, workload: &str, text: &str, more: Value) -> Answer {
    let file = upload(env, workload, "a.prompt.yaml", &prompt(text)).await;
    push(env, workload, vec![file], more).await
}

pub async fn push(env: &Env, workload: &str, files: Vec<Value>, more: Value) -> Answer {
    let mut body = json!({ "files": files });
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    env.call("POST", &format!("/v1/workloads/{workload}/versions")).json(body).send().await
}

/// A safetensors file of one small tensor, whose content differs with `fill`.
pub fn safetensors(fill: u8) -> Vec<u8> {
    let header = br#"{"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header);
    bytes.extend([fill; 16]);
    bytes
}

/// Bytes that do not compress or repeat, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend(next());
    }
    bytes.truncate(length);
    bytes
}
