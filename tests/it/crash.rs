//! The real server, killed at random points while clients push: what was acknowledged is whole, and nothing
//! half-done is visible.

use crate::harness::{
    Backend, files,
    server::{Server, Setup},
};
use gradus::{
    client::{Client, Digests, Upload},
    model::{digest::Digest, name::Workload, reference::Reference, version::Version},
    wire,
};
use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

const ROUNDS: u64 = 6;
const CLIENTS: u64 = 3;

#[derive(Clone, Debug)]
struct Acknowledged {
    workload: Workload,
    version: Version,
    digest: Digest,
}

/// Pushes one artifact after another until the server is gone.
async fn push_on(
    client: Client,
    directory: &Path,
    who: u64,
    round: u64,
    acknowledged: &Mutex<Vec<Acknowledged>>,
) {
    let workload: Workload = format!("acme/w{who}").parse().unwrap();
    for number in 0..1000u64 {
        let seed = (round * 100 + who) * 10_000 + number;
        // Small files, files of several pieces, and on S3 of more than one part.
        let length = [200, 70_000, 3_000_000, 11_000_000][(seed % 4) as usize];
        let source = directory.join(format!("{seed}.bin"));
        std::fs::write(&source, files::noise(seed, length)).unwrap();
        let upload =
            Upload { path: "model.bin".parse().unwrap(), size: length as u64, source: source.clone() };
        let sent = client.upload(&workload, vec![upload], &Digests::open(None), Arc::new(|_| {})).await;
        std::fs::remove_file(&source).unwrap();
        let Ok(sent) = sent else { return };
        let new = wire::NewVersion {
            tier: None,
            files: sent.into_iter().map(|sent| sent.file).collect(),
            contract: None,
            prompt: None,
            base: None,
            datasets: vec![],
            evidence: Vec::new(),
            version: None,
            bump: None,
        };
        let Ok(pushed) = client.create_version(&workload, &new).await else { return };
        let (version, digest) = (pushed.version.version, pushed.version.digest);
        acknowledged.lock().unwrap().push(Acknowledged { workload: workload.clone(), version, digest });
    }
}

/// Every version that can be seen is whole, to the last byte.
async fn check(client: &Client, acknowledged: &[Acknowledged]) {
    for one in acknowledged {
        let reference: Reference = format!("{}:{}", one.workload, one.version).parse().unwrap();
        let resolved =
            client.resolve(&reference).await.unwrap_or_else(|error| panic!("{reference} is lost: {error:?}"));
        assert_eq!(resolved.digest, one.digest, "{reference}");
    }
    for workload in client.list_workloads(None).await.unwrap() {
        for version in client.list_versions(&workload.workload, "", usize::MAX).await.unwrap() {
            let reference = format!("{}:{}", version.workload, version.version).parse().unwrap();
            let resolved = client.resolve(&reference).await.unwrap();
            for file in client.files(&resolved).await.unwrap() {
                let nothing: gradus::client::Progress = Arc::new(|_| {});
                client.verify_blob(&workload.workload, &file, &nothing).await.unwrap_or_else(|error| {
                    panic!("{}:{} is not whole: {error:?}", version.workload, version.version)
                });
            }
        }
    }
    let scrubbed = client.scrub(&wire::Scrub { reindex: false }).await.unwrap();
    assert!(scrubbed.rotten.is_empty(), "{:?}", scrubbed.rotten);
}

async fn survives(backend: Backend) {
    if !backend.is_there() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::new(backend, directory.path()).await;
    let mut server: Server = setup.start();
    let token = server.bootstrap_token().expect("the first start prints a token");
    let client = Client::remote(&setup.url, Some(token), false).unwrap();
    let new = wire::NewNamespace { name: "acme".parse().unwrap(), store: None };
    client.create_namespace(&new).await.unwrap();

    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    for round in 0..ROUNDS {
        let tasks: Vec<_> = (0..CLIENTS)
            .map(|who| {
                let (client, acknowledged) = (client.clone(), acknowledged.clone());
                let directory = directory.path().to_owned();
                tokio::spawn(async move { push_on(client, &directory, who, round, &acknowledged).await })
            })
            .collect();
        let before = acknowledged.lock().unwrap().len();
        // Not before something was acknowledged in this round, then at a moment that differs each time.
        for _ in 0..1000 {
            if acknowledged.lock().unwrap().len() > before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(20 + (round * 137) % 300)).await;
        server.kill();
        for task in tasks {
            task.abort();
            let _ = task.await;
        }
        server = setup.start();
        assert_eq!(server.bootstrap_token(), None, "a second start prints no token");
        let seen = acknowledged.lock().unwrap().clone();
        assert!(seen.len() > before, "nothing was acknowledged in round {round}");
        check(&client, &seen).await;
    }
    // And what was given up half-way can be swept without touching what counts.
    client.gc(&wire::CollectGarbage { grace_hours: Some(0), delete: true }).await.unwrap();
    let seen = acknowledged.lock().unwrap().clone();
    check(&client, &seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_keeps_its_word_on_sqlite_and_files() {
    survives(Backend::SqliteLocal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_keeps_its_word_on_sqlite_and_s3() {
    survives(Backend::SqliteS3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_keeps_its_word_on_postgres_and_files() {
    survives(Backend::PostgresLocal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_keeps_its_word_on_postgres_and_s3() {
    survives(Backend::PostgresS3).await;
}
