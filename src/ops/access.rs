//! Who is calling: from a token to an actor.

use super::Context;
use crate::{
    db::{principals, tokens},
    error::{Error, Result},
    model::access::Actor,
};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// What every token starts with, so that scanners find a leaked one.
pub const TOKEN_PREFIX: &str = "gradus_";

/// The stored form of a token. A token is 256 random bits, so a plain hash cannot be guessed back.
pub fn hash_token(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn refused() -> Error {
    Error::unauthenticated("token_invalid", "the token is not valid, has expired or was revoked")
        .hint("get a new one with: gradus token create, then: gradus login SERVER")
}

/// The actor behind a token.
pub async fn authenticate(cx: &Context, token: &str) -> Result<Arc<Actor>> {
    if !token.starts_with(TOKEN_PREFIX) || token.len() > 128 {
        return Err(refused());
    }
    let hash = hash_token(token);
    let length = cx.epoch().await?;
    let now = cx.clock.now();
    let actor = match cx.memo.actor(length, &hash) {
        Some(actor) => actor,
        None => {
            let actor = Arc::new(load(cx, &hash).await?);
            cx.memo.keep_actor(length, hash, &actor);
            actor
        }
    };
    if actor.expires_at.is_some_and(|expires| expires <= now) {
        return Err(refused());
    }
    Ok(actor)
}

async fn load(cx: &Context, hash: &[u8; 32]) -> Result<Actor> {
    let mut tx = cx.db.read().await?;
    let token = tokens::find_by_hash(&mut tx, &crate::model::digest::hex(hash)).await?.ok_or_else(refused)?;
    if token.revoked_at.is_some() {
        return Err(refused());
    }
    let principal = principals::find(&mut tx, &token.principal).await?.ok_or_else(refused)?;
    if principal.disabled {
        return Err(refused());
    }
    let roles = principals::roles(&mut tx, &principal.name).await?;
    Ok(Actor {
        principal: principal.name,
        kind: principal.kind,
        roles,
        scope: token.scope,
        expires_at: token.expires_at,
        rule: token.rule,
    })
}

/// The actor of a call without a token: the local user in local mode, nobody on a server.
pub fn without_token(cx: &Context) -> Result<Arc<Actor>> {
    match &cx.local {
        Some(user) => Ok(Arc::new(Actor::local_admin(user.clone()))),
        None => Err(Error::unauthenticated("token_missing", "this server asks for a token")
            .hint("set GRADUS_TOKEN, or store one with: gradus login SERVER")),
    }
}
