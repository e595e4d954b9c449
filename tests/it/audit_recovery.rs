//! Going on with a log after a backup was restored or damage was accepted.

use super::audit::{checkpoint, entries, fill, fill_more, open, tamper, unguard, verify};
use crate::harness::{Env, backends};
use gradus::model::{access::Role, note::Verifier};
use serde_json::{Value, json};

async fn recover(env: &Env, checkpoint: &str, accept_damage: bool) -> crate::harness::Answer {
    let body = json!({ "checkpoint": checkpoint, "reason": "the disk died", "accept_damage": accept_damage });
    env.call("POST", "/v1/log/recover").json(body).send().await
}

/// Makes the database what it was when `log_head` was copied to `kept_head`.
async fn go_back(env: &Env, size: u64) {
    tamper(
        env,
        &[
            &format!("DELETE FROM events WHERE position >= {size}"),
            "DELETE FROM log_head",
            "INSERT INTO log_head SELECT * FROM kept_head",
        ],
    )
    .await;
}

async fn assert_sound(env: &Env, why: &str) {
    let report = verify(env, None).await;
    assert_eq!(report["first_bad"], Value::Null, "{why}: {report}");
}

/// Changes rows as somebody would whom foreign keys do not stop.
async fn harm(env: &Env, sql: &str) {
    let off = match env.backend.is_postgres() {
        true => "SET session_replication_role = replica",
        false => "PRAGMA foreign_keys = OFF",
    };
    tamper(env, &[&format!("{off}; {sql}")]).await;
}

backends! {
    async fn a_restored_backup_goes_on_in_a_new_epoch(env: Env) {
        env.namespace("acme").await;
        fill(&env, 3).await;
        let early = checkpoint(&env).await;
        let key: Verifier = env.get("/v1/log/key").expect(200).await.text().parse().unwrap();
        unguard(&env).await;
        tamper(&env, &["CREATE TABLE kept_head AS SELECT * FROM log_head"]).await;
        fill_more(&env).await;
        let late = checkpoint(&env).await;
        let (size, known) = (open(&env, &early).await.size, open(&env, &late).await.size);
        assert_eq!(recover(&env, &late, false).await.code(), "nothing_to_recover");
        go_back(&env, size).await;
        assert_eq!(recover(&env, &early, false).await.code(), "nothing_to_recover");
        let forged = late.replacen(&known.to_string(), "7777", 1);
        assert_eq!(recover(&env, &forged, false).await.code(), "checkpoint_invalid");
        let ada = env.person("ada", "*", Role::Auditor).await;
        let body = json!({ "checkpoint": late, "reason": "r" });
        env.call("POST", "/v1/log/recover").token(&ada).json(body).expect(403).await;
        let length = verify(&env, None).await["size"].as_u64().unwrap();

        let done = recover(&env, &late, false).await;
        assert_eq!(done.status, 200, "{}", done.text());
        let done = done.value();
        assert_eq!((done["epoch"].as_u64(), done["position"].as_u64()), (Some(2), Some(length)));
        let gap = known.checked_sub(length).filter(|gap| *gap > 0);
        assert_eq!(done["gap"], json!(gap));
        fill_more_people(&env).await;

        let report = verify(&env, None).await;
        assert_eq!(report["first_bad"], Value::Null, "{report}");
        let epoch = &report["epochs"][0];
        assert_eq!(epoch["known"]["size"], known, "{report}");
        assert!(epoch["first"] == length && epoch["by"] == "admin" && epoch["reason"] == "the disk died", "{report}");
        assert_eq!(verify(&env, Some(&early)).await["first_bad"], Value::Null);
        // What was given up is never taken for a beginning of what there is now.
        let lost = verify(&env, Some(&late)).await;
        assert_eq!(lost["first_bad"]["position"].as_u64(), Some(length), "{lost}");
        assert_eq!(recover(&env, &late, false).await.code(), "nothing_to_recover");
        let now = checkpoint(&env).await;
        let opened = key.open(&now).unwrap();
        assert_eq!((opened.epoch(), opened.origin), (2, format!("{}/epoch-2", key.name())));
        assert!(env.get("/v1/log/key").expect(200).await.text().contains("/epoch-2+"));
        assert_eq!(verify(&env, Some(&now)).await["first_bad"], Value::Null);

        // Back once more, to before the recovery: its number is not used again. A backup has no members of later.
        go_back(&env, size).await;
        tamper(&env, &["DELETE FROM members WHERE principal = 'ada'"]).await;
        let report = verify(&env, Some(&now)).await;
        assert!(report["first_bad"].is_object(), "{report}");
        let done = recover(&env, &now, false).await;
        assert_eq!(done.value()["epoch"], 3, "{}", done.text());
        assert_eq!(verify(&env, None).await["first_bad"], Value::Null);
    }

    async fn damage_can_be_accepted_and_new_damage_is_found(env: Env) {
        env.namespace("acme").await;
        fill(&env, 300).await;
        unguard(&env).await;
        let kept = checkpoint(&env).await;
        tamper(&env, &[
            "UPDATE events SET bytes = (SELECT bytes FROM events WHERE position = 9) WHERE position = 8",
            "DELETE FROM events WHERE position = 12",
            "UPDATE events SET checkpoint = NULL WHERE position = 290",
            "DELETE FROM log_tiles",
        ]).await;
        let refused = recover(&env, &kept, false).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (409, "log_damaged".to_owned()), "{}", refused.text());
        let done = recover(&env, &kept, true).await;
        assert_eq!(done.status, 200, "{}", done.text());
        assert_eq!(done.value()["damage"]["position"], 8, "{}", done.text());
        fill_more_people(&env).await;
        let report = verify(&env, None).await;
        assert_eq!(report["first_bad"], Value::Null, "{report}");
        assert_eq!(report["epochs"][0]["damage"]["position"], 8, "{report}");
        let begins = report["epochs"][0]["first"].as_u64().unwrap();
        let lost: Value = serde_json::from_slice(&entries(&env).await[12]).unwrap();
        assert_eq!((&lost["kind"], &lost["position"]), (&json!("entry_lost"), &json!(12)));
        let proof = env.get("/v1/log/proof/8").expect(200).await;
        assert!(proof.value()["proof"].as_str().unwrap().contains("/epoch-2"), "{}", proof.text());
        tamper(&env, &["CREATE TABLE kept AS SELECT * FROM events"]).await;
        for (harm, position) in [
            ("UPDATE events SET bytes = (SELECT bytes FROM events WHERE position = 3) WHERE position = 4".to_owned(), 4),
            ("UPDATE events SET bytes = (SELECT bytes FROM events WHERE position = 3) WHERE position = 100".to_owned(), 100),
            ("UPDATE events SET checkpoint = NULL WHERE position = 200".to_owned(), 8),
            (format!("UPDATE events SET bytes = (SELECT bytes FROM events WHERE position = 3) WHERE position = {}", begins + 1), begins + 1),
            (format!("UPDATE events SET checkpoint = NULL WHERE position = {}", begins + 1), begins + 2),
            ("UPDATE events SET kind = 'yanked' WHERE kind = 'log_recovered'".to_owned(), 8),
        ] {
            tamper(&env, &[&harm]).await;
            let report = verify(&env, None).await;
            assert_eq!(report["first_bad"]["position"], position, "{harm}: {report}");
            tamper(&env, &["DELETE FROM events", "INSERT INTO events SELECT * FROM kept"]).await;
            assert_eq!(verify(&env, None).await["first_bad"], Value::Null, "{harm}");
        }
        // What is far beyond the end is none of the log's.
        tamper(&env, &["INSERT INTO events SELECT 9000000, bytes, checkpoint, kind, namespace, workload FROM kept WHERE position = 3"]).await;
        assert_eq!(recover(&env, &kept, true).await.code(), "log_unreadable");
        tamper(&env, &["DELETE FROM events WHERE position = 9000000"]).await;
        // Once more, reaching back into what was accepted.
        tamper(&env, &["DELETE FROM events WHERE position = 20"]).await;
        let done = recover(&env, &kept, true).await.value();
        assert!(done["epoch"] == 3 && done["damage"]["position"] == 8, "{done}");
        let report = verify(&env, None).await;
        assert!(report["first_bad"].is_null() && report["epochs"].as_array().unwrap().len() == 2, "{report}");
    }

    /// The entry that gave a role is lost, and what came after it up to the recovery was accepted with that.
    async fn what_follows_from_the_log_is_compared_after_damage_was_accepted(env: Env) {
        env.namespace("acme").await;
        env.someone("bo", &[Role::Approver]).await;
        let root = env.root();
        let push = async |text| {
            let version = root.push(text).await;
            root.evaluate(&version, 80, 100).await;
            root.promote(&version, "production").await;
        };
        push("one").await;
        for scope in ["acme", "acme/x"] {
            env.call("POST", "/v1/holds").json(json!({ "scope": scope, "reason": "case 14" })).expect(201).await;
        }
        env.call("PATCH", "/v1/workloads/acme/x/card").json(json!({ "purpose": "help" })).expect(200).await;
        let kept = checkpoint(&env).await;
        unguard(&env).await;
        let harm = async |sql: &str| harm(&env, sql).await;
        harm("DELETE FROM events WHERE position = (SELECT MIN(position) FROM events WHERE kind = 'member_added')").await;
        harm("UPDATE moves SET version = '9.9.9' WHERE stage = 'production'; UPDATE stages SET version = '9.9.9' WHERE stage = 'production'").await;
        assert_eq!(recover(&env, &kept, true).await.status, 200);
        let sound = async |why: &str| assert_sound(&env, why).await;
        sound("what is accepted is over").await;
        push("two").await;
        env.call("POST", "/v1/holds/clear").json(json!({ "scope": "acme", "reason": "over" })).expect(200).await;
        env.call("PATCH", "/v1/workloads/acme/x/card").json(json!({ "purpose": "help all" })).expect(200).await;
        env.someone("cy", &[Role::Auditor]).await;
        sound("what was done since is told").await;
        let tables = ["stages", "moves", "holds", "members", "workload_cards", "versions", "documents"];
        let recovered = env.get("/v1/events?kind=log_recovered").expect(200).await.value();
        let document = recovered["items"][0]["data"]["damage"]["document"].as_str().unwrap().to_owned();
        for table in tables {
            tamper(&env, &[&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")]).await;
        }
        let gone = format!("DELETE FROM documents WHERE digest = '{document}'");
        let other = format!("UPDATE documents SET bytes = (SELECT bytes FROM kept_documents WHERE digest <> '{document}' LIMIT 1) WHERE digest = '{document}'");
        for (wrong, says) in [
            (&*gone, "document that the entry names is missing"),
            (&*other, "document that the entry names was changed"),
            ("UPDATE moves SET version = '7.7.7' WHERE stage = 'production' AND number = 1", "move 1 of acme/x:production"),
            ("DELETE FROM moves WHERE stage = 'production' AND number = 1", "move 1 of acme/x:production"),
            ("UPDATE workload_cards SET purpose = 'none', position = 9000000", "row of the table workload_cards"),
            ("UPDATE moves SET position = 9000000 WHERE stage = 'production' AND number = 2", "move 2 of acme/x:production"),
            ("INSERT INTO members VALUES ('*', 'bo', 'admin')", "bo has the role admin in *"),
            ("DELETE FROM members WHERE principal = 'bo'", "bo has not the role approver in acme"),
            ("DELETE FROM members WHERE principal = 'cy'", "cy has not the role auditor in acme"),
            ("UPDATE versions SET document = REPLACE(document, '{', '{ ') WHERE version = '1.0.0'", "version acme/x:1.0.0"),
            ("UPDATE versions SET document = '', purged_at = created_at", "2 versions are purged"),
            ("UPDATE moves SET version = '1.0.0' WHERE stage = 'production' AND number = 2", "move 2 of acme/x:production"),
            ("UPDATE stages SET version = '1.0.0' WHERE stage = 'production'", "acme/x:production does not hold"),
            ("DELETE FROM holds WHERE scope = 'acme/x'", "does not stand"),
            ("UPDATE holds SET cleared_at = NULL WHERE scope = 'acme'", "no entry tells of: hold acme acme case 14"),
            ("UPDATE workload_cards SET purpose = 'none'", "the card of acme/x"),
            ("UPDATE workload_cards SET position = 1", "the card of acme/x"),
            ("INSERT INTO versions (workload, version, sort_key, prerelease, digest, sequence, revision, tier, kind, contract, document, created_at, created_by) SELECT workload, '3.0.0', CAST('x' AS BYTEA), prerelease, digest, 9, revision, tier, kind, contract, document, created_at, created_by FROM kept_versions WHERE version = '1.0.0'", "versions has 1 rows"),
        ] {
            harm(wrong).await;
            let report = verify(&env, None).await;
            let reason = report["first_bad"]["reason"].as_str().unwrap_or_default();
            assert!(reason.contains(says), "{wrong}: {report}");
            for table in tables {
                harm(&format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept_{table}")).await;
            }
            sound(wrong).await;
        }
    }

    /// Rows whose entries are lost stay as they were when that was accepted.
    async fn rows_of_lost_entries_are_kept_in_mind(env: Env) {
        env.namespace("acme").await;
        env.policy(&crate::harness::govern::production("[]")).await;
        let root = env.root();
        for text in ["one", "two", "three"] {
            let version = root.push(text).await;
            root.evaluate(&version, 80, 100).await;
            root.promote(&version, "production").await;
        }
        let kept = checkpoint(&env).await;
        unguard(&env).await;
        let harm = async |sql: &str| harm(&env, sql).await;
        harm("DELETE FROM events WHERE position IN (SELECT position FROM versions WHERE version = '1.0.1')").await;
        harm("DELETE FROM events WHERE position IN (SELECT position FROM moves WHERE version = '1.0.1')").await;
        assert_eq!(recover(&env, &kept, true).await.status, 200);
        let sound = async |why: &str| assert_sound(&env, why).await;
        sound("accepted").await;
        for table in ["versions", "moves"] {
            tamper(&env, &[&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")]).await;
        }
        for wrong in [
            "UPDATE versions SET digest = (SELECT digest FROM kept_versions WHERE version = '1.0.0'), position = NULL WHERE version = '1.0.1'",
            "UPDATE versions SET document = '{}', position = (SELECT position FROM kept_versions WHERE version = '1.0.0') WHERE version = '1.0.1'",
            "UPDATE versions SET document = REPLACE(document, '{', '{ ') WHERE version = '1.0.1'",
            "DELETE FROM versions WHERE version = '1.0.1'",
            "UPDATE moves SET version = '1.0.2', position = (SELECT position FROM kept_moves WHERE version = '1.0.0' AND stage = 'production') WHERE version = '1.0.1'",
            "DELETE FROM moves WHERE version = '1.0.1'",
        ] {
            harm(wrong).await;
            let report = verify(&env, None).await;
            assert!(report["first_bad"].is_object(), "{wrong}: {report}");
            for table in ["versions", "moves"] {
                harm(&format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept_{table}")).await;
            }
            sound(wrong).await;
        }
        // The document that says so is lost, too, and that is accepted.
        harm("DELETE FROM documents WHERE digest IN (SELECT digest FROM documents EXCEPT SELECT judgement FROM moves WHERE judgement IS NOT NULL EXCEPT SELECT digest FROM policies WHERE digest IS NOT NULL)").await;
        assert!(verify(&env, None).await["first_bad"].is_object());
        assert_eq!(recover(&env, &kept, true).await.status, 200);
        sound("accepted again").await;
        harm("INSERT INTO members VALUES ('*', 'cy', 'admin')").await;
        assert!(verify(&env, None).await["first_bad"].to_string().contains("cy has the role admin"));
        harm("DELETE FROM members WHERE principal = 'cy'").await;
        sound("as it was").await;
        // That it is purged is told.
        env.call("POST", "/v1/workloads/acme/x/versions/1.0.1/purge").json(json!({ "reason": "r" })).expect(200).await;
        env.someone("bob", &[Role::Admin]).await.call("POST", "/v1/workloads/acme/x/versions/1.0.1/purge").json(json!({ "reason": "r" })).expect(200).await;
        sound("purged").await;
    }

    /// The entries are gone and the head was put back; the rows that they told of are there.
    async fn a_lost_end_can_be_accepted_with_its_rows(env: Env) {
        env.namespace("acme").await;
        let root = env.root();
        root.push("one").await;
        unguard(&env).await;
        tamper(&env, &["CREATE TABLE kept_head AS SELECT * FROM log_head"]).await;
        let size = verify(&env, None).await["size"].as_u64().unwrap();
        let version = root.push("two").await;
        root.evaluate(&version, 80, 100).await;
        root.promote(&version, "production").await;
        env.call("PATCH", "/v1/workloads/acme/x/card").json(json!({ "purpose": "help" })).expect(200).await;
        let late = checkpoint(&env).await;
        go_back(&env, size).await;
        assert!(verify(&env, None).await["first_bad"].is_object());
        assert_eq!(recover(&env, &late, true).await.status, 200);
        let sound = async |why: &str| assert_sound(&env, why).await;
        sound("at once").await;
        for text in ["three", "four", "five"] {
            let version = root.push(text).await;
            root.evaluate(&version, 80, 100).await;
            root.promote(&version, "production").await;
            sound(text).await;
        }
        env.call("PATCH", "/v1/workloads/acme/x/card").json(json!({ "purpose": "help all" })).expect(200).await;
        sound("a card").await;
        tamper(&env, &["UPDATE versions SET document = REPLACE(document, '{', '{ ') WHERE version = '1.0.1'"]).await;
        let report = verify(&env, None).await;
        assert!(report["first_bad"].is_object(), "{report}");
    }
}

async fn fill_more_people(env: &Env) {
    for name in ["after-a", "after-b", "after-c"] {
        env.call("POST", "/v1/users").json(json!({ "name": name, "kind": "person" })).expect(201).await;
    }
}
