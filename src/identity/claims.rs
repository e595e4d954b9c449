//! What a token whose signature holds must say: who made it out, to whom, and from when until when.

use super::{Expected, Identity, refused};
use crate::{
    error::{Error, Result},
    model::digest::shorten,
};
use serde_json::{Map, Value};

/// How far clocks may be apart where a token is too young, in seconds.
const LEEWAY: i64 = 60;
/// The longest life of an identity token in seconds. What lives longer is a password.
const LIFE_MAX: i64 = 24 * 3600;
const SUBJECT_MAX: usize = 1024;

pub(super) fn check(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<Identity> {
    let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    if issuer != expected.issuer {
        return Err(refused(
            "identity_issuer_unknown",
            format!("the identity token is of another issuer: {}", shorten(issuer)),
        ));
    }
    let audiences = audiences(claims)?;
    if !audiences.iter().any(|one| expected.audiences.contains(&one.as_str())) {
        return Err(refused(
            "identity_audience_wrong",
            format!("the identity token is made out to somebody else: {}", shorten(&audiences.join(", "))),
        )
        .hint(format!("ask for one with the audience: {}", expected.audiences.join(" or "))));
    }
    check_times(claims, expected.now.timestamp())?;
    let subject = match claims.get("sub") {
        Some(Value::String(subject)) if is_subject(subject) => subject.clone(),
        _ => return Err(invalid("sub", "no text, empty or too long")),
    };
    Ok(Identity { subject, audiences, claims: claims.clone() })
}

fn is_subject(text: &str) -> bool {
    !text.is_empty() && text.len() <= SUBJECT_MAX && !text.chars().any(char::is_control)
}

fn invalid(claim: &str, why: &str) -> Error {
    refused("identity_claim_invalid", format!("a claim of the identity token is {why}: {claim}"))
}

fn audiences(claims: &Map<String, Value>) -> Result<Vec<String>> {
    match claims.get("aud") {
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(some)) => {
            let texts: Option<Vec<String>> = some.iter().map(|one| one.as_str().map(str::to_owned)).collect();
            texts.ok_or_else(|| invalid("aud", "no list of texts"))
        }
        _ => Err(invalid("aud", "missing or no text")),
    }
}

/// A time in seconds since 1970. Fractions are allowed and cut off.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>> {
    // Far enough for anybody, and no sum of two overflows.
    const LAST: f64 = 253_402_300_799.0;
    match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "the bounds are checked")]
            Some(seconds) if (0.0..=LAST).contains(&seconds) => Ok(Some(seconds as i64)),
            _ => Err(invalid(name, "no time")),
        },
    }
}

fn check_times(claims: &Map<String, Value>, now: i64) -> Result<()> {
    let expires = time(claims, "exp")?.ok_or_else(|| invalid("exp", "missing"))?;
    if expires <= now {
        return Err(refused(
            "identity_expired",
            format!("the identity token has expired {} seconds ago", now - expires),
        )
        .hint("get a new one; jobs that run long ask for it right before they use it"));
    }
    let issued = time(claims, "iat")?;
    for (claim, from) in [("nbf", time(claims, "nbf")?), ("iat", issued)] {
        if let Some(from) = from
            && from > now + LEEWAY
        {
            return Err(refused(
                "identity_not_yet_valid",
                format!("the identity token is valid only in {} seconds ({claim})", from - now),
            )
            .hint("compare the clocks of the issuer and of this server"));
        }
    }
    let life = expires - issued.unwrap_or(now);
    if life > LIFE_MAX {
        return Err(refused(
            "identity_too_long_lived",
            format!("the identity token lives {life} seconds, and {LIFE_MAX} at most are accepted"),
        )
        .hint("ask the issuer for a token that is made for one job"));
    }
    Ok(())
}
