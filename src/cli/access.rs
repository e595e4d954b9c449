//! `gradus namespace`, `member`, `user`, `token`, `whoami`, `login`.

use super::{
    Global, argument,
    connect::{Stored, login_file},
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
use clap::{Args, Subcommand};
use std::{
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
};

#[derive(Subcommand)]
pub enum NamespaceVerb {
    /// Make a namespace, bound to a store for good
    Create {
        #[arg(value_parser = argument::<Namespace>)]
        name: Namespace,
        /// A configured store; without it the first
        #[arg(long)]
        store: Option<String>,
    },
    /// List the namespaces you may see
    List,
    /// Show one
    Show {
        #[arg(value_parser = argument::<Namespace>)]
        name: Namespace,
    },
}

impl NamespaceVerb {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let show = |view: &wire::NamespaceView| {
            let text = format!(
                "{} in store {} ({}), made {} by {}",
                view.name,
                view.store,
                view.region,
                time(view.created_at),
                view.created_by
            );
            out.data(view, |out| out.line(text))
        };
        match self {
            Self::Create { name, store } => {
                show(&client.create_namespace(&wire::NewNamespace { name, store }).await?)
            }
            Self::Show { name } => show(&client.show_namespace(&name).await?),
            Self::List => {
                let list = client.list_namespaces().await?;
                let row = |view: &wire::NamespaceView| {
                    vec![
                        view.name.to_string(),
                        view.store.clone(),
                        view.region.clone(),
                        time(view.created_at),
                    ]
                };
                out.data(&list, |out| {
                    out.table(
                        &["NAMESPACE", "STORE", "REGION", "MADE"],
                        &list.iter().map(row).collect::<Vec<_>>(),
                    )
                })
            }
        }
    }
}

#[derive(Subcommand)]
pub enum Member {
    /// Give a role; NAMESPACE '*' is the whole registry
    Add {
        namespace: String,
        #[arg(value_parser = argument::<PrincipalName>)]
        who: PrincipalName,
        #[arg(value_parser = argument::<Role>)]
        role: Role,
    },
    /// Take a role away
    Rm {
        namespace: String,
        #[arg(value_parser = argument::<PrincipalName>)]
        who: PrincipalName,
        #[arg(value_parser = argument::<Role>)]
        role: Role,
    },
    /// List who has which role
    List { namespace: String },
}

impl Member {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        match self {
            Self::Add { namespace, who, role } => {
                client.add_member(&namespace, &who, role).await?;
                out.note(format!("{who} is {role} in {namespace}"));
                Ok(())
            }
            Self::Rm { namespace, who, role } => {
                client.remove_member(&namespace, &who, role).await?;
                out.note(format!("{who} is not {role} in {namespace}"));
                Ok(())
            }
            Self::List { namespace } => {
                let list = client.list_members(&namespace).await?;
                let row = |view: &wire::MemberView| vec![view.principal.to_string(), view.role.to_string()];
                out.data(&list, |out| out.table(&["WHO", "ROLE"], &list.iter().map(row).collect::<Vec<_>>()))
            }
        }
    }
}

#[derive(Subcommand)]
pub enum User {
    /// Add a person, or with --service a service
    Add {
        #[arg(value_parser = argument::<PrincipalName>)]
        name: PrincipalName,
        #[arg(long)]
        service: bool,
    },
    /// List users
    List,
    /// End all access of a user
    Disable {
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
                out.note(format!("give them a role: gradus member add NAMESPACE {} ROLE", view.name));
                out.note(format!("and a token: gradus token create --user {}", view.name));
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
                out.note(format!("{name} has no access any more"));
                Ok(())
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
    Revoke { id: String },
}

impl TokenVerb {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        match self {
            Self::Create { user, label, days, namespaces, roles } => {
                let scope = Scope { namespaces, roles };
                let created = client.create_token(&wire::NewToken { user, label, scope, days }).await?;
                out.note(format!(
                    "token {} of {}; it is shown only now:",
                    created.info.id, created.info.user
                ));
                out.data(&created, |out| out.line(&created.token))
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
                out.note(format!("revoked {id}"));
                Ok(())
            }
        }
    }
}

pub async fn whoami(client: &Client, out: &Out) -> Result<()> {
    let me = client.whoami().await?;
    out.data(&me, |out| {
        let at = client.server().unwrap_or("the local data directory");
        out.line(format!("{} ({}) at {at}", me.principal, me.kind.name()));
        for (namespace, roles) in &me.roles {
            let roles: Vec<&str> = roles.iter().map(|role| role.name()).collect();
            out.line(format!("{namespace}: {}", roles.join(", ")));
        }
        if let Some(at) = me.expires_at {
            out.line(format!("the token works until {}", time(at)));
        }
    })
}

#[derive(Args)]
pub struct Login {
    /// The server's URL
    server: String,
}

impl Login {
    pub async fn run(self, global: &Global, out: &Out) -> Result<()> {
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
        let server = self.server.trim_end_matches('/').to_owned();
        let client = Client::remote(&server, Some(token.clone()), global.plain_http)?;
        let me = client.whoami().await?;
        let file = login_file()?;
        if let Some(directory) = file.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let text = toml::to_string(&Stored { server: server.clone(), token }).map_err(|source| {
            Error::internal("login_encoding", "the login could not be written").source(source)
        })?;
        let scratch = file.with_extension("tmp");
        let mut handle =
            std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&scratch)?;
        handle.write_all(text.as_bytes())?;
        std::fs::rename(&scratch, &file)?;
        out.note(format!("logged in to {server} as {}; stored in {}", me.principal, file.display()));
        Ok(())
    }
}
