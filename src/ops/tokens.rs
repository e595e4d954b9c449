//! Tokens: made, listed, revoked. The secret is shown once and kept nowhere.

use super::{
    Context,
    access::{TOKEN_PREFIX, hash_token},
    check_text,
    start::random,
};
use crate::{
    db::{Tx, log, principals, tokens},
    error::{Error, Result},
    model::{
        access::{Actor, Permission, Scope},
        digest::hex,
        event::Change,
        name::PrincipalName,
    },
};
use chrono::{DateTime, TimeDelta, Utc};

pub use tokens::TokenRow;

/// Longest life of a token in days.
pub const DAYS_MAX: i64 = 366;

pub struct NewToken {
    /// For whom; without it for the caller.
    pub user: Option<PrincipalName>,
    pub label: String,
    pub scope: Scope,
    /// Days until it expires.
    pub days: i64,
}

/// Makes a token. Everyone may make one for themselves, no wider than the one they hold; an admin for anyone.
pub async fn create(cx: &Context, actor: &Actor, new: NewToken) -> Result<(String, TokenRow)> {
    check_text("label", &new.label, 100)?;
    if !(1..=DAYS_MAX).contains(&new.days) {
        return Err(Error::invalid(
            "days_invalid",
            format!("a token lives 1 to {DAYS_MAX} days, not: {}", new.days),
        ));
    }
    let user = new.user.unwrap_or_else(|| actor.principal.clone());
    let scope = if user == actor.principal {
        narrowed(&actor.scope, new.scope)?
    } else {
        actor.require_everywhere(Permission::Administer)?;
        new.scope
    };
    let mut expires_at = cx.clock.now() + TimeDelta::days(new.days);
    if user == actor.principal
        && let Some(own) = actor.expires_at
    {
        expires_at = expires_at.min(own);
    }
    let mut tx = cx.db.write().await?;
    let principal = principals::find(&mut tx, &user).await?.ok_or_else(|| super::users::unknown(&user))?;
    if principal.disabled {
        return Err(Error::conflict("user_disabled", format!("the user is disabled: {user}")));
    }
    let rule = actor.rule.as_deref().filter(|_| user == actor.principal);
    let (secret, change) = issue(cx, &mut tx, &user, &new.label, scope, Some(expires_at), rule).await?;
    let Change::TokenCreated { token, .. } = &change else {
        return Err(Error::internal("token_encoding", "a token was not made"));
    };
    let row =
        tokens::find(&mut tx, token).await?.ok_or_else(|| Error::corrupt("tokens", token, "missing"))?;
    log::append(&mut tx, cx.clock.now(), &actor.principal, vec![change]).await?;
    tx.commit().await?;
    Ok((secret, row))
}

/// A new scope within an old one. What the new one leaves open, the old one fills in.
fn narrowed(old: &Scope, new: Scope) -> Result<Scope> {
    fn within<T: PartialEq + Clone>(old: &[T], new: Vec<T>) -> Option<Vec<T>> {
        match (old.is_empty(), new.is_empty()) {
            (true, _) => Some(new),
            (false, true) => Some(old.to_vec()),
            (false, false) => new.iter().all(|item| old.contains(item)).then_some(new),
        }
    }
    match (within(&old.namespaces, new.namespaces), within(&old.roles, new.roles)) {
        (Some(namespaces), Some(roles)) => Ok(Scope { namespaces, roles }),
        _ => Err(Error::forbidden(
            "scope_too_wide",
            "a token cannot be made wider than the one it is made with",
        )),
    }
}

/// Makes a token; `rule` is the rule of trust that gives it, if one does, also by way of another token.
pub(super) async fn issue(
    cx: &Context,
    tx: &mut Tx,
    user: &PrincipalName,
    label: &str,
    scope: Scope,
    expires_at: Option<DateTime<Utc>>,
    rule: Option<&str>,
) -> Result<(String, Change)> {
    let secret = format!("{TOKEN_PREFIX}{}", hex(&random()?));
    let row = TokenRow {
        id: cx.clock.id().to_string(),
        principal: user.clone(),
        label: label.to_owned(),
        scope: scope.clone(),
        created_at: cx.clock.now(),
        expires_at,
        revoked_at: None,
        rule: rule.map(str::to_owned),
    };
    tokens::insert(tx, &row, &hex(&hash_token(&secret))).await?;
    let change = Change::TokenCreated {
        token: row.id,
        user: user.clone(),
        label: label.to_owned(),
        scope,
        expires_at,
    };
    Ok((secret, change))
}

/// The caller's tokens; with `all`, everybody's (for admins).
pub async fn list(cx: &Context, actor: &Actor, all: bool, after: &str, limit: i64) -> Result<Vec<TokenRow>> {
    if all {
        actor.require_everywhere(Permission::Administer)?;
    }
    let owner = (!all).then_some(&actor.principal);
    tokens::list(&mut cx.db.read().await?, owner, after, limit).await
}

/// Revokes a token at once, everywhere. Doing it twice is fine.
pub async fn revoke(cx: &Context, actor: &Actor, id: &str) -> Result<()> {
    let mut tx = cx.db.write().await?;
    let unknown =
        || Error::not_found("token_unknown", "no such token").hint("list yours with: gradus token list");
    let token = tokens::find(&mut tx, id).await?.ok_or_else(unknown)?;
    if token.principal != actor.principal && !actor.may_everywhere(Permission::Administer) {
        return Err(unknown());
    }
    if tokens::revoke(&mut tx, id, cx.clock.now()).await? {
        let change = Change::TokenRevoked { token: id.to_owned(), user: token.principal };
        log::append(&mut tx, cx.clock.now(), &actor.principal, vec![change]).await?;
        tx.commit().await?;
    }
    Ok(())
}
