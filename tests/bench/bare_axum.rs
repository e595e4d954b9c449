//! The fastest thing axum can do: one route that answers fixed JSON. `bare_axum PORT`, for `tests/bench/run`.

use axum::{Router, http::header, routing::get};

const BODY: &str = r#"{"version":"1.2.3","digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000"}"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("usage: bare_axum PORT")?.parse()?;
    let router = Router::new().route("/", get(async || ([(header::CONTENT_TYPE, "application/json")], BODY)));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, router).await?;
    Ok(())
}
