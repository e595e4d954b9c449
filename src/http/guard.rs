//! What every request goes through: a request id, the Host check, who calls and whether they may, limits of
//! time and number, and the log line.

use super::{
    App, Caller,
    error::{Logged, OciError, Problem},
    oci,
    rates::{Rates, Turn},
    routes::{Access, Route},
};
use crate::{
    error::{Error, Kind, Result},
    model::{
        access::{Actor, EVERYWHERE, Permission},
        name::{Namespace, Workload},
    },
    ops,
    telemetry::RequestLabels,
};
use axum::{
    Extension,
    extract::{RawPathParams, Request, State, rejection::RawPathParamsRejection},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt as _;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::sync::{Semaphore, SemaphorePermit};

tokio::task_local! {
    static REQUEST_ID: String;
}

const REQUEST_ID_HEADER: &str = "x-request-id";

/// The id of the request under way.
pub fn request_id() -> String {
    REQUEST_ID.try_with(Clone::clone).unwrap_or_default()
}

/// An error in the form of the API that was called.
fn refuse(is_oci: bool, app: &App, uri: &Uri, error: Error) -> Response {
    if !is_oci {
        let mut response = Problem(error).into_response();
        if response.status() == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"gradus\""));
        }
        return response;
    }
    let mut response = OciError(error).into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        let challenge = oci::auth::challenge(app, uri);
        if let Ok(challenge) = HeaderValue::from_str(&challenge) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
    }
    response
}

fn is_oci(uri: &Uri) -> bool {
    uri.path().starts_with("/v2")
}

pub async fn no_such_route(
    State(app): State<App>,
    Extension(limits): Extension<Limits>,
    request: Request,
) -> Response {
    // Strangers learn nothing of which routes there are; a path of another shape is a name we refuse.
    let uri = request.uri().clone();
    let error = match counted(&app, &limits, authorization(request.headers())).await {
        Ok(_) if is_oci(&uri) => {
            Error::not_found("repository_unknown", "no such repository: a name has exactly two segments")
        }
        Ok(_) => Error::not_found(
            "route_unknown",
            format!("no such route: {}", crate::model::digest::shorten(uri.path())),
        )
        .hint("see /v1/openapi.json"),
        Err(error) => error,
    };
    refuse(is_oci(&uri), &app, &uri, error)
}

pub async fn no_such_method(
    State(app): State<App>,
    Extension(limits): Extension<Limits>,
    request: Request,
) -> Response {
    let uri = request.uri().clone();
    let error = match counted(&app, &limits, authorization(request.headers())).await {
        Ok(_) => {
            Error::not_allowed("method_not_allowed", format!("this route does not take {}", request.method()))
        }
        Err(error) => error,
    };
    refuse(is_oci(&uri), &app, &uri, error)
}

/// What the outer layer needs: which hosts are ours.
#[derive(Clone)]
pub struct Outer {
    app: App,
    host: Option<Arc<str>>,
}

impl Outer {
    pub fn new(app: App) -> Self {
        let host = app.config.public_url.as_deref().and_then(|url| {
            let uri: Uri = url.parse().ok()?;
            uri.authority().map(|authority| Arc::from(authority.as_str().to_ascii_lowercase()))
        });
        Self { app, host }
    }

    /// A page in somebody's browser can send requests to a local server under another name (DNS rebinding);
    /// the Host header then gives it away.
    fn is_ours(&self, request: &Request) -> bool {
        let Some(host) = request.headers().get(header::HOST) else { return true };
        let Ok(host) = host.to_str() else { return false };
        if matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics") {
            return true; // probes come by address
        }
        let name = host
            .rsplit_once(':')
            .map_or(host, |(name, port)| if port.bytes().all(|b| b.is_ascii_digit()) { name } else { host });
        let is_loopback = matches!(name, "localhost" | "127.0.0.1" | "[::1]");
        (is_loopback && self.app.config.listen.ip().is_loopback())
            || self.host.as_deref().is_some_and(|ours| {
                ours.eq_ignore_ascii_case(host)
                    || ours.split(':').next().is_some_and(|ours| ours.eq_ignore_ascii_case(host))
            })
    }
}

/// The outermost layer: request id, Host check, panics, metrics, the log line.
pub async fn observe(State(outer): State<Outer>, request: Request, next: Next) -> Response {
    let given = request.headers().get(REQUEST_ID_HEADER).and_then(|id| id.to_str().ok());
    let fits =
        |id: &&str| id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let id = given.filter(fits).map_or_else(|| outer.app.clock.id().simple().to_string(), str::to_owned);
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let app = outer.app.clone();
    let started = std::time::Instant::now();
    let under_way = UnderWay::begin(&app);

    let answer = async {
        if !outer.is_ours(&request) {
            let name = "this server is not known by the name in the Host header";
            let error = Error::new(Kind::Misdirected, "host_unknown", name)
                .hint("use the public_url of the configuration");
            return refuse(is_oci(&uri), &app, &uri, error);
        }
        match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            Err(_) => {
                app.metrics.panics.inc();
                refuse(is_oci(&uri), &app, &uri, Error::internal("panic", "a request ended in a panic"))
            }
        }
    };
    let mut response = REQUEST_ID.scope(id.clone(), answer).await;
    drop(under_way);
    let operation = response.extensions().get::<Operation>().map_or("none", |operation| operation.0);
    let status = response.status();
    app.metrics.requests.get_or_create(&RequestLabels { operation, status: status.as_u16() }).inc();
    app.metrics.request_seconds.observe(started.elapsed().as_secs_f64());
    log(&response, &method, &uri, operation, &id, started.elapsed());
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID_HEADER, id);
    }
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Counts a request for as long as it lives, which may end early when its client goes away.
struct UnderWay(App);

impl UnderWay {
    fn begin(app: &App) -> Self {
        app.metrics.requests_under_way.inc();
        Self(app.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.metrics.requests_under_way.dec();
    }
}

/// One line a request: reads quietly, changes and failures where everyone sees them. The path carries no secret.
fn log(response: &Response, method: &Method, uri: &Uri, operation: &str, id: &str, took: Duration) {
    let (status, path, millis) = (response.status().as_u16(), uri.path(), took.as_secs_f64() * 1000.0);
    let error = response.extensions().get::<Logged>();
    match error {
        Some(Logged(error)) if response.status().is_server_error() => {
            tracing::error!(request_id = id, %method, path, operation, status, millis, code = error.code, error = ?error, "failed");
        }
        Some(Logged(error)) => {
            tracing::info!(request_id = id, %method, path, operation, status, millis, code = error.code, error = %error, "refused");
        }
        None if matches!(*method, Method::GET | Method::HEAD) => {
            tracing::debug!(request_id = id, %method, path, operation, status, millis, "answered");
        }
        None => tracing::info!(request_id = id, %method, path, operation, status, millis, "answered"),
    }
}

/// How much at a time. Transfers have places of their own, so that slow ones leave room for everything else.
#[derive(Clone)]
pub struct Limits {
    requests: Arc<Semaphore>,
    transfers: Arc<Semaphore>,
    /// Of each principal, where that is limited.
    rates: Option<Arc<Rates>>,
    time: Duration,
}

impl Limits {
    pub fn new(app: &App) -> Self {
        let limits = &app.config.limits;
        Self {
            requests: Arc::new(Semaphore::new(limits.concurrency.min(Semaphore::MAX_PERMITS))),
            transfers: Arc::new(Semaphore::new(limits.transfers.min(Semaphore::MAX_PERMITS))),
            // In local mode there is nobody to leave room for.
            rates: Rates::new(limits).filter(|_| app.local.is_none()),
            time: Duration::from_secs(limits.request_seconds),
        }
    }
}

/// What one route needs, as the guard uses it.
#[derive(Clone, Copy)]
pub struct Needs {
    access: Access,
    operation: &'static str,
    transfer: bool,
    watch: bool,
    is_oci: bool,
    json: bool,
    takes_query: bool,
}

impl Needs {
    pub fn of(route: &Route) -> Self {
        Self {
            access: route.access,
            operation: route.operation,
            transfer: route.transfer,
            watch: route.watch,
            is_oci: route.path.starts_with("/v2"),
            // An answer that is a stream has no entity tag.
            json: route.method == Method::GET && route.answer.is_some() && !route.watch,
            takes_query: route.path.starts_with("/v2") || !route.query.is_empty(),
        }
    }
}

#[derive(Clone)]
pub struct Gate {
    pub app: App,
    pub limits: Limits,
    pub route: Needs,
}

/// The operation that answered, for metrics and the log.
#[derive(Clone, Copy)]
struct Operation(&'static str);

/// Lets a request in, or not. Access is checked before anything of the body is read.
pub async fn admit(
    State(gate): State<Gate>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    let uri = request.uri().clone();
    let json = gate.route.json;
    let work = async {
        let params = params.map_err(|_| Error::invalid("path_invalid", "the path is not UTF-8"))?;
        let entered = tokio::time::timeout(gate.limits.time, enter(&gate, &params, &mut request));
        let _turn = entered.await.unwrap_or_else(|_| Err(too_slow()))?;
        let if_none_match = request.headers().get(header::IF_NONE_MATCH).cloned();
        // Who may not gets no place among the transfers, which are few.
        let _place = place(&gate).await?;
        let response = next.run(request).await;
        Ok(if json { super::answer::conditional(response, if_none_match).await } else { response })
    };
    let outcome = match gate.route.transfer || gate.route.watch {
        true => work.await,
        false => tokio::time::timeout(gate.limits.time, work).await.unwrap_or_else(|_| Err(too_slow())),
    };
    let mut response = outcome.unwrap_or_else(|error| refuse(gate.route.is_oci, &gate.app, &uri, error));
    response.extensions_mut().insert(Operation(gate.route.operation));
    response
}

fn too_slow() -> Error {
    Error::unavailable("request_timeout", "the request took too long and was given up")
        .hint("try again; the server may be busy, or what was asked for too much at once")
}

/// A place among the requests, or the transfers, that run at a time. Health is answered however full it is.
async fn place(gate: &Gate) -> Result<Option<SemaphorePermit<'_>>> {
    let busy = || Error::unavailable("server_busy", "the server has too much to do, try again");
    let places = match (gate.route.access, gate.route.transfer) {
        (Access::Open, _) => return Ok(None),
        // Who watches has a place of another kind.
        _ if gate.route.watch => return Ok(None),
        (_, true) => &gate.limits.transfers,
        (_, false) => &gate.limits.requests,
    };
    match tokio::time::timeout(gate.limits.time, places.acquire()).await {
        Ok(permit) => permit.map(Some).map_err(|_| busy()),
        Err(_) => Err(busy()),
    }
}

/// A turn of the caller's, where these are counted. Who watches has a place of another kind, and takes none here.
pub(super) fn turn(app: &App, limits: &Limits, actor: &Actor, watches: bool) -> Result<Option<Turn>> {
    let Some(rates) = &limits.rates else { return Ok(None) };
    rates.admit(&actor.principal, app.clock.now(), watches).inspect_err(|_| {
        app.metrics.rate_limited.inc();
    })
}

/// A turn of whoever calls what has no guard.
async fn counted(app: &App, limits: &Limits, authorization: Option<HeaderValue>) -> Result<Option<Turn>> {
    let actor = caller(app, authorization).await?;
    turn(app, limits, &actor, false)
}

async fn enter(gate: &Gate, params: &RawPathParams, request: &mut Request) -> Result<Option<Turn>> {
    if gate.route.access == Access::Open {
        return Ok(None);
    }
    let actor = caller(&gate.app, authorization(request.headers())).await?;
    let turn = turn(&gate.app, &gate.limits, &actor, gate.route.watch)?;
    match gate.route.access {
        Access::Open | Access::Token => {}
        Access::Everywhere(permission) => actor.require_everywhere(permission)?,
        Access::Namespace(permission) => {
            let param = |wanted| params.iter().find_map(|(name, value)| (name == wanted).then_some(value));
            let namespace = param("namespace").unwrap_or_default();
            if namespace == EVERYWHERE {
                actor.require_everywhere(Permission::Administer)?;
            } else {
                let namespace: Namespace = namespace.parse()?;
                if let Some(name) = param("name") {
                    Workload::new(&namespace, name)?;
                }
                actor.require(permission, &namespace)?;
            }
        }
    }
    if !gate.route.takes_query && request.uri().query().is_some_and(|query| !query.is_empty()) {
        return Err(Error::invalid("query_unknown", "this route takes no query parameters")
            .hint("see /v1/openapi.json for those there are"));
    }
    request.extensions_mut().insert(Caller(actor));
    Ok(turn)
}

/// Who is calling: Bearer with a token, or Basic with any user name and the token as password.
pub async fn caller(app: &App, authorization: Option<HeaderValue>) -> Result<Arc<Actor>> {
    match authorization {
        None => ops::access::without_token(app),
        Some(value) => ops::access::authenticate(app, &oci::auth::token_of(&value)?).await,
    }
}

pub fn authorization(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(header::AUTHORIZATION).cloned()
}
