//! The OCI view of a repository: manifests, tags, referrers, and what a semver tag does.

use crate::harness::{
    Env, backends,
    files::{push_prompt, safetensors, upload},
    oci::{IMAGE, INDEX, MODEL_PACK, PROMPT, digest_of, manifest, other, prompt, put, put_bytes},
};
use gradus::model::digest::{Algorithm, Digest};
use serde_json::{Value, json};

const R: &str = "acme/triage";

async fn tags(env: &Env, query: &str) -> (Vec<String>, String) {
    let answer = env.get(&format!("/v2/{R}/tags/list{query}")).expect(200).await;
    (serde_json::from_value(answer.value()["tags"].clone()).unwrap(), answer.header("link").to_owned())
}

/// The path in `<PATH>; rel="next"`.
fn next(link: &str) -> String {
    link.split(['<', '>']).nth(1).expect("a link").to_owned()
}

async fn get(env: &Env, reference: &str) -> u16 {
    env.get(&format!("/v2/{R}/manifests/{reference}")).send().await.status.as_u16()
}

backends! {
    async fn a_manifest_is_served_byte_for_byte_by_tag_and_digest(env: Env) {
        env.namespace("acme").await;
        // Unusual spacing and key order survive.
        let bytes = format!(" {}\n", other(&env, R, "one").await);
        let digest = Digest::sha256(bytes.as_bytes());
        let put = put_bytes(&env, R, "note", bytes.clone().into_bytes()).await;
        assert_eq!((put.status.as_u16(), put.header("docker-content-digest")), (201, digest.as_str()), "{}", put.text());
        for reference in ["note", digest.as_str()] {
            let at = format!("/v2/{R}/manifests/{reference}");
            let got = env.get(&at).expect(200).await;
            assert_eq!(got.text(), bytes);
            let head = env.call("HEAD", &at).expect(200).await;
            assert_eq!(head.header("content-length"), bytes.len().to_string());
            env.get(&at).header("if-none-match", got.header("etag")).expect(304).await;
        }
        let sha512 = Algorithm::Sha512.digest(bytes.as_bytes());
        assert_eq!(put_bytes(&env, R, sha512.as_str(), bytes.clone().into_bytes()).await.status, 201);
        assert_eq!(get(&env, sha512.as_str()).await, 200);
        let wrong = put_bytes(&env, R, Digest::sha256(b"x").as_str(), bytes.into_bytes()).await;
        assert_eq!((wrong.status.as_u16(), wrong.code().as_str()), (400, "digest_mismatch"));
    }

    async fn tags_are_listed_in_pages(env: Env) {
        env.namespace("acme").await;
        env.get(&format!("/v2/{R}/tags/list")).expect(404).await;
        for (tag, text) in [("b", "1"), ("a", "2"), ("C", "3"), ("z9", "4")] {
            assert_eq!(put(&env, R, tag, &other(&env, R, text).await).await.status, 201);
        }
        push_prompt(&env, R, "x", json!({ "version": "1.0.0" })).await;
        let all = ["1.0.0", "C", "a", "b", "z9"];
        assert_eq!(tags(&env, "").await, (all.map(str::to_owned).to_vec(), String::new()));
        let (mut path, mut seen) = (format!("/v2/{R}/tags/list?n=2"), Vec::new());
        for expected in [2, 2, 1] {
            let answer = env.get(&path).expect(200).await;
            let page: Vec<String> = serde_json::from_value(answer.value()["tags"].clone()).unwrap();
            assert_eq!(page.len(), expected);
            seen.extend(page);
            if seen.len() < all.len() {
                path = next(answer.header("link"));
            } else {
                assert_eq!(answer.header("link"), "");
            }
        }
        assert_eq!(seen, all);
        assert_eq!(tags(&env, "?n=0").await.0, Vec::<String>::new());
        assert_eq!(tags(&env, "?last=a").await.0, ["b", "z9"]);
    }

    async fn referrers_are_listed_filtered_and_paged(env: Env) {
        env.namespace("acme").await;
        let subject = digest_of(&other(&env, R, "subject").await);
        let empty = env.get(&format!("/v2/{R}/referrers/{subject}")).expect(200).await;
        assert_eq!((empty.header("content-type"), &empty.value()["manifests"]), (INDEX, &json!([])));

        let mut referrers = Vec::new();
        for (artifact_type, text) in [("application/sig", "1"), ("application/sbom+json", "2"), ("application/sig", "3")] {
            let mut referrer = manifest(&env, R, artifact_type, &[("f", "text/plain", text.as_bytes())]).await;
            referrer["subject"] = json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": subject, "size": 1 });
            referrer["annotations"] = json!({ "text": text });
            let digest = digest_of(&referrer);
            let put = put(&env, R, digest.as_str(), &referrer).await;
            assert_eq!((put.status.as_u16(), put.header("oci-subject")), (201, subject.as_str()), "a subject may come later");
            referrers.push((digest.to_string(), artifact_type));
        }
        referrers.sort();
        let listed = |value: &Value| -> Vec<(String, String)> {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            value["manifests"].as_array().unwrap().iter().map(|entry| (text(&entry["digest"]), text(&entry["artifactType"]))).collect()
        };
        let expected: Vec<(String, String)> = referrers.iter().map(|(digest, kind)| (digest.clone(), (*kind).to_owned())).collect();
        let mut all = listed(&env.get(&format!("/v2/{R}/referrers/{subject}")).expect(200).await.value());
        all.sort();
        assert_eq!(all, expected);

        let filtered = env.get(&format!("/v2/{R}/referrers/{subject}?artifactType=application%2Fsbom%2Bjson")).expect(200).await;
        assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
        let found = filtered.value();
        assert_eq!((listed(&found).len(), &found["manifests"][0]["annotations"]["text"]), (1, &json!("2")));

        let (mut path, mut seen) = (format!("/v2/{R}/referrers/{subject}?n=1&artifactType=application%2Fsig"), Vec::new());
        for page in 0..2 {
            let answer = env.get(&path).expect(200).await;
            seen.extend(listed(&answer.value()));
            if page == 0 {
                path = next(answer.header("link"));
            } else {
                assert_eq!(answer.header("link"), "");
            }
        }
        assert!(seen.len() == 2 && seen[0] != seen[1] && seen.iter().all(|(_, kind)| kind == "application/sig"), "{seen:?}");
    }

    async fn the_first_version_frees_the_tags_that_follow_from_versions(env: Env) {
        env.namespace("acme").await;
        let note = other(&env, R, "note").await;
        for tag in ["latest", "1", "mine"] {
            assert_eq!(put(&env, R, tag, &note).await.status, 201);
        }
        let first = prompt(&env, R, "first").await;
        assert_eq!(put(&env, R, "1.0.0", &first).await.status, 201);
        for (tag, expected) in [("latest", Some(&first)), ("1", Some(&first)), ("mine", Some(&note))] {
            let got = env.get(&format!("/v2/{R}/manifests/{tag}")).send().await;
            let digest = (got.status == 200).then(|| got.header("docker-content-digest").to_owned());
            assert_eq!(digest, expected.map(|manifest| digest_of(manifest).to_string()), "{tag}");
        }
        let log = env.get("/v1/events?kind=untagged").expect(200).await.value();
        assert_eq!(log["items"].as_array().unwrap().len(), 2);
        for (method, tag) in [("DELETE", "latest"), ("DELETE", "1")] {
            let refused = env.call(method, &format!("/v2/{R}/manifests/{tag}")).expect(405).await;
            assert_eq!(refused.code(), "tag_is_not_free");
        }
        let taken = env.call("PUT", &format!("/v1/workloads/{R}/aliases/mine")).json(json!({ "to": "1.0.0" })).expect(409).await;
        assert_eq!(taken.code(), "alias_is_a_tag");
    }

    async fn arrays_are_no_manifests(env: Env) {
        env.namespace("acme").await;
        let good = other(&env, R, "note").await;
        let config = &good["config"];
        for bad in [
            json!([2, IMAGE, null, config, [], null, null, null]),
            json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": ["sha256:x", "a/b", 1], "layers": [] }),
            json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": [[{}, null, "x"]] }),
        ] {
            assert_eq!(put(&env, R, "bad", &bad).await.code(), "manifest_invalid", "{bad}");
        }
    }

    async fn other_content_is_tagged_moved_and_deleted_freely(env: Env) {
        env.namespace("acme").await;
        let (one, two) = (other(&env, R, "one").await, other(&env, R, "two").await);
        for tag in ["latest", "1.2", "2.0.0", "any-Tag_1"] {
            for manifest in [&one, &two, &one] {
                let put = put(&env, R, tag, manifest).await;
                assert_eq!(put.status, 201, "{tag}: {}", put.text());
                let got = env.get(&format!("/v2/{R}/manifests/{tag}")).expect(200).await;
                assert_eq!(got.header("docker-content-digest"), digest_of(manifest).as_str());
            }
        }
        env.get(&format!("/v1/workloads/{R}/versions/2.0.0")).expect(404).await;

        env.call("DELETE", &format!("/v2/{R}/manifests/latest")).expect(202).await;
        assert_eq!((get(&env, "latest").await, get(&env, "1.2").await), (404, 200));
        let at = format!("/v2/{R}/manifests/{}", digest_of(&one));
        env.call("DELETE", &at).expect(202).await;
        env.call("DELETE", &at).expect(404).await;
        for gone in ["1.2", "2.0.0", "any-Tag_1", digest_of(&one).as_str()] {
            assert_eq!(get(&env, gone).await, 404, "{gone}");
        }
        let note = Digest::sha256(b"two");
        let used = env.call("DELETE", &format!("/v2/{R}/blobs/{note}")).expect(405).await;
        assert_eq!(used.code(), "blob_in_use");
        env.call("DELETE", &format!("/v2/{R}/manifests/{}", digest_of(&two))).expect(202).await;
        env.call("DELETE", &format!("/v2/{R}/blobs/{note}")).expect(202).await;
        env.call("DELETE", &format!("/v2/{R}/blobs/{note}")).expect(404).await;
    }

    async fn a_semver_tag_on_an_artifact_makes_a_version_under_the_same_rules(env: Env) {
        env.namespace("acme").await;
        let first = prompt(&env, R, "one").await;
        assert_eq!(put(&env, R, "draft", &first).await.status, 201);
        env.get(&format!("/v1/workloads/{R}/versions/latest")).expect(404).await;
        let made = put(&env, R, "1.0.0", &first).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let shown = env.get(&format!("/v1/workloads/{R}/versions/1.0.0")).expect(200).await.value();
        assert_eq!((&shown["tier"], &shown["digest"]), (&json!("prompt"), &json!(digest_of(&first))));
        assert_eq!(shown["inspection"]["kind"], "prompt");
        assert_eq!(put(&env, R, "1.0.0", &first).await.status, 201, "the same again is fine");

        let taken = put(&env, R, "1.0.0", &prompt(&env, R, "two").await).await;
        assert_eq!((taken.status.as_u16(), taken.code().as_str()), (409, "version_taken"));
        let taken = put(&env, R, "1.0.0", &other(&env, R, "note").await).await;
        assert_eq!((taken.status.as_u16(), taken.code().as_str()), (409, "version_taken"), "whatever the content");
        // The contract rule of pushes holds at this door too.
        let with_input = |kind: &str| {
            format!("gradus: prompt/v1\ninput: {{type: object, properties: {{body: {{type: {kind}}}}}, required: [body]}}\noutput: {{type: object}}\nmessages:\n  - role: user\n    content: \"{{{{ body }}}}\"\n")
        };
        let file = "application/vnd.gradus.prompt.file.v1";
        let narrow = manifest(&env, R, PROMPT, &[("a.prompt.yaml", file, with_input("string").as_bytes())]).await;
        let refused = put(&env, R, "1.0.1", &narrow).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "version_claims_too_little"), "{}", refused.text());
        assert_eq!(put(&env, R, "2.0.0", &narrow).await.status, 201);

        let pushed = push_prompt(&env, R, "by v1", json!({})).await.value();
        let digest = pushed["version"]["digest"].as_str().unwrap();
        for reference in [pushed["version"]["version"].as_str().unwrap(), "latest", "2", digest] {
            let got = env.get(&format!("/v2/{R}/manifests/{reference}")).expect(200).await;
            assert_eq!(got.header("docker-content-digest"), digest, "{reference}");
        }
    }

    async fn a_claim_that_the_bytes_do_not_bear_out_is_refused(env: Env) {
        env.namespace("acme").await;
        let weights = safetensors(1);
        let files: &[(&str, &str, &[u8])] = &[("model.safetensors", "application/vnd.cncf.model.weight.v1.raw", &weights)];
        for (name, claim) in [("dev.gradus.tier", "prompt"), ("dev.gradus.tier", "adapter"), ("dev.gradus.kind", "gguf")] {
            let mut manifest = manifest(&env, R, MODEL_PACK, files).await;
            manifest["annotations"] = json!({ name: claim });
            let refused = put(&env, R, "1.0.0", &manifest).await;
            assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "claim_refused"), "{}", refused.text());
        }
        let typed = manifest(&env, R, PROMPT, files).await;
        assert_eq!(put(&env, R, "1.0.0", &typed).await.status, 400, "weights are no prompt");
        env.get(&format!("/v2/{R}/manifests/1.0.0")).expect(404).await;
        let mut honest = manifest(&env, R, MODEL_PACK, files).await;
        honest["annotations"] = json!({ "dev.gradus.tier": "weights", "dev.gradus.kind": "safetensors" });
        assert_eq!(put(&env, R, "1.0.0", &honest).await.status, 201);
    }

    async fn what_belongs_to_a_version_cannot_be_deleted(env: Env) {
        env.namespace("acme").await;
        let manifest = prompt(&env, R, "kept").await;
        put(&env, R, "1.0.0", &manifest).await;
        put(&env, R, "champion", &manifest).await;
        let layer = manifest["layers"][0]["digest"].as_str().unwrap();
        for path in [format!("manifests/{}", digest_of(&manifest)), "manifests/1.0.0".into(), format!("blobs/{layer}")] {
            let refused = env.call("DELETE", &format!("/v2/{R}/{path}")).expect(405).await;
            assert!(refused.text().contains("gradus yank"), "{path}: {}", refused.text());
        }
        assert_eq!(get(&env, "1.0.0").await, 200);
        env.call("DELETE", &format!("/v2/{R}/manifests/champion")).expect(202).await;
        assert_eq!(get(&env, "champion").await, 404, "an alias can go");
    }

    async fn tags_that_mean_something_move_only_by_their_verbs(env: Env) {
        env.namespace("acme").await;
        let (one, two) = (prompt(&env, R, "one").await, prompt(&env, R, "two").await);
        put(&env, R, "1.0.0", &one).await;
        put(&env, R, "1.1.0", &two).await;
        for tag in ["production", "staging", "dev", "latest", "1", "1.1", "1.x"] {
            let refused = put(&env, R, tag, &one).await;
            assert_eq!(refused.status, 405, "{tag}: {}", refused.text());
            assert!(refused.text().contains("gradus "), "the hint names a verb: {}", refused.text());
        }
        for tag in ["latest", "1", "1.1", "1.x"] {
            assert_eq!(put(&env, R, tag, &two).await.status, 201, "{tag} means this already");
            let got = env.get(&format!("/v2/{R}/manifests/{tag}")).expect(200).await;
            assert_eq!(got.header("docker-content-digest"), digest_of(&two).as_str());
        }
        put(&env, R, "1.2.0", &prompt(&env, R, "three").await).await;
        let got = env.get(&format!("/v2/{R}/manifests/latest")).expect(200).await;
        assert_ne!(got.header("docker-content-digest"), digest_of(&two).as_str(), "latest was not pinned by that push");
        put(&env, R, "champion", &one).await;
        let aliases = env.get(&format!("/v1/workloads/{R}/aliases")).expect(200).await.value();
        assert_eq!((&aliases["items"][0]["alias"], &aliases["items"][0]["version"]), (&json!("champion"), &json!("1.0.0")));
    }

    async fn a_version_and_other_content_never_share_a_name(env: Env) {
        env.namespace("acme").await;
        put(&env, R, "1.0.0", &other(&env, R, "an image").await).await;
        let taken = push_prompt(&env, R, "x", json!({ "version": "1.0.0" })).await;
        assert_eq!((taken.status.as_u16(), taken.code().as_str()), (409, "version_taken"), "{}", taken.text());
        let taken = put(&env, R, "1.0.0", &prompt(&env, R, "x").await).await;
        assert_eq!((taken.status.as_u16(), taken.code().as_str()), (409, "version_taken"), "{}", taken.text());
        assert_eq!(tags(&env, "").await.0, ["1.0.0"]);
        env.call("DELETE", &format!("/v2/{R}/manifests/1.0.0")).expect(202).await;
        assert_eq!(put(&env, R, "1.0.0", &prompt(&env, R, "x").await).await.status, 201);
    }

    async fn bad_manifests_are_refused_and_leave_nothing(env: Env) {
        env.namespace("acme").await;
        let good = other(&env, R, "good").await;
        let text = good.to_string();
        let changed = |change: fn(&mut Value)| {
            let mut bad = good.clone();
            change(&mut bad);
            bad.to_string()
        };
        let cases = [
            (changed(|m| m["layers"][0]["size"] = json!(5)), 400, "size_mismatch"),
            (changed(|m| m["layers"][0]["digest"] = json!(Digest::sha256(b"absent"))), 400, "manifest_blob_unknown"),
            (changed(|m| m["config"]["digest"] = json!(Digest::sha256(b"absent"))), 400, "manifest_blob_unknown"),
            (text.replacen('{', "{\"schemaVersion\":2,", 1), 400, "manifest_invalid"),
            (changed(|m| m["layers"][0]["digest"] = json!("sha256:../../x")), 400, "manifest_invalid"),
            (changed(|m| m["config"]["size"] = json!(-2)), 400, "manifest_invalid"),
            (changed(|m| m["schemaVersion"] = json!(1)), 400, "manifest_invalid"),
            ("[".repeat(100_000), 400, "manifest_invalid"),
            (String::new(), 400, "manifest_invalid"),
            (format!("{text}{}", " ".repeat(4 << 20)), 413, "manifest_too_large"),
        ];
        for (bytes, status, code) in cases {
            let start: String = bytes.chars().take(200).collect();
            let refused = put_bytes(&env, R, "bad", bytes.into_bytes()).await;
            assert_eq!((refused.status.as_u16(), refused.code().as_str()), (status, code), "{start}");
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [
            { "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": Digest::sha256(b"absent"), "size": 1 }] });
        let call = env.call("PUT", &format!("/v2/{R}/manifests/bad")).header("content-type", INDEX);
        assert_eq!(call.body(index.to_string()).expect(400).await.code(), "manifest_blob_unknown");
        assert_eq!(get(&env, "bad").await, 404);
        // Another repository's blob is no blob here.
        upload(&env, "acme/elsewhere", "f", b"elsewhere").await;
        let foreign = changed(|m| m["layers"][0] = json!({ "mediaType": "text/plain", "digest": Digest::sha256(b"elsewhere"), "size": 9 }));
        assert_eq!(put_bytes(&env, R, "bad", foreign.into_bytes()).await.code(), "manifest_blob_unknown");
    }
}
