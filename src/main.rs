//! The `gradus` binary: starts the runtime, runs the command line, ends with its code.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // One TLS provider for the whole process, chosen here and not by whichever crate is first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    gradus::cli::run().await
}
