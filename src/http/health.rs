//! Health, readiness, metrics, and the API's description.

use super::{App, error::Problem};
use crate::error::Error;
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

pub async fn health() -> &'static str {
    "ok\n"
}

/// Ready: the database answers and every store can be reached.
pub async fn ready(State(app): State<App>) -> Result<&'static str, Problem> {
    let unready = |what: String| {
        move |error: Error| Error::unavailable("not_ready", format!("{what} does not answer")).source(error)
    };
    crate::db::log::length(&mut app.db.read().await?).await.map_err(unready("the database".into()))?;
    for store in app.stores.all() {
        store.check().await.map_err(unready(format!("the store {}", store.name)))?;
    }
    Ok("ready\n")
}

pub async fn metrics(State(app): State<App>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], app.metrics.render()).into_response()
}

pub async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], super::openapi::text()).into_response()
}
