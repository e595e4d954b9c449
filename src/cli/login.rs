//! `gradus login` and `gradus logout`.

use super::{
    Global,
    connect::{Stored, login_file},
    oidc::Oidc,
    print::{Out, time},
};
use crate::{
    client::Client,
    error::{Error, Result},
};
use clap::Args;
use serde_json::json;
use std::{
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::PathBuf,
};

#[derive(Args)]
pub struct Login {
    /// The server's URL, for example http://127.0.0.1:8300
    #[arg(value_name = "SERVER")]
    address: String,
    #[command(flatten)]
    oidc: Oidc,
}

impl Login {
    pub async fn run(self, global: &Global, out: &Out) -> Result<()> {
        let server = self.address.trim_end_matches('/').to_owned();
        // Nobody shall type a token for an address that is refused.
        Client::remote(&server, Some(String::new()), global.plain_http)?;
        if self.oidc.oidc {
            let given = self.oidc.token(&server, global.plain_http, out).await?;
            let file = store(&server, given.token)?;
            let until = given.expires_at;
            let data = json!({
                "server": server, "principal": given.principal, "scope": given.scope, "expires_at": until,
                "issuer": given.issuer, "subject": given.subject,
            });
            let sentence = format!(
                "logged in to {server} as {}, as {} says of {}; until {}; stored in {}",
                given.principal,
                given.issuer,
                given.subject,
                time(until),
                file.display()
            );
            return out.done(&data, sentence);
        }
        let token = match &global.token {
            Some(token) => token.clone(),
            None => {
                out.note("token:");
                let mut line = String::new();
                std::io::stdin().read_line(&mut line)?;
                line.trim().to_owned()
            }
        };
        if token.is_empty() {
            return Err(Error::invalid("usage", "no token was given")
                .hint("type it, pipe it in, or set GRADUS_TOKEN"));
        }
        let client = Client::remote(&server, Some(token.clone()), global.plain_http)?;
        let me = client.whoami().await?;
        let file = store(&server, token)?;
        let data = json!({ "server": server, "principal": me.principal });
        out.done(&data, format!("logged in to {server} as {}; stored in {}", me.principal, file.display()))
    }
}

/// Keeps a token where only its owner can read it.
fn store(server: &str, token: String) -> Result<PathBuf> {
    let file = login_file()?;
    if let Some(directory) = file.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let text = toml::to_string(&Stored { server: server.to_owned(), token }).map_err(|source| {
        Error::internal("login_encoding", "the login could not be written").source(source)
    })?;
    let scratch = file.with_extension("tmp");
    let mut handle =
        std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&scratch)?;
    handle.write_all(text.as_bytes())?;
    std::fs::rename(&scratch, &file)?;
    Ok(file)
}

/// Removes what `login` stored, even if it cannot be read.
pub fn logout(out: &Out) -> Result<()> {
    let file = login_file()?;
    let stored = std::fs::read_to_string(&file).ok().and_then(|text| toml::from_str::<Stored>(&text).ok());
    let server = stored.map(|login| login.server);
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return out.done(&json!({ "removed": false, "server": null }), "no login was stored");
        }
        other => other?,
    }
    let from = server.as_deref().unwrap_or("the server");
    let sentence = format!("logged out of {from}; the token itself works until it is revoked or expires");
    out.done(&json!({ "removed": true, "server": server }), sentence)
}
