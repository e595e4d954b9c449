//! `gradus log`, `gc`, `scrub`.

use super::{
    argument,
    print::{Out, bytes, time},
};
use crate::{
    client::Client,
    error::{Error, Result},
    model::{
        digest::Digest,
        event::{Change, Event},
        name::Workload,
    },
    wire,
};
use clap::Args;

#[derive(Args)]
pub struct Log {
    /// Only events of this workload
    #[arg(value_parser = argument::<Workload>)]
    workload: Option<Workload>,
    /// Only events of this namespace
    #[arg(long)]
    namespace: Option<String>,
    /// Only events of this kind, for example pushed
    #[arg(long)]
    kind: Option<String>,
    /// From this position on
    #[arg(long, default_value_t = 0)]
    from: i64,
    /// Most entries, up to 1000
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

impl Log {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let mut query = String::new();
        let filters = [
            ("workload", self.workload.as_ref().map(ToString::to_string)),
            ("namespace", self.namespace.clone()),
            ("kind", self.kind.clone()),
        ];
        for (name, value) in filters {
            if let Some(value) = value {
                query.push_str(&format!("&{name}={}", value.replace('/', "%2F")));
            }
        }
        let events = client.events(&query, self.from, self.limit).await?;
        out.data(&events, |out| {
            for event in &events {
                out.line(line(event));
            }
        })
    }
}

/// An event as one line: position, time, who, what.
pub(super) fn line(event: &Event) -> String {
    format!("{:>6}  {}  {}  {}", event.position, time(event.at), event.actor, describe(&event.change))
}

fn describe(change: &Change) -> String {
    use Change as C;
    let until = |from: &Option<Digest>| {
        from.as_ref().map(|from| format!(" (was {})", from.short())).unwrap_or_default()
    };
    match change {
        C::NamespaceCreated { namespace, store } => format!("made namespace {namespace} in store {store}"),
        C::MemberAdded { namespace, principal, role } => format!("made {principal} {role} in {namespace}"),
        C::MemberRemoved { namespace, principal, role } => {
            format!("took {role} in {namespace} from {principal}")
        }
        C::UserAdded { user, kind } => format!("added {} {user}", kind.name()),
        C::UserDisabled { user } => format!("disabled {user}"),
        C::TokenCreated { token, user, .. } => format!("made token {token} for {user}"),
        C::TokenRevoked { token, user } => format!("revoked token {token} of {user}"),
        C::Pushed { workload, version, digest, tier, .. } => {
            format!("pushed {workload}:{version} ({tier}) {}", digest.short())
        }
        C::PushedAgain { workload, version, .. } => {
            format!("pushed {workload}:{version} again, as another author")
        }
        C::Yanked { workload, version, reason, .. } => format!("yanked {workload}:{version}: {reason}"),
        C::AliasSet { workload, alias, from, to } => {
            format!("set {workload}:{alias} to {}{}", to.short(), until(from))
        }
        C::AliasRemoved { workload, alias, from } => {
            format!("removed {workload}:{alias} (was {})", from.short())
        }
        C::ManifestPushed { repository, digest, .. } => {
            format!("stored manifest {repository}@{}", digest.short())
        }
        C::Untagged { repository, tag, digest } => format!("untagged {repository}:{tag} {}", digest.short()),
        C::Tagged { repository, tag, digest } => format!("tagged {repository}:{tag} {}", digest.short()),
        C::ManifestDeleted { repository, digest } => {
            format!("deleted manifest {repository}@{}", digest.short())
        }
        C::BlobUnlinked { repository, digest } => {
            format!("removed blob {} from {repository}", digest.short())
        }
        C::GarbageCollected { objects, bytes: freed } => {
            format!("collected {objects} objects, {}", bytes(*freed))
        }
        C::BlobQuarantined { store, digest, .. } => {
            format!("set rotten blob {} in {store} aside", digest.short())
        }
        C::BlobRestored { store, digest } => format!("found blob {} in {store} whole again", digest.short()),
    }
}

#[derive(Args)]
pub struct Gc {
    /// Delete; without it nothing is changed
    #[arg(long)]
    delete: bool,
    /// Hours something must have been unused [default: as configured, 24]
    #[arg(long, value_name = "HOURS")]
    grace: Option<u32>,
}

impl Gc {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let report =
            client.gc(&wire::CollectGarbage { grace_hours: self.grace, delete: self.delete }).await?;
        out.data(&report, |out| {
            let verb = if report.deleted { "deleted" } else { "would delete" };
            out.line(format!(
                "{verb} {} links, {} blobs, {} idle uploads, {} objects without a row: {}",
                report.links,
                report.blobs,
                report.uploads,
                report.orphans,
                bytes(report.bytes)
            ));
        })?;
        if !report.deleted {
            out.note("nothing was changed; blobs follow their links in the run that deletes them");
            out.note("next: gradus gc --delete");
        }
        Ok(())
    }
}

#[derive(Args)]
pub struct Scrub {
    /// Also rebuild the map from digests to objects out of the objects
    #[arg(long)]
    reindex: bool,
}

impl Scrub {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let report = client.scrub(&wire::Scrub { reindex: self.reindex }).await?;
        out.data(&report, |out| {
            for rotten in &report.rotten {
                let found = rotten.found.as_ref().map_or("gone".to_owned(), |found| format!("now {found}"));
                out.line(format!("rotten  {}  {}  {found}", rotten.store, rotten.digest));
            }
            for digest in &report.restored {
                out.line(format!("whole again  {digest}"));
            }
            out.line(format!(
                "{} objects checked, {}; {} rotten",
                report.checked,
                bytes(report.bytes),
                report.rotten.len()
            ));
        })?;
        if report.reindexed > 0 {
            out.note(format!("{} entries of the map were made or corrected", report.reindexed));
        }
        if report.rotten.is_empty() {
            return Ok(());
        }
        Err(Error::integrity(
            "rot_found",
            format!("{} blobs are not what their digests say", report.rotten.len()),
        )
        .hint("push the affected files again: that heals them; until then pulling them fails"))
    }
}
