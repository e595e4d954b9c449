//! One call to a router, and its answer.

use axum::{Router, body::Body};
use http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt as _;

pub struct Call<'a> {
    router: &'a Router,
    request: http::request::Builder,
    token: Option<String>,
    body: Body,
}

impl<'a> Call<'a> {
    pub fn new(router: &'a Router, method: &str, path: &str) -> Self {
        Self {
            router,
            request: Request::builder().method(method).uri(path),
            token: None,
            body: Body::empty(),
        }
    }

    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    pub fn anonymous(mut self) -> Self {
        self.token = None;
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// As if it came over a connection from there.
    pub fn from(mut self, peer: &str) -> Self {
        let peer: std::net::SocketAddr = peer.parse().expect("an address with a port");
        self.request = self.request.extension(axum::extract::ConnectInfo(peer));
        self
    }

    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    pub fn json(self, value: Value) -> Self {
        self.header("content-type", "application/json").body(value.to_string())
    }

    pub async fn send(self) -> Answer {
        let mut request = self.request;
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(self.body).expect("a valid request");
        let response = self.router.clone().oneshot(request).await.expect("the router answers");
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 30).await;
        Answer {
            status: parts.status,
            headers: parts.headers,
            cut: bytes.is_err(),
            bytes: bytes.unwrap_or_default().to_vec(),
        }
    }

    /// Sends, and fails the test unless the status is as expected.
    pub async fn expect(self, status: u16) -> Answer {
        let answer = self.send().await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
        answer
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
    /// The body ended with an error.
    pub cut: bool,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The stable code of a refusal, of either API.
    pub fn code(&self) -> String {
        let value = self.value();
        let code = value["code"].as_str().or_else(|| value["errors"][0]["detail"]["code"].as_str());
        code.unwrap_or_else(|| panic!("no code in {value}")).to_owned()
    }
}
