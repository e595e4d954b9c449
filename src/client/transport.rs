//! One request, one reply, whichever way the registry is reached.

use super::patience;
use crate::{
    error::{Error, Kind, Result, causes},
    wire,
};
use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use http::{HeaderMap, Method, Request, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;
use tokio::sync::watch;
use tower::ServiceExt as _;

/// A registry, and who to be there.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
}

#[derive(Clone)]
enum Transport {
    Remote {
        http: reqwest::Client,
        server: String,
        token: Option<String>,
        silence: Duration,
    },
    /// The service itself, called without a socket.
    Local {
        router: axum::Router,
        /// Without one the local user acts.
        token: Option<String>,
    },
}

pub struct Call {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Body,
    /// The body, where it can be sent again.
    whole: Option<Bytes>,
    /// The answer comes when long work is done.
    pub takes_long: bool,
}

impl Call {
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        let (headers, body, whole) = (HeaderMap::new(), Body::empty(), Some(Bytes::new()));
        Self { method, path: path.into(), headers, body, whole, takes_long: false }
    }

    #[must_use]
    pub fn header(mut self, name: header::HeaderName, value: &str) -> Self {
        if let Ok(value) = value.parse() {
            self.headers.insert(name, value);
        }
        self
    }

    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self.whole = None;
        self
    }

    /// A body that can be sent again.
    #[must_use]
    pub fn bytes(mut self, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        self.body = Body::from(bytes.clone());
        self.whole = Some(bytes);
        self
    }

    /// The same call once more, if it can be made again.
    fn again(&self) -> Option<Self> {
        let whole = self.whole.clone()?;
        Some(Self {
            method: self.method.clone(),
            path: self.path.clone(),
            headers: self.headers.clone(),
            body: Body::from(whole.clone()),
            whole: Some(whole),
            takes_long: self.takes_long,
        })
    }

    #[must_use]
    pub fn takes_long(mut self) -> Self {
        self.takes_long = true;
        self
    }

    pub fn json(self, value: &impl Serialize) -> Result<Self> {
        let bytes = serde_json::to_vec(value).map_err(|source| {
            Error::internal("request_encoding", "the request could not be written").source(source)
        })?;
        Ok(self.header(header::CONTENT_TYPE, "application/json").bytes(bytes))
    }
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: BoxStream<'static, Result<Bytes>>,
}

/// Most bytes of an answer that is read whole.
const ANSWER_MAX: usize = 64 * 1024 * 1024;
/// How long nothing may move in either direction before a server counts as gone. However long the whole takes.
const SILENCE: Duration = Duration::from_secs(120);

impl Client {
    pub fn local(router: axum::Router) -> Self {
        Self { transport: Transport::Local { router, token: None } }
    }

    /// The same as somebody else than the local user.
    pub fn local_as(router: axum::Router, token: String) -> Self {
        Self { transport: Transport::Local { router, token: Some(token) } }
    }

    /// A server by its URL. A token is only sent over TLS, to loopback, or with `plain_http`.
    pub fn remote(server: &str, token: Option<String>, plain_http: bool) -> Result<Self> {
        let server = server.trim_end_matches('/').to_owned();
        let uri: http::Uri = server.parse().map_err(|_| {
            Error::invalid("server_invalid", format!("not a server URL: {server}"))
                .hint("for example https://models.example.org")
        })?;
        let host = uri.host().unwrap_or_default();
        let is_loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if is_loopback || plain_http || token.is_none() => {}
            Some("http") => {
                return Err(Error::invalid(
                    "plain_http",
                    format!("a token is not sent over plain http to: {host}"),
                )
                .hint("use https, or say --plain-http if the network between is trusted"));
            }
            _ => {
                return Err(Error::invalid(
                    "server_invalid",
                    format!("a server URL starts with https:// or http://: {server}"),
                ));
            }
        }
        let builder = || {
            reqwest::Client::builder()
                .connect_timeout(Duration::from_secs(10))
                // Shorter than the server keeps an idle connection: a body that is a stream cannot be sent twice.
                .pool_idle_timeout(Duration::from_secs(8))
                .redirect(reqwest::redirect::Policy::none())
        };
        let http = match builder().build() {
            // A machine may have no certificates; plain http needs none.
            Err(_) if uri.scheme_str() == Some("http") => builder().tls_certs_only([]).build(),
            built => built,
        };
        let http = http.map_err(|source| {
            Error::internal("http_client", "the HTTP client could not be made").source(source).hint(
                "it needs certificates to trust: install ca-certificates, or name some in SSL_CERT_FILE",
            )
        })?;
        Ok(Self { transport: Transport::Remote { http, server, token, silence: SILENCE } })
    }

    /// The same with another patience.
    #[must_use]
    pub fn with_silence(mut self, longest: Duration) -> Self {
        if let Transport::Remote { silence, .. } = &mut self.transport {
            *silence = longest;
        }
        self
    }

    /// Whether the registry is in this process, so that its hash is as good as ours.
    pub fn is_local(&self) -> bool {
        matches!(self.transport, Transport::Local { .. })
    }

    pub fn server(&self) -> Option<&str> {
        match &self.transport {
            Transport::Remote { server, .. } => Some(server),
            Transport::Local { .. } => None,
        }
    }

    pub fn token(&self) -> Option<&str> {
        match &self.transport {
            Transport::Remote { token, .. } | Transport::Local { token, .. } => token.as_deref(),
        }
    }

    /// Sends a call; an answer that is not a success becomes the error it tells of. A server that says how long to wait
    /// before asking again is asked again, for a while.
    pub async fn send(&self, mut call: Call) -> Result<Reply> {
        let mut patience = patience::TooMany::default();
        let reply = loop {
            let again = call.again();
            let reply = self.send_raw(call).await?;
            let is_too_many = reply.status == StatusCode::TOO_MANY_REQUESTS;
            let (true, Some(again)) = (is_too_many, again) else { break reply };
            let Some(wait) = patience.wait(reply.header(header::RETRY_AFTER)) else { break reply };
            tokio::time::sleep(wait).await;
            call = again;
        };
        if reply.status.is_success() || reply.status.is_redirection() {
            return Ok(reply);
        }
        let is_local = self.is_local();
        let error = reply.into_error().await;
        // In local mode nobody keeps a log.
        Err(match error.kind {
            Kind::Internal if is_local => {
                error.hint("set GRADUS_LOG=error and run it again to see the reason")
            }
            _ => error,
        })
    }

    async fn send_raw(&self, call: Call) -> Result<Reply> {
        match &self.transport {
            Transport::Local { router, token } => {
                let call = match token {
                    Some(token) => call.header(header::AUTHORIZATION, &format!("Bearer {token}")),
                    None => call,
                };
                let mut request = Request::new(call.body);
                *request.method_mut() = call.method;
                *request.uri_mut() = call.path.parse().map_err(|_| bad_path(&call.path))?;
                *request.headers_mut() = call.headers;
                let response = match router.clone().oneshot(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                };
                let (parts, body) = response.into_parts();
                let cut = |error: axum::Error| {
                    Error::unavailable("answer_cut", "the answer ended before it was whole").source(error)
                };
                let body = body.into_data_stream().map_err(cut).boxed();
                Ok(Reply { status: parts.status, headers: parts.headers, body })
            }
            Transport::Remote { http, server, token, silence } => {
                let url = if call.path.starts_with('/') {
                    format!("{server}{}", call.path)
                } else {
                    call.path.clone()
                };
                // A presigned URL is its own permission; the token stays with its server.
                let is_ours = url.starts_with(&format!("{server}/"));
                let host = url.split('/').take(3).collect::<Vec<_>>().join("/");
                let mut request = http.request(call.method, url).headers(call.headers);
                if let Some(token) = token.as_ref().filter(|_| is_ours) {
                    request = request.bearer_auth(token);
                }
                let (sent, sending) = watch::channel(());
                let body = call.body.into_data_stream().inspect(move |_| sent.send_replace(()));
                let request = request.body(reqwest::Body::wrap_stream(body));
                let silence = if call.takes_long { Duration::MAX } else { *silence };
                let response = match patience::answer(silence, sending, request.send()).await {
                    Ok(answer) => answer.map_err(|error| failed(&host, error))?,
                    Err(silent) => return Err(unreachable(&host, silent)),
                };
                let (status, headers) = (response.status(), response.headers().clone());
                let body = patience::body(silence, response.bytes_stream().boxed());
                let body = body.map(move |piece| match piece {
                    Ok(piece) => piece.map_err(|error| failed(&host, error)),
                    Err(silent) => Err(unreachable(&host, silent)),
                });
                Ok(Reply { status, headers, body: body.boxed() })
            }
        }
    }

    pub async fn json<T: DeserializeOwned>(&self, call: Call) -> Result<T> {
        let reply = self.send(call).await?;
        let bytes = reply.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|source| {
            Error::unavailable("answer_invalid", "the server's answer is not what this client knows")
                .source(source)
                .hint("are the server and this client of the same version?")
        })
    }
}

fn bad_path(path: &str) -> Error {
    Error::invalid("path_invalid", format!("not a path: {path}"))
}

fn unreachable(host: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::unavailable("server_unreachable", format!("the server does not answer: {host}"))
        .hint("is it running, and is GRADUS_SERVER right?")
        .source(error)
}

fn failed(host: &str, error: reqwest::Error) -> Error {
    // A presigned URL is as good as a token.
    let error = error.without_url();
    if distrusts(&error) {
        return Error::unavailable(
            "certificate_untrusted",
            format!("the server's certificate is not trusted: {host}"),
        )
        .hint("if its authority is your own, name that: SSL_CERT_FILE=ca.pem, or add it to the system's")
        .source(error);
    }
    unreachable(host, error)
}

/// Whether TLS failed over the certificate.
fn distrusts(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).any(|error| matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))))
}

impl Reply {
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn stream(self) -> BoxStream<'static, Result<Bytes>> {
        self.body
    }

    pub async fn bytes(mut self) -> Result<Vec<u8>> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.body.next().await {
            whole.extend_from_slice(&bytes?);
            if whole.len() > ANSWER_MAX {
                return Err(Error::unavailable("answer_invalid", "the server's answer is too large"));
            }
        }
        Ok(whole)
    }

    /// The same error as if the verb had been called here.
    async fn into_error(self) -> Error {
        let status = self.status;
        let request_id = self.header("x-request-id").unwrap_or_default().to_owned();
        let bytes = self.bytes().await.unwrap_or_default();
        let kind = kind_of(status);
        if let Ok(problem) = serde_json::from_slice::<wire::Problem>(&bytes) {
            let mut error =
                Error::new(kind_of_code(kind, &problem.code), known_code(&problem.code), problem.detail);
            error.hint = problem.hint;
            error.details = problem.details;
            return with_request_id(error, &request_id);
        }
        let oci: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
        if let Some(first) = oci.as_ref().and_then(|value| value["errors"].get(0)) {
            let code = known_code(first["detail"]["code"].as_str().unwrap_or("refused"));
            let message = first["message"].as_str().unwrap_or("refused");
            // Other clients show the message alone, so the hint is in it, too.
            let hint = first["detail"]["hint"].as_str();
            let with_hint = hint.map(|hint| format!(" ({hint})"));
            let message = with_hint.and_then(|end| message.strip_suffix(&*end)).unwrap_or(message);
            let mut error = Error::new(kind_of_code(kind, code), code, message);
            error.hint = hint.map(str::to_owned);
            error.details = Some(first["detail"]["details"].clone()).filter(|details| !details.is_null());
            return with_request_id(error, &request_id);
        }
        with_request_id(
            Error::new(kind, "unexpected_status", format!("the server answered with status {status}")),
            &request_id,
        )
    }
}

/// A failure of the server names the request, so that its log can be searched.
fn with_request_id(error: Error, id: &str) -> Error {
    if error.kind == Kind::Internal && !id.is_empty() {
        return error.hint(format!("the server's log has it under request id {id}"));
    }
    error
}

/// Codes are `&'static str`, so those read from the wire are kept for the life of the process. There are few:
/// a server that invents them gets the general one.
fn known_code(code: &str) -> &'static str {
    const MAX: usize = 200;
    static SEEN: std::sync::Mutex<Vec<&'static str>> = std::sync::Mutex::new(Vec::new());
    let mut seen = SEEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = seen.iter().find(|known| **known == code) {
        return known;
    }
    if seen.len() >= MAX || code.len() > 64 {
        return "refused";
    }
    let kept: &'static str = Box::leak(code.to_owned().into_boxed_str());
    seen.push(kept);
    kept
}

/// Rot has no status of its own.
fn kind_of_code(kind: Kind, code: &str) -> Kind {
    let is_rot = matches!(code, "blob_rotten" | "object_missing" | "object_truncated" | "upload_lost");
    if kind == Kind::Internal && is_rot { Kind::Integrity } else { kind }
}

fn kind_of(status: StatusCode) -> Kind {
    match status.as_u16() {
        401 => Kind::Unauthenticated,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        405 => Kind::NotAllowed,
        409 => Kind::Conflict,
        410 => Kind::Gone,
        413 => Kind::TooLarge,
        416 => Kind::Range,
        421 => Kind::Misdirected,
        // Trying again helps, as with a server that is busy.
        429 | 502..=504 => Kind::Unavailable,
        400..=499 => Kind::Invalid,
        _ => Kind::Internal,
    }
}
