//! Evidence of versions: with a push, after it, and again.

use crate::harness::{
    backends, files,
    govern::{W, evaluation, production},
};
use gradus::model::access::Role;
use serde_json::json;
use std::time::Duration;

const HOUR: u64 = 3600;

backends! {
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
        let path = format!("/v1/workloads/{W}/versions/1.0.0/evidence?public_key=PEM");
        let unused = root.call("POST", &path).body(evaluation(9, 10).to_string()).expect(400).await;
        assert_eq!(unused.code(), "public_key_unused", "nobody is to think that it was checked");
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
