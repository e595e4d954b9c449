//! What runs where: reports, what should run against what does, health as evidence, and the way back that a policy wants.

use crate::harness::{
    Env, backends,
    govern::{Someone, W, open_gates, production},
};
use gradus::model::access::Role;
use serde_json::{Value, json};
use std::time::Duration;

/// Reports `version` on a target; `more` is merged into the report.
async fn report(who: &Someone<'_>, target: &str, version: &str, more: Value) -> Value {
    let mut body = json!({ "version": version, "status": "running" });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    who.call("PUT", &format!("/v1/workloads/{W}/deployments/{target}")).json(body).expect(200).await.value()
}

async fn places(env: &Env, query: &str) -> Vec<Value> {
    let path = format!("/v1/workloads/{W}/deployments?{query}");
    env.get(&path).expect(200).await.value()["items"].as_array().unwrap().clone()
}

async fn names(env: &Env, query: &str) -> Vec<String> {
    places(env, query).await.iter().map(|it| it["target"].as_str().unwrap().to_owned()).collect()
}

async fn kinds(env: &Env) -> Vec<String> {
    let log = env.get(&format!("/v1/events?workload={W}")).expect(200).await.value();
    log["items"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap().to_owned()).collect()
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// Two versions, the second in production by a promotion, under this rule for production.
async fn promoted(env: &Env, rule: &str) {
    env.namespace("acme").await;
    let policy = format!("gradus: policy/v1\nrules: {{ prompt: {{ production: {rule} }} }}");
    assert_eq!(env.policy(&policy).await.status, 200);
    for text in ["one", "two"] {
        let version = env.root().push(text).await;
        env.root().promote(&version, "production").await;
    }
    assert_eq!(env.at("production").await, "1.0.1");
}

const GOES_BACK: &str = "{ skip: true, gates: [], bake: { minutes: 60, on_unhealthy: rollback } }";

backends! {
    async fn what_runs_is_set_against_what_should(env: Env) {
        env.namespace("acme").await;
        let agent = env.service("agent", Role::Deployer).await;
        let root = env.root();
        root.push("one").await;
        root.promote("1.0.0", "production").await;
        let first = report(&agent, "eu-1", "production", json!({ "url": "https://ci.example/1" })).await;
        assert_eq!((&first["stage"], &first["version"], &first["changed"]), (&json!("production"), &json!("1.0.0"), &json!(true)));
        assert_eq!((&first["reported_by"], &first["differs_since"]), (&json!("agent"), &json!(null)));
        report(&agent, "us-1", "1.0.0", json!({ "stage": "production" })).await;
        report(&agent, "lab", "1.0.0", json!({})).await;
        let again = report(&agent, "eu-1", "1.0.0", json!({ "stage": "production" })).await;
        assert_eq!((&again["changed"], &again["position"], &again["url"]), (&json!(false), &json!(null), &json!("https://ci.example/1")));

        env.clock.advance(minutes(5));
        root.push("two").await;
        root.promote("1.0.1", "production").await;
        let moved_at = env.status().await["stages"][2]["current"]["at"].clone();
        env.clock.advance(minutes(5));
        let late = report(&agent, "us-1", "1.0.1", json!({ "stage": "production" })).await;
        assert_eq!(late["differs_since"], json!(null));
        let stage = &env.status().await["stages"][2];
        let seen: Vec<_> = stage["deployments"].as_array().unwrap().iter().map(|it| (it["target"].clone(), it["differs_since"].clone())).collect();
        assert_eq!(seen, [(json!("eu-1"), moved_at), (json!("us-1"), json!(null))], "the lab follows no stage");
        assert_eq!(stage["deployments"][0]["desired"]["version"], "1.0.1");

        assert_eq!(names(&env, "").await, ["eu-1", "lab", "us-1"]);
        assert_eq!(names(&env, "of=production").await, ["eu-1", "us-1"]);
        assert_eq!(names(&env, "of=1.0.0").await, ["eu-1", "lab"]);
        assert_eq!(names(&env, &format!("of={}", late["digest"].as_str().unwrap().replace(':', "%3A"))).await, ["us-1"]);
        assert_eq!(names(&env, "limit=1&cursor=eu-1").await, ["lab"]);
        let gone = report(&agent, "lab", "1.0.0", json!({ "status": "retired" })).await;
        assert_eq!((&gone["status"], &gone["differs_since"]), (&json!("retired"), &json!(null)));
        assert_eq!(names(&env, "of=1.0.0").await, ["eu-1"]);
        assert_eq!(names(&env, "of=1.0.0&retired=true").await, ["eu-1", "lab"]);
        let told: Vec<String> = kinds(&env).await.into_iter().filter(|kind| kind.starts_with("deployment_")).collect();
        assert_eq!(told, ["deployment_running"; 3].into_iter().chain(["deployment_running", "deployment_retired"]).collect::<Vec<_>>());
        // Who may only report, may only report.
        assert_eq!(agent.promote("1.0.0", "production").await.status, 403);
        assert_eq!(env.someone("con", &[Role::Contributor]).await.call("PUT", &format!("/v1/workloads/{W}/deployments/eu-1")).json(json!({ "version": "1.0.0", "status": "running" })).send().await.status, 403);
    }

    async fn health_is_evidence_when_it_is_news(env: Env) {
        env.namespace("acme").await;
        let agent = env.service("agent", Role::Deployer).await;
        let root = env.root();
        root.push("one").await;
        root.promote("1.0.0", "staging").await;
        env.policy(&production("[{ deployment_healthy: { minutes: 30, targets: 2, from: [deployer] } }]")).await;
        let asked = root.promote("1.0.0", "production").await.value();
        assert_eq!(open_gates(&asked["report"]), [("deployment_healthy".into(), "wait".into())]);
        let good = json!({ "stage": "staging", "healthy": true });
        for target in ["eu-1", "us-1"] {
            assert!(report(&agent, target, "1.0.0", good.clone()).await["evidence"].is_string());
        }
        assert_eq!(env.at("production").await, "", "it has not baked");
        env.clock.advance(minutes(9));
        assert_eq!(report(&agent, "eu-1", "1.0.0", good.clone()).await["evidence"], json!(null), "the same so soon is no news");
        env.clock.advance(minutes(21));
        assert_eq!(report(&agent, "eu-1", "1.0.0", good.clone()).await["promoted"], json!([]), "one of two");
        let last = report(&agent, "us-1", "1.0.0", good.clone()).await;
        assert_eq!(last["promoted"][0]["stage"], "production", "{last}");
        assert_eq!(env.at("production").await, "1.0.0");

        // The same content is judged by the same evidence, and what speaks against it holds.
        let bad = report(&agent, "eu-1", "1.0.0", json!({ "stage": "staging", "healthy": false, "message": "5xx" })).await;
        assert_eq!((&bad["changed"], &bad["rolled_back"]), (&json!(true), &json!(null)), "no policy asks for a way back");
        let evidence = env.get(&format!("/v1/workloads/{W}/versions/1.0.0/evidence")).expect(200).await.value();
        let newest = evidence["items"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((&newest["kind"], &newest["statement"]["message"]), (&json!("deployment_health"), &json!("5xx")));
        // It comes from reports only.
        let forged = json!({ "gradus": "deployment-health/v1", "target": "eu-1", "healthy": true });
        let refused = root.attach("1.0.0", &forged).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
    }

    async fn a_version_that_fares_badly_goes_back_by_its_policy(env: Env) {
        promoted(&env, GOES_BACK).await;
        let agent = env.service("agent", Role::Deployer).await;
        report(&agent, "eu-1", "1.0.1", json!({ "stage": "production", "healthy": true })).await;
        let worse = report(&agent, "eu-1", "1.0.1", json!({ "stage": "production", "healthy": false, "message": "refusals doubled" })).await;
        let back = &worse["rolled_back"];
        assert_eq!((&back["from"], &back["to"], &back["stage"]), (&json!("1.0.1"), &json!("1.0.0"), &json!("production")));
        assert_eq!(env.at("production").await, "1.0.0");
        assert!(worse["differs_since"].is_string() && worse["desired"]["version"] == "1.0.0", "{worse}");
        let history = env.get(&format!("/v1/workloads/{W}/stages/production/history")).expect(200).await.value();
        assert_eq!(history["items"][0]["by"], "local:policy");
        assert_eq!(history["items"][0]["reason"], "by the policy's bake: 1.0.1 is not healthy at eu-1: refusals doubled");
        let told = kinds(&env).await;
        assert_eq!(told[told.len() - 3..], ["deployment_unhealthy", "evidence_attached", "rolled_back"]);

        // What a rollback put there stays, however it fares.
        let stays = report(&agent, "eu-1", "1.0.0", json!({ "stage": "production", "healthy": false })).await;
        assert_eq!((&stays["rolled_back"], env.at("production").await), (&json!(null), "1.0.0".into()));
        // A person's promotion arms it again.
        env.root().push("three").await;
        env.root().promote("1.0.2", "production").await;
        let failed = report(&agent, "us-1", "1.0.2", json!({ "stage": "production", "status": "failed" })).await;
        assert_eq!(failed["rolled_back"]["from"], "1.0.2");
        let verified = crate::audit::verify(&env, None).await;
        assert_eq!(verified["first_bad"], json!(null), "{verified}");
    }

    async fn only_what_is_in_the_stage_and_still_bakes_goes_back(env: Env) {
        promoted(&env, "{ skip: true, gates: [], bake: { minutes: 60, on_unhealthy: rollback, targets: 2 } }").await;
        let agent = env.service("agent", Role::Deployer).await;
        let bad = json!({ "stage": "production", "healthy": false });
        for (target, version) in [("eu-1", "1.0.0"), ("eu-2", "1.0.0"), ("us-1", "1.0.1")] {
            report(&agent, target, version, bad.clone()).await;
        }
        report(&agent, "lab", "1.0.1", json!({ "healthy": false })).await;
        assert_eq!(env.at("production").await, "1.0.1", "one target of two with what is in the stage, and one that follows none");
        env.clock.advance(minutes(61));
        report(&agent, "us-2", "1.0.1", bad.clone()).await;
        assert_eq!(env.at("production").await, "1.0.1", "it has baked");
        env.root().push("three").await;
        env.root().promote("1.0.2", "production").await;
        report(&agent, "us-1", "1.0.2", bad.clone()).await;
        report(&agent, "us-1", "1.0.2", json!({ "status": "retired" })).await;
        report(&agent, "us-2", "1.0.2", bad.clone()).await;
        assert_eq!(env.at("production").await, "1.0.2", "what is retired does not count");
        report(&agent, "us-3", "1.0.2", bad).await;
        assert_eq!(env.at("production").await, "1.0.1");
    }

    async fn a_rollout_that_fails_leaves_what_runs_there(env: Env) {
        promoted(&env, "{ skip: true, gates: [] }").await;
        let agent = env.service("agent", Role::Deployer).await;
        let ran = report(&agent, "eu-1", "1.0.0", json!({ "stage": "production", "healthy": true })).await;
        env.clock.advance(minutes(5));
        let failed = report(&agent, "eu-1", "1.0.1", json!({ "stage": "production", "status": "failed" })).await;
        assert_eq!((&failed["version"], &failed["running"]["version"], &failed["running"]["since"]), (&json!("1.0.1"), &json!("1.0.0"), &ran["since"]));
        assert!(failed["differs_since"].is_string());
        assert_eq!((names(&env, "of=1.0.0").await, names(&env, "of=1.0.1").await), (vec!["eu-1".to_owned()], vec!["eu-1".to_owned()]));
        // Once 1.0.0 is wanted again, nothing is missing there.
        env.root().call("POST", &format!("/v1/workloads/{W}/stages/production/rollback")).json(json!({ "reason": "it does not start" })).expect(200).await;
        let stage = env.status().await["stages"][2].clone();
        assert_eq!((&stage["targets"], &stage["targets_running"], &stage["deployments"][0]["differs_since"]), (&json!(1), &json!(1), &json!(null)));
        let gone = report(&agent, "eu-1", "production", json!({ "status": "retired" })).await;
        assert_eq!((&gone["version"], &gone["running"]), (&json!("1.0.1"), &json!(null)), "it goes with what it had");
    }

    async fn what_was_said_on_a_retired_target_does_not_count(env: Env) {
        env.namespace("acme").await;
        let agent = env.service("agent", Role::Deployer).await;
        let root = env.root();
        root.push("one").await;
        root.promote("1.0.0", "staging").await;
        env.policy(&production("[{ deployment_healthy: { minutes: 0 } }]")).await;
        report(&agent, "eu-1", "1.0.0", json!({ "stage": "staging", "healthy": true })).await;
        report(&agent, "bad-1", "1.0.0", json!({ "stage": "staging", "healthy": false })).await;
        report(&agent, "mute", "1.0.0", json!({ "stage": "staging" })).await;
        let asked = root.promote("1.0.0", "production").await.value();
        assert_eq!(open_gates(&asked["report"]), [("deployment_healthy".into(), "fail".into())]);
        report(&agent, "mute", "1.0.0", json!({ "status": "retired" })).await;
        report(&agent, "bad-1", "1.0.0", json!({ "status": "retired", "message": "broken disk" })).await;
        root.promote("1.0.0", "production").await;
        assert_eq!(env.at("production").await, "1.0.0");
        let evidence = env.get(&format!("/v1/workloads/{W}/versions/1.0.0/evidence")).expect(200).await.value();
        let said: Vec<_> = evidence["items"].as_array().unwrap().iter().map(|it| (it["statement"]["target"].clone(), it["statement"]["retired"].clone())).collect();
        assert_eq!(said, [(json!("eu-1"), json!(null)), (json!("bad-1"), json!(null)), (json!("bad-1"), json!(true))], "of the mute one nothing was said");
        let verified = crate::audit::verify(&env, None).await;
        assert_eq!(verified["first_bad"], json!(null), "{verified}");
    }

    async fn a_bake_listens_to_whom_it_names_and_since_the_promotion(env: Env) {
        promoted(&env, "{ skip: true, gates: [], bake: { minutes: 60, on_unhealthy: rollback, targets: 2, from: [deployer] } }").await;
        let agent = env.service("agent", Role::Deployer).await;
        let root = env.root();
        let bad = json!({ "stage": "production", "healthy": false });
        for target in ["eu-1", "eu-2", "eu-3"] {
            report(&root, target, "1.0.1", bad.clone()).await;
        }
        assert_eq!(env.at("production").await, "1.0.1", "an admin is no deployer");
        // Who says nothing of health repeats nobody's word.
        for target in ["eu-2", "eu-3"] {
            let silent = report(&agent, target, "1.0.1", json!({ "stage": "production" })).await;
            assert_eq!((&silent["healthy"], &silent["rolled_back"]), (&json!(false), &json!(null)));
        }
        report(&agent, "eu-1", "1.0.1", bad.clone()).await;
        // Nor does somebody else's repetition take a word back.
        report(&root, "eu-1", "1.0.1", bad.clone()).await;
        root.push("three").await;
        root.promote("1.0.2", "production").await;
        env.clock.advance(minutes(1));
        // The same content comes in once more: what was said before it came does not count.
        root.promote("1.0.1", "production").await;
        assert_eq!(env.at("production").await, "1.0.1");
        env.clock.advance(minutes(1));
        report(&agent, "eu-2", "1.0.1", bad.clone()).await;
        assert_eq!(env.at("production").await, "1.0.1");
        // What watches the target sees the old one there: that the new one fared badly is still so.
        report(&agent, "eu-2", "1.0.0", json!({ "stage": "production", "healthy": true })).await;
        report(&root, "eu-2", "1.0.1", bad.clone()).await;
        let worse = report(&agent, "eu-1", "1.0.1", json!({ "stage": "production", "status": "failed" })).await;
        assert_eq!(worse["rolled_back"]["from"], "1.0.1", "{worse}");
        let verified = crate::audit::verify(&env, None).await;
        assert_eq!(verified["first_bad"], json!(null), "{verified}");
    }

    async fn a_target_speaks_for_one_stage_until_its_word_is_taken_back(env: Env) {
        env.namespace("acme").await;
        let (agent, ops) = (env.service("agent", Role::Deployer).await, env.service("ops", Role::Deployer).await);
        let root = env.root();
        root.push("one").await;
        root.promote("1.0.0", "staging").await;
        env.policy(&production("[{ deployment_healthy: { minutes: 0, from: [not_author] } }]")).await;
        let verdict = async || open_gates(&root.promote_with("1.0.0", "production", json!({ "dry_run": true })).await.value()["report"]);
        let (open, closed) = ([("deployment_healthy".to_owned(), "wait".to_owned())], [("deployment_healthy".to_owned(), "fail".to_owned())]);
        report(&agent, "eu-1", "1.0.0", json!({ "stage": "staging", "healthy": false })).await;
        assert_eq!(verdict().await, closed);
        report(&agent, "eu-1", "1.0.0", json!({ "healthy": true })).await;
        assert_eq!(verdict().await, open, "it follows no stage any more");
        env.clock.advance(minutes(1));
        report(&agent, "eu-1", "1.0.0", json!({ "stage": "staging", "healthy": false })).await;
        // The author's word does not count, and takes no bad one back.
        report(&root, "eu-1", "1.0.0", json!({ "status": "retired" })).await;
        assert_eq!(verdict().await, closed);
        let gone = report(&ops, "eu-1", "1.0.0", json!({ "status": "retired" })).await;
        assert_eq!((&gone["changed"], gone["position"].is_i64()), (&json!(false), true), "{gone}");
        assert_eq!(verdict().await, open);
        report(&ops, "eu-1", "1.0.0", json!({ "stage": "staging", "healthy": true })).await;
        assert_eq!(verdict().await, []);
        // A rollout that failed and runs at the second try speaks against nothing; only who said so takes that back.
        env.clock.advance(minutes(1));
        report(&ops, "us-1", "1.0.0", json!({ "stage": "staging", "status": "failed" })).await;
        assert_eq!(verdict().await, closed);
        report(&agent, "us-1", "1.0.0", json!({ "stage": "staging" })).await;
        assert_eq!(verdict().await, closed);
        report(&ops, "us-1", "1.0.0", json!({ "stage": "staging", "status": "failed" })).await;
        report(&ops, "us-1", "1.0.0", json!({ "stage": "staging" })).await;
        assert_eq!(verdict().await, []);
        let missing = root.call("PUT", &format!("/v1/workloads/{W}/deployments/eu-9")).json(json!({ "version": "1.0.0", "status": "retired" })).send().await;
        assert_eq!((missing.status.as_u16(), missing.code()), (404, "target_unknown".to_owned()));
    }

    async fn a_target_left_behind_differs_since_the_first_move(env: Env) {
        promoted(&env, "{ skip: true, gates: [] }").await;
        let agent = env.service("agent", Role::Deployer).await;
        let root = env.root();
        report(&agent, "eu-1", "1.0.1", json!({ "stage": "production" })).await;
        env.clock.advance(minutes(5));
        root.push("three").await;
        root.promote("1.0.2", "production").await;
        let moved = env.status().await["stages"][2]["current"]["at"].clone();
        env.clock.advance(minutes(5));
        root.push("four").await;
        root.promote("1.0.3", "production").await;
        report(&agent, "eu-1", "1.0.3", json!({ "stage": "production", "status": "failed" })).await;
        assert_eq!(env.status().await["stages"][2]["deployments"][0]["differs_since"], moved);
        assert_eq!(places(&env, "").await[0]["differs_since"], moved);
    }

    async fn a_status_counts_all_and_shows_first_what_differs(env: Env) {
        promoted(&env, "{ skip: true, gates: [] }").await;
        let agent = env.service("agent", Role::Deployer).await;
        for number in 0..101 {
            report(&agent, &format!("a-{number:03}"), "1.0.1", json!({ "stage": "production" })).await;
        }
        report(&agent, "old", "1.0.0", json!({ "stage": "production" })).await;
        for status in ["running", "retired"] {
            report(&agent, "gone", "1.0.1", json!({ "stage": "production", "status": status })).await;
        }
        let stage = env.status().await["stages"][2].clone();
        assert_eq!((&stage["targets"], &stage["targets_running"]), (&json!(102), &json!(101)));
        let shown = stage["deployments"].as_array().unwrap();
        assert_eq!((shown.len(), &shown[0]["target"], &shown[1]["target"]), (100, &json!("old"), &json!("a-000")));
    }

    async fn the_first_version_has_nowhere_to_go_back_to(env: Env) {
        env.namespace("acme").await;
        env.policy(&format!("gradus: policy/v1\nrules: {{ prompt: {{ production: {GOES_BACK} }} }}")).await;
        env.root().push("one").await;
        env.root().promote("1.0.0", "production").await;
        let told = report(&env.root(), "eu-1", "production", json!({ "status": "failed" })).await;
        assert_eq!((&told["rolled_back"], &told["healthy"]), (&json!(null), &json!(false)));
        assert_eq!(env.at("production").await, "1.0.0", "the report is kept, and nothing moves");
    }

    async fn reports_that_cannot_be_are_refused_whole(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        root.push("one").await;
        let put = async |target: &str, body: Value| {
            let answer = root.call("PUT", &format!("/v1/workloads/{W}/deployments/{target}")).json(body).send().await;
            (answer.status.as_u16(), answer.code().to_owned())
        };
        for (target, body, status, code) in [
            ("eu-1", json!({ "version": "9.0.0", "status": "running" }), 404, "version_unknown"),
            ("eu-1", json!({ "version": "production", "status": "running" }), 404, "version_unknown"),
            ("eu-1", json!({ "version": "1.0.0", "status": "running", "stage": "nowhere" }), 404, "stage_unknown"),
            ("eu-1", json!({ "version": "dev", "status": "running", "stage": "production" }), 400, "deployment_contradiction"),
            ("eu-1", json!({ "version": "1.0.0", "status": "failed", "healthy": true }), 400, "deployment_contradiction"),
            ("eu-1", json!({ "version": "1.0.0", "status": "retired", "healthy": true }), 400, "deployment_contradiction"),
            ("eu-1", json!({ "version": "1.0.0", "status": "running", "url": "javascript:alert(1)" }), 400, "deployment_url_invalid"),
            ("eu-1", json!({ "version": "1.0.0", "status": "running", "message": "x".repeat(1001) }), 400, "text_invalid"),
            ("-eu", json!({ "version": "1.0.0", "status": "running" }), 400, "target_invalid"),
        ] {
            assert_eq!(put(target, body.clone()).await, (status, code.to_owned()), "{target} {body}");
        }
        assert_eq!(put("eu-1", json!({ "version": "1.0.0", "status": "asleep" })).await.0, 400);
        assert_eq!(names(&env, "retired=true").await, Vec::<String>::new());
        for bake in ["{ minutes: 0 }", "{ minutes: 60, targets: 0 }", "{ minutes: 60, on_unhealthy: panic }", "{ minutes: 999999 }"] {
            let policy = format!("gradus: policy/v1\nrules: {{ prompt: {{ production: {{ gates: [], bake: {bake} }} }} }}");
            assert_eq!(env.policy(&policy).await.code(), "policy_invalid", "{bake}");
        }
    }

    async fn many_reports_at_once_leave_one_truth(env: Env) {
        promoted(&env, GOES_BACK).await;
        let root = env.root();
        let reports = (0..12).map(|number| {
            let root = &root;
            async move {
                let healthy = number % 2 == 0;
                let body = json!({ "version": "1.0.1", "status": "running", "stage": "production", "healthy": healthy });
                root.call("PUT", &format!("/v1/workloads/{W}/deployments/eu-{}", number % 3)).json(body).send().await.status.as_u16()
            }
        });
        let answers = futures_util::future::join_all(reports).await;
        assert!(answers.iter().all(|status| [200, 503].contains(status)), "{answers:?}");
        let history = env.get(&format!("/v1/workloads/{W}/stages/production/history")).expect(200).await.value();
        let back = history["items"].as_array().unwrap().iter().filter(|step| step["kind"] == "rolled_back").count();
        assert_eq!(back, 1, "once, however many say so");
    }
}
