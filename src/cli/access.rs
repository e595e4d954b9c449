//! `gradus namespace`, `member`, `whoami`.

use super::{
    argument,
    print::{Out, time},
};
use crate::{
    client::Client,
    error::Result,
    model::{
        access::Role,
        name::{Namespace, PrincipalName},
    },
    wire,
};
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Subcommand)]
pub enum NamespaceVerb {
    /// Make a namespace, bound to a store for good
    Create {
        /// Its name, for example acme
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
        /// Which one
        #[arg(value_parser = argument::<Namespace>)]
        name: Namespace,
    },
    /// Give up the name of a namespace in which nothing is any more; nobody gets it again
    Delete {
        /// Which one
        #[arg(value_parser = argument::<Namespace>)]
        name: Namespace,
        /// Why
        #[arg(long, short)]
        message: String,
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
            Self::Delete { name, message } => {
                client.delete_namespace(&name, &message).await?;
                let data = json!({ "namespace": name, "deleted": message });
                out.done(&data, format!("deleted {name}; its name is not given again"))
            }
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
    Add(Membership),
    /// Take a role away
    Rm(Membership),
    /// List who has which role
    List {
        /// A namespace, or '*' for the roles in the whole registry
        namespace: String,
    },
}

#[derive(Args)]
pub struct Membership {
    /// A namespace, or '*' for the whole registry
    namespace: String,
    /// A user or service
    #[arg(value_parser = argument::<PrincipalName>)]
    who: PrincipalName,
    /// reader, contributor, approver, releaser, deployer, auditor or admin
    #[arg(value_parser = argument::<Role>)]
    role: Role,
}

impl Membership {
    fn report(&self, is_member: bool, out: &Out) -> Result<()> {
        let Self { namespace, who, role } = self;
        let data = json!({ "namespace": namespace, "principal": who, "role": role, "is_member": is_member });
        let verb = if is_member { "is" } else { "is not" };
        out.done(&data, format!("{who} {verb} {role} in {namespace}"))
    }
}

impl Member {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        match self {
            Self::Add(new) => {
                client.add_member(&new.namespace, &new.who, new.role).await?;
                new.report(true, out)
            }
            Self::Rm(old) => {
                client.remove_member(&old.namespace, &old.who, old.role).await?;
                old.report(false, out)
            }
            Self::List { namespace } => {
                let list = client.list_members(&namespace).await?;
                let row = |view: &wire::MemberView| vec![view.principal.to_string(), view.role.to_string()];
                out.data(&list, |out| out.table(&["WHO", "ROLE"], &list.iter().map(row).collect::<Vec<_>>()))
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
