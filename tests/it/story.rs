//! The main job on every backend: one workload climbs from prompt to adapter to weights, and its consumer never
//! changes.

use crate::harness::{
    all_backends, backends, files,
    govern::{Someone, W, open_gates},
};
use gradus::{
    client::{Client, Digests, PullOutcome, Upload},
    model::{access::Role, artifact::File, name::Workload, reference::Reference},
    signing, wire,
};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc, time::Duration};

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
        evidence: Vec::new(),
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

backends! {
    /// The whole of it: a prompt at once, the adapter refused and then approved, the weights waiting for their soak, and
    /// back. The consumer asks the same way all along.
    async fn governance_grows_with_the_tier(env: Env) {
        env.namespace("acme").await;
        let dana = env.someone("dana", &[Role::Contributor]).await;
        let rhea = env.someone("rhea", &[Role::Releaser]).await;
        let eli = env.someone("eli", &[Role::Approver]).await;
        let consumer = async || env.means("^1").await;

        // The prompt.
        let body = json!({ "contract": files::contract() });
        let file = files::upload(&env, W, "a.prompt.yaml", &files::read("prompts/triage-1.prompt.yaml")).await;
        push_as(&dana, vec![file], body).await;
        assert_eq!(rhea.promote("1.0.0", "production").await.value()["state"], "promoted");
        rhea.evaluate("1.0.0", 900, 1000).await;
        assert_eq!(consumer().await, "1.0.0");

        // The adapter, first without saying what it was trained on.
        let lora = async |more: Value| {
            let mut files = Vec::new();
            for name in ["adapter_config.json", "adapter_model.safetensors"] {
                files.push(files::upload(&env, W, name, &files::read(&format!("lora/{name}"))).await);
            }
            push_as(&dana, files, more).await
        };
        let base = format!("hf:acme/tiny-llama@{}", "4f".repeat(20));
        let dataset = json!([{ "name": "train", "digest": gradus::model::digest::Digest::sha256(b"train") }]);
        lora(json!({ "base": base })).await;
        let refused = rhea.promote("1.0.1", "staging").await.value();
        assert_eq!((refused["state"].as_str(), open_gates(&refused["report"])), (Some("refused"), vec![("dataset_lineage".into(), "fail".into())]));
        lora(json!({ "base": base, "datasets": dataset })).await;
        assert_eq!(rhea.promote("1.0.2", "staging").await.value()["state"], "promoted");
        let waits = rhea.promote("1.0.2", "production").await.value();
        let mut open = open_gates(&waits["report"]);
        open.sort();
        assert_eq!(open, [("approvals".into(), "wait".into()), ("no_regression".into(), "wait".into())]);
        dana.evaluate("1.0.2", 960, 1000).await;
        assert_eq!(eli.approve("1.0.2", "production").await.value()["promoted"], json!([]), "the author's own measurement does not count");
        let measured = rhea.evaluate("1.0.2", 950, 1000).await.value();
        assert_eq!(measured["promoted"][0]["version"], "1.0.2", "{measured}");
        assert_eq!(consumer().await, "1.0.2");

        // The weights.
        let weights = dana.push_weights(7, json!({ "datasets": dataset })).await;
        let early = rhea.promote("1.0.3", "staging").await.value();
        let mut open = open_gates(&early["report"]);
        open.sort();
        assert_eq!(open, [("provenance".into(), "wait".into()), ("signature".into(), "wait".into())]);
        vouch(&rhea, &weights).await;
        assert_eq!(env.at("staging").await, "1.0.3", "what waited completed with the last piece");
        rhea.evaluate("1.0.3", 955, 1000).await;
        rhea.promote("1.0.3", "production").await;
        eli.approve("1.0.3", "production").await;
        rhea.approve("1.0.3", "production").await;
        let mut open = open_gates(&env.status().await["pending"][0]["report"]);
        open.sort();
        assert_eq!(open, [("soak".into(), "wait".into()), ("workload_described".into(), "wait".into())]);
        env.describe(W).await;
        let status = env.status().await;
        assert_eq!(open_gates(&status["pending"][0]["report"]), [("soak".into(), "wait".into())], "{status}");
        env.clock.advance(Duration::from_secs(24 * 3600));
        gradus::ops::settle::settle_due(&env.cx).await.unwrap();
        assert_eq!(consumer().await, "1.0.3");

        // And back.
        assert_eq!(rhea.rollback("production", None).await.value()["to"], "1.0.2");
        assert_eq!((consumer().await, env.at("production").await), ("1.0.2".into(), "1.0.2".into()));
        let kept = env.call("POST", "/v1/log/verify").json(json!({})).expect(200).await.value();
        assert_eq!(kept["first_bad"], Value::Null);
    }
}

async fn push_as(someone: &Someone<'_>, files: Vec<Value>, more: Value) {
    let mut body = json!({ "files": files });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    someone.call("POST", &format!("/v1/workloads/{W}/versions")).json(body).expect(201).await;
}

/// Attaches what weights need: a signature, how they were made, what they are for.
async fn vouch(someone: &Someone<'_>, weights: &Value) {
    let version = weights["version"]["version"].as_str().unwrap();
    let shown =
        someone.call("GET", &format!("/v1/workloads/{W}/versions/{version}")).expect(200).await.value();
    let resources: Vec<_> = shown["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| signing::Resource {
            name: file["path"].as_str().unwrap().to_owned(),
            digest: file["digest"].as_str().unwrap().parse().unwrap(),
        })
        .collect();
    let (_, key) = signing::PrivateKey::generate().unwrap();
    let bundle = signing::sign(&signing::statement("x", &resources).unwrap(), &key, None).unwrap();
    let public: String = key.public_pem().bytes().map(|byte| format!("%{byte:02X}")).collect();
    let path = format!("/v1/workloads/{W}/versions/{version}/evidence");
    someone
        .call("POST", &format!("{path}?kind=signature&public_key={public}"))
        .body(bundle)
        .expect(200)
        .await;
    let hex = weights["version"]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let provenance = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "model", "digest": { "sha256": hex } }],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": { "buildType": "https://acme.example/train@v1", "externalParameters": {} },
            "runDetails": { "builder": { "id": "https://acme.example/gpu" } },
        },
    });
    assert_eq!(someone.attach(version, &provenance).await.status, 200);
    let card = String::from_utf8(files::read("evidence/model-card.md")).unwrap();
    assert_eq!(someone.attach_text(version, &card).await.status, 200);
}
