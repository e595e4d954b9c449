//! Listening: plain or TLS, with a shutdown that lets running requests end.

use crate::{
    config::{Config, Tls},
    error::{Error, Result},
};
use axum::Router;
use axum_server::{Handle, tls_rustls::RustlsConfig};
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto::Builder,
};
use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// How long a client may take to send the head of a request (slow-loris).
const HEAD_TIME: Duration = Duration::from_secs(15);

/// A bound address with its certificate, before anybody is let in.
pub struct Door {
    listener: TcpListener,
    certificate: Option<RustlsConfig>,
    address: SocketAddr,
}

impl Door {
    pub async fn open(config: &Config) -> Result<Self> {
        if !config.listen.ip().is_loopback() && config.public_url.is_none() {
            return Err(Error::invalid(
                "public_url_missing",
                format!("listening on {} needs public_url", config.listen),
            )
            .hint("set public_url in the configuration: it is the name clients reach the server by"));
        }
        let certificate = match &config.tls {
            Some(tls) => Some(load(tls).await?),
            None => None,
        };
        let bound = TcpListener::bind(config.listen).and_then(|listener| {
            listener.set_nonblocking(true)?;
            // Connections inherit it: a client that takes nothing of its answer for so long is cut, also one whose
            // window stays closed (RFC 5482, tcp(7)).
            #[cfg(target_os = "linux")]
            let idle = Duration::from_secs(config.limits.idle_seconds);
            #[cfg(target_os = "linux")]
            socket2::SockRef::from(&listener).set_tcp_user_timeout(Some(idle))?;
            Ok((listener.local_addr()?, listener))
        });
        let (address, listener) = bound.map_err(|source| {
            Error::unavailable(
                "cannot_listen",
                format!("cannot listen on {}: {}", config.listen, source.kind()),
            )
            .source(source)
            .hint("choose another address: gradus serve --listen 127.0.0.1:PORT")
        })?;
        Ok(Self { listener, certificate, address })
    }

    /// Where clients on this machine reach the server.
    pub fn url(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Serves until SIGTERM or SIGINT, which cancels `closing`.
    pub async fn serve(self, config: &Config, router: Router, closing: CancellationToken) -> Result<()> {
        let handle = Handle::new();
        let grace = Duration::from_secs(config.limits.shutdown_seconds);
        tokio::spawn(shut_down_on_signal(handle.clone(), grace, closing));
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        match self.certificate {
            None => {
                // HTTP/2 is agreed on by TLS. To look for it in plain text costs each connection 8 KiB.
                let mut server = axum_server::from_tcp(self.listener)?.handle(handle).http1_only();
                limit_heads(server.http_builder());
                server.serve(service).await?;
            }
            Some(certificate) => {
                let mut server = axum_server::from_tcp_rustls(self.listener, certificate)?.handle(handle);
                limit_heads(server.http_builder());
                server.serve(service).await?;
            }
        }
        Ok(())
    }
}

fn limit_heads(builder: &mut Builder<TokioExecutor>) {
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
}

async fn load(tls: &Tls) -> Result<RustlsConfig> {
    RustlsConfig::from_pem_file(&tls.certificate, &tls.key).await.map_err(|source| {
        let (certificate, key) = (tls.certificate.display(), tls.key.display());
        Error::invalid(
            "tls_invalid",
            format!("the TLS certificate and key cannot be used: {certificate}, {key}"),
        )
        .source(source)
    })
}

async fn shut_down_on_signal(handle: Handle<SocketAddr>, grace: Duration, closing: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("shutting down: running requests may end, new ones are refused");
    closing.cancel();
    handle.graceful_shutdown(Some(grace));
}
