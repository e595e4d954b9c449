//! What was said or asked for once, and what became of it: rejections, pending promotions, marks and evidence that later
//! events meet.

use crate::harness::{
    backends, files,
    govern::{W, evaluation, open_gates, production},
};
use gradus::model::access::Role;
use serde_json::json;
use std::time::Duration;

const HOUR: u64 = 3600;
const ONE_APPROVAL: &str = "[{ approvals: { count: 1 } }]";

backends! {
    async fn a_no_outlives_the_role_of_who_said_it(env: Env) {
        env.namespace("acme").await;
        let (ann, root) = (env.someone("ann", &[Role::Contributor, Role::Releaser]).await, env.root());
        let (bo, cy) = (env.someone("bo", &[Role::Approver]).await, env.someone("cy", &[Role::Approver]).await);
        env.policy(&production(ONE_APPROVAL)).await;
        ann.push("one").await;
        root.call("POST", "/v1/freezes/acme").json(json!({ "reason": "year end" })).expect(200).await;
        ann.promote("1.0.0", "production").await;
        bo.approve("1.0.0", "production").await;
        cy.reject("1.0.0", "production").await;
        root.call("DELETE", "/v1/members/acme/cy/approver").expect(204).await;
        root.call("DELETE", "/v1/freezes/acme").expect(200).await;
        gradus::ops::settle::settle_due(&env.cx).await.unwrap();
        assert_eq!(env.at("production").await, "", "nobody has answered it");
        env.clock.advance(Duration::from_secs(60));
        assert_eq!(bo.approve("1.0.0", "production").await.value()["promoted"][0]["state"], "promoted");
    }

    async fn what_waits_gives_way_to_what_was_done_meanwhile(env: Env) {
        env.namespace("acme").await;
        let (rel, root) = (env.someone("rel", &[Role::Contributor, Role::Releaser]).await, env.root());
        let bo = env.someone("bo", &[Role::Approver]).await;
        for text in ["one", "two", "three"] {
            rel.push(text).await;
        }
        let override_with = json!({ "override": "customers wait" });
        root.promote_with("1.0.0", "production", override_with.clone()).await;
        env.policy(&production(ONE_APPROVAL)).await;

        // Expected in the stage, and no longer there.
        let expecting = rel.promote_with("1.0.2", "production", json!({ "expect": "1.0.0" })).await.value();
        // Put in by hand after this was asked for.
        rel.promote("1.0.1", "production").await;
        root.promote_with("1.0.1", "production", override_with.clone()).await;
        assert_eq!(env.status().await["pending"].as_array().unwrap().len(), 1, "1.0.1 is there: its promotion is over");
        bo.approve("1.0.2", "production").await;
        assert_eq!((env.at("production").await.as_str(), env.status().await["pending"].as_array().unwrap().len()), ("1.0.1", 0));
        let withdrawn = env.get(&format!("/v1/workloads/{W}/promotions/{}", expecting["id"].as_str().unwrap())).expect(200).await.value();
        assert_eq!(withdrawn["state"], "withdrawn", "{withdrawn}");
        // Asked again it goes, as the approval still stands.
        assert_eq!(rel.promote("1.0.2", "production").await.value()["state"], "promoted");

        // Rolled back meanwhile: what waited does not follow by itself.
        let fourth = rel.push("four").await;
        rel.promote(&fourth, "production").await;
        assert_eq!(rel.rollback("production", None).await.status, 200);
        bo.approve(&fourth, "production").await;
        assert_eq!(env.at("production").await, "1.0.1");
        let status = env.status().await;
        assert_eq!(open_gates(&status["pending"][0]["report"]), [("asked_for".into(), "wait".into())], "{status}");
        assert!(status.to_string().contains("by rollback or override since"), "{status}");
        assert_eq!(rel.promote(&fourth, "production").await.value()["state"], "promoted", "who asks again means it");
        assert_eq!(rel.rollback("production", None).await.status, 200);

        // A later version came first: it is not replaced by an earlier one. An earlier one is by a later.
        let (fifth, sixth) = (rel.push("five").await, rel.push("six").await);
        for version in [&fifth, &sixth] {
            rel.promote(version, "production").await;
        }
        bo.approve(&fifth, "production").await;
        assert_eq!(env.at("production").await, fifth);
        bo.approve(&sixth, "production").await;
        assert_eq!(env.at("production").await, sixth, "the one before is no reason to wait");
        let (seventh, eighth) = (rel.push("seven").await, rel.push("eight").await);
        for version in [&seventh, &eighth] {
            rel.promote(version, "production").await;
        }
        bo.approve(&eighth, "production").await;
        bo.approve(&seventh, "production").await;
        assert_eq!((env.at("production").await, env.status().await["pending"].as_array().unwrap().len()), (eighth, 1));
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

    async fn evidence_can_be_said_again(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        root.push("one").await;
        env.policy(&production("[{ evaluation: { suite: golden, metric: accuracy, at_least: 0.8 } }]")).await;
        for (right, state) in [(90, "promoted"), (70, "refused"), (90, "promoted")] {
            env.clock.advance(Duration::from_secs(1));
            let attached = root.evaluate("1.0.0", right, 100).await.value();
            assert_eq!(attached["evidence"][0]["created"], true, "{attached}");
            let judged = root.promote_with("1.0.0", "production", json!({ "dry_run": true })).await.value();
            assert_eq!(judged["state"], state, "{right}: {judged}");
        }
        let again = root.evaluate("1.0.0", 90, 100).await.value();
        assert_eq!(again["evidence"][0]["created"], false, "a retry is no news");
        env.clock.advance(Duration::from_secs(2 * HOUR));
        let tomorrow = root.evaluate("1.0.0", 90, 100).await.value();
        assert_eq!(tomorrow["evidence"][0]["created"], true, "tomorrow's is");
    }

    async fn what_waits_sees_that_people_and_versions_change(env: Env) {
        env.namespace("acme").await;
        let (rel, root) = (env.someone("rel", &[Role::Contributor, Role::Releaser]).await, env.root());
        let cy = env.someone("cy", &[Role::Approver]).await;
        env.policy(&production(ONE_APPROVAL)).await;
        rel.push("one").await;
        env.call("POST", "/v1/freezes/acme").json(json!({ "reason": "year end" })).expect(200).await;
        rel.promote("1.0.0", "production").await;
        cy.approve("1.0.0", "production").await;
        root.call("DELETE", "/v1/members/acme/cy/approver").expect(204).await;
        env.call("DELETE", "/v1/freezes/acme").expect(200).await;
        gradus::ops::settle::settle_due(&env.cx).await.unwrap();
        let waits = env.status().await;
        assert_eq!(open_gates(&waits["pending"][0]["report"]), [("approvals".into(), "wait".into())], "{waits}");
        env.person("cy", "acme", Role::Approver).await;
        gradus::ops::settle::settle_due(&env.cx).await.unwrap();
        assert_eq!(env.at("production").await, "1.0.0", "her approval counts again");

        let second = rel.push("two").await;
        rel.promote(&second, "production").await;
        env.call("POST", &format!("/v1/workloads/{W}/versions/{second}/yank")).json(json!({ "reason": "leaks" })).expect(204).await;
        gradus::ops::settle::settle_due(&env.cx).await.unwrap();
        assert_eq!(env.status().await["pending"], json!([]));
    }

    async fn nobody_ratifies_what_they_pushed(env: Env) {
        env.namespace("acme").await;
        let ann = env.someone("ann", &[Role::Contributor, Role::Approver]).await;
        let bo = env.someone("bo", &[Role::Approver]).await;
        env.policy(&production(ONE_APPROVAL)).await;
        ann.push("one").await;
        env.root().promote_with("1.0.0", "production", json!({ "override": "customers wait" })).await;
        assert_eq!(ann.ratify("production").await.code(), "self_approval");
        assert_eq!(bo.ratify("production").await.status, 200);
    }

    async fn evidence_comes_with_a_push_or_nothing_does(env: Env) {
        env.namespace("acme").await;
        let prompt = files::upload(&env, W, "a.prompt.yaml", &files::prompt("one")).await;
        let said = |name: &'static str, text: String| { let env = &env; async move {
            files::upload(env, W, name, text.as_bytes()).await["digest"].clone()
        } };
        let provenance = |subject: &serde_json::Value| json!({
            "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://slsa.dev/provenance/v1",
            "subject": [{ "name": "a.prompt.yaml", "digest": { "sha256": subject.as_str().unwrap().trim_start_matches("sha256:") } }],
            "predicate": { "buildDefinition": { "buildType": "https://example.org/train" }, "runDetails": { "builder": { "id": "https://ci.example.org/1" } } },
        }).to_string();
        let wrong = said("wrong.json", provenance(&json!("sha256:".to_owned() + &"0".repeat(64)))).await;
        let refused = files::push(&env, W, vec![prompt.clone()], json!({ "evidence": [wrong] })).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "evidence_subject"), "{}", refused.text());
        let absent = files::push(&env, W, vec![prompt.clone()], json!({ "evidence": ["sha256:".to_owned() + &"1".repeat(64)] })).await;
        assert!(absent.status.is_client_error(), "{}", absent.text());
        env.get(&format!("/v1/workloads/{W}/versions/1.0.0")).expect(404).await;

        let right = said("right.json", provenance(&prompt["digest"])).await;
        let results = said("results.json", evaluation(9, 10).to_string()).await;
        let body = json!({ "evidence": [right, results] });
        let pushed = files::push(&env, W, vec![prompt.clone()], body.clone()).await;
        assert_eq!(pushed.status, 201, "{}", pushed.text());
        let kinds = |view: &serde_json::Value| view["evidence"].as_array().unwrap().iter()
            .map(|one| (one["statement"]["kind"].as_str().unwrap_or_default().to_owned(), one["created"].as_bool().unwrap())).collect::<Vec<_>>();
        assert_eq!(kinds(&pushed.value()).len(), 2, "{}", pushed.text());
        assert!(kinds(&pushed.value()).iter().all(|(_, created)| *created), "{}", pushed.text());
        let again = files::push(&env, W, vec![prompt], body).await.value();
        assert!(kinds(&again).iter().all(|(_, created)| !created), "{again}");
        let listed = env.get(&format!("/v1/workloads/{W}/versions/1.0.0/evidence")).expect(200).await.value();
        assert_eq!(listed["items"].as_array().unwrap().len(), 2);
        let report = env.call("POST", "/v1/log/verify").json(json!({})).expect(200).await.value();
        assert_eq!(report["first_bad"], json!(null), "{report}");
    }
}
