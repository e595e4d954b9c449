//! Moving stages: what passes, what waits, what is refused, and what cannot be walked round.

use crate::harness::{
    backends, files,
    govern::{W, open_gates, production},
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

    async fn evidence_completes_what_waits_for_it(env: Env) {
        env.namespace("acme").await;
        let ann = env.someone("ann", &[Role::Contributor, Role::Releaser]).await;
        let ci = env.service("ci", Role::Contributor).await;
        env.policy(&production("[{ evaluation: { suite: golden, metric: accuracy, at_least: 0.8, from: [service] } }]")).await;
        ann.push("one").await;
        assert_eq!(ann.promote("1.0.0", "production").await.value()["state"], "pending");
        let own = ann.evaluate("1.0.0", 95, 100).await.value();
        assert_eq!(own["promoted"], json!([]), "the author's word does not count here: {own}");
        let bad = ci.evaluate("1.0.0", 70, 100).await.value();
        assert_eq!(bad["promoted"], json!([]), "{bad}");
        let good = ci.evaluate("1.0.0", 95, 100).await.value();
        assert_eq!(good["promoted"][0]["state"], "promoted", "{good}");
        assert_eq!(ci.evaluate("1.0.0", 95, 100).await.value()["evidence"][0]["created"], false, "the same again is no news");

        // It is an OCI referrer like any other.
        let digest = env.get(&format!("/v1/workloads/{W}/resolve/1.0.0")).expect(200).await.value()["digest"].as_str().unwrap().to_owned();
        let referrers = env.get(&format!("/v2/{W}/referrers/{digest}")).expect(200).await.value();
        let kind = "application/vnd.gradus.evidence.evaluation.v1+json";
        assert_eq!(referrers["manifests"].as_array().unwrap().iter().filter(|one| one["artifactType"] == kind).count(), 3);

        // Evidence about one manifest is none about another.
        ann.push("two").await;
        assert_eq!(ann.promote("1.0.1", "production").await.value()["state"], "pending");
        let mut about_first = crate::harness::govern::evaluation(95, 100);
        about_first["subject"] = json!(digest);
        assert_eq!(ci.attach("1.0.1", &about_first).await.code(), "evidence_subject");
        assert_eq!(env.at("production").await, "1.0.0");
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

    async fn the_same_file_again_adds_nothing(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        root.push("one").await;
        let task = |value: f64| json!({ "alias": "t", "acc,none": value, "acc_stderr,none": 0.01 });
        let results = json!({
            "results": { "a": task(0.8), "b": task(0.7), "c": task(0.6) },
            "configs": { "a": {}, "b": {}, "c": {} }, "versions": { "a": 1, "b": 1, "c": 1 },
            "n-samples": { "a": { "original": 100, "effective": 100 }, "b": { "original": 100, "effective": 100 }, "c": { "original": 100, "effective": 100 } },
            "higher_is_better": { "a": { "acc": true }, "b": { "acc": true }, "c": { "acc": true } },
        });
        for created in [true, false] {
            let attached = root.attach("1.0.0", &results).await;
            assert_eq!(attached.status, 200, "{}", attached.text());
            let attached = attached.value();
            let all = attached["evidence"].as_array().unwrap();
            assert!(all.len() == 3 && all.iter().all(|one| one["created"] == created), "{attached}");
        }
        let listed = env.get(&format!("/v1/workloads/{W}/versions/1.0.0/evidence")).expect(200).await.value();
        assert_eq!(listed["items"].as_array().unwrap().len(), 3);
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
