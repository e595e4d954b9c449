//! Trusted issuers, rules of trust, and the exchange of identity tokens.

use crate::{
    error::{Error, Kind, Result},
    http::{
        App, Caller,
        answer::{Answer, JsonBody, Query, page},
        error::Problem,
    },
    model::name::Namespace,
    ops::{keyless, trust},
    wire,
};
use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};

pub async fn issuers(State(app): State<App>, query: Query) -> Answer<wire::Page<wire::IssuerView>> {
    query.done()?;
    let view = |issuer: &crate::config::Issuer| wire::IssuerView {
        name: issuer.name.clone(),
        url: issuer.url.clone(),
        audience: issuer.audience(&app.config).to_owned(),
        client_id: issuer.client_id.clone(),
    };
    Ok(Json(wire::Page { items: app.config.issuers.iter().map(view).collect(), next: None }))
}

pub async fn exchange(
    State(app): State<App>,
    query: Query,
    body: Result<JsonBody<wire::Exchange>, Problem>,
) -> Result<Response, Problem> {
    query.done()?;
    let JsonBody(asked) = body?;
    let wanted = keyless::Wanted { namespace: asked.namespace, rule: asked.rule };
    let mut response = match keyless::exchange(&app, &asked.token, wanted).await {
        Ok(given) => {
            let view = wire::Exchanged {
                token: given.token,
                expires_at: given.expires_at,
                principal: given.principal,
                kind: given.kind,
                scope: given.scope,
                issuer: given.issuer,
                subject: given.subject,
            };
            (StatusCode::CREATED, Json(view)).into_response()
        }
        Err(error) => refused(error),
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Every 401 says how to be let in.
fn refused(error: Error) -> Response {
    let is_unknown = error.kind == Kind::Unauthenticated;
    let mut response = Problem(error).into_response();
    if is_unknown {
        let challenge = HeaderValue::from_static("Bearer realm=\"gradus\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn view(row: trust::TrustRow) -> wire::TrustView {
    wire::TrustView {
        id: row.id,
        namespace: row.namespace,
        issuer: row.issuer,
        issuer_url: row.issuer_url,
        claims: row.claims,
        roles: row.roles,
        principal: row.principal,
        created_at: row.created_at,
        created_by: row.created_by,
    }
}

pub async fn list(
    State(app): State<App>,
    Path(namespace): Path<String>,
    mut query: Query,
) -> Answer<wire::Page<wire::TrustView>> {
    let (cursor, limit) = query.page()?;
    query.done()?;
    let namespace: Namespace = namespace.parse()?;
    let rows = trust::list(&app, &namespace, &cursor, limit + 1).await?;
    Ok(Json(page(rows, limit, |row| row.id.clone(), view)))
}

pub async fn add(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(namespace): Path<String>,
    JsonBody(new): JsonBody<wire::NewTrust>,
) -> Result<(StatusCode, Json<wire::TrustView>), Problem> {
    let new = trust::NewTrust {
        issuer: new.issuer,
        claims: new.claims.try_into()?,
        roles: new.roles,
        service: new.service,
    };
    let (row, is_new) = trust::add(&app, &actor, &namespace.parse()?, new).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(view(row))))
}

pub async fn remove(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, rule)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    trust::remove(&app, &actor, &namespace.parse()?, &rule).await?;
    Ok(StatusCode::NO_CONTENT)
}
