//! Two tenants: knowing the other's digests and names gives nothing.

use crate::harness::{backends, files};
use gradus::model::{
    access::{Role, Scope},
    digest::Digest,
};
use serde_json::json;

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

backends! {
    async fn a_digest_gives_nothing(env: Env) {
        env.namespace("acme").await;
        env.namespace("rival").await;
        let rival = env.person("rita", "rival", Role::Admin).await;
        let secret = files::safetensors(7);
        let file = files::upload(&env, "acme/secret", "model.safetensors", &secret).await;
        let pushed = files::push(&env, "acme/secret", vec![file.clone()], json!({})).await.value();
        let manifest = pushed["version"]["digest"].as_str().unwrap().to_owned();
        let digest = Digest::sha256(&secret);
        let own = "rival/mine";
        files::upload(&env, own, "x", b"x").await;

        let as_rival = |method: &str, path: String| env.call(method, &path).token(&rival);
        let present = as_rival("POST", format!("/v1/workloads/{own}/present"))
            .json(json!({ "digests": [digest], "sizes": [secret.len()] })).expect(200).await.value();
        assert_eq!(present, json!({ "digests": [], "sizes": [] }));
        as_rival("HEAD", format!("/v2/{own}/blobs/{digest}")).expect(404).await;
        as_rival("GET", format!("/v2/{own}/blobs/{digest}")).expect(404).await;
        as_rival("GET", format!("/v2/{own}/manifests/{manifest}")).expect(404).await;
        as_rival("GET", format!("/v2/acme/secret/blobs/{digest}")).expect(403).await;
        // A mount that may not be is an upload that waits for the bytes.
        as_rival("POST", format!("/v2/{own}/blobs/uploads/?mount={digest}&from=acme/secret")).expect(202).await;
        as_rival("POST", format!("/v2/{own}/blobs/uploads/?mount={digest}")).expect(202).await;
        as_rival("HEAD", format!("/v2/{own}/blobs/{digest}")).expect(404).await;

        let bytes = env.get(&format!("/v2/acme/secret/manifests/{manifest}")).expect(200).await.bytes;
        let put = as_rival("PUT", format!("/v2/{own}/manifests/stolen"))
            .header("content-type", "application/vnd.oci.image.manifest.v1+json").body(bytes).expect(400).await;
        assert_eq!(put.code(), "manifest_blob_unknown");
        let push = as_rival("POST", format!("/v1/workloads/{own}/versions")).json(json!({ "files": [file] })).expect(400).await;
        assert_eq!(push.code(), "file_missing");

        // Who has the bytes may have them stored once more, and then sees them.
        env.call("POST", &format!("/v2/{own}/blobs/uploads/?digest={digest}")).token(&rival).body(secret.clone()).expect(201).await;
        assert_eq!(as_rival("GET", format!("/v2/{own}/blobs/{digest}")).expect(200).await.bytes, secret);
    }

    async fn names_give_nothing(env: Env) {
        env.namespace("acme").await;
        env.namespace("rival").await;
        let rival = env.person("rita", "rival", Role::Admin).await;
        files::push_prompt(&env, "acme/secret", "one", json!({})).await;
        files::push_prompt(&env, "rival/mine", "two", json!({})).await;
        env.call("PUT", "/v1/workloads/acme/secret/aliases/champion").json(json!({ "to": "1.0.0" })).expect(200).await;

        let get = |path: &str| env.get(path).token(&rival);
        let names = |value: serde_json::Value, field: &str| -> Vec<String> {
            value["items"].as_array().unwrap().iter().map(|item| item[field].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(get("/v1/namespaces").expect(200).await.value(), "name"), ["rival"]);
        assert_eq!(names(get("/v1/workloads").expect(200).await.value(), "workload"), ["rival/mine"]);
        get("/v1/workloads?namespace=acme").expect(403).await;
        for path in [
            "/v1/diff?from=acme/secret:1.0.0&to=rival/mine:1.0.0",
            "/v1/diff?from=rival/mine:1.0.0&to=acme/secret:1.0.0",
            "/v1/events?namespace=acme",
            "/v1/events?workload=acme/secret",
            "/v1/events",
            "/v1/tokens?all=true",
            "/v1/members/acme",
            "/v1/members/*",
        ] {
            get(path).expect(403).await;
        }
        let events = get("/v1/events?namespace=rival").expect(200).await.text();
        assert!(events.contains("rival/mine") && !events.contains("acme"), "{events}");

        // Another's token can neither be seen nor revoked.
        let theirs = env.get("/v1/tokens").expect(200).await.value();
        let id = theirs["items"][0]["id"].as_str().unwrap();
        env.call("DELETE", &format!("/v1/tokens/{id}")).token(&rival).expect(404).await;
    }

    async fn promotions_policies_and_evidence_are_each_tenants_own(env: Env) {
        env.namespace("acme").await;
        env.namespace("rival").await;
        let rival = env.person("rita", "rival", Role::Admin).await;
        for (workload, text) in [("acme/secret", "one"), ("rival/mine", "two")] {
            files::push_prompt(&env, workload, text, json!({})).await;
        }
        let policy = "gradus: policy/v1\ndescription: whispered\nrules:\n  prompt:\n    production: { skip: true, gates: [{ approvals: { count: 1 } }] }\n";
        env.call("PUT", "/v1/workloads/acme/secret/policy").body(policy).expect(200).await;
        let asked = env.call("POST", "/v1/workloads/acme/secret/stages/production/promote").json(json!({ "version": "1.0.0" }));
        let asked = asked.expect(200).await.value();
        assert_eq!(asked["state"], "pending");
        let id = asked["id"].as_str().unwrap();
        let evidence = crate::harness::govern::evaluation(9, 10).to_string();
        let attached = env.call("POST", "/v1/workloads/acme/secret/versions/1.0.0/evidence").body(evidence.clone()).expect(200).await.value();
        let digest = attached["evidence"][0]["digest"].as_str().unwrap();
        env.call("POST", "/v1/freezes/acme/secret").json(json!({ "reason": "whispered too" })).expect(200).await;

        let as_rival = |method: &str, path: String| env.call(method, &path).token(&rival);
        assert_eq!(as_rival("GET", "/v1/pending".into()).expect(200).await.value()["items"], json!([]));
        as_rival("GET", "/v1/pending?namespace=acme".into()).expect(403).await;
        // Another's ids under one's own name are not there.
        as_rival("GET", format!("/v1/workloads/rival/mine/promotions/{id}")).expect(404).await;
        as_rival("GET", format!("/v2/rival/mine/manifests/{digest}")).expect(404).await;
        as_rival("GET", format!("/v2/rival/mine/referrers/{}", asked["digest"].as_str().unwrap())).expect(200).await;
        let listed = as_rival("GET", format!("/v1/workloads/rival/mine/versions/{}/evidence", asked["digest"].as_str().unwrap()));
        listed.expect(404).await;
        let decide = json!({ "version": asked["digest"], "message": "m" });
        for verb in ["approve", "reject", "withdraw", "promote"] {
            let body = if verb == "promote" { json!({ "version": asked["digest"] }) } else { decide.clone() };
            as_rival("POST", format!("/v1/workloads/rival/mine/stages/production/{verb}")).json(body.clone()).expect(404).await;
            as_rival("POST", format!("/v1/workloads/acme/secret/stages/production/{verb}")).json(body).expect(403).await;
        }
        for (method, path) in [
            ("GET", "/v1/workloads/acme/secret/status".to_owned()),
            ("GET", "/v1/workloads/acme/secret/stages/production/history".into()),
            ("GET", format!("/v1/workloads/acme/secret/promotions/{id}")),
            ("GET", "/v1/workloads/acme/secret/policy".into()),
            ("GET", "/v1/policies/acme".into()),
            ("DELETE", "/v1/freezes/acme/secret".into()),
            ("DELETE", "/v1/workloads/acme/secret/policy".into()),
        ] {
            as_rival(method, path).expect(403).await;
        }
        let own = as_rival("GET", "/v1/workloads/rival/mine/policy".into()).expect(200).await.text();
        assert!(!own.contains("whispered"), "{own}");
        let promoted = as_rival("POST", "/v1/workloads/rival/mine/stages/production/promote".into());
        let promoted = promoted.json(json!({ "version": "1.0.0" })).expect(200).await.value();
        assert_eq!(promoted["state"], "promoted", "another's policy and freeze do not hold here: {promoted}");
    }

    async fn what_is_not_yours_answers_like_what_is_not_there(env: Env) {
        env.namespace("acme").await;
        env.namespace("rival").await;
        let rival = env.person("rita", "rival", Role::Admin).await;
        let bytes = files::prompt("secret");
        let file = files::upload(&env, "acme/secret", "a.prompt.yaml", &bytes).await;
        let pushed = files::push(&env, "acme/secret", vec![file], json!({})).await.value();
        env.call("PUT", "/v1/workloads/acme/secret/aliases/champion").json(json!({ "to": "1.0.0" })).expect(200).await;
        files::push_prompt(&env, "rival/mine", "mine", json!({})).await;
        let weights = files::upload(&env, "rival/mine", "model.safetensors", &files::safetensors(1)).await;
        let upload = env.call("POST", "/v2/acme/secret/blobs/uploads/").expect(202).await;
        let upload = upload.header("location").rsplit('/').next().unwrap().to_owned();
        let token = env.get("/v1/tokens").expect(200).await.value()["items"][0]["id"].as_str().unwrap().to_owned();

        let file = |digest: &str| json!({ "path": "a.prompt.yaml", "digest": digest, "size": bytes.len() });
        let manifest = |digest: &str, media_type: &str| {
            json!({
                "schemaVersion": 2, "mediaType": media_type, "manifests": [], "layers": [],
                "config": { "mediaType": "application/x", "digest": digest, "size": bytes.len() },
            })
        };
        let index = |digest: &str| {
            let list = json!([{ "mediaType": IMAGE, "digest": digest, "size": 500 }]);
            json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": list })
        };
        // Each question with a name that is another tenant's, and with one that nobody has.
        let (blob, of_nobody) = (Digest::sha256(&bytes).to_string(), Digest::sha256(b"nobody has this").to_string());
        let version = pushed["version"]["digest"].as_str().unwrap();
        let nothing = "0190a0a0-0000-7000-8000-000000000000";
        let own = |rest: &str| format!("/v2/rival/mine/{rest}");
        for (theirs, nobodys, method, path, body) in [
            (&*blob, &*of_nobody, "HEAD", own("blobs/X"), ""),
            (&blob, &of_nobody, "GET", own("blobs/X"), ""),
            (&blob, &of_nobody, "DELETE", own("blobs/X"), ""),
            (&blob, &of_nobody, "POST", own("blobs/uploads/?mount=X"), ""),
            (&blob, &of_nobody, "POST", own("blobs/uploads/?mount=X&from=acme/secret"), ""),
            (&blob, &of_nobody, "PUT", own("manifests/a"), "config"),
            (&blob, &of_nobody, "POST", "/v1/workloads/rival/mine/versions".into(), "file"),
            (&blob, &of_nobody, "POST", "/v1/workloads/rival/mine/versions".into(), "prompt"),
            (&blob, &of_nobody, "POST", "/v1/workloads/rival/mine/present".into(), "digests"),
            (version, &of_nobody, "HEAD", own("manifests/X"), ""),
            (version, &of_nobody, "GET", own("manifests/X"), ""),
            (version, &of_nobody, "DELETE", own("manifests/X"), ""),
            (version, &of_nobody, "GET", own("referrers/X"), ""),
            (version, &of_nobody, "PUT", own("manifests/a"), "index"),
            (version, &of_nobody, "GET", "/v1/workloads/rival/mine/resolve/X".into(), ""),
            (version, &of_nobody, "GET", "/v1/workloads/rival/mine/versions/X".into(), ""),
            (version, &of_nobody, "PUT", "/v1/workloads/rival/mine/aliases/a".into(), "alias"),
            ("champion", "nobody", "GET", "/v1/workloads/rival/mine/resolve/X".into(), ""),
            ("champion", "nobody", "DELETE", "/v1/workloads/rival/mine/aliases/X".into(), ""),
            (&upload, nothing, "GET", own("blobs/uploads/X"), ""),
            (&upload, nothing, "PATCH", own("blobs/uploads/X"), ""),
            (&upload, nothing, "PUT", format!("{}?digest={blob}", own("blobs/uploads/X")), ""),
            (&upload, nothing, "DELETE", own("blobs/uploads/X"), ""),
            (&token, nothing, "DELETE", "/v1/tokens/X".into(), ""),
            ("acme", "nowhere", "GET", "/v1/namespaces/X".into(), ""),
            ("acme", "nowhere", "GET", "/v1/workloads?namespace=X".into(), ""),
            ("acme", "nowhere", "GET", "/v1/events?namespace=X".into(), ""),
            ("acme/secret", "nowhere/at-all", "GET", "/v1/events?workload=X".into(), ""),
            ("acme/secret:1.0.0", "nowhere/at-all:1.0.0", "GET", "/v1/diff?from=rival/mine:1.0.0&to=X".into(), ""),
            ("acme/secret:1.0.0", "nowhere/at-all:1.0.0", "GET", "/v1/diff?to=rival/mine:1.0.0&from=X".into(), ""),
            ("acme/secret", "acme/nothing", "GET", "/v2/X/tags/list".into(), ""),
            ("acme/secret", "acme/nothing", "GET", "/v1/workloads/X/versions".into(), ""),
            ("acme", "nowhere", "POST", "/v1/tokens".into(), "token"),
        ] {
            let ask = async |name: &str| {
                let call = env.call(method, &path.replace('X', name)).token(&rival).header("x-request-id", "same");
                let answer = match body {
                    "config" => call.header("content-type", IMAGE).body(manifest(name, IMAGE).to_string()),
                    "index" => call.header("content-type", INDEX).body(index(name).to_string()),
                    "file" => call.json(json!({ "files": [file(name)] })),
                    "prompt" => call.json(json!({ "files": [weights], "prompt": file(name) })),
                    "digests" => call.json(json!({ "digests": [name] })),
                    "alias" => call.json(json!({ "to": name })),
                    "token" => call.json(json!({ "user": "admin", "days": 1, "scope": { "namespaces": [name] } })),
                    _ => call,
                };
                let answer = answer.send().await;
                let namespace = name.split('/').next().unwrap();
                let text = answer.text().replace(name, "X").replace(&format!("namespace {namespace}"), "namespace X");
                let text = text.replace(&format!("add {namespace} "), "add X ");
                // A mount that may not be is a new upload, each with its own id.
                (answer.status, if answer.status == 202 { String::new() } else { text })
            };
            let (theirs, nobodys) = (ask(theirs).await, ask(nobodys).await);
            assert_eq!(theirs, nobodys, "{method} {path} {body}");
            assert!(!theirs.0.is_server_error() && theirs.0 != 201, "{method} {path} {body}: {theirs:?}");
        }
        // Nothing of it has touched what is theirs.
        env.get(&format!("/v2/acme/secret/blobs/uploads/{upload}")).expect(204).await;
        env.get("/v1/workloads/acme/secret/resolve/champion").expect(200).await;
        let events = env.get("/v1/events?namespace=rival").expect(200).await.value();
        assert_eq!(events["items"].as_array().unwrap().len(), 4, "created, joined, pushed, promoted: {events}");
    }

    async fn a_mount_takes_only_from_where_the_caller_may_read(env: Env) {
        for namespace in ["acme", "beta", "rival"] {
            env.namespace(namespace).await;
        }
        let bytes = files::noise(1, 300);
        let digest = Digest::sha256(&bytes);
        files::upload(&env, "acme/secret", "x", &bytes).await;
        env.person("both", "acme", Role::Reader).await;
        let both = env.person("both", "beta", Role::Contributor).await;
        let one = env.person("one", "beta", Role::Contributor).await;
        let narrowed = Scope { namespaces: vec!["beta".parse().unwrap()], roles: vec![] };
        let narrowed = env.token("both", narrowed).await;
        let writes_acme = env.person("writer", "acme", Role::Contributor).await;

        for (who, token, query, status) in [
            ("who may not read it", &one, "&from=acme/secret", 202),
            ("who may not read it", &one, "", 202),
            ("a token narrowed away from it", &narrowed, "&from=acme/secret", 202),
            ("a token narrowed away from it", &narrowed, "", 202),
            ("who may read another repository", &both, "&from=beta/other", 202),
            ("who names nothing sensible", &one, "&from=../acme/secret", 202),
            ("who may not write", &writes_acme, "&from=acme/secret", 403),
            ("who may", &both, "&from=acme/secret", 201),
        ] {
            let at = format!("/v2/beta/mine/blobs/uploads/?mount={digest}{query}");
            let answer = env.call("POST", &at).token(token).send().await;
            // An absent or unreadable origin is not guessed around; where it is, the blob is now here.
            let expected = if status == 201 { 200 } else { 404 };
            assert_eq!(answer.status.as_u16(), status, "{who} {query}: {}", answer.text());
            env.call("HEAD", &format!("/v2/beta/mine/blobs/{digest}")).token(&both).expect(expected).await;
        }
        let at = format!("/v2/beta/second/blobs/uploads/?mount={digest}");
        env.call("POST", &at).token(&one).expect(201).await;

        // The missing-check links within the namespace, and only there.
        let present = async |workload: &str, token: &str| {
            let call = env.call("POST", &format!("/v1/workloads/{workload}/present")).token(token);
            call.json(json!({ "digests": [digest], "sizes": [300, 301] })).expect(200).await.value()
        };
        assert_eq!(present("beta/third", &one).await, json!({ "digests": [digest], "sizes": [300] }));
        env.call("HEAD", &format!("/v2/beta/third/blobs/{digest}")).token(&one).expect(200).await;
        env.person("both", "rival", Role::Contributor).await;
        assert_eq!(present("rival/first", &both).await, json!({ "digests": [], "sizes": [] }));

        // Deleting the link of one leaves the others'.
        env.call("DELETE", &format!("/v2/beta/mine/blobs/{digest}")).token(&one).expect(202).await;
        env.get(&format!("/v2/beta/mine/blobs/{digest}")).token(&one).expect(404).await;
        assert_eq!(env.get(&format!("/v2/acme/secret/blobs/{digest}")).expect(200).await.bytes, bytes);
        assert_eq!(env.get(&format!("/v2/beta/third/blobs/{digest}")).token(&one).expect(200).await.bytes, bytes);
    }

    async fn the_last_admin_stays_and_services_never_approve(env: Env) {
        env.namespace("acme").await;
        assert_eq!(env.call("POST", "/v1/users/admin/disable").expect(409).await.code(), "last_admin");
        assert_eq!(env.call("DELETE", "/v1/members/*/admin/admin").expect(409).await.code(), "last_admin");
        env.call("POST", "/v1/users").json(json!({ "name": "ci", "kind": "service" })).expect(201).await;
        assert_eq!(env.call("PUT", "/v1/members/acme/ci/approver").expect(400).await.code(), "service_cannot_approve");
        env.call("PUT", "/v1/members/acme/ci/contributor").expect(204).await;
        assert_eq!(env.call("POST", "/v1/users").json(json!({ "name": "local:x", "kind": "local" })).expect(400).await.code(), "principal_kind_invalid");
        // Fields that would give more are not fields.
        let more = json!({ "name": "mallory", "kind": "person", "role": "admin", "disabled": false });
        assert_eq!(env.call("POST", "/v1/users").json(more).expect(400).await.code(), "body_invalid");
    }
}
