//! The baseline of a version: the profile that was attached to it last.

use super::super::{Context, blobs};
use crate::{
    check::{Input, Source},
    db::evidence,
    drift::profile::Profile,
    error::{Error, Result},
    model::{
        digest::Digest,
        evidence::{EvidenceKind, MAX_BYTES, Statement},
        name::Workload,
        version::Version,
    },
};

/// `None`: it has none.
pub(super) async fn of(
    cx: &Context,
    workload: &Workload,
    version: &Version,
    digest: &Digest,
) -> Result<Option<Source>> {
    let said =
        evidence::of_kind(&mut cx.db.read().await?, workload, digest, EvidenceKind::DriftBaseline).await?;
    let newest = said.iter().rev().find_map(|evidence| match &evidence.statement {
        Statement::DriftBaseline(baseline) => Some(baseline.profile.clone()),
        _ => None,
    });
    let Some(profile) = newest else { return Ok(None) };
    let bytes = blobs::read_whole(cx, workload, &profile, MAX_BYTES as u64).await?;
    let name = format!("baseline of {workload}:{version}");
    let parsed = Profile::parse(&bytes)
        .map_err(|error| Error::integrity("drift_baseline_rotten", format!("the {name}: {error}")))?;
    let input = Input { name, bytes: bytes.len() as u64, sha256: profile.hex().to_owned() };
    Ok(Some(Source::of_profile(vec![input], parsed)))
}
