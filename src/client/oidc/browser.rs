//! The code flow with PKCE (RFC 7636, RFC 8252): a browser on this machine comes back to a port that is opened for it.

use super::{Provider, Said, encode, login_expired, random};
use crate::error::{Error, Result};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout, timeout_at},
};

const PATH: &str = "/callback";
/// How long the browser may take to come back, and to say what it wants.
const WAIT: Duration = Duration::from_secs(600);
const READ: Duration = Duration::from_secs(5);
const HEAD_MAX: usize = 16 * 1024;

/// A login that waits for a browser.
pub struct Browser<'a> {
    provider: &'a Provider,
    listener: TcpListener,
    redirect: String,
    verifier: String,
    state: String,
    nonce: String,
    /// What to open.
    pub address: String,
}

impl<'a> Browser<'a> {
    pub async fn begin(provider: &'a Provider) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let redirect = format!("http://{}{PATH}", listener.local_addr()?);
        let (verifier, state, nonce) = (random()?, random()?, random()?);
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let endpoint = provider.endpoint("authorization_endpoint")?;
        let separator = if endpoint.contains('?') { '&' } else { '?' };
        let query = encode(&[
            ("response_type", "code"),
            ("client_id", &provider.client_id),
            ("redirect_uri", &redirect),
            ("scope", provider.scope()),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let address = format!("{endpoint}{separator}{query}");
        Ok(Self { provider, listener, redirect, verifier, state, nonce, address })
    }

    /// Waits for the browser; the ID token.
    pub async fn token(self) -> Result<String> {
        let end = Instant::now() + WAIT;
        let code = loop {
            let (stream, _) =
                timeout_at(end, self.listener.accept()).await.map_err(|_| login_expired())??;
            if let Ok(Some(answer)) = timeout(READ, self.hear(stream)).await {
                break answer?;
            }
        };
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", &self.redirect),
            ("client_id", &self.provider.client_id),
            ("code_verifier", &self.verifier),
        ];
        match self.provider.post("token_endpoint", &form).await? {
            Said::Yes(answer) => self.provider.id_token(&answer, Some(&self.nonce)),
            Said::No(code, description) => Err(self.provider.refused(&code, &description)),
        }
    }

    /// What a visitor brings: the code, a refusal, or nothing of this login. Any page and any program can knock here, so
    /// only who knows `state` ends the wait.
    async fn hear(&self, mut stream: TcpStream) -> Option<Result<String>> {
        let target = read_target(&mut stream).await?;
        let query = target.strip_prefix(PATH).and_then(|rest| rest.strip_prefix('?')).and_then(parse);
        let Some(query) = query.filter(|query| query.get("state") == Some(&self.state)) else {
            answer(&mut stream, "404 Not Found", "This is not the login that gradus waits for.").await;
            return None;
        };
        // Who answers is named (RFC 9207), so that no other provider's code comes in by this door.
        let heard = match (query.get("iss"), query.get("code"), query.get("error")) {
            (Some(other), ..) if *other != self.provider.url => {
                Err(Error::forbidden("provider_invalid", "the answer is of another provider than was asked")
                    .hint("run the same command again"))
            }
            (_, Some(code), None) => Ok(code.clone()),
            (.., error) => {
                let description = query.get("error_description").map_or("", String::as_str);
                Err(self.provider.refused(
                    error.map_or("no code", String::as_str),
                    &crate::model::digest::shorten(description),
                ))
            }
        };
        let text = if heard.is_ok() {
            "Go back to the terminal; gradus goes on there."
        } else {
            "The login was refused."
        };
        answer(&mut stream, "200 OK", text).await;
        Some(heard)
    }
}

/// The target of a GET.
async fn read_target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > HEAD_MAX || stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let head = String::from_utf8(head).ok()?;
    let line = head.lines().next()?;
    Some(line.strip_prefix("GET ")?.split(' ').next()?.to_owned())
}

async fn answer(stream: &mut TcpStream, status: &str, text: &str) {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        text.len()
    );
    let _ = stream.write_all(format!("{head}{text}").as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// The parameters of a query; `None` if one is there twice or cannot be read.
fn parse(query: &str) -> Option<BTreeMap<String, String>> {
    let mut pairs = BTreeMap::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=')?;
        if pairs.insert(unescape(name)?, unescape(value)?).is_some() {
            return None;
        }
    }
    Some(pairs)
}

fn unescape(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, more @ ..] = rest {
        let (byte, more) = match (first, more) {
            (b'%', [high, low, more @ ..]) if high.is_ascii_hexdigit() => {
                let pair = [*high, *low];
                (u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?, more)
            }
            (b'%', _) => return None,
            (b'+', more) => (b' ', more),
            (byte, more) => (*byte, more),
        };
        bytes.push(byte);
        rest = more;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_one_way() {
        let query = parse("code=a%2Fb&state=x+y").unwrap();
        assert_eq!((query["code"].as_str(), query["state"].as_str()), ("a/b", "x y"));
        for bad in ["code=a&code=b", "code", "code=%", "code=%zz", "code=%ff", ""] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
