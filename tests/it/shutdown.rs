//! A server that is asked to stop: what is under way ends, or is cut and can be taken up again.

use crate::harness::{
    Backend,
    files::noise,
    server::{Server, Setup, get},
};
use gradus::{client::Client, model::digest::Digest, wire};
use http::Method;
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

const R: &str = "acme/triage";
const HALF: usize = 300_000;

/// A started registry with a namespace, and its admin's token.
async fn start(setup: &Setup) -> (Server, String) {
    let server = setup.start();
    let token = server.bootstrap_token().expect("the first start prints a token");
    let client = Client::remote(&setup.url, Some(token.clone()), false).unwrap();
    let new = wire::NewNamespace { name: "acme".parse().unwrap(), store: None };
    client.create_namespace(&new).await.unwrap();
    (server, token)
}

/// A request to a server that answers.
async fn call(url: &str, token: &str, method: Method, path: &str, body: &[u8]) -> reqwest::Response {
    let request = reqwest::Client::new().request(method, format!("{url}{path}")).bearer_auth(token);
    request.body(body.to_vec()).send().await.expect("an answer")
}

/// A request whose body comes as slowly as the test wants.
struct ByHand(TcpStream);

impl ByHand {
    fn begin(url: &str, token: &str, request: &str, length: usize) -> Self {
        let host = url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let authorization = format!("Authorization: Bearer {token}");
        write!(
            stream,
            "{request} HTTP/1.1\r\nHost: {host}\r\n{authorization}\r\nContent-Length: {length}\r\n\r\n"
        )
        .unwrap();
        Self(stream)
    }

    /// Sends bytes, and waits until the server has them.
    fn send(&mut self, bytes: &[u8], server: &Server) {
        self.0.write_all(bytes).unwrap();
        until("the bytes have come", || {
            let metrics = get(&server.url, "/metrics").unwrap_or_default();
            metrics.contains(&format!("received_bytes_total {}\n", bytes.len()))
        });
    }

    fn status(mut self) -> String {
        let mut head = [0; 12];
        self.0.read_exact(&mut head).unwrap();
        String::from_utf8_lossy(&head[9..]).into_owned()
    }
}

fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("not in time: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_under_way_ends_and_new_ones_are_not_taken() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::new(Backend::SqliteLocal, directory.path()).await;
    let (server, token) = start(&setup).await;
    let bytes = noise(1, 2 * HALF);
    let digest = Digest::sha256(&bytes);
    let request = format!("POST /v2/{R}/blobs/uploads/?digest={digest}");
    let mut upload = ByHand::begin(&setup.url, &token, &request, bytes.len());
    upload.send(&bytes[..HALF], &server);
    server.terminate();
    until("nobody listens", || TcpStream::connect(setup.url.strip_prefix("http://").unwrap()).is_err());
    upload.0.write_all(&bytes[HALF..]).unwrap();
    assert_eq!(upload.status(), "201");
    assert!(server.ended().success());

    let _server = setup.start();
    let blob = call(&setup.url, &token, Method::GET, &format!("/v2/{R}/blobs/{digest}"), b"").await;
    assert!(blob.bytes().await.unwrap() == bytes);
}

/// An upload that outlasts the server's patience is cut; it goes on where it was after the next start.
async fn is_cut_and_goes_on(backend: Backend) {
    if !backend.is_there() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::with(backend, directory.path(), |config| config.limits.shutdown_seconds = 1).await;
    let (server, token) = start(&setup).await;
    let bytes = noise(2, 2 * HALF);
    let digest = Digest::sha256(&bytes);
    let begun = call(&setup.url, &token, Method::POST, &format!("/v2/{R}/blobs/uploads/"), b"").await;
    let at = format!("/v2/{R}/blobs/uploads/{}", begun.headers()["docker-upload-uuid"].to_str().unwrap());
    let mut upload = ByHand::begin(&setup.url, &token, &format!("PATCH {at}"), bytes.len());
    upload.send(&bytes[..HALF], &server);
    server.terminate();
    assert!(server.ended().success());

    let _server = setup.start();
    let blob = format!("/v2/{R}/blobs/{digest}");
    assert_eq!(call(&setup.url, &token, Method::GET, &blob, b"").await.status(), 404, "nothing half-done");
    let stands = call(&setup.url, &token, Method::GET, &at, b"").await;
    assert_eq!(stands.headers()["gradus-received"], HALF.to_string(), "what had come is kept");
    assert_eq!(call(&setup.url, &token, Method::PATCH, &at, &bytes[HALF..]).await.status(), 202);
    let finish = format!("{at}?digest={digest}");
    assert_eq!(call(&setup.url, &token, Method::PUT, &finish, b"").await.status(), 201);
    assert!(call(&setup.url, &token, Method::GET, &blob, b"").await.bytes().await.unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_does_not_end_is_cut_and_goes_on_later_on_sqlite_and_files() {
    is_cut_and_goes_on(Backend::SqliteLocal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_does_not_end_is_cut_and_goes_on_later_on_postgres_and_s3() {
    is_cut_and_goes_on(Backend::PostgresS3).await;
}
