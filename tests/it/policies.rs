//! Policies: applied, inherited, tested on what was, refused with the place of the mistake.

use crate::harness::{
    backends,
    govern::{W, open_gates, production},
};
use gradus::model::access::Role;
use serde_json::json;

const CANARY: &str = "gradus: policy/v1
stages: [dev, canary, production]
rules:
  prompt: { canary: { skip: true } }
  adapter: { canary: {} }
  weights: { canary: {} }
";

backends! {
    async fn a_mistake_is_refused_with_its_place(env: Env) {
        env.namespace("acme").await;
        let (line, nothing) = ("line 5", "");
        for (text, code, place) in [
            ("gradus: policy/v1\nrules:\n  prompt:\n    production:\n      gates: [nonsense]\n".to_owned(), "policy_invalid", line),
            ("gradus: policy/v1\nrules:\n  prompt:\n    production:\n      gates: [{ soak: { ours: 3 } }]\n".into(), "policy_invalid", line),
            ("gradus: policy/v1\nrules:\n  prompt:\n    production:\n      gates: [{ soak: { hours: -3 } }]\n".into(), "policy_invalid", line),
            ("gradus: policy/v1\nrules:\n  prompt:\n    production:\n      roles: [king]\n".into(), "policy_invalid", line),
            ("gradus: policy/v1\nstages: [dev, dev]\n".into(), "policy_invalid", "twice"),
            ("gradus: policy/v1\nstages: [dev, 1.x]\n".into(), "policy_invalid", "1.x"),
            ("gradus: policy/v1\nstages: [dev, canary]\n".into(), "policy_incomplete", "canary"),
            ("gradus: policy/v1\nranges_from: canary\n".into(), "policy_incomplete", "canary"),
            ("gradus: policy/v1\nrules:\n  prompt:\n    prodution: { gates: [] }\n".into(), "policy_incomplete", "prodution"),
            (production("[{ soak: { hours: 1, stage: stagin } }]"), "policy_incomplete", "stagin"),
            ("gradus: policy/v2\n".into(), "policy_invalid", nothing),
            ("gradus: policy/v1\nunknown: 1\n".into(), "policy_invalid", "unknown"),
            ("gradus: policy/v1\nrules: {}\nrules: {}\n".into(), "policy_invalid", "duplicate"),
            ("{".into(), "policy_invalid", nothing),
            ("\u{0}".into(), "policy_invalid", nothing),
            (format!("gradus: policy/v1\ndescription: {}\n", "x".repeat(300_000)), "policy_too_large", nothing),
        ] {
            let refused = env.policy(&text).await;
            assert_eq!(refused.code(), code, "{}: {}", &text[..text.len().min(80)], refused.text());
            assert!(refused.text().contains(place), "{place}: {}", refused.text());
        }
        assert_eq!(env.get("/v1/policies/acme").expect(200).await.value()["applied"], json!([]), "nothing was kept");
    }

    async fn levels_inherit_and_the_nearest_rule_holds_whole(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        root.push("one").await;
        let gates = async |path: &str| -> Vec<String> {
            let policy = env.get(path).expect(200).await.value();
            let gates = policy["rules"]["prompt"]["production"]["gates"].as_array().unwrap().clone();
            gates.iter().map(|gate| gate.as_str().map_or_else(|| gate.as_object().unwrap().keys().next().unwrap().clone(), str::to_owned)).collect()
        };
        let of_workload = format!("/v1/workloads/{W}/policy");
        assert_eq!(gates(&of_workload).await, ["lints", "contract_honest", "no_regression"]);
        env.call("PUT", "/v1/policies/*").body(production("[lints]")).expect(200).await;
        assert_eq!(gates(&of_workload).await, ["lints"]);
        env.policy(&production("[lints, { approvals: { count: 1 } }]")).await;
        assert_eq!(gates(&of_workload).await, ["lints", "approvals"]);
        env.call("PUT", &of_workload).body(production("[safe_formats]")).expect(200).await;
        assert_eq!((gates(&of_workload).await, gates("/v1/policies/acme").await), (vec!["safe_formats".into()], vec!["lints".to_owned(), "approvals".into()]));
        let shown = env.get(&of_workload).expect(200).await.value();
        let scopes: Vec<&str> = shown["levels"].as_array().unwrap().iter().map(|level| level["scope"].as_str().unwrap()).collect();
        assert_eq!(scopes, ["built-in default", "*", "acme", W]);
        let report = root.promote_with("1.0.0", "production", json!({ "dry_run": true })).await.value()["report"].clone();
        assert_eq!(report["policy"], shown["levels"][3]["digest"], "the report names the policy it was judged by");
        env.call("DELETE", &of_workload).expect(204).await;
        assert_eq!(gates(&of_workload).await, ["lints", "approvals"]);
        assert_eq!(env.call("DELETE", &of_workload).expect(404).await.code(), "policy_unknown");
        let again = env.call("PUT", "/v1/policies/acme").body(production("[lints, { approvals: { count: 1 } }]")).expect(200).await.value();
        assert_eq!(again["changed"], false);
        let kinds = env.get("/v1/events?kind=policy_applied").expect(200).await.value();
        assert_eq!(kinds["items"].as_array().unwrap().len(), 4, "every change is an event: {kinds}");

        let contributor = env.someone("con", &[Role::Contributor]).await;
        contributor.call("PUT", "/v1/policies/acme").body(production("[]")).expect(403).await;
        contributor.call("GET", "/v1/policies/acme").expect(200).await;
        env.someone("adi", &[Role::Admin]).await.call("PUT", "/v1/policies/*").body(production("[]")).expect(403).await;
    }

    async fn stages_have_the_names_the_policy_gives_them(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        root.push("one").await;
        env.call("PUT", &format!("/v1/workloads/{W}/aliases/canary")).json(json!({ "to": "1.0.0" })).expect(200).await;
        assert_eq!(env.policy(CANARY).await.code(), "stage_is_an_alias");
        env.call("DELETE", &format!("/v1/workloads/{W}/aliases/canary")).expect(204).await;
        assert_eq!(env.policy(CANARY).await.status, 200);
        assert_eq!(env.means("canary").await, "");
        assert_eq!(root.promote("1.0.0", "staging").await.code(), "stage_unknown");
        assert_eq!(root.promote("1.0.0", "canary").await.value()["state"], "promoted");
        assert_eq!(env.means("canary").await, "1.0.0");
        assert_eq!(env.get(&format!("/v2/{W}/manifests/canary")).expect(200).await.status, 200);
        let alias = env.call("PUT", &format!("/v1/workloads/{W}/aliases/canary")).json(json!({ "to": "1.0.0" }));
        assert_eq!(alias.expect(400).await.code(), "alias_reserved");
        let manifest = env.get(&format!("/v2/{W}/manifests/1.0.0")).expect(200).await;
        root.push("two").await;
        let other = env.get(&format!("/v2/{W}/manifests/1.0.1")).expect(200).await;
        let put = |bytes: Vec<u8>| env.call("PUT", &format!("/v2/{W}/manifests/canary")).header("content-type", manifest.header("content-type")).body(bytes);
        put(manifest.bytes.clone()).expect(201).await;
        assert_eq!(put(other.bytes).expect(405).await.code(), "tag_is_not_free");
        assert_eq!(root.rollback("canary", None).await.code(), "rollback_nowhere");

        // Ranges follow the stage the policy names.
        env.policy(&format!("{CANARY}ranges_from: canary\n")).await;
        assert_eq!(env.means("^1").await, "1.0.0");
        root.promote("1.0.1", "canary").await;
        assert_eq!((env.means("^1").await, env.means("latest").await), ("1.0.1".into(), "1.0.1".into()));
    }

    async fn a_policy_is_tried_on_what_was(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        root.push("one").await;
        root.evaluate("1.0.0", 85, 100).await;
        root.promote("1.0.0", "production").await;
        let test = async |text: String| {
            let answer = env.call("POST", "/v1/policies/acme/test").body(text).expect(200).await.value();
            answer["items"].as_array().unwrap().clone()
        };
        let same = test(production("[lints]")).await;
        assert_eq!((same.len(), same[0]["changed"].as_bool()), (1, Some(false)), "{same:?}");
        let strict = test(production("[{ evaluation: { suite: golden, metric: accuracy, at_least: 0.9 } }]")).await;
        assert_eq!((strict[0]["changed"].as_bool(), open_gates(&strict[0]["now"])), (Some(true), vec![("evaluation".into(), "fail".into())]));
        let lenient = test(production("[{ evaluation: { suite: golden, metric: accuracy, at_least: 0.8 } }]")).await;
        assert_eq!(lenient[0]["changed"], false);
        assert_eq!(env.call("POST", "/v1/policies/acme/test").body("nonsense").expect(400).await.code(), "policy_invalid");
        let unfit = "gradus: policy/v1\nrules: { prompt: { productoin: { gates: [] } } }\n";
        assert_eq!(env.call("POST", "/v1/policies/acme/test").body(unfit).expect(400).await.code(), "policy_incomplete");
        assert_eq!(env.at("production").await, "1.0.0");
        assert_eq!(env.get("/v1/policies/acme").expect(200).await.value()["applied"], json!([]), "trying is not applying");
    }

    async fn what_is_below_must_still_hold(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        root.push("one").await;
        root.push("two").await;
        env.policy(CANARY).await;
        env.call("PUT", &format!("/v1/workloads/{W}/policy")).body("gradus: policy/v1\nstages: [dev, canary, production]\n").expect(200).await;
        let refused = env.call("DELETE", "/v1/policies/acme").expect(409).await;
        assert_eq!(refused.code(), "policy_below");
        // Also of a workload that has no version yet.
        env.call("PUT", "/v1/workloads/acme/later/policy").body("gradus: policy/v1\nstages: [dev, canary, production]\n").expect(200).await;
        env.call("DELETE", &format!("/v1/workloads/{W}/policy")).expect(204).await;
        assert_eq!(env.call("DELETE", "/v1/policies/acme").expect(409).await.code(), "policy_below");
        env.call("DELETE", "/v1/workloads/acme/later/policy").expect(204).await;
        // An alias made where the word was free does not hide the stage that it becomes.
        env.call("PUT", &format!("/v1/workloads/{W}/policy")).body("gradus: policy/v1\nstages: [dev, staging, production]\n").expect(200).await;
        env.call("PUT", &format!("/v1/workloads/{W}/aliases/canary")).json(json!({ "to": "1.0.1" })).expect(200).await;
        assert_eq!(env.call("DELETE", &format!("/v1/workloads/{W}/policy")).expect(409).await.code(), "stage_is_an_alias");
    }

    async fn every_gate_says_what_it_is(env: Env) {
        let gates = env.get("/v1/gates").expect(200).await.value();
        let gates = gates["items"].as_array().unwrap();
        assert!(gates.len() >= 20);
        for gate in gates {
            assert!(gate["summary"].as_str().unwrap().ends_with('.'), "{gate}");
            for (name, parameter) in gate["parameters"]["properties"].as_object().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{} {name}: {parameter}", gate["name"]);
            }
        }
    }
}
