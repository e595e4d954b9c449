//! The identity token of a GitHub Actions job, which is asked for.

use super::{http_client, invalid, read};
use crate::{
    client::api::escape,
    config::is_protected,
    error::{Error, Result},
};

/// Asks for a token that is made out to `audience`.
pub async fn from_github(url: &str, permission: &str, audience: &str) -> Result<String> {
    if !is_protected(url) {
        return Err(Error::invalid(
            "provider_invalid",
            "ACTIONS_ID_TOKEN_REQUEST_URL is no https address, so that nothing is sent there",
        ));
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    let request = http_client()?.get(format!("{url}{separator}audience={}", escape(audience)));
    let host = url.split('/').take(3).collect::<Vec<_>>().join("/");
    let (status, answer) = read(request.bearer_auth(permission), &host).await?;
    match answer["value"].as_str() {
        Some(token) if status == 200 => Ok(token.to_owned()),
        _ => Err(invalid(&host, &format!("it gives the job no identity token, with status {status}"))
            .hint("the job needs the permission: permissions: { id-token: write }")),
    }
}
