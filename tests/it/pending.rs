//! Promotions that wait, and what becomes of them when the world moves on.

use crate::harness::{
    backends,
    govern::{W, open_gates, production},
};
use gradus::model::access::Role;
use serde_json::json;

const ONE_APPROVAL: &str = "[{ approvals: { count: 1 } }]";

backends! {
    async fn a_pending_promotion_is_withdrawn_by_who_asked_for_it(env: Env) {
        env.namespace("acme").await;
        let (ann, rel) = (env.someone("ann", &[Role::Contributor, Role::Releaser]).await, env.someone("rel", &[Role::Releaser]).await);
        env.policy(&production("[{ approvals: { count: 1 } }]")).await;
        ann.push("one").await;
        let first = ann.promote("1.0.0", "production").await.value();
        let again = rel.promote("1.0.0", "production").await.value();
        assert_eq!(first["id"], again["id"], "asking again is the same attempt");
        assert_eq!(rel.withdraw("1.0.0", "production").await.code(), "not_yours");
        assert_eq!(ann.withdraw("1.0.0", "production").await.value()["state"], "withdrawn");
        env.someone("bo", &[Role::Approver]).await.approve("1.0.0", "production").await;
        assert_eq!(env.at("production").await, "", "a withdrawn one does not complete");
        let kinds: Vec<String> = env.get("/v1/events?workload=acme/x").expect(200).await.value()["items"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect();
        assert_eq!(kinds, ["pushed", "promoted", "promotion_pending", "promotion_ended", "approved"]);
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
}
