//! Tokens: only the hash is kept, so a copy of the database opens nothing.

use super::{
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::{Error, Result},
    model::{access::Scope, name::PrincipalName},
};
use chrono::{DateTime, Utc};

pub struct TokenRow {
    pub id: String,
    pub principal: PrincipalName,
    pub label: String,
    pub scope: Scope,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    /// The rule of trust that gave it, if one did.
    pub rule: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    principal: String,
    label: String,
    scope: String,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    trust: Option<String>,
}

impl TryFrom<Row> for TokenRow {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let Row { id, principal, label, scope, created_at, expires_at, revoked_at, trust } = row;
        let scope = serde_json::from_str(&scope)
            .map_err(|_| Error::corrupt("tokens", &id, "the scope cannot be read"))?;
        Ok(Self {
            id,
            principal: read("tokens", &principal)?,
            label,
            scope,
            created_at,
            expires_at,
            revoked_at,
            rule: trust,
        })
    }
}

pub async fn insert(tx: &mut Tx, row: &TokenRow, hash: &str) -> Result<()> {
    let scope = serde_json::to_string(&row.scope)
        .map_err(|source| Error::internal("token_encoding", "a scope could not be written").source(source))?;
    let sql = "INSERT INTO tokens (id, hash, principal, label, scope, created_at, expires_at, trust)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    execute!(
        tx,
        sql,
        &row.id,
        hash,
        row.principal.as_str(),
        &row.label,
        scope,
        row.created_at,
        row.expires_at,
        &row.rule
    );
    Ok(())
}

pub async fn find_by_hash(tx: &mut Tx, hash: &str) -> Result<Option<TokenRow>> {
    let sql = "SELECT id, principal, label, scope, created_at, expires_at, revoked_at, trust FROM tokens WHERE hash = $1";
    let row: Option<Row> = optional!(tx, sql, hash);
    row.map(TokenRow::try_from).transpose()
}

pub async fn find(tx: &mut Tx, id: &str) -> Result<Option<TokenRow>> {
    let sql = "SELECT id, principal, label, scope, created_at, expires_at, revoked_at, trust FROM tokens WHERE id = $1";
    let row: Option<Row> = optional!(tx, sql, id);
    row.map(TokenRow::try_from).transpose()
}

/// Answers false if it was revoked before.
pub async fn revoke(tx: &mut Tx, id: &str, at: DateTime<Utc>) -> Result<bool> {
    Ok(execute!(tx, "UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", id, at) == 1)
}

/// Revokes all that a rule of trust gave.
pub async fn revoke_of_rule(tx: &mut Tx, rule: &str, at: DateTime<Utc>) -> Result<()> {
    execute!(tx, "UPDATE tokens SET revoked_at = $2 WHERE trust = $1 AND revoked_at IS NULL", rule, at);
    Ok(())
}

/// Forgets what a rule of trust gave and has expired before a time.
pub async fn forget_of_rule(tx: &mut Tx, rule: &str, before: DateTime<Utc>) -> Result<()> {
    execute!(tx, "DELETE FROM tokens WHERE trust = $1 AND expires_at < $2", rule, before);
    Ok(())
}

/// Tokens after the id `after`, of one principal or of all.
pub async fn list(
    tx: &mut Tx,
    principal: Option<&PrincipalName>,
    after: &str,
    limit: i64,
) -> Result<Vec<TokenRow>> {
    let sql = "SELECT id, principal, label, scope, created_at, expires_at, revoked_at, trust FROM tokens
               WHERE id > $1 AND ($2 IS NULL OR principal = $2) ORDER BY id LIMIT $3";
    let rows: Vec<Row> = all!(tx, sql, after, principal.map(PrincipalName::as_str), limit);
    rows.into_iter().map(TokenRow::try_from).collect()
}
