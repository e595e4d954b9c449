//! Which number a version gets: the one asked for, if it claims what the contract changed, or the next one.

use super::{
    compose::{Prepared, Wanted},
    resolve::contract_of,
};
use crate::{
    db::{
        Tx,
        versions::{self, VersionRow},
    },
    error::{Error, Result},
    model::{
        contract::{self, Contract, Diff},
        name::Workload,
        version::{Bump, Version},
    },
};
use sha2::{Digest as _, Sha256};

/// The version number: the one asked for, if it claims enough, or the next one.
pub(super) async fn decide(
    tx: &mut Tx,
    workload: &Workload,
    prepared: &Prepared,
    wanted: &Wanted,
) -> Result<(Version, Option<Diff>)> {
    if let Some(version) = &wanted.version {
        check_above(tx, workload, version, &prepared.contract).await?;
        let Some(older) = versions::below(tx, workload, version, true).await? else {
            return Ok((version.clone(), None));
        };
        let diff = contract_diff(&older, &prepared.contract)?;
        check_claim(workload, version, &older.version, &diff)?;
        return Ok((version.clone(), Some(diff)));
    }
    let Some(newest) = versions::newest(tx, workload).await? else {
        return Ok((Version::new(1, 0, 0), None));
    };
    // Compared with what stands, numbered above all that ever was.
    let followed = match newest.yanked_at {
        None => Some(newest.clone()),
        Some(_) => versions::newest_standing(tx, workload).await?,
    };
    let Some(followed) = followed else {
        return Ok((newest.version.bumped(wanted.bump.unwrap_or(Bump::Patch))?, None));
    };
    let diff = contract_diff(&followed, &prepared.contract)?;
    let needed = needed_bump(&diff, &followed.version);
    let next = newest.version.bumped(Bump::Patch)?;
    let version = match wanted.bump {
        None if next.claims_over(&followed.version) >= needed => next,
        bump => newest.version.bumped(bump.unwrap_or(needed))?,
    };
    if let Some(release) = versions::below(tx, workload, &version, true).await? {
        let since_release = contract_diff(&release, &prepared.contract)?;
        let claims = version.claims_over(&release.version);
        if claims < needed_bump(&since_release, &release.version) {
            if wanted.bump.is_some() {
                check_claim(workload, &version, &release.version, &since_release)?;
            }
            let version = release.version.bumped(needed_bump(&since_release, &release.version))?;
            return Ok((version, Some(since_release)));
        }
    }
    Ok((version, Some(diff)))
}

/// A release put below another must not promise what that one, as it is numbered, would break.
async fn check_above(tx: &mut Tx, workload: &Workload, version: &Version, contract: &Contract) -> Result<()> {
    if version.is_prerelease() {
        return Ok(()); // nobody comes to it by a range and moves on
    }
    let Some(newer) = versions::above(tx, workload, version).await? else { return Ok(()) };
    let diff = contract::diff(contract, &contract_of(&newer)?);
    if newer.version.claims_over(version) >= needed_bump(&diff, version) {
        return Ok(());
    }
    Err(too_little(
        format!("the next release, {}, breaks more of this contract than its number says", newer.version),
        &diff,
    )
    .hint("push it under a higher number, or with the contract of the releases around it"))
}

/// The part of the version that a contract change must raise. Below 1.0.0 the parts stand one lower, as
/// Cargo and npm read `^0.2`.
pub(super) fn needed_bump(diff: &Diff, older: &Version) -> Bump {
    let initial = older.semver().major == 0;
    match diff.change {
        contract::Change::Major if initial => Bump::Minor,
        contract::Change::Major => Bump::Major,
        contract::Change::Minor if !initial => Bump::Minor,
        _ => Bump::Patch,
    }
}

fn check_claim(workload: &Workload, version: &Version, older: &Version, diff: &Diff) -> Result<()> {
    let needed = needed_bump(diff, older);
    if version.claims_over(older) >= needed {
        return Ok(());
    }
    Err(too_little(
        format!("{workload}:{version} claims less than its contract changed since {older}, which needs a {needed} bump"),
        diff,
    )
    .hint(format!("push with --bump {needed}, or keep the contract")))
}

fn too_little(message: String, diff: &Diff) -> Error {
    let entry = |entry: &contract::DiffEntry| format!("{} {}: {}", entry.side, entry.path, entry.reason);
    let reasons: Vec<String> = diff.entries.iter().take(5).map(entry).collect();
    Error::invalid("version_claims_too_little", format!("{message}: {}", reasons.join("; ")))
        .details(serde_json::to_value(diff).unwrap_or_default())
}

fn contract_diff(older: &VersionRow, contract: &Contract) -> Result<Diff> {
    Ok(contract::diff(&contract_of(older)?, contract))
}

/// The version as 40 hexadecimal digits: what a git revision looks like.
pub(super) fn revision(workload: &Workload, version: &Version, digest: &str) -> String {
    let mut hash = Sha256::new();
    for part in ["gradus revision", workload.as_str(), &version.to_string(), digest] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    crate::model::digest::hex(&hash.finalize()[..20])
}
