use crate::harness::{
    Env, backends, files,
    govern::W,
    receiver::{Received, Receiver},
};
use axum::{http::StatusCode, response::IntoResponse as _};
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use gradus::{config::Config, jobs::deliver, model::access::Role};
use ring::hmac;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub fn loopback(config: &mut Config) {
    config.hooks.allow = vec!["127.0.0.0/8".parse().unwrap()];
}

/// A registry that may send to loopback, with a namespace `acme`.
pub async fn registry(env: &Env) -> Env {
    let env = Env::with(env.backend, loopback).await;
    env.namespace("acme").await;
    env
}

pub async fn add(env: &Env, more: Value) -> String {
    let mut body = json!({ "scope": "acme", "on": "*", "secret": SECRET });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let added = env.call("POST", "/v1/hooks").json(body).expect(201).await.value();
    added["id"].as_str().unwrap().to_owned()
}

pub async fn show(env: &Env, hook: &str) -> Value {
    env.get(&format!("/v1/hooks/{hook}")).expect(200).await.value()
}

pub async fn deliveries(env: &Env, hook: &str) -> Vec<Value> {
    let page = env.get(&format!("/v1/hooks/{hook}/deliveries")).expect(200).await.value();
    page["items"].as_array().unwrap().clone()
}

pub async fn tries(env: &Env, hook: &str, position: &Value) -> Vec<Value> {
    let details = env.get(&format!("/v1/hooks/{hook}/deliveries/{position}")).expect(200).await.value();
    details["tries"].as_array().unwrap().clone()
}

pub async fn wait(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen: {what}");
}

pub async fn push(env: &Env, workload: &str, text: &str) {
    let answer = files::push_prompt(env, workload, text, json!({})).await;
    assert!(answer.status.is_success(), "{}", answer.text());
}

fn verify(received: &Received, secret: &str) -> bool {
    let key = BASE64.decode(secret.trim_start_matches("whsec_")).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let [id, at] = ["webhook-id", "webhook-timestamp"].map(|name| received.header(name).as_bytes());
    let content = [id, b".", at, b".", &received.body].concat();
    received.header("webhook-signature").split(' ').any(|signature| {
        let tag = BASE64.decode(signature.trim_start_matches("v1,")).unwrap_or_default();
        hmac::verify(&key, &content, &tag).is_ok()
    })
}

backends! {
    async fn what_happens_is_told_in_order_signed_and_once(env: Env) {
        let env = registry(&env).await;
        let receiver = Receiver::start().await;
        let hook = add(&env, json!({ "url": receiver.url })).await;
        let production = Receiver::start().await;
        add(&env, json!({ "url": production.url, "scope": W, "on": "promoted:production" })).await;
        env.namespace("rival").await;
        push(&env, "rival/y", "theirs").await;
        for text in ["one", "two", "three"] {
            push(&env, W, text).await;
            push(&env, "acme/other", text).await;
        }
        env.root().promote("1.0.0", "production").await;
        let replica = env.replica().await;
        let running = [deliver::start(&env.cx).unwrap(), deliver::start(&replica.cx).unwrap()];
        let expected = deliveries(&env, &hook).await;
        receiver.wait_for(expected.len()).await;
        assert_eq!(production.wait_for(1).await[0].event()["data"]["stage"], "production");
        wait("everything is recorded", async || show(&env, &hook).await["pending"] == 0).await;
        let got = receiver.got();
        assert_eq!(got.len(), expected.len(), "each once, by two replicas: {:?}", receiver.kinds());
        assert_eq!(production.got().len(), 1);
        for received in &got {
            assert!(verify(received, SECRET));
            let event = received.event();
            assert_eq!(received.header("webhook-id"), event["id"]);
            let kind = received.kind();
            let schema = std::fs::read(format!("{}/schemas/events/{kind}.schema.json", env!("CARGO_MANIFEST_DIR"))).unwrap();
            let schema = serde_json::from_slice(&schema).unwrap();
            assert!(jsonschema::draft202012::new(&schema).unwrap().is_valid(&event), "{event:#}");
            assert!(!event.to_string().contains("rival"));
        }
        for subject in ["acme", W, "acme/other"] {
            let order: Vec<String> = got.iter().filter(|one| one.subject() == subject).map(|one| one.event()["sequence"].to_string()).collect();
            assert!(!order.is_empty() && order.is_sorted(), "{subject}: {order:?}");
        }
        let attempt = &tries(&env, &hook, &expected[0]["position"]).await[0];
        assert_eq!((&attempt["status"], &attempt["error"]), (&json!(204), &Value::Null), "{attempt}");
        for one in running {
            one.close(Duration::from_secs(5)).await;
        }
    }

    async fn a_failing_receiver_is_tried_again_and_delays_nobody(env: Env) {
        let env = registry(&env).await;
        let status = Arc::new(AtomicU16::new(500));
        let answer = status.clone();
        let failing = Receiver::answering(move |_| {
            let status = StatusCode::from_u16(answer.load(Ordering::SeqCst)).unwrap();
            (status, [("retry-after", "600")], "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw is wrong").into_response()
        }).await;
        let hook = add(&env, json!({ "url": failing.url, "on": "pushed" })).await;
        let healthy = Receiver::start().await;
        add(&env, json!({ "url": healthy.url, "on": "pushed" })).await;
        let running = deliver::start(&env.cx).unwrap();
        push(&env, W, "one").await;
        push(&env, W, "two").await;
        healthy.wait_for(2).await;
        let position = deliveries(&env, &hook).await[1]["position"].clone();
        wait("the failure is recorded", async || tries(&env, &hook, &position).await.len() == 1).await;
        assert_eq!(failing.got().len(), 1, "the second waits for the first");
        let attempt = &tries(&env, &hook, &position).await[0];
        assert_eq!(attempt["status"], 500);
        assert_eq!(attempt["answer"], "… is wrong", "secrets are taken out");
        assert!(show(&env, &hook).await["failing_since"].is_string());
        env.clock.advance(Duration::from_secs(599));
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(failing.got().len(), 1, "Retry-After is honoured");
        status.store(200, Ordering::SeqCst);
        env.clock.advance(Duration::from_secs(1));
        let got = failing.wait_for(3).await;
        assert_eq!(got[0].header("webhook-id"), got[1].header("webhook-id"), "the same message");
        assert_eq!(got[0].body, got[1].body);
        assert!(got[1].event()["sequence"].as_str() < got[2].event()["sequence"].as_str());
        wait("it has recovered", async || show(&env, &hook).await["failing_since"].is_null()).await;
        running.close(Duration::from_secs(5)).await;
    }

    async fn a_receiver_that_stays_down_pauses_its_hook_and_nothing_is_lost(env: Env) {
        let env = Env::with(env.backend, |config| {
            loopback(config);
            config.hooks.attempts = 2;
            config.hooks.first_retry_seconds = 1;
        }).await;
        env.namespace("acme").await;
        let status = Arc::new(AtomicU16::new(503));
        let answer = status.clone();
        let receiver = Receiver::answering(move |_| StatusCode::from_u16(answer.load(Ordering::SeqCst)).unwrap().into_response()).await;
        let hook = add(&env, json!({ "url": receiver.url, "on": "pushed" })).await;
        let watcher = Receiver::start().await;
        add(&env, json!({ "url": watcher.url, "on": "hook_paused,hook_disabled" })).await;
        let running = deliver::start(&env.cx).unwrap();
        push(&env, W, "one").await;
        push(&env, W, "two").await;
        receiver.wait_for(1).await;
        wait("the first failure", async || show(&env, &hook).await["failing_since"].is_string()).await;
        env.clock.advance(Duration::from_secs(10));
        wait("it is paused", async || show(&env, &hook).await["state"] == "paused").await;
        assert_eq!(receiver.got().len(), 2, "one event, as often as it is tried");
        let told = &watcher.wait_for(1).await[0];
        assert_eq!(told.kind(), "hook_paused");
        assert_eq!(told.event()["data"]["hook"], hook.as_str());
        let rows = deliveries(&env, &hook).await;
        assert_eq!([&rows[1]["state"], &rows[0]["state"]], ["dead", "pending"]);

        // A test goes out although the hook is paused, and once only.
        let path = |verb: &str| format!("/v1/hooks/{hook}/{verb}");
        let tested = env.call("POST", &path("test")).expect(200).await.value();
        wait("the test is over", async || !tries(&env, &hook, &tested["position"]).await.is_empty()).await;
        assert_eq!(deliveries(&env, &hook).await[0]["state"], "dead");

        status.store(200, Ordering::SeqCst);
        env.call("POST", &path("resume")).expect(200).await;
        receiver.wait_for(4).await;
        let dead = rows[1]["position"].clone();
        env.call("POST", &path(&format!("deliveries/{dead}/replay"))).expect(200).await;
        let got = receiver.wait_for(5).await;
        assert_eq!(got[0].header("webhook-id"), got[4].header("webhook-id"));
        wait("all is delivered", async || show(&env, &hook).await["pending"] == 0).await;
        assert_eq!(env.call("POST", &path("deliveries/999999/replay")).expect(404).await.code(), "delivery_unknown");

        status.store(410, Ordering::SeqCst);
        push(&env, W, "three").await;
        wait("it is disabled", async || show(&env, &hook).await["state"] == "disabled").await;
        watcher.wait_for(2).await;
        push(&env, W, "four").await;
        assert_eq!(show(&env, &hook).await["pending"], 0, "nothing queues for a receiver that is gone");
        assert_eq!(env.call("POST", &path("test")).expect(409).await.code(), "hook_disabled");
        let kinds: Vec<String> = env.get("/v1/events?namespace=acme").expect(200).await.value()["items"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap().to_owned()).collect();
        for kind in ["hook_added", "hook_paused", "hook_tested", "hook_resumed", "hook_replayed", "hook_disabled"] {
            assert!(kinds.iter().any(|one| one == kind), "{kind} is in the log");
        }
        running.close(Duration::from_secs(5)).await;
    }

    async fn a_dead_worker_is_replaced(env: Env) {
        let env = registry(&env).await;
        let receiver = Receiver::start().await;
        let hook = add(&env, json!({ "url": receiver.url, "on": "pushed" })).await;
        push(&env, W, "one").await;
        // A worker that takes the lane and is never heard of again.
        let now = gradus::clock::Clock::now(&*env.clock);
        let mut tx = env.cx.db.write().await.unwrap();
        let until = now + chrono::TimeDelta::seconds(60);
        let taken = gradus::db::deliveries::claim(&mut tx, &hook, "gone", now, until, 8).await.unwrap();
        assert_eq!(taken, [W]);
        tx.commit().await.unwrap();
        let running = deliver::start(&env.cx).unwrap();
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert!(receiver.got().is_empty(), "its lease holds");
        env.clock.advance(Duration::from_secs(61));
        receiver.wait_for(1).await;
        wait("it is recorded", async || show(&env, &hook).await["pending"] == 0).await;
        // Should it come back, what it has to say is not taken any more.
        let mut tx = env.cx.db.write().await.unwrap();
        assert!(gradus::db::deliveries::hold(&mut tx, &hook, W, "gone", until).await.unwrap().is_none());
        drop(tx);
        running.close(Duration::from_secs(5)).await;
    }

    async fn secrets_rotate_and_are_never_shown_again(env: Env) {
        let env = registry(&env).await;
        let receiver = Receiver::start().await;
        let hook = add(&env, json!({ "url": receiver.url, "on": "pushed" })).await;
        let next = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let body = json!({ "secret": next, "keep_hours": 1 });
        env.call("POST", &format!("/v1/hooks/{hook}/rotate")).json(body).expect(200).await;
        let running = deliver::start(&env.cx).unwrap();
        push(&env, W, "one").await;
        let both = receiver.wait_for(1).await.remove(0);
        assert!(verify(&both, SECRET) && verify(&both, next), "two are valid for a while");
        env.clock.advance(Duration::from_secs(3600));
        push(&env, W, "two").await;
        let one = receiver.wait_for(2).await.remove(1);
        assert!(!verify(&one, SECRET) && verify(&one, next));
        wait("it is recorded", async || show(&env, &hook).await["pending"] == 0).await;
        let mut seen = env.get("/v1/hooks").expect(200).await.text() + &env.get(&format!("/v1/hooks/{hook}")).expect(200).await.text();
        for path in ["/v1/events", &format!("/v1/hooks/{hook}/deliveries")] {
            seen += &env.get(path).expect(200).await.text();
        }
        for secret in [SECRET, next] {
            assert!(!seen.contains(&secret[6..]), "{seen}");
        }
        // Nor in the database.
        let mut tx = env.cx.db.read().await.unwrap();
        let row = gradus::db::hooks::find(&mut tx, &hook).await.unwrap().unwrap();
        assert!(!row.target.windows(8).any(|bytes| bytes == &next.as_bytes()[6..14]));

        let added = json!({ "scope": "acme", "on": "pushed", "url": receiver.url, "asymmetric": true });
        let added = env.call("POST", "/v1/hooks").json(added).expect(201).await.value();
        let public = added["verify_by"].as_str().unwrap().strip_prefix("whpk_").unwrap().to_owned();
        push(&env, W, "three").await;
        receiver.wait_for(4).await;
        let public = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, BASE64.decode(public).unwrap());
        let is_signed = |one: &Received| {
            let content = [one.header("webhook-id").as_bytes(), b".", one.header("webhook-timestamp").as_bytes(), b".", &one.body].concat();
            let signature = one.header("webhook-signature").strip_prefix("v1a,").map(|text| BASE64.decode(text).unwrap());
            signature.is_some_and(|signature| public.verify(&content, &signature).is_ok())
        };
        assert_eq!(receiver.got().iter().filter(|one| is_signed(one)).count(), 1);
        running.close(Duration::from_secs(5)).await;
    }

    async fn what_is_rolled_back_is_not_told(env: Env) {
        let env = registry(&env).await;
        let hook = add(&env, json!({ "url": "http://127.0.0.1:9/" })).await;
        let count = async || deliveries(&env, &hook).await.len();
        let before = count().await;
        let change = gradus::model::event::Change::GarbageCollected { objects: 1, bytes: 1 };
        let everywhere = add(&env, json!({ "url": "http://127.0.0.1:9/", "scope": "*" })).await;
        let now = gradus::clock::Clock::now(&*env.clock);
        let mut tx = env.cx.db.write().await.unwrap();
        gradus::db::log::append(&mut tx, now, &"admin".parse().unwrap(), vec![change.clone()]).await.unwrap();
        drop(tx);
        assert_eq!(deliveries(&env, &everywhere).await.len(), 1, "only that it was added");
        // A hook whose making is rolled back is not remembered either.
        let mut tx = env.cx.db.write().await.unwrap();
        gradus::db::log::lock(&mut tx).await.unwrap();
        gradus::db::hooks::remove(&mut tx, &hook, now).await.unwrap();
        gradus::db::hooks::count_change(&mut tx).await.unwrap();
        gradus::db::log::append(&mut tx, now, &"admin".parse().unwrap(), vec![change]).await.unwrap();
        drop(tx);
        push(&env, W, "one").await;
        assert_eq!(count().await, before + 2, "the hook is still there: pushed, and promoted to dev");
        env.call("DELETE", &format!("/v1/hooks/{hook}")).expect(204).await;
        push(&env, W, "two").await;
        assert_eq!(env.get(&format!("/v1/hooks/{hook}")).expect(404).await.code(), "hook_unknown");
        assert!(env.get("/v1/hooks").expect(200).await.value()["items"].as_array().unwrap().iter().all(|one| one["id"] != hook.as_str()));
    }

    async fn hooks_of_others_do_not_exist(env: Env) {
        let env = registry(&env).await;
        env.namespace("rival").await;
        let hook = add(&env, json!({ "url": "http://127.0.0.1:9/" })).await;
        let rival = env.person("rita", "rival", Role::Admin).await;
        let reader = env.person("rob", "acme", Role::Releaser).await;
        for who in [&rival, &reader] {
            for (method, path) in [
                ("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/test"),
                ("POST", "/rotate"), ("GET", "/deliveries"), ("GET", "/deliveries/1"), ("POST", "/deliveries/1/replay"),
            ] {
                let answer = env.call(method, &format!("/v1/hooks/{hook}{path}")).token(who).json(json!({})).send().await;
                assert_eq!((answer.status.as_u16(), answer.code()), (404, "hook_unknown".to_owned()), "{method} {path}");
            }
            let mine = env.get("/v1/hooks").token(who).expect(200).await.value();
            assert_eq!(mine["items"], json!([]));
            for scope in ["acme", W, "*"] {
                let body = json!({ "scope": scope, "on": "*", "url": "http://127.0.0.1:9/" });
                env.call("POST", "/v1/hooks").token(who).json(body).expect(403).await;
            }
        }
        let body = json!({ "scope": "rival", "on": "pushed", "url": "http://127.0.0.1:9/" });
        env.call("POST", "/v1/hooks").token(&rival).json(body).expect(201).await;
        for scope in [W, "*"] {
            add(&env, json!({ "url": "http://127.0.0.1:9/", "scope": scope })).await;
        }
        for (scope, count) in [("acme", 2), ("acme%2Fx", 1), ("*", 1), ("rival", 1)] {
            let listed = env.get(&format!("/v1/hooks?scope={scope}")).expect(200).await.value();
            assert_eq!(listed["items"].as_array().unwrap().len(), count, "{scope}");
        }
        assert_eq!(env.get("/v1/hooks").token(&rival).expect(200).await.value()["items"].as_array().unwrap().len(), 1);
    }
}
