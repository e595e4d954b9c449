//! `gradus pull` and `gradus verify`.

use super::{
    argument,
    print::{Out, bytes},
    push::collect,
};
use crate::{
    client::{Client, PullOutcome, hash_file},
    error::{Error, Result},
    model::reference::Reference,
};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub struct Pull {
    /// What to fetch, for example acme/ticket-triage:^1
    #[arg(value_parser = argument::<Reference>)]
    reference: Reference,
    /// The directory to write into
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Replace files that are there with other content
    #[arg(long)]
    force: bool,
}

impl Pull {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let resolved = client.resolve(&self.reference).await?;
        for warning in &resolved.warnings {
            out.note(format!("warning: {warning}"));
        }
        let files = client.files(&resolved.workload, &resolved.digest).await?;
        let total = files.iter().map(|file| file.size).sum();
        let (progress, done) = out.progress("pulling", total);
        let pulled = client.pull(&resolved.workload, files, &self.out, self.force, progress).await;
        done();
        let pulled = pulled?;
        let fetched: Vec<_> = pulled.iter().filter(|file| file.outcome == PullOutcome::Fetched).collect();
        let moved = fetched.iter().map(|file| file.file.size).sum();
        out.note(format!(
            "{} of {} files fetched and verified, {}",
            fetched.len(),
            pulled.len(),
            bytes(moved)
        ));
        let data = serde_json::json!({
            "workload": resolved.workload, "version": resolved.version, "digest": resolved.digest, "out": self.out,
            "files": pulled.iter().map(|file| &file.file).collect::<Vec<_>>(),
        });
        out.data(&data, |out| {
            out.line(format!("{}:{} {}", resolved.workload, resolved.version, resolved.digest))
        })
    }
}

#[derive(Args)]
pub struct Verify {
    /// What to check
    #[arg(value_parser = argument::<Reference>)]
    reference: Reference,
    /// Check this directory instead of the registry's own bytes
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Verify {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let resolved = client.resolve(&self.reference).await?;
        let files = client.files(&resolved.workload, &resolved.digest).await?;
        match &self.directory {
            None => {
                let (progress, done) = out.progress("verifying", files.iter().map(|file| file.size).sum());
                for file in &files {
                    client.verify_blob(&resolved.workload, file, &progress).await?;
                }
                done();
            }
            Some(directory) => {
                let here = collect(directory)?;
                for file in &files {
                    let found = here.iter().find(|found| found.path == file.path);
                    let wrong = |what: &str| {
                        Err(Error::integrity("directory_differs", format!("{what}: {}", file.path))
                            .hint(format!("fetch it again: gradus pull {} --out DIR", self.reference)))
                    };
                    match found {
                        None => return wrong("the directory lacks a file"),
                        Some(found) if hash_file(&found.source).await? != file.digest => {
                            return wrong("a file has other content");
                        }
                        Some(_) => {}
                    }
                }
                if let Some(extra) =
                    here.iter().find(|found| !files.iter().any(|file| file.path == found.path))
                {
                    return Err(Error::integrity(
                        "directory_differs",
                        format!("the directory has a file more: {}", extra.path),
                    ));
                }
            }
        }
        out.note(format!("{} files have the bytes their digests name", files.len()));
        let data = serde_json::json!({ "workload": resolved.workload, "version": resolved.version, "digest": resolved.digest, "files": files });
        out.data(&data, |out| {
            out.line(format!("{}:{} {} verified", resolved.workload, resolved.version, resolved.digest))
        })
    }
}
