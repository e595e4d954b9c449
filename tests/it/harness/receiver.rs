//! A receiver of hooks on loopback: keeps what comes, and answers what the test wants.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

#[derive(Clone, Debug)]
pub struct Received {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub fn event(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// The kind of the event.
    pub fn kind(&self) -> String {
        self.event()["type"].as_str().unwrap_or_default().trim_start_matches("dev.gradus.").to_owned()
    }

    pub fn subject(&self) -> String {
        self.event()["subject"].as_str().unwrap_or_default().to_owned()
    }
}

type Got = Arc<Mutex<Vec<Received>>>;
type Answering = dyn Fn(&Received) -> Response + Send + Sync;

pub struct Receiver {
    pub url: String,
    got: Got,
    task: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// One that takes everything.
    pub async fn start() -> Self {
        Self::answering(|_| StatusCode::NO_CONTENT.into_response()).await
    }

    pub async fn answering(answer: impl Fn(&Received) -> Response + Send + Sync + 'static) -> Self {
        let got = Got::default();
        let answer: Arc<Answering> = Arc::new(answer);
        let router = Router::new().fallback(take).with_state((got.clone(), answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { url, got, task }
    }

    pub fn got(&self) -> Vec<Received> {
        self.got.lock().expect("no panic").clone()
    }

    pub fn kinds(&self) -> Vec<String> {
        self.got().iter().map(Received::kind).collect()
    }

    /// Waits until so many have come.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        for _ in 0..1000 {
            let got = self.got();
            if got.len() >= count {
                return got;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("only {} of {count} came: {:?}", self.got().len(), self.kinds());
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(
    State((got, answer)): State<(Got, Arc<Answering>)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let received = Received { headers, body };
    let response = answer(&received);
    got.lock().expect("no panic").push(received);
    response
}
