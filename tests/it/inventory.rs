//! The inventory: every workload, what runs of it, and what is wrong. Also how the command line says and lists it.

use crate::harness::{
    backends, files,
    govern::{Someone, W, production},
    home::Home,
};
use gradus::model::access::Role;
use serde_json::{Value, json};
use std::time::Duration;

/// The clock begins at 2026-01-02T03:04:05Z.
const DAY: Duration = Duration::from_secs(24 * 3600);

async fn describe(who: &Someone<'_>, workload: &str, card: Value) {
    who.call("PATCH", &format!("/v1/workloads/{workload}/card")).json(card).expect(200).await;
}

async fn inventory(who: &Someone<'_>, query: &str) -> Vec<Value> {
    let page = who.call("GET", &format!("/v1/inventory?{query}")).expect(200).await.value();
    page["items"].as_array().unwrap().clone()
}

fn names(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["workload"].as_str().unwrap()).collect()
}

backends! {
    async fn the_inventory_says_what_runs_who_let_it_and_what_is_wrong(env: Env) {
        env.namespace("acme").await;
        env.namespace("other").await;
        let root = env.root();
        let bo = env.someone("bo", &[Role::Approver]).await;
        let rita = env.someone("rita", &[Role::Reader]).await;
        files::push_prompt(&env, "other/z", "hidden", json!({})).await;
        assert_eq!(env.policy(&production("[{ approvals: { count: 1 } }]")).await.status, 200);
        root.push("one").await;
        let model_card = json!({ "gradus": "model_card/v1", "parts": { "license": "apache-2.0", "limitations": "English" } });
        assert_eq!(root.attach("1.0.0", &model_card).await.status, 200);
        root.promote("1.0.0", "production").await;
        assert_eq!(bo.approve("1.0.0", "production").await.value()["promoted"][0]["state"], "promoted");
        root.push("two").await;
        root.promote("1.0.1", "production").await;
        let report = async |target: &str, body: Value| {
            env.call("PUT", &format!("/v1/workloads/{W}/deployments/{target}")).json(body).expect(200).await;
        };
        report("eu-1", json!({ "version": "production", "status": "running", "healthy": true })).await;
        report("eu-2", json!({ "version": "1.0.1", "stage": "production", "status": "running", "healthy": false })).await;
        report("eu-3", json!({ "version": "1.0.0", "stage": "production", "status": "failed" })).await;
        for status in ["running", "retired"] {
            report("eu-4", json!({ "version": "1.0.0", "status": status })).await;
        }
        env.call("POST", &format!("/v1/freezes/{W}")).json(json!({ "reason": "the audit" })).expect(200).await;
        describe(&root, W, json!({ "owner": "triage team", "risk": "high", "review_on": "2026-01-02" })).await;
        describe(&root, "acme/planned", json!({ "owner": "lending" })).await;
        env.clock.advance(3 * DAY);

        let items = inventory(&rita, "").await;
        assert_eq!(names(&items), ["acme/planned", W], "what is to come too, and nothing of others");
        let planned = &items[0];
        assert_eq!((&planned["owner"], &planned["versions"], &planned["current"], &planned["stage"]), (&json!("lending"), &json!(0), &Value::Null, &json!("production")));
        let item = &items[1];
        for (field, expected) in [
            ("owner", json!("triage team")), ("risk", json!("high")), ("review_on", json!("2026-01-02")), ("overdue_days", json!(3)),
            ("versions", json!(2)), ("newest", json!("1.0.1")), ("stage", json!("production")), ("pending", json!(1)), ("unratified", json!(0)),
            ("targets", json!(3)), ("targets_running", json!(2)), ("targets_unhealthy", json!(2)), ("targets_drifted", json!(2)),
            ("monitors", json!(0)), ("drifting", json!([])), ("stages", json!([{ "stage": "dev", "version": "1.0.1" }])),
        ] {
            assert_eq!(item[field], expected, "{field}: {item:#}");
        }
        assert!(item["freezes"][0]["reason"].as_str().unwrap().starts_with("the audit"), "{item}");
        let current = &item["current"];
        for (field, expected) in [
            ("version", json!("1.0.0")), ("tier", json!("prompt")), ("kind", json!("prompt")), ("licence", json!("apache-2.0")),
            ("approvers", json!(["bo"])), ("how", json!("promoted")), ("yanked", json!(false)), ("base", Value::Null),
        ] {
            assert_eq!(current[field], expected, "{field}: {current:#}");
        }

        // Against its gates, from a base, and yanked since.
        env.call("DELETE", &format!("/v1/freezes/{W}")).expect(200).await;
        let base = format!("hf:acme/tiny@{}", "4f".repeat(20));
        root.push_weights(1, json!({ "base": base, "version": "2.0.0" })).await;
        root.promote_with("2.0.0", "production", json!({ "override": "nobody else is there" })).await;
        env.call("POST", &format!("/v1/workloads/{W}/versions/2.0.0/yank")).json(json!({ "reason": "wrong" })).expect(204).await;
        let item = inventory(&rita, "namespace=acme").await.remove(1);
        let current = &item["current"];
        assert_eq!((&current["how"], &current["reason"], &current["base"]), (&json!("overridden"), &json!("nobody else is there"), &json!(base)));
        assert_eq!((&current["yanked"], &current["tier"], &current["approvers"], &current["licence"]), (&json!(true), &json!("weights"), &json!([]), &Value::Null));
        assert_eq!((&item["unratified"], &item["newest"], &item["versions"]), (&json!(1), &json!("1.0.1"), &json!(3)));
    }

    async fn what_is_in_use_and_in_quarantine_is_told(env: Env) {
        env.namespace("acme").await;
        assert_eq!(env.policy(&production("[]")).await.status, 200);
        let root = env.root();
        for text in ["one", "two"] {
            root.push(text).await;
        }
        root.promote("1.0.0", "production").await;
        let set = async |version: &str| {
            let body = json!({ "reference": format!("{W}:{version}"), "reason": "rude" });
            env.call("POST", "/v1/quarantines").json(body).expect(200).await;
            inventory(&root, "").await.remove(0)["current"]["quarantined"].clone()
        };
        assert_eq!(set("1.0.1").await, Value::Null, "it is not in use");
        assert_eq!(set("1.0.0").await[0]["reason"], "rude");
    }

    async fn the_last_stage_is_that_of_the_workloads_own_line(env: Env) {
        env.namespace("a").await;
        env.namespace("a-b").await;
        for workload in ["a/x", "a-b/x", "a-b/y"] {
            files::push_prompt(&env, workload, "one", json!({})).await;
        }
        let policy = "gradus: policy/v1\nstages: [dev, canary]\nrules:\n  prompt: { canary: { gates: [] } }\n  adapter: { canary: {} }\n  weights: { canary: {} }\n";
        env.call("PUT", "/v1/policies/a-b").body(policy).expect(200).await;
        env.call("PUT", "/v1/workloads/a/x/policy").body("gradus: policy/v1\nstages: [dev]\n").expect(200).await;
        env.call("POST", "/v1/freezes/a-b").json(json!({ "reason": "holidays" })).expect(200).await;
        let items = inventory(&env.root(), "").await;
        assert_eq!(names(&items), ["a-b/x", "a-b/y", "a/x"]);
        let stages: Vec<&str> = items.iter().map(|item| item["stage"].as_str().unwrap()).collect();
        assert_eq!(stages, ["canary", "canary", "dev"]);
        assert_eq!((&items[2]["current"]["version"], &items[0]["current"]), (&json!("1.0.0"), &Value::Null));
        let frozen: Vec<usize> = items.iter().map(|item| item["freezes"].as_array().unwrap().len()).collect();
        assert_eq!(frozen, [1, 1, 0]);
    }

    async fn pages_show_each_workload_once_and_only_what_one_may_see(env: Env) {
        for namespace in ["acme", "acme-x", "zeta"] {
            env.namespace(namespace).await;
        }
        for number in 0..130 {
            let namespace = ["acme", "acme-x", "zeta"][number % 3];
            describe(&env.root(), &format!("{namespace}/w{number:03}"), json!({ "owner": "a" })).await;
        }
        files::push_prompt(&env, "acme/w000", "one", json!({})).await;
        let ann = env.someone("ann", &[Role::Reader]).await;
        env.person("ann", "zeta", Role::Reader).await;
        for (who, expected) in [(&env.root(), 130), (&ann, 87)] {
            let whole = inventory(who, "limit=1000").await;
            assert_eq!(whole.len(), expected);
            let mut sorted = names(&whole);
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted, names(&whole));
            for limit in [7, 100] {
                let (mut seen, mut cursor) = (Vec::new(), String::new());
                loop {
                    let path = format!("/v1/inventory?limit={limit}{cursor}");
                    let page = who.call("GET", &path).expect(200).await.value();
                    seen.extend(page["items"].as_array().unwrap().clone());
                    let Some(next) = page["next"].as_str() else { break };
                    cursor = format!("&cursor={}", next.replace('/', "%2F"));
                }
                assert_eq!(seen, whole, "{limit}");
            }
        }
        assert!(inventory(&ann, "limit=1000").await.iter().all(|item| !item["workload"].as_str().unwrap().starts_with("acme-x/")));
        assert_eq!(inventory(&ann, "namespace=zeta&limit=1000").await.len(), 43);
        assert_eq!(inventory(&ann, "namespace=zeta&cursor=acme%2Fw000&limit=1000").await.len(), 43);
        assert_eq!(inventory(&ann, "cursor=zzz").await.len(), 0);
        ann.call("GET", "/v1/inventory?namespace=acme-x").expect(403).await;
        for (query, code) in [("limit=0", "limit_invalid"), ("limit=1001", "limit_invalid"), ("namespace=A", "name_invalid"), ("colour=red", "query_unknown")] {
            assert_eq!(ann.call("GET", &format!("/v1/inventory?{query}")).expect(400).await.code(), code, "{query}");
        }
        assert_eq!(env.get("/v1/inventory?namespace=nowhere").expect(404).await.code(), "namespace_unknown");
    }
}

/// So many days from now on, as the option takes it.
fn in_days(days: i64) -> String {
    (chrono::Utc::now() + chrono::TimeDelta::days(days)).format("%Y-%m-%d").to_string()
}

#[test]
fn the_command_line_describes_and_lists() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    let silent = home.run(&["workload", "show", "acme/x"]).expect(0);
    assert!(silent.stderr.contains("workload set acme/x --owner NAME"), "{}", silent.stderr);
    let day = in_days(30);
    let set =
        ["workload", "set", "acme/x", "--owner", "=cmd|'/C calc'!A0", "--risk", "high", "--review", &day];
    assert!(home.run(&set).expect(0).stdout.contains(&format!("next review by {day}")));
    let purpose = "Sorts tickets, \"fast\".\nNo more.";
    home.run(&["workload", "set", "acme/x", "--purpose", purpose, "--limits", "@home"]).expect(0);
    let shown = home.run(&["workload", "show", "acme/x"]).expect(0);
    assert!(
        shown.stdout.contains("limits     @home") && shown.stdout.contains("risk       high"),
        "{}",
        shown.stdout
    );
    let status = home.run(&["status", "acme/x"]).expect(0);
    assert!(status.stdout.contains(&format!("risk high; next review by {day}")), "{}", status.stdout);

    let csv = home.run(&["inventory", "--csv"]).expect(0).stdout;
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert_eq!((lines.len(), lines[2]), (3, ""), "{csv:?}");
    assert!(lines[0].starts_with("workload,owner,purpose,limits,risk,review_on,"), "{csv}");
    let start =
        format!("acme/x,'=cmd|'/C calc'!A0,\"Sorts tickets, \"\"fast\"\". No more.\",'@home,high,{day},,");
    assert!(lines[1].starts_with(&start), "{csv}");
    let table = home.run(&["inventory", "acme"]).expect(0).stdout;
    assert!(table.starts_with("WORKLOAD") && table.contains("high"), "{table}");
    let json: Value = serde_json::from_str(&home.run(&["inventory", "--json"]).expect(0).stdout).unwrap();
    assert_eq!((&json[0]["purpose"], &json[0]["versions"]), (&json!(purpose), &json!(1)));
    let log = home.run(&["log", "acme/x", "--kind", "workload_described"]).expect(0).stdout;
    assert!(log.contains("described acme/x: owner =cmd"), "{log}");

    for (arguments, code, says) in [
        (vec!["workload", "set", "acme/x"], 1, "card_unchanged"),
        (vec!["workload", "set", "acme/x", "--owner", ""], 1, "--clear owner"),
        (
            vec!["workload", "set", "acme/x", "--review", "2026-02-30"],
            2,
            "not a day of the calendar: 2026-02-30",
        ),
        (vec!["workload", "set", "acme/x", "--review", "2020-01-01"], 1, "it would be overdue already"),
        (vec!["workload", "set", "acme/x", "--risk", "severe"], 2, "low, limited, high and critical"),
        (vec!["workload", "set", "acme/x", "--clear", "colour"], 2, "not a part of a card"),
        (vec!["workload", "set", "acme/x", "--owner", "a", "--clear", "owner"], 1, "card_contradiction"),
        (vec!["workload", "set", "nowhere/x", "--owner", "a"], 7, "gradus namespace create nowhere"),
        (vec!["workload", "show", "acme/none"], 7, "workload_unknown"),
        (vec!["inventory", "--csv", "--json"], 2, "two forms"),
        (vec!["inventory", "nowhere"], 7, "namespace_unknown"),
    ] {
        let refused = home.run(&arguments).expect(code);
        assert!(refused.stderr.contains(says), "{arguments:?}: {}", refused.stderr);
    }
    assert!(home.run(&["inventory", "--help"]).expect(0).stdout.contains("KNOWN tells"));
}

#[test]
fn nobody_is_asked_to_describe_what_is_deleted() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    home.run(&["purge", "acme/x:1.0.0", "-m", "over"]).expect(0);
    home.run(&["workload", "delete", "acme/x", "-m", "over"]).expect(0);
    let shown = home.run(&["workload", "show", "acme/x"]).expect(0);
    assert!(shown.stderr.contains("the workload was deleted"), "{}", shown.stderr);
    assert!(!shown.stderr.contains("workload set"), "{}", shown.stderr);
}
