//! Bytes come in: every way the distribution-spec knows, cut anywhere, resumed anywhere, visible only when whole.

use crate::harness::{
    Env, all_backends,
    files::noise,
    session::{Session, cut_after, objects, streamed},
};
use axum::body::Body;
use futures_util::{StreamExt as _, stream};
use gradus::model::{
    access::Role,
    digest::{Algorithm, Digest},
};
use gradus::{
    client::{Digests, Upload},
    clock::Clock as _,
    db,
};
use std::{io, time::Duration};

const MIB: usize = 1024 * 1024;
const REPOSITORY: &str = "acme/triage";

/// The ways to send one blob.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// One POST with the digest.
    Post,
    /// POST for a session, PUT with all bytes.
    PostPut,
    /// Chunks that say where they start, the last one with the PUT.
    Chunks(usize),
    /// One PATCH of unknown length.
    Streamed,
}

async fn send(env: &Env, way: Way, bytes: &[u8]) -> Digest {
    let digest = Digest::sha256(bytes);
    if matches!(way, Way::Post) {
        let at = format!("/v2/{REPOSITORY}/blobs/uploads/?digest={digest}");
        env.call("POST", &at).body(bytes.to_vec()).expect(201).await;
        return digest;
    }
    let session = Session::begin(env, REPOSITORY).await;
    let mut last = Vec::new();
    match way {
        Way::Post => {}
        Way::PostPut => last = bytes.to_vec(),
        Way::Chunks(size) => {
            let (first, rest) = bytes.split_at(bytes.len() - bytes.len() % size);
            for (number, chunk) in first.chunks(size).enumerate() {
                let answer = session.chunk(env, number * size, chunk).await;
                assert_eq!(answer.status, 202, "{}", answer.text());
                assert_eq!(answer.header("range"), format!("0-{}", (number + 1) * size - 1));
            }
            last = rest.to_vec();
        }
        Way::Streamed => assert_eq!(session.stream(env, streamed(bytes, 7_000)).await.status, 202),
    }
    let answer = session.finish_with(env, &digest, last).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("docker-content-digest")),
        (201, digest.as_str()),
        "{}",
        answer.text()
    );
    assert_eq!(session.received(env).await, None, "a finished session is gone");
    digest
}

async fn whole(env: &Env, digest: &Digest) -> Vec<u8> {
    env.get(&format!("/v2/{REPOSITORY}/blobs/{digest}")).expect(200).await.bytes
}

async fn head(env: &Env, repository: &str, digest: &Digest) -> u16 {
    env.call("HEAD", &format!("/v2/{repository}/blobs/{digest}")).send().await.status.as_u16()
}

all_backends! {
    async fn every_way_of_sending_makes_the_same_blob(env: Env) {
        env.namespace("acme").await;
        for (seed, way) in [Way::Post, Way::PostPut, Way::Chunks(1000), Way::Streamed].into_iter().enumerate() {
            for length in [0, 1, 5_003] {
                let bytes = noise(seed as u64, length);
                let digest = send(&env, way, &bytes).await;
                assert_eq!(whole(&env, &digest).await, bytes, "{way:?} {length}");
                assert_eq!(head(&env, REPOSITORY, &digest).await, 200);
            }
        }
        for way in [Way::Post, Way::PostPut, Way::Chunks(5 * MIB + 1), Way::Streamed] {
            let bytes = noise(9, 9 * MIB + 17);
            let digest = send(&env, way, &bytes).await;
            assert!(whole(&env, &digest).await == bytes, "{way:?}");
        }
        // The empty blob once, four small ones of one byte, four of some, one large: surplus copies are gone.
        let (sizes, tails) = objects(&env).await;
        assert_eq!((sizes.len(), tails), (1 + 4 + 4 + 1, 0), "{sizes:?}");
    }

    async fn an_upload_goes_on_at_any_replica_with_any_chunks(env: Env) {
        env.namespace("acme").await;
        let replicas = [env.replica().await, env.replica().await];
        let bytes = noise(1, 20 * MIB + 12_345);
        let session = Session::begin(&env, REPOSITORY).await;
        let lengths = [1, 63, 64, 8 * MIB, 8 * MIB - 65, 130_000, 1, 3 * MIB];
        let (mut offset, mut turn) = (0, 0);
        while offset < bytes.len() {
            let end = bytes.len().min(offset + lengths[turn % lengths.len()]);
            let answer = session.chunk(&replicas[turn % 2], offset, &bytes[offset..end]).await;
            assert_eq!(answer.status, 202, "{}", answer.text());
            (offset, turn) = (end, turn + 1);
            assert_eq!(session.received(&env).await, Some(offset));
        }
        let digest = Digest::sha256(&bytes);
        assert_eq!(session.finish(&replicas[turn % 2], &digest).await.status, 201);
        assert!(whole(&env, &digest).await == bytes);
        assert_eq!(objects(&env).await, (vec![bytes.len() as u64], 0), "one object, no staged tail");
    }

    async fn a_chunk_at_the_wrong_place_is_refused_and_the_session_lives(env: Env) {
        env.namespace("acme").await;
        let bytes = noise(2, 3000);
        let session = Session::begin(&env, REPOSITORY).await;
        assert_eq!(session.chunk(&env, 0, &bytes[..1000]).await.status, 202);
        for (offset, chunk) in [(0, &bytes[..1000]), (999, &bytes[999..2000]), (1001, &bytes[1001..2000])] {
            let refused = session.chunk(&env, offset, chunk).await;
            assert_eq!((refused.status.as_u16(), refused.code().as_str()), (416, "upload_offset"));
        }
        let wrong_length = env.call("PATCH", &session.at).header("content-range", "1000-1999").header("content-length", "10");
        wrong_length.body(bytes[1000..1010].to_vec()).expect(416).await;
        assert_eq!(session.received(&env).await, Some(1000), "a refused chunk changes nothing");
        assert_eq!(session.chunk(&env, 1000, &bytes[1000..]).await.status, 202);
        assert_eq!(session.finish(&env, &Digest::sha256(&bytes)).await.status, 201);
    }

    async fn a_wrong_digest_is_refused_and_leaves_nothing(env: Env) {
        env.namespace("acme").await;
        let bytes = noise(3, 9 * MIB);
        let wrong = Digest::sha256(b"something else");
        let refused = env.call("POST", &format!("/v2/{REPOSITORY}/blobs/uploads/?digest={wrong}")).body(bytes.clone()).expect(400).await;
        assert_eq!(refused.code(), "digest_mismatch");

        let session = Session::begin(&env, REPOSITORY).await;
        session.chunk(&env, 0, &bytes[..1000]).await;
        let refused = session.finish_with(&env, &wrong, bytes[1000..].to_vec()).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "digest_mismatch"));
        assert_eq!(session.received(&env).await, None);

        let late = Session::begin(&env, REPOSITORY).await;
        late.chunk(&env, 0, &bytes[..1000]).await;
        assert_eq!(late.finish(&env, &Algorithm::Sha512.digest(b"else")).await.status, 400);
        assert_eq!(late.received(&env).await, None);

        for digest in [wrong, Digest::sha256(&bytes)] {
            assert_eq!(head(&env, REPOSITORY, &digest).await, 404);
        }
        assert_eq!(objects(&env).await, (vec![], 0));
    }

    async fn a_sha512_digest_may_come_first_or_last(env: Env) {
        env.namespace("acme").await;
        let bytes = noise(4, 9 * MIB + 5);
        let digest = Algorithm::Sha512.digest(&bytes);
        let session = Session::begin(&env, REPOSITORY).await;
        assert_eq!(session.chunk(&env, 0, &bytes).await.status, 202);
        assert_eq!(session.finish(&env, &digest).await.status, 201);
        assert!(whole(&env, &digest).await == bytes);

        let announced = env.call("POST", &format!("/v2/{REPOSITORY}/blobs/uploads/?digest-algorithm=sha512")).expect(202).await;
        let session = Session { at: announced.header("location").to_owned() };
        let other = noise(5, 5000);
        session.chunk(&env, 0, &other[..100]).await;
        session.chunk(&env.replica().await, 100, &other[100..]).await;
        assert_eq!(session.finish(&env, &Algorithm::Sha512.digest(&other)).await.status, 201);
        assert_eq!(whole(&env, &Algorithm::Sha512.digest(&other)).await, other);
        let posted = noise(6, 10);
        let at = format!("/v2/{REPOSITORY}/blobs/uploads/?digest={}", Algorithm::Sha512.digest(&posted));
        env.call("POST", &at).body(posted).expect(201).await;
    }

    async fn a_cut_body_keeps_what_arrived_and_is_resumed(env: Env) {
        env.namespace("acme").await;
        let bytes = noise(7, 10 * MIB);
        let session = Session::begin(&env, REPOSITORY).await;
        let cut = session.stream(&env, cut_after(&bytes[..9 * MIB + 1])).await;
        assert_eq!((cut.status.as_u16(), cut.code().as_str()), (400, "body_incomplete"));
        let replica = env.replica().await;
        assert_eq!(session.received(&replica).await, Some(9 * MIB + 1));

        let digest = Digest::sha256(&bytes);
        let at = format!("{}?digest={digest}", session.at);
        let cut = env.call("PUT", &at).body(cut_after(&bytes[9 * MIB + 1..9 * MIB + 500])).send().await;
        assert_eq!(cut.code(), "body_incomplete", "the last request can be cut too");
        assert_eq!(session.received(&replica).await, Some(9 * MIB + 500));
        assert_eq!(session.finish_with(&replica, &digest, bytes[9 * MIB + 500..].to_vec()).await.status, 201);
        assert!(whole(&env, &digest).await == bytes);

        // Without a session there is nothing to resume, so nothing is kept.
        let at = format!("/v2/{REPOSITORY}/blobs/uploads/?digest={}", Digest::sha256(b"never whole"));
        env.call("POST", &at).body(cut_after(b"never")).expect(400).await;
        assert_eq!(objects(&env).await, (vec![bytes.len() as u64], 0));
    }

    async fn a_large_body_in_one_request_leaves_nothing_when_it_fails(env: Env) {
        env.namespace("acme").await;
        let bytes = noise(3, 17 * MIB);
        let at = format!("/v2/{REPOSITORY}/blobs/uploads/?digest={}", Digest::sha256(&bytes));
        for wrong in [Body::from(noise(4, 17 * MIB)), cut_after(&bytes[..9 * MIB])] {
            let refused = env.call("POST", &at).body(wrong).send().await;
            assert!(matches!(refused.code().as_str(), "digest_mismatch" | "body_incomplete"), "{}", refused.text());
        }
        assert_eq!(objects(&env).await, (vec![], 0));
        env.call("POST", &at).body(bytes.clone()).expect(201).await;
        assert_eq!(objects(&env).await, (vec![bytes.len() as u64], 0));
    }

    async fn a_stopped_push_goes_on_and_a_broken_session_is_given_up(env: Env) {
        env.namespace("acme").await;
        let (client, home) = (env.client().await, tempfile::tempdir().unwrap());
        let digests = Digests::open(Some(home.path().join("cache")));
        let store = env.cx.stores.default_store().clone();
        for (seed, is_broken) in [(9, false), (10, true)] {
            let (bytes, source) = (noise(seed, 65 * MIB), home.path().join(format!("{seed}.bin")));
            std::fs::write(&source, &bytes).unwrap();
            let session = Session::begin(&env, REPOSITORY).await;
            assert_eq!(session.chunk(&env, 0, &bytes[..20 * MIB]).await.status, 202);
            let id = session.at.rsplit('/').next().unwrap();
            digests.set_unfinished(&format!("local {REPOSITORY}"), &source, Some(id));
            if is_broken {
                let row = db::uploads::find(&mut env.cx.db.read().await.unwrap(), &REPOSITORY.parse().unwrap(), id).await.unwrap().unwrap();
                store.abort(id.parse().unwrap(), row.multipart.as_deref()).await.unwrap();
            }
            let file = Upload { path: "model.bin".parse().unwrap(), source: source.clone(), size: bytes.len() as u64 };
            let sent = client.upload(&REPOSITORY.parse().unwrap(), vec![file], &digests, std::sync::Arc::new(|_| {})).await.unwrap();
            assert_eq!(sent[0].file.digest, Digest::sha256(&bytes));
            let row = db::blobs::find(&mut env.cx.db.read().await.unwrap(), &store.name, &sent[0].file.digest).await.unwrap().unwrap();
            assert_eq!(row.key == id, !is_broken, "the object is that of the session that was gone on with");
            assert_eq!(digests.unfinished(&format!("local {REPOSITORY}"), &source), None);
        }
    }

    async fn a_session_being_written_is_no_garbage(env: Env) {
        env.namespace("acme").await;
        let session = Session::begin(&env, REPOSITORY).await;
        let (sender, pieces) = tokio::sync::mpsc::channel::<io::Result<Vec<u8>>>(2);
        let body = Body::from_stream(stream::unfold(pieces, |mut pieces| async {
            pieces.recv().await.map(|piece| (piece, pieces))
        }));
        sender.send(Ok(b"first ".to_vec())).await.unwrap();
        let id = session.at.rsplit('/').next().unwrap();
        let collect = async {
            for _ in 0..1000 {
                let (mut tx, now) = (env.cx.db.write().await.unwrap(), env.clock.now());
                if !db::uploads::lease(&mut tx, id, "somebody else", now, now).await.unwrap() {
                    break;
                }
                drop(tx);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            env.clock.advance(Duration::from_secs(1));
            env.call("POST", "/v1/gc").json(serde_json::json!({ "grace_hours": 0, "delete": true })).expect(200).await;
            sender.send(Ok(b"and last".to_vec())).await.unwrap();
            drop(sender);
        };
        let (answer, ()) = tokio::join!(session.stream(&env, body), collect);
        assert_eq!(answer.status, 202, "{}", answer.text());
        assert_eq!(session.finish(&env, &Digest::sha256(b"first and last")).await.status, 201);
    }

    async fn of_writers_at_one_offset_one_is_acknowledged(env: Env) {
        env.namespace("acme").await;
        let replicas = [&env.replica().await, &env];
        for round in 0..10u64 {
            let session = Session::begin(&env, REPOSITORY).await;
            let (mut whole, pieces): (Vec<u8>, Vec<Vec<u8>>) = (Vec::new(), (0..8).map(|who| noise(round * 8 + who + 1, 1000)).collect());
            for offset in [0, 1000] {
                let sent = pieces.iter().enumerate().map(|(who, piece)| session.chunk(replicas[who % 2], offset, piece));
                let answers = futures_util::future::join_all(sent).await;
                let won: Vec<usize> = (0..8).filter(|&who| answers[who].status.as_u16() == 202).collect();
                assert_eq!(won.len(), 1, "round {round}, offset {offset}");
                for lost in answers.iter().filter(|answer| answer.status.as_u16() != 202) {
                    assert!(matches!(lost.code().as_str(), "upload_busy" | "upload_offset"), "{}", lost.text());
                }
                whole.extend(&pieces[won[0]]);
            }
            assert_eq!(session.finish(&env, &Digest::sha256(&whole)).await.status.as_u16(), 201);
        }
    }

    async fn of_two_writers_one_gets_a_conflict(env: Env) {
        env.namespace("acme").await;
        let other = env.replica().await;
        let session = Session::begin(&env, REPOSITORY).await;
        let (reading, is_reading) = tokio::sync::oneshot::channel();
        let (go_on, may_go_on) = tokio::sync::oneshot::channel::<()>();
        let body = stream::once(async {
            let _ = reading.send(());
            let _ = may_go_on.await;
            Ok::<_, io::Error>(b"first".to_vec())
        });
        let first = tokio::spawn({
            let (router, at, token) = (env.router.clone(), session.at.clone(), env.admin.clone());
            async move { crate::harness::Call::new(&router, "PATCH", &at).token(&token).body(Body::from_stream(body.boxed())).send().await }
        });
        is_reading.await.unwrap();
        for replica in [&env, &other] {
            let second = session.chunk(replica, 0, b"second").await;
            assert_eq!((second.status.as_u16(), second.code().as_str()), (409, "upload_busy"));
            assert_eq!(session.finish(replica, &Digest::sha256(b"")).await.status, 409);
            let deleted = replica.call("DELETE", &session.at).expect(409).await;
            assert_eq!(deleted.code(), "upload_busy", "nobody takes it away from who is at it");
        }
        go_on.send(()).unwrap();
        assert_eq!(first.await.unwrap().status, 202);
        assert_eq!(session.finish(&other, &Digest::sha256(b"first")).await.status, 201);
    }

    async fn a_cancelled_upload_is_gone(env: Env) {
        env.namespace("acme").await;
        let session = Session::begin(&env, REPOSITORY).await;
        session.chunk(&env, 0, &noise(8, 9 * MIB)).await;
        env.call("DELETE", &session.at).expect(204).await;
        assert_eq!(session.received(&env).await, None);
        for refused in [session.chunk(&env, 0, b"x").await, session.finish(&env, &Digest::sha256(b"x")).await] {
            assert_eq!((refused.status.as_u16(), refused.code().as_str()), (404, "upload_unknown"));
        }
        env.call("DELETE", &session.at).expect(404).await;
        assert_eq!(objects(&env).await, (vec![], 0));
    }

    async fn a_session_belongs_to_its_repository(env: Env) {
        env.namespace("acme").await;
        let session = Session::begin(&env, REPOSITORY).await;
        let elsewhere = Session { at: session.at.replace("triage", "other") };
        assert_eq!(elsewhere.received(&env).await, None);
        assert_eq!(elsewhere.chunk(&env, 0, b"x").await.status, 404);
        assert_eq!(session.received(&env).await, Some(0));
    }

    async fn a_mount_links_only_what_the_caller_may_read(env: Env) {
        for namespace in ["acme", "rival"] {
            env.namespace(namespace).await;
        }
        let digest = send(&env, Way::Post, b"shared bytes").await;
        let both = env.person("both", "rival", Role::Contributor).await;
        env.person("both", "acme", Role::Reader).await;
        let rival = env.person("rival", "rival", Role::Contributor).await;
        let mount = |token: &str, to: &str, from: &str| {
            env.call("POST", &format!("/v2/{to}/blobs/uploads/?mount={digest}{from}")).token(token).send()
        };
        let ways = [("rival/named", "&from=acme/triage"), ("rival/anonymous", "")];
        for (repository, from) in ways {
            assert_eq!(mount(&rival, repository, from).await.status, 202, "knowing a digest gives nothing");
            assert_eq!(head(&env, repository, &digest).await, 404);
        }
        for (repository, from) in ways {
            assert_eq!(mount(&both, repository, from).await.status, 201);
            assert_eq!(head(&env, repository, &digest).await, 200);
        }
        assert_eq!(mount(&both, "rival/x", "&from=acme/empty").await.status, 202, "it is not in that repository");
        assert_eq!(objects(&env).await.0, [12], "mounted, not copied");
    }

    async fn the_same_bytes_are_stored_once(env: Env) {
        for namespace in ["acme", "rival"] {
            env.namespace(namespace).await;
        }
        let bytes = noise(10, 9 * MIB);
        let digest = send(&env, Way::Streamed, &bytes).await;
        let at = format!("/v2/rival/copy/blobs/uploads/?digest={digest}");
        env.call("POST", &at).body(bytes.clone()).expect(201).await;
        assert_eq!(objects(&env).await, (vec![bytes.len() as u64], 0));
        env.call("DELETE", &format!("/v2/{REPOSITORY}/blobs/{digest}")).expect(202).await;
        assert_eq!(head(&env, REPOSITORY, &digest).await, 404);
        let other = env.get(&format!("/v2/rival/copy/blobs/{digest}")).expect(200).await;
        assert!(other.bytes == bytes, "deleting removes the link, not the bytes");
    }

    async fn any_range_of_a_blob_can_be_read(env: Env) {
        env.namespace("acme").await;
        let bytes = noise(11, 9 * MIB);
        let digest = send(&env, Way::PostPut, &bytes).await;
        let at = format!("/v2/{REPOSITORY}/blobs/{digest}");
        let size = bytes.len();
        for (range, expected) in [
            ("bytes=0-0".to_owned(), 0..1),
            ("bytes=8388600-8388620".into(), 8_388_600..8_388_621),
            (format!("bytes={}-", size - 3), size - 3..size),
            ("bytes=-5".into(), size - 5..size),
            (format!("bytes=100-{}", size + 100), 100..size),
        ] {
            let answer = env.get(&at).header("range", &range).expect(206).await;
            assert!(answer.bytes == bytes[expected.clone()], "{range}");
            assert_eq!(answer.header("content-range"), format!("bytes {}-{}/{size}", expected.start, expected.end - 1));
        }
        env.get(&at).header("range", &format!("bytes={size}-")).expect(416).await;
        let whole = env.get(&at).expect(200).await;
        env.get(&at).header("if-none-match", whole.header("etag")).expect(304).await;
    }
}

/// A writer that hangs beyond its lease is overtaken, and cannot spoil what the other one wrote.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overtaken_writer_spoils_nothing() {
    let backend = crate::harness::Backend::PostgresS3;
    if !backend.is_there() {
        return;
    }
    let env = Env::new(backend).await;
    env.namespace("acme").await;
    let bytes = noise(12, 3000);
    let session = Session::begin(&env, REPOSITORY).await;
    let (reading, is_reading) = tokio::sync::oneshot::channel();
    let (go_on, may_go_on) = tokio::sync::oneshot::channel::<()>();
    let start = bytes[..1000].to_vec();
    let body = stream::once(async {
        let _ = reading.send(());
        let _ = may_go_on.await;
        Ok::<_, io::Error>(start)
    });
    let slow = tokio::spawn({
        let (router, at, token) = (env.router.clone(), session.at.clone(), env.admin.clone());
        async move {
            crate::harness::Call::new(&router, "PATCH", &at)
                .token(&token)
                .body(Body::from_stream(body.boxed()))
                .send()
                .await
        }
    });
    is_reading.await.unwrap();
    env.clock.advance(Duration::from_secs(120));
    let fast = env.replica().await;
    assert_eq!(session.chunk(&fast, 0, &bytes[..2000]).await.status, 202);
    go_on.send(()).unwrap();
    let overtaken = slow.await.unwrap();
    assert_eq!((overtaken.status.as_u16(), overtaken.code().as_str()), (409, "upload_busy"));
    assert_eq!(session.received(&fast).await, Some(2000));
    assert_eq!(session.chunk(&fast, 2000, &bytes[2000..]).await.status, 202);
    assert_eq!(session.finish(&fast, &Digest::sha256(&bytes)).await.status, 201);
    assert_eq!(whole(&env, &Digest::sha256(&bytes)).await, bytes);
}
