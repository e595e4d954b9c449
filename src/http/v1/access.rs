//! Namespaces, members, users, tokens.

use crate::{
    error::Result,
    http::{
        App, Caller,
        answer::{Answer, JsonBody, Query, page},
        error::Problem,
    },
    model::{
        access::Role,
        name::{Namespace, PrincipalName},
    },
    ops::{namespaces, namespaces::Place, tokens, users},
    wire,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};

pub async fn whoami(Caller(actor): Caller) -> Answer<wire::Whoami> {
    Ok(Json(wire::Whoami {
        principal: actor.principal.clone(),
        kind: actor.kind,
        roles: actor.roles.clone(),
        scope: actor.scope.clone(),
        expires_at: actor.expires_at,
    }))
}

fn created(is_new: bool) -> StatusCode {
    if is_new { StatusCode::CREATED } else { StatusCode::OK }
}

fn namespace_view(app: &App, row: namespaces::NamespaceRow) -> wire::NamespaceView {
    let region = app.stores.get(&row.store).map(|store| store.region.clone()).unwrap_or_default();
    wire::NamespaceView {
        name: row.name,
        store: row.store,
        region,
        created_at: row.created_at,
        created_by: row.created_by,
    }
}

pub async fn list_namespaces(
    State(app): State<App>,
    Caller(actor): Caller,
    mut query: Query,
) -> Answer<wire::Page<wire::NamespaceView>> {
    let (cursor, limit) = query.page()?;
    query.done()?;
    let rows = namespaces::list(&app, &actor, &cursor, limit + 1).await?;
    Ok(Json(page(rows, limit, |row| row.name.to_string(), |row| namespace_view(&app, row))))
}

pub async fn create_namespace(
    State(app): State<App>,
    Caller(actor): Caller,
    JsonBody(new): JsonBody<wire::NewNamespace>,
) -> Result<(StatusCode, Json<wire::NamespaceView>), Problem> {
    let (row, is_new) = namespaces::create(&app, &actor, new.name, new.store).await?;
    Ok((created(is_new), Json(namespace_view(&app, row))))
}

pub async fn show_namespace(State(app): State<App>, Path(name): Path<String>) -> Answer<wire::NamespaceView> {
    let name: Namespace = name.parse()?;
    let row = namespaces::show(&app, &name).await?;
    Ok(Json(namespace_view(&app, row)))
}

pub async fn list_members(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(place): Path<String>,
    mut query: Query,
) -> Answer<wire::Page<wire::MemberView>> {
    let (cursor, limit) = query.page()?;
    query.done()?;
    let after = cursor.split_once(' ').unwrap_or((&cursor, ""));
    let rows = namespaces::list_members(&app, &actor, &Place::parse(&place)?, after, limit + 1).await?;
    let cursor = |(principal, role): &(PrincipalName, Role)| format!("{principal} {role}");
    Ok(Json(page(rows, limit, cursor, |(principal, role)| wire::MemberView { principal, role })))
}

pub async fn add_member(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((place, principal, role)): Path<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    namespaces::add_member(&app, &actor, &Place::parse(&place)?, &principal.parse()?, role.parse()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn remove_member(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((place, principal, role)): Path<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    namespaces::remove_member(&app, &actor, &Place::parse(&place)?, &principal.parse()?, role.parse()?)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn user_view(row: users::PrincipalRow) -> wire::UserView {
    wire::UserView { name: row.name, kind: row.kind, disabled: row.disabled, created_at: row.created_at }
}

pub async fn list_users(State(app): State<App>, mut query: Query) -> Answer<wire::Page<wire::UserView>> {
    let (cursor, limit) = query.page()?;
    query.done()?;
    let rows = users::list(&app, &cursor, limit + 1).await?;
    Ok(Json(page(rows, limit, |row| row.name.to_string(), user_view)))
}

pub async fn add_user(
    State(app): State<App>,
    Caller(actor): Caller,
    JsonBody(new): JsonBody<wire::NewUser>,
) -> Result<(StatusCode, Json<wire::UserView>), Problem> {
    let (row, is_new) = users::add(&app, &actor, new.name, new.kind).await?;
    Ok((created(is_new), Json(user_view(row))))
}

pub async fn disable_user(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(user): Path<String>,
) -> Result<StatusCode, Problem> {
    users::disable(&app, &actor, &user.parse()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn token_view(row: tokens::TokenRow) -> wire::TokenView {
    wire::TokenView {
        id: row.id,
        user: row.principal,
        label: row.label,
        scope: row.scope,
        created_at: row.created_at,
        expires_at: row.expires_at,
        revoked_at: row.revoked_at,
    }
}

pub async fn list_tokens(
    State(app): State<App>,
    Caller(actor): Caller,
    mut query: Query,
) -> Answer<wire::Page<wire::TokenView>> {
    let (cursor, limit) = query.page()?;
    let all = query.flag("all")?.unwrap_or(false);
    query.done()?;
    let rows = tokens::list(&app, &actor, all, &cursor, limit + 1).await?;
    Ok(Json(page(rows, limit, |row| row.id.clone(), token_view)))
}

pub async fn create_token(
    State(app): State<App>,
    Caller(actor): Caller,
    JsonBody(new): JsonBody<wire::NewToken>,
) -> Result<(StatusCode, Json<wire::TokenCreated>), Problem> {
    let new = tokens::NewToken { user: new.user, label: new.label, scope: new.scope, days: new.days };
    let (token, row) = tokens::create(&app, &actor, new).await?;
    Ok((StatusCode::CREATED, Json(wire::TokenCreated { token, info: token_view(row) })))
}

pub async fn revoke_token(
    State(app): State<App>,
    Caller(actor): Caller,
    Path(token): Path<String>,
) -> Result<StatusCode, Problem> {
    tokens::revoke(&app, &actor, &token).await?;
    Ok(StatusCode::NO_CONTENT)
}
