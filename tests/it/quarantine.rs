//! What is in quarantine is kept from stages, with all that is made of it.

use crate::{
    harness::{
        backends,
        govern::{W, open_gates, production},
    },
    lineage::{OPEN, at, chain, lineage, names, promote, push_weights, quarantine},
};
use gradus::model::access::Role;
use serde_json::{Value, json};

backends! {
    async fn what_is_in_quarantine_enters_no_stage_and_nor_does_what_is_made_of_it(env: Env) {
        chain(&env).await;
        env.policy(OPEN).await;
        let ada = env.person("ada", "acme", Role::Admin).await;
        let refused = quarantine(&env, &ada, json!({ "base": "hf:org/llama", "reason": "r" })).await;
        assert_eq!(refused.status, 403, "it would hit other namespaces too: {}", refused.text());
        let rita = env.person("rita", "acme", Role::Releaser).await;
        assert_eq!(quarantine(&env, &rita, json!({ "reference": "acme/a:1.0.0", "reason": "r" })).await.status, 403);

        let set = quarantine(&env, &env.admin, json!({ "dataset": "tickets", "reason": "personal data" })).await.value();
        assert_eq!((set["hits"].as_i64(), set["scope"].as_str(), set["by"].as_str()), (Some(2), Some("*"), Some("admin")));
        assert_eq!(quarantine(&env, &env.admin, json!({ "dataset": "tickets", "reason": "again" })).await.code(), "quarantine_stands");
        for workload in ["acme/a", "acme/m"] {
            let refused = promote(&env, workload, "1.0.0", json!({})).await;
            assert_eq!((refused["state"].as_str(), open_gates(&refused["report"])), (Some("refused"), vec![("not_quarantined".into(), "fail".into())]), "{refused}");
            assert!(refused["report"].to_string().contains("dataset tickets: personal data (admin)"), "{refused}");
        }
        assert_eq!(promote(&env, "acme/p", "1.0.0", json!({})).await["state"], "promoted", "the prompt is not made of it");
        // A push of more of it does not enter the first stage by itself either.
        let more = push_weights(&env, "acme/m", 7, json!({ "base": "acme/a:1.0.0" })).await;
        assert_eq!(more["version"], "1.0.1");
        let up = lineage(&env, &env.admin, "/v1/workloads/acme/m/versions/1.0.1/lineage?direction=up&depth=1").await["up"].clone();
        assert_eq!(names(&up), ["acme/a:1.0.0", "acme/m:1.0.1"], "a version that is named exactly is that one");
        let status = env.get("/v1/workloads/acme/m/status").expect(200).await.value();
        assert_eq!(status["stages"][0]["current"]["version"], "1.0.0", "{status}");
        assert!(status["stages"][0]["quarantined"][0]["reason"] == "personal data", "{status}");
        let shown = env.get("/v1/workloads/acme/m/versions/1.0.1").expect(200).await.value();
        assert_eq!(shown["quarantined"][0]["what"], "dataset tickets", "{shown}");
        let resolved = env.get("/v1/workloads/acme/m/resolve/1.0.0").expect(200).await.value();
        assert!(resolved["warnings"].to_string().contains("in quarantine"), "{resolved}");

        // An admin may insist, as against other gates.
        let over = promote(&env, "acme/m", "1.0.0", json!({ "override": "cleared by legal" })).await;
        assert_eq!((over["state"].as_str(), over["overridden"].as_bool()), (Some("promoted"), Some(true)));
        let listed = env.get("/v1/quarantines").token(&rita).expect(200).await.value();
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);

        let cleared = env.call("POST", "/v1/quarantines/clear").json(json!({ "dataset": "tickets", "reason": "redacted" })).expect(200).await.value();
        assert_eq!(cleared["items"][0]["cleared_because"], "redacted");
        assert_eq!(promote(&env, "acme/a", "1.0.0", json!({})).await["state"], "promoted");
        assert_eq!(env.get("/v1/quarantines").expect(200).await.value()["items"], json!([]));
        assert_eq!(env.get("/v1/quarantines?cleared=true").expect(200).await.value()["items"].as_array().unwrap().len(), 1);
        let log = env.get("/v1/events?kind=quarantine_set").expect(200).await.value();
        assert_eq!((&log["items"][0]["data"]["hits"], &log["items"][0]["data"]["value"]), (&json!(2), &json!("tickets")));
        assert!(crate::audit::verify(&env, None).await["first_bad"].is_null());
    }

    async fn an_admin_of_a_namespace_hits_what_is_in_it(env: Env) {
        let (adapter, _) = chain(&env).await;
        env.namespace("beta").await;
        push_weights(&env, "beta/m", 3, json!({ "base": at(&adapter) })).await;
        for namespace in ["acme", "beta"] {
            env.call("PUT", &format!("/v1/policies/{namespace}")).body(OPEN).expect(200).await;
        }
        let ada = env.person("ada", "acme", Role::Admin).await;
        let set = quarantine(&env, &ada, json!({ "reference": "acme/a:1.0.0", "reason": "leaks" })).await.value();
        assert_eq!((set["hits"].as_i64(), set["scope"].as_str()), (Some(2), Some("acme")), "{set}");
        assert_eq!(promote(&env, "acme/m", "1.0.0", json!({})).await["state"], "refused");
        assert_eq!(promote(&env, "beta/m", "1.0.0", json!({})).await["state"], "promoted");
        let eve = env.person("eve", "beta", Role::Admin).await;
        assert_eq!(env.get("/v1/quarantines").token(&eve).expect(200).await.value()["items"], json!([]), "nothing of it is told to others");
        // The admin of the registry hits all, and names nobody's versions to others.
        let set = quarantine(&env, &env.admin, json!({ "reference": "acme/a:1.0.0", "reason": "leaks" })).await.value();
        assert_eq!((set["hits"].as_i64(), set["scope"].as_str()), (Some(3), Some("*")), "{set}");
        let refused = promote(&env, "beta/m", "1.0.0", json!({ "dry_run": true })).await;
        assert_eq!(refused["report"]["gates"], json!([]), "it is there already");
        let shown = env.get("/v1/workloads/beta/m/versions/1.0.0").token(&eve).expect(200).await.value();
        assert_eq!(shown["quarantined"][0]["what"], "a version that it is made from");
        assert!(!shown["quarantined"].to_string().contains("acme"), "{shown}");
        let clear = |token: &str| env.call("POST", "/v1/quarantines/clear").token(token).json(json!({ "reference": "acme/a:1.0.0", "reason": "r" }));
        assert_eq!(clear(&ada).expect(200).await.value()["items"].as_array().unwrap().len(), 1, "their own only");
        let refused = clear(&ada).expect(403).await;
        assert!(refused.text().contains("admin of the registry"), "{}", refused.text());
        clear(&env.admin).expect(200).await;
    }

    async fn pulls_are_refused_where_the_policy_says_so(env: Env) {
        let (_, merged) = chain(&env).await;
        let digest = merged["digest"].as_str().unwrap().to_owned();
        let set = json!({ "base": "hf:org/llama", "reason": "backdoor" });
        let paths = [
            "/v1/workloads/acme/m/resolve/1.0.0".to_owned(),
            "/v1/workloads/acme/m/resolve/latest".into(),
            format!("/v1/workloads/acme/m/resolve/{digest}"),
            "/v2/acme/m/manifests/1.0.0".into(),
            format!("/v2/acme/m/manifests/{digest}"),
        ];
        let statuses = async || {
            let mut statuses = Vec::new();
            for path in &paths {
                statuses.push(env.get(path).send().await.status.as_u16());
            }
            statuses
        };
        assert_eq!(statuses().await, [200; 5]);
        quarantine(&env, &env.admin, set).await;
        assert_eq!(statuses().await, [200; 5], "without a word of the policy only promotions stop");
        env.policy("gradus: policy/v1\nquarantine: { pulls: refuse }\n").await;
        assert_eq!(statuses().await, [403; 5]);
        let refused = env.get(&paths[0]).expect(403).await;
        assert!(refused.code() == "quarantined" && refused.text().contains("backdoor"), "{}", refused.text());
        assert_eq!(env.get(&paths[3]).expect(403).await.code(), "quarantined");
        env.call("POST", "/v1/workloads/acme/p/render/1.0.0").json(json!({ "input": { "body": "x" } })).expect(200).await;
        env.get("/v1/workloads/acme/m/versions/1.0.0").expect(200).await;
        assert_eq!(env.get("/v1/policies/acme").expect(200).await.value()["quarantine"]["pulls"], "refuse");
        env.call("POST", "/v1/quarantines/clear").json(json!({ "base": "hf:org/llama", "reason": "no" })).expect(200).await;
        assert_eq!(statuses().await, [200; 5], "answers are not remembered beyond it");
        assert_eq!(env.policy("gradus: policy/v1\nquarantine: { pulls: never }\n").await.code(), "policy_invalid");
    }

    async fn a_rollback_passes_over_what_is_in_quarantine(env: Env) {
        env.namespace("acme").await;
        env.policy(&production("[]")).await;
        let root = env.root();
        for number in 0..3 {
            let version = root.push(&format!("text {number}")).await;
            root.promote(&version, "production").await;
        }
        quarantine(&env, &env.admin, json!({ "reference": "acme/x:1.0.1", "reason": "rude" })).await;
        let refused = root.rollback("production", Some("1.0.1")).await;
        assert!(refused.code() == "rollback_target" && refused.text().contains("is in quarantine: acme/x:1.0.1: rude (admin)"), "{}", refused.text());
        assert_eq!(root.rollback("production", None).await.value()["to"], "1.0.0");
    }

    async fn what_waits_is_judged_again(env: Env) {
        env.namespace("acme").await;
        env.policy(&production("[{ approvals: { count: 1 } }]")).await;
        let root = env.root();
        root.push("one").await;
        assert_eq!(root.promote("1.0.0", "production").await.value()["state"], "pending");
        quarantine(&env, &env.admin, json!({ "reference": "acme/x:1.0.0", "reason": "rude" })).await;
        assert_eq!(gradus::ops::settle::settle_due(&env.cx).await.unwrap(), 1, "it is looked at again");
        env.someone("ann", &[Role::Approver]).await.approve("1.0.0", "production").await;
        assert_eq!(env.at("production").await, "", "an approval does not help");
        let clear = json!({ "reference": "acme/x:1.0.0", "reason": "it is not" });
        env.call("POST", "/v1/quarantines/clear").json(clear).expect(200).await;
        gradus::ops::settle::settle_due(&env.cx).await.unwrap();
        assert_eq!(env.at("production").await, "1.0.0");
    }

    async fn nothing_slips_in_between(env: Env) {
        const ROUNDS: usize = 20;
        env.namespace("acme").await;
        env.policy(&production("[]")).await;
        for number in 0..ROUNDS {
            env.root().push(&format!("text {number}")).await;
        }
        let other = if env.backend.is_postgres() { Some(env.replica().await) } else { None };
        let other = other.as_ref().unwrap_or(&env);
        for number in 0..ROUNDS {
            let version = format!("1.0.{number}");
            let set = json!({ "reference": format!("{W}:{version}"), "reason": "r" });
            let (root, admin) = (other.root(), env.admin.clone());
            let (moved, set) = tokio::join!(root.promote(&version, "production"), quarantine(&env, &admin, set));
            assert_eq!(set.status, 200, "{}", set.text());
            let log = env.get(&format!("/v1/events?workload={W}&limit=1000")).expect(200).await.value();
            let place = |kind: &str| {
                let mut items = log["items"].as_array().unwrap().iter();
                let is_there = |it: &&Value| it["data"]["stage"].is_null() || it["data"]["stage"] == "production";
                items.find(|it| it["kind"] == kind && it["data"]["version"] == version.as_str() && is_there(it)).map(|it| it["position"].as_i64().unwrap())
            };
            let (promoted, set) = (place("promoted").filter(|_| moved.value()["state"] == "promoted"), place("quarantine_set").unwrap());
            assert!(promoted.is_none_or(|promoted| promoted < set), "it entered after it was put in quarantine: {}", moved.text());
        }
    }
}
