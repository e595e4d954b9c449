//! The log as a Merkle tree: what is changed behind the registry's back is found and named; what is proven holds.

use crate::harness::{Env, backends, files};
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use gradus::model::{
    merkle::{self, Hash},
    note::{Checkpoint, Verifier},
};
use serde_json::{Value, json};
use sqlx::Connection as _;

/// Runs SQL on the database as somebody would who means harm.
async fn tamper(env: &Env, statements: &[&str]) {
    for sql in statements {
        let sql = sqlx::AssertSqlSafe((*sql).to_owned());
        match &env.cx.config.database.url {
            Some(url) => {
                let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            }
            None => {
                let url = format!("sqlite://{}", env.directory.path().join("gradus.db").display());
                let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            }
        }
    }
}

/// Takes the triggers away that keep honest mistakes out.
async fn unguard(env: &Env) {
    match env.backend.is_postgres() {
        true => tamper(env, &["DROP TRIGGER events_keep ON events"]).await,
        false => {
            tamper(
                env,
                &["DROP TRIGGER events_keep", "DROP TRIGGER events_stay", "DROP TRIGGER events_are_new"],
            )
            .await
        }
    }
}

async fn verify(env: &Env, checkpoint: Option<&str>) -> Value {
    env.call("POST", "/v1/log/verify").json(json!({ "checkpoint": checkpoint })).expect(200).await.value()
}

async fn checkpoint(env: &Env) -> String {
    env.get("/v1/log/checkpoint").expect(200).await.text()
}

async fn open(env: &Env, note: &str) -> Checkpoint {
    let key: Verifier = env.get("/v1/log/key").expect(200).await.text().parse().unwrap();
    key.open(note).unwrap()
}

/// A log of `count` more events, each of a transaction of its own.
async fn fill(env: &Env, count: usize) {
    for number in 0..count {
        env.call("POST", "/v1/users")
            .json(json!({ "name": format!("user-{number}"), "kind": "person" }))
            .expect(201)
            .await;
    }
}

async fn entries(env: &Env) -> Vec<Vec<u8>> {
    let mut tx = env.cx.db.read().await.unwrap();
    let rows = gradus::db::log::entries(&mut tx, 0, 100_000).await.unwrap();
    rows.into_iter().map(|(_, bytes, _)| bytes).collect()
}

fn hashes(values: &Value) -> Vec<Hash> {
    values
        .as_array()
        .unwrap()
        .iter()
        .map(|hash| BASE64.decode(hash.as_str().unwrap()).unwrap().try_into().unwrap())
        .collect()
}

backends! {
    async fn what_was_changed_is_found_and_named(env: Env) {
        env.namespace("acme").await;
        files::push_prompt(&env, "acme/x", "one", json!({})).await;
        fill(&env, 20).await;
        let whole = verify(&env, None).await;
        assert_eq!(whole["first_bad"], Value::Null, "{whole}");
        assert_eq!(whole["size"], entries(&env).await.len());
        let kept = checkpoint(&env).await;
        unguard(&env).await;
        let original = "CREATE TABLE kept AS SELECT * FROM events";
        tamper(&env, &[original]).await;
        let restore = ["DELETE FROM events", "INSERT INTO events SELECT * FROM kept"];
        for (harm, position) in [
            (&["UPDATE events SET bytes = (SELECT bytes FROM events WHERE position = 9) WHERE position = 8"][..], 8),
            (&["DELETE FROM events WHERE position = 12"], 12),
            (&["UPDATE events SET bytes = (SELECT bytes FROM events WHERE position = 9) WHERE position = 8", "DELETE FROM events WHERE position = 12"], 8),
            (&["UPDATE events SET position = -1 WHERE position = 6", "UPDATE events SET position = 6 WHERE position = 7", "UPDATE events SET position = 7 WHERE position = -1"], 6),
            (&["DELETE FROM events WHERE position >= 20"], 20),
            (&["UPDATE events SET checkpoint = (SELECT checkpoint FROM events WHERE position = 10) WHERE position = 24"], 24),
            // Signed together with two others: the first of them is named.
            (&["UPDATE events SET bytes = (SELECT bytes FROM events WHERE position = 9) WHERE position = 1"], 0),
        ] {
            tamper(&env, harm).await;
            let report = verify(&env, None).await;
            assert_eq!(report["first_bad"]["position"], position, "{harm:?}: {report}");
            let report = verify(&env, Some(&kept)).await;
            assert_eq!(report["first_bad"]["position"], position, "{harm:?}, with a checkpoint: {report}");
            tamper(&env, &restore).await;
            assert_eq!(verify(&env, None).await["first_bad"], Value::Null, "{harm:?}");
        }
    }

    async fn an_old_state_is_found_by_who_kept_a_later_checkpoint(env: Env) {
        env.namespace("acme").await;
        fill(&env, 3).await;
        let early = checkpoint(&env).await;
        unguard(&env).await;
        tamper(&env, &["CREATE TABLE kept_head AS SELECT * FROM log_head"]).await;
        fill_more(&env).await;
        let late = checkpoint(&env).await;
        for kept in [&early, &late] {
            assert_eq!(verify(&env, Some(kept)).await["first_bad"], Value::Null);
        }
        let size = open(&env, &early).await.size;
        tamper(&env, &[
            &format!("DELETE FROM events WHERE position >= {size}"),
            "DELETE FROM log_head",
            "INSERT INTO log_head SELECT * FROM kept_head",
        ]).await;
        assert_eq!(verify(&env, None).await["first_bad"], Value::Null, "the old state was a good one");
        assert_eq!(verify(&env, Some(&early)).await["first_bad"], Value::Null);
        let report = verify(&env, Some(&late)).await;
        assert_eq!(report["first_bad"]["position"], size, "{report}");
        let forged = late.replacen(&open(&env, &late).await.size.to_string(), "3", 1);
        let refused = env.call("POST", "/v1/log/verify").json(json!({ "checkpoint": forged })).expect(400).await;
        assert_eq!(refused.code(), "checkpoint_invalid");
    }

    async fn proofs_and_tiles_hold_across_a_full_tile(env: Env) {
        env.namespace("acme").await;
        let early = open(&env, &checkpoint(&env).await).await;
        fill(&env, 300).await;
        let late = open(&env, &checkpoint(&env).await).await;
        let all = entries(&env).await;
        assert_eq!(late.size, all.len() as u64);
        for position in [0, 3, 100, 255, 256, late.size - 1] {
            let proof = env.get(&format!("/v1/log/proof/{position}")).expect(200).await.value();
            let (head, note) = proof["proof"].as_str().unwrap().split_once("\n\n").unwrap();
            let at = open(&env, note).await;
            let lines: Vec<&str> = head.lines().collect();
            assert_eq!(&lines[..2], ["c2sp.org/tlog-proof@v1", &format!("index {position}")]);
            let path = hashes(&json!(lines[2..]));
            let entry = proof["entry"].as_str().unwrap().as_bytes();
            assert_eq!(entry, all[position as usize]);
            assert!(merkle::verify_inclusion(merkle::leaf(entry), position, at.size, &path, &at.root), "{position}");
        }
        env.get(&format!("/v1/log/proof/{}", late.size)).expect(404).await;

        let path = format!("/v1/log/consistency?from={}&to={}", early.size, late.size);
        let proof = hashes(&env.get(&path).expect(200).await.value()["hashes"]);
        assert!(merkle::verify_consistency((early.size, early.root), (late.size, late.root), &proof));

        let leaves: Vec<u8> = all.iter().flat_map(|entry| merkle::leaf(entry)).collect();
        assert_eq!(env.get("/v1/log/tile/0/000").expect(200).await.bytes, leaves[..256 * 32]);
        let rest = all.len() - 256;
        assert_eq!(env.get(&format!("/v1/log/tile/0/001.p/{rest}")).expect(200).await.bytes, leaves[256 * 32..]);
        assert_eq!(env.get("/v1/log/tile/1/000.p/1").expect(200).await.bytes.len(), 32);
        for missing in ["0/001", "1/000", "0/002.p/1", "entries/001", "0/1"] {
            env.get(&format!("/v1/log/tile/{missing}")).expect(404).await;
        }
        let bundle = env.get("/v1/log/tile/entries/000").expect(200).await.bytes;
        let mut expected = Vec::new();
        for entry in &all[..256] {
            expected.extend(u16::try_from(entry.len()).unwrap().to_be_bytes());
            expected.extend(entry);
        }
        assert_eq!(bundle, expected);
    }
}

async fn fill_more(env: &Env) {
    for name in ["later-a", "later-b"] {
        env.call("POST", "/v1/users").json(json!({ "name": name, "kind": "person" })).expect(201).await;
    }
}
