//! `gradus login --oidc`: from who somebody is elsewhere to a token of the registry.

use super::{argument, print::Out};
use crate::{
    client::{
        Client,
        oidc::{Browser, Device, Provider, from_github},
    },
    config::{JobIdentity, job_identity},
    error::{Error, Result},
    identity::TOKEN_MAX,
    model::name::Namespace,
    wire::{Exchange, Exchanged, IssuerView},
};
use clap::Args;
use std::{io::Read as _, path::PathBuf};

#[derive(Args)]
#[command(next_help_heading = "Without a token of the registry")]
pub struct Oidc {
    /// Log in by an identity token of an issuer the registry trusts: of the CI job this runs in, or of a person
    #[arg(long)]
    pub oidc: bool,
    /// Which issuer, where the registry trusts several
    #[arg(long, requires = "oidc", value_name = "NAME")]
    issuer: Option<String>,
    /// Where a job acts; a person's token is narrowed to it
    #[arg(long, requires = "oidc", value_parser = argument::<Namespace>)]
    namespace: Option<Namespace>,
    /// Which rule of the namespace, where several fit
    #[arg(long, requires = "oidc", value_name = "ID")]
    rule: Option<String>,
    /// The file with the job's identity token; without it GRADUS_ID_TOKEN, else what GitHub Actions offers
    #[arg(long, requires = "oidc", value_name = "FILE", conflicts_with_all = ["device", "browser"])]
    identity_file: Option<PathBuf>,
    /// Whom to ask GitHub Actions to make the token out to, if not to the server's URL
    #[arg(long, requires = "oidc")]
    audience: Option<String>,
    /// As a person: type a code in a browser anywhere
    #[arg(long, requires = "oidc", conflicts_with = "browser")]
    device: bool,
    /// As a person: open an address in a browser on this machine
    #[arg(long, requires = "oidc")]
    browser: bool,
}

impl Oidc {
    pub async fn token(&self, server: &str, plain_http: bool, out: &Out) -> Result<Exchanged> {
        let client = Client::remote(server, None, plain_http)?;
        let token = match self.of_job()? {
            Some(JobIdentity::Token(token)) => token,
            Some(JobIdentity::GitHub { url, permission }) => {
                let audience = self.audience(server, &client.issuers().await?)?;
                from_github(&url, &permission, &audience).await?
            }
            None if self.device || self.browser || out.is_terminal() => {
                self.of_person(server, &client.issuers().await?, out).await?
            }
            None => {
                return Err(Error::invalid("identity_missing", "there is no identity token of a job here")
                    .hint("give --identity-file FILE or set GRADUS_ID_TOKEN; on GitHub the job needs permissions: { id-token: write }; people log in with --device or --browser"));
            }
        };
        client.exchange(&Exchange { token, namespace: self.namespace.clone(), rule: self.rule.clone() }).await
    }

    /// What there is of a job, unless it is to be a person.
    fn of_job(&self) -> Result<Option<JobIdentity>> {
        if self.device || self.browser {
            return Ok(None);
        }
        let Some(file) = &self.identity_file else { return Ok(job_identity()) };
        let unreadable = |source: std::io::Error| {
            Error::invalid(
                "identity_unreadable",
                format!("the identity token cannot be read: {}", file.display()),
            )
            .source(source)
        };
        let mut text = String::new();
        let most = u64::try_from(TOKEN_MAX).unwrap_or(u64::MAX) + 2;
        std::fs::File::open(file)
            .and_then(|file| file.take(most).read_to_string(&mut text))
            .map_err(unreadable)?;
        Ok(Some(JobIdentity::Token(text.trim().to_owned())))
    }

    /// Issuers that may be meant.
    fn meant<'a>(&self, server: &str, issuers: &'a [IssuerView]) -> Result<Vec<&'a IssuerView>> {
        let named = |issuer: &&IssuerView| self.issuer.as_ref().is_none_or(|name| *name == issuer.name);
        let meant: Vec<&IssuerView> = issuers.iter().filter(named).collect();
        if !meant.is_empty() {
            return Ok(meant);
        }
        let names: Vec<&str> = issuers.iter().map(|issuer| issuer.name.as_str()).collect();
        Err(match &self.issuer {
            Some(name) if !names.is_empty() => Error::invalid("issuer_unknown", format!("{server} knows no issuer of this name: {name}"))
                .hint(format!("it knows: {}", names.join(", "))),
            _ => Error::invalid("issuer_unknown", format!("{server} trusts no issuer"))
                .hint("whoever runs it adds one under [[issuers]]; with a token of the registry log in without --oidc"),
        })
    }

    /// Whom a job's token is to be made out to. The server may say only its own address: otherwise whoever a job logs in
    /// to could get a token that opens somebody else's registry.
    fn audience(&self, server: &str, issuers: &[IssuerView]) -> Result<String> {
        if let Some(audience) = &self.audience {
            return Ok(audience.clone());
        }
        let mut audiences: Vec<&str> =
            self.meant(server, issuers)?.into_iter().map(|issuer| issuer.audience.as_str()).collect();
        audiences.sort_unstable();
        audiences.dedup();
        match audiences[..] {
            [one] if one.trim_end_matches('/') == server => Ok(one.to_owned()),
            [other] => Err(Error::invalid(
                "audience_foreign",
                format!("{server} asks for a token that is made out to another name: {other}"),
            )
            .hint(format!("if that is its name, and no other registry's, say so: --audience {other}"))),
            _ => Err(Error::invalid("issuer_ambiguous", format!("{server} trusts several issuers"))
                .hint("name the one this job is of: --issuer NAME")),
        }
    }

    async fn of_person(&self, server: &str, issuers: &[IssuerView], out: &Out) -> Result<String> {
        let meant = self.meant(server, issuers)?;
        let mut for_people =
            meant.into_iter().filter_map(|issuer| Some((issuer, issuer.client_id.as_deref()?)));
        let (issuer, client_id) = match (for_people.next(), for_people.next()) {
            (Some(one), None) => one,
            (Some(_), Some(_)) => {
                return Err(Error::invalid(
                    "issuer_ambiguous",
                    format!("people log in to {server} by several issuers"),
                )
                .hint("name one: --issuer NAME"));
            }
            (None, _) => {
                return Err(Error::invalid(
                    "login_unsupported",
                    format!("people do not log in to {server} by an issuer"),
                )
                .hint("log in with a token of the registry: gradus login SERVER"));
            }
        };
        let provider = Provider::discover(&issuer.url, client_id).await?;
        if self.browser {
            let login = Browser::begin(&provider).await?;
            out.note(format!("To log in by {}, open this in a browser on this machine:", issuer.name));
            out.note(format!("  {}", login.address));
            return login.token().await;
        }
        let login = Device::begin(&provider).await?;
        let minutes = login.lasts.as_secs().div_ceil(60);
        out.note(format!(
            "To log in by {}, open {} and type: {}",
            issuer.name, login.address, login.user_code
        ));
        if let Some(address) = &login.whole_address {
            out.note(format!("or open: {address}"));
        }
        out.note(format!("waiting for that, up to {minutes} minutes"));
        login.token().await
    }
}
