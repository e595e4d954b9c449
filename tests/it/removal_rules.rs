//! What goes by a rule, and what the owner of a data directory takes away alone.

use crate::{
    harness::{
        backends, files,
        govern::{Someone, W, production},
        home::Home,
        session::sql,
    },
    removal::{DAY, assert_sound, events, is, resolve, said},
};
use gradus::{
    model::{
        access::{Actor, Role},
        digest::Digest,
        name::PrincipalName,
    },
    ops::retention,
};
use serde_json::{Value, json};

backends! {
    async fn a_rule_lets_go_what_nobody_promoted(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        let at = "/v1/namespaces/acme/retention";
        assert_eq!(said(&env.get(at).send().await), is(404, "retention_unknown"));
        let run = |delete: bool| env.call("POST", "/v1/namespaces/acme/retention/run").json(json!({ "delete": delete }));
        assert_eq!(said(&run(true).send().await), is(404, "retention_unknown"));
        for bad in [json!({ "older_than_days": 0, "keep_newest": 1 }), json!({ "older_than_days": 5, "keep_newest": -1 }), json!({ "older_than_days": 40_000, "keep_newest": 1 })] {
            assert_eq!(said(&env.call("PUT", at).json(bad).send().await), is(400, "retention_invalid"));
        }
        env.policy(&production("[]")).await;
        for number in 0..6 {
            root.push(&format!("text {number}")).await;
        }
        root.promote("1.0.0", "production").await;
        root.promote("1.0.1", "production").await;
        env.call("PUT", &format!("/v1/workloads/{W}/aliases/champion")).json(json!({ "to": "1.0.2" })).expect(200).await;
        root.hold("acme/x:1.0.3").await;
        env.clock.advance(6 * DAY);
        root.push("text 6").await;
        root.push("text 7").await;
        env.call("PUT", at).json(json!({ "older_than_days": 5, "keep_newest": 1 })).expect(200).await;

        let dry = run(false).expect(200).await.value();
        assert_eq!((&dry["deleted"], &dry["versions"]), (&json!(false), &json!(2)), "{dry}");
        let going: Vec<&Value> = dry["going"].as_array().unwrap().iter().map(|one| &one["versions"][0]).collect();
        assert_eq!(going, ["1.0.4", "1.0.5"]);
        let stay = json!({ "in_stage": 2, "promoted": 1, "aliased": 1, "held": 1, "young": 1 });
        assert_eq!(dry["kept"], stay);
        assert_eq!(resolve(&env, "1.0.4").await.status, 200, "a dry run changes nothing");

        let done = run(true).expect(200).await.value();
        assert_eq!((&done["deleted"], &done["versions"], &done["kept"]), (&json!(true), &json!(2), &stay), "{done}");
        assert!(done["bytes"].as_u64().unwrap() > 0, "{done}");
        for version in ["1.0.4", "1.0.5"] {
            assert_eq!(said(&resolve(&env, version).await), is(410, "version_purged"));
        }
        for version in ["1.0.0", "1.0.1", "1.0.2", "1.0.3", "1.0.6", "1.0.7"] {
            assert_eq!(resolve(&env, version).await.status, 200, "{version}");
        }
        let purged = events(&env, "purged").await;
        assert_eq!(purged.len(), 2);
        let data = &purged[0]["data"];
        assert_eq!((data["authority"].as_str(), &data["requested_by"]), (Some("retention"), &Value::Null));
        assert!(data["reason"].as_str().unwrap().starts_with("retention of acme: "), "{data}");
        assert_eq!(run(true).expect(200).await.value()["versions"], 0);

        // By the clock it is the same.
        env.clock.advance(6 * DAY);
        let scheduler = Actor::local_admin(PrincipalName::local("scheduler"));
        assert_eq!(retention::run_all(&env.cx, &scheduler).await.versions, 1, "1.0.6 is old by now, and 1.0.7 in a stage");
        env.call("DELETE", at).expect(204).await;
        assert_eq!(said(&env.call("DELETE", at).send().await), is(404, "retention_unknown"));
        assert_eq!(retention::run_all(&env.cx, &scheduler).await.versions, 0);
        assert_sound(&env).await;
    }
}

backends! {
    async fn what_fails_in_one_workload_keeps_nothing_in_others(env: Env) {
        env.namespace("acme").await;
        let workloads = ["acme/a", "acme/b", "acme/c"];
        for workload in workloads {
            for text in ["one", "two", "three"] {
                files::push_prompt(&env, workload, &format!("{text} {workload}"), json!({})).await;
            }
        }
        env.clock.advance(6 * DAY);
        env.call("PUT", "/v1/namespaces/acme/retention").json(json!({ "older_than_days": 5, "keep_newest": 0 })).expect(200).await;
        let path = "/v1/namespaces/acme/retention/run";
        let dry = env.call("POST", path).json(json!({ "delete": false })).expect(200).await.value();
        assert_eq!((&dry["versions"], &dry["failed"]), (&json!(6), &json!([])), "{dry}");
        // What the first version of one needs cannot be read.
        let digest = Digest::sha256(&files::prompt("one acme/b"));
        for table in ["blobs", "blob_links", "manifest_uses"] {
            assert_eq!(sql(&env, &format!("UPDATE {table} SET digest = 'nonsense' WHERE digest = '{digest}'")).await, 1);
        }
        let run = env.call("POST", path).json(json!({ "delete": true })).expect(200).await.value();
        assert_eq!((&run["versions"], &run["kept"]), (&json!(5), &json!({ "in_stage": 3, "failed": 1 })), "{run}");
        let failed = run["failed"].as_array().unwrap();
        assert_eq!((failed.len(), &failed[0]["scope"], &failed[0]["versions"]), (1, &json!("acme/b"), &json!(1)), "{run}");
        assert!(!failed[0]["code"].as_str().unwrap().is_empty() && !failed[0]["message"].as_str().unwrap().is_empty(), "{run}");
        assert!(run["bytes"].as_u64().unwrap() > 0, "{run}");
        for workload in workloads {
            for version in ["1.0.0", "1.0.1", "1.0.2"] {
                let stays = version == "1.0.2" || (workload, version) == ("acme/b", "1.0.0");
                let answer = env.get(&format!("/v1/workloads/{workload}/resolve/{version}")).send().await;
                assert_eq!(answer.status.as_u16(), if stays { 200 } else { 410 }, "{workload}:{version}");
            }
        }
        assert_eq!(events(&env, "purged").await.len(), 5, "what failed has told of nothing");
        let scheduler = Actor::local_admin(PrincipalName::local("scheduler"));
        let total = retention::run_all(&env.cx, &scheduler).await;
        assert_eq!((total.versions, total.failed.len(), total.failed[0].scope.as_str()), (0, 1, "acme/b"));
    }
}

backends! {
    async fn what_has_become_the_newest_meanwhile_stays(env: Env) {
        env.namespace("acme").await;
        let ada = env.someone("ada", &[Role::Admin]).await;
        let bob = env.someone("bob", &[Role::Admin]).await;
        // What is pushed last is in a stage.
        let old: Vec<String> = (0..30).map(|patch| format!("2.0.{patch}")).collect();
        for version in ["3.0.0"].into_iter().chain(old.iter().map(String::as_str)).chain(["1.0.0"]) {
            let pushed = files::push_prompt(&env, W, version, json!({ "version": version })).await;
            assert_eq!(pushed.status, 201, "{}", pushed.text());
        }
        env.clock.advance(6 * DAY);
        env.call("PUT", "/v1/namespaces/acme/retention").json(json!({ "older_than_days": 5, "keep_newest": 1 })).expect(200).await;
        let purge = async |admin: &Someone<'_>| {
            let path = format!("/v1/workloads/{W}/versions/3.0.0/purge");
            admin.call("POST", &path).json(json!({ "reason": "r" })).expect(200).await.value()["state"].clone()
        };
        assert_eq!(purge(&ada).await, "pending");
        let run = env.call("POST", "/v1/namespaces/acme/retention/run").json(json!({ "delete": true })).expect(200);
        // The run has begun when the other admin says yes.
        let yes = async {
            while events(&env, "purged").await.is_empty() {
                tokio::task::yield_now().await;
            }
            purge(&bob).await
        };
        let (run, yes) = tokio::join!(run, yes);
        assert_eq!((&run.value()["failed"], &yes), (&json!([]), &json!("purged")), "{}", run.text());
        let purged = events(&env, "purged").await;
        let at = |version: &str| purged.iter().find(|one| one["data"]["versions"] == json!([version])).map(|one| one["position"].as_u64());
        let newest = at("3.0.0").expect("it was purged");
        assert!(at("2.0.29").is_none_or(|position| position < newest), "the newest that is left goes by no rule");
        assert_sound(&env).await;
    }
}

#[test]
fn a_run_that_fails_somewhere_says_so_in_its_end() {
    let home = Home::new();
    for workload in ["acme/x", "acme/y"] {
        for prompt in ["prompts/triage-1.prompt.yaml", "prompts/triage-2.prompt.yaml"] {
            home.run(&["push", files::example(prompt).to_str().unwrap(), "--to", workload]).expect(0);
        }
    }
    home.run(&["retention", "set", "acme", "--older-than", "1d", "--keep", "0"]).expect(0);
    home.sql("UPDATE versions SET created_at = '2026-01-01T00:00:00+00:00'");
    home.sql("UPDATE versions SET kind = 'nonsense' WHERE workload = 'acme/x'");
    let run = home.run(&["retention", "run", "acme", "--delete"]).expect(1);
    assert!(run.stdout.contains("purged acme/y:"), "{}", run.stdout);
    assert!(run.stdout.contains("2  could not be taken away"), "{}", run.stdout);
    assert!(run.stderr.contains("failed in acme/x, 2 versions left: "), "{}", run.stderr);
}

#[test]
fn alone_on_a_data_directory_one_is_enough() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    home.push("prompts/triage-2.prompt.yaml").expect(0);
    home.run(&["hold", "set", "acme/x:1.0.0", "-m", "case 14"]).expect(0);
    let held = home.run(&["purge", "acme/x:1.0.0", "-m", "a name in it"]).expect(5);
    assert!(held.stderr.contains("gradus hold clear acme/x@sha256:"), "{}", held.stderr);
    home.run(&["hold", "clear", "acme/x:1.0.0", "-m", "settled"]).expect(0);
    home.run(&["purge", "acme/x:^1", "-m", "a name in it"]).expect(1);
    home.run(&["purge", "acme/x:1.0.0"]).expect(2);
    let done = home.run(&["purge", "acme/x:1.0.0", "-m", "a name in it"]).expect(0);
    assert!(done.stdout.contains("purged acme/x:1.0.0 sha256:"), "{}", done.stdout);
    assert!(home.run(&["list", "acme/x"]).expect(0).stdout.contains("purged: a name in it"));
    let shown = home.run(&["show", "acme/x:1.0.0"]).expect(0);
    assert!(shown.stdout.contains("a name in it"), "{}", shown.stdout);
    home.run(&["show", "acme/x:1.0.0", "--json"]).expect(0);
    let pulled = home.run(&["pull", "acme/x:1.0.0", "--out", "there"]).expect(7);
    assert!(
        pulled.stderr.contains("a name in it") && pulled.stderr.contains("version_purged"),
        "{}",
        pulled.stderr
    );
    assert!(
        home.run(&["log", "--kind", "purged"])
            .expect(0)
            .stdout
            .contains("alone, as the owner of the data directory")
    );
    home.run(&["purge", "--list"]).expect(0);
    home.run(&["audit", "verify"]).expect(0);
    home.run(&["verify", "acme/x:latest"]).expect(0);
    home.run(&["retention", "set", "acme", "--older-than", "0d", "--keep", "1"]).expect(2);
    home.run(&["retention", "set", "acme", "--older-than", "90d", "--keep", "1"]).expect(0);
    home.run(&["retention", "run", "acme"]).expect(0);
    home.run(&["retention", "run", "acme", "--delete"]).expect(0);
    home.run(&["retention", "rm", "acme"]).expect(0);
}
