//! The log as a Merkle tree: what is changed behind the registry's back is found and named; what is proven holds.

use crate::harness::{Env, backends, files, oci};
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use gradus::model::{
    access::Role,
    merkle::{self, Hash},
    note::{Checkpoint, Verifier},
};
use serde_json::{Value, json};
use sqlx::Connection as _;

/// Runs SQL on the database as somebody would who means harm.
pub async fn tamper(env: &Env, statements: &[&str]) {
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
pub async fn unguard(env: &Env) {
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

pub async fn verify(env: &Env, checkpoint: Option<&str>) -> Value {
    env.call("POST", "/v1/log/verify").json(json!({ "checkpoint": checkpoint })).expect(200).await.value()
}

pub async fn checkpoint(env: &Env) -> String {
    env.get("/v1/log/checkpoint").expect(200).await.text()
}

pub async fn open(env: &Env, note: &str) -> Checkpoint {
    let key: Verifier = env.get("/v1/log/key").expect(200).await.text().parse().unwrap();
    key.open(note).unwrap()
}

/// A log of `count` more events, each of a transaction of its own.
pub async fn fill(env: &Env, count: usize) {
    for number in 0..count {
        env.call("POST", "/v1/users")
            .json(json!({ "name": format!("user-{number}"), "kind": "person" }))
            .expect(201)
            .await;
    }
}

pub async fn entries(env: &Env) -> Vec<Vec<u8>> {
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

    async fn what_is_kept_beside_the_entries_is_checked_too(env: Env) {
        env.namespace("acme").await;
        files::push_prompt(&env, "acme/x", "one", json!({})).await;
        let manifest = oci::other(&env, "acme/x", "gone").await;
        let digest = oci::digest_of(&manifest);
        oci::put(&env, "acme/x", "gone", &manifest).await;
        env.call("DELETE", &format!("/v2/acme/x/manifests/{digest}")).expect(202).await;
        fill(&env, 300).await;
        unguard(&env).await;
        tamper(&env, &["CREATE TABLE kept AS SELECT * FROM events", "CREATE TABLE kept_tiles AS SELECT * FROM log_tiles", "CREATE TABLE kept_head AS SELECT * FROM log_head", "CREATE TABLE kept_documents AS SELECT * FROM documents", "CREATE TABLE kept_manifests AS SELECT * FROM manifest_bytes"]).await;
        // What was deleted by the rules is no damage.
        tamper(&env, &[&format!("DELETE FROM manifests WHERE digest = '{digest}'"), &format!("DELETE FROM manifest_bytes WHERE digest = '{digest}'")]).await;
        assert_eq!(verify(&env, None).await["first_bad"], Value::Null);
        let size = verify(&env, None).await["size"].as_u64().unwrap();
        let other = if env.backend.is_postgres() { r"'\x0102'" } else { "x'0102'" };
        let later = if env.backend.is_postgres() { "TIMESTAMPTZ '2099-01-01T00:00:00Z'" } else { "'2099-01-01T00:00:00Z'" };
        let unlink = match env.backend.is_postgres() {
            true => "ALTER TABLE manifest_bytes DISABLE TRIGGER ALL",
            false => "PRAGMA foreign_keys = OFF",
        };
        for (harm, position, says) in [
            (format!("UPDATE events SET checkpoint = {other} WHERE position = 30"), 30, "checkpoint kept"),
            ("UPDATE events SET checkpoint = NULL WHERE position = 40".to_owned(), 41, "one before it"),
            (format!("UPDATE log_tiles SET hashes = {other}"), 0, "tile 0/0 "),
            ("DELETE FROM log_tiles".to_owned(), 0, "is missing"),
            (format!("INSERT INTO log_tiles VALUES (0, 9, {other})"), size, "too short for: 0/9"),
            ("UPDATE events SET workload = 'evil/x', namespace = 'evil' WHERE position = 4".to_owned(), 4, "another kind, namespace or workload"),
            ("UPDATE events SET kind = 'yanked' WHERE position = 4".to_owned(), 4, "another kind, namespace or workload"),
            ("UPDATE events SET namespace = 'evil' WHERE position = 50".to_owned(), 50, "another kind, namespace or workload"),
            (format!("UPDATE log_head SET frontier = {other}"), size, "log_head.frontier"),
            ("UPDATE log_head SET epoch = 2".to_owned(), size, "log_head.epoch"),
            (format!("UPDATE log_head SET latest = {later}"), size, "log_head.latest"),
            ("UPDATE log_head SET position = position - 1".to_owned(), size - 1, "after the end"),
            (format!("UPDATE documents SET bytes = {other}"), 5, "was changed: sha256"),
            (format!("{unlink}; DELETE FROM manifest_bytes WHERE digest = (SELECT digest FROM versions)"), 4, "is missing: sha256"),
            (format!("UPDATE manifest_bytes SET bytes = {other}"), 4, "was changed: sha256"),
        ] {
            tamper(&env, &[&harm]).await;
            let report = verify(&env, None).await;
            let bad = &report["first_bad"];
            assert_eq!(bad["position"], position, "{harm}: {report}");
            assert!(bad["reason"].as_str().unwrap().contains(says), "{harm}: {report}");
            tamper(&env, &["DELETE FROM events", "INSERT INTO events SELECT * FROM kept", "DELETE FROM log_tiles", "INSERT INTO log_tiles SELECT * FROM kept_tiles", "DELETE FROM log_head", "INSERT INTO log_head SELECT * FROM kept_head",
                "UPDATE documents SET bytes = (SELECT k.bytes FROM kept_documents k WHERE k.digest = documents.digest)",
                "INSERT INTO manifest_bytes SELECT * FROM kept_manifests WHERE 1 = 1 ON CONFLICT (digest) DO UPDATE SET bytes = excluded.bytes"]).await;
            assert_eq!(verify(&env, None).await["first_bad"], Value::Null, "{harm}");
        }
        // A tile that is missing is an error where it is needed, not a wrong proof.
        tamper(&env, &["UPDATE log_tiles SET hashes = SUBSTR(hashes, 1, 320)"]).await;
        let refused = env.get("/v1/log/proof/3").expect(500).await;
        assert_eq!(refused.code(), "corrupt_row");
    }

    async fn how_entries_are_filed_cannot_be_hidden(env: Env) {
        env.namespace("acme").await;
        files::push_prompt(&env, "acme/x", "one", json!({})).await;
        fill(&env, 300).await;
        unguard(&env).await;
        tamper(&env, &["CREATE TABLE kept AS SELECT * FROM events"]).await;
        let rows = entries(&env).await;
        let about = rows.iter().rposition(|entry| entry.windows(8).any(|part| part == b"\"acme/x\"")).unwrap();
        let (last, is_postgres) = (rows.len() - 1, env.backend.is_postgres());
        let line = if is_postgres { r"E'\n'" } else { "char(10)" };
        let tab = if is_postgres { r"E'\t'" } else { "char(9)" };
        // The one row says what the next ones would, which say what their next ones would, and the last is free.
        let shifted = format!(
            "UPDATE events SET workload = COALESCE(workload, '') || {line}
                 || (SELECT n.kind || {tab} || COALESCE(n.namespace, '') || {tab} || COALESCE(n.workload, '') FROM kept n WHERE n.position = 41)
                 WHERE position = 40;
             UPDATE events SET kind = (SELECT n.kind FROM kept n WHERE n.position = events.position + 1),
                 namespace = (SELECT n.namespace FROM kept n WHERE n.position = events.position + 1),
                 workload = (SELECT n.workload FROM kept n WHERE n.position = events.position + 1)
                 WHERE position > 40 AND position < 255;
             UPDATE events SET kind = 'yanked', namespace = 'evil', workload = 'evil/x' WHERE position = 255"
        );
        let mut harms = vec![
            (format!("UPDATE events SET workload = COALESCE(workload, '') || {line} || 'x' WHERE position = {last}"), last),
            (format!("UPDATE events SET namespace = 'acme' || {line} WHERE position = {about}"), about),
            (format!("UPDATE events SET kind = kind || {tab} WHERE position = 0"), 0),
            (shifted, 40),
        ];
        if !is_postgres {
            // Bytes are not found by text, and a fraction is read nowhere as a position.
            harms.extend([
                (format!("UPDATE events SET workload = CAST(workload AS BLOB) WHERE position = {about}"), about),
                (format!("UPDATE events SET namespace = CAST(namespace AS BLOB) WHERE position = {about}"), about),
                ("UPDATE events SET kind = CAST(kind AS BLOB) WHERE position = 270".to_owned(), 270),
            ]);
            harms.extend(
                [("3.5", 3), ("255.5", 255), ("256.5", 256), ("-0.5", 0), ("'x'", 9), ("1e300", 9)]
                    .map(|(at, position)| (format!("UPDATE events SET position = {at} WHERE position = {position}"), position)),
            );
            harms.extend([("3.5", 3), ("-0.5", 0), ("1000000.5", 1_000_000)].map(|(at, position)| {
                (format!("INSERT INTO events SELECT {at}, bytes, checkpoint, kind, namespace, workload FROM kept WHERE position = 4"), position)
            }));
        }
        for (harm, position) in harms {
            tamper(&env, &[&harm]).await;
            let report = verify(&env, None).await;
            assert_eq!(report["first_bad"]["position"], position, "{harm}: {report}");
            tamper(&env, &["DELETE FROM events", "INSERT INTO events SELECT * FROM kept"]).await;
            assert_eq!(verify(&env, None).await["first_bad"], Value::Null, "{harm}");
        }
    }

    async fn what_follows_from_the_log_is_compared_with_it(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        for text in ["one", "two"] {
            let version = root.push(text).await;
            root.evaluate(&version, 80, 100).await;
            root.promote(&version, "production").await;
        }
        env.policy(&crate::harness::govern::production("[{ approvals: { count: 1 } }]")).await;
        env.someone("bo", &[Role::Approver]).await.approve("1.0.0", "production").await;
        root.rollback("production", None).await;
        let size = verify(&env, None).await["size"].as_u64().unwrap();
        assert_eq!(verify(&env, None).await["first_bad"], Value::Null);
        for table in ["versions", "moves", "stages", "evidence", "policies", "members"] {
            tamper(&env, &[&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")]).await;
        }
        let off = if env.backend.is_postgres() { "SET session_replication_role = replica" } else { "PRAGMA foreign_keys = OFF" };
        let named = |position: Option<u64>, harm: &'static str, says: &'static str| (position, harm, says);
        for (position, harm, says) in [
            named(None, "UPDATE versions SET digest = (SELECT digest FROM versions WHERE version = '1.0.1') WHERE version = '1.0.0'", "version acme/x:1.0.0"),
            named(None, "UPDATE versions SET document = REPLACE(document, '{', '{ ') WHERE version = '1.0.1'", "version acme/x:1.0.1"),
            named(None, "DELETE FROM versions WHERE version = '1.0.1'", "version acme/x:1.0.1"),
            named(None, "UPDATE moves SET version = '1.0.1' WHERE stage = 'production' AND number = 1", "move 1 of acme/x:production"),
            named(None, "UPDATE evidence SET statement = REPLACE(statement, '0.8', '0.9') WHERE kind = 'evaluation'", "evidence sha256:"),
            named(None, "UPDATE evidence SET examples = NULL WHERE kind = 'evaluation'", "evidence sha256:"),
            named(None, "DELETE FROM evidence WHERE kind = 'approval'", "evidence sha256:"),
            named(None, "DELETE FROM policies", "policy 1 of acme"),
            named(None, "UPDATE moves SET position = position + 1 WHERE stage = 'production' AND number = 1", "move 1 of acme/x:production"),
            named(Some(size), "UPDATE versions SET yanked_at = created_at WHERE version = '1.0.1'", "acme/x:1.0.1 is yanked, which no entry"),
            named(Some(size), "UPDATE stages SET version = '1.0.1' WHERE stage = 'production'", "acme/x:production does not hold"),
            named(Some(size), "DELETE FROM stages WHERE stage = 'dev'", "acme/x:dev does not hold"),
            named(Some(size), "INSERT INTO members VALUES ('*', 'bo', 'admin')", "bo has the role admin in *"),
            named(Some(size), "DELETE FROM members WHERE principal = 'bo'", "bo has not the role approver in acme"),
            named(Some(size), "INSERT INTO policies (scope, number, digest, applied_at, applied_by) SELECT '*', 1, digest, applied_at, applied_by FROM kept_policies", "policies has 1 rows"),
        ] {
            tamper(&env, &[&format!("{off}; {harm}")]).await;
            let report = verify(&env, None).await;
            let bad = &report["first_bad"];
            assert!(bad["reason"].as_str().unwrap_or_default().contains(says), "{harm}: {report}");
            match position {
                Some(position) => assert_eq!(bad["position"], position, "{harm}"),
                None => assert!(bad["position"].as_u64().unwrap() < size, "{harm}: the entry that tells of it"),
            }
            for table in ["stages", "moves", "evidence", "policies", "members", "versions"] {
                tamper(&env, &[&format!("{off}; DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept_{table}")]).await;
            }
            assert_eq!(verify(&env, None).await["first_bad"], Value::Null, "{harm}");
        }
    }

    async fn quarantines_and_holds_are_compared_with_the_log(env: Env) {
        env.namespace("acme").await;
        files::push_prompt(&env, "acme/x", "one", json!({})).await;
        for of in [json!({ "reference": "acme/x:1.0.0" }), json!({ "base": "hf:org/llama" })] {
            let mut body = of;
            body["reason"] = json!("bad");
            env.call("POST", "/v1/quarantines").json(body).expect(200).await;
        }
        for scope in ["acme/x:1.0.0", "acme"] {
            env.call("POST", "/v1/holds").json(json!({ "scope": scope, "reason": "case 14" })).expect(201).await;
        }
        let hold = json!({ "scope": "acme", "reason": "over" });
        env.call("POST", "/v1/holds/clear").json(hold).expect(200).await;
        let report = verify(&env, None).await;
        assert_eq!(report["first_bad"], Value::Null, "{report}");
        let size = report["size"].as_u64().unwrap();
        tamper(&env, &["CREATE TABLE kept_quarantines AS SELECT * FROM quarantines", "CREATE TABLE kept_holds AS SELECT * FROM holds"]).await;
        for (harm, says) in [
            ("DELETE FROM quarantines", "does not stand"),
            ("UPDATE quarantines SET cleared_at = set_at WHERE root = 'base'", "does not stand"),
            ("UPDATE quarantines SET value = 'other' WHERE root = 'base'", "is not what it tells"),
            ("UPDATE quarantines SET scope = 'acme'", "is not what it tells"),
            ("DELETE FROM holds", "does not stand"),
            ("UPDATE holds SET digest = NULL", "is not what it tells"),
            ("UPDATE holds SET cleared_at = NULL WHERE digest IS NULL", "no entry tells of: hold acme acme case 14"),
            ("INSERT INTO quarantines (id, scope, root, value, reason, set_at, set_by) SELECT 'x', '*', 'file', 'y', reason, set_at, set_by FROM kept_quarantines WHERE root = 'base'", "no entry tells of: quarantine * file y"),
        ] {
            tamper(&env, &[harm]).await;
            let report = verify(&env, None).await;
            let bad = &report["first_bad"];
            assert!(bad["reason"].as_str().unwrap_or_default().contains(says), "{harm}: {report}");
            assert_eq!(bad["position"] == size, says.starts_with("no entry"), "{harm}: {report}");
            for table in ["quarantines", "holds"] {
                tamper(&env, &[&format!("DELETE FROM {table}"), &format!("INSERT INTO {table} SELECT * FROM kept_{table}")]).await;
            }
            assert_eq!(verify(&env, None).await["first_bad"], Value::Null, "{harm}");
        }
    }

    async fn what_others_write_meanwhile_is_no_damage(env: Env) {
        env.namespace("acme").await;
        fill(&env, 230).await;
        let root = env.root();
        let writing = async {
            for number in 0..40 {
                env.clock.advance(std::time::Duration::from_secs(1));
                root.push(&format!("text {number}")).await;
                env.person(&format!("p{number}"), "acme", Role::Reader).await;
            }
        };
        let verifying = async {
            let mut times = 0;
            while times < 60 {
                let report = verify(&env, None).await;
                assert_eq!(report["first_bad"], Value::Null, "{report}");
                times += 1;
            }
        };
        tokio::join!(writing, verifying);
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

backends! {
    async fn whoever_moves_a_stage_gets_the_proof_of_it(env: Env) {
        env.namespace("acme").await;
        files::push_prompt(&env, "acme/y", "other", json!({})).await;
        for text in ["one", "two"] {
            files::push_prompt(&env, "acme/x", text, json!({})).await;
        }
        let ada = env.someone("ada", &[Role::Releaser]).await;
        let eve = env.someone("eve", &[Role::Reader]).await;
        let dry = ada.promote_with("1.0.0", "production", json!({ "dry_run": true })).await.value();
        assert_eq!(dry["position"], Value::Null);
        let mut done = Vec::new();
        for version in ["1.0.0", "1.0.1"] {
            let promoted = ada.promote(version, "production").await;
            assert_eq!(promoted.status, 200, "{}", promoted.text());
            done.push((promoted.value()["position"].as_u64().unwrap(), "promoted"));
        }
        let back = ada.call("POST", "/v1/workloads/acme/x/stages/production/rollback").json(json!({ "reason": "bad" }));
        done.push((back.expect(200).await.value()["position"].as_u64().unwrap(), "rolled_back"));
        for (position, kind) in &done {
            let proof = eve.call("GET", &format!("/v1/workloads/acme/x/proof/{position}")).expect(200).await.value();
            let entry: Value = serde_json::from_str(proof["entry"].as_str().unwrap()).unwrap();
            assert_eq!((&entry["position"], &entry["kind"]), (&json!(position), &json!(kind)), "{entry}");
            let (head, note) = proof["proof"].as_str().unwrap().split_once("\n\n").unwrap();
            let at = open(&env, note).await;
            let path = hashes(&json!(head.lines().skip(2).collect::<Vec<_>>()));
            let leaf = merkle::leaf(proof["entry"].as_str().unwrap().as_bytes());
            assert!(merkle::verify_inclusion(leaf, *position, at.size, &path, &at.root));
            // Only what is about the workload, and only to who may read it.
            let other = eve.call("GET", &format!("/v1/workloads/acme/y/proof/{position}")).expect(404).await;
            assert_eq!(other.code(), "event_unknown");
            eve.call("GET", &format!("/v1/log/proof/{position}")).expect(403).await;
        }
        eve.call("GET", "/v1/workloads/acme/x/proof/0").expect(404).await;
        eve.call("GET", "/v1/workloads/acme/x/proof/99999").expect(404).await;
        let history = eve.call("GET", "/v1/workloads/acme/x/stages/production/history").expect(200).await.value();
        let told: Vec<u64> = history["items"].as_array().unwrap().iter().rev().map(|step| step["position"].as_u64().unwrap()).collect();
        assert_eq!(told, done.iter().map(|(position, _)| *position).collect::<Vec<_>>());
        // What a push moved by itself, too.
        let first = eve.call("GET", "/v1/workloads/acme/x/stages/dev/history").expect(200).await.value();
        for step in first["items"].as_array().unwrap() {
            let proof = eve.call("GET", &format!("/v1/workloads/acme/x/proof/{}", step["position"])).expect(200).await.value();
            assert!(proof["entry"].as_str().unwrap().contains(r#""kind":"promoted""#), "{proof}");
        }
    }
}

pub async fn fill_more(env: &Env) {
    for name in ["later-a", "later-b"] {
        env.call("POST", "/v1/users").json(json!({ "name": name, "kind": "person" })).expect(201).await;
    }
}
