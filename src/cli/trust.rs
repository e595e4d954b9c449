//! `gradus trust`.

use super::{argument, print::Out};
use crate::{
    client::Client,
    error::Result,
    model::{access::Role, name::Namespace},
    wire,
};
use clap::{Args, Subcommand};
use serde_json::json;
use std::collections::BTreeMap;

#[derive(Subcommand)]
pub enum Trust {
    /// Let jobs that fit act in a namespace as a service
    Add(Add),
    /// List the rules of a namespace
    List {
        /// Which one
        #[arg(value_parser = argument::<Namespace>)]
        namespace: Namespace,
    },
    /// Take a rule away; its tokens end at once
    Rm {
        /// Of which namespace
        #[arg(value_parser = argument::<Namespace>)]
        namespace: Namespace,
        /// As `trust list` shows it
        id: String,
    },
}

#[derive(Args)]
pub struct Add {
    /// Where they may act
    #[arg(value_parser = argument::<Namespace>)]
    namespace: Namespace,
    /// An issuer, as the registry's configuration calls it
    #[arg(long)]
    issuer: String,
    /// What a claim must say (of a list one item), NAME=VALUE or NAME=BEGINNING/*; all that are given must fit
    #[arg(long = "claim", required = true, value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, String)>,
    /// What they may do: reader, contributor, releaser, deployer or auditor; may be given again
    #[arg(long = "role", required = true, value_parser = argument::<Role>)]
    roles: Vec<Role>,
    /// What to call the service, behind the namespace's name [default: as the issuer]
    #[arg(long = "as", value_name = "NAME")]
    service: Option<String>,
}

fn claim(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("a claim is NAME=VALUE, for example repository=acme/triage".to_owned()),
    }
}

/// Claims by name. One that is given twice cannot fit.
fn by_name(claims: Vec<(String, String)>) -> Result<BTreeMap<String, String>> {
    let mut named = BTreeMap::new();
    for (name, value) in claims {
        if named.insert(name.clone(), value).is_some() {
            return Err(crate::error::Error::invalid("usage", format!("the claim is given twice: {name}"))
                .hint("make a rule for each of its values"));
        }
    }
    Ok(named)
}

fn words(view: &wire::TrustView) -> [String; 2] {
    let roles: Vec<&str> = view.roles.iter().map(|role| role.name()).collect();
    let claims: Vec<String> = view.claims.iter().map(|(name, value)| format!("{name}={value}")).collect();
    [roles.join(", "), claims.join(" ")]
}

impl Trust {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        match self {
            Self::Add(Add { namespace, issuer, claims, roles, service }) => {
                let new = wire::NewTrust { issuer, claims: by_name(claims)?, roles, service };
                let view = client.add_trust(&namespace, &new).await?;
                let [roles, claims] = words(&view);
                out.note(format!(
                    "who {} says has {claims} acts as {} ({roles}) in {namespace}",
                    view.issuer, view.principal
                ));
                let server = client.server().unwrap_or("SERVER");
                out.note(format!("in a job: gradus login {server} --oidc --namespace {namespace}"));
                out.data(&view, |out| out.line(&view.id))
            }
            Self::List { namespace } => {
                let list = client.list_trust(&namespace).await?;
                let row = |view: &wire::TrustView| {
                    let [roles, claims] = words(view);
                    vec![view.id.clone(), view.issuer.clone(), view.principal.to_string(), roles, claims]
                };
                out.data(&list, |out| {
                    let rows: Vec<Vec<String>> = list.iter().map(row).collect();
                    out.table(&["ID", "ISSUER", "ACTS AS", "ROLES", "IF"], &rows)
                })
            }
            Self::Rm { namespace, id } => {
                client.remove_trust(&namespace, &id).await?;
                let data = json!({ "namespace": namespace, "id": id, "removed": true });
                out.done(&data, format!("took the rule {id} of {namespace} away; its tokens have ended"))
            }
        }
    }
}
