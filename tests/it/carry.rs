//! Versions on their way to another registry: by a folder, or straight. What arrives has the same digest, what lies is
//! refused before anything is sent, and nobody's approval counts where it was not given.

use crate::harness::{
    Backend, Env, all_backends, backends, files,
    govern::{W, production},
    home::Home,
    oci,
};
use gradus::{
    client::{
        Client, Digests,
        carry::{Delivered, Exported, Layout, Source, Wanted, Writer},
    },
    error::Result,
    model::{
        access::Role,
        digest::{Algorithm, Digest},
    },
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tower::ServiceExt as _;

fn client(env: &Env) -> Client {
    Client::local_as(env.router.clone(), env.admin.clone())
}

/// A registry behind a socket.
async fn served(router: axum::Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn export(env: &Env, references: &[&str], folder: &Path) -> Vec<Exported> {
    let client = client(env);
    let mut all = Vec::new();
    let mut writer = Writer::open(folder).unwrap();
    for reference in references {
        let resolved = client.resolve(&reference.parse().unwrap()).await.unwrap();
        let carried = client.carry(&resolved, true, client.registry_name().await).await.unwrap();
        all.push(writer.add(&client, &carried, Arc::new(|_| ())).await.unwrap());
    }
    all
}

async fn import(env: &Env, folder: &Path, wanted: Wanted) -> Result<Vec<Delivered>> {
    let client = client(env);
    let layout = Layout::open(folder)?;
    let (versions, _) = layout.versions(&wanted)?;
    let digests = Digests::open(None);
    let mut all = Vec::new();
    for carried in versions {
        layout.verify(carried.blobs(), Arc::new(|_| ())).await?;
        let standing = client.standing(&carried).await?;
        let progress: gradus::client::Progress = Arc::new(|_| ());
        all.push(client.deliver(&carried, standing, &Source::Layout(&layout, &digests), &progress).await?);
    }
    Ok(all)
}

async fn copy(from: &Client, reference: &str, to: &Client, workload: &str) -> Result<Delivered> {
    let resolved = from.resolve(&reference.parse().unwrap()).await?;
    let mut carried = from.carry(&resolved, true, None).await?;
    carried.workload = workload.parse().unwrap();
    let standing = to.standing(&carried).await?;
    let progress: gradus::client::Progress = Arc::new(|_| ());
    to.deliver(&carried, standing, &Source::Registry(from, &resolved.workload), &progress).await
}

async fn digest_of(env: &Env, reference: &str) -> String {
    let (workload, tag) = reference.split_once(':').unwrap();
    let resolved = env.get(&format!("/v1/workloads/{workload}/resolve/{tag}")).expect(200).await.value();
    resolved["digest"].as_str().unwrap().to_owned()
}

async fn evidence(env: &Env, version: &str) -> Vec<Value> {
    let listed = env.get(&format!("/v1/workloads/{W}/versions/{version}/evidence")).expect(200).await.value();
    listed["items"].as_array().unwrap().clone()
}

/// Pushes other OCI content about a manifest; its digest.
async fn say(env: &Env, subject: &str, text: &str, annotations: Value) -> String {
    let mut manifest = oci::other(env, W, text).await;
    manifest["subject"] = json!({ "mediaType": oci::IMAGE, "digest": subject, "size": 2 });
    manifest["annotations"] = annotations;
    let digest = oci::digest_of(&manifest).to_string();
    assert_eq!(oci::put(env, W, &digest, &manifest).await.status, 201);
    digest
}

async fn referrers(env: &Env, subject: &str) -> Vec<String> {
    let listed = env.get(&format!("/v2/{W}/referrers/{subject}")).expect(200).await.value();
    let listed = listed["manifests"].as_array().unwrap().iter();
    listed.map(|one| one["digest"].as_str().unwrap().to_owned()).collect()
}

/// A safetensors file of some MiB, so that it goes in a session of its own.
fn large(seed: u64) -> Vec<u8> {
    let data = files::noise(seed, 3 << 20);
    let header = format!(
        r#"{{"w":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{}]}}}}"#,
        data.len() / 4,
        data.len()
    );
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(data);
    bytes
}

async fn push_weights(env: &Env, files: &[(&str, &[u8])]) {
    let mut uploaded = Vec::new();
    for (path, bytes) in files {
        uploaded.push(files::upload(env, W, path, bytes).await);
    }
    let pushed = files::push(env, W, uploaded, json!({ "contract": files::contract() })).await;
    assert_eq!(pushed.status, 201, "{}", pushed.text());
}

async fn verify_log(env: &Env) {
    let report = env.call("POST", "/v1/log/verify").json(json!({})).expect(200).await.value();
    assert_eq!(report["first_bad"], json!(null), "{report}");
}

backends! {
    async fn what_was_approved_elsewhere_informs_and_does_not_count(env: Env) {
        let policy = production("[{ approvals: { count: 1 } }]");
        env.namespace("acme").await;
        let ann = env.someone("ann", &[Role::Contributor, Role::Releaser]).await;
        let bo = env.someone("bo", &[Role::Approver]).await;
        env.policy(&policy).await;
        ann.push("one").await;
        ann.promote("1.0.0", "production").await;
        assert_eq!(ann.evaluate("1.0.0", 90, 100).await.status, 200);
        assert_eq!(bo.approve("1.0.0", "production").await.status, 200);
        assert_eq!(env.at("production").await, "1.0.0");
        let folder = env.directory.path().join("layout");
        export(&env, &["acme/x:production"], &folder).await;

        let other = Env::new(env.backend).await;
        other.namespace("acme").await;
        assert_eq!(other.policy(&policy).await.status, 200);
        let delivered = import(&other, &folder, Wanted::default()).await.unwrap().remove(0);
        assert_eq!((delivered.created, delivered.evidence, delivered.imported), (true, 1, 1), "{delivered:?}");
        assert_eq!(delivered.refused, Vec::<String>::new());
        assert_eq!(digest_of(&other, "acme/x:1.0.0").await, digest_of(&env, "acme/x:1.0.0").await);

        let said = evidence(&other, "1.0.0").await;
        let kinds: Vec<&str> = said.iter().map(|one| one["kind"].as_str().unwrap()).collect();
        assert!(kinds.len() == 2 && kinds.contains(&"evaluation") && kinds.contains(&"imported"), "{kinds:?}");
        let imported = said.iter().find(|one| one["kind"] == "imported").unwrap();
        let statement = &imported["statement"];
        assert_eq!(
            (&statement["about"], &statement["said"], &statement["stage"], &statement["by"], &statement["reason"]),
            (&json!("approval"), &json!("approved"), &json!("production"), &json!("bo"), &json!("looked at it"))
        );
        assert!(statement["registry"].is_string(), "{statement}");
        assert_ne!(imported["by"], "bo", "whoever brought it says that it was brought");

        // The gate still waits for somebody here.
        let cy = other.someone("cy", &[Role::Releaser]).await;
        let asked = cy.promote("1.0.0", "production").await.value();
        assert_eq!(asked["state"], "pending", "{asked}");
        other.clock.advance(Duration::from_secs(60));
        let bo_here = other.someone("bo", &[Role::Approver]).await;
        assert_eq!(bo_here.approve("1.0.0", "production").await.value()["promoted"][0]["state"], "promoted");

        // Neither kind of evidence can be made up by hand as an approval.
        let file = json!({ "gradus": "imported/v1", "manifest": "{}" });
        assert_eq!(ann_like(&other).await.attach("1.0.0", &file).await.code(), "evidence_malformed");

        // Again, also later, adds nothing. What comes back to where it was said is known there.
        other.clock.advance(Duration::from_secs(86_400));
        let again = import(&other, &folder, Wanted::default()).await.unwrap().remove(0);
        assert_eq!((again.created, again.evidence, again.imported, again.evidence_known), (false, 0, 0, 2), "{again:?}");
        assert_eq!((again.blobs_sent, again.bytes_sent), (0, 0));
        assert_eq!(evidence(&other, "1.0.0").await.len(), 3, "two brought along, one approval of here");
        let back = env.directory.path().join("back");
        export(&other, &["acme/x:1.0.0"], &back).await;
        let came = import(&env, &back, Wanted::default()).await.unwrap().remove(0);
        assert_eq!((came.imported, came.evidence, came.evidence_known), (1, 0, 2), "only the approval there is new here: {came:?}");

        let dossier = other.get(&format!("/v1/workloads/{W}/versions/1.0.0/dossier?format=annex-iv")).expect(200).await.text();
        assert!(dossier.contains("imported: approved for production by bo"), "{dossier}");
        verify_log(&other).await;
        verify_log(&env).await;
    }

    async fn a_file_that_said_several_things_says_them_all_there(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        root.push("one").await;
        let task = |value: f64| json!({ "alias": "t", "acc,none": value, "acc_stderr,none": 0.01 });
        let count = json!({ "original": 100, "effective": 100 });
        let results = json!({
            "results": { "a": task(0.8), "b": task(0.7) }, "configs": { "a": {}, "b": {} }, "versions": { "a": 1, "b": 1 },
            "n-samples": { "a": count, "b": count }, "higher_is_better": { "a": { "acc": true }, "b": { "acc": true } },
        });
        assert_eq!(root.attach("1.0.0", &results).await.status, 200);
        let folder = env.directory.path().join("layout");
        export(&env, &["acme/x:1.0.0"], &folder).await;
        let other = Env::new(env.backend).await;
        other.namespace("acme").await;
        let one = import(&other, &folder, Wanted::default()).await.unwrap().remove(0);
        assert_eq!((one.evidence, one.evidence_known, one.refused.len()), (1, 1, 0), "{one:?}");
        assert_eq!(evidence(&other, "1.0.0").await.len(), 2);
        other.clock.advance(Duration::from_secs(86_400));
        let again = import(&other, &folder, Wanted::default()).await.unwrap().remove(0);
        assert_eq!((again.evidence, again.evidence_known), (0, 2), "{again:?}");
        assert_eq!(evidence(&other, "1.0.0").await.len(), 2);
    }

    async fn what_somebody_says_does_not_name_the_version(env: Env) {
        env.namespace("acme").await;
        env.root().push("one").await;
        let version = digest_of(&env, "acme/x:1.0.0").await;
        let twin = json!({
            "dev.gradus.reference": "acme/x:1.0.0", "dev.gradus.workload": "acme/x", "dev.gradus.registry": "elsewhere",
            "org.opencontainers.image.ref.name": "1.0.0", "note": "kept",
        });
        let twin = say(&env, &version, "twin", twin).await;
        say(&env, &version, "path", json!({ "dev.gradus.workload": "../x" })).await;
        let folder = env.directory.path().join("layout");
        export(&env, &["acme/x:1.0.0"], &folder).await;
        let before = fs::read(folder.join("index.json")).unwrap();
        // The same folder again is no conflict.
        export(&env, &["acme/x:1.0.0"], &folder).await;
        assert_eq!(fs::read(folder.join("index.json")).unwrap(), before);
        let index = index_of(&folder);
        let entries = index["manifests"].as_array().unwrap();
        assert_eq!(entries.len(), 3);
        for entry in entries {
            let named = entry["annotations"].as_object().is_some_and(|all| {
                all.keys().any(|name| name.starts_with("dev.gradus.") || name.ends_with("ref.name"))
            });
            assert_eq!(named, entry["digest"] == version.as_str(), "{entry}");
        }
        assert!(entries.iter().any(|entry| entry["digest"] == twin.as_str() && entry["annotations"]["note"] == "kept"));

        let other = Env::new(env.backend).await;
        other.namespace("acme").await;
        let delivered = import(&other, &folder, Wanted::default()).await.unwrap().remove(0);
        assert_eq!((delivered.evidence, delivered.refused.len()), (2, 0), "{delivered:?}");
        // Also of a layout that another tool wrote the names are those of the version alone.
        let mut poisoned = index.clone();
        for entry in poisoned["manifests"].as_array_mut().unwrap() {
            if entry["digest"] != version.as_str() {
                entry["annotations"] = json!({ "dev.gradus.workload": "../x", "org.opencontainers.image.ref.name": "1.0.0" });
            }
        }
        write_index(&folder, &poisoned);
        let again = import(&other, &folder, Wanted::default()).await.unwrap();
        assert_eq!((again.len(), again[0].created, again[0].evidence_known), (1, false, 2), "{again:?}");
    }

    async fn an_index_about_a_version_is_left_out_with_a_word(env: Env) {
        env.namespace("acme").await;
        env.root().push("one").await;
        let version = digest_of(&env, "acme/x:1.0.0").await;
        let note = oci::other(&env, W, "a note").await;
        let child = oci::digest_of(&note);
        assert_eq!(oci::put(&env, W, child.as_str(), &note).await.status, 201);
        let index = json!({
            "schemaVersion": 2, "mediaType": oci::INDEX, "artifactType": "application/vnd.example.list",
            "manifests": [{ "mediaType": oci::IMAGE, "digest": child, "size": note.to_string().len() }],
            "subject": { "mediaType": oci::IMAGE, "digest": version, "size": 2 },
        });
        let digest = oci::digest_of(&index);
        let put = env.call("PUT", &format!("/v2/{W}/manifests/{digest}"));
        put.header("content-type", oci::INDEX).body(index.to_string().into_bytes()).expect(201).await;
        say(&env, &version, "beside it", json!({})).await;

        let folder = env.directory.path().join("layout");
        export(&env, &["acme/x:1.0.0"], &folder).await;
        let listed = index_of(&folder)["manifests"].as_array().unwrap().clone();
        assert!(listed.len() == 2 && listed.iter().all(|entry| entry["digest"] != digest.as_str()), "{listed:?}");
        let other = Env::new(env.backend).await;
        other.namespace("acme").await;
        let copied = copy(&client(&env), "acme/x:1.0.0", &client(&other), W).await.unwrap();
        assert_eq!((copied.evidence, copied.left_out.len(), copied.refused.len()), (1, 1, 0), "{copied:?}");
        assert!(copied.left_out[0].contains("application/vnd.example.list"), "{copied:?}");
        // Of a layout that has it the rest is brought in.
        push_entry(&folder, add(&folder, &index, oci::INDEX));
        let wanted = Wanted { workload: Some("acme/y".parse().unwrap()), ..Wanted::default() };
        let came = import(&other, &folder, wanted).await.unwrap().remove(0);
        assert_eq!((came.created, came.evidence, came.left_out.len()), (true, 1, 1), "{came:?}");
    }

    async fn what_is_said_of_what_is_said_comes_along(env: Env) {
        env.namespace("acme").await;
        env.root().push("one").await;
        let version = digest_of(&env, "acme/x:1.0.0").await;
        let sbom = say(&env, &version, "a bill of materials", json!({})).await;
        let signature = say(&env, &sbom, "a signature over it", json!({})).await;
        let stamp = say(&env, &signature, "a time stamp", json!({})).await;
        let folder = env.directory.path().join("layout");
        export(&env, &["acme/x:1.0.0"], &folder).await;
        let (by_folder, by_copy) = (Env::new(env.backend).await, Env::new(env.backend).await);
        for (there, is_copy) in [(&by_folder, false), (&by_copy, true)] {
            there.namespace("acme").await;
            let bring = || async {
                match is_copy {
                    true => copy(&client(&env), "acme/x:1.0.0", &client(there), W).await.unwrap(),
                    false => import(there, &folder, Wanted::default()).await.unwrap().remove(0),
                }
            };
            let came = bring().await;
            assert_eq!((came.evidence, came.left_out.len(), came.refused.len()), (3, 0, 0), "{came:?}");
            assert_eq!(referrers(there, &version).await, std::slice::from_ref(&sbom));
            assert_eq!(referrers(there, &sbom).await, std::slice::from_ref(&signature));
            assert_eq!(referrers(there, &signature).await, std::slice::from_ref(&stamp));
            let again = bring().await;
            assert_eq!((again.evidence, again.evidence_known, again.blobs_sent), (0, 3, 0), "{again:?}");
        }
        // What came only later is new, also where the version is there.
        let late = say(&env, &stamp, "another over that", json!({})).await;
        let came = copy(&client(&env), "acme/x:1.0.0", &client(&by_copy), W).await.unwrap();
        assert_eq!((came.created, came.evidence, came.evidence_known), (false, 1, 3), "{came:?}");
        assert_eq!(referrers(&by_copy, &stamp).await, [late]);
    }

    async fn a_blob_with_a_sha512_is_fetched_once(env: Env) {
        env.namespace("acme").await;
        env.root().push("one").await;
        let version = digest_of(&env, "acme/x:1.0.0").await;
        let mut manifest = oci::other(&env, W, "a note").await;
        let bytes = b"known by a longer name";
        let digest = Algorithm::Sha512.digest(bytes);
        let at = format!("/v2/{W}/blobs/uploads/?digest={digest}");
        env.call("POST", &at).body(bytes.to_vec()).expect(201).await;
        manifest["layers"] = json!([{ "mediaType": "text/plain", "digest": digest, "size": bytes.len() }]);
        manifest["subject"] = json!({ "mediaType": oci::IMAGE, "digest": version, "size": 2 });
        let name = oci::digest_of(&manifest);
        assert_eq!(oci::put(&env, W, name.as_str(), &manifest).await.status, 201);
        let folder = env.directory.path().join("layout");
        assert!(export(&env, &["acme/x:1.0.0"], &folder).await[0].bytes_fetched > 0);
        let again = export(&env, &["acme/x:1.0.0"], &folder).await.remove(0);
        assert_eq!((again.bytes_fetched, again.blobs_known), (0, again.blobs), "{again:?}");
        assert_eq!(fs::read(blob(&folder, digest.as_str())).unwrap(), bytes);
    }

    async fn other_content_under_the_number_is_a_conflict_before_anything_is_sent(env: Env) {
        env.namespace("acme").await;
        env.root().push("one").await;
        let folder = env.directory.path().join("layout");
        export(&env, &["acme/x:1.0.0"], &folder).await;
        let other = Env::new(env.backend).await;
        other.namespace("acme").await;
        other.root().push("another").await;
        let events = || async { other.get("/v1/events?limit=1000").expect(200).await.value()["items"].as_array().unwrap().len() };
        let (before, received) = (events().await, other.cx.metrics.bytes_received.get());
        let refused = import(&other, &folder, Wanted::default()).await.unwrap_err();
        assert_eq!(refused.code, "version_taken", "{refused:?}");
        assert_eq!((events().await, other.cx.metrics.bytes_received.get()), (before, received));
        // Other OCI content has the name: the same.
        let note = oci::other(&other, "acme/y", "a note").await;
        assert_eq!(oci::put(&other, "acme/y", "1.0.0", &note).await.status, 201);
        let wanted = Wanted { workload: Some("acme/y".parse().unwrap()), ..Wanted::default() };
        assert_eq!(import(&other, &folder, wanted).await.unwrap_err().code, "version_taken");
        // Under another number it is welcome.
        let wanted = Wanted { workload: Some(W.parse().unwrap()), version: Some("1.1.0".parse().unwrap()), ..Wanted::default() };
        assert!(import(&other, &folder, wanted).await.unwrap()[0].created);
        assert_eq!(digest_of(&other, "acme/x:1.1.0").await, digest_of(&env, "acme/x:1.0.0").await);
    }
}

/// Somebody who may attach evidence.
async fn ann_like(env: &Env) -> crate::harness::govern::Someone<'_> {
    env.someone("ann", &[Role::Contributor]).await
}

all_backends! {
    async fn bytes_go_by_a_folder_and_arrive_as_they_were(env: Env) {
        env.namespace("acme").await;
        let (weights, config) = (large(1), br#"{"architectures":["LlamaForCausalLM"]}"#);
        push_weights(&env, &[("model.safetensors", &weights), ("config.json", config)]).await;
        let more = br#"{"architectures":["LlamaForCausalLM"],"hidden_size":32}"#;
        push_weights(&env, &[("model.safetensors", &weights), ("config.json", more)]).await;
        let (folder, fresh) = (env.directory.path().join("one"), env.directory.path().join("two"));
        export(&env, &["acme/x:1.0.0"], &folder).await;
        // Going on with a folder gives what is written at once.
        export(&env, &["acme/x:1.0.1"], &folder).await;
        export(&env, &["acme/x:1.0.1", "acme/x:1.0.0"], &fresh).await;
        assert_eq!(fs::read(folder.join("index.json")).unwrap(), fs::read(fresh.join("index.json")).unwrap());

        let other = Env::new(env.backend).await;
        other.namespace("acme").await;
        let received = other.cx.metrics.bytes_received.get();
        let delivered = import(&other, &folder, Wanted::default()).await.unwrap();
        let sent: u64 = delivered.iter().map(|one| one.bytes_sent).sum();
        assert_eq!(delivered.len(), 2);
        assert_eq!(other.cx.metrics.bytes_received.get() - received, sent, "what is counted is what was sent");
        assert!(sent < 2 * weights.len() as u64, "what two versions share is sent once: {sent}");
        for version in ["1.0.0", "1.0.1"] {
            let reference = format!("acme/x:{version}");
            assert_eq!(digest_of(&other, &reference).await, digest_of(&env, &reference).await);
        }
        let blob = Digest::sha256(&weights);
        assert_eq!(other.get(&format!("/v2/{W}/blobs/{blob}")).expect(200).await.bytes, weights);
    }

    async fn a_copy_sends_only_what_is_missing(env: Env) {
        env.namespace("acme").await;
        let weights = large(2);
        push_weights(&env, &[("model.safetensors", &weights), ("config.json", b"{\"a\":1}")]).await;
        push_weights(&env, &[("model.safetensors", &weights), ("config.json", b"{\"a\":22}")]).await;
        let other = Env::new(env.backend).await;
        other.namespace("acme").await;
        let target = Client::remote(&served(other.router.clone()).await, Some(other.admin.clone()), false).unwrap();
        let received = || other.cx.metrics.bytes_received.get();
        let first = copy(&client(&env), "acme/x:1.0.0", &target, "acme/there").await.unwrap();
        assert_eq!((first.created, first.blobs_known), (true, 0), "{first:?}");
        assert!(first.bytes_sent > weights.len() as u64 && received() == first.bytes_sent, "{first:?}, {}", received());
        let before = received();
        let second = copy(&client(&env), "acme/x:1.0.1", &target, "acme/there").await.unwrap();
        assert!(second.created && second.blobs_known >= 1 && second.bytes_sent < 10_000, "{second:?}");
        assert_eq!(received() - before, second.bytes_sent);
        let again = copy(&client(&env), "acme/x:1.0.1", &target, "acme/there").await.unwrap();
        assert_eq!((again.created, again.blobs_sent, again.bytes_sent), (false, 0, 0), "{again:?}");
        assert_eq!(digest_of(&other, "acme/there:1.0.1").await, digest_of(&env, "acme/x:1.0.1").await);
        // From a server as well.
        let source = Client::remote(&served(env.router.clone()).await, Some(env.admin.clone()), false).unwrap();
        let third = copy(&source, "acme/x:1.0.0", &client(&other), "acme/here").await.unwrap();
        assert!(third.created, "{third:?}");
    }
}

/// A registry whose large blobs have one byte changed, or are cut short.
async fn damaged(env: &Env, blob: Digest, cut: bool) -> String {
    let router = env.router.clone();
    let answer = move |request: axum::extract::Request| {
        let (router, blob) = (router.clone(), blob.clone());
        async move {
            let is_it = request.uri().path().ends_with(&format!("/blobs/{blob}"));
            let response = router.oneshot(request).await.unwrap();
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
    let fallback = axum::Router::new()
        .fallback(move |request| async move { Ok::<_, std::convert::Infallible>(answer(request).await) });
    served(fallback).await
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_for_one_server_only() {
    let other = Env::new(Backend::SqliteLocal).await;
    other.namespace("acme").await;
    let url = served(other.router.clone()).await;
    let token = other.admin.clone();
    tokio::task::spawn_blocking(move || {
        let home = Home::new();
        home.push("prompts/triage-1.prompt.yaml").expect(0);
        let to = format!("{url}/acme/x");
        let copy = ["copy", "acme/x:1.0.0", "--to", &to];
        // The token of the registry that is copied from is not tried on the other.
        home.cli(&copy).environment("GRADUS_TOKEN", &token).run().expect(8);
        let done = home.cli(&copy).environment("GRADUS_TO_TOKEN", &token).run().expect(0);
        assert!(done.stdout.starts_with("acme/x:1.0.0 sha256:"), "{done:?}");
        assert!(done.stderr.contains("acme/x:1.0.0 made; 0 blobs there already"), "{}", done.stderr);
        assert!(!format!("{done:?}").contains(&token));
        let again = home.cli(&copy).environment("GRADUS_TO_TOKEN", &token).run().expect(0);
        assert!(again.stderr.contains("acme/x:1.0.0 is there already; nothing to send"), "{}", again.stderr);
        for bad in ["acme/x", "https://models.example.org", "https://ann:pw@models.example.org/acme/x"] {
            home.run(&["copy", "acme/x:1.0.0", "--to", bad]).expect(2);
        }
        home.run(&["copy", "acme/x:9.0.0", "--to", &to]).expect(7);
    })
    .await
    .unwrap();
    other.get("/v1/workloads/acme/x/resolve/1.0.0").expect(200).await;
}

#[test]
fn from_folder_to_folder_by_the_command_line() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    let done = home.run(&["export", "acme/x:1.0.0", "--out", "layout"]).expect(0);
    assert!(done.stdout.starts_with("acme/x:1.0.0 sha256:"), "{done:?}");
    assert_eq!(
        fs::read_to_string(home.path("layout/oci-layout")).unwrap(),
        r#"{"imageLayoutVersion":"1.0.0"}"#
    );
    let index = index_of(&home.path("layout"));
    let first = &index["manifests"][0];
    assert_eq!(first["annotations"]["org.opencontainers.image.ref.name"], "1.0.0");
    assert_eq!(first["annotations"]["dev.gradus.reference"], "acme/x:1.0.0");
    assert_eq!(first["artifactType"], oci::PROMPT);
    let again = home.run(&["export", "acme/x:1.0.0", "--out", "layout"]).expect(0);
    assert!(again.stderr.contains(", 0 fetched"), "{}", again.stderr);
    // A copy that rotted is fetched again.
    let blob = some_blob(&home.path("layout"));
    let right = fs::read(&blob).unwrap();
    fs::write(&blob, vec![b'x'; right.len()]).unwrap();
    let healed = home.run(&["export", "acme/x:1.0.0", "--out", "layout"]).expect(0);
    assert!(healed.stderr.contains(", 1 fetched"), "{}", healed.stderr);
    assert_eq!(fs::read(&blob).unwrap(), right);

    let import = |more: &[&str]| home.run(&[&["--data-dir", "other", "import", "layout"], more].concat());
    let dry = import(&["--dry-run"]).expect(0);
    assert!(dry.stdout.contains("would be made"), "{dry:?}");
    home.run(&["--data-dir", "other", "resolve", "acme/x:1.0.0"]).expect(7);
    let done = import(&[]).expect(0);
    assert_eq!(done.stdout.split_whitespace().next(), Some("acme/x:1.0.0"));
    assert!(done.stderr.contains("stages and aliases are not brought along"), "{}", done.stderr);
    let shown =
        |data: &str| home.run(&["--data-dir", data, "resolve", "acme/x:1.0.0", "--json"]).expect(0).stdout;
    let digest = |text: String| serde_json::from_str::<Value>(&text).unwrap()["digest"].clone();
    assert_eq!(digest(shown("other")), digest(shown("data")));
    assert!(import(&[]).expect(0).stderr.contains("is there already"));
    import(&["1.0.0", "--to", "acme/y:2.0.0"]).expect(0);
    import(&["1.0.0", "--to", "acme/y:production"]).expect(2);
    import(&["3.0.0"]).expect(7);

    home.run(&["export", "acme/x:9.0.0", "--out", "never"]).expect(7);
    assert!(!home.path("never").exists(), "nothing is begun for what is not there");
    home.run(&["export", "acme/x:1.0.0"]).expect(2);
    home.run(&["export", "--out", "never"]).expect(2);
    fs::create_dir(home.path("full")).unwrap();
    fs::write(home.path("full/notes.txt"), "mine").unwrap();
    let refused = home.run(&["export", "acme/x:1.0.0", "--out", "full"]).expect(5);
    assert!(refused.stderr.contains("[out_not_empty]"), "{}", refused.stderr);
    assert_eq!(fs::read_dir(home.path("full")).unwrap().count(), 1);
}

fn index_of(layout: &Path) -> Value {
    serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap()
}

fn write_index(layout: &Path, index: &Value) {
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
}

fn blob(layout: &Path, digest: &str) -> PathBuf {
    layout.join("blobs").join(digest.replace(':', "/"))
}

/// The first layer of the first version.
fn some_blob(layout: &Path) -> PathBuf {
    let digest = index_of(layout)["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let manifest: Value = serde_json::from_slice(&fs::read(blob(layout, &digest)).unwrap()).unwrap();
    blob(layout, manifest["layers"][0]["digest"].as_str().unwrap())
}

/// Adds a manifest to a layout; its descriptor.
fn add(layout: &Path, manifest: &Value, media_type: &str) -> Value {
    let bytes = manifest.to_string().into_bytes();
    let digest = Digest::sha256(&bytes);
    fs::write(blob(layout, digest.as_str()), &bytes).unwrap();
    json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
}

fn add_blob(layout: &Path, bytes: &[u8]) -> Value {
    let digest = Digest::sha256(bytes);
    fs::write(blob(layout, digest.as_str()), bytes).unwrap();
    json!({ "mediaType": "application/vnd.oci.empty.v1+json", "digest": digest, "size": bytes.len() })
}

/// Nests an index this often.
fn nest(layout: &Path, times: usize) {
    let mut index = index_of(layout);
    let mut entry = index["manifests"][0].clone();
    let annotations = entry["annotations"].take();
    for _ in 0..times {
        let inner = json!({ "schemaVersion": 2, "mediaType": oci::INDEX, "manifests": [strip(&entry)] });
        entry = add(layout, &inner, oci::INDEX);
    }
    entry["annotations"] = annotations;
    index["manifests"] = json!([entry]);
    write_index(layout, &index);
}

fn strip(entry: &Value) -> Value {
    json!({ "mediaType": entry["mediaType"], "digest": entry["digest"], "size": entry["size"] })
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

fn first_manifest(layout: &Path) -> Value {
    let digest = index_of(layout)["manifests"][0]["digest"].as_str().unwrap().to_owned();
    serde_json::from_slice(&fs::read(blob(layout, &digest)).unwrap()).unwrap()
}

fn change(layout: &Path, how: fn(&mut Value)) {
    let mut index = index_of(layout);
    how(&mut index["manifests"][0]);
    write_index(layout, &index);
}

fn push_entry(layout: &Path, entry: Value) {
    let mut index = index_of(layout);
    index["manifests"].as_array_mut().unwrap().push(entry);
    write_index(layout, &index);
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

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
fn layouts_as_other_tools_write_them_are_read() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    home.run(&["export", "acme/x:1.0.0", "--out", "good"]).expect(0);
    let import =
        |name: &str, more: &[&str]| home.run(&[&["--data-dir", "other", "import", name], more].concat());
    // As skopeo: a name, and nothing else.
    copy_folder(&home.path("good"), &home.path("named"));
    change(&home.path("named"), |entry| {
        *entry = strip(entry);
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "1.0.0" });
    });
    let refused = import("named", &[]).expect(1);
    assert!(
        refused.stderr.contains("[workload_missing]") && refused.stderr.contains("--to"),
        "{}",
        refused.stderr
    );
    import("named", &["--to", "acme/named"]).expect(0);
    // Without a name, and with one that is no number.
    copy_folder(&home.path("good"), &home.path("bare"));
    change(&home.path("bare"), |entry| *entry = strip(entry));
    let refused = import("bare", &["--to", "acme/bare"]).expect(7);
    assert!(refused.stderr.contains("[layout_empty]"), "{}", refused.stderr);
    import("bare", &["--to", "acme/bare:1.0.0"]).expect(0);
    change(&home.path("bare"), |entry| {
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "production" });
    });
    // What is there is told, where nothing of it is a version.
    let refused = import("bare", &["--to", "acme/bare"]).expect(7);
    assert!(refused.stderr.contains("production is no version number"), "{}", refused.stderr);
    let refused = import("bare", &["production", "--to", "acme/staged"]).expect(1);
    assert!(refused.stderr.contains("[not_a_version]"), "{}", refused.stderr);
    import("bare", &["production", "--to", "acme/staged:1.0.0"]).expect(0);
    // An index in between, whose name is that of what it lists.
    copy_folder(&home.path("good"), &home.path("nested"));
    nest(&home.path("nested"), 2);
    import("nested", &["--to", "acme/nested"]).expect(0);
    let digest = |workload: &str, data: &str| {
        let reference = format!("{workload}:1.0.0");
        let shown = home.run(&["--data-dir", data, "resolve", &reference, "--json"]).expect(0).stdout;
        serde_json::from_str::<Value>(&shown).unwrap()["digest"].clone()
    };
    for workload in ["acme/named", "acme/bare", "acme/staged", "acme/nested"] {
        assert_eq!(digest(workload, "other"), digest("acme/x", "data"), "{workload}");
    }
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

#[test]
fn what_is_left_out_is_told_by_import() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    home.run(&["export", "acme/x:1.0.0", "--out", "layout"]).expect(0);
    let layout = home.path("layout");
    let subject = strip(&index_of(&layout)["manifests"][0]);
    let index = json!({
        "schemaVersion": 2, "mediaType": oci::INDEX, "artifactType": "list\u{1b}[1m", "manifests": [], "subject": subject,
    });
    push_entry(&layout, add(&layout, &index, oci::INDEX));
    for more in [&["--dry-run"][..], &[]] {
        let done = home.run(&[&["--data-dir", "other", "import", "layout"], more].concat()).expect(0);
        assert!(done.stderr.contains("left out of what is said about acme/x:1.0.0: "), "{}", done.stderr);
        assert!(!done.stderr.contains('\u{1b}'), "{:?}", done.stderr);
    }
    let done = home.run(&["--data-dir", "other", "import", "layout", "--json"]).expect(0);
    let told: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(told[0]["left_out"].as_array().unwrap().len(), 1, "{told}");
}
