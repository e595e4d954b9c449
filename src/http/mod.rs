//! Thin axum handlers: `/v1` (own API), `/v2` (OCI distribution), health and metrics. The only importer of
//! axum besides the in-process client. Every route is a row of one table that names what it needs.

mod answer;
mod error;
mod guard;
mod health;
mod oci;
mod openapi;
mod peer;
mod rates;
mod routes;
mod serve;
mod v1;

pub use openapi::document as openapi;
pub use routes::{Access, Route, router, routes};
pub use serve::Door;

use crate::{model::access::Actor, ops::Context};
use std::sync::Arc;

/// What handlers share.
pub type App = Arc<Context>;

/// Who calls, put into the request by the guard. A handler on an open route has none.
#[derive(Clone)]
pub struct Caller(pub Arc<Actor>);

impl<S: Sync> axum::extract::FromRequestParts<S> for Caller {
    type Rejection = error::Problem;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            crate::error::Error::internal("route_without_caller", "this route does not know its caller")
                .into()
        })
    }
}
