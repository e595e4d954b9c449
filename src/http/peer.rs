//! Where a request comes from.

use super::App;
use crate::model::read::behind;
use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderName, request::Parts},
};
use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address behind a request; `None` where it comes from this process.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub Option<IpAddr>);

impl FromRequestParts<App> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>() else {
            return Ok(Self(None));
        };
        let proxies = &app.config.reads.trusted_proxies;
        if proxies.is_empty() {
            return Ok(Self(Some(peer.ip().to_canonical())));
        }
        let lines = parts.headers.get_all(FORWARDED_FOR).iter();
        // A line that is no text cannot be read, like one that names no address.
        let lines: Vec<&str> = lines.map(|line| line.to_str().unwrap_or("?")).collect();
        Ok(Self(Some(behind(peer.ip(), &lines, |address| {
            proxies.iter().any(|network| network.contains(&address))
        }))))
    }
}
