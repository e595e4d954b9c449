//! Signatures of Standard Webhooks 1.0: over `id.timestamp.body`, by HMAC-SHA256 (`v1`) or Ed25519 (`v1a`).

use crate::error::{Error, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use chrono::{DateTime, Utc};
use ring::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use serde::{Deserialize, Serialize};

const HMAC: &str = "whsec_";
const ED25519: &str = "whsk_";
const ED25519_PUBLIC: &str = "whpk_";

pub const ID: &str = "webhook-id";
pub const TIMESTAMP: &str = "webhook-timestamp";
pub const SIGNATURE: &str = "webhook-signature";

/// A secret as it is written: `whsec_…` (24 to 64 bytes in base64) or `whsk_…` (an Ed25519 seed, with or without its
/// public key behind it).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Secret(…)")
    }
}

enum Key {
    Hmac(hmac::Key),
    Ed25519(Ed25519KeyPair),
}

impl Secret {
    /// Reads a secret. The error never repeats it.
    pub fn parse(text: &str) -> Result<Self> {
        let secret = Self(text.trim().to_owned());
        match secret.key() {
            Some(_) => Ok(secret),
            None => Err(Error::invalid("hook_secret_invalid", "not a secret of Standard Webhooks").hint(
                "whsec_ and 24 to 64 bytes in base64: echo \"whsec_$(openssl rand -base64 32)\"; \
                 whsk_ and the seed for Ed25519; without a secret one is made",
            )),
        }
    }

    /// A new secret of these random bytes.
    pub fn of(bytes: [u8; 32], is_asymmetric: bool) -> Self {
        let prefix = if is_asymmetric { ED25519 } else { HMAC };
        Self(format!("{prefix}{}", BASE64.encode(bytes)))
    }

    fn key(&self) -> Option<Key> {
        if let Some(text) = self.0.strip_prefix(HMAC) {
            let bytes = BASE64.decode(text).ok().filter(|bytes| (24..=64).contains(&bytes.len()))?;
            return Some(Key::Hmac(hmac::Key::new(hmac::HMAC_SHA256, &bytes)));
        }
        let bytes = BASE64.decode(self.0.strip_prefix(ED25519)?).ok()?;
        let pair = match bytes.split_at_checked(32) {
            Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed),
            Some((seed, public)) => Ed25519KeyPair::from_seed_and_public_key(seed, public),
            None => return None,
        };
        pair.ok().map(Key::Ed25519)
    }

    /// The secret itself, to be shown once to who must verify by it: of an Ed25519 key only the public half.
    pub fn to_verify_by(&self) -> String {
        match self.key() {
            Some(Key::Ed25519(pair)) => {
                format!("{ED25519_PUBLIC}{}", BASE64.encode(pair.public_key().as_ref()))
            }
            _ => self.0.clone(),
        }
    }

    /// The public key, of an asymmetric secret.
    pub fn public(&self) -> Option<String> {
        self.is_asymmetric().then(|| self.to_verify_by())
    }

    pub fn is_asymmetric(&self) -> bool {
        self.0.starts_with(ED25519)
    }

    /// The text, for hiding it in what comes back from a receiver.
    pub fn text(&self) -> &str {
        &self.0
    }

    fn sign(&self, content: &[u8]) -> Option<String> {
        Some(match self.key()? {
            Key::Hmac(key) => format!("v1,{}", BASE64.encode(hmac::sign(&key, content))),
            Key::Ed25519(pair) => format!("v1a,{}", BASE64.encode(pair.sign(content))),
        })
    }
}

/// The headers of a message. While secrets rotate, one signature for each that is valid.
pub fn headers(secrets: &[&Secret], id: &str, at: DateTime<Utc>, body: &[u8]) -> [(&'static str, String); 3] {
    let timestamp = at.timestamp().to_string();
    let content = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    let signatures: Vec<String> = secrets.iter().filter_map(|secret| secret.sign(&content)).collect();
    [(ID, id.to_owned()), (TIMESTAMP, timestamp), (SIGNATURE, signatures.join(" "))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ED25519 as VERIFY, UnparsedPublicKey};

    /// The example of the Standard Webhooks libraries' own tests.
    #[test]
    fn signs_as_the_reference_does() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let at = DateTime::from_timestamp(1_614_265_330, 0).unwrap();
        let body = br#"{"test": 2432232314}"#;
        let [id, timestamp, signature] = headers(&[&secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, body);
        assert_eq!(id.1, "msg_p5jXN8AQM9LWM0D4loKWxJek");
        assert_eq!(timestamp.1, "1614265330");
        assert_eq!(signature.1, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn rotates_with_a_signature_for_each_secret_and_signs_with_ed25519() {
        let (old, new) = (Secret::of([1; 32], false), Secret::of([2; 32], true));
        let [.., (_, both)] = headers(&[&new, &old], "m", DateTime::UNIX_EPOCH, b"{}");
        let (first, second) = both.split_once(' ').unwrap();
        assert!(first.starts_with("v1a,") && second.starts_with("v1,"));
        let public = new.public().unwrap();
        let public = BASE64.decode(public.strip_prefix("whpk_").unwrap()).unwrap();
        let signature = BASE64.decode(first.strip_prefix("v1a,").unwrap()).unwrap();
        UnparsedPublicKey::new(&VERIFY, public).verify(b"m.0.{}", &signature).unwrap();
        assert_eq!(old.public(), None);
    }

    #[test]
    fn refuses_what_is_no_secret_without_repeating_it() {
        let short = format!("whsec_{}", BASE64.encode([1; 23]));
        let long = format!("whsec_{}", BASE64.encode([1; 65]));
        let mismatch = format!("whsk_{}", BASE64.encode([1; 64]));
        for bad in ["", "hunter2", "whsec_", "whsec_!!", "whsk_AAAA", &short, &long, &mismatch] {
            let error = Secret::parse(bad).unwrap_err();
            assert_eq!(error.code, "hook_secret_invalid", "{bad}");
            assert!(bad.len() < 8 || !format!("{error:?}{:?}", error.hint).contains(bad));
        }
    }
}
