//! The compact form of a signed token (RFC 7515), read one way only.

use super::{Algorithm, TOKEN_MAX, refused};
use crate::{
    error::{Error, Result},
    model::{digest::shorten, json::parse_strict},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// Nesting of claims; Kubernetes has three levels.
const DEPTH_MAX: usize = 16;
const KEY_ID_MAX: usize = 256;

/// Header parameters that bring a key along or change what is signed. A key comes from the issuer, and only from there.
const REFUSED: [&str; 6] = ["jwk", "jku", "x5u", "x5c", "crit", "b64"];

/// A token as it was read. Nobody has vouched for it.
pub struct Unverified {
    pub algorithm: Algorithm,
    /// The id of the key it says it was signed with.
    pub key: Option<String>,
    /// The issuer it says it has.
    pub issuer: String,
    pub(super) claims: Map<String, Value>,
    pub(super) signature: Vec<u8>,
    /// Header and claims as they came: what the signature is over.
    signed: String,
}

impl Unverified {
    /// A claim that is a text, as it says.
    pub fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    pub(super) fn signed(&self) -> &[u8] {
        self.signed.as_bytes()
    }
}

fn malformed(what: &str) -> Error {
    refused("identity_malformed", format!("the identity token cannot be read: {what}"))
        .hint("an identity token is a JWT: three parts of base64url with dots between them")
}

pub(super) fn read(token: &str) -> Result<Unverified> {
    if token.len() > TOKEN_MAX {
        return Err(malformed("it is longer than 16 KiB"));
    }
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        return Err(malformed("it has not three parts"));
    };
    let decode = |part: &str, what: &str| {
        BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed(&format!("its {what} is not base64url")))
    };
    let object = |part: &str, what: &str| match parse_strict(&decode(part, what)?, DEPTH_MAX) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(malformed(&format!("its {what} is no JSON object"))),
        Err(error) => Err(malformed(&format!("its {what} is {}", error.message))),
    };
    let header = object(header, "header")?;
    let (algorithm, key) = read_header(&header)?;
    let claims = object(claims, "payload")?;
    let issuer = match claims.get("iss") {
        Some(Value::String(issuer)) => issuer.clone(),
        _ => return Err(malformed("it names no issuer (iss)")),
    };
    let signature = decode(signature, "signature")?;
    let signed = token[..token.rfind('.').unwrap_or(0)].to_owned();
    Ok(Unverified { algorithm, key, issuer, claims, signature, signed })
}

fn read_header(header: &Map<String, Value>) -> Result<(Algorithm, Option<String>)> {
    if let Some(name) = REFUSED.into_iter().find(|name| header.contains_key(*name)) {
        return Err(refused(
            "identity_header_refused",
            format!(
                "the identity token's header has {name}, which is refused: keys come from the issuer only"
            ),
        ));
    }
    // An access token or a logout token of the same issuer is no proof of who calls.
    if let Some(kind) = header.get("typ") {
        let is_jwt = kind.as_str().is_some_and(|kind| {
            kind.eq_ignore_ascii_case("JWT") || kind.eq_ignore_ascii_case("application/jwt")
        });
        if !is_jwt {
            let what = shorten(&kind.to_string());
            let message = format!("the token is of another type than an identity token: {what}");
            return Err(refused("identity_header_refused", message));
        }
    }
    let key = match header.get("kid") {
        None => None,
        Some(Value::String(id)) if !id.is_empty() && id.len() <= KEY_ID_MAX => Some(id.clone()),
        Some(_) => return Err(malformed("its key id (kid) is empty, too long or no text")),
    };
    let named =
        header.get("alg").and_then(Value::as_str).ok_or_else(|| malformed("it names no algorithm"))?;
    let algorithm = Algorithm::named(named).ok_or_else(|| {
        let known = Algorithm::ALL.map(Algorithm::name).join(", ");
        refused(
            "identity_algorithm_refused",
            format!("the identity token's algorithm is refused: {}", shorten(named)),
        )
        .hint(format!("there are {known}, as far as the operator allows them"))
    })?;
    Ok((algorithm, key))
}
