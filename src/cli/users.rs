//! `gradus user` and `gradus token`.

use super::{
    argument,
    print::{Out, time},
};
use crate::{
    client::Client,
    error::{Error, Result},
    model::{
        access::{PrincipalKind, Role, Scope},
        name::{Namespace, PrincipalName},
    },
    wire,
};
use clap::Subcommand;
use serde_json::json;

#[derive(Subcommand)]
pub enum User {
    /// Add a person, or with --service a service
    Add {
        /// Their name
        #[arg(value_parser = argument::<PrincipalName>)]
        name: PrincipalName,
        /// A program: it can push, and never approves
        #[arg(long)]
        service: bool,
    },
    /// List users
    List,
    /// End all access of a user
    Disable {
        /// Whose
        #[arg(value_parser = argument::<PrincipalName>)]
        name: PrincipalName,
    },
}

impl User {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        match self {
            Self::Add { name, service } => {
                let kind = if service { PrincipalKind::Service } else { PrincipalKind::Person };
                let view = client.add_user(&wire::NewUser { name, kind }).await?;
                let role = out.command(&format!("member add NAMESPACE {} ROLE", view.name));
                let token = out.command(&format!("token create --user {}", view.name));
                out.note(format!("give them a role: {role}"));
                out.note(format!("and a token: {token}"));
                out.data(&view, |out| out.line(view.name.as_str()))
            }
            Self::List => {
                let list = client.list_users().await?;
                let row = |view: &wire::UserView| {
                    let state = if view.disabled { "disabled" } else { "" };
                    vec![
                        view.name.to_string(),
                        view.kind.name().to_owned(),
                        time(view.created_at),
                        state.to_owned(),
                    ]
                };
                out.data(&list, |out| {
                    out.table(&["USER", "KIND", "ADDED", ""], &list.iter().map(row).collect::<Vec<_>>())
                })
            }
            Self::Disable { name } => {
                client.disable_user(&name).await?;
                let data = json!({ "name": name, "disabled": true });
                out.done(&data, format!("{name} has no access any more"))
            }
        }
    }
}

#[derive(Subcommand)]
pub enum TokenVerb {
    /// Make a token; it is shown once
    Create {
        /// For whom; others than yourself take an admin
        #[arg(long, value_parser = argument::<PrincipalName>)]
        user: Option<PrincipalName>,
        /// What it is for
        #[arg(long, default_value = "")]
        label: String,
        /// Days until it expires
        #[arg(long, default_value_t = 90)]
        days: i64,
        /// Only in this namespace; may be given again
        #[arg(long = "namespace", value_parser = argument::<Namespace>)]
        namespaces: Vec<Namespace>,
        /// Only with this role; may be given again
        #[arg(long = "role", value_parser = argument::<Role>)]
        roles: Vec<Role>,
    },
    /// List your tokens
    List {
        /// Everybody's, for admins
        #[arg(long)]
        all: bool,
    },
    /// Revoke a token by its id
    Revoke {
        /// As `token list` shows it
        id: String,
    },
}

impl TokenVerb {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        match self {
            Self::Create { user, label, days, namespaces, roles } => {
                let scope = Scope { namespaces, roles };
                let new = wire::NewToken { user, label, scope, days };
                let next = |error: Error| match error.code {
                    "days_invalid" => error.hint(out.command("token create --days 90")),
                    _ => error,
                };
                let created = client.create_token(&new).await.map_err(next)?;
                out.note(format!(
                    "token {} of {}; it is shown only now:",
                    created.info.id, created.info.user
                ));
                out.data(&created, |out| out.line(&created.token))?;
                let revoke = out.command(&format!("token revoke {}", created.info.id));
                out.finish().map_err(|error| error.hint(revoke))
            }
            Self::List { all } => {
                let list = client.list_tokens(all).await?;
                let row = |view: &wire::TokenView| {
                    let state = match (view.revoked_at, view.expires_at) {
                        (Some(at), _) => format!("revoked {}", time(at)),
                        (None, Some(at)) => format!("until {}", time(at)),
                        (None, None) => String::new(),
                    };
                    vec![
                        view.id.clone(),
                        view.user.to_string(),
                        view.label.clone(),
                        time(view.created_at),
                        state,
                    ]
                };
                out.data(&list, |out| {
                    out.table(&["ID", "USER", "LABEL", "MADE", ""], &list.iter().map(row).collect::<Vec<_>>())
                })
            }
            Self::Revoke { id } => {
                client.revoke_token(&id).await?;
                out.done(&json!({ "id": id, "revoked": true }), format!("revoked {id}"))
            }
        }
    }
}
