//! Who read what: every way to read a version is noted, with who, when and from where, and forgotten in time.

use crate::harness::{
    Backend, Env, backends,
    files::{self, prompt, push_prompt},
    home::Home,
    oci,
    server::Setup,
    session::sql,
};
use gradus::{
    client::Client,
    model::{access::Role, digest::Digest},
    ops::reads,
    wire,
};
use serde_json::{Value, json};
use std::time::Duration;

const W: &str = "acme/x";
const DAY: Duration = Duration::from_secs(24 * 3600);

async fn listed(env: &Env, query: &str) -> Vec<Value> {
    let answer = env.get(&format!("/v1/reads?{query}")).expect(200).await.value();
    answer["items"].as_array().unwrap().clone()
}

/// How and how often, sorted.
fn ways(items: &[Value]) -> Vec<(String, u64)> {
    let way = |item: &Value| (item["how"].as_str().unwrap().to_owned(), item["times"].as_u64().unwrap());
    let mut ways: Vec<_> = items.iter().map(way).collect();
    ways.sort_unstable();
    ways
}

/// A workload with one version; its digest and that of its file.
async fn prepared(env: &Env) -> (String, String) {
    env.namespace("acme").await;
    let pushed = push_prompt(env, W, "one", json!({})).await.value();
    let digest = pushed["version"]["digest"].as_str().unwrap().to_owned();
    (digest, Digest::sha256(&prompt("one")).to_string())
}

async fn resolve(env: &Env, token: &str, tag: &str) {
    env.get(&format!("/v1/workloads/{W}/resolve/{tag}")).token(token).expect(200).await;
}

backends! {
    async fn every_way_to_read_is_noted_with_who_and_from_where(env: Env) {
        let (digest, file) = prepared(&env).await;
        let rita = env.person("rita", "acme", Role::Reader).await;
        let get = |path: String| env.get(&path).token(&rita).from("192.0.2.7:4711");
        // From the database, from memory, and what the client has already.
        let tag = get(format!("/v1/workloads/{W}/resolve/latest")).expect(200).await.header("etag").to_owned();
        get(format!("/v1/workloads/{W}/resolve/latest")).expect(200).await;
        get(format!("/v1/workloads/{W}/resolve/latest")).header("if-none-match", &tag).expect(304).await;
        get(format!("/v1/workloads/{W}/resolve/{digest}")).expect(200).await;
        get(format!("/v2/{W}/manifests/1.0.0")).expect(200).await;
        get(format!("/v2/{W}/manifests/{digest}")).expect(200).await;
        get(format!("/v2/{W}/blobs/{file}")).expect(200).await;
        get(format!("/v2/{W}/blobs/{file}")).header("range", "bytes=1-2").expect(206).await;
        let render = env.call("POST", &format!("/v1/workloads/{W}/render/1.0.0")).token(&rita).from("192.0.2.7:4711");
        render.json(json!({ "input": { "body": "hello" } })).expect(200).await;

        // To ask whether something is there is not to read it, and what failed was not read.
        for path in [format!("/v1/workloads/{W}/resolve/latest"), format!("/v2/{W}/manifests/1.0.0"), format!("/v2/{W}/blobs/{file}")] {
            env.call("HEAD", &path).token(&rita).expect(200).await;
        }
        get(format!("/v1/workloads/{W}/resolve/9.9.9")).expect(404).await;
        get(format!("/v2/{W}/blobs/{file}")).header("range", "bytes=9999-").expect(416).await;
        get(format!("/v1/workloads/{W}/versions/1.0.0")).expect(200).await;

        let items = listed(&env, &format!("workload={W}")).await;
        let wanted = [("blob", 2), ("manifest", 2), ("render", 1), ("resolve", 4)];
        assert_eq!(ways(&items), wanted.map(|(how, times)| (how.to_owned(), times)), "{items:#?}");
        for item in &items {
            let of = if item["how"] == "blob" { &file } else { &digest };
            assert_eq!((&item["digest"], &item["version"], &item["workload"]), (&json!(of), &json!("1.0.0"), &json!(W)));
            assert_eq!((&item["principal"], &item["address"]), (&json!("rita"), &json!("192.0.2.7")));
            assert_eq!(item["at"], "2026-01-02T03:04:05Z");
        }
    }

    async fn what_is_of_no_version_is_left_out(env: Env) {
        let (digest, _) = prepared(&env).await;
        let note = oci::other(&env, W, "a note").await;
        oci::put(&env, W, "note", &note).await;
        env.get(&format!("/v2/{W}/manifests/note")).expect(200).await;
        env.get(&format!("/v2/{W}/blobs/{}", Digest::sha256(b"a note"))).expect(200).await;
        assert_eq!(listed(&env, "namespace=acme").await, Vec::<Value>::new());
        env.get(&format!("/v2/{W}/manifests/{digest}")).expect(200).await;
        assert_eq!(listed(&env, "namespace=acme").await.len(), 1);
    }

    async fn a_file_of_several_versions_names_none_and_is_found_by_each(env: Env) {
        let (first, file) = prepared(&env).await;
        let same = json!({ "path": "b.prompt.yaml", "digest": file, "size": prompt("one").len() });
        let second = files::push(&env, W, vec![same], json!({})).await.value()["version"]["digest"].as_str().unwrap().to_owned();
        assert_ne!(first, second);
        env.get(&format!("/v2/{W}/blobs/{file}")).expect(200).await;
        for digest in [&first, &second, &file] {
            let items = listed(&env, &format!("namespace=acme&digest={digest}")).await;
            assert_eq!((items.len(), &items[0]["version"]), (1, &Value::Null), "{digest}");
        }
        let other = Digest::sha256(b"other");
        assert!(listed(&env, &format!("digest={other}")).await.is_empty());
    }

    async fn a_purge_does_not_hide_who_had_the_files(env: Env) {
        let (digest, file) = prepared(&env).await;
        let rita = env.person("rita", "acme", Role::Reader).await;
        // The stage that a push enters must not hold it.
        push_prompt(&env, W, "two", json!({})).await;
        env.get(&format!("/v2/{W}/blobs/{file}")).token(&rita).expect(200).await;
        for who in ["ada", "bob"] {
            let admin = env.person(who, "acme", Role::Admin).await;
            let path = format!("/v1/workloads/{W}/versions/1.0.0/purge");
            let asked = env.call("POST", &path).token(&admin).json(json!({ "reason": "a name is in it" })).send().await;
            assert!(asked.status.is_success(), "{}", asked.text());
        }
        assert_ne!(env.get(&format!("/v2/{W}/blobs/{file}")).send().await.status, 200);
        let items = listed(&env, &format!("namespace=acme&digest={digest}")).await;
        assert_eq!(ways(&items), [("blob".to_owned(), 1)], "{items:#?}");
        assert_eq!(items[0]["principal"], "rita");
    }

    async fn reads_of_a_minute_are_one_row_and_rows_come_in_pages_newest_first(env: Env) {
        prepared(&env).await;
        let rita = env.person("rita", "acme", Role::Reader).await;
        for _ in 0..3 {
            resolve(&env, &rita, "latest").await;
            env.clock.advance(Duration::from_secs(10));
            // Written down in between: it is still the same minute.
            reads::flush(&env.cx).await.unwrap();
        }
        env.clock.advance(Duration::from_secs(60));
        resolve(&env, &rita, "latest").await;
        resolve(&env, &env.admin, "latest").await;
        let items = listed(&env, "by=rita").await;
        let told: Vec<_> = items.iter().map(|item| (item["at"].as_str().unwrap(), item["last_at"].as_str().unwrap(), item["times"].as_u64().unwrap())).collect();
        assert_eq!(told, [
            ("2026-01-02T03:05:35Z", "2026-01-02T03:05:35Z", 1),
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:25Z", 3),
        ]);
        assert_eq!(listed(&env, "by=admin").await.len(), 1);

        let (mut cursor, mut pages) = (String::new(), Vec::new());
        loop {
            let page = env.get(&format!("/v1/reads?limit=1&cursor={cursor}")).expect(200).await.value();
            assert_eq!(page["items"].as_array().unwrap().len(), 1);
            pages.push((page["items"][0]["at"].clone(), page["items"][0]["principal"].clone()));
            match page["next"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(pages.len(), 3);
        pages.dedup();
        assert_eq!(pages.len(), 3, "none comes twice");
        assert_eq!(pages[2], (json!("2026-01-02T03:04:05Z"), json!("rita")));

        for (query, rows) in [
            ("since=2026-01-02T03:05:00Z", 2),
            ("since=2026-01-02T03:04:25Z", 3),
            ("since=2026-01-02T03:04:26Z", 2),
            ("until=2026-01-02T03:05:35Z", 1),
            ("until=2026-01-02T03:04:05Z", 0),
            ("since=2026-01-02T03:04:10Z&until=2026-01-02T03:05:00Z", 1),
            ("since=2026-01-03T00:00:00%2B01:00", 0),
        ] {
            assert_eq!(listed(&env, query).await.len(), rows, "{query}");
        }
    }

    async fn replicas_add_to_one_another(env: Env) {
        prepared(&env).await;
        let other = env.replica().await;
        for replica in [&env, &other, &other] {
            resolve(replica, &env.admin, "latest").await;
        }
        reads::flush(&other.cx).await.unwrap();
        assert_eq!(ways(&listed(&env, "").await), [("resolve".to_owned(), 3)]);
    }

    async fn only_auditors_and_admins_see_who_read(env: Env) {
        prepared(&env).await;
        env.namespace("other").await;
        resolve(&env, &env.admin, "latest").await;
        let auditor = env.person("audra", "acme", Role::Auditor).await;
        let admin = env.person("adam", "acme", Role::Admin).await;
        let everywhere = env.person("aude", "*", Role::Auditor).await;
        let ask = |query: &str, token: &str| env.get(&format!("/v1/reads?{query}")).token(token);
        for token in [&auditor, &admin, &everywhere] {
            for query in ["namespace=acme", "workload=acme/x", "namespace=acme&workload=acme/x"] {
                assert_eq!(ask(query, token).expect(200).await.value()["items"].as_array().unwrap().len(), 1);
            }
        }
        assert_eq!(ask("", &everywhere).expect(200).await.value()["items"].as_array().unwrap().len(), 1);
        for token in [&auditor, &admin] {
            for query in ["", "by=admin", "namespace=other", "workload=other/x", "namespace=nowhere"] {
                assert_eq!(ask(query, token).expect(403).await.code(), "forbidden", "{query}");
            }
        }
        for (name, role) in [("rita", Role::Reader), ("con", Role::Contributor), ("rel", Role::Releaser), ("dep", Role::Deployer)] {
            let token = env.person(name, "acme", role).await;
            for query in ["", "namespace=acme", "workload=acme/x"] {
                ask(query, &token).expect(403).await;
            }
        }
        assert_eq!(ask("namespace=other&workload=acme/x", &everywhere).expect(400).await.code(), "query_invalid");
    }

    async fn bad_questions_are_refused(env: Env) {
        for (query, code) in [
            ("since=yesterday", "time_invalid"),
            ("until=2026-01-02T03:04:05%2B99:00", "time_invalid"),
            ("since=9999-12-31T23:59:59Z", "time_invalid"),
            ("until=0001-01-01T00:00:00Z", "time_invalid"),
            ("cursor=x", "cursor_invalid"),
            ("cursor=5", "cursor_invalid"),
            ("cursor=-5.abc", "cursor_invalid"),
            ("cursor=9223372036854775807.a", "cursor_invalid"),
            ("limit=0", "limit_invalid"),
            ("digest=sha256:1", "digest_invalid"),
            ("by=%00", "name_invalid"),
            ("workload=acme", "name_invalid"),
            ("kind=pushed", "query_unknown"),
        ] {
            assert_eq!(env.get(&format!("/v1/reads?{query}")).expect(400).await.code(), code, "{query}");
        }
    }

    async fn reads_are_kept_for_as_long_as_the_configuration_says(env: Env) {
        prepared(&env).await;
        resolve(&env, &env.admin, "latest").await;
        env.clock.advance(DAY * 20);
        // The token made at the first start lives long enough for this.
        reads::flush(&env.cx).await.unwrap();
        assert_eq!(reads::prune(&env.cx).await.unwrap(), 0);
        env.clock.advance(DAY * 69);
        assert_eq!(reads::prune(&env.cx).await.unwrap(), 0, "89 days are not 90");
        env.clock.advance(DAY * 2);
        assert_eq!(reads::prune(&env.cx).await.unwrap(), 1);
        assert_eq!(sql(&env, "DELETE FROM reads").await, 0);
        assert_eq!(reads::prune(&env.cx).await.unwrap(), 0);
    }

    async fn what_the_database_does_not_take_waits(env: Env) {
        prepared(&env).await;
        resolve(&env, &env.admin, "latest").await;
        sql(&env, "ALTER TABLE reads RENAME TO reads_elsewhere").await;
        for _ in 0..3 {
            assert!(reads::flush(&env.cx).await.is_err());
        }
        resolve(&env, &env.admin, "latest").await;
        sql(&env, "ALTER TABLE reads_elsewhere RENAME TO reads").await;
        assert_eq!(ways(&listed(&env, "").await), [("resolve".to_owned(), 2)]);
        assert_eq!(env.cx.metrics.reads_missing.get(), 0);
    }

    async fn what_is_missing_is_told_with_the_list(env: Env) {
        env.namespace("acme").await;
        env.namespace("other").await;
        sql(&env, "INSERT INTO reads_missing (id, namespace, at, last_at, times) VALUES
            ('a', 'acme', '2026-01-02T03:00:00+00:00', '2026-01-02T03:01:00+00:00', 12),
            ('b', 'other', '2026-01-02T03:00:00+00:00', '2026-01-02T03:01:00+00:00', 7)").await;
        let missing = async |query: &str| {
            let answer = env.get(&format!("/v1/reads?{query}")).expect(200).await.value();
            answer["missing"].as_array().unwrap().iter().map(|gap| gap["times"].as_u64().unwrap()).sum::<u64>()
        };
        for (query, times) in [
            ("", 19),
            ("namespace=acme", 12),
            ("workload=other/x", 7),
            ("since=2026-01-02T03:00:30Z", 19),
            ("since=2026-01-02T03:02:00Z", 0),
            ("until=2026-01-02T03:00:00Z", 0),
        ] {
            assert_eq!(missing(query).await, times, "{query}");
        }
        env.clock.advance(DAY * 91);
        assert_eq!(reads::prune(&env.cx).await.unwrap(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_access_log_can_be_off() {
    let env = Env::with(Backend::SqliteLocal, |config| config.reads.enabled = false).await;
    prepared(&env).await;
    resolve(&env, &env.admin, "latest").await;
    assert!(listed(&env, "").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trusted_proxies_say_where_a_request_comes_from() {
    let env = Env::with(Backend::SqliteLocal, |config| {
        config.reads.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    })
    .await;
    prepared(&env).await;
    for (peer, forwarded, expected) in [
        ("10.0.0.1:80", "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("192.0.2.1:80", "203.0.113.9", "192.0.2.1"),
        ("10.0.0.3:80", "not an address", "10.0.0.3"),
        ("[2001:db8::1]:80", "203.0.113.9", "2001:db8::1"),
    ] {
        env.clock.advance(Duration::from_secs(60));
        let call = env.get(&format!("/v1/workloads/{W}/resolve/latest")).from(peer);
        call.header("x-forwarded-for", forwarded).expect(200).await;
        assert_eq!(listed(&env, "limit=1").await[0]["address"], expected, "{peer} {forwarded}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_has_written_down_what_was_read() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::new(Backend::SqliteLocal, directory.path()).await;
    let server = setup.start();
    let token = server.bootstrap_token().expect("the first start prints a token");
    let client = Client::remote(&setup.url, Some(token.clone()), false).unwrap();
    client
        .create_namespace(&wire::NewNamespace { name: "acme".parse().unwrap(), store: None })
        .await
        .unwrap();
    let home = Home::new();
    let remote = |arguments: &[&str]| {
        home.cli(arguments)
            .environment("GRADUS_SERVER", &setup.url)
            .environment("GRADUS_TOKEN", &token)
            .run()
            .expect(0)
    };
    let source = files::example("prompts/triage-1.prompt.yaml");
    remote(&["push", source.to_str().unwrap(), "--to", W]);
    remote(&["pull", "acme/x:1.0.0", "--out", "pulled"]);
    server.terminate();
    assert!(server.ended().success());
    let _server = setup.start();
    let found: Value =
        serde_json::from_str(&remote(&["log", "--reads", W, "--json", "--by", "admin"]).stdout).unwrap();
    let items = found["items"].as_array().unwrap();
    assert!(items.iter().all(|item| item["address"] == "127.0.0.1"), "{found:#}");
    for how in ["resolve", "manifest", "blob"] {
        assert!(items.iter().any(|item| item["how"] == how), "{how}: {found:#}");
    }
    let shown = remote(&["log", "--reads", "acme", "--limit", "1"]);
    assert!(shown.stdout.contains("acme/x:1.0.0") && shown.stdout.contains("admin"), "{shown:#?}");
    assert!(shown.stderr.contains("gradus log --reads acme --until "), "{shown:#?}");
}

#[test]
fn a_command_without_a_server_writes_down_what_it_read() {
    let home = Home::new();
    home.run(&["namespace", "create", "acme"]).expect(0);
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    home.run(&["resolve", "acme/x:1.0.0"]).expect(0);
    let found: Value =
        serde_json::from_str(&home.run(&["log", "--reads", "--json"]).expect(0).stdout).unwrap();
    let is_it =
        |item: &Value| item["how"] == "resolve" && item["address"] == "local" && item["version"] == "1.0.0";
    assert!(found["items"].as_array().unwrap().iter().any(is_it), "{found:#}");
    // What only reads take does not go with events, nor the other way round.
    for (arguments, part) in [
        (&["log", "--by", "ada"][..], "--reads"),
        (&["log", "--since", "2026-01-02"], "--reads"),
        (&["log", "--reads", "--kind", "pushed"], "--kind"),
        (&["log", "--reads", "--from", "3"], "--from"),
        (&["log", "--reads", "--since", "yesterday"], "2026-11-25"),
        (&["log", "--reads", "--digest", "abc"], "digest"),
        (&["log", "acme", "--namespace", "acme"], "--namespace"),
    ] {
        let refused = home.run(arguments).expect(2);
        assert!(refused.stderr.contains(part), "{arguments:?}: {refused:#?}");
    }
    home.run(&["log", "--reads", "nowhere"]).expect(7);
    home.run(&["log", "--reads", "acme/none"]).expect(7);
    assert!(home.run(&["log", "acme"]).expect(0).stdout.contains("pushed acme/x:1.0.0"));
}
