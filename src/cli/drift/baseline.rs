//! `gradus drift baseline`: a profile of data, kept as evidence about a version.

use super::super::{argument, evidence::attached, print::Out};
use super::check::blocking;
use super::key;
use super::performance::{PerformanceArgs, open_labels};
use super::side::{Columns, open};
use crate::check::{Input, Request, Source, check_untold, profile};
use crate::client::Client;
use crate::drift::profile::Profile;
use crate::error::{Error, Result};
use crate::model::digest::Digest;
use crate::model::evidence::{EvidenceKind, MAX_BYTES, Statement};
use crate::model::reference::{Reference, Selector};
use clap::Args;

#[derive(Args)]
pub struct Baseline {
    /// The version, for example acme/ticket-triage:2.0.0
    #[arg(value_parser = argument::<Reference>)]
    reference: Reference,
    /// What it was trained or measured on, or a profile of it: Parquet, Arrow IPC, CSV or NDJSON
    #[arg(long, value_name = "FILES", required = true, num_args = 1..)]
    data: Vec<String>,
    #[command(flatten)]
    columns: Columns,
    #[command(flatten)]
    performance: PerformanceArgs,
}

impl Baseline {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let Self { reference, data, columns, performance } = self;
        let (request, reading) = columns.request()?;
        let request = key::of_namespace(request, None, client, &reference.workload.namespace()).await?;
        let made = blocking(move || {
            let (performance, labels) = performance.performance()?;
            reading.check(&[&data, &labels])?;
            let labels = open_labels(&labels, reading, request.threads)?;
            let request = Request { performance, ..request };
            let source = open(&data, reading, request.threads)?;
            let bytes = match source.as_profile() {
                Some(profile) => {
                    check_untold(profile, &request.sensitive)?;
                    request.check_bins(profile)?;
                    profile.to_bytes()
                }
                None => profile(&source, labels.as_ref(), &request)?.to_bytes(),
            };
            bytes.map_err(|error| Error::too_large("profile_too_large", error.to_string()))
        });
        let bytes = made.await?;
        if bytes.len() > MAX_BYTES {
            let message = format!("the profile has {} bytes, at most {MAX_BYTES} are kept", bytes.len());
            return Err(Error::too_large("profile_too_large", message)
                .hint("leave out columns that need not be watched, with --ignore or --columns"));
        }
        let told = client.attach(&reference, Some(EvidenceKind::DriftBaseline), None, bytes).await?;
        out.data(&told, |out| {
            told.evidence.iter().for_each(|one| out.line(attached(one, &told.workload, &told.version)));
        })
    }
}

/// The newest baseline of a version. Errors: it has none.
pub async fn fetch(client: &Client, reference: &Reference) -> Result<Source> {
    let version = client.resolve(reference).await?;
    let exact =
        Reference { workload: version.workload.clone(), selector: Selector::Digest(version.digest.clone()) };
    let evidence = client.evidence(&exact).await?;
    let newest = evidence.iter().rev().find_map(|evidence| match &evidence.statement {
        Statement::DriftBaseline(baseline) => Some(baseline),
        _ => None,
    });
    let name = format!("{}:{}", version.workload, version.version);
    let baseline = newest.ok_or_else(|| {
        Error::not_found("drift_baseline_missing", format!("{name} has no drift baseline"))
            .hint(format!("gradus drift baseline {name} --data FILES"))
    })?;
    let bytes = client.blob(&version.workload, &baseline.profile, MAX_BYTES as u64).await?;
    if Digest::sha256(&bytes) != baseline.profile {
        let message = format!("the baseline of {name} is not what its digest says: {}", baseline.profile);
        return Err(Error::integrity("drift_baseline_rotten", message).hint("attach it again"));
    }
    let profile = Profile::parse(&bytes).map_err(|error| {
        Error::integrity("drift_baseline_rotten", format!("the baseline of {name}: {error}"))
    })?;
    let input = Input {
        name: format!("baseline of {name}"),
        bytes: bytes.len() as u64,
        sha256: baseline.profile.hex().to_owned(),
    };
    Ok(Source::of_profile(vec![input], profile))
}
