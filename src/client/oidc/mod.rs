//! Getting an identity token, to be exchanged at a registry: from a job's surroundings, or from a provider that a person
//! logs in to.

mod browser;
mod device;
mod job;

pub use browser::Browser;
pub use device::Device;
pub use job::from_github;

use super::api::escape;
use crate::{
    config::is_protected,
    error::{Error, Result},
    identity,
    model::digest::shorten,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::StreamExt as _;
use serde_json::Value;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);
/// Most bytes of an answer.
const BYTES_MAX: usize = 256 * 1024;

/// A provider of OpenID Connect, as its discovery document describes it, and our name there.
pub struct Provider {
    http: reqwest::Client,
    document: Value,
    url: String,
    client_id: String,
}

/// A provider's answer to a form.
enum Said {
    Yes(Value),
    /// The word of RFC 6749 for why not, and what the provider adds.
    No(String, String),
}

impl Provider {
    pub async fn discover(url: &str, client_id: &str) -> Result<Self> {
        let http = http_client()?;
        if !is_protected(url) {
            return Err(Error::invalid(
                "provider_invalid",
                format!("a provider is asked over https only: {}", shorten(url)),
            ));
        }
        let at = format!("{}/.well-known/openid-configuration", url.trim_end_matches('/'));
        let (status, document) = read(http.get(&at), url).await?;
        if status != 200 || document["issuer"] != url {
            return Err(invalid(url, "its discovery document is not there, or of another issuer"));
        }
        Ok(Self { http, document, url: url.to_owned(), client_id: client_id.to_owned() })
    }

    fn endpoint(&self, name: &str) -> Result<&str> {
        match self.document[name].as_str() {
            Some(url)
                if is_protected(url) && (url.starts_with("https://") || self.url.starts_with("http://")) =>
            {
                Ok(url)
            }
            Some(_) => Err(invalid(&self.url, &format!("{name} is not https"))),
            None => Err(Error::invalid("login_unsupported", format!("{} has no {name}", self.url))
                .hint("try the other way to log in: --device or --browser")),
        }
    }

    /// Names of claims come with the profile, where the provider knows that scope.
    fn scope(&self) -> &'static str {
        match self.document["scopes_supported"].as_array() {
            Some(scopes) if !scopes.iter().any(|scope| scope == "profile") => "openid",
            _ => "openid profile",
        }
    }

    async fn post(&self, endpoint: &str, form: &[(&str, &str)]) -> Result<Said> {
        let request = self
            .http
            .post(self.endpoint(endpoint)?)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(encode(form));
        let (status, answer) = read(request, &self.url).await?;
        let text = |name: &str| answer[name].as_str().map(shorten).unwrap_or_default();
        match status {
            200 => Ok(Said::Yes(answer)),
            500.. => Err(unreachable(&self.url).source(format!("{endpoint} answers with status {status}"))),
            _ => Ok(Said::No(text("error"), text("error_description"))),
        }
    }

    /// The ID token in an answer of the token endpoint. The registry checks its signature; that it is of this login is
    /// for us to see.
    fn id_token(&self, answer: &Value, nonce: Option<&str>) -> Result<String> {
        let token = answer["id_token"].as_str().ok_or_else(|| invalid(&self.url, "it gave no ID token"))?;
        let said = identity::read(token)?;
        if said.issuer != self.url || nonce.is_some_and(|nonce| said.claim("nonce") != Some(nonce)) {
            return Err(invalid(&self.url, "the ID token is not of this login"));
        }
        Ok(token.to_owned())
    }

    fn refused(&self, code: &str, description: &str) -> Error {
        let why = if description.is_empty() { code } else { description };
        match code {
            "access_denied" => {
                Error::forbidden("login_denied", format!("the login at {} was denied", self.url))
                    .hint("log in again, and say yes there")
            }
            "expired_token" => login_expired(),
            _ => Error::invalid(
                "provider_refused",
                format!("{} refuses the login: {why} ({code})", self.url),
            )
            .hint(
                "whoever runs the registry compares client_id of [[issuers]] with the client at the provider",
            ),
        }
    }
}

fn login_expired() -> Error {
    Error::unavailable("login_expired", "nobody logged in at the provider in time")
        .hint("run the same command again")
}

fn unreachable(url: &str) -> Error {
    Error::unavailable("provider_unreachable", format!("the provider does not answer: {}", shorten(url)))
        .hint("is this machine allowed to reach it? try again")
}

fn invalid(url: &str, what: &str) -> Error {
    Error::unavailable("provider_invalid", format!("the answer of {} cannot be used: {what}", shorten(url)))
        .hint("whoever runs the registry compares url of [[issuers]] with what the provider publishes")
}

fn http_client() -> Result<reqwest::Client> {
    let builder = || reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
    // A machine may have no certificates; a provider on loopback needs none.
    let built = builder().build().or_else(|_| builder().tls_certs_only([]).build());
    built.map_err(|source| Error::internal("http_client", "the HTTP client could not be made").source(source))
}

/// Status and JSON of an answer; `null` where it is none.
async fn read(request: reqwest::RequestBuilder, url: &str) -> Result<(u16, Value)> {
    // The address may carry what is nobody else's business.
    let failed = |error: reqwest::Error| unreachable(url).source(error.without_url());
    let answer = request.header("accept", "application/json").send().await.map_err(failed)?;
    let status = answer.status().as_u16();
    let (mut body, mut bytes) = (answer.bytes_stream(), Vec::new());
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece.map_err(failed)?);
        if bytes.len() > BYTES_MAX {
            return Err(invalid(url, "it is larger than 256 KiB"));
        }
    }
    Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
}

fn encode(form: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
    pairs.join("&")
}

/// 256 random bits as text.
fn random() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|source| {
        Error::internal("no_randomness", "the system gives no random numbers").source(source.to_string())
    })?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}
