//! The bucket or the database fails in the middle: a clear error, nothing lost, nothing half-done, and it works
//! again afterwards.

use crate::harness::{
    Backend, Env,
    files::{noise, prompt, push, push_prompt, safetensors, upload},
    proxy::{Proxy, Weather, behind_s3_proxy},
    server::Cli,
    session::{Session, objects},
};
use gradus::model::digest::Digest;
use serde_json::json;
use std::{path::Path, process::Command};

const MIB: usize = 1024 * 1024;
const R: &str = "acme/triage";

async fn is_whole(env: &Env, bytes: &[u8]) -> bool {
    env.get(&format!("/v2/{R}/blobs/{}", Digest::sha256(bytes))).expect(200).await.bytes == bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_goes_on_after_the_bucket_failed() {
    let Some((env, proxy)) = behind_s3_proxy(|_| {}).await else { return };
    for (seed, weather) in [Weather::Busy, Weather::Cut, Weather::PartsFail].into_iter().enumerate() {
        let bytes = noise(seed as u64, 21 * MIB + 7);
        let session = Session::begin(&env, R).await;
        assert_eq!(session.chunk(&env, 0, &bytes[..1000]).await.status, 202);
        proxy.set(weather);
        let failed = session.chunk(&env, 1000, &bytes[1000..]).await;
        assert_eq!(
            (failed.status.as_u16(), failed.code().as_str()),
            (503, "store_unavailable"),
            "{weather:?}"
        );
        assert_eq!(failed.header("retry-after"), "2");
        proxy.set(Weather::Fine);
        let received = session.received(&env).await.expect("the session lives");
        assert!(
            (1000..bytes.len()).contains(&received),
            "{weather:?}: an offset never passes durable bytes: {received}"
        );
        assert_eq!(session.chunk(&env, received, &bytes[received..]).await.status, 202);
        assert_eq!(session.finish(&env, &Digest::sha256(&bytes)).await.status, 201);
        assert!(is_whole(&env, &bytes).await, "{weather:?}");
    }
    assert_eq!(objects(&env).await, (vec![21 * MIB as u64 + 7; 3], 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_request_of_an_upload_can_fail_and_be_repeated() {
    let Some((env, proxy)) = behind_s3_proxy(|_| {}).await else { return };
    let bytes = noise(5, 9 * MIB);
    let session = Session::begin(&env, R).await;
    assert_eq!(session.chunk(&env, 0, &bytes).await.status, 202);
    proxy.set(Weather::Busy);
    let failed = session.finish(&env, &Digest::sha256(&bytes)).await;
    assert_eq!((failed.status.as_u16(), failed.code().as_str()), (503, "store_unavailable"));
    env.call("HEAD", &format!("/v2/{R}/blobs/{}", Digest::sha256(&bytes))).expect(404).await;
    proxy.set(Weather::Fine);
    let again = session.finish(&env, &Digest::sha256(&bytes)).await;
    assert_eq!(again.status, 201, "{}", again.text());
    assert!(is_whole(&env, &bytes).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_is_never_judged_by_bytes_that_could_not_be_read() {
    let Some((env, proxy)) = behind_s3_proxy(|_| {}).await else { return };
    let file = upload(&env, R, "model.safetensors", &safetensors(1)).await;
    for weather in [Weather::Busy, Weather::Cut] {
        proxy.set(weather);
        let refused = push(&env, R, vec![file.clone()], json!({})).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (503, "store_unavailable"),
            "{}",
            refused.text()
        );
        env.get("/readyz").expect(503).await;
        env.get("/healthz").expect(200).await;
        proxy.set(Weather::Fine);
        env.get("/readyz").expect(200).await;
        env.get(&format!("/v1/workloads/{R}/versions/latest")).expect(404).await;
    }
    proxy.set(Weather::Slow);
    let pushed = push(&env, R, vec![file], json!({})).await.value();
    assert_eq!(
        (&pushed["inspection"]["kind"], &pushed["inspection"]["safety"]),
        (&json!("safetensors"), &json!("safe"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_loses_nothing() {
    if !Backend::PostgresLocal.is_there() {
        return;
    }
    let server = crate::harness::variable("GRADUS_TEST_POSTGRES");
    let address = server.split(['@', '/']).find(|part| part.contains("127.0.0.1")).unwrap().to_owned();
    let proxy = Proxy::to(&address).await;
    let through = proxy.address.to_string();
    let env = Env::with(Backend::PostgresLocal, |config| {
        let url = config.database.url.as_mut().unwrap();
        *url = url.replace(&address, &through);
    });
    let env = env.await;
    env.namespace("acme").await;
    assert_eq!(push_prompt(&env, R, "before", json!({})).await.status, 201);
    let bytes = noise(6, 5000);
    let session = Session::begin(&env, R).await;
    assert_eq!(session.chunk(&env, 0, &bytes[..1000]).await.status, 202);
    let later = upload(&env, R, "a.prompt.yaml", &prompt("after")).await;

    proxy.set(Weather::Cut);
    let failures = [
        session.chunk(&env, 1000, &bytes[1000..]).await,
        push(&env, R, vec![later.clone()], json!({})).await,
        env.get(&format!("/v1/workloads/{R}/resolve/latest")).send().await,
    ];
    for failed in failures {
        let code = failed.code();
        assert!(
            failed.status == 503 && (code == "database_unavailable" || code == "database_busy"),
            "{}",
            failed.text()
        );
    }
    proxy.set(Weather::Fine);
    // A connection that was cut may be met once more, each of the eight.
    for _ in 0..8 {
        if env.get(&format!("/v1/workloads/{R}/versions")).send().await.status == 200 {
            break;
        }
    }
    let listed = env.get(&format!("/v1/workloads/{R}/versions")).expect(200).await.value();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "nothing half-done");
    assert_eq!(session.received(&env).await, Some(1000));
    assert_eq!(session.chunk(&env, 1000, &bytes[1000..]).await.status, 202);
    assert_eq!(session.finish(&env, &Digest::sha256(&bytes)).await.status, 201);
    assert!(is_whole(&env, &bytes).await);
    assert_eq!(push(&env, R, vec![later], json!({})).await.status, 201);
}

/// A small file system of its own, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=12m", "tmpfs"])
            .arg(directory.path())
            .output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(directory))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_is_told_and_leaves_room_for_what_fits() {
    let Some(disk) = SmallDisk::mount() else {
        crate::harness::skip("a small file system cannot be mounted here, which needs root");
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let push = |name: &str, bytes: &[u8]| {
        let file = home.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let data: &Path = disk.0.path();
        Cli::new(
            home.path(),
            &["push", file.to_str().unwrap(), "--to", R, "--data-dir", data.to_str().unwrap()],
        )
        .run()
    };
    push("small.bin", &noise(7, MIB)).expect(0);
    let full = push("large.bin", &noise(8, 30 * MIB)).expect(9);
    assert!(full.stderr.contains("disk_full") && full.stdout.is_empty(), "{full:#?}");
    push("other.bin", &noise(9, 2 * MIB)).expect(0);
    let data = disk.0.path().to_str().unwrap();
    let listed = Cli::new(home.path(), &["list", R, "--json", "--data-dir", data]).run().expect(0);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&listed.stdout).unwrap().as_array().unwrap().len(),
        2
    );
    Cli::new(home.path(), &["scrub", "--data-dir", data]).run().expect(0);
}
