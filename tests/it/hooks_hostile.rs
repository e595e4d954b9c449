use crate::{
    harness::{Backend, Env, certificate::certificate, files, govern::W, receiver::Receiver},
    hooks::loopback,
};
use axum::{
    body::{Body, Bytes},
    http::StatusCode,
    response::IntoResponse as _,
};
use gradus::{
    hooks::{Lookup, Sender, address::Allowed},
    jobs::deliver,
};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

async fn registry(ca_file: Option<PathBuf>) -> Env {
    let env = Env::with(Backend::SqliteLocal, |config| {
        loopback(config);
        config.hooks.timeout_seconds = 1;
        config.hooks.ca_file = ca_file;
    });
    let env = env.await;
    env.namespace("acme").await;
    env
}

async fn add(env: &Env, url: &str) -> crate::harness::Answer {
    env.call("POST", "/v1/hooks").json(json!({ "scope": "acme", "on": "pushed", "url": url })).send().await
}

/// The first attempt of the first delivery to each hook.
async fn attempts(env: &Env, hooks: &[(String, &str)]) -> Vec<Value> {
    files::push_prompt(env, W, "one", json!({})).await;
    let running = deliver::start(&env.cx).unwrap();
    let mut found = Vec::new();
    for (hook, what) in hooks {
        let page = env.get(&format!("/v1/hooks/{hook}/deliveries")).expect(200).await.value();
        let position = &page["items"][0]["position"];
        let path = format!("/v1/hooks/{hook}/deliveries/{position}");
        for round in 0.. {
            assert!(round < 1000, "no attempt: {what}");
            let details = env.get(&path).expect(200).await.value();
            if let Some(first) = details["tries"].as_array().and_then(|tries| tries.first()) {
                found.push(first.clone());
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    running.close(Duration::from_secs(5)).await;
    found
}

/// A server that reads a request and then does what it is told to.
async fn raw(answer: &'static [u8], forever: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer).await;
                // Bounded, whatever the other side does.
                for _ in 0..2000 {
                    if forever.is_empty() {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    } else if stream.write_all(forever).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_misbehaves_is_told_of_and_nothing_is_lost() {
    let env = registry(None).await;
    let to_metadata = Receiver::answering(|_| {
        (StatusCode::FOUND, [("location", "http://169.254.169.254/latest/meta-data")]).into_response()
    });
    let (to_metadata, huge) =
        (to_metadata.await, Receiver::answering(|_| vec![b'x'; 1 << 20].into_response()).await);
    let endless = Receiver::answering(|_| {
        let pieces =
            std::iter::repeat_n(Bytes::from_static(&[b'y'; 4096]), 1 << 20).map(Ok::<_, std::io::Error>);
        Body::from_stream(futures_util::stream::iter(pieces)).into_response()
    });
    let endless = endless.await;
    let refusing =
        Receiver::answering(|_| (StatusCode::UNAUTHORIZED, "wrong signature").into_response()).await;
    let mut hooks = Vec::new();
    for (url, what) in [
        (to_metadata.url.clone(), "redirected"),
        (huge.url.clone(), "huge"),
        (endless.url.clone(), "endless"),
        (refusing.url.clone(), "a wrong secret"),
        (raw(b"", b"").await, "silent"),
        (
            raw(
                b"HTTP/1.1 200 OK\r\n",
                b"x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n",
            )
            .await,
            "endless head",
        ),
        (raw(b"no http at all\r\n\r\n", b"").await, "no HTTP"),
        ("http://127.0.0.1:1/".to_owned(), "nobody there"),
    ] {
        let added = add(&env, &url).await.value();
        hooks.push((added["id"].as_str().unwrap().to_owned(), what));
    }
    let expected = [
        ("redirected", json!(302)),
        ("", json!(200)),
        ("", json!(200)),
        ("status", json!(401)),
        ("timeout", json!(null)),
        ("broken", json!(null)),
        ("broken", json!(null)),
        ("unreachable", json!(null)),
    ];
    let attempts = attempts(&env, &hooks).await;
    for ((attempt, (code, status)), (_, what)) in attempts.iter().zip(&expected).zip(&hooks) {
        let error = attempt["error"].as_str().unwrap_or_default();
        assert_eq!(
            (error.split(':').next().unwrap(), &attempt["status"]),
            (*code, status),
            "{what}: {attempt}"
        );
    }
    assert!(attempts[0]["error"].as_str().unwrap().contains("169.254.169.254"));
    for huge in &attempts[1..3] {
        assert_eq!(huge["answer_bytes"], 16384, "no more is read");
        assert_eq!(huge["answer"].as_str().unwrap().len(), 1024);
    }
    assert_eq!(attempts[3]["answer"], "wrong signature");
    for ((hook, what), (code, _)) in hooks.iter().zip(&expected) {
        let pending = env.get(&format!("/v1/hooks/{hook}")).expect(200).await.value()["pending"].clone();
        assert_eq!(pending, i64::from(!code.is_empty()), "{what}: what was not delivered waits");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_that_are_not_public_are_refused_by_name_of_the_key() {
    let env = Env::new(Backend::SqliteLocal).await;
    env.namespace("acme").await;
    for url in [
        "https://127.0.0.1/",
        "http://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://localhost/",
        "https://169.254.169.254/latest/meta-data",
        "https://10.1.2.3/",
        "http://1.1.1.1/",
        "nats://127.0.0.1:4222",
    ] {
        let mut body = json!({ "scope": "acme", "on": "pushed", "url": url });
        if url.starts_with("nats") {
            body["subject"] = json!("a.b");
        }
        let answer = env.call("POST", "/v1/hooks").json(body).expect(400).await;
        assert_eq!(answer.code(), "hook_address_refused", "{url}");
        assert!(answer.text().contains("hooks.allow"), "{}", answer.text());
    }
    for url in ["", "nonsense", "ftp://example.org/", "https://u:p@example.org/", "https://"] {
        assert_eq!(add(&env, url).await.code(), "hook_url_invalid", "{url}");
    }
    for (field, value, code) in [
        ("secret", "hunter2", "hook_secret_invalid"),
        ("on", "promotd", "hook_filter_invalid"),
        ("scope", "nowhere", "namespace_unknown"),
        ("token", "t", "hook_target_invalid"),
    ] {
        let mut body =
            json!({ "scope": "acme", "on": "pushed", "url": "https://1.1.1.1/", "template": "slack" });
        if field == "secret" || field == "on" {
            body["template"] = json!("cloudevents");
        }
        body[field] = json!(value);
        let answer = env.call("POST", "/v1/hooks").json(body).send().await;
        assert_eq!(answer.code(), code, "{}", answer.text());
        assert!(!answer.text().contains("hunter2"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_answers_otherwise_the_next_time_gains_nothing() {
    let env = registry(None).await;
    let receiver = Receiver::start().await;
    let port: u16 = receiver.url.split(':').nth(2).unwrap().trim_end_matches("/hook").parse().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let lookup: Arc<Lookup> = Arc::new(move |host, port| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move {
            let addresses: &[&str] = match (host.as_str(), first) {
                ("rebinds.example", true) => &["127.0.0.1"],
                ("rebinds.example", false) => &["169.254.169.254", "10.0.0.1"],
                ("mixed.example", _) => &["169.254.169.254", "::ffff:10.0.0.1", "127.0.0.1"],
                _ => return Err(std::io::Error::other("no such name")),
            };
            Ok(addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), port)).collect())
        })
    });
    let allowed = Allowed::new(env.cx.config.hooks.allow.clone());
    env.cx.send_by(Sender::new(allowed, Duration::from_secs(1), None, lookup).unwrap());
    let mut hooks = Vec::new();
    for name in ["rebinds.example", "mixed.example", "unknown.example"] {
        let added = add(&env, &format!("http://{name}:{port}/hook")).await.value();
        hooks.push((added["id"].as_str().unwrap_or_else(|| panic!("{added}")).to_owned(), name));
    }
    let attempts = attempts(&env, &hooks).await;
    let error = |index: usize| attempts[index]["error"].as_str().unwrap_or_default().to_owned();
    assert!(error(0).starts_with("hook_address_refused") && error(0).contains("hooks.allow"), "{}", error(0));
    assert_eq!(attempts[1]["status"], 204, "the address that is allowed is used: {}", attempts[1]);
    assert!(error(2).starts_with("unreachable"), "{}", error(2));
    assert_eq!(receiver.got().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_must_be_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let Some(tls) = certificate(directory.path()) else { return };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let config =
        axum_server::tls_rustls::RustlsConfig::from_pem_file(tls.certificate, tls.key).await.unwrap();
    let router = axum::Router::new().fallback(async || StatusCode::NO_CONTENT);
    let server = axum_server::from_tcp_rustls(listener, config).unwrap();
    tokio::spawn(server.serve(router.into_make_service()));
    for (ca_file, expected) in [(None, "certificate_untrusted"), (Some(directory.path().join("ca.crt")), "")]
    {
        let env = registry(ca_file).await;
        let hook = add(&env, &url).await.value()["id"].as_str().unwrap().to_owned();
        let attempt = attempts(&env, &[(hook, "https")]).await.remove(0);
        let error = attempt["error"].as_str().unwrap_or_default();
        assert_eq!(error.split(':').next().unwrap(), expected, "{attempt}");
    }
}
