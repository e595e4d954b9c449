//! `gradus import`.

use super::{
    argument,
    export::left_out,
    print::{Out, bytes, count},
    push::ensure_namespace,
};
use crate::{
    client::{
        Client, Digests,
        carry::{Carried, Delivered, Layout, Source, Standing, Wanted},
    },
    config::Config,
    error::{Error, Result},
    model::reference::{Reference, Selector},
};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub struct Import {
    /// The folder with the layout
    #[arg(value_name = "DIR")]
    layout: PathBuf,
    /// Names in it, for example 1.2.0, or digests; without any, all its versions
    #[arg(value_name = "REF_NAME")]
    names: Vec<String>,
    /// The workload to bring them to, NAMESPACE/NAME; with :VERSION also the number that one of them gets
    #[arg(long, value_name = "WORKLOAD[:VERSION]", value_parser = argument::<Reference>)]
    to: Option<Reference>,
    /// Verify all, and say what would be sent; send nothing
    #[arg(long)]
    dry_run: bool,
}

impl Import {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let wanted = self.wanted()?;
        let layout = Layout::open(&self.layout)?;
        let (versions, notes) = layout.versions(&wanted)?;
        notes.iter().for_each(|note| out.note(format!("note: {note}")));

        // All of it is verified, all numbers are free, and there is room for it, before anything is sent.
        let mut blobs: Vec<_> = versions.iter().flat_map(Carried::blobs).collect();
        blobs.sort_by(|a, b| (&a.digest, a.size).cmp(&(&b.digest, b.size)));
        blobs.dedup_by(|a, b| (&a.digest, a.size) == (&b.digest, b.size));
        let (progress, done) = out.progress("verifying", blobs.iter().map(|blob| blob.size).sum());
        let verified = layout.verify(blobs, progress).await;
        done();
        verified?;
        let work = client.standings(versions).await?;
        let digests = Digests::open(Config::default_cache_dir().ok());
        let source = Source::Layout(&layout, &digests);
        let room = client.expect_room(&work, &source).await;
        if self.dry_run {
            would(&work, out)?;
            return room.map_err(|mut error| {
                error.message = format!("the import would be refused: {}", error.message);
                error
            });
        }
        room?;
        let (progress, done) = out.progress("importing", work.iter().map(|(_, it)| it.size()).sum());
        let mut all = Vec::new();
        let mut failed = None;
        for (carried, standing) in work {
            let deliver = async {
                ensure_namespace(client, &carried.workload, out).await?;
                // What two versions share was sent with the first.
                let standing = if all.is_empty() { standing } else { client.standing(&carried).await? };
                client.deliver(&carried, standing, &source, &progress).await
            };
            match deliver.await {
                Ok(delivered) => all.push(delivered),
                Err(mut error) => {
                    error.message = format!("{}: {}", carried.reference(), error.message);
                    failed = Some(error);
                    break;
                }
            }
        }
        done();
        let Some(error) = failed else { return report(&all, out) };
        // What came of the others is told first.
        if !all.is_empty()
            && let Err(also) = report(&all, out)
        {
            out.note(format!("{} [{}]", also.message, also.code));
        }
        Err(error)
    }

    fn wanted(&self) -> Result<Wanted> {
        let names = self.names.clone();
        let Some(Reference { workload, selector }) = self.to.clone() else {
            return Ok(Wanted { names, ..Wanted::default() });
        };
        let version = match selector {
            Selector::Default => None,
            Selector::Version(version) => Some(version),
            other => {
                return Err(Error::invalid(
                    "usage",
                    format!("--to takes a version number, not the {}: {workload}{other}", other.describe()),
                )
                .hint(format!("--to {workload}, or --to {workload}:1.0.0")));
            }
        };
        Ok(Wanted { names, workload: Some(workload), version })
    }
}

fn would(work: &[(Carried, Standing)], out: &Out) -> Result<()> {
    let one = |(carried, standing): &(Carried, Standing)| {
        json!({
            "workload": carried.workload, "version": carried.version, "digest": carried.document.digest,
            "is_there": standing.is_there, "blobs": standing.missing.len(), "bytes": standing.size(),
            "evidence": carried.said.len(), "left_out": carried.left_out,
        })
    };
    let data: Vec<_> = work.iter().map(one).collect();
    out.note("verified; nothing was sent");
    work.iter().for_each(|(carried, _)| left_out(&carried.reference(), &carried.left_out, out));
    out.data(&data, |out| {
        for (carried, standing) in work {
            let what = if standing.is_there { "is there already" } else { "would be made" };
            let (blobs, size) = (count(standing.missing.len(), "blob"), bytes(standing.size()));
            out.line(format!(
                "{} {} {what}; {blobs} to send, {size}; {} said about it",
                carried.reference(),
                carried.document.digest,
                count(carried.said.len(), "thing")
            ));
        }
    })
}

/// Says what came of each version: the version on stdout, how on stderr.
pub(super) fn report(all: &[Delivered], out: &Out) -> Result<()> {
    for one in all {
        let reference = format!("{}:{}", one.workload, one.version);
        let what = if one.created { "made" } else { "is there already" };
        let moved = match one.blobs_sent + one.blobs_known {
            0 => "nothing to send".to_owned(),
            _ => format!(
                "{} there already, {} sent, {}",
                count(one.blobs_known, "blob"),
                one.blobs_sent,
                bytes(one.bytes_sent)
            ),
        };
        out.note(format!("{reference} {what}; {moved}"));
        if one.evidence + one.imported + one.evidence_known > 0 {
            out.note(format!(
                "said about it: {} as it was, {} for information only, {} there already",
                one.evidence, one.imported, one.evidence_known
            ));
        }
        left_out(&reference, &one.left_out, out);
    }
    if all.iter().any(|one| one.imported > 0) {
        out.note(
            "note: approvals, drift reports and health of another registry inform; they do not count here",
        );
    }
    if all.iter().any(|one| one.created) {
        out.note("note: stages and aliases are not brought along; move them with gradus promote and gradus alias set");
    }
    out.data(&all, |out| {
        for one in all {
            out.line(format!("{}:{} {}", one.workload, one.version, one.digest));
        }
    })?;
    let refused: Vec<&String> = all.iter().flat_map(|one| &one.refused).collect();
    let Some(first) = refused.first() else { return Ok(()) };
    refused.iter().skip(1).take(20).for_each(|said| out.note(format!("not taken: {said}")));
    Err(Error::invalid(
        "evidence_not_taken",
        format!("not taken of what is said: {}; the first: {first}", count(refused.len(), "piece")),
    )
    .hint("the versions are there; look at it with gradus eval list"))
}
