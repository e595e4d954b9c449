//! Who an OCI client is: Bearer with a token, or Basic with any user name and the token as password. The token
//! endpoint serves clients that insist on trading the one for the other.

use crate::{
    error::{Error, Result},
    http::{
        App,
        error::OciError,
        guard::{Limits, turn},
    },
    ops::access::authenticate,
};
use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};

/// The token in an Authorization header.
pub fn token_of(value: &HeaderValue) -> Result<String> {
    let refuse = || {
        Error::unauthenticated("authorization_invalid", "the Authorization header cannot be read")
            .hint("use Bearer with a token, or Basic with any user name and the token as password")
    };
    let (scheme, credentials) =
        value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(refuse)?;
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(credentials.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(refuse());
    }
    let pair = BASE64_STANDARD
        .decode(credentials)
        .ok()
        .and_then(|pair| String::from_utf8(pair).ok())
        .ok_or_else(refuse)?;
    let (_, password) = pair.split_once(':').ok_or_else(refuse)?;
    Ok(password.to_owned())
}

/// What to do to be let in, for a request to `uri`.
pub fn challenge(app: &App, uri: &Uri) -> String {
    let base = app.config.public_url.clone().unwrap_or_else(|| {
        let scheme = if app.config.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", app.config.listen)
    });
    let mut challenge =
        format!("Bearer realm=\"{}/v2/token\",service=\"gradus\"", base.trim_end_matches('/'));
    let segments: Vec<&str> = uri.path().split('/').collect();
    if let ["", "v2", namespace, name, ..] = segments[..]
        && let Ok(repository) = super::repository(namespace, name)
    {
        challenge.push_str(&format!(",scope=\"repository:{repository}:pull,push\""));
    }
    challenge
}

/// Answers the caller's own token: it is opaque, and what it may do is looked up at each use.
pub async fn token(
    State(app): State<App>,
    Extension(limits): Extension<Limits>,
    headers: HeaderMap,
) -> Result<Response, OciError> {
    let value = headers.get(header::AUTHORIZATION).ok_or_else(|| {
        Error::unauthenticated("token_missing", "this server asks for a token")
            .hint("log in with any user name and the token as password")
    });
    let response = match value.and_then(token_of) {
        Ok(token) => match authenticate(&app, &token).await {
            Ok(actor) => {
                turn(&app, &limits, &actor, false)?;
                Ok(token)
            }
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    match response {
        Ok(token) => {
            Ok(Json(serde_json::json!({ "token": token, "access_token": token, "expires_in": 300 }))
                .into_response())
        }
        Err(error) => {
            let mut response = OciError(error).into_response();
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"gradus\""));
            Ok(response)
        }
    }
}
