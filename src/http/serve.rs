//! Listening: plain or TLS, with a shutdown that lets running requests end.

use crate::{
    config::Config,
    error::{Error, Result},
};
use axum::Router;
use axum_server::{Handle, tls_rustls::RustlsConfig};
use std::{net::TcpListener, time::Duration};

/// How long running requests may take to end once the server is told to stop. What is cut off then can be
/// resumed: its progress is in the database.
const GRACE: Duration = Duration::from_secs(20);
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
    let cannot = |source: std::io::Error| {
        Error::unavailable("cannot_listen", format!("cannot listen on {}: {}", config.listen, source.kind()))
            .source(source)
    };
    let listener = TcpListener::bind(config.listen).map_err(cannot)?;
    listener.set_nonblocking(true)?;
    let handle = Handle::new();
    tokio::spawn(shut_down_on_signal(handle.clone()));
    listening(listener.local_addr()?);
    let service = router.into_make_service();
    let ended = match &config.tls {
        None => {
            let mut server = axum_server::from_tcp(listener)?.handle(handle);
            server
                .http_builder()
                .http1()
                .timer(hyper_util::rt::TokioTimer::new())
                .header_read_timeout(HEAD_TIME);
            server.serve(service).await
        }
        Some(tls) => {
            let certificate =
                RustlsConfig::from_pem_file(&tls.certificate, &tls.key).await.map_err(|source| {
                    Error::invalid("tls_invalid", "the TLS certificate or key cannot be used").source(source)
                })?;
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

async fn shut_down_on_signal(handle: Handle<std::net::SocketAddr>) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("shutting down: running requests may end, new ones are refused");
    handle.graceful_shutdown(Some(GRACE));
}
