//! `gradus pull` and `gradus verify`.

use super::{
    argument, attest,
    files::collect,
    print::{Out, bytes, count, quoted},
    sign::Trust,
};
use crate::{
    client::{Client, PullOutcome, Pulled, hash_file},
    error::{Error, Result},
    model::{
        artifact::File,
        note::Verifier,
        path::FilePath,
        reference::{Reference, Selector},
        resolution::Resolution,
    },
};
use clap::Args;
use std::path::{Path, PathBuf};

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
        let files = client.files(&resolved).await?;
        let total = files.iter().map(|file| file.size).sum();
        let (progress, done) = out.progress("pulling", total);
        let pulled = client.pull(&resolved.workload, files, &self.out, self.force, progress).await;
        done();
        let pulled = pulled?;
        out.note(fetched(&pulled));
        let data = serde_json::json!({
            "workload": resolved.workload, "version": resolved.version, "digest": resolved.digest, "out": self.out,
            "files": pulled.iter().map(|file| &file.file).collect::<Vec<_>>(),
        });
        out.data(&data, |out| {
            out.line(format!("{}:{} {}", resolved.workload, resolved.version, resolved.digest))
        })
    }
}

fn fetched(files: &[Pulled]) -> String {
    let fetched = files.iter().filter(|file| file.outcome == PullOutcome::Fetched);
    let (number, moved) = fetched.fold((0, 0), |(number, moved), file| (number + 1, moved + file.file.size));
    let (all, moved) = (count(files.len(), "file"), bytes(moved));
    match number == files.len() {
        true => format!("{all} fetched and verified, {moved}"),
        false => format!("{all} verified, {number} of them fetched, {moved}"),
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
    #[command(flatten)]
    trust: Trust,
    /// The log's key (gradus audit key), kept from elsewhere: also check the registry's attestation that binds name,
    /// version and digest
    #[arg(long, value_name = "KEY", value_parser = argument::<Verifier>)]
    log_key: Option<Verifier>,
}

impl Verify {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let resolved = client.resolve(&self.reference).await?;
        let contents = client.contents(&resolved).await?;
        let files = contents.all();
        match &self.directory {
            None => {
                let (progress, done) = out.progress("verifying", files.iter().map(|file| file.size).sum());
                for file in &files {
                    client.verify_blob(&resolved.workload, file, &progress).await?;
                }
                done();
            }
            Some(directory) => self.compare(directory, &files, out).await?,
        }
        let have = match files.len() {
            1 => "1 file has the bytes its digest names".to_owned(),
            many => format!("{many} files have the bytes their digests name"),
        };
        out.note(have);
        let signed = self.trust.check(client, &resolved, &contents).await?;
        if let Some(signed) = &signed {
            out.note(signed.to_string());
        }
        let attested = match &self.log_key {
            None => None,
            Some(key) => {
                let Resolution { workload, version, digest, .. } = &resolved;
                let reference =
                    Reference { workload: workload.clone(), selector: Selector::Version(version.clone()) };
                let shown = client.show(&reference).await?.version;
                let subject = attest::Subject { workload, version, digest };
                let position = attest::check(&attest::fetch(client, &shown).await?, &subject, key)?;
                out.note(format!(
                    "attested by entry {position} of the log: {workload}:{version} is {digest}"
                ));
                Some(position)
            }
        };
        let data = serde_json::json!({
            "workload": resolved.workload, "version": resolved.version, "digest": resolved.digest, "files": files,
            "signed": signed, "attested_by": attested,
        });
        out.data(&data, |out| {
            out.line(format!("{}:{} {} verified", resolved.workload, resolved.version, resolved.digest))
        })
    }

    /// Refuses a directory that has not exactly these files.
    async fn compare(&self, directory: &Path, files: &[File], out: &Out) -> Result<()> {
        let place = quoted(&directory.to_string_lossy());
        let reference = quoted(&self.reference.to_string());
        let pull = |more| out.command(&format!("pull {reference} --out {place}{more}"));
        let here = collect(directory).map_err(|error| match error.code {
            "file_not_found" | "artifact_empty" => error.hint(pull("")),
            _ => error,
        })?;
        let differs = |what: &str, path: &FilePath| {
            Error::integrity(
                "directory_differs",
                format!("{what}: {}", directory.join(path.as_str()).display()),
            )
        };
        for file in files {
            let Some(found) = here.iter().find(|found| found.path == file.path) else {
                return Err(differs("a file is missing", &file.path).hint(pull("")));
            };
            if hash_file(&found.source).await? != file.digest {
                return Err(differs("a file has other content", &file.path).hint(pull(" --force")));
            }
        }
        let extra = here.iter().find(|found| !files.iter().any(|file| file.path == found.path));
        match extra {
            None => Ok(()),
            Some(extra) => Err(differs("there is one file more", &extra.path).hint(format!(
                "move it elsewhere, or push what is there: {}",
                out.command(&format!("push {place} --to {}", self.reference.workload))
            ))),
        }
    }
}
