//! What goes and what stays: garbage collection beside running pushes, rot found and healed, the map rebuilt.

use crate::harness::{
    Answer, Env, all_backends,
    files::{noise, prompt, push, push_prompt, upload},
    session::{Session, objects, sql},
};
use bytes::Bytes;
use chrono::Utc;
use gradus::{
    blobs::{Key, Resume, Store},
    clock::Clock as _,
    db,
    model::digest::{Algorithm, Digest},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

const MIB: usize = 1024 * 1024;
const R: &str = "acme/triage";
const HOUR: Duration = Duration::from_secs(3600);

async fn gc(env: &Env, body: Value) -> Value {
    env.call("POST", "/v1/gc").json(body).expect(200).await.value()
}

async fn scrub(env: &Env, reindex: bool) -> Value {
    env.call("POST", "/v1/scrub").json(json!({ "reindex": reindex })).expect(200).await.value()
}

async fn get(env: &Env, digest: &Digest) -> Answer {
    env.get(&format!("/v2/{R}/blobs/{digest}")).send().await
}

async fn blob(env: &Env, bytes: &[u8]) -> Digest {
    upload(env, R, "f", bytes).await["digest"].as_str().unwrap().parse().unwrap()
}

fn store(env: &Env) -> Arc<Store> {
    env.cx.stores.default_store().clone()
}

async fn key_of(env: &Env, digest: &Digest) -> Key {
    let mut tx = env.cx.db.read().await.unwrap();
    db::blobs::find(&mut tx, &store(env).name, digest).await.unwrap().unwrap().key.parse().unwrap()
}

/// Writes an object behind the registry's back.
async fn write_object(env: &Env, key: Key, bytes: &[u8]) {
    let mut writer = store(env).writer(key, Resume::new(Algorithm::Sha256)).await.unwrap();
    writer.write(Bytes::copy_from_slice(bytes)).await.unwrap();
    writer.finish().await.unwrap();
}

/// The registry's clock goes to the time of the store's own clock, and some beyond.
fn catch_up(env: &Env, and: Duration) {
    let there = Utc::now() + and;
    env.clock.advance((there - env.clock.now()).to_std().expect("the clock goes forward"));
}

/// Every file of every version can be read and is what its digest says.
async fn assert_all_whole(env: &Env) -> usize {
    let listed = env.get(&format!("/v1/workloads/{R}/versions?limit=1000")).expect(200).await.value();
    let versions = listed["items"].as_array().unwrap();
    for version in versions {
        let number = version["version"].as_str().unwrap();
        let shown = env.get(&format!("/v1/workloads/{R}/versions/{number}")).expect(200).await.value();
        for file in shown["files"].as_array().unwrap() {
            let digest: Digest = file["digest"].as_str().unwrap().parse().unwrap();
            let got = get(env, &digest).await;
            assert_eq!((got.status.as_u16(), Digest::sha256(&got.bytes)), (200, digest), "{number} {file}");
        }
    }
    versions.len()
}

all_backends! {
    async fn unused_blobs_go_after_the_grace_period_and_only_when_told(env: Env) {
        env.namespace("acme").await;
        push_prompt(&env, R, "kept", json!({})).await;
        let kept = objects(&env).await.0.len();
        let loose = blob(&env, &noise(1, 9 * MIB)).await;
        let asked_for = blob(&env, b"asked for").await;
        assert_eq!(gc(&env, json!({ "delete": true })).await["links"], 0, "all is young");

        env.clock.advance(23 * HOUR);
        env.call("HEAD", &format!("/v2/{R}/blobs/{asked_for}")).expect(200).await;
        env.clock.advance(2 * HOUR);
        let dry = gc(&env, json!({})).await;
        assert_eq!((&dry["deleted"], &dry["links"]), (&json!(false), &json!(1)));
        assert_eq!(get(&env, &loose).await.status, 200, "a dry run changes nothing");
        let done = gc(&env, json!({ "delete": true })).await;
        assert_eq!((&done["deleted"], &done["links"], &done["blobs"], &done["bytes"]), (&json!(true), &json!(1), &json!(1), &json!(9 * MIB)));
        assert_eq!((get(&env, &loose).await.status.as_u16(), get(&env, &asked_for).await.status.as_u16()), (404, 200));
        assert_eq!(objects(&env).await.0.len(), kept + 1);
        let log = env.get("/v1/events?kind=garbage_collected").expect(200).await.value();
        assert_eq!(log["items"][0]["data"]["bytes"], json!(9 * MIB));

        assert_eq!(gc(&env, json!({ "grace_hours": 1, "delete": true })).await["links"], 1, "a shorter period for once");
        assert_eq!(objects(&env).await.0.len(), kept);
        assert_all_whole(&env).await;
        blob(&env, &noise(1, 9 * MIB)).await;
        assert_eq!(get(&env, &loose).await.status, 200, "what was collected can come again");
    }

    async fn idle_uploads_are_swept_with_what_was_staged(env: Env) {
        env.namespace("acme").await;
        let idle = Session::begin(&env, R).await;
        idle.chunk(&env, 0, &noise(2, 9 * MIB)).await;
        env.clock.advance(25 * HOUR);
        let active = Session::begin(&env, R).await;
        active.chunk(&env, 0, b"going on").await;
        assert_eq!(gc(&env, json!({})).await["uploads"], 1);
        assert_eq!(idle.received(&env).await, Some(9 * MIB));
        assert_eq!(gc(&env, json!({ "delete": true })).await["uploads"], 1);
        assert_eq!((idle.received(&env).await, active.received(&env).await), (None, Some(8)));
        assert_eq!(active.finish(&env, &Digest::sha256(b"going on")).await.status, 201);
        assert_eq!(objects(&env).await, (vec![8], 0));
    }

    async fn an_object_without_a_row_is_swept_only_after_an_hour(env: Env) {
        env.namespace("acme").await;
        push_prompt(&env, R, "kept", json!({})).await;
        let kept = objects(&env).await;
        write_object(&env, Key::new(uuid::Uuid::now_v7()), b"nobody's").await;
        let mut staged = store(&env).writer(Key::new(uuid::Uuid::now_v7()), Resume::new(Algorithm::Sha256)).await.unwrap();
        staged.write(Bytes::from_static(b"staged")).await.unwrap();
        staged.checkpoint().await.unwrap();
        staged.close().await.unwrap();
        let everything = json!({ "grace_hours": 0, "delete": true });
        catch_up(&env, Duration::from_secs(1800));
        assert_eq!(gc(&env, everything.clone()).await["orphans"], 0, "its row may be about to come");
        catch_up(&env, 2 * HOUR);
        assert_eq!(gc(&env, everything.clone()).await["orphans"], 2);
        assert_eq!(objects(&env).await, kept);
        assert_eq!(gc(&env, everything).await["orphans"], 0);
        assert_all_whole(&env).await;
    }

    async fn pushes_survive_a_collector_that_never_rests(env: Env) {
        env.namespace("acme").await;
        let collector = env.replica().await;
        // Without a grace period a collector can starve a push for ever; then it has to rest for one try.
        let rest = Arc::new(tokio::sync::Mutex::new(()));
        let resting = rest.clone();
        let (stop, mut stopped) = tokio::sync::watch::channel(false);
        let collecting = tokio::spawn(async move {
            while !*stopped.borrow_and_update() {
                let _working = resting.lock().await;
                collector.clock.advance(Duration::from_secs(1));
                gc(&collector, json!({ "grace_hours": 0, "delete": true })).await;
            }
        });
        for number in 0..15 {
            let mut tries = 0;
            loop {
                let _alone = if tries < 20 { None } else { Some(rest.lock().await) };
                let content = prompt(&format!("number {number}"));
                let digest = Digest::sha256(&content);
                let at = format!("/v2/{R}/blobs/uploads/?digest={digest}");
                let mut answer = env.call("POST", &at).body(content.clone()).send().await;
                if answer.status == 201 {
                    let file = json!({ "path": "a.prompt.yaml", "digest": digest, "size": content.len() });
                    answer = push(&env, R, vec![file], json!({ "version": format!("1.0.{number}") })).await;
                }
                if answer.status.is_success() {
                    break;
                }
                let honest = ["file_missing", "blob_unknown", "manifest_blob_unknown", "database_busy", "blob_moved"];
                assert!(honest.contains(&answer.code().as_str()), "{}", answer.text());
                tries += 1;
                assert!(tries <= 20, "the push never got through: {}", answer.text());
            }
        }
        stop.send(true).unwrap();
        collecting.await.unwrap();
        assert_eq!(assert_all_whole(&env).await, 15);
        assert_eq!(scrub(&env, false).await["rotten"], json!([]));
    }

    async fn rot_is_found_quarantined_and_healed_by_another_push(env: Env) {
        env.namespace("acme").await;
        let whole = noise(3, 9 * MIB);
        let contents = [whole.clone(), noise(4, 5000), noise(5, 6000), noise(6, 70)];
        let mut digests = Vec::new();
        for content in &contents {
            digests.push(blob(&env, content).await);
        }
        assert_eq!(scrub(&env, false).await, json!({ "checked": 4, "bytes": 9 * MIB + 11_070, "rotten": [], "restored": [], "reindexed": 0 }));

        let mut flipped = whole.clone();
        flipped[8 * MIB + 3] ^= 1;
        write_object(&env, key_of(&env, &digests[0]).await, &flipped).await;
        write_object(&env, key_of(&env, &digests[1]).await, &contents[1][..4999]).await;
        store(&env).delete(key_of(&env, &digests[2]).await).await.unwrap();
        // What is short or gone is known at once, before any scrub.
        for (digest, code) in [(&digests[1], "object_truncated"), (&digests[2], "object_missing")] {
            let answer = get(&env, digest).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (500, code));
        }

        let report = scrub(&env, false).await;
        let mut found: Vec<(String, Value)> = report["rotten"].as_array().unwrap().iter()
            .map(|rotten| (rotten["digest"].as_str().unwrap().to_owned(), rotten["found"].clone())).collect();
        found.sort_by_key(|(digest, _)| digests.iter().position(|known| known.as_str() == digest));
        assert_eq!(found, [
            (digests[0].to_string(), json!(Digest::sha256(&flipped))),
            (digests[1].to_string(), json!(Digest::sha256(&contents[1][..4999]))),
            (digests[2].to_string(), Value::Null),
        ]);
        let log = env.get("/v1/events?kind=blob_quarantined").expect(200).await.value();
        assert_eq!(log["items"].as_array().unwrap().len(), 3);
        for digest in &digests[..3] {
            let answer = get(&env, digest).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (500, "blob_rotten"));
            env.call("HEAD", &format!("/v2/{R}/blobs/{digest}")).expect(404).await;
        }
        assert_eq!(get(&env, &digests[3]).await.status, 200);
        assert_eq!(scrub(&env, false).await["rotten"].as_array().unwrap().len(), 3, "still there, told again");

        for (content, digest) in contents.iter().zip(&digests) {
            blob(&env, content).await;
            assert!(get(&env, digest).await.bytes == *content);
        }
        assert_eq!(scrub(&env, false).await["rotten"], json!([]));
        assert_eq!(objects(&env).await.0.len(), 4, "the rotten objects are gone");
    }

    async fn a_blob_whose_bytes_come_back_is_restored(env: Env) {
        env.namespace("acme").await;
        let digest = blob(&env, b"good bytes").await;
        let key = key_of(&env, &digest).await;
        write_object(&env, key, b"evil bytes").await;
        assert_eq!(scrub(&env, false).await["rotten"].as_array().unwrap().len(), 1);
        write_object(&env, key, b"good bytes").await;
        let report = scrub(&env, false).await;
        assert_eq!((&report["rotten"], &report["restored"]), (&json!([]), &json!([digest])));
        assert_eq!(get(&env, &digest).await.status, 200);
    }

    async fn the_map_is_rebuilt_from_the_bytes(env: Env) {
        env.namespace("acme").await;
        let mut digests = Vec::new();
        let contents: Vec<Vec<u8>> = [(7, 1000), (8, 1000), (9, 2000), (10, 3000), (11, 9 * MIB), (12, 50)].map(|(seed, length)| noise(seed, length)).to_vec();
        for content in &contents {
            digests.push(blob(&env, content).await);
        }
        let rotten = key_of(&env, &digests[5]).await;
        write_object(&env, rotten, &noise(13, 50)).await;
        // Two of the same size and two of different sizes change places, one row is lost.
        for (one, other) in [(0, 1), (2, 3)] {
            let (a, b) = (key_of(&env, &digests[one]).await, key_of(&env, &digests[other]).await);
            for (digest, key) in [(&digests[one], "aside".to_owned()), (&digests[other], a.to_string()), (&digests[one], b.to_string())] {
                assert_eq!(sql(&env, &format!("UPDATE blobs SET key = '{key}' WHERE digest = '{digest}'")).await, 1);
            }
        }
        assert_eq!(sql(&env, &format!("DELETE FROM blobs WHERE digest = '{}'", digests[4])).await, 1);
        assert_ne!(get(&env, &digests[0]).await.bytes, contents[0]);
        assert_eq!(get(&env, &digests[4]).await.status, 404);

        // An object without a row is taken for one that is still on its way while it is young.
        assert!(scrub(&env, true).await["reindexed"].as_u64().unwrap() >= 2);
        assert_eq!(get(&env, &digests[4]).await.status, 404);
        catch_up(&env, 2 * HOUR);
        let report = scrub(&env, true).await;
        assert!(report["reindexed"].as_u64().unwrap() >= 1, "{report}");
        assert_eq!(report["rotten"].as_array().unwrap().len(), 1, "{report}");
        assert_eq!((&report["rotten"][0]["digest"], &report["rotten"][0]["found"]), (&json!(digests[5]), &json!(Digest::sha256(&noise(13, 50)))));
        for (content, digest) in contents.iter().zip(&digests).take(5) {
            let answer = get(&env, digest).await;
            assert!(answer.status == 200 && answer.bytes == *content, "{digest}");
        }
        assert_eq!(scrub(&env, true).await["reindexed"], 0, "nothing is left to do");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_went_before_it_failed_is_told_of() {
    let env = Env::new(crate::harness::Backend::SqliteLocal).await;
    env.namespace("acme").await;
    let mut loose = [noise(1, 5000), noise(2, 6000)];
    loose.sort_by_key(|bytes| Digest::sha256(bytes).to_string());
    for bytes in &loose {
        blob(&env, bytes).await;
    }
    // The object of the second cannot be deleted.
    let object = crate::harness::session::object_file(&env, loose[1].len() as u64);
    std::fs::remove_file(&object).unwrap();
    std::fs::create_dir(&object).unwrap();
    env.clock.advance(HOUR);
    let failed = env.call("POST", "/v1/gc").json(json!({ "delete": true, "grace_hours": 0 })).send().await;
    assert!(failed.status.is_server_error(), "{}", failed.text());
    let log = env.get("/v1/events?kind=garbage_collected").expect(200).await.value();
    assert_eq!(log["items"][0]["data"]["bytes"], json!(loose[0].len()), "{log}");
}
