//! Logs that programs of schema 2 began. What they kept of a checkpoint is bare: root and signature, no seal. It is read as it
//! is and never written anew, so that whatever was changed there still shows.

use super::{
    audit::{checkpoint, fill, fill_more, open, tamper, unguard, verify},
    upgrades::{fixture, load, place, run},
};
use crate::harness::{Backend, Env, backends, files, home::Home};
use gradus::{
    db::log,
    model::{access::PrincipalKind, event::Change},
    ops::start::fill_latest,
};
use serde_json::{Value, json};
use std::time::Duration;

/// Makes the log what a program of schema 2 would have left of it.
async fn make_bare(env: &Env) {
    unguard(env).await;
    let bare = "UPDATE events SET checkpoint = SUBSTR(checkpoint, 2, 96)";
    tamper(env, &[bare, "UPDATE log_head SET latest = NULL"]).await;
}

/// What a program of today does first.
async fn start(env: &Env) {
    let mut tx = env.cx.db.write().await.unwrap();
    fill_latest(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
}

async fn rows(env: &Env) -> Vec<(i64, Vec<u8>, Option<Vec<u8>>)> {
    log::entries(&mut env.cx.db.read().await.unwrap(), 0, 100_000).await.unwrap()
}

fn literal(is_postgres: bool, bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    if is_postgres { format!(r"'\x{digits}'") } else { format!("x'{digits}'") }
}

backends! {
    async fn they_are_read_as_they_are_and_the_log_goes_on(env: Env) {
        env.namespace("acme").await;
        files::push_prompt(&env, "acme/x", "one", json!({})).await;
        fill(&env, 300).await;
        let before = checkpoint(&env).await;
        let proof = env.get("/v1/log/proof/3").expect(200).await.text();
        make_bare(&env).await;
        let report = verify(&env, None).await;
        let missing = report["first_bad"]["reason"].as_str().unwrap_or_default().contains("log_head.latest");
        assert!(missing, "whoever takes all seals and the time away is found: {report}");
        start(&env).await;
        let old = rows(&env).await;
        assert!(old.iter().flat_map(|(_, _, kept)| kept).all(|kept| kept.len() == 96));
        assert_eq!(verify(&env, None).await["first_bad"], Value::Null);
        assert_eq!(checkpoint(&env).await, before);
        assert_eq!(env.get("/v1/log/proof/3").expect(200).await.text(), proof);
        // The clock was put back meanwhile, and a program that kept the time from there on only has gone on.
        tamper(&env, &["UPDATE log_head SET latest = NULL"]).await;
        let at = gradus::clock::Clock::now(&*env.clock) - Duration::from_secs(3600);
        let mut tx = env.cx.db.write().await.unwrap();
        let change = Change::UserAdded { user: "earlier".parse().unwrap(), kind: PrincipalKind::Person };
        log::append(&mut tx, at, &"admin".parse().unwrap(), vec![change]).await.unwrap();
        tx.commit().await.unwrap();
        for known in [None, Some(&*before)] {
            assert_eq!(verify(&env, known).await["first_bad"], Value::Null);
        }
        fill_more(&env).await;
        let after = checkpoint(&env).await;
        for known in [None, Some(&*before), Some(&*after)] {
            assert_eq!(verify(&env, known).await["first_bad"], Value::Null);
        }
        let rows = rows(&env).await;
        assert_eq!(rows[..old.len()], old[..], "they stay as they were");
        assert!(rows[old.len()..].iter().flat_map(|(_, _, kept)| kept).all(|kept| kept.len() == 113));
    }

    async fn what_is_changed_among_them_is_found(env: Env) {
        env.namespace("acme").await;
        fill(&env, 300).await;
        make_bare(&env).await;
        start(&env).await;
        let end = open(&env, &checkpoint(&env).await).await.size;
        fill_more(&env).await;
        let rows = rows(&env).await;
        tamper(&env, &["CREATE TABLE kept AS SELECT * FROM events"]).await;
        let literal = |bytes: &[u8]| literal(env.backend.is_postgres(), bytes);
        let kept = |position: usize| rows[position].2.clone().unwrap();
        let put = |position: usize, bytes: &[u8]| {
            format!("UPDATE events SET checkpoint = {} WHERE position = {position}", literal(bytes))
        };
        let flipped = |position: usize, index: usize| {
            let mut bytes = kept(position);
            bytes[index] ^= 1;
            put(position, &bytes)
        };
        let beside = [kept(30), kept(31)].concat();
        let harms = vec![
            ("UPDATE events SET bytes = (SELECT bytes FROM events WHERE position = 9) WHERE position = 8".to_owned(), 8),
            ("DELETE FROM events WHERE position = 12".to_owned(), 12),
            (flipped(20, 0), 20),
            (flipped(21, 32), 21),
            (flipped(22, 95), 22),
            (put(23, &kept(24)), 23),
            (put(25, &kept(25)[..95]), 25),
            (put(26, &[&[0], &kept(26)[..]].concat()), 26),
            (put(27, &[&[1], &kept(27)[..]].concat()), 27),
            (put(28, &[&b"1000000096"[..], &kept(28)].concat()), 28),
            (put(29, &[&[1], &kept(29)[..], &[0; 16]].concat()), 29),
            // Two in one place read no better than they would one after the other.
            (format!("{}; {}", put(30, &beside), put(31, &[])), 30),
            // Nobody signed that anew.
            (format!("{}; {}", flipped(299, 40), "UPDATE events SET bytes = (SELECT bytes FROM events WHERE position = 298) WHERE position = 297"), 297),
            // The next one has a seal, which says where what is signed with it begins.
            (format!("UPDATE events SET checkpoint = NULL WHERE position = {}", end - 1), end),
            // After one with a seal there are no bare ones.
            (format!("UPDATE events SET checkpoint = SUBSTR(checkpoint, 2, 96) WHERE position = {}", end + 1), end + 1),
        ];
        for (harm, position) in harms {
            tamper(&env, &[&harm]).await;
            let report = verify(&env, None).await;
            assert_eq!(report["first_bad"]["position"], position, "{harm}: {report}");
            tamper(&env, &["DELETE FROM events", "INSERT INTO events SELECT * FROM kept"]).await;
            assert_eq!(verify(&env, None).await["first_bad"], Value::Null, "{harm}");
        }
    }

    async fn damage_among_them_can_be_accepted(env: Env) {
        env.namespace("acme").await;
        fill(&env, 300).await;
        let known = checkpoint(&env).await;
        make_bare(&env).await;
        start(&env).await;
        let short = literal(env.backend.is_postgres(), &[1, 2]);
        tamper(&env, &[&format!("UPDATE events SET checkpoint = {short} WHERE position = 40")]).await;
        assert_eq!(verify(&env, None).await["first_bad"]["position"], 40);
        let body = json!({ "checkpoint": known, "reason": "the disk died", "accept_damage": true });
        let done = env.call("POST", "/v1/log/recover").json(body).expect(200).await.value();
        assert_eq!((&done["epoch"], &done["damage"]["position"]), (&json!(2), &json!(40)), "{done}");
        fill_more(&env).await;
        assert_eq!(verify(&env, None).await["first_bad"], Value::Null);
        tamper(&env, &["CREATE TABLE kept AS SELECT * FROM events"]).await;
        for (harm, position) in [
            ("UPDATE events SET checkpoint = (SELECT checkpoint FROM kept WHERE position = 31) WHERE position = 30", 30),
            ("UPDATE events SET checkpoint = NULL WHERE position = 40", 40),
            ("UPDATE events SET checkpoint = (SELECT checkpoint FROM kept WHERE position = 51) WHERE position = 50", 40),
        ] {
            tamper(&env, &[harm]).await;
            let report = verify(&env, None).await;
            assert_eq!(report["first_bad"]["position"], position, "{harm}: {report}");
            tamper(&env, &["DELETE FROM events", "INSERT INTO events SELECT * FROM kept"]).await;
            assert_eq!(verify(&env, None).await["first_bad"], Value::Null, "{harm}");
        }
    }
}

/// What a program of schema 2 really left: changed before it is opened for the first time, and after it went on.
async fn changed_fixtures_are_found(is_postgres: bool) {
    let folder = fixture("2");
    for goes_on in [false, true] {
        for (harm, position) in [
            ("UPDATE events SET bytes = (SELECT bytes FROM kept WHERE position = 5) WHERE position = 4", 4),
            (
                "UPDATE events SET checkpoint = (SELECT checkpoint FROM kept WHERE position = 5) WHERE position = 4",
                4,
            ),
        ] {
            let home = Home::new();
            let at = home.path("fixture");
            let (_, url) = place(&folder, is_postgres, &at).await;
            if goes_on {
                run(&home, &at, &["user", "add", "later"]).expect(0);
            }
            let off =
                if is_postgres { "DROP TRIGGER events_keep ON events" } else { "DROP TRIGGER events_keep" };
            let harm = format!("{off}; CREATE TABLE kept AS SELECT * FROM events; {harm}; DROP TABLE kept");
            load(&url, &harm).await;
            let found = run(&home, &at, &["audit", "verify"]).expect(6);
            assert!(
                found.stderr.contains(&format!("from entry {position} on")),
                "{goes_on} {harm}: {found:#?}"
            );
            // Going on makes nothing good.
            run(&home, &at, &["user", "add", "still-later"]).expect(0);
            let found = run(&home, &at, &["audit", "verify"]).expect(6);
            assert!(
                found.stderr.contains(&format!("from entry {position} on")),
                "{goes_on} {harm}: {found:#?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_in_a_registry_of_schema_2_is_found_on_sqlite() {
    changed_fixtures_are_found(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_in_a_registry_of_schema_2_is_found_on_postgresql() {
    if Backend::PostgresS3.is_there() {
        changed_fixtures_are_found(true).await;
    }
}
