//! Sessions of uploads that the client gives up, so that they take no room from others; and those it comes back to.

use crate::harness::{
    Backend, Call, Env, backends,
    carry::{bring, client, copy, export, large, push_weights},
    files::noise,
    front::{front, pass, status},
    govern::W,
    session::{Session, objects, sql},
};
use axum::extract::Request;
use gradus::{
    client::{Client, Digests, Sent, Upload, carry::Wanted},
    clock::Clock as _,
    db,
    error::{Kind, Result},
    model::digest::Digest,
};
use http::Method;
use serde_json::json;
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::sync::Notify;

const MIB: usize = 1024 * 1024;

/// How many uploads have not ended.
async fn sessions(env: &Env) -> u64 {
    sql(env, "UPDATE uploads SET tail = tail").await
}

async fn push(client: &Client, files: &[&Path], digests: &Digests) -> Result<Vec<Sent>> {
    let file = |source: &&Path| Upload {
        path: source.file_name().unwrap().to_str().unwrap().parse().unwrap(),
        source: source.to_path_buf(),
        size: std::fs::metadata(source).unwrap().len(),
    };
    client.upload(&W.parse().unwrap(), files.iter().map(file).collect(), digests, Arc::new(|_| ())).await
}

backends! {
    async fn when_one_file_fails_the_sessions_of_all_are_deleted(env: Env) {
        env.namespace("acme").await;
        let home = tempfile::tempdir().unwrap();
        let (first, second) = (home.path().join("first"), home.path().join("second"));
        std::fs::write(&first, noise(1, 2 * MIB)).unwrap();
        std::fs::write(&second, noise(2, 3 * MIB)).unwrap();
        let arrived = Arc::new(Notify::new());
        let before = front(&env, move |router, request: Request| {
            let arrived = arrived.clone();
            async move {
                let length = request.headers().get("content-length").and_then(|length| length.to_str().ok());
                let is_second = length == Some(&(3 * MIB).to_string());
                match *request.method() {
                    // The second has arrived in full, but nobody is told.
                    Method::PATCH if is_second => {
                        assert_eq!(pass(router, request).await.status(), 202);
                        arrived.notify_one();
                        std::future::pending().await
                    }
                    Method::PUT => {
                        arrived.notified().await;
                        status(403)
                    }
                    _ => pass(router, request).await,
                }
            }
        });
        let before = Client::local_as(before, env.admin.clone());
        let refused = push(&before, &[&first, &second], &Digests::open(None)).await;
        assert_eq!(refused.err().map(|error| error.code), Some("unexpected_status"));
        assert_eq!((sessions(&env).await, objects(&env).await), (0, (vec![], 0)));
        let used = env.get("/v1/quotas/acme").expect(200).await.value()["used"].clone();
        assert_eq!(used["uploading_bytes"], 0);
    }

    async fn what_another_registry_does_not_take_leaves_no_session_there(env: Env) {
        env.namespace("acme").await;
        push_weights(&env, &[("model.safetensors", &large(7))]).await;
        let folder = env.directory.path().join("layout");
        export(&env, &["acme/x:1.0.0"], &folder).await;
        let other = Env::new(env.backend).await;
        other.namespace("acme").await;
        let refusing = front(&other, |router, request: Request| async move {
            let is_end = request.method() == Method::PUT && request.uri().path().contains("/uploads/");
            if is_end { status(403) } else { pass(router, request).await }
        });
        let there = Client::local_as(refusing, other.admin.clone());
        assert!(copy(&client(&env), "acme/x:1.0.0", &there, W).await.is_err());
        assert_eq!(sessions(&other).await, 0, "copied");
        assert!(bring(&there, &folder, Wanted::default()).await.is_err());
        assert_eq!(sessions(&other).await, 0, "imported");
        bring(&client(&other), &folder, Wanted::default()).await.unwrap();
    }
}

/// Two containers with one cache directory, and another file each at the same path.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_another_command_is_at_is_left_to_it() {
    let env = Env::new(Backend::SqliteLocal).await;
    env.namespace("acme").await;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("model.bin");
    let digests = Digests::open(Some(home.path().join("cache")));
    std::fs::write(&file, noise(6, 64 * MIB)).unwrap();
    let theirs = Session::begin(&env, W).await;
    let id = theirs.at.rsplit('/').next().unwrap();
    assert!(digests.set_unfinished(&format!("local {W}"), &file, Some(id)));
    let (mut tx, now) = (env.cx.db.write().await.unwrap(), env.clock.now());
    assert!(db::uploads::lease(&mut tx, id, "another", now, now + Duration::from_secs(60)).await.unwrap());
    tx.commit().await.unwrap();
    std::fs::write(&file, noise(7, 64 * MIB + 1)).unwrap();
    push(&client(&env), &[&file], &digests).await.unwrap();
    assert_eq!(theirs.received(&env).await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_session_stays_only_where_it_is_remembered() {
    let env = Env::new(Backend::SqliteLocal).await;
    env.namespace("acme").await;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("model.bin");
    std::fs::write(&file, noise(3, 64 * MIB)).unwrap();
    // The quota is set when all has arrived.
    let admin = env.admin.clone();
    let late = front(&env, move |router, request: Request| {
        let admin = admin.clone();
        async move {
            if request.method() == Method::PUT {
                let quota = Call::new(&router, "PUT", "/v1/quotas/acme").token(&admin);
                quota.json(json!({ "bytes": 1 })).expect(200).await;
            }
            pass(router, request).await
        }
    });
    let late = Client::local_as(late, env.admin.clone());
    let remembering = Digests::open(Some(home.path().join("cache")));
    for (digests, left) in [(&Digests::open(None), 0), (&remembering, 1)] {
        let refused = push(&late, &[&file], digests).await;
        assert_eq!(refused.err().map(|error| error.code), Some("quota_exceeded"));
        assert_eq!(sessions(&env).await, left);
        env.call("DELETE", "/v1/quotas/acme").expect(204).await;
    }
    // It was of a file that is another one now.
    std::fs::write(&file, noise(4, 64 * MIB + 1)).unwrap();
    let sent = push(&client(&env), &[&file], &remembering).await.unwrap();
    assert_eq!(sent[0].file.digest, Digest::sha256(&noise(4, 64 * MIB + 1)));
    assert_eq!(sessions(&env).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_session_outlives_the_token_it_was_begun_with() {
    let env = Env::new(Backend::SqliteLocal).await;
    env.namespace("acme").await;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("model.bin");
    std::fs::write(&file, noise(5, 64 * MIB)).unwrap();
    let expired = front(&env, |router, request: Request| async move {
        if request.method() == Method::PUT { status(401) } else { pass(router, request).await }
    });
    let expired = Client::local_as(expired, env.admin.clone());
    let digests = Digests::open(Some(home.path().join("cache")));
    assert_eq!(
        push(&expired, &[&file], &digests).await.err().map(|error| error.kind),
        Some(Kind::Unauthenticated)
    );
    assert_eq!(sessions(&env).await, 1);
    push(&client(&env), &[&file], &digests).await.unwrap();
    assert_eq!(sessions(&env).await, 0);
    assert_eq!(env.cx.metrics.bytes_received.get(), 64 * MIB as u64, "nothing was sent twice");
}

/// Two commands of one user, both of which began before either wrote.
#[test]
fn commands_at_once_keep_what_the_other_remembers() {
    let home = tempfile::tempdir().unwrap();
    let open = || Digests::open(Some(home.path().join("cache")));
    let file = |name: &str| {
        let path = home.path().join(name);
        let file = std::fs::File::create(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
        path
    };
    let (a, b, digest) = (file("a"), file("b"), Digest::sha256(b""));
    let (first, second) = (open(), open());
    for (digests, path) in [(&first, &a), (&second, &b)] {
        digests.put(path, &std::fs::metadata(path).unwrap(), &digest);
        digests.save().unwrap();
    }
    assert_eq!((open().get(&a), open().get(&b)), (Some(digest.clone()), Some(digest)));

    let session = |path: &Path| open().unfinished(W, path);
    assert!(first.set_unfinished(W, &a, Some("1")) && second.set_unfinished(W, &b, Some("2")));
    assert_eq!((session(&a).as_deref(), session(&b).as_deref()), (Some("1"), Some("2")));
    first.set_unfinished(W, &a, None);
    assert_eq!((session(&a), session(&b).as_deref()), (None, Some("2")));
    // Of one file each has a session of its own, and the later one is remembered.
    assert!(second.set_unfinished(W, &a, Some("4")) && first.set_unfinished(W, &a, Some("3")));
    second.set_unfinished(W, &a, None);
    assert_eq!(session(&a).as_deref(), Some("3"));

    let numbers: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    std::thread::scope(|scope| {
        for (digests, numbers) in [&first, &second].into_iter().zip(numbers.chunks(20)) {
            let a = &a;
            scope.spawn(move || numbers.iter().all(|place| digests.set_unfinished(place, a, Some("5"))));
        }
    });
    let last = open();
    assert!(numbers.iter().all(|place| last.unfinished(place, &a).is_some()));
}

#[test]
fn what_cannot_be_locked_is_remembered_all_the_same() {
    let home = tempfile::tempdir().unwrap();
    let (cache, file) = (home.path().join("cache"), home.path().join("file"));
    std::fs::write(&file, "").unwrap();
    let open = || Digests::open(Some(cache.clone()));
    // Nothing can be opened there as a file.
    std::fs::create_dir_all(cache.join("uploads.lock")).unwrap();
    let digests = open();
    assert!(digests.set_unfinished("first", &file, Some("1")));
    // What cannot be read is replaced by what is known.
    std::fs::write(cache.join("uploads.json"), "{").unwrap();
    assert!(digests.set_unfinished("second", &file, Some("2")));
    assert_eq!(open().unfinished("first", &file).as_deref(), Some("1"));
    assert_eq!(open().unfinished("second", &file).as_deref(), Some("2"));
}
