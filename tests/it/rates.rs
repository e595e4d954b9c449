//! How much one principal may ask for, and what a client does that is told to wait.

use crate::harness::{
    Backend, Call, Env,
    server::{Setup, get},
    session::Session,
};
use axum::body::Body;
use futures_util::stream;
use gradus::{
    client::Client,
    model::access::{Role, Scope},
};
use std::time::Duration;

async fn with_limits(change: impl FnOnce(&mut gradus::config::Limits)) -> Env {
    let env = Env::with(Backend::SqliteLocal, |config| change(&mut config.limits)).await;
    env.namespace("acme").await;
    env
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_too_often_is_told_when_to_ask_again() {
    let env = with_limits(|limits| (limits.requests_per_second, limits.burst) = (2, 3)).await;
    let rita = env.person("rita", "acme", Role::Reader).await;
    let another = env.token("rita", Scope::default()).await;
    // All tokens of one principal are one; refused for another reason counts as well.
    env.get("/v1/whoami").token(&rita).expect(200).await;
    env.get("/v1/whoami").token(&another).expect(200).await;
    env.call("POST", "/v1/gc").token(&rita).expect(403).await;
    let refused = env.get("/v1/whoami").token(&another).expect(429).await;
    assert_eq!((refused.code().as_str(), refused.header("retry-after")), ("rate_limited", "1"));
    let oci = env.get("/v2/").token(&rita).expect(429).await;
    assert_eq!(oci.value()["errors"][0]["code"], "TOOMANYREQUESTS");
    assert_eq!(oci.header("retry-after"), "1");
    // Neither what is not there is free, nor a token for a token.
    for (method, path) in
        [("GET", "/v1/nothing"), ("GET", "/v2/a/b/c/nothing"), ("PATCH", "/v1/whoami"), ("GET", "/v2/token")]
    {
        env.call(method, path).token(&rita).expect(429).await;
    }
    // Others have their own share, and health has none.
    env.get("/v1/whoami").expect(200).await;
    for _ in 0..10 {
        Call::new(&env.router, "GET", "/healthz").expect(200).await;
    }
    let metrics = Call::new(&env.router, "GET", "/metrics").expect(200).await.text();
    assert!(metrics.contains("gradus_rate_limited_total 6\n"), "{metrics}");
    env.clock.advance(Duration::from_secs(1));
    for status in [200, 200, 429] {
        env.get("/v1/whoami").token(&rita).expect(status).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_under_way_of_one_principal_are_limited() {
    let env = with_limits(|limits| limits.concurrent_per_principal = 1).await;
    let rita = env.person("rita", "acme", Role::Reader).await;
    let session = Session::begin(&env, "acme/x").await;
    let (router, admin) = (env.router.clone(), env.admin.clone());
    let endless = tokio::spawn(async move {
        // Until it is the one that is under way.
        loop {
            let body = Body::from_stream(stream::pending::<std::io::Result<Vec<u8>>>());
            let answer = Call::new(&router, "PATCH", &session.at).token(&admin).body(body).send().await;
            assert_eq!(answer.status, 429, "{}", answer.text());
        }
    });
    let until = async |wanted: u16| {
        for _ in 0..500 {
            let answer = env.get("/v1/whoami").send().await;
            if answer.status == wanted {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never answered {wanted}");
    };
    let refused = until(429).await;
    assert_eq!((refused.code().as_str(), refused.header("retry-after")), ("rate_limited", "1"));
    env.get("/v1/whoami").token(&rita).expect(200).await;
    endless.abort();
    until(200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_waits_as_long_as_it_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::with(Backend::SqliteLocal, directory.path(), |config| {
        config.limits.requests_per_second = 4;
    })
    .await;
    let server = setup.start();
    let token = server.bootstrap_token().expect("the first start prints a token");
    let client = Client::remote(&setup.url, Some(token), false).unwrap();
    for _ in 0..12 {
        assert_eq!(client.whoami().await.unwrap().principal.as_str(), "admin");
    }
    let metrics = get(&setup.url, "/metrics").unwrap();
    let refused = metrics.lines().find_map(|line| line.strip_prefix("gradus_rate_limited_total "));
    assert!(refused.is_some_and(|refused| refused != "0"), "it was told to wait");
}
