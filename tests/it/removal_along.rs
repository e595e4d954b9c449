//! What goes along with a purge: everything else in the repository that would keep what two people took away.

use crate::{
    harness::{
        Answer, Env, backends, files,
        govern::{Someone, W},
        home::Home,
        oci,
        session::objects,
    },
    removal::{DAY, assert_sound, events, is, resolve, said},
};
use gradus::model::{access::Role, digest::Digest, evidence::EvidenceKind};
use serde_json::{Value, json};

async fn admins(env: &Env) -> (Someone<'_>, Someone<'_>) {
    (env.someone("ada", &[Role::Admin]).await, env.someone("bob", &[Role::Admin]).await)
}

async fn purge(by: &Someone<'_>, version: &str) -> Answer {
    let path = format!("/v1/workloads/{W}/versions/{version}/purge");
    by.call("POST", &path).json(json!({ "reason": "a customer's name" })).send().await
}

async fn digest_of(env: &Env, version: &str) -> String {
    resolve(env, version).await.value()["digest"].as_str().unwrap().to_owned()
}

fn layer(bytes: &[u8]) -> Value {
    json!({ "mediaType": "text/plain", "digest": Digest::sha256(bytes), "size": bytes.len() })
}

/// Other OCI content with these layers, all of which are there.
fn plain(artifact_type: &str, layers: &[&[u8]]) -> Value {
    let layers: Vec<Value> = layers.iter().map(|bytes| layer(bytes)).collect();
    json!({ "schemaVersion": 2, "mediaType": oci::IMAGE, "artifactType": artifact_type, "config": layer(b"{}"), "layers": layers })
}

fn entry(digest: &str) -> Value {
    json!({ "mediaType": oci::IMAGE, "digest": digest, "size": 7 })
}

async fn put_index(env: &Env, tag: &str, listed: &[&str]) -> (String, Answer) {
    let listed: Vec<Value> = listed.iter().map(|digest| entry(digest)).collect();
    let index = json!({ "schemaVersion": 2, "mediaType": oci::INDEX, "manifests": listed });
    let put = env.call("PUT", &format!("/v2/{W}/manifests/{tag}")).header("content-type", oci::INDEX);
    (oci::digest_of(&index).to_string(), put.body(index.to_string()).send().await)
}

async fn blob(env: &Env, bytes: &[u8]) -> u16 {
    env.get(&format!("/v2/{W}/blobs/{}", Digest::sha256(bytes))).send().await.status.as_u16()
}

async fn manifest(env: &Env, reference: &str) -> u16 {
    env.get(&format!("/v2/{W}/manifests/{reference}")).send().await.status.as_u16()
}

/// Two versions, the first with a name in it, and a model card about one of them that has that file too: file and card.
async fn card_with_a_name(env: &Env, version: &str) -> (Vec<u8>, Vec<u8>) {
    env.namespace("acme").await;
    for text in ["a name", "clean"] {
        env.root().push(text).await;
    }
    let bytes = files::prompt("a name");
    let card = json!({ "gradus": "model_card/v1", "parts": { "license": "apache-2.0" } }).to_string();
    for bytes in [&b"{}"[..], card.as_bytes()] {
        files::upload(env, W, "f", bytes).await;
    }
    let mut said = plain(&EvidenceKind::ModelCard.artifact_type(), &[card.as_bytes(), &bytes]);
    said["subject"] = entry(&digest_of(env, version).await);
    let put = oci::put(env, W, &oci::digest_of(&said).to_string(), &said).await;
    assert_eq!(put.status, 201, "{}", put.text());
    (bytes, card.into_bytes())
}

/// How much is said about a version.
async fn evidence(env: &Env, version: &str) -> usize {
    let listed = env.get(&format!("/v1/workloads/{W}/versions/{version}/evidence")).expect(200).await.value();
    listed["items"].as_array().unwrap().len()
}

backends! {
    async fn what_came_since_is_asked_anew(env: Env) {
        let (bytes, _) = card_with_a_name(&env, "1.0.1").await;
        let (ada, bob) = admins(&env).await;
        let copy = |kind: &str| plain(&format!("application/vnd.example.{kind}"), &[&bytes]);
        let put = async |kind: &str| assert_eq!(oci::put(&env, W, kind, &copy(kind)).await.status, 201);
        let waiting = async || env.get("/v1/purges").expect(200).await.value()["items"][0]["along_total"].clone();
        put("one").await;
        assert_eq!(purge(&ada, "1.0.0").await.value()["along_total"], 1);
        for kind in ["two", "three"] {
            put(kind).await;
        }
        let refused = purge(&bob, "1.0.0").await;
        assert_eq!(said(&refused), is(409, "more_goes_along"));
        assert!(refused.text().contains("2 manifests"), "{}", refused.text());
        assert_eq!((manifest(&env, "one").await, manifest(&env, "two").await), (200, 200));
        assert_eq!(waiting().await, 1, "what was asked for");
        // Whoever asked asks for all there is; less than was asked for is no reason to ask.
        let again = purge(&ada, "1.0.0").await.value();
        assert_eq!((&again["state"], &again["along_total"], waiting().await), (&json!("pending"), &json!(3), json!(3)));
        assert_eq!(events(&env, "purge_requested").await.len(), 2);
        purge(&ada, "1.0.0").await;
        assert_eq!(events(&env, "purge_requested").await.len(), 2, "nothing new");
        let at = format!("/v2/{W}/manifests/{}", oci::digest_of(&copy("two")));
        env.call("DELETE", &at).expect(202).await;
        assert_eq!(purge(&bob, "1.0.0").await.value()["state"], "purged");
        assert_eq!((manifest(&env, "one").await, manifest(&env, "three").await), (404, 404));
        assert_sound(&env).await;
    }

    async fn other_content_can_be_held_by_its_digest(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        for text in ["a name", "clean"] {
            env.root().push(text).await;
        }
        purge(&ada, "1.0.0").await;
        let (index, put) = put_index(&env, "all", &[&digest_of(&env, "1.0.0").await]).await;
        assert_eq!(put.status, 201, "{}", put.text());
        purge(&ada, "1.0.0").await;
        let scope = format!("{W}@{index}");
        ada.hold(&scope).await;
        let held = purge(&bob, "1.0.0").await;
        assert_eq!(said(&held), is(409, "held"));
        assert!(held.text().contains(&index), "{}", held.text());
        let unknown = json!({ "scope": format!("{W}@sha256:{}", "0".repeat(64)), "reason": "r" });
        assert_eq!(env.call("POST", "/v1/holds").json(unknown).send().await.status, 404);
        env.call("POST", "/v1/holds/clear").json(json!({ "scope": scope, "reason": "settled" })).expect(200).await;
        assert_eq!(purge(&bob, "1.0.0").await.value()["state"], "purged");
        assert_eq!(manifest(&env, "all").await, 404);
        assert_sound(&env).await;
    }

    async fn what_is_purged_while_a_backup_is_taken_goes_when_it_ends(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        for text in ["a name", "clean"] {
            env.root().push(text).await;
        }
        let digest = Digest::sha256(&files::prompt("a name"));
        let is_there = async || {
            let mut tx = env.cx.db.read().await.unwrap();
            let row = gradus::db::blobs::find(&mut tx, &env.cx.stores.all()[0].name, &digest);
            row.await.unwrap().is_some()
        };
        let begin = async || env.call("POST", "/v1/backups").expect(200).await.value()["id"].as_str().unwrap().to_owned();
        let end = async |id: String| drop(env.call("DELETE", &format!("/v1/backups/{id}")).expect(204).await);
        let first = begin().await;
        begin().await;
        purge(&ada, "1.0.0").await;
        let done = purge(&bob, "1.0.0").await.value();
        assert!(done["done"]["notes"].to_string().contains("a backup is being taken"), "{done}");
        end(first).await;
        assert!(is_there().await, "the other may need it");
        // Nobody ends the other one; the next has none of it.
        env.clock.advance(DAY);
        let next = begin().await;
        assert!(!is_there().await);
        end(next).await;
        assert_sound(&env).await;
    }

    async fn much_goes_along_in_several_steps(env: Env) {
        let (bytes, _) = card_with_a_name(&env, "1.0.1").await;
        let (ada, bob) = admins(&env).await;
        let copies: Vec<Value> = (0..520).map(|number| plain(&format!("application/vnd.example.c{number}"), &[&bytes])).collect();
        for copy in &copies {
            assert_eq!(oci::put(&env, W, &oci::digest_of(copy).to_string(), copy).await.status, 201);
        }
        let (_, put) = put_index(&env, "all", &copies.iter().map(|copy| oci::digest_of(copy).to_string()).collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert_eq!(put.status, 201, "{}", put.text());
        let asked = purge(&ada, "1.0.0").await.value();
        assert_eq!((asked["along"].as_array().unwrap().len(), &asked["along_total"]), (100, &json!(521)));
        let done = purge(&bob, "1.0.0").await.value();
        let gone = done["done"]["manifests"].as_array().unwrap();
        assert_eq!((gone.len(), &gone[0]["tags"]), (521, &json!(["all"])), "the index before what it lists");
        assert_eq!((blob(&env, &bytes).await, manifest(&env, "all").await), (404, 404));
        assert_sound(&env).await;
    }

    async fn other_content_that_would_keep_the_bytes_goes_along(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        for text in [&"x".repeat(30_011), "clean"] {
            env.root().push(text).await;
        }
        let bytes = files::prompt(&"x".repeat(30_011));
        let purged = digest_of(&env, "1.0.0").await;
        let note = oci::other(&env, W, "a note").await;
        assert_eq!(oci::put(&env, W, "note", &note).await.status, 201);
        let copy = plain("application/vnd.example.copy", &[&bytes, b"a note"]);
        for tag in ["copy", "again"] {
            assert_eq!(oci::put(&env, W, tag, &copy).await.status, 201);
        }
        let untagged = plain("application/vnd.example.other", &[&bytes]);
        let at = oci::digest_of(&untagged).to_string();
        assert_eq!(oci::put(&env, W, &at, &untagged).await.status, 201);
        let (all, put) = put_index(&env, "all", &[&purged, &digest_of(&env, "1.0.1").await]).await;
        assert_eq!(put.status, 201, "{}", put.text());
        let (nested, put) = put_index(&env, "nested", &[&oci::digest_of(&copy).to_string()]).await;
        assert_eq!(put.status, 201, "{}", put.text());

        let named = |list: &Value| {
            let one = |one: &Value| (one["digest"].as_str().unwrap().to_owned(), one["tags"].clone());
            let mut all: Vec<(String, Value)> = list.as_array().unwrap().iter().map(one).collect();
            all.sort_by(|a, b| a.0.cmp(&b.0));
            all
        };
        let asked = purge(&ada, "1.0.0").await.value();
        assert_eq!(manifest(&env, "copy").await, 200, "a request changes nothing");
        let waiting = env.get("/v1/purges").expect(200).await.value()["items"][0].clone();
        let done = purge(&bob, "1.0.0").await.value();
        let along = named(&done["done"]["manifests"]);
        for told in [&asked, &waiting] {
            assert_eq!((named(&told["along"]), &told["along_total"]), (along.clone(), &json!(4)), "{told}");
        }
        let mut expected = vec![
            (oci::digest_of(&copy).to_string(), json!(["again", "copy"])), (at.clone(), json!([])),
            (all.clone(), json!(["all"])), (nested.clone(), json!(["nested"])),
        ];
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(along, expected, "{done}");
        assert!(done["done"]["bytes"].as_u64().unwrap() >= bytes.len() as u64, "{done}");
        assert!(!objects(&env).await.0.contains(&(bytes.len() as u64)), "the bytes go");
        assert_eq!(blob(&env, &bytes).await, 404);
        for reference in ["copy", "again", "all", "nested", &at, &all] {
            assert_eq!(manifest(&env, reference).await, 404, "{reference}");
        }
        for reference in ["note", "1.0.1"] {
            assert_eq!(manifest(&env, reference).await, 200, "{reference}");
        }
        let deleted: Vec<Value> = events(&env, "manifest_deleted").await.iter().map(|event| event["data"]["digest"].clone()).collect();
        assert!(deleted.len() == 4 && expected.iter().all(|(digest, _)| deleted.contains(&json!(digest))), "{deleted:?}");
        assert_eq!(events(&env, "untagged").await.len(), 4);

        assert!(oci::put(&env, W, "copy", &copy).await.status.is_client_error());
        let upload = env.call("POST", &format!("/v2/{W}/blobs/uploads/?digest={}", Digest::sha256(&bytes))).body(bytes).send().await;
        assert_eq!(said(&upload), is(410, "content_purged"));
        assert_eq!(said(&put_index(&env, "all", &[&purged]).await.1), is(410, "version_purged"), "nothing lists it again");
        assert_sound(&env).await;
    }

    async fn what_another_version_needs_stays_with_what_else_uses_it(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        let tokenizer = files::noise(7, 4000);
        for fill in [1, 2] {
            let files = vec![
                files::upload(&env, W, "model.safetensors", &files::safetensors(fill)).await,
                files::upload(&env, W, "tokenizer.model", &tokenizer).await,
            ];
            assert_eq!(files::push(&env, W, files, json!({})).await.status, 201);
        }
        files::upload(&env, W, "config", b"{}").await;
        for (tag, bytes) in [("shared", &tokenizer), ("weights", &files::safetensors(1))] {
            assert_eq!(oci::put(&env, W, tag, &plain("application/vnd.example.copy", &[bytes])).await.status, 201);
        }
        purge(&ada, "1.0.0").await;
        let done = purge(&bob, "1.0.0").await.value();
        let along = done["done"]["manifests"].as_array().unwrap();
        assert!(along.len() == 1 && along[0]["tags"] == json!(["weights"]), "{done}");
        let kept = done["done"]["kept"].as_array().unwrap().iter().find(|kept| kept["size"] == json!(4000));
        assert_eq!(kept.expect("the tokenizer stays")["used_by"], json!([W]));
        assert_eq!((blob(&env, &tokenizer).await, blob(&env, &files::safetensors(1)).await), (200, 404));
        assert_eq!((manifest(&env, "shared").await, manifest(&env, "1.0.1").await), (200, 200));
        assert_sound(&env).await;
    }

    async fn a_hold_of_what_would_go_along_stops_it(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        for text in ["a name", "clean"] {
            env.root().push(text).await;
        }
        files::upload(&env, W, "config", b"{}").await;
        let mut copy = plain("application/vnd.example.copy", &[&files::prompt("a name")]);
        copy["subject"] = entry(&digest_of(&env, "1.0.1").await);
        assert_eq!(oci::put(&env, W, "copy", &copy).await.status, 201);
        purge(&ada, "1.0.0").await;
        ada.hold("acme/x:1.0.1").await;
        let held = purge(&bob, "1.0.0").await;
        assert_eq!(said(&held), is(409, "held"));
        assert!(held.text().contains(&format!("{W}@{}", oci::digest_of(&copy))), "{}", held.text());
        assert_eq!((resolve(&env, "1.0.0").await.status.as_u16(), manifest(&env, "copy").await), (200, 200), "nothing is half done");
        env.call("POST", "/v1/holds/clear").json(json!({ "scope": "acme/x:1.0.1", "reason": "settled" })).expect(200).await;
        assert_eq!(purge(&bob, "1.0.0").await.value()["state"], "purged");
        assert_eq!(manifest(&env, "copy").await, 404);
        assert_sound(&env).await;
    }

    async fn evidence_stays_without_the_files_of_what_it_is_about(env: Env) {
        let (bytes, card) = card_with_a_name(&env, "1.0.0").await;
        let (ada, bob) = admins(&env).await;
        purge(&ada, "1.0.0").await;
        let done = purge(&bob, "1.0.0").await.value();
        assert_eq!(done["done"]["manifests"], json!([]), "{done}");
        assert_eq!((blob(&env, &bytes).await, blob(&env, &card).await), (404, 200));
        assert_eq!(evidence(&env, "1.0.0").await, 1);
        assert_sound(&env).await;
    }

    async fn evidence_about_another_version_lets_go_of_it_too(env: Env) {
        let (bytes, card) = card_with_a_name(&env, "1.0.1").await;
        let (ada, bob) = admins(&env).await;
        ada.hold("acme/x:1.0.1").await;
        assert_eq!(said(&purge(&ada, "1.0.0").await), is(409, "held"), "what is under hold stays as it was");
        assert_eq!(blob(&env, &bytes).await, 200);
        env.call("POST", "/v1/holds/clear").json(json!({ "scope": "acme/x:1.0.1", "reason": "settled" })).expect(200).await;
        purge(&ada, "1.0.0").await;
        assert_eq!(purge(&bob, "1.0.0").await.value()["state"], "purged");
        assert_eq!((blob(&env, &bytes).await, blob(&env, &card).await), (404, 200));
        assert_eq!(evidence(&env, "1.0.1").await, 1);
        assert_sound(&env).await;
    }

    async fn a_file_that_is_a_manifest_takes_nothing_along_that_lists_the_manifest(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        env.root().push("good").await;
        let good = digest_of(&env, "1.0.0").await;
        let bytes = env.get(&format!("/v2/{W}/manifests/{good}")).expect(200).await.bytes.to_vec();
        let files = vec![
            files::upload(&env, W, "model.safetensors", &files::safetensors(1)).await,
            files::upload(&env, W, "layout/manifest.json", &bytes).await,
        ];
        assert_eq!(files::push(&env, W, files, json!({})).await.status, 201);
        env.root().push("later").await;
        assert_eq!(put_index(&env, "release", &[&good]).await.1.status, 201);
        files::upload(&env, W, "config", b"{}").await;
        assert_eq!(oci::put(&env, W, "copy", &plain("application/vnd.example.copy", &[&bytes])).await.status, 201);
        purge(&ada, "1.0.1").await;
        let done = purge(&bob, "1.0.1").await.value();
        assert_eq!(done["done"]["manifests"][0]["tags"], json!(["copy"]), "{done}");
        assert_eq!(done["done"]["manifests"].as_array().unwrap().len(), 1, "{done}");
        assert_eq!((manifest(&env, "release").await, blob(&env, &files::safetensors(1)).await), (200, 404));
        assert_eq!((blob(&env, &bytes).await, manifest(&env, &good).await), (404, 200), "the file is gone, the manifest is not");
        let again = env.call("POST", &format!("/v2/{W}/blobs/uploads/?digest={}", Digest::sha256(&bytes)));
        assert_eq!(said(&again.body(bytes.clone()).send().await), is(410, "content_purged"));
        assert_eq!(put_index(&env, "again", &[&good]).await.1.status, 201);
        assert_sound(&env).await;
    }

    async fn nobody_keeps_it_by_saying_it_about_what_is_under_hold(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        for text in ["a name", "clean"] {
            env.root().push(text).await;
        }
        files::upload(&env, W, "config", b"{}").await;
        ada.hold("acme/x:1.0.1").await;
        env.clock.advance(DAY);
        let mut copy = plain("application/vnd.example.copy", &[&files::prompt("a name")]);
        copy["subject"] = entry(&digest_of(&env, "1.0.1").await);
        assert_eq!(oci::put(&env, W, "copy", &copy).await.status, 201);
        purge(&ada, "1.0.0").await;
        assert_eq!(purge(&bob, "1.0.0").await.value()["done"]["manifests"].as_array().unwrap().len(), 1);
        assert_eq!((manifest(&env, "copy").await, resolve(&env, "1.0.1").await.status.as_u16()), (404, 200));
        assert_sound(&env).await;
    }

    async fn a_config_of_an_oci_client_is_content(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        let config = json!({ "author": "a customer's name" }).to_string().into_bytes();
        files::upload(&env, W, "config", &config).await;
        let mut version = oci::prompt(&env, W, "by OCI").await;
        version["config"] = layer(&config);
        assert_eq!(oci::put(&env, W, "1.0.0", &version).await.status, 201);
        env.root().push("later").await;
        purge(&ada, "1.0.0").await;
        assert_eq!(purge(&bob, "1.0.0").await.value()["state"], "purged");
        let at = format!("/v2/{W}/blobs/uploads/?digest={}", Digest::sha256(&config));
        assert_eq!(said(&env.call("POST", &at).body(config).send().await), is(410, "content_purged"));
        assert_sound(&env).await;
    }

    async fn a_rule_takes_no_other_content_along(env: Env) {
        env.namespace("acme").await;
        for text in ["one", "two", "three", "four"] {
            env.root().push(text).await;
        }
        files::upload(&env, W, "config", b"{}").await;
        let bytes = files::prompt("one");
        assert_eq!(oci::put(&env, W, "copy", &plain("application/vnd.example.copy", &[&bytes])).await.status, 201);
        assert_eq!(put_index(&env, "list", &[&digest_of(&env, "1.0.1").await]).await.1.status, 201);
        // Whoever has the manifest of a version as a file does not list the version.
        let named = digest_of(&env, "1.0.0").await;
        let text = env.get(&format!("/v2/{W}/manifests/{named}")).expect(200).await.bytes.to_vec();
        files::upload(&env, W, "manifest.json", &text).await;
        assert_eq!(oci::put(&env, W, "archive", &plain("application/vnd.example.archive", &[&text])).await.status, 201);
        env.clock.advance(6 * DAY);
        env.call("PUT", "/v1/namespaces/acme/retention").json(json!({ "older_than_days": 5, "keep_newest": 0 })).expect(200).await;
        let run = env.call("POST", "/v1/namespaces/acme/retention/run").json(json!({ "delete": true })).expect(200).await.value();
        assert_eq!((&run["versions"], &run["kept"]), (&json!(2), &json!({ "in_stage": 1, "listed": 1 })), "{run}");
        let file = run["files"].as_array().unwrap().iter().find(|file| file["digest"] == json!(Digest::sha256(&bytes)));
        assert_eq!(file.expect("it stays with the copy")["used_by"], json!([W]));
        assert_eq!((blob(&env, &bytes).await, manifest(&env, "copy").await, manifest(&env, "list").await), (200, 200, 200));
        assert_eq!((said(&resolve(&env, "1.0.0").await), resolve(&env, "1.0.1").await.status.as_u16()), (is(410, "version_purged"), 200));
        // Nobody asks for it any more.
        env.call("DELETE", &format!("/v2/{W}/manifests/list")).expect(202).await;
        env.call("DELETE", &format!("/v2/{W}/manifests/{}", put_index(&env, "gone", &[&digest_of(&env, "1.0.1").await]).await.0)).expect(202).await;
        let run = env.call("POST", "/v1/namespaces/acme/retention/run").json(json!({ "delete": true })).expect(200).await.value();
        assert_eq!(run["versions"], 1, "{run}");
        assert_sound(&env).await;
    }
}

#[test]
fn the_command_says_what_went_along() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    home.push("prompts/triage-2.prompt.yaml").expect(0);
    let digest = format!("sha256:{}", "c".repeat(64));
    home.sql(&format!("INSERT INTO manifest_bytes (digest, bytes) VALUES ('{digest}', 'x')"));
    home.sql(&format!(
        "INSERT INTO manifests (repository, digest, descriptor, created_at, media_type)
         VALUES ('acme/x', '{digest}', '{{}}', '2026-01-01T00:00:00+00:00', 'application/vnd.oci.image.index.v1+json')"
    ));
    home.sql(&format!(
        "INSERT INTO manifest_uses (repository, manifest, digest)
         SELECT workload, '{digest}', digest FROM versions WHERE version = '1.0.0'"
    ));
    home.sql(&format!(
        "INSERT INTO tags (repository, tag, digest, updated_at) VALUES ('acme/x', 'all', '{digest}', '2026-01-01T00:00:00+00:00')"
    ));
    let done = home.run(&["purge", "acme/x:1.0.0", "-m", "a name in it"]).expect(0);
    assert!(done.stdout.contains(&format!("along went acme/x@{digest} (all)")), "{}", done.stdout);
}
