//! What hooks may grow to: how many of a namespace, how much waits for one that is paused, how long what ended is kept.

use crate::{
    harness::{backends, govern::W, receiver::Receiver},
    hooks::{add, deliveries, push, registry, show, wait},
};
use gradus::{jobs::deliver, model::access::Role, ops::hooks};
use serde_json::json;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

backends! {
    async fn what_waits_for_a_paused_hook_is_given_up_and_can_be_replayed(env: Env) {
        let env = registry(&env).await;
        let receiver = Receiver::start().await;
        let hook = add(&env, json!({ "url": receiver.url, "on": "pushed" })).await;
        let path = |verb: &str| format!("/v1/hooks/{hook}/{verb}");
        push(&env, W, "active").await;
        assert_eq!(hooks::give_up_old(&env.cx).await.unwrap(), 0, "it is active");
        env.call("POST", &path("pause")).json(json!({})).expect(200).await;
        push(&env, W, "old").await;
        env.clock.advance(29 * DAY);
        push(&env, W, "young").await;
        assert_eq!(hooks::give_up_old(&env.cx).await.unwrap(), 0, "nothing is thirty days old");
        env.clock.advance(DAY + Duration::from_secs(1));
        assert_eq!(hooks::give_up_old(&env.cx).await.unwrap(), 2);
        let shown = show(&env, &hook).await;
        assert_eq!((&shown["pending"], &shown["dead"]), (&json!(1), &json!(2)));
        let rows = deliveries(&env, &hook).await;
        let states: Vec<&str> = rows.iter().map(|row| row["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["pending", "dead", "dead"]);

        // What is replayed waits with the rest, and says so.
        let replay = path(&format!("deliveries/{}/replay", rows[1]["position"]));
        let replayed = env.call("POST", &replay).expect(200).await.value();
        assert_eq!(replayed["state"], "pending");
        let waits = replayed["waits"].as_str().unwrap();
        assert!(waits.contains("paused") && waits.contains(&format!("gradus hook resume {hook}")), "{waits}");
        assert_eq!(hooks::give_up_old(&env.cx).await.unwrap(), 0, "it is queued anew");

        env.call("POST", &path("resume")).expect(200).await;
        let running = deliver::start(&env.cx).unwrap();
        receiver.wait_for(2).await;
        wait("all is delivered", async || show(&env, &hook).await["pending"] == 0).await;
        let again = env.call("POST", &replay).expect(200).await.value();
        assert_eq!(again["waits"], json!(null), "an active hook sends at once");
        receiver.wait_for(3).await;

        // A test goes out all the same, and so does its replay.
        env.call("POST", &path("pause")).json(json!({})).expect(200).await;
        let tested = env.call("POST", &path("test")).expect(200).await.value()["position"].clone();
        receiver.wait_for(4).await;
        wait("the test is recorded", async || deliveries(&env, &hook).await[0]["state"] == "delivered").await;
        let again = env.call("POST", &path(&format!("deliveries/{tested}/replay"))).expect(200).await.value();
        assert_eq!(again["waits"], json!(null));
        receiver.wait_for(5).await;
        wait("it is recorded again", async || show(&env, &hook).await["pending"] == 0).await;
        running.close(Duration::from_secs(5)).await;

        // A dead letter is kept as long as all that ended.
        env.clock.advance(30 * DAY - Duration::from_secs(60));
        hooks::prune(&env.cx).await.unwrap();
        assert_eq!(show(&env, &hook).await["dead"], 1);
        env.clock.advance(Duration::from_secs(120));
        hooks::prune(&env.cx).await.unwrap();
        assert_eq!(deliveries(&env, &hook).await.len(), 0);
        assert_eq!(env.call("POST", &replay).expect(404).await.code(), "delivery_unknown");
    }

    async fn a_namespace_that_has_all_its_hooks_takes_none_of_others(env: Env) {
        let env = registry(&env).await;
        env.namespace("acme-2").await;
        let body = |scope: &str| json!({ "scope": scope, "on": "pushed", "url": "http://127.0.0.1:9/" });
        for number in 0..100 {
            let scope = if number % 2 == 0 { "acme" } else { W };
            env.call("POST", "/v1/hooks").json(body(scope)).expect(201).await;
        }
        for scope in ["acme", W, "acme/other"] {
            let answer = env.call("POST", "/v1/hooks").json(body(scope)).expect(409).await;
            assert_eq!(answer.code(), "hooks_many", "{scope}");
            assert!(answer.text().contains("namespace acme has 100 hooks"), "{}", answer.text());
        }
        let rival = env.person("rita", "acme-2", Role::Admin).await;
        let theirs = env.call("POST", "/v1/hooks").token(&rival).json(body("acme-2")).expect(201).await.value();
        let everywhere = env.call("POST", "/v1/hooks").json(body("*")).expect(201).await.value();
        // Whoever sees few of many finds them all the same.
        let mine = env.get("/v1/hooks?limit=1").token(&rival).expect(200).await.value();
        assert_eq!((&mine["items"][0]["id"], &mine["next"]), (&theirs["id"], &json!(null)));
        push(&env, W, "one").await;
        for hook in [&theirs, &everywhere] {
            let id = hook["id"].as_str().unwrap();
            assert_eq!(show(&env, id).await["pending"], i64::from(hook["scope"] == "*"));
        }
        let first = env.get("/v1/hooks?scope=acme&limit=1").expect(200).await.value();
        let first = first["items"][0]["id"].as_str().unwrap().to_owned();
        assert_eq!(show(&env, &first).await["pending"], 1);
        env.call("DELETE", &format!("/v1/hooks/{first}")).expect(204).await;
        env.call("POST", "/v1/hooks").json(body(W)).expect(201).await;
    }
}
