//! Rules by which a namespace trusts identities of other systems.

use super::{
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::{Error, Result},
    model::{
        access::Role,
        name::{Namespace, PrincipalName},
        trust::Conditions,
    },
};
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;

#[derive(Clone)]
pub struct TrustRow {
    pub id: String,
    pub namespace: Namespace,
    pub issuer: String,
    pub issuer_url: String,
    pub claims: Conditions,
    pub roles: Vec<Role>,
    pub principal: PrincipalName,
    pub created_at: DateTime<Utc>,
    pub created_by: PrincipalName,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    namespace: String,
    issuer: String,
    issuer_url: String,
    claims: String,
    roles: String,
    principal: String,
    created_at: DateTime<Utc>,
    created_by: String,
}

fn json<T: DeserializeOwned>(id: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|_| Error::corrupt("trust", id, "claims or roles cannot be read"))
}

impl TryFrom<Row> for TrustRow {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            claims: json(&row.id, &row.claims)?,
            roles: json(&row.id, &row.roles)?,
            namespace: read("trust", &row.namespace)?,
            principal: read("trust", &row.principal)?,
            created_by: read("trust", &row.created_by)?,
            id: row.id,
            issuer: row.issuer,
            issuer_url: row.issuer_url,
            created_at: row.created_at,
        })
    }
}

pub async fn insert(tx: &mut Tx, row: &TrustRow) -> Result<()> {
    let unwritable = |source| Error::internal("trust_encoding", "a rule could not be written").source(source);
    let claims = serde_json::to_string(&row.claims).map_err(unwritable)?;
    let roles = serde_json::to_string(&row.roles).map_err(unwritable)?;
    let sql = "INSERT INTO trust (id, namespace, issuer, issuer_url, claims, roles, principal, created_at, created_by)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    execute!(
        tx,
        sql,
        &row.id,
        row.namespace.as_str(),
        &row.issuer,
        &row.issuer_url,
        claims,
        roles,
        row.principal.as_str(),
        row.created_at,
        row.created_by.as_str()
    );
    Ok(())
}

/// The rules that hold in a namespace, after an id, oldest first.
pub async fn list(tx: &mut Tx, namespace: &Namespace, after: &str, limit: i64) -> Result<Vec<TrustRow>> {
    let sql = "SELECT id, namespace, issuer, issuer_url, claims, roles, principal, created_at, created_by FROM trust
               WHERE namespace = $1 AND id > $2 AND removed_at IS NULL ORDER BY id LIMIT $3";
    let rows: Vec<Row> = all!(tx, sql, namespace.as_str(), after, limit);
    rows.into_iter().map(TrustRow::try_from).collect()
}

/// A rule that holds.
pub async fn find(tx: &mut Tx, namespace: &Namespace, id: &str) -> Result<Option<TrustRow>> {
    let sql = "SELECT id, namespace, issuer, issuer_url, claims, roles, principal, created_at, created_by FROM trust
               WHERE namespace = $1 AND id = $2 AND removed_at IS NULL";
    let row: Option<Row> = optional!(tx, sql, namespace.as_str(), id);
    row.map(TrustRow::try_from).transpose()
}

/// Whether a rule of the namespace has ever made this service its own.
pub async fn has_made(tx: &mut Tx, namespace: &Namespace, service: &PrincipalName) -> Result<bool> {
    let sql = "SELECT id FROM trust WHERE principal = $1 AND namespace = $2 LIMIT 1";
    let row: Option<(String,)> = optional!(tx, sql, service.as_str(), namespace.as_str());
    Ok(row.is_some())
}

pub async fn remove(tx: &mut Tx, id: &str, at: DateTime<Utc>) -> Result<()> {
    execute!(tx, "UPDATE trust SET removed_at = $2 WHERE id = $1 AND removed_at IS NULL", id, at);
    Ok(())
}
