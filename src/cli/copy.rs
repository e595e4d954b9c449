//! `gradus copy`.

use super::{
    argument,
    connect::stored_token,
    import::report,
    print::{Out, quoted},
};
use crate::{
    client::{
        Client,
        carry::{Source, is_not_given},
    },
    error::{Error, Result},
    model::{digest::shorten, name::Workload, reference::Reference},
};
use clap::Args;
use std::str::FromStr;

#[derive(Args)]
pub struct Copy {
    /// The version, for example acme/ticket-triage:production
    #[arg(value_parser = argument::<Reference>)]
    reference: Reference,
    /// The other registry and the workload there, for example `https://models.example.org/acme/ticket-triage`
    #[arg(long, value_name = "URL", value_parser = argument::<Place>)]
    to: Place,
    /// The token for the other registry; better in the environment or stored by `login`
    #[arg(long, env = "GRADUS_TO_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    to_token: Option<String>,
    /// Leave out what is said about it
    #[arg(long)]
    no_evidence: bool,
}

/// A workload of another registry.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    server: String,
    workload: Workload,
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: &str| {
            Error::invalid("place_invalid", format!("{why}: {}", shorten(text)))
                .hint("for example https://models.example.org/acme/ticket-triage")
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| refuse("not a server with a workload"))?;
        if !matches!(scheme, "https" | "http") {
            return Err(refuse("a server's URL starts with https:// or http://"));
        }
        // A name and a password in it would be shown wherever the URL is.
        if rest.contains(['@', '?', '#']) {
            return Err(refuse("the URL has more than a server and a workload"));
        }
        let mut parts = rest.trim_end_matches('/').rsplitn(3, '/');
        let (name, namespace, server) = (parts.next(), parts.next(), parts.next());
        let (Some(name), Some(namespace), Some(server)) = (name, namespace, server) else {
            return Err(refuse("the workload is missing"));
        };
        if server.is_empty() {
            return Err(refuse("the server is missing"));
        }
        let workload = format!("{namespace}/{name}")
            .parse()
            .map_err(|_| refuse("the last two words are no workload; the version stays what it is"))?;
        Ok(Self { server: format!("{scheme}://{server}"), workload })
    }
}

impl Copy {
    pub async fn run(self, client: &Client, plain_http: bool, out: &Out) -> Result<()> {
        let Place { server, workload } = self.to;
        // A token of one server is never shown to another.
        let token = self.to_token.filter(|token| !token.is_empty());
        let token = match token {
            Some(token) => Some(token),
            None => stored_token(&server)?,
        };
        let there = |error: Error| at_other(&server, &workload, error);
        let target = Client::remote(&server, token, plain_http).map_err(there)?;

        let resolved = client.resolve(&self.reference).await?;
        resolved.warnings.iter().for_each(|warning| out.note(format!("warning: {warning}")));
        let registry = client.registry_name().await;
        let mut carried = client.carry(&resolved, !self.no_evidence, registry).await?;
        carried.workload = workload.clone();
        let work = target.standings(vec![carried]).await.map_err(there)?;
        let source = Source::Registry(client, &resolved.workload);
        target.expect_room(&work, &source).await.map_err(there)?;
        let (progress, done) = out.progress("copying", work.iter().map(|(_, it)| it.size()).sum());
        let mut delivered = Vec::new();
        for (carried, standing) in work {
            delivered.push(target.deliver(&carried, standing, &source, &progress).await);
        }
        done();
        report(&delivered.into_iter().collect::<Result<Vec<_>>>().map_err(there)?, out)
    }
}

/// The same failure, saying that it is the other registry's, with a hint that helps there.
fn at_other(server: &str, workload: &Workload, mut error: Error) -> Error {
    if is_not_given(&error) {
        return error;
    }
    error.message = format!("at the other registry, {server}: {}", error.message);
    match error.code {
        "token_missing" | "token_invalid" => {
            error.hint("give the other registry's token: GRADUS_TO_TOKEN, or --to-token")
        }
        "namespace_unknown" => error.hint(format!(
            "make it there: gradus --server {} namespace create {}",
            quoted(server),
            workload.namespace()
        )),
        "server_unreachable" => error.hint("does it run, and is the address after --to right?"),
        // Nobody can say here under which number it comes.
        "version_taken" => error.hint(
            "versions never change; under another number it comes by a folder: gradus export REF --out DIR, then gradus import DIR --to NAMESPACE/NAME:VERSION",
        ),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_server_and_a_workload() {
        let read = |text: &str| text.parse::<Place>().map(|place| (place.server, place.workload.to_string()));
        let pair = |server: &str, workload: &str| (server.to_owned(), workload.to_owned());
        assert_eq!(read("https://m.example.org/acme/x").unwrap(), pair("https://m.example.org", "acme/x"));
        assert_eq!(read("http://127.0.0.1:8300/acme/x/").unwrap(), pair("http://127.0.0.1:8300", "acme/x"));
        assert_eq!(
            read("https://m.example.org/reg/acme/x").unwrap(),
            pair("https://m.example.org/reg", "acme/x")
        );
        for bad in [
            "acme/x",
            "m.example.org/acme/x",
            "ftp://m.example.org/acme/x",
            "https://m.example.org",
            "https://m.example.org/x",
            "https:///acme/x",
            "https://ann:secret@m.example.org/acme/x",
            "https://m.example.org/acme/x:1.0.0",
            "https://m.example.org/acme/x?token=1",
        ] {
            assert_eq!(read(bad).unwrap_err().code, "place_invalid", "{bad}");
        }
    }
}
