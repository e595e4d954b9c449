//! Quotas of namespaces.

use crate::harness::{
    Answer, Backend, Env, backends,
    carry::served,
    files::{self, noise, push, push_prompt, upload},
    home::Home,
    oci,
    session::{Session, objects, streamed},
};
use futures_util::future::join_all;
use gradus::{
    client::{Digests, Upload},
    clock::Clock as _,
    db,
    model::{access::Role, digest::Digest},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

const W: &str = "acme/x";

async fn set(env: &Env, namespace: &str, quota: Value) {
    env.call("PUT", &format!("/v1/quotas/{namespace}")).json(quota).expect(200).await;
}

async fn used(env: &Env, namespace: &str) -> Value {
    env.get(&format!("/v1/quotas/{namespace}")).expect(200).await.value()["used"].clone()
}

async fn put(env: &Env, repository: &str, bytes: &[u8]) -> Answer {
    let at = format!("/v2/{repository}/blobs/uploads/?digest={}", Digest::sha256(bytes));
    env.call("POST", &at).body(bytes.to_vec()).send().await
}

fn is_refused(answer: &Answer) -> bool {
    match answer.status.as_u16() {
        403 => assert_eq!(answer.code(), "quota_exceeded", "{}", answer.text()),
        201 => {}
        status => panic!("{status} {}", answer.text()),
    }
    answer.status == 403
}

backends! {
    async fn what_has_no_room_is_refused_before_it_is_sent(env: Env) {
        env.namespace("acme").await;
        set(&env, "acme", json!({ "bytes": 1000 })).await;
        let ask = |sizes: Value| env.call("POST", &format!("/v1/workloads/{W}/present")).json(json!({ "sizes": sizes }));
        ask(json!([600, 400])).expect(200).await;
        // Shards of one size are as many files.
        assert_eq!(ask(json!([600, 600])).expect(403).await.value()["details"]["asked"], 1200);
        let refused = ask(json!([600, 401])).expect(403).await.value();
        assert_eq!(refused["code"], "quota_exceeded");
        assert_eq!(refused["details"], json!({ "namespace": "acme", "of": "bytes", "used": 0, "asked": 1001, "allowed": 1000 }));
        assert!(refused["hint"].as_str().unwrap().contains("gradus quota set acme --bytes"), "{refused}");
        // The sum of sizes is more than any number.
        ask(json!([u64::MAX, 600])).expect(400).await;

        for length in [1001, 9 * 1024 * 1024] {
            let refused = put(&env, W, &noise(1, length)).await;
            assert!(is_refused(&refused));
            assert_eq!(refused.value()["errors"][0]["code"], "DENIED");
            assert!(refused.text().contains("gradus quota set acme"), "OCI clients show the message");
        }
        assert_eq!(objects(&env).await, (vec![], 0), "nothing was stored");
        assert_eq!(used(&env, "acme").await, json!({
            "versions": 0, "blobs": 0, "bytes": 0, "own_bytes": 0, "shared_bytes": 0, "uploading_bytes": 0
        }));
        assert!(!is_refused(&put(&env, W, &noise(2, 1000)).await));
        // Full: nothing begins any more, and what is there needs no room.
        let full = env.call("POST", &format!("/v2/{W}/blobs/uploads/")).send().await;
        assert!(is_refused(&full));
        for repository in [W, "acme/y"] {
            assert!(!is_refused(&put(&env, repository, &noise(2, 1000)).await), "{repository}");
        }
        assert_eq!(used(&env, "acme").await["bytes"], 1000);

        // Files whose size is known, but not they themselves.
        set(&env, "acme", json!({ "bytes": 2500, "versions": 1 })).await;
        let files = |seeds: &[u64]| {
            let file = |seed: &u64| json!({ "digest": Digest::sha256(&noise(*seed, 1000)), "size": 1000 });
            json!({ "sizes": [1000], "files": seeds.iter().map(file).collect::<Vec<_>>() })
        };
        let ask = |seeds: &[u64]| env.call("POST", &format!("/v1/workloads/{W}/present")).json(files(seeds));
        ask(&[2, 51, 51]).expect(200).await;
        assert_eq!(ask(&[2, 51, 52]).expect(403).await.value()["details"]["asked"], 2000);
        set(&env, "acme", json!({ "bytes": 9000 })).await;
        assert_eq!(push_prompt(&env, W, "one", json!({})).await.status, 201);
        ask(&[2]).expect(200).await;
        assert_eq!(ask(&[51]).expect(403).await.value()["details"]["of"], "versions");
    }

    async fn what_is_on_its_way_has_its_room(env: Env) {
        env.namespace("acme").await;
        set(&env, "acme", json!({ "bytes": 1000 })).await;
        let (first, second) = (Session::begin(&env, W).await, Session::begin(&env, W).await);
        assert_eq!(first.chunk(&env, 0, &noise(60, 700)).await.status, 202);
        let refused = second.chunk(&env, 0, &noise(61, 400)).await;
        assert!(is_refused(&refused));
        // What this one asks for is not mixed up with what others have brought.
        assert_eq!(refused.value()["errors"][0]["detail"]["details"], json!({
            "namespace": "acme", "of": "bytes", "used": 0, "under_way": 700, "asked": 400, "allowed": 1000
        }));
        assert!(refused.text().contains("700 more are on their way in other uploads, and this needs 400 more"), "{}", refused.text());
        assert!(is_refused(&put(&env, W, &noise(61, 400)).await));
        assert_eq!(second.chunk(&env, 0, &noise(62, 300)).await.status, 202);
        assert_eq!(first.finish(&env, &Digest::sha256(&noise(60, 700))).await.status, 201);
        assert_eq!(second.finish(&env, &Digest::sha256(&noise(62, 300))).await.status, 201);
    }

    async fn an_upload_that_stands_still_gives_way(env: Env) {
        env.namespace("acme").await;
        set(&env, "acme", json!({ "bytes": 1000 })).await;
        let minutes = |minutes: u64| env.clock.advance(Duration::from_secs(60 * minutes));
        let idle = Session::begin(&env, W).await;
        assert_eq!(idle.chunk(&env, 0, &noise(90, 700)).await.status, 202);
        minutes(14);
        assert!(is_refused(&put(&env, W, &noise(91, 400)).await), "it may go on any moment");
        assert_eq!(used(&env, "acme").await["uploading_bytes"], 700);
        minutes(2);
        // Nobody loses anything to what has no room either way, or needs none of theirs.
        assert!(is_refused(&put(&env, W, &noise(91, 1001)).await));
        assert!(!is_refused(&put(&env, W, &noise(92, 300)).await));
        assert_eq!(used(&env, "acme").await["uploading_bytes"], 700, "it lies in the store");
        assert_eq!(idle.chunk(&env, 700, b"").await.status, 202, "and may go on");
        minutes(16);
        assert!(!is_refused(&put(&env, W, &noise(91, 400)).await));
        assert_eq!((idle.received(&env).await, &used(&env, "acme").await["uploading_bytes"]), (None, &json!(0)));
        assert_eq!(objects(&env).await, (vec![300, 400], 0), "its bytes are gone with it");
        // One that is being written to keeps its room however long that takes.
        let slow = Session::begin(&env, W).await;
        assert_eq!(slow.chunk(&env, 0, &noise(93, 300)).await.status, 202);
        let id = slow.at.rsplit('/').next().unwrap();
        let (mut tx, now) = (env.cx.db.write().await.unwrap(), env.clock.now());
        assert!(db::uploads::lease(&mut tx, id, "somebody", now, now + Duration::from_secs(3600)).await.unwrap());
        tx.commit().await.unwrap();
        minutes(20);
        assert!(is_refused(&put(&env, W, b"y").await));
        minutes(60);
        assert!(!is_refused(&put(&env, W, b"y").await));
    }

    async fn no_more_than_needed_gives_way_and_the_longest_idle_first(env: Env) {
        env.namespace("acme").await;
        set(&env, "acme", json!({ "bytes": 1000 })).await;
        let mut idle = Vec::new();
        for seed in 0..3 {
            let session = Session::begin(&env, W).await;
            assert_eq!(session.chunk(&env, 0, &noise(80 + seed, 300)).await.status, 202);
            env.clock.advance(Duration::from_secs(1));
            idle.push(session);
        }
        env.clock.advance(Duration::from_secs(60 * 20));
        // A stream of unknown length takes their room as it needs it.
        let bytes = noise(85, 600);
        let session = Session::begin(&env, W).await;
        assert_eq!(session.stream(&env, streamed(&bytes, 100)).await.status, 202);
        let mut left = Vec::new();
        for session in &idle {
            left.push(session.received(&env).await);
        }
        assert_eq!(left, [None, None, Some(300)]);
        assert_eq!(session.finish(&env, &Digest::sha256(&bytes)).await.status, 201);
    }

    async fn what_is_sent_with_its_end_needs_room_beside_others(env: Env) {
        env.namespace("acme").await;
        set(&env, "acme", json!({ "bytes": 1000 })).await;
        let first = Session::begin(&env, W).await;
        let second = Session::begin(&env, W).await;
        assert_eq!(first.chunk(&env, 0, &noise(86, 700)).await.status, 202);
        let bytes = noise(87, 400);
        assert!(is_refused(&second.finish_with(&env, &Digest::sha256(&bytes), bytes.clone()).await));
        assert_eq!(second.received(&env).await, Some(0), "nothing of it is kept");
        assert_eq!(first.finish(&env, &Digest::sha256(&noise(86, 700))).await.status, 201);
    }

    async fn what_is_there_needs_no_room_however_little_is_allowed(env: Env) {
        env.namespace("acme").await;
        assert_eq!(push_prompt(&env, W, "one", json!({})).await.status, 201);
        set(&env, "acme", json!({ "bytes": 1, "versions": 1 })).await;
        let again = push_prompt(&env, W, "one", json!({})).await;
        assert_eq!(again.status, 200, "{}", again.text());
        let file = json!({ "digest": Digest::sha256(&files::prompt("one")), "size": files::prompt("one").len() });
        env.call("POST", &format!("/v1/workloads/{W}/present")).json(json!({ "files": [file] })).expect(200).await;
    }

    async fn what_takes_several_questions_is_asked_as_a_sum(env: Env) {
        env.namespace("acme").await;
        let ask = |body: Value| env.call("POST", &format!("/v1/workloads/{W}/present")).json(body);
        let file = |seed: u64| json!({ "digest": Digest::sha256(&noise(seed, 600)), "size": 600 });
        assert!(!is_refused(&put(&env, "acme/y", &noise(95, 600)).await));
        let nothing = json!({ "bytes": 0, "versions": 0 });
        let all = json!({ "files": [file(95), file(96), file(97)], "needs": nothing });
        assert_eq!(ask(all.clone()).expect(200).await.value().get("files"), None, "without a quota none needs room");
        set(&env, "acme", json!({ "bytes": 1000, "versions": 2 })).await;
        let lacking = ask(all).expect(200).await.value()["files"].clone();
        let digests: std::collections::BTreeSet<_> = lacking.as_array().unwrap().iter().map(Value::to_string).collect();
        assert_eq!(digests, [file(96), file(97)].iter().map(Value::to_string).collect());
        for (bytes, versions, of, asked) in [(401, 0, "bytes", 401), (u64::MAX, 0, "bytes", u64::MAX), (0, 3, "versions", 3), (0, u64::MAX, "versions", u64::MAX)] {
            let refused = ask(json!({ "needs": { "bytes": bytes, "versions": versions } })).expect(403).await.value();
            assert_eq!((&refused["details"]["of"], &refused["details"]["asked"]), (&json!(of), &json!(asked)));
        }
        ask(json!({ "needs": { "bytes": 400, "versions": 2 } })).expect(200).await;
        ask(json!({ "needs": { "bytes": 400 } })).expect(400).await;
    }

    async fn what_others_have_is_told_to_who_may_see_it(env: Env) {
        for namespace in ["acme", "other"] {
            env.namespace(namespace).await;
            put(&env, &format!("{namespace}/x"), &noise(70, 100)).await;
        }
        let rita = env.person("rita", "acme", Role::Reader).await;
        env.person("bea", "other", Role::Reader).await;
        let both = env.person("bea", "acme", Role::Reader).await;
        let all = async |token: &str| {
            let shown = env.get("/v1/quotas/acme").token(token).expect(200).await.value();
            let listed = env.get("/v1/quotas").token(token).expect(200).await.value();
            assert_eq!(listed["items"][0]["used"], shown["used"]);
            (shown["used"]["own_bytes"].clone(), shown["used"]["shared_bytes"].clone())
        };
        assert_eq!(all(&env.admin).await, (json!(0), json!(100)));
        assert_eq!(all(&both).await, (json!(0), json!(100)));
        assert_eq!(all(&rita).await, (json!(100), json!(0)), "what is elsewhere is nothing to her");
    }

    async fn an_upload_that_runs_out_of_room_goes_on_once_there_is_some(env: Env) {
        env.namespace("acme").await;
        set(&env, "acme", json!({ "bytes": 1000 })).await;
        let bytes = noise(3, 1500);
        let session = Session::begin(&env, W).await;
        assert_eq!(session.chunk(&env, 0, &bytes[..900]).await.status, 202);
        assert!(is_refused(&session.chunk(&env, 900, &bytes[900..]).await));
        assert_eq!(session.received(&env).await, Some(900), "what was acknowledged is kept");
        assert!(is_refused(&session.finish_with(&env, &Digest::sha256(&bytes), bytes[900..].to_vec()).await));
        assert_eq!(session.received(&env).await, Some(900));
        let now = used(&env, "acme").await;
        assert_eq!((&now["bytes"], &now["uploading_bytes"]), (&json!(0), &json!(900)));
        set(&env, "acme", json!({ "bytes": 1500 })).await;
        assert_eq!(session.chunk(&env, 900, &bytes[900..]).await.status, 202);
        assert_eq!(session.finish(&env, &Digest::sha256(&bytes)).await.status, 201);
        let now = used(&env, "acme").await;
        assert_eq!((&now["bytes"], &now["uploading_bytes"]), (&json!(1500), &json!(0)));
    }

    async fn a_stream_of_unknown_length_stops_where_the_room_ends(env: Env) {
        env.namespace("acme").await;
        set(&env, "acme", json!({ "bytes": 1000 })).await;
        let bytes = noise(4, 3000);
        let session = Session::begin(&env, W).await;
        assert!(is_refused(&session.stream(&env, streamed(&bytes, 300)).await));
        let received = session.received(&env).await.unwrap();
        assert!((600..=1000).contains(&received), "{received}");
        set(&env, "acme", json!({ "bytes": 3000 })).await;
        assert_eq!(session.stream(&env, streamed(&bytes[received..], 300)).await.status, 202);
        assert_eq!(session.finish(&env, &Digest::sha256(&bytes)).await.status, 201);
    }

    async fn many_at_once_do_not_exceed_a_quota_together(env: Env) {
        env.namespace("acme").await;
        set(&env, "acme", json!({ "bytes": 1000 })).await;
        let other = env.replica().await;
        // On SQLite one process has the data.
        let replicas = if env.backend.is_postgres() { [&env, &other] } else { [&env; 2] };
        let all: Vec<Vec<u8>> = (0..8).map(|seed| noise(10 + seed, 300)).collect();
        let sent = join_all(all.iter().enumerate().map(|(at, bytes)| put(replicas[at % 2], W, bytes))).await;
        assert_eq!(sent.iter().filter(|answer| !is_refused(answer)).count(), 3);
        assert_eq!(used(&env, "acme").await["bytes"], 900);
        assert_eq!(objects(&env).await.0, [300, 300, 300], "what was refused is not stored");

        // All have room until the first of them has ended.
        set(&env, "acme", json!({ "bytes": 2100 })).await;
        let mut sessions = Vec::new();
        for seed in 20..24 {
            let (session, bytes) = (Session::begin(&env, W).await, noise(seed, 300));
            assert_eq!(session.chunk(&env, 0, &bytes).await.status, 202);
            sessions.push((session, Digest::sha256(&bytes)));
        }
        set(&env, "acme", json!({ "bytes": 1900 })).await;
        let ended = join_all(sessions.iter().enumerate().map(|(at, (session, digest))| session.finish(replicas[at % 2], digest))).await;
        let refused: Vec<usize> = (0..4).filter(|at| is_refused(&ended[*at])).collect();
        assert_eq!((refused.len(), &used(&env, "acme").await["bytes"]), (1, &json!(1800)));
        let (session, digest) = &sessions[refused[0]];
        assert_eq!(session.received(&env).await, Some(300));
        set(&env, "acme", json!({ "bytes": 2100 })).await;
        assert_eq!(session.finish(&env, digest).await.status, 201);
    }

    async fn own_and_shared_bytes_are_told_apart_and_room_comes_back(env: Env) {
        env.namespace("acme").await;
        env.namespace("other").await;
        let (both, own) = (noise(30, 100), noise(31, 50));
        for (repository, bytes) in [(W, &both), ("acme/y", &both), (W, &own), ("other/z", &both)] {
            assert!(!is_refused(&put(&env, repository, bytes).await));
        }
        let view = |versions: u64, blobs: u64, own: u64, shared: u64, uploading: u64| json!({
            "versions": versions, "blobs": blobs, "bytes": own + shared, "own_bytes": own, "shared_bytes": shared, "uploading_bytes": uploading
        });
        assert_eq!(used(&env, "acme").await, view(0, 2, 50, 100, 0));
        assert_eq!(used(&env, "other").await, view(0, 1, 0, 100, 0));

        // A mount adds to a namespace as an upload does.
        set(&env, "other", json!({ "bytes": 149 })).await;
        let mount = || env.call("POST", &format!("/v2/other/z/blobs/uploads/?mount={}&from={W}", Digest::sha256(&own)));
        assert!(is_refused(&mount().send().await));
        let session = Session::begin(&env, "other/z").await;
        assert_eq!(session.chunk(&env, 0, &noise(32, 40)).await.status, 202);
        assert_eq!(used(&env, "other").await, view(0, 1, 0, 100, 40));
        // What is removed makes room, though nobody subtracts it.
        env.call("DELETE", &format!("/v2/other/z/blobs/{}", Digest::sha256(&both))).expect(202).await;
        assert!(!is_refused(&mount().send().await));
        assert_eq!(used(&env, "other").await, view(0, 1, 0, 50, 40));
        assert_eq!(used(&env, "acme").await, view(0, 2, 100, 50, 0));
    }

    async fn the_same_file_twice_in_a_push_needs_room_once(env: Env) {
        env.namespace("acme").await;
        let (client, home) = (env.client().await, tempfile::tempdir().unwrap());
        let workload = W.parse().unwrap();
        // What is hashed at once, and what is hashed on the way unless there is no room otherwise.
        for (seed, size) in [(100, 200_000), (101, 2_000_000)] {
            let quota = used(&env, "acme").await["bytes"].as_u64().unwrap() + size * 3 / 2;
            set(&env, "acme", json!({ "bytes": quota })).await;
            let names = ["a.bin", "b.bin"];
            let files = |second: u64| {
                names.iter().zip([seed, second]).map(|(name, seed)| {
                    let source = home.path().join(name);
                    std::fs::write(&source, noise(seed, size as usize)).unwrap();
                    Upload { path: name.parse().unwrap(), source, size }
                }).collect::<Vec<_>>()
            };
            let send = async |files| client.upload(&workload, files, &Digests::open(None), Arc::new(|_| {})).await;
            let refused = send(files(seed + 10)).await.err().unwrap();
            assert_eq!((refused.code, &refused.details.unwrap()["asked"]), ("quota_exceeded", &json!(2 * size)));
            let sent = send(files(seed)).await.unwrap();
            let told: Vec<_> = sent.iter().map(|sent| (sent.file.path.as_str(), sent.sent)).collect();
            assert_eq!(told, [("a.bin", true), ("b.bin", false)]);
        }
    }

    async fn versions_are_limited_by_whatever_door_they_come(env: Env) {
        env.namespace("acme").await;
        set(&env, "acme", json!({ "versions": 2 })).await;
        for text in ["one", "two"] {
            assert_eq!(push_prompt(&env, W, text, json!({})).await.status, 201);
        }
        assert!(is_refused(&push_prompt(&env, "acme/y", "three", json!({})).await));
        let again = push_prompt(&env, W, "one", json!({})).await;
        assert_eq!(again.status, 200, "what is a version already is no other one: {}", again.text());
        let manifest = oci::prompt(&env, W, "four").await;
        assert!(is_refused(&oci::put(&env, W, "1.7.0", &manifest).await));
        assert_eq!(oci::put(&env, W, "free", &oci::other(&env, W, "note").await).await.status, 201, "other content is no version");
        let present = env.call("POST", "/v1/workloads/acme/y/present").json(json!({ "sizes": [4711] }));
        assert!(is_refused(&present.send().await));
        assert_eq!(used(&env, "acme").await["versions"], 2);
        assert_eq!(env.get("/v1/workloads/acme/y/versions").expect(404).await.code(), "workload_unknown");

        set(&env, "acme", json!({ "versions": 4 })).await;
        let mut ready = Vec::new();
        for number in 0..6 {
            let workload = format!("acme/w{number}");
            let file = upload(&env, &workload, "a.prompt.yaml", &files::prompt(&format!("w {number}"))).await;
            ready.push((workload, file));
        }
        let pushed = join_all(ready.iter().map(|(workload, file)| push(&env, workload, vec![file.clone()], json!({})))).await;
        assert_eq!(pushed.iter().filter(|answer| !is_refused(answer)).count(), 2);
        assert_eq!(used(&env, "acme").await["versions"], 4);
    }

    async fn admins_of_the_registry_set_quotas_and_readers_see_them(env: Env) {
        env.namespace("acme").await;
        env.namespace("other").await;
        let at = "/v1/quotas/acme";
        for (body, status, code) in [
            (json!({}), 400, "quota_invalid"),
            (json!({ "bytes": 0 }), 400, "quota_invalid"),
            (json!({ "versions": 0, "bytes": 5 }), 400, "quota_invalid"),
            (json!({ "bytes": u64::MAX }), 400, "quota_invalid"),
            (json!({ "bytes": -1 }), 400, "body_invalid"),
            (json!({ "bytes": 1.5 }), 400, "body_invalid"),
            (json!({ "bytes": "10GiB" }), 400, "body_invalid"),
            (json!({ "versions": 1e30 }), 400, "body_invalid"),
        ] {
            assert_eq!(env.call("PUT", at).json(body.clone()).expect(status).await.code(), code, "{body}");
        }
        for method in ["PUT", "DELETE", "GET"] {
            let call = env.call(method, "/v1/quotas/nowhere").json(json!({ "bytes": 1 }));
            assert_eq!(call.expect(404).await.code(), "namespace_unknown", "{method}");
        }
        assert_eq!(env.call("DELETE", at).expect(404).await.code(), "quota_unknown");

        set(&env, "acme", json!({ "bytes": 1000 })).await;
        set(&env, "acme", json!({ "versions": 7 })).await;
        set(&env, "acme", json!({ "bytes": 1000, "versions": 7 })).await;
        let rita = env.person("rita", "acme", Role::Reader).await;
        let own = env.person("adam", "acme", Role::Admin).await;
        let stranger = env.person("strix", "other", Role::Admin).await;
        let shown = env.get(at).token(&rita).expect(200).await.value();
        assert_eq!((&shown["bytes"], &shown["versions"], &shown["set_by"]), (&json!(1000), &json!(7), &json!("admin")));
        let listed = env.get("/v1/quotas").token(&rita).expect(200).await.value();
        assert_eq!(listed["items"], json!([shown]));
        assert_eq!(env.get("/v1/quotas?limit=1").expect(200).await.value()["next"], "acme");
        env.get(at).token(&stranger).expect(403).await;
        for token in [&rita, &own, &stranger] {
            env.call("PUT", at).token(token).json(json!({ "bytes": 5 })).expect(403).await;
            env.call("DELETE", at).token(token).expect(403).await;
        }
        env.call("DELETE", at).expect(204).await;
        assert!(!is_refused(&put(&env, W, &noise(40, 5000)).await));
        let events = env.get("/v1/events?namespace=acme").expect(200).await.value();
        let data: Vec<_> = events["items"].as_array().unwrap().iter().filter(|event| event["kind"].as_str().unwrap().starts_with("quota_")).map(|event| event["data"].clone()).collect();
        assert_eq!(data, [
            json!({ "namespace": "acme", "bytes": 1000, "versions": null }),
            json!({ "namespace": "acme", "bytes": 1000, "versions": 7 }),
            json!({ "namespace": "acme" }),
        ]);
    }
}

#[test]
fn quotas_by_the_command_line() {
    let home = Home::new();
    home.run(&["namespace", "create", "acme"]).expect(0);
    for bad in ["0", "-5", "10XB", "1.5GiB", "", "9999999999PiB"] {
        let refused = home.run(&["quota", "set", "acme", "--bytes", bad]).expect(2);
        assert!(refused.stderr.contains("--bytes") || refused.stderr.contains("-5"), "{bad}: {refused:#?}");
    }
    for arguments in [
        &["quota", "set", "acme"][..],
        &["quota", "set", "acme", "--versions", "0"],
        &["quota", "set", "acme", "--versions", "many"],
        &["quota", "set", "Acme", "--versions", "1"],
    ] {
        home.run(arguments).expect(2);
    }
    let neither = home.run(&["quota", "set", "acme"]).expect(2);
    assert!(neither.stderr.contains("<--bytes <SIZE>|--versions <NUMBER>>"), "{neither:#?}");
    home.run(&["quota", "set", "nowhere", "--bytes", "1GiB"]).expect(7);
    home.run(&["quota", "rm", "acme"]).expect(7);
    let set = home.run(&["quota", "set", "acme", "--bytes", "16B", "--versions", "5"]).expect(0);
    assert!(
        set.stdout.contains("bytes: 0 B of 16 B allowed") && set.stdout.contains("versions: 0 of 5 allowed")
    );
    let refused = home.push("prompts/triage-1.prompt.yaml").expect(8);
    for part in ["[quota_exceeded]", "16 bytes", "gradus quota set acme --bytes"] {
        assert!(refused.stderr.contains(part), "{part}: {refused:#?}");
    }
    let shown: Value =
        serde_json::from_str(&home.run(&["quota", "show", "acme", "--json"]).expect(0).stdout).unwrap();
    assert_eq!((&shown["bytes"], &shown["used"]["bytes"]), (&json!(16), &json!(0)), "nothing was sent");
    assert!(home.run(&["quota", "list"]).expect(0).stdout.contains("16 B"));
    home.run(&["quota", "rm", "acme"]).expect(0);
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    let log = home.run(&["log", "acme"]).expect(0).stdout;
    assert!(
        log.contains("limited acme to 16 B and 5 versions") && log.contains("took the quota of acme away"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_its_way_is_said_to_count() {
    let env = Env::new(Backend::SqliteLocal).await;
    env.namespace("acme").await;
    assert_eq!(Session::begin(&env, W).await.chunk(&env, 0, &noise(110, 700)).await.status, 202);
    let (url, token) = (served(env.router.clone()).await, env.admin.clone());
    let shown = tokio::task::spawn_blocking(move || {
        let home = Home::new();
        let call = home.cli(&["quota", "show", "acme"]);
        call.environment("GRADUS_SERVER", &url).environment("GRADUS_TOKEN", &token).run().expect(0)
    });
    let shown = shown.await.unwrap().stdout;
    assert!(shown.contains("on their way in uploads: 700 B"), "{shown}");
}
