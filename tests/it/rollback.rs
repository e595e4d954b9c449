//! The way back: where it leads, and what is marked by it.

use crate::harness::{
    backends, files,
    govern::{W, open_gates},
};
use serde_json::json;

backends! {
    async fn a_rollback_goes_to_the_last_that_is_good(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        for (number, text) in ["a", "b", "c", "d"].iter().enumerate() {
            root.push(text).await;
            root.promote(&format!("1.0.{number}"), "production").await;
        }
        env.call("POST", &format!("/v1/workloads/{W}/versions/1.0.2/yank")).json(json!({ "reason": "r" })).expect(204).await;
        let dry = root.call("POST", &format!("/v1/workloads/{W}/stages/production/rollback"));
        let dry = dry.json(json!({ "reason": "r", "dry_run": true })).expect(200).await.value();
        assert_eq!((dry["to"].as_str(), dry["dry_run"].as_bool()), (Some("1.0.1"), Some(true)), "1.0.2 is yanked");
        assert_eq!(env.at("production").await, "1.0.3", "a dry run moves nothing");
        for (to, why) in [("1.0.3", "is in the stage now"), ("1.0.2", "is yanked"), ("1.0.9", "has never been")] {
            let refused = root.rollback("production", Some(to)).await;
            assert_eq!(refused.code(), "rollback_target");
            assert!(refused.text().contains(why), "{}", refused.text());
        }
        let back = root.rollback("production", Some("1.0.0")).await.value();
        assert_eq!(back["marked"], json!(["1.0.1", "1.0.2", "1.0.3"]), "what came after is not good any more");
        assert_eq!(env.means("^1").await, "1.0.0");
        let over = root.promote_with("1.0.3", "production", json!({ "override": "it was the network" })).await.value();
        assert_eq!((over["state"].as_str(), over["overridden"].as_bool()), (Some("promoted"), Some(true)));
        assert_eq!(env.means("^1").await, "1.0.3");
        assert_eq!(root.rollback("production", None).await.value()["to"], "1.0.0");
        for reason in ["", "  "] {
            let path = format!("/v1/workloads/{W}/stages/production/rollback");
            assert_eq!(root.call("POST", &path).json(json!({ "reason": reason })).expect(400).await.code(), "reason_missing");
        }
        assert_eq!(root.rollback("staging", None).await.code(), "stage_empty");
        assert_eq!(root.rollback("nowhere", None).await.code(), "stage_unknown");
    }

    async fn content_is_the_same_under_every_number(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        let file = files::upload(&env, W, "a.prompt.yaml", &files::prompt("same")).await;
        let named = async |version: &str| {
            let pushed = files::push(&env, W, vec![file.clone()], json!({ "version": version })).await;
            assert_eq!(pushed.status, 201, "{}", pushed.text());
        };
        root.push("first").await;
        root.promote("1.0.0", "production").await;
        named("1.1.0-rc.1").await;
        root.promote("1.1.0-rc.1", "production").await;
        named("1.1.0").await;
        root.promote("1.1.0", "production").await;
        assert_eq!(root.rollback("production", Some("1.1.0-rc.1")).await.code(), "rollback_target");
        let back = root.rollback("production", None).await.value();
        assert_eq!(back["to"], "1.0.0", "the candidate has the very content that is bad: {back}");
        named("1.1.1").await;
        let again = root.promote("1.1.1", "production").await.value();
        assert_eq!(open_gates(&again["report"]), [("not_rolled_back".into(), "fail".into())]);
        env.call("POST", &format!("/v1/workloads/{W}/versions/1.1.1/yank")).json(json!({ "reason": "leaks" })).expect(204).await;
        let other = root.promote("1.1.0", "staging").await.value();
        assert_eq!(open_gates(&other["report"]), [("not_yanked".into(), "fail".into())], "{other}");
    }

    async fn a_version_that_came_twice_goes_back_once(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        for text in ["a", "b"] {
            root.push(text).await;
        }
        for version in ["1.0.0", "1.0.1", "1.0.0"] {
            assert_eq!(root.promote(version, "production").await.value()["state"], "promoted", "{version}");
        }
        assert_eq!((env.means("1.0").await, env.means("production").await), ("1.0.1".into(), "1.0.0".into()));
        assert_eq!(root.rollback("production", None).await.value()["to"], "1.0.1");
        assert_eq!(env.means("1.0").await, "1.0.1");
        assert_eq!(root.promote("1.0.0", "production").await.value()["state"], "refused");
    }

    async fn what_was_rolled_back_in_the_stage_before_goes_no_further(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        for text in ["a", "b"] {
            let version = root.push(text).await;
            root.promote(&version, "staging").await;
        }
        root.rollback("staging", None).await;
        let on = root.promote("1.0.1", "production").await.value();
        assert_eq!(open_gates(&on["report"]), [("previous_stage".into(), "fail".into())], "{on}");
    }

    async fn a_mark_holds_for_content_whenever_it_entered(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        root.push("one").await;
        root.push("two").await;
        for version in ["1.0.1", "1.0.0", "1.0.1"] {
            root.promote(version, "production").await;
        }
        let back = root.rollback("production", None).await.value();
        assert_eq!((&back["to"], &back["marked"]), (&json!("1.0.0"), &json!(["1.0.1"])), "{back}");
        for tag in ["^1", "1", "latest", "production"] {
            assert_eq!(env.means(tag).await, "1.0.0", "{tag}");
        }
        // What was yanked under another number is no way back either.
        let file = files::upload(&env, W, "a.prompt.yaml", &files::prompt("one")).await;
        files::push(&env, W, vec![file], json!({ "version": "1.1.0" })).await;
        root.push("three").await;
        root.promote("1.1.1", "production").await;
        env.call("POST", &format!("/v1/workloads/{W}/versions/1.1.0/yank")).json(json!({ "reason": "poisoned" })).expect(204).await;
        let nowhere = root.rollback("production", None).await;
        assert_eq!(nowhere.code(), "rollback_nowhere", "{}", nowhere.text());
        assert_eq!(root.rollback("production", Some("1.0.0")).await.code(), "rollback_target");
        let insisted = root.promote_with("1.0.0", "production", json!({ "override": "now" })).await;
        assert_eq!(insisted.code(), "version_yanked", "{}", insisted.text());
    }
}
