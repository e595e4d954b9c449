//! `gradus export`: versions as an OCI image layout, and what the registry knows, in forms that people and tools elsewhere read.

use super::{
    argument, attest,
    audit::{entry_beside, write_proof},
    print::{Out, bytes, count, quoted},
};
use crate::{
    client::{
        Client,
        carry::{Carried, Writer},
    },
    dossier::Format,
    error::{Error, Result},
    model::reference::Reference,
};
use clap::{Args, Subcommand};
use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Export {
    #[command(subcommand)]
    what: Option<What>,
    /// The versions, for example acme/ticket-triage:^1
    #[arg(value_name = "REF", required = true, value_parser = argument::<Reference>)]
    references: Vec<Reference>,
    /// The folder to write an OCI image layout to, or to add to one that is there
    #[arg(long, value_name = "DIR", required = true)]
    out: Option<PathBuf>,
    /// Leave out what is said about them
    #[arg(long)]
    no_evidence: bool,
}

#[derive(Subcommand)]
enum What {
    /// Everything about one version: for auditors (annex-iv), as a model card, as a bill of materials, as provenance
    Dossier {
        /// The version, for example acme/ticket-triage:2.0.0
        #[arg(value_parser = argument::<Reference>)]
        reference: Reference,
        /// annex-iv, model-card, cyclonedx or slsa
        #[arg(long, value_parser = argument::<Format>)]
        format: Format,
        /// The file to write; without it the dossier is printed
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Replace the file if it is there
        #[arg(long, requires = "out")]
        force: bool,
    },
    /// The registry's word for what a version is: the log's entry that binds name, version and digest, with its proof
    Attestation {
        /// The version, for example acme/ticket-triage:2.0.0
        #[arg(value_parser = argument::<Reference>)]
        reference: Reference,
        /// The file to write the proof to (C2SP tlog-proof); the entry is written to FILE.entry
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Replace the files if they are there
        #[arg(long)]
        force: bool,
    },
}

impl Export {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        match (self.what, self.out) {
            (Some(what), _) => what.run(client, out).await,
            (None, Some(folder)) => layout(client, &self.references, &folder, !self.no_evidence, out).await,
            (None, None) => Err(Error::invalid("usage", "a folder is needed: --out DIR")),
        }
    }
}

/// Writes versions with what is said about them.
async fn layout(
    client: &Client,
    references: &[Reference],
    folder: &Path,
    evidence: bool,
    out: &Out,
) -> Result<()> {
    let registry = client.registry_name().await;
    // All of them are there, or nothing is written.
    let mut versions = Vec::<Carried>::new();
    for reference in references {
        let resolved = client.resolve(reference).await?;
        resolved.warnings.iter().for_each(|warning| out.note(format!("warning: {warning}")));
        let is_known =
            |one: &Carried| (&one.workload, &one.version) == (&resolved.workload, &resolved.version);
        if !versions.iter().any(is_known) {
            versions.push(client.carry(&resolved, evidence, registry.clone()).await?);
        }
    }
    let mut writer = Writer::open(folder)?;
    let sizes = versions.iter().flat_map(Carried::blobs).map(|blob| blob.size);
    let (progress, done) = out.progress("exporting", sizes.sum());
    let mut written = Vec::new();
    for carried in &versions {
        let exported = writer.add(client, carried, progress.clone()).await?;
        out.note(format!(
            "{}: {} there already, {} fetched, {}; {} said about it",
            carried.reference(),
            count(exported.blobs_known, "blob"),
            exported.blobs - exported.blobs_known,
            bytes(exported.bytes_fetched),
            count(carried.said.len(), "thing")
        ));
        left_out(&carried.reference(), &carried.left_out, out);
        written.push(serde_json::json!({
            "workload": carried.workload, "version": carried.version, "digest": carried.document.digest,
            "evidence": carried.said.len(), "left_out": carried.left_out, "written": exported,
        }));
    }
    done();
    out.data(&serde_json::json!({ "out": folder, "versions": written }), |out| {
        for carried in &versions {
            out.line(format!("{} {}", carried.reference(), carried.document.digest));
        }
    })
}

/// Says what of that which is said about a version does not go along. The whole list is in the answer with `--json`.
pub(super) fn left_out(reference: &str, what: &[String], out: &Out) {
    const SHOWN: usize = 20;
    for what in what.iter().take(SHOWN) {
        out.note(format!("note: left out of what is said about {reference}: {what}"));
    }
    if what.len() > SHOWN {
        out.note(format!("note: left out beside these: {}; --json tells all", what.len() - SHOWN));
    }
}

impl What {
    async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let (reference, format, file, force) = match self {
            Self::Dossier { reference, format, out, force } => (reference, format, out, force),
            Self::Attestation { reference, out: file, force } => {
                for written in [file.clone(), entry_beside(&file)] {
                    if !force && written.exists() {
                        return Err(exists(&written));
                    }
                }
                let version = client.show(&reference).await?.version;
                return write_proof(&file, &attest::fetch(client, &version).await?, out);
            }
        };
        if let Some(file) = file.as_deref().filter(|file| !force && file.exists()) {
            return Err(exists(file));
        }
        let text = client.dossier(&reference, format).await?;
        let Some(file) = file else {
            let print = |out: &Out| out.line(text.strip_suffix('\n').unwrap_or(&text));
            // What is JSON already is not wrapped in more of it.
            if format.is_json() {
                print(out);
                return Ok(());
            }
            return out.data(&text, print);
        };
        write(&file, &text, force)?;
        out.done(
            &serde_json::json!({ "format": format.name(), "file": file, "bytes": text.len() }),
            format!("{} written to {}", bytes(text.len() as u64), file.display()),
        )
    }
}

fn write(file: &Path, text: &str, force: bool) -> Result<()> {
    let mut options = OpenOptions::new();
    match force {
        true => options.write(true).create(true).truncate(true),
        false => options.write(true).create_new(true),
    };
    let written = options.open(file).and_then(|mut open| {
        open.write_all(text.as_bytes())?;
        open.sync_all()
    });
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => exists(file),
        _ => Error::invalid("file_unwritable", format!("the file cannot be written: {}", file.display()))
            .source(source)
            .hint("name another with --out"),
    })
}

fn exists(file: &Path) -> Error {
    let name = quoted(&file.to_string_lossy());
    Error::conflict("file_exists", format!("there is such a file already: {}", file.display()))
        .hint(format!("replace it with --out {name} --force"))
}
