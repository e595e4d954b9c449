//! The registry's attestation of a version: the entry of its log that binds namespace, name, version and digest, with the
//! proof that the entry is in the log. A signature over files binds none of the first three.

use super::audit;
use crate::{
    client::Client,
    error::{Error, Kind, Result},
    model::{
        digest::Digest,
        event::{Change, Event},
        name::Workload,
        note::Verifier,
        version::Version,
    },
    wire,
};

/// What is attested.
pub(super) struct Subject<'a> {
    pub workload: &'a Workload,
    pub version: &'a Version,
    pub digest: &'a Digest,
}

/// Fetches the attestation of a version.
pub(super) async fn fetch(client: &Client, version: &wire::VersionView) -> Result<wire::LogProof> {
    let position = version.position.and_then(|position| u64::try_from(position).ok()).ok_or_else(|| {
        Error::not_found(
            "attestation_unknown",
            format!(
                "the registry does not know which entry made this version: {}:{}",
                version.workload, version.version
            ),
        )
        .hint(format!("it is older than attestations are; look for it with: gradus log {}", version.workload))
    })?;
    client.workload_proof(&version.workload, position).await
}

/// Checks an attestation with nothing but the log's key, and that it is about the subject. Answers the entry's position.
pub(super) fn check(attestation: &wire::LogProof, subject: &Subject<'_>, key: &Verifier) -> Result<u64> {
    let Subject { workload, version, digest } = *subject;
    let (position, _) = audit::check(&attestation.proof, attestation.entry.as_bytes(), key)
        .map_err(|error| Error { kind: Kind::Integrity, ..error })?;
    let event = Event::from_bytes(attestation.entry.as_bytes())?;
    match &event.change {
        Change::Pushed { workload: of, version: named, digest: bound, .. }
            if (of, named, bound) == (workload, version, digest) =>
        {
            Ok(position)
        }
        _ => Err(Error::integrity(
            "attestation_invalid",
            format!("the log's entry {position} does not say that {workload}:{version} is {digest}"),
        )
        .hint("the registry answers something else than it has recorded; see: gradus audit verify")),
    }
}
