//! The main job on every backend: one workload climbs from prompt to adapter to weights, and its consumer never
//! changes.

use crate::harness::{all_backends, files};
use gradus::{
    client::{Client, Digests, PullOutcome, Upload},
    model::{artifact::File, name::Workload, reference::Reference},
    wire,
};
use serde_json::json;
use std::{path::Path, sync::Arc};

/// The consumer: resolve, look at what to invoke, render. It is the same before and after each climb.
async fn consume(client: &Client) -> (String, String, String) {
    let reference: Reference = "acme/ticket-triage:^1".parse().unwrap();
    let resolved = client.resolve(&reference).await.unwrap();
    let target = serde_json::to_value(&resolved.document.invoke.target).unwrap();
    let input = json!({ "subject": "Login", "body": "I cannot log in" });
    let rendered = client.render(&reference, &wire::Render { input, model: None }).await.unwrap();
    let last = rendered.messages.last().unwrap().content.clone();
    assert!(last.contains("I cannot log in"), "{last}");
    assert!(resolved.document.contract.output["properties"]["category"].is_object());
    (resolved.version.to_string(), resolved.tier.to_string(), target["type"].as_str().unwrap().to_owned())
}

fn uploads(path: &Path) -> Vec<Upload> {
    let one = |source: std::path::PathBuf| Upload {
        path: source.file_name().unwrap().to_str().unwrap().parse().unwrap(),
        size: std::fs::metadata(&source).unwrap().len(),
        source,
    };
    if path.is_file() {
        return vec![one(path.to_owned())];
    }
    let mut files: Vec<Upload> =
        std::fs::read_dir(path).unwrap().map(|entry| one(entry.unwrap().path())).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

async fn push(
    client: &Client,
    path: &str,
    new: impl FnOnce(Vec<File>) -> wire::NewVersion,
) -> wire::PushedView {
    let workload: Workload = "acme/ticket-triage".parse().unwrap();
    let files = uploads(&files::example(path));
    let sent = client.upload(&workload, files, &Digests::open(None), Arc::new(|_| {})).await.unwrap();
    let files = sent.into_iter().map(|sent| sent.file).collect();
    client.create_version(&workload, &new(files)).await.unwrap()
}

fn version(files: Vec<File>) -> wire::NewVersion {
    wire::NewVersion {
        tier: None,
        files,
        contract: None,
        prompt: None,
        base: None,
        datasets: vec![],
        version: None,
        bump: None,
    }
}

all_backends! {
    async fn a_workload_climbs_and_its_consumer_stays(env: Env) {
        env.namespace("acme").await;
        let client = env.client().await;

        let first = push(&client, "prompts/triage-1.prompt.yaml", |files| {
            wire::NewVersion { contract: Some(files::contract()), ..version(files) }
        }).await;
        assert!(first.created);
        assert_eq!(consume(&client).await, ("1.0.0".into(), "prompt".into(), "hosted".into()));

        push(&client, "prompts/triage-2.prompt.yaml", version).await;
        assert_eq!(consume(&client).await, ("1.0.1".into(), "prompt".into(), "hosted".into()));

        push(&client, "lora", |files| wire::NewVersion { base: Some("hf:org/model@abc".into()), ..version(files) }).await;
        assert_eq!(consume(&client).await, ("1.0.2".into(), "adapter".into(), "adapter".into()));

        let weights = push(&client, "model", version).await;
        assert_eq!(consume(&client).await, ("1.0.3".into(), "weights".into(), "weights".into()));

        let again = push(&client, "model", version).await;
        assert!(!again.created);
        assert_eq!(again.version.digest, weights.version.digest);

        let out = tempfile::tempdir().unwrap();
        let workload: Workload = "acme/ticket-triage".parse().unwrap();
        let resolved = client.resolve(&"acme/ticket-triage:^1".parse().unwrap()).await.unwrap();
        let listed = client.files(&resolved).await.unwrap();
        for expected in [PullOutcome::Fetched, PullOutcome::Kept] {
            let pulled = client.pull(&workload, listed.clone(), out.path(), false, Arc::new(|_| {})).await.unwrap();
            assert!(pulled.iter().all(|file| file.outcome == expected));
        }
        let model = std::fs::read(out.path().join("model.safetensors")).unwrap();
        assert_eq!(model, files::read("model/model.safetensors"));

        let history = env.get("/v1/events?kind=pushed").expect(200).await.value();
        let versions: Vec<&str> = history["items"].as_array().unwrap().iter().map(|e| e["data"]["version"].as_str().unwrap()).collect();
        assert_eq!(versions, ["1.0.0", "1.0.1", "1.0.2", "1.0.3"]);
    }
}
