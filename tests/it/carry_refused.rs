//! What is on its way and is refused: bytes that are not what they say, layouts that lie, and what the other registry does
//! not take.

use crate::harness::{
    Backend, Env,
    carry::{
        add, add_blob, blob, change, client, copy, copy_folder, digest_of, first_manifest, index_of, large,
        nest, push_entry, push_weights, served, some_blob, strip,
    },
    front::{front, pass, status},
    govern::W,
    home::Home,
    oci,
};
use axum::extract::Request;
use gradus::{client::Client, model::digest::Digest};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

/// A registry whose large blobs have one byte changed, or are cut short.
async fn damaged(env: &Env, blob: Digest, cut: bool) -> String {
    let answer = move |router, request: Request| {
        let is_it = request.uri().path().ends_with(&format!("/blobs/{blob}"));
        async move {
            let response = pass(router, request).await;
            if !is_it {
                return response;
            }
            let (mut parts, body) = response.into_parts();
            let mut bytes = axum::body::to_bytes(body, 1 << 30).await.unwrap().to_vec();
            let last = bytes.len() - 1;
            match cut {
                true => bytes.truncate(last),
                false => bytes[last] ^= 1,
            }
            parts.headers.remove("content-length");
            http::Response::from_parts(parts, axum::body::Body::from(bytes))
        }
    };
    served(front(env, answer)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_not_what_their_digest_says_do_not_arrive() {
    let env = Env::new(Backend::SqliteLocal).await;
    env.namespace("acme").await;
    let weights = large(3);
    push_weights(&env, &[("model.safetensors", &weights)]).await;
    let other = Env::new(Backend::SqliteLocal).await;
    other.namespace("acme").await;
    let url = damaged(&env, Digest::sha256(&weights), false).await;
    let source = Client::remote(&url, Some(env.admin.clone()), false).unwrap();
    let refused = copy(&source, "acme/x:1.0.0", &client(&other), W).await.unwrap_err();
    assert_eq!(refused.code, "digest_mismatch", "{refused:?}");
    other.get(&format!("/v1/workloads/{W}/resolve/1.0.0")).expect(404).await;
    other.get(&format!("/v2/{W}/blobs/{}", Digest::sha256(&weights))).expect(404).await;
    let url = damaged(&env, Digest::sha256(&weights), true).await;
    let source = Client::remote(&url, Some(env.admin.clone()), false).unwrap();
    assert!(copy(&source, "acme/x:1.0.0", &client(&other), W).await.is_err());
    other.get(&format!("/v1/workloads/{W}/resolve/1.0.0")).expect(404).await;
}

type Lie = (&'static str, &'static str, fn(&Path));

/// Each changes a layout so that it lies, and is refused by this code.
const LIES: &[Lie] = &[
    ("no oci-layout", "not_a_layout", |at| fs::remove_file(at.join("oci-layout")).unwrap()),
    ("another version of layouts", "layout_version", |at| {
        fs::write(at.join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    }),
    ("no index", "not_a_layout", |at| fs::remove_file(at.join("index.json")).unwrap()),
    ("an index that is no JSON", "index_invalid", |at| fs::write(at.join("index.json"), "{").unwrap()),
    ("a key twice", "index_invalid", |at| {
        fs::write(at.join("index.json"), r#"{"schemaVersion":2,"schemaVersion":2,"manifests":[]}"#).unwrap();
    }),
    ("nothing listed", "layout_empty", |at| {
        fs::write(at.join("index.json"), r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
    }),
    ("an algorithm nobody knows", "digest_unsupported", |at| {
        change(at, |entry| entry["digest"] = json!("md5:d41d8cd98f00b204e9800998ecf8427e"));
    }),
    ("a digest that is a path", "digest_invalid", |at| {
        change(at, |entry| entry["digest"] = json!("sha256:../../../etc/passwd"));
    }),
    ("a size that is not so", "size_mismatch", |at| change(at, |entry| entry["size"] = json!(7))),
    ("a size beyond all bounds", "manifest_too_large", |at| {
        change(at, |entry| entry["size"] = json!(u64::MAX));
    }),
    ("another artifactType", "index_contradicts", |at| {
        change(at, |entry| entry["artifactType"] = json!(oci::MODEL_PACK));
    }),
    ("another media type", "manifest_invalid", |at| {
        change(at, |entry| entry["mediaType"] = json!("text/plain"))
    }),
    ("an image that is called an index", "manifest_invalid", |at| {
        change(at, |entry| entry["mediaType"] = json!(oci::INDEX));
    }),
    ("a Docker manifest", "docker_manifest", |at| {
        change(at, |entry| {
            entry["mediaType"] = json!("application/vnd.docker.distribution.manifest.v2+json");
        });
    }),
    ("another version than it says", "index_contradicts", |at| {
        change(at, |entry| entry["annotations"]["org.opencontainers.image.ref.name"] = json!("1.0.1"));
    }),
    ("another workload than it says", "index_contradicts", |at| {
        change(at, |entry| entry["annotations"]["dev.gradus.workload"] = json!("acme/y"));
    }),
    ("a manifest that is not there", "blob_missing", |at| {
        let digest = index_of(at)["manifests"][0]["digest"].as_str().unwrap().to_owned();
        fs::remove_file(blob(at, &digest)).unwrap();
    }),
    ("a manifest that was changed", "digest_mismatch", |at| {
        let digest = index_of(at)["manifests"][0]["digest"].as_str().unwrap().to_owned();
        let text = fs::read_to_string(blob(at, &digest)).unwrap();
        fs::write(blob(at, &digest), text.replace("prompt", "Prompt")).unwrap();
    }),
    ("a file that is not there", "blob_missing", |at| fs::remove_file(some_blob(at)).unwrap()),
    ("a file cut short", "size_mismatch", |at| fs::write(some_blob(at), "x").unwrap()),
    ("a file that was changed", "digest_mismatch", |at| {
        let path = some_blob(at);
        let mut bytes = fs::read(&path).unwrap();
        bytes[0] ^= 1;
        fs::write(path, bytes).unwrap();
    }),
    ("a link to what would be right", "layout_file_refused", |at| {
        let path = some_blob(at);
        let elsewhere = at.with_extension("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        std::os::unix::fs::symlink(elsewhere, path).unwrap();
    }),
    ("blobs behind a link", "layout_file_refused", |at| {
        let elsewhere = at.with_extension("blobs");
        fs::rename(at.join("blobs"), &elsewhere).unwrap();
        std::os::unix::fs::symlink(elsewhere, at.join("blobs")).unwrap();
    }),
    ("a pipe", "layout_file_refused", |at| {
        let path = some_blob(at);
        fs::remove_file(&path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    }),
    ("a pipe as the index", "layout_file_refused", |at| {
        fs::remove_file(at.join("index.json")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at.join("index.json")).status().unwrap().success());
    }),
    ("indexes in indexes in indexes", "index_too_deep", |at| nest(at, 8)),
    ("evidence about nothing", "subject_missing", |at| {
        let nobody = Digest::sha256(b"nobody");
        let config = add_blob(at, b"{}");
        let manifest = json!({
            "schemaVersion": 2, "mediaType": oci::IMAGE, "artifactType": "application/vnd.example.note", "config": config,
            "layers": [], "subject": { "mediaType": oci::IMAGE, "digest": nobody, "size": 2 },
        });
        push_entry(at, add(at, &manifest, oci::IMAGE));
    }),
    ("an index about nothing", "subject_missing", |at| {
        let nobody = Digest::sha256(b"nobody");
        let index = json!({
            "schemaVersion": 2, "mediaType": oci::INDEX, "manifests": [],
            "subject": { "mediaType": oci::IMAGE, "digest": nobody, "size": 2 },
        });
        push_entry(at, add(at, &index, oci::INDEX));
    }),
    ("a file of two sizes", "size_mismatch", |at| {
        let (version, file) = (index_of(at)["manifests"][0].clone(), first_manifest(at)["layers"][0].clone());
        let mut twice = file.clone();
        twice["size"] = json!(1);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": oci::IMAGE, "artifactType": "application/vnd.example.note",
            "config": add_blob(at, b"{}"), "layers": [file, twice], "subject": strip(&version),
        });
        push_entry(at, add(at, &manifest, oci::IMAGE));
    }),
    ("other content with a number", "not_an_artifact", |at| {
        let config = add_blob(at, b"{}");
        let manifest = json!({
            "schemaVersion": 2, "mediaType": oci::IMAGE, "artifactType": "application/vnd.example.note", "config": config,
            "layers": [],
        });
        let mut entry = add(at, &manifest, oci::IMAGE);
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "acme/note:3.0.0" });
        push_entry(at, entry);
    }),
    ("two contents under one number", "version_ambiguous", |at| {
        let mut manifest = first_manifest(at);
        manifest["annotations"]["note"] = json!("another");
        let mut entry = add(at, &manifest, oci::IMAGE);
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "acme/x:1.0.0" });
        push_entry(at, entry);
    }),
];

#[test]
fn a_layout_that_lies_is_refused_and_nothing_is_sent() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    home.run(&["export", "acme/x:1.0.0", "--out", "good"]).expect(0);
    for (number, (what, code, lie)) in LIES.iter().enumerate() {
        let name = format!("bad-{number}");
        copy_folder(&home.path("good"), &home.path(&name));
        lie(&home.path(&name));
        let done = home.run(&["--data-dir", "other", "import", &name]);
        assert!(done.code != 0 && done.stderr.contains(&format!("[{code}]")), "{what}: {done:#?}");
        let listed = home.run(&["--data-dir", "other", "namespace", "list", "--json"]).expect(0);
        assert!(!listed.stdout.contains("acme"), "{what}: {}", listed.stdout);
    }
    home.run(&["--data-dir", "other", "import", "good"]).expect(0);
}

#[test]
fn what_was_delivered_before_a_failure_is_told() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    home.run(&["export", "acme/x:1.0.0", "--out", "layout"]).expect(0);
    let layout = home.path("layout");
    // The bytes are what their digest says, and no prompt: that only the registry sees.
    let mut manifest = first_manifest(&layout);
    let bytes = b"this is no prompt";
    manifest["layers"][0]["digest"] = add_blob(&layout, bytes)["digest"].clone();
    manifest["layers"][0]["size"] = json!(bytes.len());
    let mut entry = add(&layout, &manifest, oci::IMAGE);
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "acme/x:1.0.1" });
    push_entry(&layout, entry);
    let done = home.run(&["--data-dir", "other", "import", "layout"]);
    assert!(done.code != 0, "{done:?}");
    assert!(done.stdout.starts_with("acme/x:1.0.0 sha256:") && done.stdout.lines().count() == 1, "{done:?}");
    assert!(
        done.stderr.contains("acme/x:1.0.0 made") && done.stderr.contains("error: acme/x:1.0.1: "),
        "{done:?}"
    );
    home.run(&["--data-dir", "other", "resolve", "acme/x:1.0.0"]).expect(0);
    home.run(&["--data-dir", "other", "resolve", "acme/x:1.0.1"]).expect(7);
}

#[test]
fn what_is_about_a_thing_that_was_not_taken_is_not_brought_in() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    home.run(&["export", "acme/x:1.0.0", "--out", "layout"]).expect(0);
    let layout = home.path("layout");
    let version = index_of(&layout)["manifests"][0].clone();
    let config = add_blob(&layout, b"{}");
    let about = |subject: &Value, kind: &str| {
        json!({
            "schemaVersion": 2, "mediaType": oci::IMAGE, "artifactType": kind, "config": config, "layers": [config],
            "subject": strip(subject),
        })
    };
    let bad = about(&version, "application/vnd.gradus.evidence.evaluation.v1+json");
    let bad = add(&layout, &bad, oci::IMAGE);
    push_entry(&layout, bad.clone());
    push_entry(&layout, add(&layout, &about(&bad, "application/vnd.example.signature"), oci::IMAGE));
    let done = home.run(&["--data-dir", "other", "import", "layout"]);
    assert!(done.code != 0 && done.stderr.contains("[evidence_not_taken]"), "{done:?}");
    assert!(done.stderr.contains("2 pieces") && done.stderr.contains("nor was what it is about"), "{done:?}");
    home.run(&["--data-dir", "other", "resolve", "acme/x:1.0.0"]).expect(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registries_that_do_not_say_what_they_should_are_given_up() {
    let env = Env::new(Backend::SqliteLocal).await;
    env.namespace("acme").await;
    push_weights(&env, &[("model.safetensors", &large(5))]).await;
    let other = Env::new(Backend::SqliteLocal).await;
    other.namespace("acme").await;
    // One that has more of an upload than was sent.
    let boasting = front(&other, |router, request: Request| async move {
        match (request.method().as_str(), request.uri().path().contains("/uploads/")) {
            ("PATCH", _) => status(503),
            ("GET", true) => {
                let mut response = status(204);
                response.headers_mut().insert("gradus-received", u64::MAX.to_string().parse().unwrap());
                response
            }
            _ => pass(router, request).await,
        }
    });
    let boasting = Client::local_as(boasting, other.admin.clone());
    let refused = copy(&client(&env), "acme/x:1.0.0", &boasting, W).await.unwrap_err();
    assert_eq!(refused.code, "answer_invalid", "{refused:?}");
    // One whose list of what is said never ends.
    let version = digest_of(&env, "acme/x:1.0.0").await;
    let mut note = oci::other(&env, W, "a note").await;
    note["subject"] = json!({ "mediaType": oci::IMAGE, "digest": version, "size": 2 });
    assert_eq!(oci::put(&env, W, oci::digest_of(&note).as_str(), &note).await.status, 201);
    let endless = front(&env, |router, request: Request| async move {
        let is_list = request.uri().path().contains("/referrers/");
        let mut response = pass(router, request).await;
        if is_list {
            response.headers_mut().insert("link", "<more>; rel=\"next\"".parse().unwrap());
        }
        response
    });
    let endless = Client::local_as(repeating(endless), env.admin.clone());
    let refused = copy(&endless, "acme/x:1.0.0", &client(&other), W).await.unwrap_err();
    assert_eq!(refused.code, "answer_invalid", "{refused:?}");
}

/// Answers every page of a list with the first.
fn repeating(router: axum::Router) -> axum::Router {
    axum::Router::new().fallback(move |mut request: Request| {
        let router = router.clone();
        async move {
            if request.uri().path().contains("/referrers/") {
                *request.uri_mut() = request.uri().path().parse().unwrap();
            }
            pass(router, request).await
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_is_sent_again_when_the_server_says_when() {
    let env = Env::new(Backend::SqliteLocal).await;
    env.namespace("acme").await;
    env.root().push("one").await;
    let other = Env::new(Backend::SqliteLocal).await;
    other.namespace("acme").await;
    static REFUSED: AtomicUsize = AtomicUsize::new(0);
    let busy = front(&other, |router, request: Request| async move {
        let is_manifest = request.method() == "PUT" && request.uri().path().contains("/manifests/");
        if is_manifest && REFUSED.fetch_add(1, Ordering::SeqCst) == 0 {
            let mut response = status(429);
            response.headers_mut().insert("retry-after", "1".parse().unwrap());
            return response;
        }
        pass(router, request).await
    });
    let busy = Client::local_as(busy, other.admin.clone());
    assert!(copy(&client(&env), "acme/x:1.0.0", &busy, W).await.unwrap().created);
    assert!(REFUSED.load(Ordering::SeqCst) > 1);
}
