//! `gradus alias` and `gradus yank`.

use super::{
    argument,
    print::{Out, time},
};
use crate::{
    client::Client,
    error::{Error, Result},
    model::{
        name::{Tag, Workload},
        reference::{Reference, Selector},
    },
    wire,
};
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Subcommand)]
pub enum Alias {
    /// Point an alias at a version: gradus alias set champion acme/ticket-triage:1.4.0
    Set {
        /// A word, for example champion
        #[arg(value_parser = argument::<Tag>)]
        alias: Tag,
        /// The version it shall name, for example acme/ticket-triage:1.4.0
        #[arg(value_parser = argument::<Reference>)]
        reference: Reference,
    },
    /// Remove an alias: gradus alias rm champion acme/ticket-triage
    Rm {
        /// The word
        #[arg(value_parser = argument::<Tag>)]
        alias: Tag,
        /// The workload, NAMESPACE/NAME
        #[arg(value_parser = argument::<Workload>)]
        workload: Workload,
    },
    /// List the aliases of a workload
    List {
        /// The workload, NAMESPACE/NAME
        #[arg(value_parser = argument::<Workload>)]
        workload: Workload,
    },
}

impl Alias {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        match self {
            Self::Set { alias, reference } => {
                if matches!(reference.selector, Selector::Default) {
                    return Err(Error::invalid("usage", "say which version the alias shall name")
                        .hint(out.command(&format!("alias set {alias} {}:latest", reference.workload))));
                }
                let to = reference.selector.to_string();
                let view =
                    client.set_alias(&reference.workload, &alias, to.trim_start_matches([':', '@'])).await?;
                out.done(&view, format!("{}:{} is {}", reference.workload, view.alias, view.version))
            }
            Self::Rm { alias, workload } => {
                client.remove_alias(&workload, &alias).await?;
                let data = json!({ "workload": workload, "alias": alias, "removed": true });
                out.done(&data, format!("removed {workload}:{alias}"))
            }
            Self::List { workload } => {
                let aliases = client.list_aliases(&workload).await?;
                if aliases.is_empty() {
                    // No aliases, or no such workload: this tells.
                    client.list_versions(&workload, "", 1).await?;
                }
                out.data(&aliases, |out| {
                    let row = |alias: &wire::AliasView| {
                        vec![
                            alias.alias.clone(),
                            alias.version.to_string(),
                            alias.digest.short().to_owned(),
                            time(alias.updated_at),
                        ]
                    };
                    out.table(
                        &["ALIAS", "VERSION", "DIGEST", "SET"],
                        &aliases.iter().map(row).collect::<Vec<_>>(),
                    );
                })
            }
        }
    }
}

#[derive(Args)]
pub struct Yank {
    /// The exact version, for example acme/ticket-triage:1.4.0
    #[arg(value_parser = argument::<Reference>)]
    reference: Reference,
    /// Why
    #[arg(long, short)]
    message: String,
}

impl Yank {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let Reference { workload, selector: Selector::Version(version) } = self.reference else {
            return Err(Error::invalid("usage", "a yank names one exact version")
                .hint("gradus yank acme/ticket-triage:1.4.0 --message WHY"));
        };
        client.yank(&workload, &version, &self.message).await?;
        let data = json!({ "workload": workload, "version": version, "yanked": self.message });
        out.done(
            &data,
            format!(
                "yanked {workload}:{version}: ranges and latest pass it over, exact references still find it"
            ),
        )
    }
}
