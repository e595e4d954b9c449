//! What goes by a rule, and what the owner of a data directory takes away alone.

use crate::{
    harness::{
        backends,
        govern::{W, production},
        home::Home,
    },
    removal::{DAY, assert_sound, events, is, resolve, said},
};
use gradus::{
    model::{access::Actor, name::PrincipalName},
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
        assert_eq!(retention::run_all(&env.cx, &scheduler).await.unwrap().0, 1, "1.0.6 is old by now, and 1.0.7 in a stage");
        env.call("DELETE", at).expect(204).await;
        assert_eq!(said(&env.call("DELETE", at).send().await), is(404, "retention_unknown"));
        assert_eq!(retention::run_all(&env.cx, &scheduler).await.unwrap().0, 0);
        assert_sound(&env).await;
    }
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
