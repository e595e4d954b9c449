//! The event log: gap-free, in commit order, exact, append-only.

use crate::harness::{Env, backends, files};
use gradus::{
    db::log,
    model::event::{Change, Event},
};
use serde_json::json;
use sqlx::{Connection as _, Row as _};

/// The rows of the log as another program reads them.
async fn stored(env: &Env) -> Vec<(i64, Vec<u8>)> {
    let sql = "SELECT position, bytes FROM events ORDER BY position";
    match &env.cx.config.database.url {
        Some(url) => {
            let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
            let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
            rows.iter().map(|row| (row.get(0), row.get(1))).collect()
        }
        None => {
            let url = format!("sqlite://{}", env.directory.path().join("gradus.db").display());
            let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
            let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
            rows.iter().map(|row| (row.get(0), row.get(1))).collect()
        }
    }
}

async fn execute(env: &Env, sql: &'static str) -> Result<(), sqlx::Error> {
    match &env.cx.config.database.url {
        Some(url) => sqlx::query(sql).execute(&mut sqlx::PgConnection::connect(url).await?).await.map(drop),
        None => {
            let url = format!("sqlite://{}", env.directory.path().join("gradus.db").display());
            sqlx::query(sql).execute(&mut sqlx::SqliteConnection::connect(&url).await?).await.map(drop)
        }
    }
}

backends! {
    async fn every_change_is_an_event_with_exact_bytes(env: Env) {
        env.namespace("acme").await;
        files::push_prompt(&env, "acme/x", "one", json!({})).await;
        env.call("PUT", "/v1/workloads/acme/x/aliases/champion").json(json!({ "to": "1.0.0" })).expect(200).await;
        env.call("DELETE", "/v1/workloads/acme/x/aliases/champion").expect(204).await;
        env.call("POST", "/v1/workloads/acme/x/versions/1.0.0/yank").json(json!({ "reason": "test" })).expect(204).await;
        env.call("POST", "/v1/users").json(json!({ "name": "ada", "kind": "person" })).expect(201).await;

        let rows = stored(&env).await;
        let kinds: Vec<String> = rows.iter().map(|(_, bytes)| serde_json::from_slice::<serde_json::Value>(bytes).unwrap()["kind"].as_str().unwrap().to_owned()).collect();
        assert_eq!(kinds, ["user_added", "member_added", "token_created", "namespace_created", "pushed", "promoted", "alias_set", "alias_removed", "yanked", "user_added"]);
        for (index, (position, bytes)) in rows.iter().enumerate() {
            assert_eq!(*position, index as i64);
            let event = Event::from_bytes(bytes).unwrap();
            assert_eq!((event.position, &event.to_bytes().unwrap()), (*position, bytes), "the bytes are canonical");
        }
        let text = rows.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect::<String>();
        assert!(!text.contains(&env.admin), "a token is never in the log");
    }

    async fn the_log_is_append_only(env: Env) {
        let before = stored(&env).await;
        let mut statements = vec![
            "UPDATE events SET kind = 'x' WHERE position = 0",
            "UPDATE events SET position = position + 10",
            "DELETE FROM events WHERE position = 0",
            "DELETE FROM events",
            "INSERT INTO events (position, bytes, kind) SELECT position, bytes, 'x' FROM events
             WHERE position = 0 ON CONFLICT (position) DO UPDATE SET kind = 'x'",
        ];
        if env.backend.is_postgres() {
            statements.push("TRUNCATE events");
        } else {
            statements.push("INSERT OR REPLACE INTO events (position, bytes, kind) VALUES (0, x'00', 'x')");
            statements.push("REPLACE INTO events (position, bytes, kind) VALUES (2, x'00', 'x')");
        }
        for sql in statements {
            let refused = execute(&env, sql).await.expect_err(sql);
            assert!(refused.to_string().contains("append-only"), "{sql}: {refused}");
        }
        assert_eq!(stored(&env).await, before);
    }

    async fn the_api_shows_what_is_stored_to_readers_on_every_replica(env: Env) {
        const EACH: usize = 6;
        for namespace in ["acme", "beta"] {
            env.namespace(namespace).await;
        }
        let (second, third) = (&env.replica().await, &env.replica().await);
        // On SQLite one process has the data, and one queue in front of its writer.
        let replicas = if env.backend.is_postgres() { [second, third, &env] } else { [&env; 3] };
        // Slow: a push looks into bytes first. Fast: an alias. Refused: a yank of nothing writes no event.
        let write = async |writer: usize| {
            let (env, namespace) = (replicas[writer % 3], ["acme", "beta"][writer % 2]);
            let workload = format!("{namespace}/w{writer}");
            for number in 0..EACH {
                let pushed = files::push_prompt(env, &workload, &format!("text {number}"), json!({})).await;
                assert_eq!(pushed.status.as_u16(), 201, "{}", pushed.text());
                let at = format!("/v1/workloads/{workload}");
                env.call("PUT", &format!("{at}/aliases/newest")).json(json!({ "to": "latest" })).expect(200).await;
                env.call("POST", &format!("{at}/versions/9.0.0/yank")).json(json!({ "reason": "r" })).expect(404).await;
            }
        };
        let start = stored(&env).await.len();
        let expected = start + 6 * EACH * 3; // pushed, promoted to the first stage, aliased
        let follow = async |reader: usize| {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            while seen.len() < expected {
                let page = replicas[reader].get(&format!("/v1/events?limit=5{cursor}")).expect(200).await.value();
                for event in page["items"].as_array().unwrap() {
                    assert_eq!(event["position"], seen.len(), "no gap, no repetition");
                    seen.push(event.clone());
                }
                cursor = format!("&cursor={}", seen.len());
            }
            seen
        };
        let writers = futures_util::future::join_all((0..6).map(write));
        let readers = futures_util::future::join_all((0..3).map(follow));
        let (_, seen) = futures_util::future::join(writers, readers).await;
        let rows = stored(&env).await;
        assert_eq!(rows.len(), expected);
        let exact: Vec<serde_json::Value> = rows.iter().map(|(_, bytes)| serde_json::from_slice(bytes).unwrap()).collect();
        for reader in seen {
            // Field for field, so that a client can make the bytes again.
            assert!(reader == exact, "every reader saw the log as it is stored");
        }
        let one = env.get("/v1/events?workload=acme/w0").expect(200).await.value();
        assert_eq!(one["items"].as_array().unwrap().len(), EACH * 3);
        let of_beta = env.get("/v1/events?namespace=beta&kind=pushed").expect(200).await.value();
        assert_eq!(of_beta["items"].as_array().unwrap().len(), 3 * EACH);
        assert_eq!(env.get("/v1/events?cursor=x").expect(400).await.code(), "cursor_invalid");
    }

    async fn no_reader_skips_an_event_of_slow_and_fast_transactions(env: Env) {
        const EACH: usize = 25;
        let replicas = [env.replica().await, env.replica().await, env.replica().await];
        let start = stored(&env).await.len() as i64;
        let write = async |writer: usize| {
            let cx = &replicas[writer % 3].cx;
            for number in 0..EACH {
                let mut tx = cx.db.write().await.unwrap();
                // Slow writers do their work before they take the head, and some after.
                for _ in 0..(writer * 7 + number) % 5 {
                    tokio::task::yield_now().await;
                }
                let user = format!("w{writer}-{number}").parse().unwrap();
                log::append(&mut tx, cx.clock.now(), &"admin".parse().unwrap(), vec![Change::UserDisabled { user }]).await.unwrap();
                for _ in 0..(writer * 3 + number) % 4 {
                    tokio::task::yield_now().await;
                }
                if (writer + number).is_multiple_of(6) {
                    drop(tx); // given up: its position is used by the next
                } else {
                    tx.commit().await.unwrap();
                }
            }
        };
        let expected = (0..6).flat_map(|writer| (0..EACH).map(move |number| (writer, number))).filter(|(writer, number)| (writer + number) % 6 != 0).count();
        // A reader that follows by cursor sees each event once, in order, and never one that later moves.
        let follow = async |reader: usize| {
            let cx = &replicas[reader].cx;
            let mut seen = Vec::new();
            for _ in 0..200_000 {
                let from = start + seen.len() as i64;
                let rows = log::list(&mut cx.db.read().await.unwrap(), &log::Filter::default(), from, 7).await.unwrap();
                for (position, bytes) in rows {
                    assert_eq!(position, start + seen.len() as i64, "no gap");
                    seen.push(bytes);
                }
                if seen.len() == expected {
                    break;
                }
                tokio::task::yield_now().await;
            }
            seen
        };
        let writers = futures_util::future::join_all((0..6).map(write));
        let readers = futures_util::future::join_all((0..3).map(follow));
        let (_, seen) = futures_util::future::join(writers, readers).await;
        let all: Vec<Vec<u8>> = stored(&env).await.into_iter().skip(start as usize).map(|(_, bytes)| bytes).collect();
        assert_eq!(all.len(), expected);
        for reader in seen {
            assert!(reader == all, "every reader saw the whole log in order");
        }
    }
}
