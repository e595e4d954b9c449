//! What is taken away for good: by two admins or by a rule, never under a hold, and never while something needs it.

use crate::harness::{
    Answer, Env, all_backends, backends, files,
    govern::{Someone, W, production},
    oci,
    session::{objects, sql},
};
use gradus::model::{access::Role, digest::Digest};
use serde_json::{Value, json};
use std::time::Duration;

pub const DAY: Duration = Duration::from_secs(24 * 3600);
/// Like no other object here.
const LARGE: usize = 30_011;

/// A text whose prompt has its own size.
fn large() -> String {
    "x".repeat(LARGE)
}

impl Someone<'_> {
    async fn purge(&self, tag: &str) -> Answer {
        self.purge_of(W, tag).await
    }

    async fn purge_of(&self, workload: &str, tag: &str) -> Answer {
        let path = format!("/v1/workloads/{workload}/versions/{tag}/purge");
        self.call("POST", &path).json(json!({ "reason": "it has a customer's name" })).send().await
    }

    async fn withdraw_purge(&self, tag: &str) -> Answer {
        let path = format!("/v1/workloads/{W}/versions/{tag}/purge/withdraw");
        self.call("POST", &path).json(json!({ "reason": "not that one" })).send().await
    }

    pub async fn hold(&self, scope: &str) -> Answer {
        self.call("POST", "/v1/holds").json(json!({ "scope": scope, "reason": "case 14" })).send().await
    }

    async fn clear(&self, body: Value) -> Answer {
        self.call("POST", "/v1/holds/clear").json(body).send().await
    }
}

/// The status and the code of a refusal.
pub fn said(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.code())
}

pub fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

async fn admins(env: &Env) -> (Someone<'_>, Someone<'_>) {
    (env.someone("ada", &[Role::Admin]).await, env.someone("bob", &[Role::Admin]).await)
}

pub async fn resolve(env: &Env, tag: &str) -> Answer {
    env.get(&format!("/v1/workloads/{W}/resolve/{tag}")).send().await
}

async fn digest_of(env: &Env, version: &str) -> String {
    let shown = env.get(&format!("/v1/workloads/{W}/versions/{version}")).expect(200).await.value();
    shown["digest"].as_str().unwrap().to_owned()
}

pub async fn events(env: &Env, kind: &str) -> Vec<Value> {
    let page = env.get(&format!("/v1/events?kind={kind}&limit=1000")).expect(200).await.value();
    page["items"].as_array().unwrap().clone()
}

/// The log is what it was, nothing stored is rotten, and collecting garbage harms nothing.
pub async fn assert_sound(env: &Env) {
    let kept = env.call("POST", "/v1/log/verify").json(json!({})).expect(200).await.value();
    assert_eq!(kept["first_bad"], Value::Null);
    let scrubbed = env.call("POST", "/v1/scrub").json(json!({})).expect(200).await.value();
    assert_eq!(scrubbed["rotten"], json!([]));
    env.call("POST", "/v1/gc").json(json!({ "delete": true, "grace_hours": 0 })).expect(200).await;
    let kept = env.call("POST", "/v1/log/verify").json(json!({})).expect(200).await.value();
    assert_eq!(kept["first_bad"], Value::Null);
}

all_backends! {
    async fn two_admins_take_the_bytes_and_leave_a_tombstone(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        let root = env.root();
        root.push(&large()).await;
        root.evaluate("1.0.0", 9, 10).await;
        env.call("PUT", &format!("/v1/workloads/{W}/aliases/champion")).json(json!({ "to": "1.0.0" })).expect(200).await;
        root.push("two").await;
        let digest = digest_of(&env, "1.0.0").await;
        let size = files::prompt(&large()).len() as u64;
        assert!(objects(&env).await.0.contains(&size));

        let asked = ada.purge("1.0.0").await.value();
        assert_eq!((asked["state"].as_str(), asked["requested_by"].as_str(), &asked["done"]), (Some("pending"), Some("ada"), &Value::Null));
        let again = ada.purge("1.0.0").await.value();
        assert_eq!((&again["id"], again["state"].as_str()), (&asked["id"], Some("pending")), "one person's word twice is not two people's");
        assert_eq!(resolve(&env, "1.0.0").await.status, 200, "a request changes nothing");
        assert!(objects(&env).await.0.contains(&size));
        let waiting = env.get("/v1/purges?namespace=acme").expect(200).await.value();
        assert_eq!(waiting["items"][0]["id"], asked["id"]);
        let robot = env.service("robot", Role::Admin).await;
        assert_eq!(said(&robot.purge("1.0.0").await), is(403, "service_cannot_purge"));
        let con = env.someone("con", &[Role::Contributor]).await;
        assert_eq!(said(&con.purge("1.0.0").await), is(403, "forbidden"));

        let done = bob.purge("1.0.0").await.value();
        assert_eq!((done["state"].as_str(), &done["done"]["versions"]), (Some("purged"), &json!(["1.0.0"])), "{done}");
        assert!(done["done"]["bytes"].as_u64().unwrap() >= size, "{done}");
        assert!(!objects(&env).await.0.contains(&size), "the bytes go at once, whatever the grace period");
        assert_eq!(env.get("/v1/purges").expect(200).await.value()["items"], json!([]));

        for tag in ["1.0.0", &digest] {
            let gone = resolve(&env, tag).await;
            assert_eq!(said(&gone), is(410, "version_purged"), "{tag}");
            assert!(gone.text().contains("it has a customer's name"), "{}", gone.text());
            let manifest = env.get(&format!("/v2/{W}/manifests/{tag}")).expect(410).await;
            assert_eq!((manifest.value()["errors"][0]["code"].as_str(), manifest.code().as_str()), (Some("MANIFEST_UNKNOWN"), "version_purged"));
            env.call("HEAD", &format!("/v2/{W}/manifests/{tag}")).expect(410).await;
        }
        let render = env.call("POST", &format!("/v1/workloads/{W}/render/1.0.0")).json(json!({ "input": { "body": "b" } })).send().await;
        assert_eq!(said(&render), is(410, "version_purged"));
        let dossier = env.get(&format!("/v1/workloads/{W}/versions/1.0.0/dossier?format=model-card")).send().await;
        assert_eq!(said(&dossier), is(410, "version_purged"));
        assert_eq!(resolve(&env, "champion").await.status, 404, "its aliases go");
        for tag in ["latest", "^1", "dev"] {
            assert_eq!(env.means(&tag.replace('^', "%5E")).await, "1.0.1", "{tag} passes it over");
        }
        let tags = env.get(&format!("/v2/{W}/tags/list")).expect(200).await.value();
        assert_eq!(tags["tags"], json!(["1.0.1"]));

        let shown = env.get(&format!("/v1/workloads/{W}/versions/1.0.0")).expect(200).await.value();
        assert_eq!((shown["purged"]["by"].as_str(), shown["purged"]["reason"].as_str()), (Some("bob"), Some("it has a customer's name")));
        assert!(shown["invoke"].is_null() && shown["digest"] == json!(digest) && !shown.to_string().contains(&"x".repeat(50)));
        let listed = env.get(&format!("/v1/workloads/{W}/versions")).expect(200).await.value();
        assert_eq!((listed["items"][1]["version"].as_str(), listed["items"][1]["purged"]["by"].as_str()), (Some("1.0.0"), Some("bob")));
        let evidence = env.get(&format!("/v1/workloads/{W}/versions/1.0.0/evidence")).expect(200).await.value();
        assert_eq!(evidence["items"].as_array().unwrap().len(), 1, "evidence stays");

        assert_eq!(said(&root.promote("1.0.0", "production").await), is(410, "version_purged"));
        assert_eq!(said(&root.rollback("dev", Some("1.0.0")).await), is(410, "version_purged"));
        assert_eq!(said(&root.evaluate("1.0.0", 8, 10).await), is(410, "version_purged"));
        assert_eq!(said(&bob.purge("1.0.0").await), is(410, "version_purged"));
        let alias = env.call("PUT", &format!("/v1/workloads/{W}/aliases/champion")).json(json!({ "to": "1.0.0" })).send().await;
        assert_eq!(said(&alias), is(410, "version_purged"));
        let diff = env.get(&format!("/v1/diff?from={W}:1.0.0&to={W}:1.0.1")).send().await;
        assert_eq!(said(&diff), is(410, "version_purged"));
        let report = env.call("PUT", &format!("/v1/workloads/{W}/deployments/eu-1")).json(json!({ "version": "1.0.0", "status": "running" })).send().await;
        assert_eq!(said(&report), is(410, "version_purged"));

        // Neither its number nor its content comes back.
        let bytes = files::prompt(&large());
        let at = format!("/v2/{W}/blobs/uploads/?digest={}", Digest::sha256(&bytes));
        assert_eq!(said(&env.call("POST", &at).body(bytes).send().await), is(410, "content_purged"));
        assert_eq!(said(&files::push_prompt(&env, W, "other", json!({ "version": "1.0.0" })).await), is(409, "version_taken"));
        assert_eq!(files::push_prompt(&env, W, "other", json!({})).await.value()["version"]["version"], "1.0.2");

        let purged = events(&env, "purged").await;
        assert_eq!(purged.len(), 1);
        let data = &purged[0]["data"];
        assert_eq!((data["authority"].as_str(), data["requested_by"].as_str(), &data["versions"]), (Some("two_admins"), Some("ada"), &json!(["1.0.0"])));
        assert_sound(&env).await;
        assert_eq!(resolve(&env, "1.0.1").await.status, 200);
        let file = env.get(&format!("/v1/workloads/{W}/versions/1.0.1")).expect(200).await.value()["files"][0]["digest"].clone();
        env.get(&format!("/v2/{W}/blobs/{}", file.as_str().unwrap())).expect(200).await;
    }

    async fn bytes_that_others_use_stay_with_them(env: Env) {
        env.namespace("acme").await;
        env.namespace("other").await;
        let (ada, bob) = admins(&env).await;
        env.root().push(&large()).await;
        for workload in ["acme/y", "other/z"] {
            files::push_prompt(&env, workload, &large(), json!({})).await;
        }
        // The same content under another number goes with it.
        files::push_prompt(&env, W, &large(), json!({ "version": "2.0.0" })).await;
        env.root().push("last").await;
        let size = files::prompt(&large()).len() as u64;
        ada.purge("1.0.0").await;
        let done = bob.purge("2.0.0").await.value();
        assert_eq!(done["done"]["versions"], json!(["1.0.0", "2.0.0"]), "{done}");
        let kept = done["done"]["kept"].as_array().unwrap();
        let kept = kept.iter().find(|kept| kept["size"] == json!(size)).expect("the prompt stays");
        assert_eq!((&kept["used_by"], &kept["others"]), (&json!(["acme/y"]), &json!(true)), "names only of what one may see");
        let digest = kept["digest"].as_str().unwrap();
        env.get(&format!("/v2/{W}/blobs/{digest}")).expect(404).await;
        for workload in ["acme/y", "other/z"] {
            let got = env.get(&format!("/v2/{workload}/blobs/{digest}")).expect(200).await;
            assert_eq!(got.bytes.len() as u64, size);
            env.get(&format!("/v1/workloads/{workload}/resolve/1.0.0")).expect(200).await;
            env.get(&format!("/v1/workloads/{workload}/versions/1.0.0")).expect(200).await;
        }
        assert_sound(&env).await;
    }

    async fn an_oci_client_gets_nothing_back_in(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        let manifest = oci::prompt(&env, W, "by OCI").await;
        oci::put(&env, W, "1.0.0", &manifest).await;
        env.root().push("later").await;
        ada.purge("1.0.0").await;
        assert_eq!(bob.purge("1.0.0").await.value()["state"], "purged");
        let digest = oci::digest_of(&manifest).to_string();
        for reference in ["1.0.0", "1.5.0", "champion", &digest] {
            assert_eq!(said(&oci::put(&env, W, reference, &manifest).await), is(410, "content_purged"), "{reference}");
        }
        let mut about = oci::other(&env, W, "a word about it").await;
        about["subject"] = json!({ "mediaType": oci::IMAGE, "digest": digest, "size": manifest.to_string().len() });
        assert_eq!(said(&oci::put(&env, W, "word", &about).await), is(410, "version_purged"));
        let other = oci::prompt(&env, W, "something else").await;
        assert_eq!(said(&oci::put(&env, W, "1.0.0", &other).await), is(409, "version_taken"));
        assert_sound(&env).await;
    }
}

backends! {
    async fn what_is_used_is_not_purged(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        let root = env.root();
        env.policy(&production("[{ approvals: { count: 1 } }]")).await;
        root.push("one").await;
        root.push("two").await;
        assert_eq!(said(&ada.purge("1.0.1").await), is(409, "in_stage"));
        assert_eq!(root.promote("1.0.0", "production").await.value()["state"], "pending");
        let waits = ada.purge("1.0.0").await;
        assert_eq!(said(&waits), is(409, "promotion_pending"));
        assert!(waits.text().contains("gradus withdraw acme/x:1.0.0 --to production"), "{}", waits.text());
        root.withdraw("1.0.0", "production").await;

        for inexact in ["latest", "%5E1", "dev", "champion", "1"] {
            assert_eq!(said(&ada.purge(inexact).await), is(400, "reference_inexact"), "{inexact}");
        }
        assert_eq!(said(&ada.purge("7.0.0").await), is(404, "version_unknown"));
        assert_eq!(said(&ada.purge_of("acme/nothing", "1.0.0").await), is(404, "workload_unknown"));
        let empty = ada.call("POST", &format!("/v1/workloads/{W}/versions/1.0.0/purge")).json(json!({ "reason": " " })).send().await;
        assert_eq!(said(&empty), is(400, "reason_missing"));

        // It came into a stage between the two.
        assert_eq!(ada.purge("1.0.0").await.value()["state"], "pending");
        root.promote_with("1.0.0", "production", json!({ "override": "now" })).await;
        assert_eq!(said(&bob.purge("1.0.0").await), is(409, "in_stage"));
        assert_eq!(env.at("production").await, "1.0.0");
        root.promote_with("1.0.1", "production", json!({ "override": "on" })).await;
        assert_eq!(bob.purge("1.0.0").await.value()["state"], "purged");
        let back = root.rollback("production", None).await;
        assert_eq!(said(&back), is(409, "rollback_nowhere"), "there is no way back to it");
        assert_sound(&env).await;
    }

    async fn a_request_counts_for_a_week_and_for_who_is_admin(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        env.root().push("one").await;
        env.root().push("two").await;
        assert_eq!(said(&ada.withdraw_purge("1.0.0").await), is(404, "purge_unknown"));
        ada.purge("1.0.0").await;
        assert_eq!(bob.withdraw_purge("1.0.0").await.value()["state"], "withdrawn");
        assert_eq!(bob.purge("1.0.0").await.value()["state"], "pending", "what was taken back does not count");

        env.clock.advance(7 * DAY);
        assert_eq!(env.get("/v1/purges").expect(200).await.value()["items"], json!([]));
        let anew = ada.purge("1.0.0").await.value();
        assert_eq!((anew["state"].as_str(), anew["requested_by"].as_str()), (Some("pending"), Some("ada")), "nor what is a week old");

        env.call("DELETE", "/v1/members/acme/ada/admin").expect(204).await;
        let anew = bob.purge("1.0.0").await.value();
        assert_eq!((anew["state"].as_str(), anew["requested_by"].as_str()), (Some("pending"), Some("bob")), "nor who is no admin any more");
        assert_eq!(env.root().purge("1.0.0").await.value()["state"], "purged");
        assert_sound(&env).await;
    }

    async fn nothing_under_hold_is_taken_away(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        env.root().push("one").await;
        env.root().push("two").await;
        let digest = digest_of(&env, "1.0.0").await;
        ada.purge("1.0.0").await;
        let by_digest = format!("{W}@{digest}");
        for scope in ["acme", W, "acme/x:1.0.0", &by_digest] {
            let set = ada.hold(scope).await;
            assert_eq!(set.status, 201, "{}", set.text());
            let held = bob.purge("1.0.0").await;
            assert_eq!(said(&held), is(409, "held"), "{scope}");
            assert!(held.text().contains("case 14"), "{}", held.text());
            assert_eq!(said(&env.call("DELETE", &format!("/v2/{W}/manifests/{digest}")).send().await), is(409, "held"));
            let file = env.get(&format!("/v1/workloads/{W}/versions/1.0.0")).expect(200).await.value()["files"][0]["digest"].clone();
            let file = file.as_str().unwrap();
            assert_eq!(said(&env.call("DELETE", &format!("/v2/{W}/blobs/{file}")).send().await), is(409, "held"));
            let listed = env.get(&format!("/v1/holds?scope={W}:1.0.0")).expect(200).await.value();
            assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
            let lifted = bob.clear(json!({ "scope": scope, "reason": "settled" })).await;
            assert_eq!(lifted.status, 200, "{}", lifted.text());
        }
        // A hold of one version is none of another.
        ada.hold("acme/x:1.0.1").await;
        assert_eq!(env.get("/v1/holds?scope=acme/x:1.0.0").expect(200).await.value()["items"], json!([]));
        // What others say of it stays too, and other content does not.
        let subject = |digest: &str| json!({ "mediaType": oci::IMAGE, "digest": digest, "size": 1 });
        let mut words = Vec::new();
        for version in ["1.0.0", "1.0.1"] {
            let mut word = oci::other(&env, W, version).await;
            word["subject"] = subject(&digest_of(&env, version).await);
            oci::put(&env, W, &format!("word-{version}"), &word).await;
            words.push(oci::digest_of(&word));
        }
        assert_eq!(said(&env.call("DELETE", &format!("/v2/{W}/manifests/{}", words[1])).send().await), is(409, "held"));
        env.call("DELETE", &format!("/v2/{W}/manifests/{}", words[0])).expect(202).await;
        assert_eq!(bob.purge("1.0.0").await.value()["state"], "purged");
        let tells: Vec<usize> = [events(&env, "hold_set").await.len(), events(&env, "hold_cleared").await.len()].into();
        assert_eq!(tells, [5, 4]);
        assert_sound(&env).await;
    }

    async fn holds_are_set_by_admins_on_what_is_there(env: Env) {
        env.namespace("acme").await;
        env.namespace("other").await;
        let (ada, _) = admins(&env).await;
        env.root().push("one").await;
        for (scope, refusal) in [
            ("acme/x:latest", is(400, "reference_inexact")),
            ("acme/x:7.0.0", is(404, "version_unknown")),
            ("acme/nothing", is(404, "workload_unknown")),
            ("acme/nothing:1.0.0", is(404, "workload_unknown")),
            ("*", is(400, "name_invalid")),
            ("nowhere", is(403, "forbidden")),
            ("other", is(403, "forbidden")),
        ] {
            assert_eq!(said(&ada.hold(scope).await), refusal, "{scope}");
        }
        assert_eq!(said(&env.root().hold("nowhere").await), is(404, "namespace_unknown"));
        let con = env.someone("con", &[Role::Contributor]).await;
        assert_eq!(said(&con.hold(W).await), is(403, "forbidden"));
        assert_eq!(said(&ada.clear(json!({ "scope": W, "reason": "r" })).await), is(404, "hold_unknown"));

        let first = ada.hold(W).await.value();
        ada.hold(W).await;
        assert_eq!(said(&ada.clear(json!({ "scope": W, "reason": "r" })).await), is(409, "hold_ambiguous"));
        assert_eq!(said(&con.clear(json!({ "scope": W, "reason": "r", "id": first["id"] })).await), is(403, "forbidden"));
        assert_eq!(ada.clear(json!({ "scope": W, "reason": "r", "id": first["id"] })).await.status, 200);
        assert_eq!(ada.clear(json!({ "scope": W, "reason": "r" })).await.status, 200);
        assert_eq!(said(&ada.clear(json!({ "scope": W, "reason": "r" })).await), is(404, "hold_unknown"));

        env.root().hold("other").await;
        let seen = ada.call("GET", "/v1/holds").expect(200).await.value();
        assert_eq!(seen["items"], json!([]), "holds of others are not told of");
    }

    async fn of_a_purge_and_a_promotion_at_once_one_wins(env: Env) {
        const ROUNDS: usize = 12;
        env.namespace("acme").await;
        env.policy(&production("[]")).await;
        let (ada, bob) = admins(&env).await;
        for number in 0..=ROUNDS {
            env.root().push(&format!("text {number}")).await;
        }
        let other = if env.backend.is_postgres() { Some(env.replica().await) } else { None };
        let elsewhere = other.as_ref().unwrap_or(&env).root();
        let (mut purged, mut promoted) = (0, 0);
        for number in 0..ROUNDS {
            let version = format!("1.0.{number}");
            assert_eq!(ada.purge(&version).await.value()["state"], "pending");
            let (gone, moved) = tokio::join!(bob.purge(&version), elsewhere.promote(&version, "production"));
            match (gone.status.as_u16(), moved.status.as_u16()) {
                (200, _) => {
                    purged += 1;
                    assert_eq!(said(&moved), is(410, "version_purged"));
                    assert_ne!(env.at("production").await, version);
                }
                (409, 200) => {
                    promoted += 1;
                    assert_eq!(gone.code(), "in_stage");
                    assert_eq!(env.at("production").await, version);
                    assert_eq!(resolve(&env, "production").await.value()["version"], json!(version));
                }
                other => panic!("{other:?}: {} {}", gone.text(), moved.text()),
            }
        }
        assert_eq!(purged + promoted, ROUNDS);
        assert_sound(&env).await;
    }

    async fn an_answer_that_was_remembered_is_forgotten_everywhere(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        env.root().push("one").await;
        env.root().push("two").await;
        let replica = env.replica().await;
        let other = if env.backend.is_postgres() { &replica } else { &env };
        let digest = digest_of(&env, "1.0.0").await;
        for tag in ["1.0.0", &digest] {
            assert_eq!(resolve(other, tag).await.status, 200);
        }
        let tag = resolve(other, "1.0.0").await.header("etag").to_owned();
        ada.purge("1.0.0").await;
        bob.purge("1.0.0").await;
        for at in ["1.0.0", &digest] {
            assert_eq!(resolve(other, at).await.status, 410);
        }
        let path = format!("/v1/workloads/{W}/resolve/1.0.0");
        other.get(&path).header("if-none-match", &tag).expect(410).await;
    }

    async fn what_no_entry_tells_of_is_no_purge(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        for number in 0..3 {
            env.root().push(&format!("text {number}")).await;
        }
        ada.purge("1.0.0").await;
        bob.purge("1.0.0").await;
        let verify = async || env.call("POST", "/v1/log/verify").json(json!({})).expect(200).await.value()["first_bad"].clone();
        assert_eq!(verify().await, Value::Null);
        sql(&env, "UPDATE versions SET purged_at = created_at, purged_by = 'bob', document = '' WHERE version = '1.0.1'").await;
        let bad = verify().await;
        assert!(bad["reason"].as_str().unwrap().contains("purged, which no entry tells of"), "{bad}");
        sql(&env, "UPDATE versions SET purged_at = NULL, purged_by = NULL WHERE version = '1.0.1'").await;
        let bad = verify().await;
        assert!(bad["reason"].as_str().unwrap().contains("acme/x:1.0.1 is not what the entry tells"), "{bad}");
        sql(&env, "UPDATE versions SET purged_at = NULL WHERE version = '1.0.0'").await;
        let bad = verify().await;
        assert!(bad["reason"].as_str().unwrap().contains("acme/x:1.0.0 is not what the entry tells"), "{bad}");
    }

    async fn where_it_ran_may_still_be_told(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        env.root().push("one").await;
        env.root().push("two").await;
        let at = format!("/v1/workloads/{W}/deployments/eu-1");
        let report = |body: Value| env.call("PUT", &at).json(body);
        report(json!({ "version": "1.0.0", "status": "running", "healthy": true })).expect(200).await;
        ada.purge("1.0.0").await;
        assert_eq!(bob.purge("1.0.0").await.value()["state"], "purged");
        let places = env.get(&format!("/v1/workloads/{W}/deployments?of=1.0.0")).expect(200).await.value();
        assert_eq!(places["items"][0]["target"], "eu-1");
        assert_eq!(said(&report(json!({ "version": "1.0.0", "status": "failed" })).send().await), is(410, "version_purged"));
        report(json!({ "version": "1.0.0", "status": "retired" })).expect(200).await;
        report(json!({ "version": "1.0.1", "status": "running", "healthy": true })).expect(200).await;
        assert_sound(&env).await;
    }
}
