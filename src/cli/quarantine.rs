//! `gradus quarantine`.

use super::{
    argument,
    print::{Out, count, time},
};
use crate::{
    client::Client,
    error::Result,
    model::reference::Reference,
    wire::{QuarantineOf, QuarantineView},
};
use clap::{Args, Subcommand};

/// What is bad: one of these.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct What {
    /// A version, for example acme/ticket-triage:1.4.0
    #[arg(value_parser = argument::<Reference>)]
    reference: Option<Reference>,
    /// A base model: as versions name it, with or without the revision, or a digest
    #[arg(long, value_name = "MODEL|DIGEST")]
    base: Option<String>,
    /// A dataset
    #[arg(long, value_name = "NAME|DIGEST")]
    dataset: Option<String>,
    /// A file
    #[arg(long, value_name = "DIGEST")]
    file: Option<String>,
}

impl What {
    fn body(self, reason: String) -> QuarantineOf {
        let reference = self.reference.map(|reference| reference.to_string());
        QuarantineOf { reference, base: self.base, dataset: self.dataset, file: self.file, reason }
    }
}

#[derive(Subcommand)]
pub enum Quarantine {
    /// Let nothing be promoted that is this or is made from it: gradus quarantine set --base hf:org/model -m WHY
    Set {
        #[command(flatten)]
        what: What,
        /// Why
        #[arg(long, short)]
        message: String,
    },
    /// End it
    Clear {
        #[command(flatten)]
        what: What,
        /// Why
        #[arg(long, short)]
        message: String,
    },
    /// List what is in quarantine
    List {
        /// Also what is over
        #[arg(long)]
        all: bool,
    },
}

impl Quarantine {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        match self {
            Self::Set { what, message } => {
                let set = client.set_quarantine(&what.body(message)).await?;
                let more = if set.more { "more than " } else { "" };
                let hits = count(set.hits.unwrap_or(0), "version");
                let place = place(&set);
                out.done(&set, format!("put {} in quarantine{place}: it hits {more}{hits}", name(&set)))?;
                out.note(format!("what is hit, and where it runs: {}", out.command(&lineage(&set))));
                let alike = set.alike.unwrap_or(0);
                if alike > 0 {
                    out.note(format!(
                        "not hit: {}, with the same files as some that are, or made from them, in namespaces where nobody says so; they are shown too, and are hit with: {}",
                        count(alike, "version"),
                        out.command("quarantine set --file DIGEST -m WHY"),
                    ));
                }
                Ok(())
            }
            Self::Clear { what, message } => {
                let cleared = client.clear_quarantine(&what.body(message)).await?;
                let line =
                    |one: &QuarantineView| format!("ended the quarantine of {}{}", name(one), place(one));
                out.done(&cleared, cleared.iter().map(line).collect::<Vec<_>>().join("\n"))
            }
            Self::List { all } => {
                let rows = client.quarantines(all).await?;
                out.data(&rows, |out| {
                    let row = |one: &QuarantineView| {
                        let cleared = one.cleared_at.map(|at| {
                            let by = one.cleared_by.as_ref().map(ToString::to_string).unwrap_or_default();
                            let why = one.cleared_because.clone().unwrap_or_default();
                            format!("ended {} by {by}: {why}", time(at))
                        });
                        vec![
                            name(one),
                            one.scope.clone(),
                            time(one.at),
                            one.by.to_string(),
                            one.reason.clone(),
                            cleared.unwrap_or_default(),
                        ]
                    };
                    let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
                    out.table(&["WHAT", "IN", "SINCE", "BY", "WHY", ""], &rows);
                })
            }
        }
    }
}

fn name(one: &QuarantineView) -> String {
    one.reference.clone().unwrap_or_else(|| format!("{} {}", one.root.name(), one.value))
}

fn place(one: &QuarantineView) -> String {
    if one.scope == "*" { String::new() } else { format!(" in {}", one.scope) }
}

fn lineage(one: &QuarantineView) -> String {
    match &one.reference {
        Some(reference) => format!("lineage {reference} --down"),
        None => format!("lineage --{} {} --down", one.root.name(), super::print::quoted(&one.value)),
    }
}
