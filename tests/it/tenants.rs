//! Two tenants: knowing the other's digests and names gives nothing.

use crate::harness::{backends, files};
use gradus::model::{access::Role, digest::Digest};
use serde_json::json;

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
