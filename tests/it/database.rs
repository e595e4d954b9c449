//! PostgreSQL is not there, lets nobody in, or goes away: which server it is about is told, its password never.

use crate::harness::{
    Backend, Env,
    files::push_prompt,
    proxy::{Proxy, Weather},
    server::{Cli, Done, free_port},
    variable,
};
use serde_json::json;
use std::{path::Path, time::Duration};

const R: &str = "acme/triage";
const PASSWORD: &str = "hunter2hunter2";

/// Runs a command on a database.
fn on(url: &str, home: &Path, arguments: &[&str]) -> Done {
    let (data, config) = (home.join("data"), home.join("config.toml"));
    std::fs::write(&config, format!("[database]\nurl = '{url}'")).unwrap();
    let local = ["--data-dir", data.to_str().unwrap(), "--config", config.to_str().unwrap()];
    Cli::new(home, &[arguments, &local[..]].concat()).environment("GRADUS_LOG", "debug").run()
}

#[test]
fn a_server_nobody_runs_is_named_without_its_password() {
    let (home, address) = (tempfile::tempdir().unwrap(), format!("127.0.0.1:{}", free_port()));
    let url = format!("postgres://gradus:{PASSWORD}@{address}/gradus");
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["list"]] {
        let refused = on(&url, home.path(), arguments).expect(9);
        assert!(refused.stderr.contains("[database_unavailable]"), "{}", refused.stderr);
        assert!(refused.stderr.contains(&address), "{}", refused.stderr);
        assert!(!refused.stderr.contains(PASSWORD), "{}", refused.stderr);
        assert!(!refused.stderr.contains("listening"), "{}", refused.stderr);
    }
}

#[test]
fn a_server_that_lets_us_not_in_is_told_from_one_that_is_down() {
    if !Backend::PostgresLocal.is_there() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let server = variable("GRADUS_TEST_POSTGRES").replace("gradus@", &format!("gradus:{PASSWORD}@"));
    let (server, _) = server.rsplit_once('/').unwrap();
    let refused = on(&format!("{server}/no_such_database"), home.path(), &["list"]).expect(1);
    assert!(refused.stderr.contains("[database_refused]"), "{}", refused.stderr);
    assert!(refused.stderr.contains("no_such_database"), "{}", refused.stderr);
    assert!(!refused.stderr.contains(PASSWORD), "{}", refused.stderr);
}

/// A registry whose database is reached through a proxy.
async fn behind_proxy() -> Option<(Env, Proxy)> {
    if !Backend::PostgresLocal.is_there() {
        return None;
    }
    let base = variable("GRADUS_TEST_POSTGRES");
    let address = base.split(['@', '/']).find(|part| part.contains("127.0.0.1")).unwrap().to_owned();
    let proxy = Proxy::to(&address).await;
    let through = proxy.address.to_string();
    let env = Env::with(Backend::PostgresLocal, |config| {
        let url = config.database.url.as_mut().unwrap();
        *url = url.replace(&address, &through);
    });
    let env = env.await;
    env.namespace("acme").await;
    Some((env, proxy))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_in_the_middle_is_told_and_used_again_when_it_is_back() {
    let Some((env, proxy)) = behind_proxy().await else { return };
    assert_eq!(push_prompt(&env, R, "before", json!({})).await.status, 201);
    proxy.set(Weather::Gone);
    // First on a connection that was cut, then without any.
    for _ in 0..3 {
        let refused = env.get(&format!("/v1/workloads/{R}/resolve/latest")).expect(503).await;
        assert_eq!(refused.code(), "database_unavailable");
        assert!(!refused.text().contains("127.0.0.1"), "nothing for callers: {}", refused.text());
    }
    proxy.set(Weather::Fine);
    env.get("/readyz").expect(200).await;
    assert_eq!(push_prompt(&env, R, "after", json!({})).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_wait_for_a_database_at_once_and_not_one_by_one() {
    let Some((env, proxy)) = behind_proxy().await else { return };
    proxy.set(Weather::Gone);
    let at = format!("/v1/workloads/{R}/resolve/latest");
    let calls = (0..20).map(|_| env.get(&at).send());
    let all = tokio::time::timeout(Duration::from_secs(90), futures_util::future::join_all(calls));
    for refused in all.await.expect("not after one another") {
        assert_eq!((refused.status.as_u16(), refused.code()), (503, "database_unavailable".into()));
    }
}
