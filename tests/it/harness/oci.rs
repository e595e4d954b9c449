//! Manifests as an OCI client makes them.

use super::{Answer, Env, files::upload};
use gradus::model::digest::Digest;
use serde_json::{Value, json};

pub const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const MODEL_PACK: &str = "application/vnd.cncf.model.manifest.v1+json";
pub const PROMPT: &str = "application/vnd.gradus.prompt.v1+json";

/// A manifest of these files: `(path, media type, bytes)`. Their bytes and the empty config are uploaded.
pub async fn manifest(
    env: &Env,
    repository: &str,
    artifact_type: &str,
    files: &[(&str, &str, &[u8])],
) -> Value {
    upload(env, repository, "config", b"{}").await;
    let mut layers = Vec::new();
    for (path, media_type, bytes) in files {
        upload(env, repository, path, bytes).await;
        layers.push(json!({
            "mediaType": media_type, "digest": Digest::sha256(bytes), "size": bytes.len(),
            "annotations": { "org.opencontainers.image.title": path },
        }));
    }
    let config = json!({ "mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::sha256(b"{}"), "size": 2 });
    json!({ "schemaVersion": 2, "mediaType": IMAGE, "artifactType": artifact_type, "config": config, "layers": layers })
}

/// Other OCI content: no artifact of ours.
pub async fn other(env: &Env, repository: &str, text: &str) -> Value {
    manifest(env, repository, "application/vnd.example.note", &[("note", "text/plain", text.as_bytes())])
        .await
}

/// A prompt that becomes a version when its tag is one.
pub async fn prompt(env: &Env, repository: &str, text: &str) -> Value {
    let bytes = super::files::prompt(text);
    manifest(env, repository, PROMPT, &[("a.prompt.yaml", "application/vnd.gradus.prompt.file.v1", &bytes)])
        .await
}

pub fn digest_of(manifest: &Value) -> Digest {
    Digest::sha256(manifest.to_string().as_bytes())
}

pub async fn put(env: &Env, repository: &str, reference: &str, manifest: &Value) -> Answer {
    put_bytes(env, repository, reference, manifest.to_string().into_bytes()).await
}

pub async fn put_bytes(env: &Env, repository: &str, reference: &str, bytes: Vec<u8>) -> Answer {
    let call = env.call("PUT", &format!("/v2/{repository}/manifests/{reference}"));
    call.header("content-type", IMAGE).body(bytes).send().await
}
