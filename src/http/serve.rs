//! Listening: plain or TLS, with a shutdown that lets running requests end.

use crate::{
    config::{Config, Tls},
    error::{Error, Result},
};
use axum::Router;
use axum_server::{Handle, tls_rustls::RustlsConfig};
use std::{net::TcpListener, time::Duration};

/// How long a client may take to send the head of a request (slow-loris).
const HEAD_TIME: Duration = Duration::from_secs(15);

/// Serves until SIGTERM or SIGINT. `listening` is told the address.
pub async fn serve(
    config: &Config,
    router: Router,
    listening: impl FnOnce(std::net::SocketAddr),
) -> Result<()> {
    if !config.listen.ip().is_loopback() && config.public_url.is_none() {
        return Err(Error::invalid(
            "public_url_missing",
            format!("listening on {} needs public_url", config.listen),
        )
        .hint("set public_url in the configuration: it is the name clients reach the server by"));
    }
    // Before anything says that it listens.
    let certificate = match &config.tls {
        Some(tls) => Some(load(tls).await?),
        None => None,
    };
    let cannot = |source: std::io::Error| {
        Error::unavailable("cannot_listen", format!("cannot listen on {}: {}", config.listen, source.kind()))
            .source(source)
    };
    let listener = TcpListener::bind(config.listen).map_err(cannot)?;
    listener.set_nonblocking(true)?;
    let handle = Handle::new();
    let grace = Duration::from_secs(config.limits.shutdown_seconds);
    tokio::spawn(shut_down_on_signal(handle.clone(), grace));
    listening(listener.local_addr()?);
    let service = router.into_make_service();
    let ended = match certificate {
        None => {
            let mut server = axum_server::from_tcp(listener)?.handle(handle);
            server
                .http_builder()
                .http1()
                .timer(hyper_util::rt::TokioTimer::new())
                .header_read_timeout(HEAD_TIME);
            server.serve(service).await
        }
        Some(certificate) => {
            let mut server = axum_server::from_tcp_rustls(listener, certificate)?.handle(handle);
            server
                .http_builder()
                .http1()
                .timer(hyper_util::rt::TokioTimer::new())
                .header_read_timeout(HEAD_TIME);
            server.serve(service).await
        }
    };
    ended.map_err(cannot)
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

async fn shut_down_on_signal(handle: Handle<std::net::SocketAddr>, grace: Duration) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("shutting down: running requests may end, new ones are refused");
    handle.graceful_shutdown(Some(grace));
}
