//! What takes its time gets it, in the network and in the bucket; what does not answer at all is given up, loses
//! nothing and is used again afterwards.

use crate::harness::{
    Backend, Env,
    files::{noise, push, safetensors, upload},
    proxy::{Proxy, Weather, behind_s3_proxy},
    server::Setup,
    session::{Session, objects},
};
use axum::body::Body;
use futures_util::StreamExt as _;
use gradus::{
    client::{Client, Digests, Upload},
    config::Config,
    model::digest::Digest,
    wire,
};
use http::Request;
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tower::ServiceExt as _;

const MIB: usize = 1024 * 1024;
const R: &str = "acme/triage";

fn impatient(config: &mut Config) {
    config.limits.store_seconds = 2;
}

fn blob(bytes: &[u8]) -> String {
    format!("/v2/{R}/blobs/{}", Digest::sha256(bytes))
}

async fn is_whole(env: &Env, bytes: &[u8]) -> bool {
    env.get(&blob(bytes)).expect(200).await.bytes == bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_bucket_only_takes_longer() {
    let Some((env, proxy)) = behind_s3_proxy(|_| {}).await else { return };
    proxy.set(Weather::Slow);
    let bytes = noise(1, 9 * MIB);
    let session = Session::begin(&env, R).await;
    assert_eq!(session.chunk(&env, 0, &bytes[..MIB]).await.status, 202);
    assert_eq!(session.chunk(&env, MIB, &bytes[MIB..]).await.status, 202);
    assert_eq!(session.finish(&env, &Digest::sha256(&bytes)).await.status, 201);
    assert!(is_whole(&env, &bytes).await);
    let file = upload(&env, R, "model.safetensors", &safetensors(1)).await;
    let pushed = push(&env, R, vec![file], json!({})).await;
    assert_eq!((pushed.status.as_u16(), &pushed.value()["inspection"]["safety"]), (201, &json!("safe")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_does_not_answer_is_told_and_loses_nothing() {
    let Some((env, proxy)) = behind_s3_proxy(impatient).await else { return };
    let bytes = noise(2, 9 * MIB);
    let file = upload(&env, R, "model.safetensors", &safetensors(2)).await;
    let session = Session::begin(&env, R).await;
    assert_eq!(session.chunk(&env, 0, &bytes[..1000]).await.status, 202);
    proxy.set(Weather::Silent);
    let failures = [
        session.chunk(&env, 1000, &bytes[1000..]).await,
        push(&env, R, vec![file.clone()], json!({})).await,
        env.get(&blob(&safetensors(2))).send().await,
    ];
    for failed in failures {
        let told = (failed.status.as_u16(), failed.code());
        assert_eq!(told, (503, "store_unavailable".into()), "{}", failed.text());
    }
    env.get("/readyz").expect(503).await;

    proxy.set(Weather::Fine);
    env.get("/readyz").expect(200).await;
    env.call("HEAD", &blob(&bytes)).expect(404).await;
    env.get(&format!("/v1/workloads/{R}/versions/latest")).expect(404).await;
    let received = session.received(&env).await.expect("the session lives");
    assert!((1000..bytes.len()).contains(&received), "{received}");
    assert_eq!(session.chunk(&env, received, &bytes[received..]).await.status, 202);
    assert_eq!(session.finish(&env, &Digest::sha256(&bytes)).await.status, 201);
    assert!(is_whole(&env, &bytes).await);
    assert_eq!(push(&env, R, vec![file], json!({})).await.status, 201);
    assert_eq!(objects(&env).await.1, 0, "no staged tail is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_stops_coming_ends_with_an_error() {
    let Some((env, proxy)) = behind_s3_proxy(impatient).await else { return };
    // More than the buffers on the way hold.
    let bytes = noise(3, 40 * MIB);
    upload(&env, R, "a", &bytes).await;
    let request = Request::get(blob(&bytes)).header("authorization", format!("Bearer {}", env.admin));
    let answer = env.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body().into_data_stream();
    let mut received = body.next().await.unwrap().unwrap().to_vec();
    proxy.set(Weather::Silent);
    let mut is_cut = false;
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => received.extend_from_slice(&piece),
            Err(_) => is_cut = true,
        }
    }
    assert!(is_cut && received.len() < bytes.len() && bytes.starts_with(&received));
    proxy.set(Weather::Fine);
    assert!(is_whole(&env, &bytes).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_upload_is_not_taken_for_a_server_that_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::new(Backend::SqliteLocal, directory.path()).await;
    let server = setup.start();
    let token = server.bootstrap_token().expect("the first start prints a token");
    let proxy = Proxy::to(setup.url.strip_prefix("http://").unwrap()).await;
    // Twice that for the whole; what the buffers on the way hold takes less.
    let client = Client::remote(&format!("http://{}", proxy.address), Some(token), false).unwrap();
    let client = client.with_silence(Duration::from_secs(5));
    let new = wire::NewNamespace { name: "acme".parse().unwrap(), store: None };
    client.create_namespace(&new).await.unwrap();
    proxy.set(Weather::Slow);
    let (source, bytes) = (directory.path().join("large.bin"), noise(4, 32 * MIB));
    std::fs::write(&source, &bytes).unwrap();
    let file = Upload { path: "large.bin".parse().unwrap(), size: bytes.len() as u64, source };
    let workload = R.parse().unwrap();
    let sent = client.upload(&workload, vec![file], &Digests::open(None), Arc::new(|_| {})).await.unwrap();
    assert_eq!(sent[0].file.digest, Digest::sha256(&bytes));
    let requests = proxy.requests();
    assert_eq!(requests.iter().filter(|head| head.starts_with("PATCH ")).count(), 1, "it was not cut");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_given_up_is_no_more_under_way() {
    let env = Env::new(Backend::SqliteLocal).await;
    env.namespace("acme").await;
    let session = Session::begin(&env, R).await;
    let body = Body::from_stream(futures_util::stream::pending::<std::io::Result<Vec<u8>>>());
    let given_up = tokio::time::timeout(Duration::from_millis(50), session.stream(&env, body)).await;
    assert!(given_up.is_err());
    let metrics = env.get("/metrics").expect(200).await.text();
    assert!(metrics.contains("requests_under_way 1\n"), "only this question itself: {metrics}");
}
