//! Sending to NATS JetStream: published with an id, so that the stream drops repeats, and acknowledged by the stream
//! before it counts as delivered.

use super::{
    message::Message,
    send::{Attempt, Closed, Gate, Refused, Verdict},
    target::{Target, is_encrypted},
};
use async_nats::{ConnectOptions, HeaderMap, jetstream};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::{Mutex, OnceCell};
use url::Url;

const PORT: u16 = 4222;
/// Connections kept; there are few NATS servers.
const KEPT_MAX: usize = 64;

/// One connection per server and credentials.
type Key = (String, Option<String>);

/// Made by whoever needs it first. Others who need the same wait for it, and nobody else does.
type Connection = Arc<OnceCell<async_nats::Client>>;

pub struct Nats {
    ca_file: Option<PathBuf>,
    connections: Mutex<HashMap<Key, Connection>>,
}

impl Nats {
    pub fn new(ca_file: Option<&Path>) -> Self {
        Self { ca_file: ca_file.map(Path::to_owned), connections: Mutex::default() }
    }

    pub async fn send(&self, gate: &Gate, url: &Url, target: &Target, message: &Message) -> Attempt {
        let subject = target.subject.clone().unwrap_or_default();
        let key = (url.to_string(), target.token.clone());
        let client = match self.connection(gate, url, &key).await {
            Ok(client) => client,
            Err(attempt) => return attempt,
        };
        let mut headers = HeaderMap::new();
        // A stream looks for repeats under all its subjects: what goes to another subject is none.
        headers.insert("Nats-Msg-Id", format!("{subject}/{}", message.id));
        for (name, value) in &message.headers {
            headers.insert(*name, value.as_str());
        }
        let stream = jetstream::new(client);
        let published = async {
            stream.publish_with_headers(subject.clone(), headers, message.body.clone().into()).await?.await
        };
        match published.await {
            Ok(_) => Attempt {
                verdict: Verdict::Delivered,
                status: None,
                error: None,
                answer: None,
                retry_after: None,
            },
            Err(error) => {
                use jetstream::context::PublishErrorKind as Why;
                if error.kind() == Why::StreamNotFound {
                    let why = format!("no stream takes this subject: {subject}");
                    return Attempt::failed("stream_unknown", why);
                }
                // The next attempt looks the name up anew.
                self.connections.lock().await.remove(&key);
                // A server only drops what a user may not do.
                let hint = match error.kind() {
                    Why::TimedOut => {
                        format!("; may the user publish to {subject} and subscribe to _INBOX.>?")
                    }
                    _ => String::new(),
                };
                Attempt::failed("unacknowledged", format!("the stream did not acknowledge: {error}{hint}"))
            }
        }
    }

    async fn connection(&self, gate: &Gate, url: &Url, key: &Key) -> Result<async_nats::Client, Attempt> {
        let connection = self.kept(key).await;
        let made = connection.get_or_try_init(|| async {
            let host = url.host_str().unwrap_or_default();
            let addresses = gate.addresses(host, url.port().unwrap_or(PORT), is_encrypted(url)).await;
            let addresses = addresses.map_err(|closed| match closed {
                Closed::Refused(refused) => Attempt::failed(Refused::CODE, refused),
                Closed::Unknown(error) => {
                    Attempt::failed("unreachable", format!("no address of {host}: {error}"))
                }
            })?;
            self.connect(url, host, &addresses, key.1.as_deref()).await
        });
        made.await.cloned()
    }

    async fn kept(&self, key: &Key) -> Connection {
        let mut connections = self.connections.lock().await;
        if connections.len() >= KEPT_MAX && !connections.contains_key(key) {
            connections.clear();
        }
        connections.entry(key.clone()).or_default().clone()
    }

    /// Connects to addresses that were checked, never to a name, nor to servers that the cluster tells of.
    async fn connect(
        &self,
        url: &Url,
        host: &str,
        addresses: &[SocketAddr],
        token: Option<&str>,
    ) -> Result<async_nats::Client, Attempt> {
        let mut options = ConnectOptions::new()
            .name("gradus")
            .ignore_discovered_servers()
            .retain_servers_order()
            .max_reconnects(3)
            .require_tls(is_encrypted(url));
        match self.tls(host) {
            Ok(config) => options = options.tls_client_config(config),
            // Plain text needs no certificates.
            Err(attempt) if is_encrypted(url) => return Err(attempt),
            Err(_) => {}
        }
        options = match token.map(|token| token.split_once(':').ok_or(token)) {
            Some(Ok((user, password))) => options.user_and_password(user.to_owned(), password.to_owned()),
            Some(Err(token)) => options.token(token.to_owned()),
            None => options,
        };
        let servers: Vec<String> = addresses.iter().map(|address| format!("nats://{address}")).collect();
        async_nats::connect_with_options(servers, options).await.map_err(|error| {
            use async_nats::ConnectErrorKind as Why;
            match error.kind() {
                Why::AuthorizationViolation | Why::Authentication => {
                    Attempt::failed("unauthorized", "the NATS server does not take the hook's token")
                }
                Why::Tls => Attempt::failed("certificate_untrusted", format!("no TLS: {error}")),
                _ if error.to_string().contains("certificate") => {
                    Attempt::failed("certificate_untrusted", "the NATS server's certificate is not trusted")
                }
                _ => Attempt::failed("unreachable", format!("no connection: {error}")),
            }
        })
    }

    /// Trusts what the system trusts, and `ca_file`, for the host's name, although its address is connected to.
    fn tls(&self, host: &str) -> Result<ClientConfig, Attempt> {
        let failed = |why: String| Attempt::failed("certificate_untrusted", why);
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(file) = &self.ca_file {
            use rustls::pki_types::pem::PemObject as _;
            let own = CertificateDer::pem_file_iter(file).map(|found| found.filter_map(Result::ok));
            roots.add_parsable_certificates(own.map_err(|error| failed(error.to_string()))?);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let trusted =
            rustls::client::WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
        let trusted = trusted.build().map_err(|error| failed(error.to_string()))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(|error| failed(error.to_string()))?;
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| failed(error.to_string()))?;
        let verifier = Arc::new(Named { trusted, name });
        Ok(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
    }
}

/// Verifies a certificate as usual, for the name that was looked up instead of the address that is connected to.
#[derive(Debug)]
struct Named {
    trusted: Arc<rustls::client::WebPkiServerVerifier>,
    name: ServerName<'static>,
}

type Verified = Result<HandshakeSignatureValid, rustls::Error>;

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.trusted.verify_server_cert(certificate, chain, &self.name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Verified {
        self.trusted.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Verified {
        self.trusted.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trusted.supported_verify_schemes()
    }
}
