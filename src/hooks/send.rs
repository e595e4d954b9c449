//! Sending one message, once: what came of it, in words that can be kept.

use super::{
    address::{self, Allowed},
    http::Http,
    message::Message,
    nats::Nats,
    target::{Carrier, Target},
};
use crate::error::Result;
use chrono::TimeDelta;
use std::{fmt, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

/// Longest text of a receiver's answer that is kept.
pub const ANSWER_KEPT: usize = 1024;

/// What becomes of a delivery by an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    /// Worth another attempt.
    Failed,
    /// The receiver is gone for good (410).
    Gone,
}

/// What came of one attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub verdict: Verdict,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// A stable word, then a sentence: `address_refused: …`. Nothing where it was delivered.
    pub error: Option<String>,
    /// What the receiver answered: how many bytes were read and their SHA-256, and the beginning as text.
    pub answer: Option<Answer>,
    pub retry_after: Option<TimeDelta>,
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub bytes: u64,
    pub digest: String,
    pub text: String,
}

impl Attempt {
    pub(super) fn failed(code: &str, sentence: impl fmt::Display) -> Self {
        let error = Some(format!("{code}: {sentence}"));
        Self { verdict: Verdict::Failed, status: None, error, answer: None, retry_after: None }
    }

    /// The stable word of its error.
    pub fn code(&self) -> Option<&str> {
        self.error.as_deref().map(|error| error.split(':').next().unwrap_or(error))
    }
}

/// Finds the addresses of a name.
pub type Lookup = dyn Fn(String, u16) -> futures_util::future::BoxFuture<'static, io::Result<Vec<SocketAddr>>>
    + Send
    + Sync;

/// By the resolver of the system.
pub fn system_lookup() -> Arc<Lookup> {
    Arc::new(|host, port| Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) }))
}

/// What sends. One per process: connections are kept.
pub struct Sender {
    http: Http,
    nats: Nats,
    timeout: Duration,
    gate: Gate,
}

impl Sender {
    pub fn new(
        allowed: Allowed,
        timeout: Duration,
        ca_file: Option<&Path>,
        lookup: Arc<Lookup>,
    ) -> Result<Self> {
        let gate = Gate { allowed: Arc::new(allowed), lookup };
        Ok(Self { http: Http::new(&gate, ca_file)?, nats: Nats::new(ca_file), timeout, gate })
    }

    /// Sends a message, within the time of one attempt.
    pub async fn send(&self, target: &Target, message: &Message) -> Attempt {
        let Ok(url) = target.url() else { return Attempt::failed("url_invalid", "the URL cannot be read") };
        let sent = async {
            match target.carrier() {
                Ok(Carrier::Nats) => self.nats.send(&self.gate, &url, target, message).await,
                _ => self.http.send(&self.gate, url, message).await,
            }
        };
        let mut attempt = tokio::time::timeout(self.timeout, sent).await.unwrap_or_else(|_| {
            Attempt::failed("timeout", format!("no answer within {} s", self.timeout.as_secs()))
        });
        let redact = |text: &String| target.redact(text);
        attempt.error = attempt.error.as_ref().map(redact);
        if let Some(answer) = &mut attempt.answer {
            answer.text = target.redact(&answer.text);
        }
        attempt
    }

    /// Whether a hook may be sent there as things are now, for whoever sets one up. A name that has no address yet is
    /// no reason to refuse it.
    pub async fn check(&self, target: &Target) -> Result<()> {
        let url = target.url()?;
        let (Some(host), port) = (url.host_str(), url.port_or_known_default().unwrap_or(4222)) else {
            return Ok(());
        };
        match self.gate.addresses(host, port, super::target::is_encrypted(&url)).await {
            Err(Closed::Refused(refused)) => Err(refused.into()),
            _ => Ok(()),
        }
    }
}

/// Which addresses may be connected to.
#[derive(Clone)]
pub struct Gate {
    pub allowed: Arc<Allowed>,
    lookup: Arc<Lookup>,
}

/// Why there is no address to connect to.
pub enum Closed {
    Refused(Refused),
    Unknown(io::Error),
}

impl Gate {
    /// The addresses of a host that may be connected to: of those it has, all that may.
    pub async fn addresses(
        &self,
        host: &str,
        port: u16,
        is_encrypted: bool,
    ) -> Result<Vec<SocketAddr>, Closed> {
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse();
        let found = match literal {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => (self.lookup)(host.to_owned(), port).await.map_err(Closed::Unknown)?,
        };
        let Some(first) = found.first().copied() else {
            return Err(Closed::Unknown(io::Error::new(io::ErrorKind::NotFound, "no address")));
        };
        let permitted: Vec<SocketAddr> =
            found.into_iter().filter(|found| self.allowed.permits(found.ip(), is_encrypted)).collect();
        if permitted.is_empty() {
            return Err(Closed::Refused(Refused { host: host.to_owned(), address: first, is_encrypted }));
        }
        Ok(permitted)
    }
}

/// An address that a hook may not connect to.
#[derive(Clone, Debug)]
pub struct Refused {
    host: String,
    address: SocketAddr,
    is_encrypted: bool,
}

impl Refused {
    pub const CODE: &'static str = "hook_address_refused";
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, address, .. } = self;
        let address = address.ip();
        let of = if *host == address.to_string() { String::new() } else { format!(" of {host}") };
        if address::is_public(address) && !self.is_encrypted {
            return write!(
                out,
                "{address}{of} is outside of {}, and plain text goes nowhere else",
                address::KEY
            );
        }
        write!(out, "{address}{of} is no public address and not in {}", address::KEY)
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for crate::error::Error {
    fn from(refused: Refused) -> Self {
        Self::invalid(Refused::CODE, refused.to_string()).hint(format!(
            "use https and a public address, or let the operator allow the network: {} in the configuration, or GRADUS_HOOKS_ALLOW",
            address::KEY
        ))
    }
}
