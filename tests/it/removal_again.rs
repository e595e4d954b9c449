//! What was taken away does not come back, and nobody takes away more than was asked for.

use super::audit::{tamper, verify};
use crate::harness::{
    Answer, Env, backends,
    files::{self, noise},
    govern::{Someone, W, production},
    home::Home,
    session::{Session, sql},
};
use gradus::model::{access::Role, digest::Digest};
use serde_json::{Value, json};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Someone<'_> {
    async fn post(&self, path: &str, reason: &str) -> Answer {
        self.call("POST", path).json(json!({ "reason": reason })).send().await
    }
}

fn said(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.code())
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

async fn admins(env: &Env) -> (Someone<'_>, Someone<'_>) {
    (env.someone("ada", &[Role::Admin]).await, env.someone("bob", &[Role::Admin]).await)
}

async fn events(env: &Env, kind: &str) -> Vec<Value> {
    let page = env.get(&format!("/v1/events?kind={kind}&limit=1000")).expect(200).await.value();
    page["items"].as_array().unwrap().clone()
}

async fn assert_sound(env: &Env) {
    env.call("POST", "/v1/gc").json(json!({ "delete": true, "grace_hours": 0 })).expect(200).await;
    let kept = env.call("POST", "/v1/log/verify").json(json!({})).expect(200).await.value();
    assert_eq!(kept["first_bad"], Value::Null);
}

backends! {
    async fn what_is_too_short_to_be_anybodys_is_taken_in_again(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        for fill in [1, 2] {
            let mut files = vec![files::upload(&env, W, "model.safetensors", &files::safetensors(fill)).await];
            if fill == 1 {
                files.push(files::upload(&env, W, "special_tokens_map.json", b"{}").await);
            }
            assert_eq!(files::push(&env, W, files, json!({})).await.status, 201);
        }
        let path = format!("/v1/workloads/{W}/versions/1.0.0/purge");
        ada.post(&path, "bad").await;
        assert_eq!(bob.post(&path, "bad").await.value()["state"], "purged");
        // The config of evidence is `{}` too.
        let card = json!({ "gradus": "model_card/v1", "parts": { "license": "apache-2.0" } });
        let said = env.call("POST", &format!("/v1/workloads/{W}/versions/1.0.1/evidence")).body(card.to_string()).send().await;
        assert_eq!(said.status, 200, "{}", said.text());
        let again = files::upload(&env, W, "special_tokens_map.json", b"{}").await;
        let other = files::upload(&env, W, "model.safetensors", &files::safetensors(3)).await;
        assert_eq!(files::push(&env, W, vec![again, other], json!({})).await.status, 201);
    }

    async fn purged_files_do_not_come_back_under_another_name(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        files::push_prompt(&env, "acme/y", "a name", json!({})).await;
        for text in ["a name", "clean"] {
            env.root().push(text).await;
        }
        let bytes = files::prompt("a name");
        let digest = Digest::sha256(&bytes);
        let path = format!("/v1/workloads/{W}/versions/1.0.0/purge");
        ada.post(&path, "a customer's name").await;
        let done = bob.post(&path, "I looked: it is one").await.value();
        assert_eq!((done["state"].as_str(), done["ended_because"].as_str()), (Some("purged"), Some("I looked: it is one")));
        let told = &events(&env, "purged").await[0]["data"];
        assert_eq!((told["reason"].as_str(), told["confirmed"].as_str()), (Some("a customer's name"), Some("I looked: it is one")));

        let gone = is(410, "content_purged");
        let put = env.call("POST", &format!("/v2/{W}/blobs/uploads/?digest={digest}")).body(bytes.clone()).send().await;
        assert_eq!(said(&put), gone);
        let mount = env.call("POST", &format!("/v2/{W}/blobs/uploads/?mount={digest}&from=acme/y")).send().await;
        assert_eq!(said(&mount), gone);
        let present = env.call("POST", &format!("/v1/workloads/{W}/present")).json(json!({ "digests": [digest] })).send().await;
        assert_eq!(said(&present), gone);
        let session = Session::begin(&env, W).await;
        session.chunk(&env, 0, &bytes).await;
        assert_eq!(said(&session.finish(&env, &digest).await), gone);
        assert_eq!(session.received(&env).await, None, "its bytes are not kept");
        let file = json!({ "path": "b.prompt.yaml", "digest": digest, "size": bytes.len() });
        assert!(files::push(&env, W, vec![file], json!({})).await.status.is_client_error());
        env.get(&format!("/v2/{W}/blobs/{digest}")).expect(404).await;

        // Another workload keeps it, and what the registry makes itself comes again.
        env.get(&format!("/v2/acme/y/blobs/{digest}")).expect(200).await;
        assert_eq!(files::push_prompt(&env, W, "another", json!({})).await.status, 201);
        assert_sound(&env).await;
    }

    async fn what_was_promoted_stays_whatever_the_policy_says_now(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        env.policy(&production("[]")).await;
        for number in 0..4 {
            root.push(&format!("text {number}")).await;
        }
        root.promote("1.0.0", "production").await;
        root.promote("1.0.1", "production").await;
        env.clock.advance(9 * DAY);
        env.call("PUT", "/v1/namespaces/acme/retention").json(json!({ "older_than_days": 5, "keep_newest": 0 })).expect(200).await;
        let run = || env.call("POST", "/v1/namespaces/acme/retention/run").json(json!({ "delete": false }));
        let dry = run().expect(200).await.value();
        assert_eq!((&dry["versions"], &dry["kept"]["promoted"]), (&json!(1), &json!(1)), "{dry}");
        assert_eq!(dry["going"][0]["versions"], json!(["1.0.2"]));
        let turned = env.policy("gradus: policy/v1\nstages: [production, dev]\nrules:\n  prompt: { dev: { gates: [] } }\n  adapter: { dev: {} }\n  weights: { dev: {} }\n").await;
        assert!(turned.status.is_success(), "{}", turned.text());
        assert_eq!(run().expect(200).await.value()["kept"]["promoted"], 1, "1.0.0 was in production");
    }

    async fn a_yes_covers_what_was_asked_for(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        env.root().push("one").await;
        let at = format!("/v1/workloads/{W}/delete");
        let back = format!("{at}/withdraw");
        assert_eq!(said(&ada.post(&back, "no").await), is(404, "deletion_unknown"));
        ada.post(&at, "nobody uses it").await;
        let waiting = bob.call("GET", "/v1/deletions?namespace=acme").expect(200).await.value();
        assert_eq!((&waiting["items"][0]["workload"], &waiting["items"][0]["requested_by"]), (&json!(W), &json!("ada")));
        assert_eq!(bob.post(&back, "it is used").await.status, 200);
        assert_eq!(env.get("/v1/deletions").expect(200).await.value()["items"], json!([]));
        assert_eq!(events(&env, "deletion_withdrawn").await.len(), 1);
        assert_eq!(bob.post(&at, "b").await.value()["deleted"], json!(false), "what was taken back does not count");
        bob.post(&back, "on second thoughts").await;

        ada.post(&at, "nobody uses it").await;
        env.root().push("two").await;
        assert_eq!(env.get("/v1/deletions").expect(200).await.value()["items"], json!([]), "it counts no more");
        let path = format!("/v1/workloads/{W}/versions/1.0.0/purge");
        ada.post(&path, "old").await;
        bob.post(&path, "old").await;
        let anew = bob.post(&at, "yes").await.value();
        let told = events(&env, "deletion_withdrawn").await;
        assert!(told.len() == 3 && told.iter().any(|one| one["data"]["reason"].as_str().unwrap().contains("has come since")), "{told:?}");
        assert_eq!((&anew["deleted"], &anew["requested_by"]), (&json!(false), &json!("bob")), "she never asked for 1.0.1");
        assert_eq!(ada.post(&at, "yes, that too").await.value()["deleted"], json!(true));
        let told = &events(&env, "workload_deleted").await[0]["data"];
        assert_eq!((&told["reason"], &told["requested_by"], &told["confirmed"]), (&json!("yes"), &json!("bob"), &json!("yes, that too")));
        assert_sound(&env).await;
    }

    async fn a_request_ends_with_what_it_is_about(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        env.policy(&production("[]")).await;
        for text in ["one", "two", "three"] {
            env.root().push(text).await;
        }
        let path = |version: &str| format!("/v1/workloads/{W}/versions/{version}/purge");
        let waiting = async || env.get("/v1/purges").expect(200).await.value()["items"].as_array().unwrap().len();
        ada.post(&path("1.0.0"), "bad").await;
        ada.post(&path("1.0.1"), "bad").await;
        assert_eq!(waiting().await, 2);
        assert_eq!(env.root().promote("1.0.1", "production").await.value()["state"], "promoted");
        env.clock.advance(6 * DAY);
        env.call("PUT", "/v1/namespaces/acme/retention").json(json!({ "older_than_days": 5, "keep_newest": 0 })).expect(200).await;
        let run = env.call("POST", "/v1/namespaces/acme/retention/run").json(json!({ "delete": true })).expect(200).await.value();
        assert_eq!(run["versions"], 1, "{run}");
        assert_eq!(waiting().await, 1, "a rule took the first away");
        let ended = "UPDATE purges SET reason = 'seen' WHERE state = 'purged' AND ended_by = 'admin' AND ended_because LIKE 'retention of acme%'";
        assert_eq!(sql(&env, ended).await, 1);

        let at = format!("/v1/workloads/{W}/delete");
        ada.post(&at, "old").await;
        assert_eq!(bob.post(&at, "not used").await.value()["deleted"], json!(true));
        assert_eq!(waiting().await, 0, "the workload's deletion took the second away");
        assert_eq!(sql(&env, "UPDATE purges SET reason = 'seen' WHERE state = 'purged' AND ended_because = 'not used'").await, 1);

        // What was left pending by what took the content away.
        files::push_prompt(&env, "acme/y", "one", json!({})).await;
        files::push_prompt(&env, "acme/y", "two", json!({})).await;
        for admin in [&ada, &bob] {
            admin.post("/v1/workloads/acme/y/versions/1.0.0/purge", "bad").await;
        }
        assert_eq!(sql(&env, "UPDATE purges SET state = 'pending' WHERE workload = 'acme/y'").await, 1);
        assert_eq!(waiting().await, 1);
        for admin in [&ada, &bob] {
            admin.post("/v1/workloads/acme/y/delete", "old").await;
        }
        assert_eq!(waiting().await, 0);
        assert_sound(&env).await;
    }

    async fn a_request_of_who_is_no_admin_any_more_is_told_to_be_over(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        env.root().push("one").await;
        let at = format!("/v1/workloads/{W}/delete");
        ada.post(&at, "old").await;
        env.call("DELETE", "/v1/members/acme/ada/admin").expect(204).await;
        let anew = bob.post(&at, "old").await.value();
        assert_eq!((&anew["deleted"], &anew["requested_by"]), (&json!(false), &json!("bob")));
        let told = events(&env, "deletion_withdrawn").await;
        assert!(told.len() == 1 && told[0]["data"]["reason"] == "whoever asked for it is no admin any more", "{told:?}");
        assert_eq!(env.root().post(&at, "yes").await.value()["deleted"], json!(true));
        assert_sound(&env).await;
    }

    async fn nobody_is_made_another_admin_by_a_row(env: Env) {
        env.namespace("acme").await;
        let (ada, _) = admins(&env).await;
        env.root().push("one").await;
        let there = async || env.get("/v1/workloads/acme/x/resolve/1.0.0").expect(200).await;
        let delete = async || ada.post("/v1/workloads/acme/x/delete", "over").await;
        assert_eq!(delete().await.value()["deleted"], false);
        sql(&env, "UPDATE deletions SET requested_by = 'bob'").await;
        assert_eq!(said(&delete().await), is(409, "request_unknown_to_log"));
        there().await;
        assert_eq!(ada.post("/v1/workloads/acme/x/delete/withdraw", "no").await.status, 200);
        env.root().push("two").await;
        let purge = async || ada.post("/v1/workloads/acme/x/versions/1.0.0/purge", "a name").await;
        assert_eq!(purge().await.value()["state"], "pending");
        sql(&env, "UPDATE purges SET requested_by = 'bob'").await;
        assert_eq!(said(&purge().await), is(409, "request_unknown_to_log"));
        there().await;
    }

    async fn a_request_that_was_taken_back_does_not_count_by_a_row(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        env.root().push("one").await;
        env.root().push("two").await;
        for path in ["/v1/workloads/acme/x/versions/1.0.0/purge", "/v1/workloads/acme/x/delete"] {
            let post = async |who: &Someone<'_>, what: &str| who.post(&format!("{path}{what}"), "a name").await;
            let kept = "CREATE TABLE kept AS SELECT * FROM deletions";
            let asked = post(&ada, "").await;
            assert_eq!(asked.status, 200, "{path}: {}", asked.text());
            tamper(&env, &[kept]).await;
            assert_eq!(post(&ada, "/withdraw").await.status, 200);
            tamper(&env, &["UPDATE purges SET state = 'pending' WHERE NOT EXISTS (SELECT 1 FROM purges p WHERE p.state = 'purged')", "INSERT INTO deletions SELECT * FROM kept", "DROP TABLE kept"]).await;
            assert_eq!(said(&post(&bob, "").await), is(409, "request_withdrawn_in_log"), "{path}");
            env.get("/v1/workloads/acme/x/resolve/1.0.1").expect(200).await;
            assert_eq!(post(&bob, "/withdraw").await.status, 200);
            // Asked anew at the same moment and with the same words, it counts.
            assert_eq!(post(&ada, "").await.status, 200);
            let done = post(&bob, "").await.value();
            assert!(done["state"] == "purged" || done["deleted"] == true, "{done}");
        }
        assert_sound(&env).await;
    }

    async fn files_that_are_not_taken_in_again_are_compared_with_the_log(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        for fill in [1, 2] {
            let file = files::upload(&env, W, "model.safetensors", &files::safetensors(fill)).await;
            assert_eq!(files::push(&env, W, vec![file], json!({})).await.status, 201);
        }
        for who in [&ada, &bob] {
            who.post(&format!("/v1/workloads/{W}/versions/1.0.0/purge"), "a name").await;
        }
        assert_sound(&env).await;
        tamper(&env, &["CREATE TABLE kept AS SELECT * FROM purged_blobs", "DELETE FROM purged_blobs"]).await;
        let report = verify(&env, None).await;
        let reason = report["first_bad"]["reason"].as_str().unwrap_or_default();
        let purged = events(&env, "purged").await;
        assert!(reason.contains("acme/x is not refused any more"), "{report} {purged:?}");
        assert_eq!(report["first_bad"]["position"], purged[0]["position"], "{report}");
        tamper(&env, &["INSERT INTO purged_blobs SELECT * FROM kept"]).await;
        assert_sound(&env).await;
    }

    async fn services_neither_lift_holds_nor_set_rules(env: Env) {
        env.namespace("acme").await;
        env.root().push("one").await;
        let robot = env.service("robot", Role::Admin).await;
        assert_eq!(robot.call("POST", "/v1/holds").json(json!({ "scope": W, "reason": "r" })).send().await.status, 201);
        let clear = robot.call("POST", "/v1/holds/clear").json(json!({ "scope": W, "reason": "r" })).send().await;
        assert_eq!(said(&clear), is(403, "service_cannot_clear_hold"));
        let at = "/v1/namespaces/acme/retention";
        let rule = json!({ "older_than_days": 1, "keep_newest": 0 });
        let refused = is(403, "service_cannot_set_retention");
        assert_eq!(said(&robot.call("PUT", at).json(rule.clone()).send().await), refused);
        env.call("PUT", at).json(rule).expect(200).await;
        assert_eq!(said(&robot.call("DELETE", at).send().await), refused);
        let run = |delete: bool| robot.call("POST", "/v1/namespaces/acme/retention/run").json(json!({ "delete": delete }));
        assert_eq!(said(&run(true).send().await), refused);
        run(false).expect(200).await;
    }

    async fn what_is_gone_is_gone_for_every_verb(env: Env) {
        env.namespace("acme").await;
        let (ada, bob) = admins(&env).await;
        env.root().push("one").await;
        env.root().push("two").await;
        let path = format!("/v1/workloads/{W}/versions/1.0.0/purge");
        ada.post(&path, "old").await;
        bob.post(&path, "old").await;
        assert_eq!(said(&ada.post(&format!("/v1/workloads/{W}/versions/1.0.0/yank"), "r").await), is(410, "version_purged"));
        let hold = async |scope: &str| ada.call("POST", "/v1/holds").json(json!({ "scope": scope, "reason": "r" })).send().await;
        assert_eq!(said(&hold("acme/x:1.0.0").await), is(410, "version_purged"));
        let at = format!("/v1/workloads/{W}/delete");
        ada.post(&at, "old").await;
        assert_eq!(bob.post(&at, "old").await.value()["deleted"], json!(true));
        let gone = is(410, "workload_deleted");
        for scope in ["acme/x", "acme/x:1.0.1"] {
            assert_eq!(said(&hold(scope).await), gone, "{scope}");
        }
        assert_eq!(said(&env.get(&format!("/v1/workloads/{W}/status")).send().await), gone);
        assert_eq!(said(&env.root().rollback("dev", None).await), gone);
        let freeze = env.call("POST", &format!("/v1/freezes/{W}")).json(json!({ "reason": "r" })).send().await;
        assert_eq!(said(&freeze), gone);
        for tag in ["1.0.0", "1.0.1", "7.0.0", "latest"] {
            let path = format!("/v1/workloads/{W}/versions/{tag}/purge");
            assert_eq!(said(&ada.post(&path, "r").await), gone, "{tag}");
            assert_eq!(said(&ada.post(&format!("{path}/withdraw"), "r").await), gone, "{tag}");
        }
        assert_eq!(env.root().post("/v1/namespaces/acme/delete", "empty").await.status, 204);
        assert_sound(&env).await;
    }
}

#[test]
fn a_push_has_room_for_all_of_it_or_sends_nothing() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    std::fs::create_dir_all(home.path("shards")).unwrap();
    for seed in 1..4 {
        std::fs::write(home.path(&format!("shards/{seed}.bin")), noise(seed, 2_000_000)).unwrap();
    }
    home.run(&["quota", "set", "acme", "--bytes", "5MiB"]).expect(0);
    home.run(&["push", home.path("shards").to_str().unwrap(), "--to", "acme/shards"]).expect(8);
    let shown: Value =
        serde_json::from_str(&home.run(&["quota", "show", "acme", "--json"]).expect(0).stdout).unwrap();
    assert!(shown["used"]["bytes"].as_u64().unwrap() < 2_000_000, "nothing was sent: {shown}");
    assert_eq!(shown["used"]["uploading_bytes"], 0);
}
