//! `gradus gc` and `gradus scrub`.

use super::print::{Out, bytes, count};
use crate::{
    client::Client,
    error::{Error, Result},
    wire,
};
use clap::Args;

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
                "{verb} {}, {}, {}, {} without a row: {}",
                count(report.links, "link"),
                count(report.blobs, "blob"),
                count(report.uploads, "idle upload"),
                count(report.orphans, "object"),
                bytes(report.bytes)
            ));
        })?;
        if let Some(why) = &report.stopped {
            out.note(format!("it stopped before the end: {why}"));
        }
        if !report.deleted {
            out.note("nothing was changed; blobs follow their links in the run that deletes them");
            let grace = self.grace.map(|hours| format!(" --grace {hours}")).unwrap_or_default();
            out.note(format!("next: {}", out.command(&format!("gc --delete{grace}"))));
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
                rotten.versions.iter().for_each(|version| out.line(format!("        needed by {version}")));
            }
            for digest in &report.restored {
                out.line(format!("whole again  {digest}"));
            }
            out.line(format!(
                "{} checked, {}; {} rotten",
                count(report.checked, "object"),
                bytes(report.bytes),
                report.rotten.len()
            ));
        })?;
        if report.reindexed > 0 {
            out.note(format!("entries of the map made or corrected: {}", report.reindexed));
        }
        if report.rotten.is_empty() {
            return Ok(());
        }
        let blobs = match report.rotten.len() {
            1 => "1 blob is not what its digest says".to_owned(),
            many => format!("{many} blobs are not what their digests say"),
        };
        Err(Error::integrity("rot_found", blobs)
            .hint("push the affected files again: that heals them; until then pulling them fails"))
    }
}
