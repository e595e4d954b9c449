//! Errors on the wire: the one place where a kind becomes a status.

use crate::{
    error::{Error, Kind},
    wire,
};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

pub fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Gone => StatusCode::GONE,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::NotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Kind::Range => StatusCode::RANGE_NOT_SATISFIABLE,
        Kind::Misdirected => StatusCode::MISDIRECTED_REQUEST,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        // Stored bytes are rotten: the server's fault, and no proxy may repeat or cache it.
        Kind::Integrity | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The error behind a response, for the log: the response itself tells only what a caller may know.
#[derive(Clone)]
pub struct Logged(pub std::sync::Arc<Error>);

fn with_log(mut response: Response, error: Error) -> Response {
    let said = || error.details.as_ref().and_then(|details| details["retry_after_seconds"].as_u64());
    let wait = match error.kind {
        Kind::Unavailable => Some(2),
        Kind::TooMany => Some(said().unwrap_or(1)),
        _ => None,
    };
    if let Some(seconds) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response.extensions_mut().insert(Logged(std::sync::Arc::new(error)));
    response
}

/// An error of `/v1`, as RFC 9457 problem JSON. The request id is filled in on the way out.
pub struct Problem(pub Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let error = self.0;
        let status = status(error.kind);
        let internal = error.kind == Kind::Internal;
        let body = wire::Problem {
            kind: format!("urn:gradus:error:{}", error.code),
            title: status.canonical_reason().unwrap_or("error").to_owned(),
            status: status.as_u16(),
            code: error.code.to_owned(),
            detail: if internal {
                "the server failed; its log has the reason".to_owned()
            } else {
                error.message.clone()
            },
            hint: error.hint.clone(),
            details: error.details.clone(),
            request_id: super::guard::request_id(),
        };
        let mut response = (status, Json(body)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        with_log(response, error)
    }
}

/// An error of `/v2`, as the distribution-spec puts it.
pub struct OciError(pub Error);

impl From<Error> for OciError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl OciError {
    /// The spec's word for our code.
    fn code(error: &Error) -> &'static str {
        match error.code {
            "blob_unknown" => "BLOB_UNKNOWN",
            "upload_unknown" => "BLOB_UPLOAD_UNKNOWN",
            "upload_offset" | "upload_busy" => "BLOB_UPLOAD_INVALID",
            "digest_invalid" | "digest_mismatch" | "digest_unsupported" => "DIGEST_INVALID",
            "size_mismatch" => "SIZE_INVALID",
            "manifest_blob_unknown" | "file_missing" => "MANIFEST_BLOB_UNKNOWN",
            "manifest_unknown" => "MANIFEST_UNKNOWN",
            "content_purged" => "DENIED",
            "name_invalid" => "NAME_INVALID",
            "repository_unknown" | "namespace_unknown" | "workload_deleted" | "namespace_deleted" => {
                "NAME_UNKNOWN"
            }
            _ => match error.kind {
                Kind::Unauthenticated => "UNAUTHORIZED",
                Kind::Forbidden => "DENIED",
                Kind::NotFound => "NAME_UNKNOWN",
                Kind::Gone => "MANIFEST_UNKNOWN",
                Kind::NotAllowed => "UNSUPPORTED",
                Kind::Range => "RANGE_INVALID",
                Kind::Conflict => "DENIED",
                Kind::TooMany => "TOOMANYREQUESTS",
                Kind::Unavailable => "UNAVAILABLE",
                Kind::Integrity | Kind::Internal => "UNKNOWN",
                _ => "MANIFEST_INVALID",
            },
        }
    }
}

impl IntoResponse for OciError {
    fn into_response(self) -> Response {
        let error = self.0;
        let message = if error.kind == Kind::Internal {
            "the server failed; its log has the reason".to_owned()
        } else {
            match &error.hint {
                Some(hint) => format!("{} ({hint})", error.message),
                None => error.message.clone(),
            }
        };
        let hint = error.hint.as_ref().filter(|_| error.kind != Kind::Internal);
        let detail = serde_json::json!({ "code": error.code, "hint": hint, "details": error.details });
        let body = serde_json::json!({
            "errors": [{ "code": Self::code(&error), "message": message, "detail": detail }]
        });
        let response = (status(error.kind), Json(body)).into_response();
        with_log(response, error)
    }
}
