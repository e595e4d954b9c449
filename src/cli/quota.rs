//! `gradus quota`.

use super::{
    argument,
    print::{Out, bytes, time},
};
use crate::{
    client::Client,
    error::{Error, Result},
    model::{name::Namespace, size},
    wire,
};
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Subcommand)]
pub enum Quota {
    /// Say what a namespace may have at most; what is not named stays as it is
    Set(Set),
    /// Show what a namespace may have, and what it has
    Show {
        /// Which one
        #[arg(value_parser = argument::<Namespace>)]
        namespace: Namespace,
    },
    /// Show that of all namespaces you may read
    List,
    /// Let a namespace have as much as it wants
    Rm {
        /// Which one
        #[arg(value_parser = argument::<Namespace>)]
        namespace: Namespace,
    },
}

#[derive(Args)]
pub struct Set {
    /// Which one
    #[arg(value_parser = argument::<Namespace>)]
    namespace: Namespace,
    #[command(flatten)]
    most: Most,
}

/// At least one of them.
#[derive(Args)]
#[group(required = true, multiple = true)]
struct Most {
    /// Of all its different files, for example 10GiB
    #[arg(long, value_name = "SIZE", value_parser = number)]
    bytes: Option<u64>,
    /// Of all its workloads together
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=size::SIZE_MAX))]
    versions: Option<u64>,
}

fn number(text: &str) -> Result<u64, String> {
    size::parse(text).map_err(|Error { message, hint, .. }| match hint {
        Some(hint) => format!("{message} ({hint})"),
        None => message,
    })
}

fn limit(most: Option<u64>, shown: impl Fn(u64) -> String) -> String {
    most.map_or_else(|| "-".to_owned(), shown)
}

fn show(view: &wire::QuotaView, out: &Out) -> Result<()> {
    out.data(view, |out| {
        let used = &view.used;
        let of = |most: Option<u64>, shown: fn(u64) -> String| {
            most.map_or_else(|| "no limit".to_owned(), |most| format!("of {} allowed", shown(most)))
        };
        out.line(format!("bytes: {} {}", bytes(used.bytes), of(view.bytes, bytes)));
        out.line(format!("  own: {}", bytes(used.own_bytes)));
        out.line(format!("  shared with other namespaces: {}", bytes(used.shared_bytes)));
        if used.uploading_bytes > 0 {
            out.line(format!("  on their way in uploads: {}", bytes(used.uploading_bytes)));
        }
        let plain = |number: u64| number.to_string();
        out.line(format!("versions: {} {}", used.versions, of(view.versions, plain)));
        if let (Some(at), Some(by)) = (view.set_at, &view.set_by) {
            out.line(format!("set {} by {by}", time(at)));
        }
    })?;
    let is_over = |most: Option<u64>, used: u64| most.is_some_and(|most| used >= most);
    if is_over(view.bytes, view.used.bytes) || is_over(view.versions, view.used.versions) {
        out.note("the quota is used up: what is there stays, and nothing new comes in");
    }
    Ok(())
}

impl Quota {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        match self {
            Self::Set(Set { namespace, most: Most { bytes, versions } }) => {
                let view = client.set_quota(&namespace, &wire::SetQuota { bytes, versions }).await?;
                show(&view, out)
            }
            Self::Show { namespace } => show(&client.quota(&namespace).await?, out),
            Self::List => {
                let list = client.list_quotas().await?;
                let row = |view: &wire::QuotaView| {
                    vec![
                        view.namespace.to_string(),
                        bytes(view.used.bytes),
                        limit(view.bytes, bytes),
                        bytes(view.used.own_bytes),
                        bytes(view.used.shared_bytes),
                        view.used.versions.to_string(),
                        limit(view.versions, |number| number.to_string()),
                    ]
                };
                out.data(&list, |out| {
                    let rows: Vec<Vec<String>> = list.iter().map(row).collect();
                    let head = ["NAMESPACE", "BYTES", "ALLOWED", "OWN", "SHARED", "VERSIONS", "ALLOWED"];
                    out.table(&head, &rows)
                })
            }
            Self::Rm { namespace } => {
                client.remove_quota(&namespace).await?;
                let data = json!({ "namespace": namespace, "removed": true });
                out.done(&data, format!("{namespace} has no quota any more"))
            }
        }
    }
}
