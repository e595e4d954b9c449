//! Versions on their way to another registry: by a folder, or straight. What arrives has the same digest, and nobody's
//! approval counts where it was not given.

use crate::harness::{
    Env, all_backends, backends,
    carry::{
        add, blob, client, copy, digest_of, export, import, index_of, large, push_entry, push_weights,
        served, write_index,
    },
    govern::{W, production},
    oci,
};
use gradus::{
    client::{Client, carry::Wanted},
    model::{
        access::Role,
        digest::{Algorithm, Digest},
    },
};
use serde_json::{Value, json};
use std::{fs, time::Duration};

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
