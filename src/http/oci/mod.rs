//! The OCI distribution-spec 1.1 on `/v2`.

pub mod auth;
pub mod blobs;
pub mod manifests;
pub mod uploads;

use super::{App, error::OciError};
use crate::{error::Result, model::name::Workload};
use axum::http::{HeaderValue, Response, StatusCode, header};

type Reply = Result<Response<axum::body::Body>, OciError>;

fn repository(namespace: &str, name: &str) -> Result<Workload> {
    Workload::new(&namespace.parse()?, name)
}

/// A response with headers whose values are ours, so always valid.
fn reply(status: StatusCode, headers: &[(header::HeaderName, &str)]) -> Response<axum::body::Body> {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = status;
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name.clone(), value);
        }
    }
    response
}

const CONTENT_DIGEST: header::HeaderName = header::HeaderName::from_static("docker-content-digest");

/// A path as clients reach it: absolute where the public URL is known.
fn location(app: &App, path: &str) -> String {
    match &app.config.public_url {
        Some(url) => format!("{}{path}", url.trim_end_matches('/')),
        None => path.to_owned(),
    }
}

pub async fn base() -> Response<axum::body::Body> {
    let version = header::HeaderName::from_static("docker-distribution-api-version");
    reply(StatusCode::OK, &[(version, "registry/2.0")])
}
