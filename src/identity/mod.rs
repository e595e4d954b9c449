//! Identity tokens of other systems (OpenID Connect ID tokens, Kubernetes service account tokens): read strictly and
//! verified against an issuer's keys. Pure: who fetches the keys, and what an identity may do, is decided elsewhere.
//!
//! The order is fixed: nothing but the issuer's name and the key's id is used of a token before its signature holds.

mod algorithm;
mod claims;
#[cfg(test)]
mod golden;
mod jws;
mod keys;
#[cfg(test)]
mod tests;

pub use algorithm::Algorithm;
pub use jws::Unverified;
pub use keys::{Key, KeySet};

use crate::error::{Error, Result};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

/// Largest token in bytes.
pub const TOKEN_MAX: usize = 16 * 1024;

/// What a token must be to count.
pub struct Expected<'a> {
    /// The issuer's URL, to the letter.
    pub issuer: &'a str,
    /// One of these must be among whom the token is made out to.
    pub audiences: &'a [&'a str],
    pub algorithms: &'a [Algorithm],
    pub now: DateTime<Utc>,
}

/// Who somebody is, as an issuer says.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    pub subject: String,
    /// Whom the token is made out to.
    pub audiences: Vec<String>,
    pub claims: Map<String, Value>,
}

impl Identity {
    pub fn is_for(&self, audience: &str) -> bool {
        self.audiences.iter().any(|one| one == audience)
    }
}

/// Reads a token without believing it: for finding its issuer and its key.
pub fn read(token: &str) -> Result<Unverified> {
    jws::read(token)
}

/// The identity that a token proves.
pub fn verify(token: &Unverified, expected: &Expected<'_>, keys: &KeySet) -> Result<Identity> {
    let algorithm = token.algorithm;
    if !expected.algorithms.contains(&algorithm) {
        return Err(refused(
            "identity_algorithm_refused",
            format!("the identity token is signed with {algorithm}, which is not allowed for its issuer"),
        )
        .hint("the operator names what is allowed in algorithms of [[issuers]]"));
    }
    let fitting: Vec<&Key> = keys.fitting(token.key.as_deref(), algorithm).collect();
    match (&token.key, fitting.len()) {
        (_, 0) => return Err(unknown_key(token.key.as_deref())),
        (None, 2..) => {
            let message = "the identity token names no key, and its issuer has several";
            return Err(refused("identity_key_unknown", message.to_owned()));
        }
        _ => {}
    }
    if !fitting.iter().any(|key| key.verifies(algorithm, token.signed(), &token.signature)) {
        let message = "the signature of the identity token is not its issuer's";
        return Err(refused("identity_signature_invalid", message.to_owned())
            .hint("it was changed, or made by somebody else; get a new one"));
    }
    claims::check(&token.claims, expected)
}

fn unknown_key(id: Option<&str>) -> Error {
    let which =
        id.map_or_else(|| "any key".to_owned(), |id| format!("key {}", crate::model::digest::shorten(id)));
    refused("identity_key_unknown", format!("the identity token's issuer does not publish {which} for it"))
        .hint("get a new token; if the issuer changed its keys this moment, try again in half a minute")
}

/// Of an error whose token is not believed.
fn refused(code: &'static str, message: String) -> Error {
    Error::unauthenticated(code, message)
}
