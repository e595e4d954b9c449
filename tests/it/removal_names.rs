//! Names that were given up: nobody gets them again.

use crate::harness::{
    Answer, Env, backends, files,
    govern::{Someone, W},
    oci,
    session::Session,
};
use gradus::model::access::Role;
use serde_json::{Value, json};

impl Someone<'_> {
    async fn delete(&self, what: &str) -> Answer {
        self.call("POST", &format!("/v1/{what}/delete"))
            .json(json!({ "reason": "not ours any more" }))
            .send()
            .await
    }
}

fn said(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.code())
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

async fn assert_sound(env: &Env) {
    env.call("POST", "/v1/gc").json(json!({ "delete": true, "grace_hours": 0 })).expect(200).await;
    let kept = env.call("POST", "/v1/log/verify").json(json!({})).expect(200).await.value();
    assert_eq!(kept["first_bad"], Value::Null);
}

async fn listed(env: &Env, path: &str) -> usize {
    env.get(path).expect(200).await.value()["items"].as_array().unwrap().len()
}

backends! {
    async fn a_workload_goes_with_its_name_for_good(env: Env) {
        env.namespace("acme").await;
        let ada = env.someone("ada", &[Role::Admin]).await;
        let bob = env.someone("bob", &[Role::Admin]).await;
        env.root().push("one").await;
        env.root().push("two").await;
        env.root().evaluate("1.0.0", 9, 10).await;
        let workload = format!("workloads/{W}");
        let session = Session::begin(&env, W).await;
        assert_eq!(said(&ada.delete(&workload).await), is(409, "workload_not_empty"), "no stage points at the first version");
        for admin in [&ada, &bob] {
            let path = format!("/v1/workloads/{W}/versions/1.0.0/purge");
            admin.call("POST", &path).json(json!({ "reason": "old" })).expect(200).await;
        }
        let hold = env.call("POST", "/v1/holds").json(json!({ "scope": "acme/x:1.0.1", "reason": "case 14" })).expect(201).await;
        assert_eq!(said(&ada.delete(&workload).await), is(409, "held"));
        env.call("POST", "/v1/holds/clear").json(json!({ "scope": "acme/x:1.0.1", "reason": "settled", "id": hold.value()["id"] })).expect(200).await;
        let con = env.someone("con", &[Role::Contributor]).await;
        assert_eq!(said(&con.delete(&workload).await), is(403, "forbidden"));

        // The other is in dev, which cannot be emptied: it goes along, and that takes two.
        for _ in 0..2 {
            let waits = ada.delete(&workload).await.value();
            assert_eq!((&waits["deleted"], waits["requested_by"].as_str()), (&json!(false), Some("ada")), "{waits}");
        }
        assert_eq!(env.means("1.0.1").await, "1.0.1", "a request changes nothing");
        let done = bob.delete(&workload).await.value();
        assert_eq!((&done["deleted"], done["requested_by"].as_str(), &done["versions"]), (&json!(true), Some("ada"), &json!(["1.0.1"])), "{done}");

        assert_eq!(listed(&env, "/v1/workloads").await, 0);
        let pushed = files::prompt("three");
        let digest = gradus::model::digest::Digest::sha256(&pushed);
        let upload = env.call("POST", &format!("/v2/{W}/blobs/uploads/?digest={digest}")).body(pushed).send().await;
        assert_eq!(said(&upload), is(410, "workload_deleted"));
        assert_eq!(said(&env.call("POST", &format!("/v2/{W}/blobs/uploads/")).send().await), is(410, "workload_deleted"));
        assert_eq!(session.finish_with(&env, &gradus::model::digest::Digest::sha256(b"late"), b"late".to_vec()).await.status, 410);
        let index = json!({ "schemaVersion": 2, "mediaType": oci::INDEX, "manifests": [] }).to_string();
        let put = env.call("PUT", &format!("/v2/{W}/manifests/free")).header("content-type", oci::INDEX).body(index).send().await;
        assert_eq!(said(&put), is(410, "workload_deleted"));
        assert_eq!(said(&env.get(&format!("/v2/{W}/tags/list")).send().await), is(410, "workload_deleted"));
        assert_eq!(said(&env.get(&format!("/v1/workloads/{W}/resolve/1.0.1")).send().await), is(410, "version_purged"));
        let evidence = env.get(&format!("/v1/workloads/{W}/versions/1.0.0/evidence")).expect(200).await.value();
        assert_eq!(evidence["items"].as_array().unwrap().len(), 1, "evidence stays");
        assert_eq!(said(&ada.delete(&workload).await), is(410, "workload_deleted"));
        assert_sound(&env).await;
        files::push_prompt(&env, "acme/y", "one", json!({})).await;
        assert_eq!(env.get("/v1/workloads/acme/y/resolve/1.0.0").expect(200).await.value()["version"], "1.0.0");
    }

    async fn a_namespace_goes_when_nothing_is_in_it(env: Env) {
        env.namespace("acme").await;
        env.namespace("other").await;
        let root = env.root();
        let note = oci::other(&env, "acme/notes", "one").await;
        oci::put(&env, "acme/notes", "note", &note).await;
        let ada = env.someone("ada", &[Role::Admin]).await;
        assert_eq!(said(&ada.delete("namespaces/acme").await), is(403, "forbidden"), "it takes an admin of the registry");
        let full = root.delete("namespaces/acme").await;
        assert_eq!(said(&full), is(409, "namespace_not_empty"));
        assert!(full.text().contains("gradus workload delete acme/notes"), "{}", full.text());
        assert_eq!(ada.delete("workloads/acme/notes").await.value()["deleted"], json!(true), "other OCI content goes at once");
        assert_eq!(said(&env.get("/v2/acme/notes/manifests/note").send().await).0, 404, "its tags are gone");
        let digest = oci::digest_of(&note);
        assert_eq!(said(&env.get(&format!("/v2/acme/notes/manifests/{digest}")).send().await), is(410, "workload_deleted"));
        let layer = note["layers"][0]["digest"].as_str().unwrap();
        env.get(&format!("/v2/acme/notes/blobs/{layer}")).expect(404).await;

        env.call("POST", "/v1/holds").json(json!({ "scope": "acme", "reason": "case 14" })).expect(201).await;
        assert_eq!(said(&root.delete("namespaces/acme").await), is(409, "held"));
        env.call("POST", "/v1/holds/clear").json(json!({ "scope": "acme", "reason": "settled" })).expect(200).await;
        assert_eq!(root.delete("namespaces/acme").await.status, 204);
        assert_eq!(listed(&env, "/v1/namespaces").await, 1);
        for (method, path, body) in [
            ("POST", "/v1/namespaces", json!({ "name": "acme" })),
            ("GET", "/v1/namespaces/acme", json!({})),
            ("POST", "/v2/acme/fresh/blobs/uploads/", json!({})),
            ("POST", "/v1/namespaces/acme/delete", json!({ "reason": "twice" })),
        ] {
            assert_eq!(said(&env.call(method, path).json(body).send().await), is(410, "namespace_deleted"), "{method} {path}");
        }
        assert_sound(&env).await;
        assert_eq!(files::push_prompt(&env, "other/x", "one", json!({})).await.status, 201);
    }

    async fn a_push_and_a_deletion_at_once_leave_no_half(env: Env) {
        let other = if env.backend.is_postgres() { Some(env.replica().await) } else { None };
        let there = other.as_ref().unwrap_or(&env);
        for round in 0..8 {
            let name = format!("n{round}");
            env.namespace(&name).await;
            let (workload, what) = (format!("{name}/x"), format!("namespaces/{name}"));
            let note = json!({ "schemaVersion": 2, "mediaType": oci::INDEX, "manifests": [] }).to_string();
            let path = format!("/v2/{workload}/manifests/note");
            let put = there.call("PUT", &path).header("content-type", oci::INDEX).body(note).send();
            let root = env.root();
            let (gone, pushed) = tokio::join!(root.delete(&what), put);
            match (gone.status.as_u16(), pushed.status.as_u16()) {
                (204, 410) => assert_eq!(pushed.code(), "namespace_deleted"),
                (409, 201) => assert_eq!(gone.code(), "namespace_not_empty"),
                both => panic!("{both:?}: {} {}", gone.text(), pushed.text()),
            }
        }
        assert_sound(&env).await;
    }
}
