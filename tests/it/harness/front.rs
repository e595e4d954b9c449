//! A registry with somebody in front of it, who changes what passes or answers instead.

use super::Env;
use axum::{
    Router,
    body::Body,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use tower::ServiceExt as _;

/// The registry as it is reached past somebody.
pub fn front<A>(env: &Env, answer: impl Fn(Router, Request) -> A + Clone + Send + Sync + 'static) -> Router
where
    A: Future<Output = Response> + Send + 'static,
{
    let router = env.router.clone();
    Router::new().fallback(move |request: Request| answer(router.clone(), request))
}

pub async fn pass(router: Router, request: Request) -> Response {
    router.oneshot(request).await.expect("a router answers").into_response()
}

/// An answer without a word.
pub fn status(status: u16) -> Response {
    Response::builder().status(status).body(Body::empty()).expect("an answer")
}
