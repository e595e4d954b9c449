//! Sending by HTTP. Redirects are not followed, proxies of the environment are not used, and the name is resolved to
//! permitted addresses only, at the moment of connecting.

use super::{
    backoff,
    message::Message,
    send::{ANSWER_KEPT, Answer, Attempt, Closed, Gate, Refused, Verdict},
    target::is_encrypted,
};
use crate::{
    error::{Error, Result, causes},
    model::digest::Digest,
};
use chrono::Utc;
use reqwest::{
    Certificate, Client, Response, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header,
};
use std::{path::Path, sync::Arc, time::Duration};

/// How much of an answer is read. What a receiver has to say fits.
const ANSWER_READ: usize = 16 * 1024;
const CONNECT: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(20);

pub struct Http {
    encrypted: Client,
    plain: Client,
}

impl Http {
    pub fn new(gate: &Gate, ca_file: Option<&Path>) -> Result<Self> {
        Ok(Self { encrypted: client(gate, true, ca_file)?, plain: client(gate, false, None)? })
    }

    pub async fn send(&self, gate: &Gate, url: Url, message: &Message) -> Attempt {
        let encrypted = is_encrypted(&url);
        // An address in the URL itself is not looked up by the client, so it is checked here.
        let literal = !matches!(url.host(), Some(url::Host::Domain(_)));
        if literal
            && let Some(host) = url.host_str()
            && let Err(Closed::Refused(refused)) = gate.addresses(host, 0, encrypted).await
        {
            return Attempt::failed(Refused::CODE, refused);
        }
        let client = if encrypted { &self.encrypted } else { &self.plain };
        let mut request = client.post(url).body(message.body.clone());
        for (name, value) in &message.headers {
            request = request.header(*name, value);
        }
        match request.send().await {
            Ok(response) => answered(response).await,
            Err(error) => failed(error.without_url()),
        }
    }
}

fn client(gate: &Gate, is_encrypted: bool, ca_file: Option<&Path>) -> Result<Client> {
    let builder = || {
        Client::builder()
            .user_agent(concat!("gradus/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .dns_resolver(Arc::new(Resolver { gate: gate.clone(), is_encrypted }))
            .https_only(is_encrypted)
    };
    let failed =
        |source| Error::internal("http_client", "the HTTP client of hooks could not be made").source(source);
    if !is_encrypted {
        return builder().tls_certs_only([]).build().map_err(failed);
    }
    let Some(file) = ca_file else {
        // A machine may have no certificates at all: then no https receiver is trusted, which each attempt will say.
        return builder().build().or_else(|_| builder().tls_certs_only([]).build()).map_err(failed);
    };
    let unusable = || {
        Error::invalid("config_invalid", format!("no certificates can be read from {}", file.display()))
            .hint("[hooks] ca_file names a PEM file of authorities to trust besides the system's")
    };
    let bytes = std::fs::read(file).map_err(|source| unusable().source(source))?;
    let certificates = Certificate::from_pem_bundle(&bytes).map_err(|source| unusable().source(source))?;
    if certificates.is_empty() {
        return Err(unusable());
    }
    builder().tls_certs_merge(certificates).build().map_err(failed)
}

async fn answered(mut response: Response) -> Attempt {
    let status = response.status();
    let header =
        |name| response.headers().get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let retry_after = header(header::RETRY_AFTER).and_then(|text| backoff::retry_after(text, Utc::now()));
    let to = header(header::LOCATION).map(str::to_owned);
    // The status has decided already: however slow, long or broken the rest is, it is only kept for people to read.
    let mut body = Vec::new();
    let reading = async {
        while body.len() < ANSWER_READ {
            let Ok(Some(piece)) = response.chunk().await else { break };
            body.extend_from_slice(&piece[..piece.len().min(ANSWER_READ - body.len())]);
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), reading).await;
    let kept = &body[..body.len().min(ANSWER_KEPT)];
    let answer = Answer {
        bytes: body.len() as u64,
        digest: Digest::sha256(&body).to_string(),
        text: String::from_utf8_lossy(kept).chars().filter(|c| !c.is_control() || *c == '\n').collect(),
    };
    let (verdict, error) = judge(status, to.as_deref());
    Attempt { verdict, status: Some(status.as_u16()), error, answer: Some(answer), retry_after }
}

fn judge(status: StatusCode, to: Option<&str>) -> (Verdict, Option<String>) {
    if status.is_success() {
        return (Verdict::Delivered, None);
    }
    if status == StatusCode::GONE {
        return (Verdict::Gone, Some("gone: the receiver says that it is gone for good".to_owned()));
    }
    if status.is_redirection() {
        let host = to.and_then(|to| Url::parse(to).ok()).and_then(|url| url.host_str().map(str::to_owned));
        let to = host.map(|host| format!(" to {host}")).unwrap_or_default();
        return (
            Verdict::Failed,
            Some(format!("redirected: redirects are not followed{to}; change the hook's URL")),
        );
    }
    (Verdict::Failed, Some(format!("status: the receiver answered {status}")))
}

fn failed(error: reqwest::Error) -> Attempt {
    let causes: Vec<&(dyn std::error::Error + 'static)> = causes(&error).collect();
    if let Some(refused) = causes.iter().find_map(|cause| cause.downcast_ref::<Refused>()) {
        return Attempt::failed(Refused::CODE, refused);
    }
    if causes.iter().any(|cause| matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)))) {
        return Attempt::failed("certificate_untrusted", "the receiver's certificate is not trusted");
    }
    if error.is_timeout() {
        return Attempt::failed("timeout", "the receiver does not take a connection");
    }
    let why = causes.last().map(ToString::to_string).unwrap_or_default();
    if error.is_connect() {
        return Attempt::failed("unreachable", format!("no connection: {why}"));
    }
    Attempt::failed("broken", format!("the exchange broke off: {why}"))
}

struct Resolver {
    gate: Gate,
    is_encrypted: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (gate, is_encrypted) = (self.gate.clone(), self.is_encrypted);
        Box::pin(async move {
            match gate.addresses(name.as_str(), 0, is_encrypted).await {
                Ok(addresses) => Ok(Box::new(addresses.into_iter()) as Addrs),
                Err(Closed::Refused(refused)) => Err(refused.into()),
                Err(Closed::Unknown(error)) => Err(error.into()),
            }
        })
    }
}
