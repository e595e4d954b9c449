//! Settings of the providers of OpenID Connect whose identity tokens count.

use super::Config;
use crate::{identity::Algorithm, model::name::Namespace};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf};

/// How long what is given for an identity token lasts.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Oidc {
    /// Minutes that a job's token lives, at most 60.
    pub token_minutes: u32,
    /// Minutes that the token of a person who logged in lives, at most a day.
    pub login_minutes: u32,
}

impl Default for Oidc {
    fn default() -> Self {
        Self { token_minutes: 15, login_minutes: 480 }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// How rules and people call it.
    pub name: String,
    /// `iss` of its tokens, to the letter. Its keys are found from here.
    pub url: String,
    /// Whom tokens of jobs must be made out to. Without it `public_url`.
    #[serde(default)]
    pub audience: Option<String>,
    /// How its tokens may be signed.
    #[serde(default = "usual_algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// Where its keys are. Without it its discovery document tells.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// The authority that its TLS certificate is of, PEM. Without it those that the system trusts.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Claims of which a rule must name one, because they say who it is.
    #[serde(default = "usual_identifying")]
    pub identifying: Vec<String>,
    /// The claim that names a person, where people log in by this issuer. One that nobody can choose for themselves.
    #[serde(default)]
    pub people: Option<String>,
    /// The public client that people log in by. Tokens made out to it are of people.
    #[serde(default)]
    pub client_id: Option<String>,
}

fn usual_algorithms() -> Vec<Algorithm> {
    vec![Algorithm::RS256, Algorithm::ES256]
}

/// What GitHub, GitLab, Kubernetes and others tell jobs apart by. Not in it are claims that anybody can have, such as the
/// branch, or the workflow that a job was called from.
fn usual_identifying() -> Vec<String> {
    let names = [
        "sub",
        "repository",
        "repository_id",
        "repository_owner",
        "repository_owner_id",
        "workflow_ref",
        "project_path",
        "project_id",
        "namespace_path",
        "namespace_id",
    ];
    names.map(str::to_owned).into()
}

impl Issuer {
    /// Whom tokens of jobs must be made out to.
    pub fn audience<'a>(&'a self, config: &'a Config) -> &'a str {
        self.audience.as_deref().or(config.public_url.as_deref()).unwrap_or_default()
    }
}

/// Whether what comes from there can be trusted to come from there: by TLS, or because it is this machine.
pub(crate) fn is_protected(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    let Some(host) = uri.host() else { return false };
    let is_plain =
        !url.contains(['#', '\\']) && uri.authority().is_some_and(|who| !who.as_str().contains('@'));
    let is_loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    is_plain && matches!(uri.scheme_str(), Some("https"))
        || is_plain && is_loopback && uri.scheme_str() == Some("http")
}

/// Refuses settings that contradict each other, with the reason.
pub(super) fn check(config: &Config) -> Result<(), String> {
    let Oidc { token_minutes, login_minutes } = config.oidc;
    if !(1..=60).contains(&token_minutes) || !(1..=1440).contains(&login_minutes) {
        return Err("[oidc] token_minutes is 1 to 60, login_minutes 1 to 1440".into());
    }
    let (mut names, mut urls) = (BTreeSet::new(), BTreeSet::new());
    for issuer in &config.issuers {
        let refuse = |why: &str| Err(format!("issuer {}: {why}", issuer.name));
        if issuer.name.parse::<Namespace>().is_err() {
            return Err(format!("not a name of an issuer: {:?}", issuer.name));
        }
        if !names.insert(&issuer.name) || !urls.insert(&issuer.url) {
            return refuse("another one has its name or url");
        }
        let jwks_url = issuer.jwks_url.as_deref();
        if ![Some(issuer.url.as_str()), jwks_url].into_iter().flatten().all(is_protected)
            || issuer.url.contains('?')
        {
            return refuse("url and jwks_url start with https://, or with http:// on loopback");
        }
        if issuer.algorithms.is_empty() || issuer.identifying.is_empty() {
            return refuse("algorithms and identifying must not be empty");
        }
        if issuer.people.is_some() != issuer.client_id.is_some() {
            return refuse(
                "people and client_id belong together: whom a login names, and what people log in by",
            );
        }
        let audience = issuer.audience(config);
        if audience.is_empty() {
            return refuse("it needs an audience, since there is no public_url");
        }
        if issuer.client_id.as_deref() == Some(audience) {
            return refuse("audience and client_id must differ: the one is for jobs, the other for people");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "audience = 'gradus'\nname = 'ci'\nurl = 'https://ci.example.org'";

    fn parse(issuer: &str) -> crate::error::Result<Config> {
        Config::parse(&format!("[[issuers]]\n{issuer}"))
    }

    #[test]
    fn an_issuer_has_careful_defaults() {
        let config = parse(GOOD).unwrap();
        assert_eq!(config.issuers[0].algorithms, [Algorithm::RS256, Algorithm::ES256]);
        assert_eq!(config.issuers[0].audience(&config), "gradus");
        assert!(parse("name = 'ci'\nurl = 'http://127.0.0.1:1/a'\naudience = 'x'").is_ok());
        let with_public = "public_url = 'https://models.example.org'\n[[issuers]]\nname = 'ci'\nurl = 'https://ci.example.org'";
        let config = Config::parse(with_public).unwrap();
        assert_eq!(config.issuers[0].audience(&config), "https://models.example.org");
    }

    #[test]
    fn what_would_let_others_in_is_refused() {
        for bad in [
            "algorithms = ['none']",
            "algorithms = ['HS256']",
            "algorithms = ['RS512']",
            "algorithms = []",
            "identifying = []",
            "jwks_url = 'http://ci.example.org/keys'",
            "jwks_url = 'https://user:word@ci.example.org/keys'",
            "people = 'name'",
            "client_id = 'cli'",
            "people = 'name'\nclient_id = 'gradus'",
            "secret = 'x'",
        ] {
            assert_eq!(parse(&format!("{GOOD}\n{bad}")).unwrap_err().code, "config_invalid", "{bad}");
        }
        for bad in [
            "name = 'ci'\nurl = 'https://ci.example.org'",
            "name = 'CI'\naudience = 'x'\nurl = 'https://ci.example.org'",
            "name = 'ci'\naudience = 'x'\nurl = 'http://ci.example.org'",
            "name = 'ci'\naudience = 'x'\nurl = 'http://127.0.0.1.example.org'",
            "name = 'ci'\naudience = 'x'\nurl = 'http://localhost@example.org'",
            "name = 'ci'\naudience = 'x'\nurl = 'ci.example.org'",
            "name = 'ci'\naudience = 'x'\nurl = 'https://ci.example.org?x=y'",
        ] {
            assert_eq!(parse(bad).unwrap_err().code, "config_invalid", "{bad}");
        }
        assert!(parse(&format!("{GOOD}\n[[issuers]]\n{GOOD}")).is_err(), "twice");
        for bad in ["token_minutes = 0", "token_minutes = 61", "login_minutes = 1441"] {
            assert!(Config::parse(&format!("[oidc]\n{bad}")).is_err(), "{bad}");
        }
    }
}
