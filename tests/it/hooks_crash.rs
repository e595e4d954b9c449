//! The real server, killed at random points while clients push: whatever is in the log reaches the receiver at least once,
//! in order within its workload, and nothing else does.

use crate::{
    harness::{Backend, files, receiver::Receiver, server::Setup},
    hooks::loopback,
};
use gradus::{
    client::{Client, Digests, Upload},
    model::{event::Event, name::Workload},
    wire,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

const ROUNDS: u64 = 6;
const CLIENTS: u64 = 3;
/// Workloads of each client: what was being sent when the server was killed stops only its own.
const WORKLOADS: u64 = 4;
/// Pushes of a round before the server is killed.
const PUSHES: usize = 15;

/// Pushes one prompt after another until the server is gone.
async fn push_on(client: Client, directory: &Path, who: u64, round: u64, pushed: &AtomicUsize) {
    for number in 0..1000u64 {
        let workload: Workload = format!("acme/w{who}-{}", number % WORKLOADS).parse().unwrap();
        let source = directory.join(format!("{who}.prompt.yaml"));
        let bytes = files::prompt(&format!("{round}-{number}"));
        std::fs::write(&source, &bytes).unwrap();
        let upload = Upload { path: "a.prompt.yaml".parse().unwrap(), size: bytes.len() as u64, source };
        let sent = client.upload(&workload, vec![upload], &Digests::open(None), Arc::new(|_| {})).await;
        let Ok(sent) = sent else { return };
        let files: Vec<Value> = sent.iter().map(|sent| serde_json::to_value(&sent.file).unwrap()).collect();
        let new: wire::NewVersion = serde_json::from_value(json!({ "files": files })).unwrap();
        if client.create_version(&workload, &new).await.is_err() {
            return;
        }
        pushed.fetch_add(1, Ordering::SeqCst);
    }
}

async fn reaches_the_receiver(backend: Backend) {
    if !backend.is_there() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::with(backend, directory.path(), |config| {
        loopback(config);
        // On PostgreSQL what a killed process held is taken over after three attempts and half a minute.
        config.hooks.timeout_seconds = 1;
    })
    .await;
    let receiver = Receiver::start().await;
    let mut server = setup.start();
    let token = server.bootstrap_token().expect("the first start prints a token");
    let client = Client::remote(&setup.url, Some(token), false).unwrap();
    let new = wire::NewNamespace { name: "acme".parse().unwrap(), store: None };
    client.create_namespace(&new).await.unwrap();
    let new = json!({ "scope": "acme", "url": receiver.url, "on": "*" });
    let hook = client.add_hook(&serde_json::from_value(new).unwrap()).await.unwrap().hook.id;

    for round in 0..ROUNDS {
        let pushed = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..CLIENTS)
            .map(|who| {
                let (client, pushed) = (client.clone(), pushed.clone());
                let directory = directory.path().to_owned();
                tokio::spawn(async move { push_on(client, &directory, who, round, &pushed).await })
            })
            .collect();
        for _ in 0..3000 {
            if pushed.load(Ordering::SeqCst) >= PUSHES {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis((round * 137) % 50)).await;
        server.kill();
        for task in tasks {
            task.abort();
            let _ = task.await;
        }
        assert!(pushed.load(Ordering::SeqCst) >= PUSHES, "too little was pushed in round {round}");
        server = setup.start();
    }

    let since = Instant::now();
    while client.show_hook(&hook).await.unwrap().pending > 0 {
        // On SQLite nobody can hold a lease from before the start.
        let longest = Duration::from_secs(if backend.is_postgres() { 90 } else { 20 });
        assert!(since.elapsed() < longest, "after {longest:?} something is still to be sent");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut log: Vec<Event> = Vec::new();
    loop {
        let from = log.last().map_or(0, |last| last.position + 1);
        let page = client.events("&namespace=acme", from, 1000).await.unwrap();
        if page.is_empty() {
            break;
        }
        log.extend(page);
    }
    compare(&log, &receiver);
}

fn compare(log: &[Event], receiver: &Receiver) {
    let added = log.iter().position(|event| event.change.kind() == "hook_added").expect("the hook was added");
    let log: BTreeMap<i64, &Event> = log[added..].iter().map(|event| (event.position, event)).collect();
    let mut lanes: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for received in receiver.got() {
        let said = received.event();
        let position = said["sequence"].as_str().and_then(|text| text.parse().ok()).expect("a position");
        let event = log.get(&position).unwrap_or_else(|| panic!("it is not in the log: {said:#}"));
        let change = serde_json::to_value(&event.change).unwrap();
        assert_eq!((&said["data"], received.kind().as_str()), (&change["data"], event.change.kind()));
        let lane = lanes.entry(received.subject()).or_default();
        if !lane.contains(&position) {
            lane.push(position);
        }
    }
    for (lane, got) in &lanes {
        assert!(got.is_sorted(), "{lane} is out of order: {got:?}");
    }
    let mut got: Vec<i64> = lanes.into_values().flatten().collect();
    got.sort_unstable();
    assert_eq!(got, log.into_keys().collect::<Vec<_>>(), "all of the log, and nothing else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_the_log_reaches_the_receiver_on_sqlite() {
    reaches_the_receiver(Backend::SqliteLocal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_the_log_reaches_the_receiver_on_postgres() {
    reaches_the_receiver(Backend::PostgresLocal).await;
}
