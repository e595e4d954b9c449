//! Moving stages: what passes, what waits, what is refused, and what cannot be walked round.

use crate::harness::{
    backends, files,
    govern::{W, open_gates},
};
use gradus::model::access::Role;
use serde_json::json;
use std::time::Duration;

const HOUR: u64 = 3600;

backends! {
    async fn a_prompt_moves_at_once_and_back_in_one_step(env: Env) {
        env.namespace("acme").await;
        let (ann, rel) = (env.someone("ann", &[Role::Contributor]).await, env.someone("rel", &[Role::Releaser]).await);
        let first = ann.push("one").await;
        assert_eq!((env.at("dev").await.as_str(), env.at("production").await.as_str()), ("1.0.0", ""), "a push enters dev");
        assert_eq!(env.means("^1").await, "1.0.0", "before anything is in production, ranges match any version");
        assert_eq!(rel.promote(&first, "production").await.value()["state"], "promoted");
        let second = ann.push("two").await;
        assert_eq!((env.means("^1").await, env.means("latest").await, env.means("dev").await), ("1.0.0".into(), "1.0.0".into(), second.clone()),
            "ranges and latest cannot walk round the gates");
        assert_eq!(env.means("1.0.1").await, second, "an exact version always resolves");
        let promoted = rel.promote(&second, "production").await.value();
        assert_eq!((promoted["from"].as_str(), promoted["state"].as_str()), (Some("1.0.0"), Some("promoted")));
        assert_eq!(env.means("production").await, second);
        assert_eq!(env.get(&format!("/v1/workloads/{W}/resolve")).expect(200).await.value()["version"], "1.0.1", "without a TAG: the last stage");

        let back = rel.rollback("production", None).await;
        assert_eq!(back.status, 200, "{}", back.text());
        assert_eq!(back.value()["marked"], json!(["1.0.1"]));
        for tag in ["production", "^1", "latest", "1"] {
            assert_eq!(env.means(tag).await, "1.0.0", "{tag} is as before the bad promotion");
        }
        let again = rel.promote(&second, "production").await.value();
        assert_eq!(again["state"], "refused");
        assert_eq!(open_gates(&again["report"]), [("not_rolled_back".into(), "fail".into())]);
        let refused = rel.rollback("production", None).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "rollback_nowhere"));
        let history = env.get(&format!("/v1/workloads/{W}/stages/production/history")).expect(200).await.value();
        let kinds: Vec<_> = history["items"].as_array().unwrap().iter().map(|step| (step["number"].as_i64().unwrap(), step["kind"].as_str().unwrap().to_owned(), step["version"].as_str().unwrap().to_owned())).collect();
        assert_eq!(kinds, [(3, "rolled_back".into(), "1.0.0".into()), (2, "promoted".into(), "1.0.1".into()), (1, "promoted".into(), "1.0.0".into())]);
        assert_eq!(history["items"][0]["reason"], "refusals doubled");
        assert!(history["items"][1]["report"]["gates"].as_array().unwrap().len() >= 5, "what the gates said");
        assert!(env.means("^1").await == "1.0.0" && env.get("/v1/log/checkpoint").expect(200).await.text().len() > 10);
    }

    async fn worse_than_what_is_there_is_refused(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        root.push("one").await;
        root.evaluate("1.0.0", 900, 1000).await;
        root.promote("1.0.0", "production").await;
        root.push("two").await;
        let waits = root.promote("1.0.1", "production").await.value();
        assert_eq!(open_gates(&waits["report"]), [("no_regression".into(), "wait".into())], "nothing is said about it on the suite: {waits}");
        root.evaluate("1.0.1", 700, 1000).await;
        let worse = root.promote_with("1.0.1", "production", json!({ "dry_run": true })).await.value();
        assert_eq!(open_gates(&worse["report"]), [("no_regression".into(), "fail".into())], "{worse}");
        root.push("three").await;
        root.evaluate("1.0.2", 9, 10).await;
        let few = root.promote_with("1.0.2", "production", json!({ "dry_run": true })).await.value();
        assert_eq!(open_gates(&few["report"]), [("no_regression".into(), "wait".into())], "too few to tell: {few}");
        root.push("four").await;
        root.evaluate("1.0.3", 905, 1000).await;
        assert_eq!(root.promote("1.0.3", "production").await.value()["state"], "promoted");
    }

    async fn a_soak_ends_by_itself_and_patience_too(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        env.policy("gradus: policy/v1\npending_days: 2\nrules:\n  prompt:\n    production: { gates: [{ soak: { hours: 24 } }] }\n").await;
        root.push("one").await;
        let early = root.promote("1.0.0", "production").await.value();
        assert_eq!((early["state"].as_str(), open_gates(&early["report"])[0].0.as_str()), (Some("refused"), "previous_stage"));
        root.promote("1.0.0", "staging").await;
        assert_eq!(root.promote("1.0.0", "production").await.value()["state"], "pending");
        env.clock.advance(Duration::from_secs(23 * HOUR));
        assert_eq!(gradus::ops::settle::settle_due(&env.cx).await.unwrap(), 0, "it is not looked at before its time");
        env.clock.advance(Duration::from_secs(HOUR));
        assert_eq!(gradus::ops::settle::settle_due(&env.cx).await.unwrap(), 1);
        assert_eq!(env.at("production").await, "1.0.0");

        root.push("two").await;
        root.promote("1.0.1", "staging").await;
        let waits = root.promote("1.0.1", "production").await.value();
        root.push("three").await;
        root.promote("1.0.2", "staging").await;
        env.clock.advance(Duration::from_secs(49 * HOUR));
        gradus::ops::settle::settle_due(&env.cx).await.unwrap();
        let id = waits["id"].as_str().unwrap();
        let ended = env.get(&format!("/v1/workloads/{W}/promotions/{id}")).expect(200).await.value();
        assert_eq!(ended["state"], "expired", "its stay in staging was cut short: {ended}");
        assert_eq!(env.at("production").await, "1.0.0");
    }

    async fn a_freeze_stops_promotions_and_no_rollback(env: Env) {
        env.namespace("acme").await;
        let rel = env.someone("rel", &[Role::Releaser, Role::Contributor]).await;
        for text in ["one", "two"] {
            let version = rel.push(text).await;
            rel.promote(&version, "production").await;
        }
        let freeze = |path: &str, body| rel.call("POST", path).json(body);
        freeze("/v1/freezes/acme", json!({ "reason": "year end", "until": "2026-01-03T00:00:00Z" })).expect(200).await;
        rel.push("three").await;
        assert_eq!(env.at("dev").await, "1.0.2", "the first stage goes on");
        assert_eq!(rel.rollback("production", None).await.status, 200, "never stopped by a freeze");
        let frozen = rel.promote("1.0.2", "production").await.value();
        assert_eq!((frozen["state"].as_str(), open_gates(&frozen["report"])), (Some("pending"), vec![("freeze_window".into(), "wait".into())]));
        env.clock.advance(Duration::from_secs(24 * HOUR));
        gradus::ops::settle::settle_due(&env.cx).await.unwrap();
        assert_eq!(env.at("production").await, "1.0.2", "it thaws by itself");

        let at = format!("/v1/freezes/{W}");
        freeze(&at, json!({ "stage": "dev", "reason": "moving house" })).expect(200).await;
        let pushed = files::push_prompt(&env, W, "four", json!({})).await.value();
        assert!(pushed["notes"].to_string().contains("not in dev"), "{pushed}");
        assert_eq!(env.at("dev").await, "1.0.2");
        rel.call("DELETE", &at).expect(404).await;
        rel.call("DELETE", &format!("{at}?stage=dev")).expect(200).await;
        gradus::ops::settle::settle_due(&env.cx).await.unwrap();
        assert_eq!(env.at("dev").await, "1.0.3");
        assert_eq!(freeze(&at, json!({ "reason": "r", "until": "2020-01-01T00:00:00Z" })).expect(400).await.code(), "freeze_over");
        assert_eq!(freeze(&at, json!({ "reason": "r", "stage": "nowhere" })).expect(404).await.code(), "stage_unknown");
    }

    async fn a_push_enters_the_first_stage_by_the_same_gates_as_anything(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        env.policy("gradus: policy/v1\nstages: [production]\nrules:\n  prompt:\n    production: { roles: [contributor], gates: [lints, { no_regression: { when_no_baseline: pass } }] }\n").await;
        root.push("one").await;
        assert_eq!(env.at("production").await, "1.0.0");
        root.evaluate("1.0.0", 900, 1000).await;
        root.push("two").await;
        assert_eq!(env.at("production").await, "1.0.0", "nothing is measured about the second one");
        // A freeze is of that one stage too.
        env.call("POST", &format!("/v1/freezes/{W}")).json(json!({ "reason": "incident" })).expect(200).await;
        root.evaluate("1.0.1", 950, 1000).await;
        assert_eq!(env.at("production").await, "1.0.0");
        env.call("DELETE", &format!("/v1/freezes/{W}")).expect(200).await;
        gradus::ops::settle::settle_due(&env.cx).await.unwrap();
        assert_eq!(env.at("production").await, "1.0.1");
        for typo in ["/v1/freezes/acme/ticket-triag", "/v1/freezes/nosuch"] {
            env.call("POST", typo).json(json!({ "reason": "incident" })).expect(404).await;
        }
    }

    async fn bad_requests_have_codes_of_their_own(env: Env) {
        env.namespace("acme").await;
        let rel = env.someone("rel", &[Role::Releaser, Role::Contributor]).await;
        rel.push("one").await;
        rel.push("two").await;
        assert_eq!(rel.promote("9.9.9", "production").await.code(), "version_unknown");
        assert_eq!(rel.promote("1.0.0", "canary").await.code(), "stage_unknown");
        assert_eq!(rel.promote("1.0.0", "1.x").await.code(), "stage_invalid");
        assert_eq!(env.someone("rita", &[Role::Reader]).await.promote("1.0.0", "production").await.code(), "role_missing");
        let expect = json!({ "expect": "1.0.1" });
        assert_eq!(rel.promote_with("1.0.0", "production", expect.clone()).await.code(), "stage_moved");
        rel.promote("1.0.1", "production").await;
        assert_eq!(rel.promote_with("1.0.0", "production", expect).await.value()["state"], "promoted");
        let there = rel.promote("1.0.0", "production").await.value();
        assert_eq!((there["state"].as_str(), there["recorded"].as_bool()), (Some("promoted"), Some(false)), "it is there already");
        env.call("POST", &format!("/v1/workloads/{W}/versions/1.0.1/yank")).json(json!({ "reason": "r" })).expect(204).await;
        assert_eq!(rel.promote("1.0.1", "production").await.code(), "version_yanked");
        assert_eq!(rel.withdraw("1.0.0", "production").await.code(), "promotion_unknown");
        // Stages move by no other door.
        for path in [format!("/v1/workloads/{W}/aliases/production"), format!("/v1/workloads/{W}/aliases/dev")] {
            assert_eq!(rel.call("PUT", &path).json(json!({ "to": "1.0.0" })).expect(400).await.code(), "alias_reserved");
        }
        let manifest = env.get(&format!("/v2/{W}/manifests/1.0.1")).expect(200).await;
        for tag in ["production", "staging", "latest", "1.0"] {
            let put = rel.call("PUT", &format!("/v2/{W}/manifests/{tag}")).header("content-type", manifest.header("content-type"));
            assert_eq!(put.body(manifest.bytes.clone()).expect(405).await.code(), "tag_is_not_free", "{tag}");
        }
        assert_eq!(env.get(&format!("/v2/{W}/manifests/production")).expect(200).await.bytes, env.get(&format!("/v2/{W}/manifests/1.0.0")).expect(200).await.bytes);
    }

    async fn the_clock_does_not_run_back_behind_the_log(env: Env) {
        use gradus::clock::Clock as _;
        env.namespace("acme").await;
        let root = env.root();
        env.clock.advance(Duration::from_secs(10 * HOUR));
        root.push("one").await;
        // Another replica whose clock is hours behind.
        let late = env.replica_with_clock(gradus::clock::Fixed::new()).await;
        assert!(late.clock.now() < env.clock.now());
        let path = format!("/v1/workloads/{W}/stages/production/promote");
        let refused = late.call("POST", &path).json(json!({ "version": "1.0.0" })).expect(503).await;
        assert_eq!(refused.code(), "clock_behind");
        assert_eq!(env.at("production").await, "");
    }
}
