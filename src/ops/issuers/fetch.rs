//! Asking an issuer for its keys.

use crate::{
    config::{Issuer, is_protected},
    error::{Error, Result},
    identity::KeySet,
    model::{digest::shorten, json::parse_strict},
};
use chrono::TimeDelta;
use futures_util::StreamExt as _;
use serde_json::Value;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of a document.
const BYTES_MAX: usize = 256 * 1024;

pub fn unreachable(issuer: &Issuer) -> Error {
    Error::unavailable(
        "issuer_unreachable",
        format!("the issuer does not answer with its keys: {}", issuer.name),
    )
    .hint("try again; the server's log has the reason")
}

fn invalid(issuer: &Issuer, what: &str) -> Error {
    Error::unavailable("issuer_invalid", format!("what the issuer {} answers cannot be used: {what}", issuer.name))
        .hint("whoever runs the registry compares url, jwks_url and ca_file of [[issuers]] with what the issuer publishes")
}

/// The keys, and for how long the issuer says they may be kept.
pub async fn keys(issuer: &Issuer) -> Result<(KeySet, Option<TimeDelta>)> {
    let http = client(issuer)?;
    let url = match &issuer.jwks_url {
        Some(url) => url.clone(),
        None => discovered(&http, issuer).await?,
    };
    let (bytes, max_age) = get(&http, issuer, &url).await?;
    let keys = KeySet::parse(&bytes).map_err(|error| invalid(issuer, &error.message))?;
    Ok((keys, max_age))
}

/// Where the issuer says that its keys are.
async fn discovered(http: &reqwest::Client, issuer: &Issuer) -> Result<String> {
    let url = format!("{}/.well-known/openid-configuration", issuer.url.trim_end_matches('/'));
    let (bytes, _) = get(http, issuer, &url).await?;
    let document = parse_strict(&bytes, 16).map_err(|error| invalid(issuer, &error.message))?;
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    match text("issuer") {
        Some(said) if said == issuer.url => {}
        said => {
            let said = shorten(said.unwrap_or("nothing"));
            return Err(invalid(issuer, &format!("its discovery document is of another issuer: {said}")));
        }
    }
    match text("jwks_uri") {
        // An issuer elsewhere has no business on this machine's loopback.
        Some(url)
            if is_protected(url) && (url.starts_with("https://") || issuer.url.starts_with("http://")) =>
        {
            Ok(url.to_owned())
        }
        _ => Err(invalid(issuer, "its discovery document has no jwks_uri with https")),
    }
}

/// Made for one fetch: they are minutes apart, and the file of the authority may have been replaced.
fn client(issuer: &Issuer) -> Result<reqwest::Client> {
    let builder = || reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
    let unusable = |what: &str| {
        Error::unavailable("issuer_invalid", format!("the issuer {} cannot be asked: {what}", issuer.name))
            .hint("whoever runs the registry looks at ca_file of [[issuers]]")
    };
    let built = match &issuer.ca_file {
        Some(file) => {
            let pem =
                std::fs::read(file).map_err(|error| unusable("ca_file cannot be read").source(error))?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|error| unusable("ca_file is no certificate").source(error))?;
            builder().tls_certs_only(authorities).build()
        }
        None => match builder().build() {
            // A machine may have no certificates; plain http needs none.
            Err(_) if issuer.url.starts_with("http://") => builder().tls_certs_only([]).build(),
            built => built,
        },
    };
    built.map_err(|error| unusable("no HTTP client can be made").source(error))
}

async fn get(http: &reqwest::Client, issuer: &Issuer, url: &str) -> Result<(Vec<u8>, Option<TimeDelta>)> {
    let failed = |error: reqwest::Error| unreachable(issuer).source(error);
    let answer = http.get(url).header("accept", "application/json").send().await.map_err(failed)?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(unreachable(issuer).source(format!("{url} answers with status {}", answer.status())));
    }
    let max_age = answer.headers().get("cache-control").and_then(|value| max_age(value.to_str().ok()?));
    let (mut body, mut bytes) = (answer.bytes_stream(), Vec::new());
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece.map_err(failed)?);
        if bytes.len() > BYTES_MAX {
            return Err(invalid(issuer, "it is larger than 256 KiB"));
        }
    }
    Ok((bytes, max_age))
}

/// For how long a Cache-Control header lets an answer be kept.
fn max_age(cache_control: &str) -> Option<TimeDelta> {
    let mut directives = cache_control.split(',').map(str::trim);
    let seconds =
        directives.find_map(|one| one.to_ascii_lowercase().strip_prefix("max-age=")?.parse::<u32>().ok())?;
    Some(TimeDelta::seconds(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_is_read() {
        let seconds = |text| max_age(text).map(|age| age.num_seconds());
        assert_eq!(seconds("max-age=60"), Some(60));
        assert_eq!(seconds("public, Max-Age=86400, must-revalidate"), Some(86400));
        assert_eq!((seconds("no-store"), seconds("max-age=x"), seconds("s-maxage=5")), (None, None, None));
    }
}
