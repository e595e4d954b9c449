//! Whether there is room for what is brought in: asked for all of a command before its first byte is sent.

use crate::harness::{
    Backend, Env, backends,
    carry::{add, add_blob, bring, client, export, index_of, push_entry, served},
    files::{self, push_prompt},
    front::{front, pass},
    govern::{W, production},
    home::Home,
    oci,
    session::objects,
};
use axum::{body::Body, extract::Request, response::IntoResponse as _};
use gradus::{
    client::{Client, carry::Wanted},
    error::Error,
    model::{access::Role, digest::Digest},
};
use http::StatusCode;
use serde_json::{Value, json};
use std::path::Path;

async fn set(env: &Env, quota: Value) {
    env.call("PUT", "/v1/quotas/acme").json(quota).expect(200).await;
}

async fn used(env: &Env) -> Value {
    env.get("/v1/quotas/acme").expect(200).await.value()["used"].clone()
}

/// How many of what was asked for, if there was no room.
fn asked(refused: &Error, of: &str) -> u64 {
    let details = refused.details.as_ref().unwrap();
    assert_eq!((refused.code, details["of"].as_str()), ("quota_exceeded", Some(of)), "{refused:?}");
    details["asked"].as_u64().unwrap()
}

/// Two versions of one workload and one of another with the same file, an evaluation and an approval: as a layout.
async fn three_versions(env: &Env, folder: &Path) {
    env.namespace("acme").await;
    let ann = env.someone("ann", &[Role::Contributor, Role::Releaser]).await;
    let bo = env.someone("bo", &[Role::Approver]).await;
    env.policy(&production("[{ approvals: { count: 1 } }]")).await;
    ann.push("one").await;
    ann.promote("1.0.0", "production").await;
    assert_eq!(ann.evaluate("1.0.0", 90, 100).await.status, 200);
    assert_eq!(bo.approve("1.0.0", "production").await.status, 200);
    let second = format!("{W}:{}", ann.push("two").await);
    // The same file, but another manifest: what is said about the one is not said about the other.
    let dataset = json!({ "datasets": [{ "name": "tickets", "digest": Digest::sha256(b"tickets") }] });
    assert_eq!(push_prompt(env, "acme/y", "one", dataset).await.status, 201);
    export(env, &["acme/x:1.0.0", &second, "acme/y:1.0.0"], folder).await;
}

backends! {
    async fn all_of_a_command_is_asked_for_before_its_first_byte(env: Env) {
        let folder = env.directory.path().join("layout");
        three_versions(&env, &folder).await;
        let other = Env::new(env.backend).await;
        other.namespace("acme").await;
        let there = client(&other);
        let import = || bring(&there, &folder, Wanted::default());
        let received = other.cx.metrics.bytes_received.get();
        let is_untouched = async || {
            assert_eq!(other.cx.metrics.bytes_received.get(), received, "nothing was sent");
            assert_eq!(objects(&other).await, (vec![], 0));
            assert_eq!((&used(&other).await["bytes"], &used(&other).await["versions"]), (&json!(0), &json!(0)));
        };
        set(&other, json!({ "bytes": 1, "versions": 2 })).await;
        let bytes = asked(&import().await.unwrap_err(), "bytes");
        is_untouched().await;
        set(&other, json!({ "bytes": bytes - 1 })).await;
        assert_eq!(asked(&import().await.unwrap_err(), "bytes"), bytes);
        set(&other, json!({ "bytes": bytes })).await;
        assert_eq!(asked(&import().await.unwrap_err(), "versions"), 3);
        is_untouched().await;
        set(&other, json!({ "versions": 3 })).await;
        let delivered = import().await.unwrap();
        assert_eq!(delivered.iter().filter(|one| one.created && one.refused.is_empty()).count(), 3);
        assert_eq!(delivered.iter().map(|one| one.imported).sum::<usize>(), 1, "the approval");
        let now = used(&other).await;
        assert_eq!((&now["bytes"], &now["versions"]), (&json!(bytes), &json!(3)), "what was asked is what is used");
        // Nothing of it is new any more, so a quota that is full does not matter.
        set(&other, json!({ "bytes": 1, "versions": 1 })).await;
        assert!(import().await.unwrap().iter().all(|one| !one.created && one.bytes_sent == 0));
    }

    async fn a_registry_that_does_not_know_the_question_is_not_asked(env: Env) {
        let folder = env.directory.path().join("layout");
        three_versions(&env, &folder).await;
        let other = Env::new(env.backend).await;
        other.namespace("acme").await;
        let older = front(&other, |router, request: Request| async move {
            if !request.uri().path().ends_with("/present") {
                return pass(router, request).await;
            }
            let (head, body) = request.into_parts();
            let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let asked: Value = serde_json::from_slice(&bytes).unwrap();
            if asked.get("needs").is_some() {
                let refused = json!({
                    "type": "urn:gradus:error:body_invalid", "title": "Bad Request", "status": 400,
                    "code": "body_invalid", "detail": "unknown field `needs`", "request_id": "1"
                });
                return (StatusCode::BAD_REQUEST, axum::Json(refused)).into_response();
            }
            pass(router, Request::from_parts(head, Body::from(bytes))).await
        });
        let older = Client::local_as(older, other.admin.clone());
        set(&other, json!({ "bytes": 10 })).await;
        let refused = bring(&older, &folder, Wanted::default()).await.unwrap_err();
        assert_eq!(refused.code, "quota_exceeded", "when it comes");
        set(&other, json!({ "bytes": 100_000 })).await;
        bring(&older, &folder, Wanted::default()).await.unwrap();
    }

    async fn more_files_than_fit_in_one_question_are_summed_up(env: Env) {
        env.namespace("acme").await;
        env.root().push("one").await;
        let folder = env.directory.path().join("layout");
        export(&env, &["acme/x:1.0.0"], &folder).await;
        let mut bytes = 2;
        let layer = |number: usize| {
            let content = format!("file {number}");
            let mut layer = add_blob(&folder, content.as_bytes());
            layer["annotations"] = json!({ "org.opencontainers.image.title": format!("{number}.txt") });
            (layer, content.len() as u64)
        };
        let layers: Vec<Value> = (0..2100).map(|number| {
            let (layer, size) = layer(number);
            bytes += size;
            layer
        }).collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": oci::IMAGE, "artifactType": oci::MODEL_PACK, "config": add_blob(&folder, b"{}"),
            "layers": layers,
        });
        let mut entry = add(&folder, &manifest, oci::IMAGE);
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "acme/many:1.0.0" });
        push_entry(&folder, entry);
        let other = Env::new(env.backend).await;
        other.namespace("acme").await;
        set(&other, json!({ "bytes": 9000 })).await;
        let wanted = Wanted { names: vec!["acme/many:1.0.0".into()], ..Wanted::default() };
        let refused = bring(&client(&other), &folder, wanted).await.unwrap_err();
        assert_eq!(asked(&refused, "bytes"), bytes);
        assert_eq!(used(&other).await["bytes"], 0);
    }
}

#[test]
fn each_namespace_is_asked_before_any_gets_something() {
    let home = Home::new();
    let second = files::example("prompts/triage-2.prompt.yaml");
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    home.run(&["push", second.to_str().unwrap(), "--to", "beta/y"]).expect(0);
    home.run(&["export", "acme/x:1.0.0", "beta/y:1.0.0", "--out", "layout"]).expect(0);
    assert_eq!(index_of(&home.path("layout"))["manifests"].as_array().unwrap().len(), 2);
    let other = |arguments: &[&str]| home.run(&[&["--data-dir", "other"], arguments].concat());
    other(&["namespace", "create", "beta"]).expect(0);
    other(&["quota", "set", "beta", "--bytes", "10B"]).expect(0);
    let dry = other(&["import", "layout", "--dry-run"]).expect(8);
    assert!(dry.stdout.contains("acme/x:1.0.0") && dry.stdout.contains("would be made"), "{dry:?}");
    assert!(dry.stderr.contains("would be refused: the quota of beta is 10 bytes"), "{dry:?}");
    let refused = other(&["import", "layout"]).expect(8);
    assert!(refused.stderr.contains("[quota_exceeded]") && refused.stdout.is_empty(), "{refused:?}");
    let listed = other(&["namespace", "list", "--json"]).expect(0);
    assert!(!listed.stdout.contains("acme"), "nothing was begun: {}", listed.stdout);
    other(&["quota", "rm", "beta"]).expect(0);
    other(&["import", "layout"]).expect(0);
}

#[test]
fn what_versions_share_is_told_once() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    let again = files::example("prompts/triage-1.prompt.yaml");
    home.run(&["push", again.to_str().unwrap(), "--to", "acme/y"]).expect(0);
    home.run(&["export", "acme/x:1.0.0", "acme/y:1.0.0", "--out", "layout"]).expect(0);
    let dry = home.run(&["--data-dir", "other", "import", "layout", "--dry-run", "--json"]).expect(0);
    let told: Value = serde_json::from_str(&dry.stdout).unwrap();
    assert!(
        told[0]["bytes"].as_u64().unwrap() > 0 && told[1]["bytes"].as_u64() < told[0]["bytes"].as_u64(),
        "{told}"
    );
    let done = home.run(&["--data-dir", "other", "import", "layout", "--json"]).expect(0);
    let came: Value = serde_json::from_str(&done.stdout).unwrap();
    for number in 0..2 {
        assert_eq!(came[number]["bytes_sent"], told[number]["bytes"], "{came}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_refused_before_its_first_byte() {
    let other = Env::new(Backend::SqliteLocal).await;
    other.namespace("acme").await;
    set(&other, json!({ "bytes": 10 })).await;
    let (url, token) = (served(other.router.clone()).await, other.admin.clone());
    let refused = tokio::task::spawn_blocking(move || {
        let home = Home::new();
        home.push("prompts/triage-1.prompt.yaml").expect(0);
        let to = format!("{url}/acme/x");
        home.cli(&["copy", "acme/x:1.0.0", "--to", &to]).environment("GRADUS_TO_TOKEN", &token).run()
    });
    let refused = refused.await.unwrap().expect(8);
    assert!(refused.stderr.contains("[quota_exceeded]"), "{refused:?}");
    assert_eq!(other.cx.metrics.bytes_received.get(), 0);
}
