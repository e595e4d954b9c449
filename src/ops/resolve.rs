//! From a reference to the version it means, and what a consumer needs to run it.

use super::{Context, memo::Resolved, policy::effective, purged};
use crate::{
    db::{Tx, stages, tags, versions},
    error::{Error, Result},
    model::{
        contract::Contract,
        digest::Digest,
        name::Workload,
        reference::{Reference, Selector},
        resolution::{Document, Resolution},
        stage::Stage,
    },
};
use std::sync::Arc;
use versions::VersionRow;

/// The version a selector means now. What was purged is told of, and not used any more.
pub(super) async fn find(
    cx: &Context,
    tx: &mut Tx,
    workload: &Workload,
    selector: &Selector,
) -> Result<VersionRow> {
    let row = find_any(cx, tx, workload, selector).await?;
    match &row.purged {
        Some(purged) => Err(purged::gone(&format!("{workload}:{}", row.version), purged)),
        None => Ok(row),
    }
}

/// The same, also where its content was taken away: for those who want to know of it only.
pub(super) async fn find_any(
    cx: &Context,
    tx: &mut Tx,
    workload: &Workload,
    selector: &Selector,
) -> Result<VersionRow> {
    let row = match selector {
        Selector::Digest(digest) => versions::find_by_digest(tx, workload, digest).await?,
        Selector::Version(version) => versions::find(tx, workload, version).await?,
        Selector::Latest => {
            let from = ranges_from(cx, tx, workload).await?;
            versions::latest(tx, workload, from.as_ref()).await?
        }
        Selector::Range(range) => {
            let from = ranges_from(cx, tx, workload).await?;
            versions::highest(tx, workload, range, from.as_ref()).await?
        }
        Selector::Alias(alias) => match stage(cx, tx, workload, selector).await? {
            Some(stage) => at_stage(tx, workload, &stage).await?,
            None => match tags::find(tx, workload, alias.as_str()).await? {
                Some(digest) => versions::find_by_digest(tx, workload, &digest).await?,
                None => None,
            },
        },
        Selector::Stage(name) => {
            let effective = effective(cx, tx, workload.as_str()).await?;
            at_stage(tx, workload, effective.stage(name.as_str())?).await?
        }
        Selector::Default => match effective(cx, tx, workload.as_str()).await?.last() {
            Some(last) => at_stage(tx, workload, last).await?,
            None => None,
        },
    };
    match row {
        Some(row) => Ok(row),
        None => Err(nothing_there(tx, workload, selector).await?),
    }
}

async fn at_stage(tx: &mut Tx, workload: &Workload, stage: &Stage) -> Result<Option<VersionRow>> {
    match stages::holds(tx, workload, stage).await? {
        Some(version) => versions::find(tx, workload, &version).await,
        None => Ok(None),
    }
}

/// The stage a word names in this workload: a built-in one always, another one if the policy has it.
pub(super) async fn stage(
    cx: &Context,
    tx: &mut Tx,
    workload: &Workload,
    selector: &Selector,
) -> Result<Option<Stage>> {
    match selector {
        Selector::Stage(stage) => Ok(Some(stage.clone())),
        Selector::Alias(word) => {
            let effective = effective(cx, tx, workload.as_str()).await?;
            Ok(effective.stages.iter().find(|stage| stage.as_str() == word.as_str()).cloned())
        }
        _ => Ok(None),
    }
}

/// The stage that a version must have entered for ranges and `latest` to match it. What the policy names; without a
/// word from it the last stage, as soon as anything has entered it.
async fn ranges_from(cx: &Context, tx: &mut Tx, workload: &Workload) -> Result<Option<Stage>> {
    let effective = effective(cx, tx, workload.as_str()).await?;
    match (&effective.ranges_from, effective.last()) {
        (Some(named), _) => Ok(Some(named.clone())),
        (None, Some(last)) => {
            let entered = stages::holds(tx, workload, last).await?.is_some();
            Ok(entered.then(|| last.clone()))
        }
        (None, None) => Ok(None),
    }
}

/// Says what there is instead.
async fn nothing_there(tx: &mut Tx, workload: &Workload, selector: &Selector) -> Result<Error> {
    let newest = versions::list(tx, workload, &versions::Filter::default(), None, 20).await?;
    if newest.is_empty() {
        return Ok(Error::not_found(
            "workload_unknown",
            format!("no such workload, or it has no version yet: {workload}"),
        )
        .hint(format!("push one with: gradus push PATH --to {workload}")));
    }
    let newest = newest.iter().filter(|row| row.purged.is_none()).take(3);
    let newest: Vec<String> = newest.map(|row| row.version.to_string()).collect();
    let aliases = tags::list_aliases(tx, workload, "", 5).await?;
    let mut names = Vec::new();
    if !newest.is_empty() {
        names.push(format!("newest versions {}", newest.join(", ")));
    }
    if !aliases.is_empty() {
        let aliases: Vec<String> = aliases.into_iter().map(|alias| alias.alias).collect();
        names.push(format!("aliases {}", aliases.join(", ")));
    }
    let message = match selector {
        Selector::Default => {
            format!("nothing has entered the last stage of {workload}, and no TAG was given")
        }
        Selector::Stage(stage) => format!("nothing has entered this stage of {workload}: {stage}"),
        Selector::Latest => {
            format!(
                "no release of {workload} to be the latest (pre-releases, yanked versions and what has not been promoted do not count)"
            )
        }
        other => format!(
            "no version of {workload} for the {}: {}",
            other.describe(),
            other.to_string().trim_start_matches([':', '@'])
        ),
    };
    let hint = match names.is_empty() {
        true => format!("its newest versions were purged; all there are: gradus list {workload}"),
        false => format!("there is: {}", names.join("; ")),
    };
    Ok(Error::not_found("version_unknown", message).hint(hint))
}

pub(super) fn document_of(row: &VersionRow) -> Result<Document> {
    serde_json::from_str(&row.document).map_err(|_| {
        Error::corrupt("versions", format!("{}:{}", row.workload, row.version), "the document cannot be read")
    })
}

pub(super) fn contract_of(row: &VersionRow) -> Result<Contract> {
    let document = document_of(row)?;
    Ok(Contract::stored(document.contract.input, document.contract.output))
}

/// Resolves a reference. The answer is remembered until anything changes.
pub async fn resolve(cx: &Context, reference: &str) -> Result<Arc<Resolved>> {
    let length = cx.epoch().await?;
    if let Some(resolved) = cx.memo.resolution(length, reference) {
        return Ok(resolved);
    }
    let parsed: Reference = reference.parse()?;
    let mut tx = cx.db.read().await?;
    let row = find(cx, &mut tx, &parsed.workload, &parsed.selector).await?;
    let quarantined = super::quarantine::check_pull(cx, &mut tx, &row).await?;
    drop(tx);
    let mut resolution = resolution(reference.to_owned(), row)?;
    resolution.warnings.extend(quarantined);
    let json = serde_json::to_vec(&resolution).map_err(|source| {
        Error::internal("document_encoding", "a resolution could not be written").source(source)
    })?;
    let etag = format!("\"{}\"", &Digest::sha256(&json).hex()[..32]);
    let resolved = Arc::new(Resolved { resolution, json: json.into(), etag });
    cx.memo.keep_resolution(length, reference.to_owned(), &resolved);
    Ok(resolved)
}

fn resolution(reference: String, row: VersionRow) -> Result<Resolution> {
    let document = document_of(&row)?;
    let mut warnings = Vec::new();
    let yanked = row.yanked_at.is_some().then(|| row.yanked_because.clone().unwrap_or_default());
    if let Some(reason) = &yanked {
        warnings.push(format!("{}:{} was yanked: {reason}", row.workload, row.version));
    }
    Ok(Resolution {
        reference,
        workload: row.workload,
        version: row.version,
        digest: row.digest,
        tier: row.tier,
        kind: row.kind,
        sequence: row.sequence,
        revision: row.revision,
        yanked,
        warnings,
        document,
    })
}
