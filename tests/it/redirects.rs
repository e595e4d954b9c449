//! Large downloads straight from the bucket, by presigned URL: what is sent there, and what works as without.

use crate::harness::{
    Backend, Env,
    files::{self, noise, upload},
    proxy::{Proxy, behind_s3_proxy},
    server::{Cli, Setup},
};
use gradus::{config::Config, model::digest::Digest};
use std::{fs, path::Path};

const R: &str = "acme/triage";
const ABOVE: usize = 100_000;
/// A file of the example model that is large enough.
const LARGE: &str = "model.safetensors";

fn redirect(config: &mut Config) {
    config.stores[0].redirect_above = Some(ABOVE as u64);
}

/// Where a blob of these bytes is, once it is uploaded.
async fn blob(env: &Env, bytes: &[u8]) -> String {
    upload(env, R, "a", bytes).await;
    format!("/v2/{R}/blobs/{}", Digest::sha256(bytes))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_blob_comes_from_the_bucket_and_needs_no_token_there() {
    let Some((env, _proxy)) = behind_s3_proxy(redirect).await else { return };
    let bytes = noise(1, ABOVE);
    let at = blob(&env, &bytes).await;
    let answer = env.get(&at).expect(307).await;
    assert_eq!(answer.header("docker-content-digest"), Digest::sha256(&bytes).as_str());
    let url = answer.header("location");
    let whole = reqwest::get(url).await.unwrap();
    assert_eq!(whole.status(), 200);
    assert_eq!(whole.bytes().await.unwrap(), bytes);
    let part = reqwest::Client::new().get(url).header("range", "bytes=5-9").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.unwrap(), bytes[5..10]);
    let unsigned = url.split('?').next().unwrap();
    assert_eq!(reqwest::get(unsigned).await.unwrap().status(), 403, "the URL is the permission");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_may_read_a_large_blob_gets_its_url() {
    let Some((env, _proxy)) = behind_s3_proxy(redirect).await else { return };
    env.namespace("rival").await;
    let at = blob(&env, &noise(2, ABOVE)).await;
    let rival = env.person("rita", "rival", gradus::model::access::Role::Admin).await;
    for refused in [env.get(&at).anonymous().send().await, env.get(&at).token(&rival).send().await] {
        assert!(refused.status.is_client_error() && refused.header("location").is_empty(), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_blob_and_a_question_are_answered_by_the_server() {
    let Some((env, _proxy)) = behind_s3_proxy(redirect).await else { return };
    let (small, large) = (noise(3, ABOVE - 1), noise(4, ABOVE));
    let at = blob(&env, &small).await;
    assert!(env.get(&at).expect(200).await.bytes == small);
    let at = blob(&env, &large).await;
    let head = env.call("HEAD", &at).expect(200).await;
    assert_eq!(head.header("content-length"), large.len().to_string());
}

/// Pushes the example model, then pulls it where a part of it is already.
fn push_and_resume(home: &Path, run: impl Fn(&[&str])) {
    let (model, out) = (files::example("model"), home.join("out"));
    run(&["push", model.to_str().unwrap(), "--to", R]);
    let bytes = fs::read(model.join(LARGE)).unwrap();
    fs::create_dir(&out).unwrap();
    let own = Digest::sha256(format!("{} {LARGE}", Digest::sha256(&bytes)).as_bytes());
    fs::write(out.join(format!(".gradus-{}.part", &own.hex()[..16])), &bytes[..ABOVE]).unwrap();
    run(&["pull", &format!("{R}:1"), "--out", out.to_str().unwrap()]);
    assert!(fs::read(out.join(LARGE)).unwrap() == bytes);
    run(&["verify", &format!("{R}:1")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_follows_goes_on_and_keeps_its_token_to_itself() {
    if !Backend::SqliteS3.is_there() {
        return;
    }
    let (home, proxy) = (tempfile::tempdir().unwrap(), Proxy::to_s3().await);
    let setup = Setup::with(Backend::SqliteS3, home.path(), |config| {
        redirect(config);
        proxy.redirect(config);
    });
    let setup = setup.await;
    let server = setup.start();
    let token = server.bootstrap_token().unwrap();
    let run = |arguments: &[&str]| {
        let cli = Cli::new(home.path(), arguments).environment("GRADUS_SERVER", &server.url);
        cli.environment("GRADUS_TOKEN", &token).run().expect(0);
    };
    run(&["namespace", "create", "acme"]);
    push_and_resume(home.path(), run);

    let all = proxy.requests();
    assert!(all.iter().all(|head| !head.contains(&token)));
    let direct: Vec<_> = all.iter().filter(|head| head.contains("X-Amz-Signature=")).collect();
    assert!(direct.iter().any(|head| head.contains(&format!("range: bytes={ABOVE}-"))), "{direct:?}");
    for head in direct {
        let head = head.to_ascii_lowercase();
        assert!(!head.contains("authorization:"), "{head}");
        assert!(!head.contains("transfer-encoding:"), "some buckets refuse a GET with a body: {head}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_nobody_is_sent_elsewhere() {
    if !Backend::SqliteS3.is_there() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let setup = Setup::with(Backend::SqliteS3, home.path(), redirect).await;
    let (data, config) = (setup.data.to_str().unwrap(), setup.config.to_str().unwrap());
    let local = ["--data-dir", data, "--config", config];
    push_and_resume(home.path(), |arguments| {
        Cli::new(home.path(), &[arguments, &local[..]].concat()).run().expect(0);
    });
}
