//! What is said of workloads, the gate that asks for it, and the review that is overdue.

use crate::{
    audit::tamper,
    harness::{
        Answer, Env, backends, files,
        govern::{Someone, W, open_gates, production},
    },
};
use gradus::{
    model::access::Role,
    ops::{cards::tell_overdue, settle::settle_due},
};
use serde_json::{Value, json};
use std::time::Duration;

/// The clock begins at 2026-01-02T03:04:05Z.
const DAY: Duration = Duration::from_secs(24 * 3600);

fn card(workload: &str) -> String {
    format!("/v1/workloads/{workload}/card")
}

async fn set(who: &Someone<'_>, body: Value) -> Answer {
    who.call("PATCH", &card(W)).json(body).send().await
}

async fn told(env: &Env, kind: &str) -> Vec<Value> {
    let log = env.get(&format!("/v1/events?workload={W}&kind={kind}")).expect(200).await.value();
    log["items"].as_array().unwrap().iter().map(|event| event["data"].clone()).collect()
}

backends! {
    async fn a_card_is_said_bit_by_bit_and_before_there_is_a_version(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        assert_eq!(env.get(&card(W)).expect(404).await.code(), "workload_unknown");
        let said = set(&root, json!({ "owner": "  triage team ", "risk": "high" })).await.value();
        assert_eq!((&said["owner"], &said["risk"], &said["promoted"]), (&json!("triage team"), &json!("high"), &json!([])));
        env.clock.advance(DAY);
        set(&root, json!({ "purpose": "Sorts tickets.\nNo more.", "review_on": "2026-01-03" })).await;
        let shown = env.get(&card(W)).expect(200).await.value();
        assert_eq!((&shown["owner"], &shown["purpose"], &shown["limits"]), (&json!("triage team"), &json!("Sorts tickets.\nNo more."), &Value::Null));
        assert_eq!((&shown["overdue_days"], &shown["set_at"]), (&Value::Null, &json!("2026-01-03T03:04:05Z")));
        // The same again is no news.
        env.clock.advance(DAY);
        let same = set(&root, json!({ "owner": "triage team" })).await.value();
        assert_eq!((&same["set_at"], &same["overdue_days"]), (&json!("2026-01-03T03:04:05Z"), &json!(1)));
        let cleared = set(&root, json!({ "limits": "English only.", "clear": ["risk", "review"] })).await.value();
        assert_eq!((&cleared["risk"], &cleared["review_on"], &cleared["overdue_days"]), (&Value::Null, &Value::Null, &Value::Null));
        let events = told(&env, "workload_described").await;
        assert_eq!(events.len(), 3, "{events:?}");
        let all = json!({ "workload": W, "owner": "triage team", "purpose": "Sorts tickets.\nNo more.", "limits": "English only.", "risk": null, "review_on": null });
        assert_eq!(events[2], all);

        // A workload with a version and nothing said.
        files::push_prompt(&env, "acme/silent", "one", json!({})).await;
        let silent = env.get(&card("acme/silent")).expect(200).await.value();
        assert_eq!((&silent["owner"], &silent["set_at"]), (&Value::Null, &Value::Null));
        let nowhere = env.call("PATCH", &card("nowhere/x")).json(json!({ "owner": "a" })).expect(404).await;
        assert_eq!(nowhere.code(), "namespace_unknown");
    }

    async fn admins_say_it_and_readers_read_it(env: Env) {
        env.namespace("acme").await;
        env.namespace("other").await;
        for (name, role) in [("rita", Role::Reader), ("con", Role::Contributor), ("ann", Role::Approver), ("rel", Role::Releaser), ("aud", Role::Auditor), ("dep", Role::Deployer)] {
            let someone = env.someone(name, &[role]).await;
            let refused = set(&someone, json!({ "owner": name })).await;
            assert_eq!((refused.status.as_u16(), refused.code().as_str()), (403, "forbidden"), "{name}");
        }
        let admin = env.someone("adm", &[Role::Admin]).await;
        assert_eq!(set(&admin, json!({ "owner": "triage team" })).await.status, 200);
        let rita = env.someone("rita", &[Role::Reader]).await;
        assert_eq!(rita.call("GET", &card(W)).expect(200).await.value()["owner"], "triage team");
        let stranger = env.person("stranger", "other", Role::Admin).await;
        env.get(&card(W)).token(&stranger).expect(403).await;
        assert_eq!(set(&Someone { env: &env, token: stranger }, json!({ "owner": "mine" })).await.status, 403);
        assert_eq!(told(&env, "workload_described").await.len(), 1);
    }

    async fn what_makes_no_sense_is_refused(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        set(&root, json!({ "owner": "triage team" })).await;
        for (body, code) in [
            (json!({}), "card_unchanged"),
            (json!({ "owner": null, "clear": [] }), "card_unchanged"),
            (json!({ "owner": "" }), "text_empty"),
            (json!({ "purpose": " \n " }), "text_empty"),
            (json!({ "owner": "two\nlines" }), "text_invalid"),
            (json!({ "owner": "a\u{0}b" }), "text_invalid"),
            (json!({ "limits": "bell\u{7}" }), "text_invalid"),
            (json!({ "limits": "for \u{202e}lla" }), "text_invalid"),
            (json!({ "owner": "a\u{2066}b" }), "text_invalid"),
            (json!({ "limits": "\u{1b}[2J" }), "text_invalid"),
            (json!({ "owner": "a".repeat(201) }), "text_invalid"),
            (json!({ "purpose": "a".repeat(2001) }), "text_invalid"),
            (json!({ "limits": "\u{20ac}".repeat(2001) }), "text_invalid"),
            (json!({ "risk": "severe" }), "body_invalid"),
            (json!({ "risk": "High" }), "body_invalid"),
            (json!({ "review_on": "2026-02-30" }), "body_invalid"),
            (json!({ "review_on": "2026-2-3" }), "body_invalid"),
            (json!({ "review_on": "soon" }), "body_invalid"),
            (json!({ "review_on": "2026-03-01T00:00:00Z" }), "body_invalid"),
            (json!({ "review_on": 20260301 }), "body_invalid"),
            (json!({ "review_on": "2026-01-01" }), "review_day"),
            (json!({ "review_on": "2226-01-01" }), "review_day"),
            (json!({ "clear": ["colour"] }), "body_invalid"),
            (json!({ "owner": "a", "clear": ["owner"] }), "card_contradiction"),
            (json!({ "colour": "red" }), "body_invalid"),
        ] {
            let refused = set(&root, body.clone()).await;
            assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, code), "{body}");
        }
        // At the bounds.
        let longest = json!({ "owner": "\u{20ac}".repeat(200), "purpose": "\u{1f600}".repeat(2000), "limits": "\"\\\n".repeat(600) });
        assert_eq!(set(&root, longest).await.status, 200);
        assert_eq!(set(&root, json!({ "review_on": "2026-01-02" })).await.status, 200, "today is in time");
        assert_eq!(told(&env, "workload_described").await.len(), 3);
    }

    async fn a_promotion_waits_for_the_card_and_fails_once_the_review_is_overdue(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        assert_eq!(env.policy(&production("[workload_described]")).await.status, 200);
        root.push("one").await;
        set(&root, json!({ "owner": "triage team", "purpose": "Sorts tickets." })).await;
        let waits = root.promote("1.0.0", "production").await.value();
        assert_eq!((waits["state"].as_str(), open_gates(&waits["report"])), (Some("pending"), vec![("workload_described".into(), "wait".into())]));
        let gates = waits["report"]["gates"].as_array().unwrap();
        let gate = gates.iter().find(|gate| gate["gate"] == "workload_described").unwrap();
        assert!(gate["reason"].as_str().unwrap().ends_with("lacks 3 of 5 parts: limits, risk, review"), "{gate}");
        assert_eq!(gate["next"], format!("gradus workload set {W} --limits TEXT --risk CLASS --review YYYY-MM-DD"));
        // The last piece completes it.
        assert_eq!(set(&root, json!({ "limits": "English only.", "risk": "low" })).await.value()["promoted"], json!([]));
        let done = set(&root, json!({ "review_on": "2026-01-10" })).await.value();
        assert_eq!(done["promoted"][0]["version"], "1.0.0", "{done}");
        assert_eq!(env.at("production").await, "1.0.0");

        // What waits for something else sees the review pass.
        env.policy(&production("[workload_described, { approvals: { count: 1 } }]")).await;
        root.push("two").await;
        assert_eq!(open_gates(&root.promote("1.0.1", "production").await.value()["report"]), [("approvals".into(), "wait".into())]);
        env.clock.advance(9 * DAY);
        settle_due(&env.cx).await.unwrap();
        let open = async || {
            let mut open = open_gates(&env.status().await["pending"][0]["report"]);
            open.sort();
            open
        };
        assert_eq!(open().await, [("approvals".into(), "wait".into()), ("workload_described".into(), "fail".to_owned())]);
        // A new request is refused.
        root.push("three").await;
        assert_eq!(root.promote("1.0.2", "production").await.value()["state"], "refused");
        set(&root, json!({ "review_on": "2026-06-30" })).await;
        assert_eq!(open().await, [("approvals".into(), "wait".to_owned())]);
        let bo = env.someone("bo", &[Role::Approver]).await;
        assert_eq!(bo.approve("1.0.1", "production").await.value()["promoted"][0]["state"], "promoted");
    }

    async fn the_built_in_policy_asks_for_the_card_of_weights_only(env: Env) {
        env.namespace("acme").await;
        let policy = env.get("/v1/policies/acme").expect(200).await.value();
        let asks = |tier: &str, stage: &str| policy["rules"][tier][stage]["gates"].as_array().unwrap().contains(&json!("workload_described"));
        for (tier, stage, expected) in [("weights", "production", true), ("weights", "staging", false), ("adapter", "production", false), ("prompt", "production", false)] {
            assert_eq!(asks(tier, stage), expected, "{tier} {stage}");
        }
        let gates = env.get("/v1/gates").expect(200).await.value();
        let gate = gates["items"].as_array().unwrap().iter().find(|gate| gate["name"] == "workload_described").unwrap().clone();
        assert!(gate["parameters"]["properties"]["parts"]["description"].is_string(), "{gate}");
        for bad in ["{ workload_described: { parts: [] } }", "{ workload_described: { parts: [colour] } }", "{ workload_described: { days: 3 } }"] {
            assert_eq!(env.policy(&production(&format!("[{bad}]"))).await.code(), "policy_invalid", "{bad}");
        }
    }

    async fn a_recorded_promotion_is_judged_by_the_card_of_then(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        let test = async || {
            let text = production("[workload_described]");
            let tested = env.call("POST", "/v1/policies/acme/test").body(text).expect(200).await.value();
            let now = |one: &Value| one["now"]["outcome"].as_str().unwrap().to_owned();
            tested["items"].as_array().unwrap().iter().map(now).collect::<Vec<_>>()
        };
        root.push("one").await;
        root.promote("1.0.0", "production").await;
        env.describe(W).await;
        assert_eq!(test().await, ["wait"], "nothing was said then");
        root.push("two").await;
        root.evaluate("1.0.0", 90, 100).await;
        root.evaluate("1.0.1", 95, 100).await;
        root.promote_with("1.0.1", "production", json!({ "override": "looked at by hand" })).await;
        set(&root, json!({ "clear": ["owner"] })).await;
        assert_eq!(test().await, ["pass", "wait"], "newest first");
    }

    async fn a_review_that_is_overdue_is_told_of_once(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        root.push("one").await;
        assert_eq!(env.status().await["card"], Value::Null);
        set(&root, json!({ "owner": "triage team", "risk": "high", "review_on": "2026-01-03" })).await;
        set(&root, json!({ "limits": "English only." })).await;
        let tell = async || tell_overdue(&env.cx).await.unwrap();
        assert_eq!(tell().await, 0);
        env.clock.advance(DAY);
        assert_eq!(tell().await, 0, "it is the day itself");
        assert_eq!(env.status().await["card"]["overdue_days"], Value::Null);
        env.clock.advance(DAY);
        let (one, other) = tokio::join!(tell(), tell());
        assert_eq!((one + other, tell().await), (1, 0));
        assert_eq!(told(&env, "review_overdue").await, [json!({ "workload": W, "review_on": "2026-01-03", "owner": "triage team" })]);
        let status = env.status().await;
        assert_eq!((&status["card"]["overdue_days"], &status["card"]["risk"]), (&json!(1), &json!("high")));
        // Saying something else is no review.
        set(&root, json!({ "purpose": "Sorts tickets." })).await;
        assert_eq!(tell().await, 0);
        // Another day is told of when it is over.
        set(&root, json!({ "review_on": "2026-01-20" })).await;
        assert_eq!((env.status().await["card"]["overdue_days"].clone(), tell().await), (Value::Null, 0));
        env.clock.advance(20 * DAY);
        assert_eq!(tell().await, 1);
        set(&root, json!({ "clear": ["review"] })).await;
        env.clock.advance(DAY);
        assert_eq!((tell().await, told(&env, "review_overdue").await.len()), (0, 2));
        let other = env.replica().await;
        assert_eq!(tell_overdue(&other.cx).await.unwrap(), 0);
    }

    async fn a_server_that_starts_tells_what_became_overdue_meanwhile(env: Env) {
        env.namespace("acme").await;
        set(&env.root(), json!({ "review_on": "2026-01-02" })).await;
        env.clock.advance(DAY);
        let mut ticker = gradus::jobs::start(&env.cx).await.unwrap();
        assert_eq!(told(&env, "review_overdue").await.len(), 1);
        ticker.shutdown().await.unwrap();
    }

    async fn many_reviews_are_told_of_at_once(env: Env) {
        env.namespace("acme").await;
        for number in 0..120 {
            let body = json!({ "review_on": "2026-01-02" });
            env.call("PATCH", &card(&format!("acme/w{number}"))).json(body).expect(200).await;
        }
        env.clock.advance(DAY);
        assert_eq!((tell_overdue(&env.cx).await.unwrap(), tell_overdue(&env.cx).await.unwrap()), (120, 0));
    }

    async fn a_card_that_was_changed_behind_the_registrys_back_is_found(env: Env) {
        env.namespace("acme").await;
        env.describe(W).await;
        env.root().push("one").await;
        set(&env.root(), json!({ "risk": "critical" })).await;
        let bad = async || env.call("POST", "/v1/log/verify").json(json!({})).expect(200).await.value()["first_bad"].clone();
        assert_eq!(bad().await, Value::Null);
        tamper(&env, &["UPDATE workload_cards SET risk = 'low'"]).await;
        assert_ne!(bad().await, Value::Null);
        tamper(&env, &["UPDATE workload_cards SET risk = 'critical'"]).await;
        assert_eq!(bad().await, Value::Null);
        tamper(&env, &["DELETE FROM workload_cards"]).await;
        assert_ne!(bad().await, Value::Null);
    }
}
