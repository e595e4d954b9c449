//! Who says yes or no to a promotion, and for how long that holds.

use crate::harness::{
    backends,
    govern::{W, open_gates, production},
};
use gradus::model::access::Role;
use serde_json::json;
use std::time::Duration;

const ONE_APPROVAL: &str = "[{ approvals: { count: 1 } }]";

backends! {
    async fn approvals_are_by_others_and_hold_for_one_thing_only(env: Env) {
        env.namespace("acme").await;
        let author = env.someone("ann", &[Role::Contributor, Role::Approver, Role::Releaser]).await;
        let bo = env.someone("bo", &[Role::Approver]).await;
        let ci = env.service("ci", Role::Contributor).await;
        assert_eq!(env.policy(&production("[{ approvals: { count: 1 } }]")).await.status, 200);
        author.push("one").await;
        assert_eq!(bo.approve("1.0.0", "staging").await.code(), "approval_not_asked");
        let asked = author.promote("1.0.0", "production").await.value();
        assert_eq!((asked["state"].as_str(), open_gates(&asked["report"])), (Some("pending"), vec![("approvals".into(), "wait".into())]));
        assert_eq!(author.approve("1.0.0", "production").await.code(), "self_approval");
        assert_eq!(ci.approve("1.0.0", "production").await.code(), "service_cannot_approve");
        let reader = env.someone("rita", &[Role::Reader]).await;
        assert_eq!(reader.approve("1.0.0", "production").await.code(), "role_missing");
        let mine = bo.call("GET", "/v1/pending?mine=true").expect(200).await.value();
        assert_eq!((mine["items"].as_array().unwrap().len(), mine["items"][0]["for_you"].as_bool()), (1, Some(true)));
        assert_eq!(author.call("GET", "/v1/pending?mine=true").expect(200).await.value()["items"], json!([]), "it waits for somebody else");

        let approved = bo.approve("1.0.0", "production").await.value();
        assert_eq!(approved["promoted"][0]["state"], "promoted", "it completes by itself: {approved}");
        assert_eq!(env.at("production").await, "1.0.0");
        assert_eq!(bo.approve("1.0.0", "production").await.value()["created"], false, "saying it twice is nothing new");

        // Good for this content only.
        author.push("two").await;
        assert_eq!(author.promote("1.0.1", "production").await.value()["state"], "pending");
        // The approval's bytes cannot be brought in by another door.
        let evidence = env.get(&format!("/v1/workloads/{W}/versions/1.0.0/evidence")).expect(200).await.value();
        let digest = evidence["items"][0]["digest"].as_str().unwrap();
        let manifest = env.get(&format!("/v2/{W}/manifests/{digest}")).expect(200).await;
        let second = env.get(&format!("/v1/workloads/{W}/resolve/1.0.1")).expect(200).await.value();
        let first = env.get(&format!("/v1/workloads/{W}/resolve/1.0.0")).expect(200).await.value();
        let forged = manifest.text().replace(first["digest"].as_str().unwrap(), second["digest"].as_str().unwrap());
        let put = env.call("PUT", &format!("/v2/{W}/manifests/forged")).header("content-type", "application/vnd.oci.image.manifest.v1+json");
        assert_eq!(put.body(forged).expect(405).await.code(), "evidence_reserved");
        let payload = env.get(&format!("/v2/{W}/blobs/{}", manifest.value()["layers"][0]["digest"].as_str().unwrap())).expect(200).await.text();
        assert!(!bo.attach_text("1.0.1", &payload).await.status.is_success());
        env.call("DELETE", &format!("/v2/{W}/manifests/{digest}")).expect(405).await;
        assert_eq!(env.at("production").await, "1.0.0");

        // It survives an edit of the policy elsewhere, and not one of its own rule.
        assert_eq!(bo.approve("1.0.1", "production").await.status, 200);
        assert_eq!(env.at("production").await, "1.0.1");
        author.push("three").await;
        let dev_only = production("[{ approvals: { count: 1 } }]") + "  weights:\n    dev: { gates: [] }\n";
        env.policy(&dev_only).await;
        assert_eq!(bo.approve("1.0.2", "production").await.value()["created"], true);
        env.policy(&production("[{ approvals: { count: 1 } }]")).await;
        let dry = author.promote_with("1.0.2", "production", json!({ "dry_run": true })).await.value();
        assert_eq!(dry["report"]["outcome"], "pass", "{dry}");
        env.policy(&production("[lints, { approvals: { count: 1 } }]")).await;
        let dry = author.promote_with("1.0.2", "production", json!({ "dry_run": true })).await.value();
        assert_eq!(dry["report"]["outcome"], "wait", "approved under other rules: {dry}");
    }

    async fn an_approval_is_lost_with_the_role(env: Env) {
        env.namespace("acme").await;
        let ann = env.someone("ann", &[Role::Contributor, Role::Releaser]).await;
        let bo = env.someone("bo", &[Role::Approver]).await;
        env.policy(&production("[{ approvals: { count: 2 } }]")).await;
        ann.push("one").await;
        ann.promote("1.0.0", "production").await;
        assert_eq!(bo.approve("1.0.0", "production").await.status, 200);
        env.call("DELETE", "/v1/members/acme/bo/approver").expect(204).await;
        let cy = env.someone("cy", &[Role::Approver]).await;
        let approved = cy.approve("1.0.0", "production").await.value();
        assert_eq!(approved["promoted"], json!([]), "bo's does not count any more: {approved}");
        assert_eq!(env.at("production").await, "");
        env.someone("bo", &[Role::Approver]).await;
        let asked = ann.promote("1.0.0", "production").await.value();
        assert_eq!(asked["state"], "promoted", "with the role back it does: {asked}");

        // Whoever asked must still may when it completes.
        ann.push("two").await;
        ann.promote("1.0.1", "production").await;
        bo.approve("1.0.1", "production").await;
        env.call("DELETE", "/v1/members/acme/ann/releaser").expect(204).await;
        cy.approve("1.0.1", "production").await;
        assert_eq!(env.at("production").await, "1.0.0");
        assert_eq!(env.status().await["pending"], json!([]), "it was given up");
        assert_eq!(ann.promote("1.0.1", "production").await.code(), "role_missing");
    }

    async fn a_rejection_stops_until_an_approval_answers_it(env: Env) {
        env.namespace("acme").await;
        let ann = env.someone("ann", &[Role::Contributor, Role::Releaser]).await;
        let (bo, cy) = (env.someone("bo", &[Role::Approver]).await, env.someone("cy", &[Role::Approver]).await);
        env.policy(&production("[{ approvals: { count: 1 } }]")).await;
        ann.push("one").await;
        ann.promote("1.0.0", "production").await;
        assert_eq!(bo.reject("1.0.0", "production").await.status, 200);
        let status = env.status().await;
        assert_eq!(status["pending"][0]["report"]["outcome"], "fail", "{status}");
        assert!(status.to_string().contains("too slow"), "the reason is shown");
        let again = ann.promote("1.0.0", "production").await.value();
        assert_eq!((again["state"].as_str(), again["report"]["outcome"].as_str()), (Some("refused"), Some("fail")));
        assert_eq!(env.status().await["pending"].as_array().unwrap().len(), 1, "what waits goes on waiting for an answer");
        assert_eq!(ann.reject("1.0.0", "production").await.status, 200, "an author is heard when they say no");
        assert_eq!(cy.approve("1.0.0", "production").await.value()["promoted"][0]["state"], "promoted");
        let empty = bo.call("POST", &format!("/v1/workloads/{W}/stages/production/reject")).json(json!({ "version": "1.0.0" }));
        assert_eq!(empty.expect(400).await.code(), "reason_missing");
    }

    async fn an_override_is_shown_until_somebody_else_ratifies_it(env: Env) {
        env.namespace("acme").await;
        let rel = env.someone("rel", &[Role::Releaser, Role::Contributor]).await;
        let admin = env.someone("adi", &[Role::Admin]).await;
        let bo = env.someone("bo", &[Role::Approver]).await;
        env.policy(&production("[{ approvals: { count: 1 } }]")).await;
        rel.push("one").await;
        let over = json!({ "override": "customers wait" });
        assert_eq!(rel.promote_with("1.0.0", "production", over.clone()).await.code(), "role_missing");
        assert_eq!(admin.promote_with("1.0.0", "production", json!({ "override": " " })).await.code(), "reason_missing");
        let done = admin.promote_with("1.0.0", "production", over).await.value();
        assert_eq!((done["state"].as_str(), done["overridden"].as_bool()), (Some("promoted"), Some(true)));
        let status = env.status().await;
        assert_eq!((status["unratified"][0]["by"].as_str(), status["unratified"][0]["reason"].as_str()), (Some("adi"), Some("customers wait")));
        assert_eq!(admin.ratify("production").await.code(), "self_approval");
        assert_eq!(rel.ratify("production").await.code(), "role_missing");
        assert_eq!(bo.ratify("production").await.status, 200);
        assert_eq!(env.status().await["unratified"], json!([]));
        assert_eq!(bo.ratify("production").await.code(), "override_unknown");
        let history = env.get(&format!("/v1/workloads/{W}/stages/production/history")).expect(200).await.value();
        assert_eq!((history["items"][0]["kind"].as_str(), history["items"][0]["ratified_by"].as_str()), (Some("overridden"), Some("bo")));
    }

    async fn whoever_pushed_content_by_any_door_is_its_author(env: Env) {
        env.namespace("acme").await;
        let bob = env.someone("bob", &[Role::Contributor, Role::Approver]).await;
        let ci = env.service("ci", Role::Contributor).await;
        env.policy(&production("[{ approvals: { count: 1 } }]")).await;
        let manifest = crate::harness::oci::prompt(&env, W, "hello").await.to_string();
        let digest = gradus::model::digest::Digest::sha256(manifest.as_bytes());
        for (someone, reference) in [(&bob, digest.to_string()), (&bob, "candidate".into()), (&ci, "1.0.0".into())] {
            let put = someone.call("PUT", &format!("/v2/{W}/manifests/{reference}"));
            put.header("content-type", crate::harness::oci::IMAGE).body(manifest.clone()).expect(201).await;
        }
        assert_eq!(bob.approve("1.0.0", "production").await.code(), "self_approval");
    }

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
}
