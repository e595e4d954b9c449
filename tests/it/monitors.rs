//! Drift monitors: what is due is run once, and what it finds has consequences.

use crate::harness::{
    Env, backends,
    govern::W,
    home::Home,
    monitor::{profile, profile_by, table},
};
use gradus::{
    check::Request,
    config::DataSource,
    drift::signals::HashKey,
    model::access::Role,
    ops::monitors::{tick, work},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

/// The clock begins at 2026-01-02T03:04:05Z.
const FIRST: &str = "2026-01-01";

async fn kinds(env: &Env) -> Vec<String> {
    let log = env.get(&format!("/v1/events?workload={W}")).expect(200).await.value();
    let kinds = log["items"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap().to_owned());
    kinds
        .filter(|kind| {
            kind.starts_with("drift")
                || ["rolled_back", "retrain_wanted", "monitor_failed"].contains(&kind.as_str())
        })
        .collect()
}

async fn event(env: &Env, kind: &str) -> Value {
    let log = env.get(&format!("/v1/events?workload={W}&kind={kind}")).expect(200).await.value();
    log["items"].as_array().unwrap().last().unwrap()["data"].clone()
}

/// Two versions, the second in production, which was made for data that are not moved; the first for such that are.
async fn watched(env: &Env) -> Env {
    env.namespace("acme").await;
    let open = "gradus: policy/v1\nrules: { prompt: { production: { skip: true, gates: [] }, staging: { gates: [] } } }";
    assert_eq!(env.policy(open).await.status, 200);
    for text in ["one", "two"] {
        let version = env.root().push(text).await;
        env.root().promote(&version, "production").await;
    }
    env.baseline("1.0.0", 2_000, 30.0).await;
    env.baseline("1.0.1", 2_000, 0.0).await;
    env.with_data().await
}

backends! {
    async fn a_monitor_runs_by_its_schedule_and_what_it_finds_is_evidence(env: Env) {
        let env = watched(&env).await;
        env.put_day(FIRST, 1_000, 0.0).await;
        env.put_day("2026-01-02", 1_000, 30.0).await;
        let added = env.add_monitor("nightly", json!({})).await;
        assert_eq!((added.status.as_u16(), &added.value()["due_at"]), (201, &json!("2026-01-02T06:00:00Z")));
        assert_eq!(env.make_runs().await, 0, "it is three in the night");
        env.clock.advance(Duration::from_secs(3 * 3600));
        assert_eq!((env.make_runs().await, env.make_runs().await), (1, 0));
        let run = env.runs("nightly").await[0].clone();
        assert_eq!(run["window"], json!({ "start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z" }));
        assert_eq!((&run["verdict"], &run["alert"], &run["rows"], &run["version"]), (&json!("OK"), &json!(null), &json!(1_000), &json!("1.0.1")), "it came after these data: {run}");
        assert!(kinds(&env).await.is_empty());

        assert_eq!(env.next_day().await, 1);
        assert_eq!(env.newest("nightly").await, ("DRIFT".into(), "begun".into(), String::new()));
        assert_eq!(kinds(&env).await, ["drift_found", "retrain_wanted"]);
        let found = event(&env, "drift_found").await;
        assert_eq!((&found["columns"], &found["version"], &found["monitor"]), (&json!(["amount"]), &json!("1.0.1"), &json!("nightly")));
        let report = env.get(&format!("/v1/workloads/{W}/monitors/nightly/runs/newest")).expect(200).await.value();
        assert_eq!((&report["evidence"], &report["report"]["run"]["verdict"]), (&found["evidence"], &json!("DRIFT")));
        crate::schemas::assert_published("drift-report.schema.json", &report["report"]);
        let said = env.get(&format!("/v1/workloads/{W}/versions/1.0.1/evidence")).expect(200).await.value();
        let said: Vec<_> = said["items"].as_array().unwrap().iter().filter(|it| it["kind"] == "drift_report").cloned().collect();
        assert_eq!(said.iter().map(|it| it["statement"]["verdict"].clone()).collect::<Vec<_>>(), ["clear", "drift"]);

        // Then there are no data, which is no end of it; two days without drift are.
        assert_eq!(env.next_day().await, 1);
        assert_eq!(env.newest("nightly").await.0, "NO_DATA");
        for (day, alert) in [("2026-01-04", "lasts"), ("2026-01-05", "ended")] {
            env.put_day(day, 1_000, 0.0).await;
            assert_eq!(env.next_day().await, 1);
            assert_eq!(env.newest("nightly").await, ("OK".into(), alert.into(), String::new()), "{day}");
        }
        assert_eq!(kinds(&env).await, ["drift_found", "retrain_wanted", "drift_ended"]);
    }

    async fn a_window_is_checked_once_however_many_look(env: Env) {
        let env = watched(&env).await;
        for day in 1..=6 {
            env.put_day(&format!("2026-01-0{day}"), 500, 0.0).await;
        }
        assert_eq!(env.add_monitor("nightly", json!({ "misfire": "catch_up" })).await.status, 201);
        env.clock.advance(Duration::from_secs(5 * 24 * 3600 + 4 * 3600));
        let replicas = [env.with_data().await, env.with_data().await, env.with_data().await];
        let [a, b, c] = &replicas;
        let look = |it: &Env| { let cx = it.cx.clone(); async move {
            let queued = tick::tick(&cx).await.unwrap();
            let mut made = 0;
            while work::work(&cx).await.unwrap() { made += 1; }
            (queued, made)
        }};
        let (a, b, c) = tokio::join!(look(a), look(b), look(c));
        env.make_runs().await;
        assert_eq!(a.0 + b.0 + c.0, 6, "queued once");
        let ends: BTreeSet<String> = env.runs("nightly").await.iter().map(|run| run["window"]["end"].to_string()).collect();
        assert_eq!(ends.len(), 6);
        let log = env.get(&format!("/v1/events?workload={W}&kind=evidence_attached")).expect(200).await.value();
        let reports = log["items"].as_array().unwrap().iter().filter(|it| it["data"]["about"] == "drift_report").count();
        assert_eq!(reports, 6, "reported once");
    }

    async fn a_run_whose_worker_died_is_made_again_with_the_same_result(env: Env) {
        let env = watched(&env).await;
        env.put_day(FIRST, 1_000, 30.0).await;
        for name in ["killed", "whole"] {
            assert_eq!(env.add_monitor(name, json!({})).await.status, 201);
        }
        env.clock.advance(Duration::from_secs(3 * 3600));
        tick::tick(&env.cx).await.unwrap();
        // Of both the worker dies right after it took them.
        for _ in 0..2 {
            let work = work::work(&env.cx);
            tokio::pin!(work);
            let mut is_taken = false;
            for _ in 0..100_000 {
                if tokio::time::timeout(Duration::ZERO, &mut work).await.is_ok() { break; }
                let states = [env.runs("killed").await[0]["state"].clone(), env.runs("whole").await[0]["state"].clone()];
                is_taken = states.contains(&json!("running"));
                if is_taken { break; }
            }
            if is_taken { break; }
        }
        let other = env.with_data().await;
        other.make_runs().await;
        other.clock.advance(Duration::from_secs(91));
        other.make_runs().await;
        let (killed, whole) = (env.runs("killed").await, env.runs("whole").await);
        assert_eq!((killed.len(), &killed[0]["state"], &whole[0]["state"]), (1, &json!("done"), &json!("done")));
        let report = async |name: &str| env.get(&format!("/v1/workloads/{W}/monitors/{name}/runs/newest")).expect(200).await.value()["report"].clone();
        assert_eq!(report("killed").await, report("whole").await);
    }

    async fn a_stage_moves_back_once_and_only_for_the_better(env: Env) {
        let env = watched(&env).await;
        for day in ["2026-01-02", "2026-01-03", "2026-01-04", "2026-01-05", "2026-01-06", "2026-01-07"] {
            env.put_day(day, 1_000, 30.0).await;
        }
        let asks = json!({ "on_drift": "rollback", "rollback_on": ["data"] });
        assert_eq!(env.add_monitor("nightly", asks).await.status, 201);
        assert_eq!(env.add_monitor("careful", json!({ "on_drift": "rollback" })).await.status, 201);
        env.clock.advance(Duration::from_secs(3 * 3600));
        env.make_runs().await;
        env.next_day().await;
        assert_eq!(env.newest("nightly").await.2, "not moved back: production was moved since these data began");
        assert_eq!(env.at("production").await, "1.0.1");
        env.next_day().await;
        assert_eq!(env.at("production").await, "1.0.0");
        let (nightly, careful) = (env.newest("nightly").await, env.newest("careful").await);
        assert_eq!(nightly, ("DRIFT".into(), "lasts".into(), "production went back to 1.0.0".into()));
        assert!(careful.2.starts_with("not moved back"), "{careful:?}");
        let moved = event(&env, "rolled_back").await;
        assert!(moved["reason"].as_str().unwrap().starts_with("monitor nightly found drift: 1 of 2"), "{moved}");
        // 1.0.0 was made for such data, so now there is no drift. Nor is 1.0.1 promoted again.
        env.next_day().await;
        assert_eq!(env.newest("nightly").await.0, "OK");
        assert_eq!(env.root().promote("1.0.1", "production").await.value()["state"], "refused");

        // A third version drifts too; what it would go back to fares better, and it is a person's promotion that arms.
        let third = env.root().push("three").await;
        env.root().promote(&third, "production").await;
        env.baseline(&third, 2_000, 0.0).await;
        env.next_day().await;
        assert_eq!(env.at("production").await, third, "it came in the middle of these data");
        env.next_day().await;
        assert_eq!((env.at("production").await, env.newest("nightly").await.2), ("1.0.0".into(), "production went back to 1.0.0".into()));
    }

    async fn a_stage_stays_where_it_is_no_better_before_or_somebody_moved_it(env: Env) {
        let env = watched(&env).await;
        for day in ["2026-01-02", "2026-01-03", "2026-01-04", "2026-01-05"] {
            env.put_day(day, 1_000, 60.0).await;
        }
        let asks = json!({ "on_drift": "rollback", "rollback_on": ["data"] });
        assert_eq!(env.add_monitor("nightly", asks).await.status, 201);
        env.clock.advance(Duration::from_secs(3 * 3600));
        env.make_runs().await;
        env.next_day().await;
        env.next_day().await;
        assert_eq!(env.newest("nightly").await.2, "not moved back: 1.0.0 does not fare better with these data");
        // A baseline that has no such column says nothing of it, and least of all that it fares better.
        let without = Request { ignored: ["amount".to_owned()].into(), ..Request::default() };
        env.root().attach_text("1.0.0", &profile_by(&table(2_000, 0.0), &without)).await;
        env.next_day().await;
        assert_eq!(env.newest("nightly").await.2, "not moved back: the drift baseline of 1.0.0 cannot be compared in amount");
        // Otherwise it blocks.
        let refused = env.root().promote("1.0.1", "staging").await.value();
        assert_eq!(refused["state"], "refused", "{refused}");
        assert!(refused["report"]["gates"].as_array().unwrap().iter().any(|gate| gate["gate"] == "not_blocked"), "{refused}");
        // Somebody moves it after the data of the last day, and before the run.
        env.clock.advance(Duration::from_secs(24 * 3600 - 7200));
        let third = env.root().push("three").await;
        env.root().promote(&third, "production").await;
        env.clock.advance(Duration::from_secs(7200));
        env.make_runs().await;
        let (verdict, _, followed) = env.newest("nightly").await;
        assert_eq!((verdict.as_str(), followed.as_str()), ("DRIFT", "not moved back: production was moved since these data began"));
        assert_eq!((env.runs("nightly").await[0]["version"].clone(), env.at("production").await), (json!("1.0.1"), third));
    }

    async fn a_block_lasts_until_drift_ends_or_somebody_mutes_it(env: Env) {
        let env = watched(&env).await;
        env.put_day("2026-01-02", 1_000, 30.0).await;
        assert_eq!(env.add_monitor("nightly", json!({ "on_drift": "block" })).await.status, 201);
        env.clock.advance(Duration::from_secs(3 * 3600));
        env.make_runs().await;
        env.next_day().await;
        assert_eq!(env.at("production").await, "1.0.1");
        let state = async || env.root().promote_with("1.0.1", "staging", json!({ "dry_run": true })).await.value()["state"].clone();
        assert_eq!(state().await, "refused");
        let mute = env.call("POST", &format!("/v1/workloads/{W}/monitors/nightly/mute"));
        let muted = mute.json(json!({ "until": "2026-01-03T12:00:00Z", "reason": "known" })).expect(200).await.value();
        assert_eq!((&muted["muted"]["by"], &muted["muted"]["reason"]), (&json!("admin"), &json!("known")));
        assert_eq!(state().await, "promoted");
        env.clock.advance(Duration::from_secs(6 * 3600));
        assert_eq!(state().await, "refused", "the mute has ended");
        env.call("DELETE", &format!("/v1/workloads/{W}/monitors/nightly")).expect(204).await;
        assert_eq!(state().await, "promoted", "nobody watches any more");
    }

    async fn who_is_muted_tells_nobody_and_then_tells_what_lasts(env: Env) {
        let env = watched(&env).await;
        for day in [FIRST, "2026-01-02", "2026-01-03"] {
            env.put_day(day, 1_000, 30.0).await;
        }
        let asks = json!({ "on_drift": "rollback", "rollback_on": ["data"] });
        assert_eq!(env.add_monitor("nightly", asks).await.status, 201);
        let mute = env.call("POST", &format!("/v1/workloads/{W}/monitors/nightly/mute"));
        mute.json(json!({ "until": "2026-01-03T12:00:00Z", "reason": "a known change" })).expect(200).await;
        env.clock.advance(Duration::from_secs(3 * 3600));
        env.make_runs().await;
        env.next_day().await;
        assert_eq!(env.newest("nightly").await, ("DRIFT".into(), "begun".into(), String::new()));
        assert!(kinds(&env).await.is_empty());
        env.next_day().await;
        assert_eq!(kinds(&env).await, ["drift_found", "retrain_wanted", "rolled_back"]);
    }

    async fn what_cannot_be_is_refused_and_what_fails_stops_nothing(env: Env) {
        let env = watched(&env).await;
        let root = env.root();
        for (more, code) in [
            (json!({ "every": "0 0 30 2 *" }), "monitor_schedule"),
            (json!({ "every": "0 0 6 * * *" }), "monitor_schedule"),
            (json!({ "zone": "Europe/Atlantis" }), "monitor_zone"),
            (json!({ "window": "0d" }), "monitor_window"),
            (json!({ "window": "6h" }), "monitor_window"),
            (json!({ "reference": "yesterday" }), "monitor_reference"),
            (json!({ "reference": "trailing:7d", "on_drift": "rollback" }), "monitor_rollback"),
            (json!({ "grace_minutes": 200_000 }), "monitor_grace"),
            (json!({ "reference": "trailing:7d", "source": format!("{}/all.csv", env.data()) }), "monitor_reference"),
            (json!({ "reference": "trailing:7d", "source": format!("{}/{{date:%Y-%m}}.csv", env.data()) }), "monitor_reference"),
            (json!({ "reference": "same-phase:1d", "window": "7d" }), "monitor_reference"),
            (json!({ "source": format!("{}/dt={{date:%M}}.csv", env.data()) }), "monitor_source"),
            (json!({ "hygiene": { "drifted": 3, "of": 2 } }), "monitor_hygiene"),
            (json!({ "options": { "alpha": 2.0 } }), "monitor_options"),
            (json!({ "options": { "bins": { "amount": [2.0, 1.0] } } }), "monitor_options"),
            (json!({ "options": { "bins": { "price": [0.0, 1.0] } } }), "drift_column"),
            (json!({ "options": { "bins": { "amount": [0.0, 1.0] } }, "ignore": ["amount"] }), "drift_bins"),
            (json!({ "options": { "bins": { "region": [0.0, 1.0] } } }), "drift_bins"),
            (json!({ "source": "{day}" }), "monitor_source"),
            (json!({ "often": true }), "body_invalid"),
        ] {
            let refused = env.add_monitor("nightly", more.clone()).await;
            assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, code), "{more}");
        }
        if env.backend.is_s3() {
            for source in ["s3://elsewhere/{date}", "/etc/passwd", "file:///etc/passwd", &env.cx.config.stores[0].url, "s3://"] {
                let refused = env.add_monitor("nightly", json!({ "source": source })).await;
                assert_eq!((refused.status.as_u16(), refused.code().as_str()), (403, "source_not_granted"), "{source}");
            }
        }
        assert_eq!(env.add_monitor("Nightly!", json!({})).await.code(), "body_invalid");
        assert_eq!(env.add_monitor("nightly", json!({})).await.status, 201);
        assert_eq!(env.add_monitor("nightly", json!({})).await.code(), "monitor_exists");
        let contributor = env.someone("ada", &[Role::Contributor]).await;
        contributor.call("DELETE", &format!("/v1/workloads/{W}/monitors/nightly")).expect(403).await;
        contributor.call("GET", &format!("/v1/workloads/{W}/monitors/nightly")).expect(200).await;
        root.call("POST", &format!("/v1/workloads/{W}/monitors/nightly/arm")).expect(409).await;

        // Half a file fails the run, once; the next day goes on.
        env.put_data(&format!("dt={FIRST}/part.csv"), "amount,region\n1,n\n").await;
        env.put_data(&format!("dt={FIRST}/half.csv"), &b"PAR1 and no end"[..]).await;
        env.put_day("2026-01-02", 1_000, 0.0).await;
        env.clock.advance(Duration::from_secs(3 * 3600));
        env.make_runs().await;
        let run = env.runs("nightly").await[0].clone();
        assert_eq!((&run["state"], &run["verdict"]), (&json!("failed"), &json!(null)), "{run}");
        assert!(run["reason"].as_str().unwrap().contains("[table_"), "{run}");
        assert_eq!(kinds(&env).await, ["monitor_failed"]);
        env.next_day().await;
        assert_eq!(env.newest("nightly").await.0, "OK");
    }

    async fn a_source_that_stays_away_is_told_however_often_the_monitor_runs(env: Env) {
        let dead = DataSource {
            name: "dead".into(),
            url: "s3://dead".into(),
            namespaces: ["acme".to_owned()].into(),
            options: [("endpoint", "http://127.0.0.1:9"), ("access_key_id", "a"), ("secret_access_key", "s"), ("region", "r")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        };
        let env = Env::with(env.backend, |config| config.sources.push(dead)).await;
        let env = watched(&env).await;
        let hourly = json!({ "every": "0 * * * *", "window": "1h", "source": "s3://dead/{date:%Y-%m-%dT%H}.csv" });
        assert_eq!(env.add_monitor("hourly", hourly).await.status, 201);
        for _ in 0..3 * 12 {
            env.clock.advance(Duration::from_secs(300));
            env.make_runs().await;
        }
        assert_eq!(kinds(&env).await, ["monitor_failed"]);
    }

    async fn what_was_asked_for_too_early_is_made_again_by_the_schedule(env: Env) {
        let env = watched(&env).await;
        assert_eq!(env.add_monitor("nightly", json!({})).await.status, 201);
        let run = || async { env.call("POST", &format!("/v1/workloads/{W}/monitors/nightly/runs")).json(json!({})).expect(200).await };
        let asked = run().await.value();
        assert_eq!((&asked["items"][0]["new"], &asked["items"][0]["asked_by"]), (&json!(true), &json!("admin")));
        env.make_runs().await;
        assert_eq!(env.newest("nightly").await.0, "NO_DATA");
        env.put_day(FIRST, 4, 0.0).await;
        run().await;
        env.make_runs().await;
        env.put_day(FIRST, 1_000, 0.0).await;
        env.clock.advance(Duration::from_secs(3 * 3600));
        env.make_runs().await;
        let runs = env.runs("nightly").await;
        assert_eq!((runs.len(), &runs[0]["rows"], &runs[0]["cause"]), (1, &json!(1_000), &json!("schedule")));
        assert_eq!(run().await.value()["items"][0]["new"], false, "it is made for good");
    }

    async fn profiles_are_pushed_where_data_must_not_leave(env: Env) {
        let env = watched(&env).await;
        let agent = env.someone("ada", &[Role::Releaser]).await;
        for (name, reference) in [("pushed", "baseline"), ("trailing", "trailing:2d")] {
            let more = json!({ "source": "pushed", "reference": reference });
            assert_eq!(env.add_monitor(name, more).await.status, 201);
        }
        env.clock.advance(Duration::from_secs(3 * 24 * 3600));
        let push = |name: &str, day: &str, moved: f64| {
            let path = format!("/v1/workloads/{W}/monitors/{name}/profiles?at=2026-01-{day}T06:00:00Z");
            agent.call("POST", &path).body(profile(&table(1_000, moved)))
        };
        for (day, moved) in [("03", 0.0), ("04", 0.0), ("05", 30.0)] {
            for name in ["pushed", "trailing"] {
                // The first windows of a trailing monitor have no report that would keep them, and are compared with.
                env.clock.advance(Duration::from_secs(1));
                let collected = env.call("POST", "/v1/gc").json(json!({ "delete": true, "grace_hours": 0 }));
                collected.expect(200).await;
                // What nobody has looked at yet can be put right.
                for moved in [moved + 1.0, moved] {
                    assert_eq!(push(name, day, moved).expect(200).await.value()["cause"], "pushed");
                }
                env.make_runs().await;
                if (name, day) == ("trailing", "03") {
                    continue; // there was nothing to compare with, and it would be made anew
                }
                // The same once more, as after an answer that was lost; and something else.
                assert_eq!(push(name, day, moved).expect(200).await.value()["new"], false);
                assert_eq!(push(name, day, moved + 1.0).expect(409).await.code(), "window_checked");
            }
        }
        let verdicts = async |name: &str| {
            let runs = env.runs(name).await;
            runs.iter().map(|run| (run["verdict"].clone(), run["cause"].clone())).collect::<Vec<_>>()
        };
        let pushed = |verdict: &str| (json!(verdict), json!("pushed"));
        assert_eq!(verdicts("pushed").await[..3], [pushed("DRIFT"), pushed("OK"), pushed("OK")]);
        assert_eq!(verdicts("trailing").await[..3], [pushed("DRIFT"), pushed("OK"), pushed("NO_DATA")]);
        assert_eq!(kinds(&env).await, ["drift_found", "retrain_wanted", "drift_found"]);
        let metrics = env.cx.metrics.render();
        for line in ["drift_runs_total{outcome=\"DRIFT\"} 2\n", "drift_run_seconds_count 8\n", "drift_runs_waiting "] {
            assert!(metrics.contains(&format!("\ngradus_{line}")), "{line} of {metrics}");
        }
        assert_eq!(push("pushed", "05", 0.0).expect(409).await.code(), "window_checked");
        assert_eq!(push("pushed", "07", 0.0).expect(400).await.code(), "window_open");
        let more = json!({ "source": "pushed", "on_drift": "block", "sensitive": ["region"] });
        assert_eq!(env.add_monitor("blocks", more).await.status, 201);
        assert_eq!(push("blocks", "04", 0.0).expect(400).await.code(), "drift_sensitive");
        let path = format!("/v1/workloads/{W}/monitors/blocks/profiles?at=2026-01-04T06:00:00Z");
        let hashed = Request {
            sensitive: ["region".to_owned()].into(),
            hash_key: Some(HashKey::new(&[1; 32])),
            ..Request::default()
        };
        let hashed = profile_by(&table(1_000, 0.0), &hashed);
        assert_eq!(agent.call("POST", &path).body(hashed).expect(400).await.code(), "drift_key");
        let wrong = json!({ "source": "pushed", "labels": "s3://a/{date}.csv", "performance": { "target": "a", "prediction": "b", "id": "c" } });
        assert_eq!(env.add_monitor("labels", wrong).await.code(), "monitor_labels");
        let wrong = json!({ "sensitive": ["region"], "types": { "region": "categorical" } });
        assert_eq!(env.add_monitor("typed", wrong).await.code(), "drift_sensitive");
        let path = format!("/v1/workloads/{W}/monitors/pushed/profiles");
        assert_eq!(agent.call("POST", &path).body("{}").expect(400).await.code(), "profile_invalid");
        // The schedule finds the last window checked, and says so where nobody pushed for the next one.
        env.next_day().await;
        assert_eq!(env.newest("pushed").await.0, "DRIFT");
        env.next_day().await;
        assert_eq!(env.newest("pushed").await.0, "NO_DATA");
        // What was pushed is kept with its report.
        let manifests = format!("/v2/{W}/referrers/{}", env.get(&format!("/v1/workloads/{W}/resolve/1.0.1")).expect(200).await.value()["digest"].as_str().unwrap());
        let referrers = env.get(&manifests).expect(200).await.value();
        let report = referrers["manifests"].as_array().unwrap().iter().find(|it| it["artifactType"].as_str().unwrap_or_default().contains("drift-report")).unwrap().clone();
        let manifest = env.get(&format!("/v2/{W}/manifests/{}", report["digest"].as_str().unwrap())).expect(200).await.value();
        assert_eq!(manifest["layers"].as_array().unwrap().len(), 2, "{manifest}");
    }

    async fn columns_that_are_not_to_be_told_are_compared_by_the_key_of_their_namespace(env: Env) {
        let env = watched(&env).await;
        let key = env.someone("ada", &[Role::Contributor]).await.call("GET", "/v1/namespaces/acme/drift-key").expect(200).await;
        assert_eq!(key.header("cache-control"), "no-store");
        let key = key.value()["key"].as_str().unwrap().to_owned();
        let reader = env.someone("eve", &[Role::Reader]).await;
        reader.call("GET", "/v1/namespaces/acme/drift-key").expect(403).await;
        env.get("/v1/namespaces/nobody/drift-key").expect(404).await;
        let bytes: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&key[2 * at..2 * at + 2], 16).unwrap()).collect();
        let request = Request {
            sensitive: ["region".to_owned()].into(),
            hash_key: Some(HashKey::new(&bytes.try_into().unwrap())),
            ..Request::default()
        };
        env.root().attach_text("1.0.1", &profile_by(&table(3_000, 0.0), &request)).await;
        assert_eq!(env.add_monitor("nightly", json!({})).await.status, 201);
        env.put_day("2026-01-01", 1_000, 0.0).await;
        env.next_day().await;
        assert_eq!(env.newest("nightly").await.0, "OK");
        let report = env.get(&format!("/v1/workloads/{W}/monitors/nightly/runs/newest")).expect(200).await.value();
        let text = report.to_string();
        assert!(text.contains("region:hashed") && !text.contains("north"), "{text}");
        // Without a baseline that says so, the monitor does.
        let more = json!({ "reference": "trailing:1d", "sensitive": ["region"] });
        assert_eq!(env.add_monitor("trailing", more).await.status, 201);
        env.put_day("2026-01-02", 1_000, 0.0).await;
        env.next_day().await;
        assert_eq!(env.newest("trailing").await.0, "OK");
        let report = env.get(&format!("/v1/workloads/{W}/monitors/trailing/runs/newest")).expect(200).await.value();
        assert!(!report.to_string().contains("north"), "{report}");
    }

    async fn the_command_line_reads_buckets_by_the_usual_variables(env: Env) {
        let env = env.with_data().await;
        if !env.backend.is_s3() {
            return;
        }
        for (day, moved) in [("2026-01-01", 0.0), ("2026-01-02", 0.0), ("2026-01-03", 30.0)] {
            env.put_day(day, 1_500, moved).await;
        }
        let source = env.cx.config.sources[0].clone();
        let run = move |days: &str, key: &str| {
            let files = format!("{}/dt={{date}}/*.csv", source.url);
            let words =
                ["drift", "check", "--reference", &files, "--data", &files, "--reference-date", "2026-01-01", "--date", days];
            let variable = |name: &str| source.options[name].as_str();
            Home::new()
                .cli(&words)
                .environment("AWS_ENDPOINT", variable("endpoint"))
                .environment("AWS_ACCESS_KEY_ID", key)
                .environment("AWS_SECRET_ACCESS_KEY", variable("secret_access_key"))
                .environment("AWS_REGION", variable("region"))
                .run()
        };
        let key = env.cx.config.sources[0].options["access_key_id"].clone();
        let done = tokio::task::spawn_blocking(move || {
            [run("2026-01-02", &key), run("2026-01-03", &key), run("2026-01-04", &key), run("2026-01-02", "GK0")]
        });
        let [same, moved, missing, denied] = done.await.unwrap();
        assert!(same.expect(0).stdout.starts_with("OK"));
        assert!(moved.expect(10).stdout.starts_with("DRIFT"));
        let missing = missing.expect(7).stderr;
        assert!(missing.contains("2026-01-04"), "{missing}");
        assert!(denied.stderr.contains("[source_denied]") , "{}", denied.stderr);
    }

    async fn windows_of_the_past_are_made_up_for_and_compared_with_each_other(env: Env) {
        let env = watched(&env).await;
        for day in 20..=31 {
            env.put_day(&format!("2025-12-{day}"), 700, if day == 30 { 25.0 } else { 0.0 }).await;
        }
        assert_eq!(env.add_monitor("trailing", json!({ "reference": "trailing:3d" })).await.status, 201);
        assert_eq!(env.add_monitor("phase", json!({ "reference": "same-phase:1w" })).await.status, 201);
        let backfill = async |name: &str| {
            let within = json!({ "start": "2025-12-27T00:00:00Z", "end": "2026-01-01T00:00:00Z" });
            let call = env.call("POST", &format!("/v1/workloads/{W}/monitors/{name}/runs"));
            let asked = call.json(json!({ "within": within })).expect(200).await.value();
            asked["items"].as_array().unwrap().iter().filter(|it| it["new"] == true).count()
        };
        for name in ["trailing", "phase"] {
            assert_eq!(backfill(name).await, 5);
            env.make_runs().await;
            assert_eq!(backfill(name).await, 0, "made before");
            let verdicts: Vec<_> = env.runs(name).await.iter().rev().map(|run| run["verdict"].clone()).collect();
            assert_eq!(verdicts, ["OK", "OK", "OK", "DRIFT", if name == "phase" { "OK" } else { "DRIFT" }], "{name}");
        }
        assert!(kinds(&env).await.is_empty(), "what is made up for of the past tells nobody");
        let call = env.call("POST", &format!("/v1/workloads/{W}/monitors/phase/runs"));
        let none = json!({ "within": { "start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z" } });
        assert_eq!(call.json(none).expect(400).await.code(), "backfill_range");
    }
}

#[test]
fn a_profile_is_what_the_command_line_makes() {
    assert!(profile(&table(10, 0.0)).contains("drift-profile/v1"));
}
