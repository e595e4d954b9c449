//! `gradus purge`, `gradus workload delete`.

use super::{
    argument,
    print::{Out, bytes, quoted, time},
};
use crate::{
    client::Client,
    error::{Error, Result},
    model::{
        name::{Namespace, Workload},
        reference::Reference,
        removal::{Exact, PurgeState},
    },
    wire,
};
use clap::Args;
use serde_json::json;

/// How a command ends that waits for somebody else.
const PENDING: u8 = 4;

#[derive(Args)]
pub struct Purge {
    /// The exact version, for example acme/ticket-triage:1.4.0 or acme/ticket-triage@sha256:…
    #[arg(value_parser = argument::<Reference>, required_unless_present = "list")]
    reference: Option<Reference>,
    /// Why
    #[arg(long, short, required_unless_present = "list")]
    message: Option<String>,
    /// Take the request back
    #[arg(long)]
    withdraw: bool,
    /// List what waits for another admin, purges and deletions of workloads, in a namespace or everywhere
    #[arg(long, value_name = "NAMESPACE", num_args = 0..=1, conflicts_with_all = ["reference", "message", "withdraw"],
          value_parser = argument::<Namespace>)]
    list: Option<Option<Namespace>>,
}

impl Purge {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        if let Some(namespace) = self.list {
            return list(namespace.as_ref(), client, out).await;
        }
        let (Some(reference), Some(message)) = (self.reference, self.message) else {
            return Err(Error::invalid("usage", "say which version, and why")
                .hint("gradus purge acme/ticket-triage:1.4.0 -m WHY"));
        };
        Exact::of(&reference)?;
        if self.withdraw {
            let request = client.withdraw_purge(&reference, &message).await?;
            return out.done(&request, format!("took back the request to purge {reference}"));
        }
        let purge = client.purge(&reference, &message).await?;
        out.data(&purge, |out| tell(&purge, out))?;
        if purge.state == PurgeState::Pending {
            let again = out.command(&format!("purge {reference} -m {}", quoted(&message)));
            out.note(format!("nothing was changed; another admin has to run the same: {again}"));
            out.end_with(PENDING);
        }
        Ok(())
    }
}

async fn list(namespace: Option<&Namespace>, client: &Client, out: &Out) -> Result<()> {
    let waiting = client.list_purges(namespace).await?;
    let deletions = client.list_deletions(namespace).await?;
    out.data(&json!({ "purges": waiting, "deletions": deletions }), |out| {
        waiting.iter().for_each(|purge| tell(purge, out));
        for wire::DeletionView { workload, requested_by, expires_at, reason, .. } in &deletions {
            let until = time(*expires_at);
            out.line(format!(
                "pending: workload {workload} to be deleted, asked for by {requested_by}, until {until}: {reason}"
            ));
        }
    })?;
    if waiting.is_empty() && deletions.is_empty() {
        out.note("no purge and no deletion waits for another admin");
    }
    Ok(())
}

fn tell(purge: &wire::PurgeView, out: &Out) {
    let wire::PurgeView { workload, version, digest, .. } = purge;
    let Some(done) = &purge.done else {
        let (by, until) = (&purge.requested_by, time(purge.expires_at));
        out.line(format!(
            "{}: {workload}:{version} {} asked for by {by}, until {until}: {}",
            purge.state,
            digest.short(),
            purge.reason
        ));
        return tell_along(purge, out);
    };
    for version in &done.versions {
        out.line(format!("purged {workload}:{version} {digest}"));
    }
    for along in &done.manifests {
        out.line(format!("along went {}", named(workload, along)));
    }
    out.line(format!("{} deleted", bytes(done.bytes)));
    tell_kept(&done.kept, out);
    done.notes.iter().for_each(|note| out.note(note));
}

/// What else has files of it and would go along.
fn tell_along(purge: &wire::PurgeView, out: &Out) {
    for along in &purge.along {
        out.line(format!("  along would go {}", named(&purge.workload, along)));
    }
    if purge.along_total > purge.along.len() {
        out.line(format!("  and {} more", purge.along_total - purge.along.len()));
    }
}

fn named(workload: &Workload, along: &wire::TakenAlong) -> String {
    let tags = if along.tags.is_empty() { String::new() } else { format!(" ({})", along.tags.join(", ")) };
    format!("{workload}@{}{tags}", along.digest)
}

pub(super) fn tell_kept(kept: &[wire::KeptBlob], out: &Out) {
    for kept in kept {
        let mut users: Vec<String> = kept.used_by.iter().map(ToString::to_string).collect();
        if kept.others {
            users.push("something else".to_owned());
        }
        out.line(format!(
            "stays  {}  {}  used by {}",
            kept.digest.short(),
            bytes(kept.size),
            users.join(", ")
        ));
    }
}

/// Gives up the name of a workload.
pub(super) async fn delete_workload(
    client: &Client,
    workload: &Workload,
    message: &str,
    out: &Out,
) -> Result<()> {
    let done = client.delete_workload(workload, message).await?;
    if done.deleted {
        out.note(format!("deleted {workload}; its name is not given again"));
        out.data(&done, |out| tell_kept(&done.kept, out))?;
        done.notes.iter().for_each(|note| out.note(note));
        return Ok(());
    }
    let until = done.expires_at.map(time).unwrap_or_default();
    out.data(&done, |out| out.line(format!("pending: {workload} is to be deleted, until {until}")))?;
    let again = out.command(&format!("workload delete {workload} -m {}", quoted(message)));
    out.note(format!("nothing was changed; another admin has to run the same: {again}"));
    out.end_with(PENDING);
    Ok(())
}

/// Takes the request to delete a workload back.
pub(super) async fn withdraw_deletion(
    client: &Client,
    workload: &Workload,
    message: &str,
    out: &Out,
) -> Result<()> {
    let request = client.withdraw_deletion(workload, message).await?;
    out.done(&request, format!("took back the request to delete {workload}"))
}
