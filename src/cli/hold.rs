//! `gradus hold`.

use super::{
    argument,
    print::{Out, time},
};
use crate::{client::Client, error::Result, model::removal::HoldScope, wire};
use clap::Subcommand;

#[derive(Subcommand)]
pub enum Hold {
    /// Let nothing be purged or deleted: gradus hold set acme/ticket-triage:1.4.0 -m "case 2027/14"
    Set {
        /// A namespace, a workload, a version by number or digest, or other OCI content by digest
        #[arg(value_parser = argument::<HoldScope>)]
        scope: HoldScope,
        /// Why
        #[arg(long, short)]
        message: String,
    },
    /// Lift a hold where it was set
    Clear {
        /// A namespace, a workload, a version by number or digest, or other OCI content by digest
        #[arg(value_parser = argument::<HoldScope>)]
        scope: HoldScope,
        /// Which one, where there are several on it
        #[arg(long)]
        id: Option<String>,
        /// Why
        #[arg(long, short)]
        message: String,
    },
    /// List holds, or those that concern a namespace, a workload or a version
    List {
        /// A namespace, a workload, a version by number or digest, or other OCI content by digest
        #[arg(value_parser = argument::<HoldScope>)]
        scope: Option<HoldScope>,
    },
}

impl Hold {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        match self {
            Self::Set { scope, message } => {
                let hold = client.set_hold(&scope, &message).await?;
                out.done(&hold, format!("{} is under hold: nothing of it is purged or deleted", hold.scope))
            }
            Self::Clear { scope, id, message } => {
                let hold = client.clear_hold(&scope, id, &message).await?;
                out.done(&hold, format!("lifted the hold of {}: {}", hold.scope, hold.reason))
            }
            Self::List { scope } => {
                let holds = client.list_holds(scope.as_ref()).await?;
                out.data(&holds, |out| {
                    let row = |hold: &wire::HoldView| {
                        vec![
                            hold.id.clone(),
                            hold.scope.clone(),
                            time(hold.at),
                            hold.by.to_string(),
                            hold.reason.clone(),
                        ]
                    };
                    out.table(
                        &["HOLD", "SCOPE", "SET", "BY", "REASON"],
                        &holds.iter().map(row).collect::<Vec<_>>(),
                    );
                })
            }
        }
    }
}
