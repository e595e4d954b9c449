//! The device flow (RFC 8628): a code is shown here and typed in a browser anywhere.

use super::{Provider, Said, invalid, login_expired};
use crate::error::Result;
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const INTERVAL: u64 = 5;
/// The longest that is waited, whatever the provider says.
const WAIT_MAX: u64 = 1800;

/// A login that waits for somebody.
pub struct Device<'a> {
    provider: &'a Provider,
    device_code: String,
    /// What to type, and where.
    pub user_code: String,
    pub address: String,
    /// An address with the code in it, if there is one.
    pub whole_address: Option<String>,
    interval: Duration,
    pub lasts: Duration,
}

impl<'a> Device<'a> {
    pub async fn begin(provider: &'a Provider) -> Result<Self> {
        let form = [("client_id", provider.client_id.as_str()), ("scope", provider.scope())];
        let answer = match provider.post("device_authorization_endpoint", &form).await? {
            Said::Yes(answer) => answer,
            Said::No(code, description) => return Err(provider.refused(&code, &description)),
        };
        let text = |name: &str| answer[name].as_str().filter(|text| is_plain(text)).map(str::to_owned);
        let needed = |name: &str| text(name).ok_or_else(|| invalid(&provider.url, &format!("no {name}")));
        let seconds = |name: &str| answer.get(name).and_then(Value::as_u64);
        Ok(Self {
            provider,
            device_code: needed("device_code")?,
            user_code: needed("user_code")?,
            address: needed("verification_uri")?,
            whole_address: text("verification_uri_complete"),
            interval: Duration::from_secs(seconds("interval").unwrap_or(INTERVAL).clamp(1, 60)),
            lasts: Duration::from_secs(seconds("expires_in").unwrap_or(600).min(WAIT_MAX)),
        })
    }

    /// Asks until somebody has logged in; the ID token.
    pub async fn token(self) -> Result<String> {
        let client = self.provider.client_id.as_str();
        let form = [("grant_type", GRANT), ("device_code", self.device_code.as_str()), ("client_id", client)];
        let (end, mut interval) = (Instant::now() + self.lasts, self.interval);
        while Instant::now() + interval < end {
            sleep(interval).await;
            match self.provider.post("token_endpoint", &form).await {
                Ok(Said::Yes(answer)) => return self.provider.id_token(&answer, None),
                Ok(Said::No(code, _)) if code == "authorization_pending" => {}
                Ok(Said::No(code, _)) if code == "slow_down" => interval += Duration::from_secs(5),
                Ok(Said::No(code, description)) => return Err(self.provider.refused(&code, &description)),
                // As RFC 8628 wants it: a provider that is out of breath is asked less often.
                Err(error) if error.code == "provider_unreachable" => {
                    interval = (interval * 2).min(end - Instant::now())
                }
                Err(error) => return Err(error),
            }
        }
        Err(login_expired())
    }
}

/// It is shown on a terminal, which must not take it for commands.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= 2048 && !text.chars().any(char::is_control)
}
