//! Reading what there is: workloads, versions, one version in full, the difference of two.

use super::{
    Context, purged, quarantine,
    resolve::{contract_of, document_of, find_any},
};
use crate::{
    db::{manifests, namespaces, tags, versions},
    error::{Error, Result},
    gates::Quarantine,
    kinds::Inspection,
    model::{
        access::{Actor, Permission},
        artifact::{Artifact, File},
        contract::{self, Diff},
        manifest::Manifest,
        name::{Namespace, Workload},
        reference::Reference,
        resolution::Document,
        version::Version,
    },
};

pub use versions::{Filter, VersionRow};

/// Workloads the actor may see, with their number of versions, after a name.
pub async fn workloads(
    cx: &Context,
    actor: &Actor,
    namespace: Option<&Namespace>,
    after: &str,
    limit: i64,
) -> Result<Vec<(Workload, i64)>> {
    if let Some(namespace) = namespace {
        actor.require(Permission::Read, namespace)?;
        super::namespaces::show(cx, namespace).await?;
    }
    let mut tx = cx.db.read().await?;
    let (mut after, mut visible) = (after.to_owned(), Vec::new());
    loop {
        let page = namespaces::list_workloads(&mut tx, namespace, &after, super::PAGE_MAX).await?;
        let Some((last, _)) = page.last() else { return Ok(visible) };
        after = last.to_string();
        for row in page.into_iter().filter(|(workload, _)| actor.may(Permission::Read, &workload.namespace()))
        {
            visible.push(row);
            if visible.len() as i64 == limit {
                return Ok(visible);
            }
        }
    }
}

/// Versions of a workload, newest first, below a version.
pub async fn list_versions(
    cx: &Context,
    workload: &Workload,
    filter: &Filter,
    below: Option<&Version>,
    limit: i64,
) -> Result<Vec<VersionRow>> {
    let mut tx = cx.db.read().await?;
    let rows = versions::list(&mut tx, workload, filter, below, limit).await?;
    if rows.is_empty() && !versions::any(&mut tx, workload).await? {
        return Err(Error::not_found(
            "workload_unknown",
            format!("no such workload, or it has no version yet: {workload}"),
        )
        .hint(format!("push one with: gradus push PATH --to {workload}")));
    }
    Ok(rows)
}

/// A version with everything the registry knows of it.
pub struct Shown {
    pub row: VersionRow,
    /// None of what was purged.
    pub document: Option<Document>,
    pub files: Vec<File>,
    pub inspection: Inspection,
    pub aliases: Vec<String>,
    /// What in quarantine it is, or is made from.
    pub quarantined: Vec<Quarantine>,
}

pub async fn show(cx: &Context, reference: &Reference) -> Result<Shown> {
    let mut tx = cx.db.read().await?;
    let row = find_any(cx, &mut tx, &reference.workload, &reference.selector).await?;
    let corrupt = |what| Error::corrupt("versions", format!("{}:{}", row.workload, row.version), what);
    let manifest =
        manifests::find(&mut tx, &row.workload, &row.digest).await?.ok_or_else(|| corrupt("no manifest"))?;
    let report =
        manifests::find_inspection(&mut tx, &row.digest).await?.ok_or_else(|| corrupt("no inspection"))?;
    let aliases = tags::list_aliases(&mut tx, &row.workload, "", super::PAGE_MAX).await?;
    let manifest = Manifest::parse(&manifest.bytes, Some(&manifest.media_type))?;
    let recognised =
        Artifact::recognise(&manifest)?.ok_or_else(|| corrupt("the manifest is not an artifact"))?;
    let mut files = recognised.files;
    files.extend(recognised.prompt);
    Ok(Shown {
        document: if row.purged.is_none() { Some(document_of(&row)?) } else { None },
        quarantined: quarantine::on(cx, &mut tx, &row).await?,
        files,
        inspection: serde_json::from_str(&report).map_err(|_| corrupt("the inspection cannot be read"))?,
        aliases: aliases
            .into_iter()
            .filter(|alias| alias.digest == row.digest)
            .map(|alias| alias.alias)
            .collect(),
        row,
    })
}

/// What differs from one version to another.
pub struct Difference {
    pub from: Shown,
    pub to: Shown,
    pub contract: Diff,
    pub added: Vec<File>,
    pub removed: Vec<File>,
    /// The same path with other content: before, after.
    pub changed: Vec<(File, File)>,
}

/// Compares two versions, also of two workloads.
pub async fn diff(cx: &Context, from: &Reference, to: &Reference) -> Result<Difference> {
    let (from, to) = (show(cx, from).await?, show(cx, to).await?);
    for row in [&from.row, &to.row] {
        if let Some(purged) = &row.purged {
            return Err(purged::gone(&format!("{}:{}", row.workload, row.version), purged));
        }
    }
    let contract = contract::diff(&contract_of(&from.row)?, &contract_of(&to.row)?);
    let same_path = |files: &[File], file: &File| files.iter().find(|other| other.path == file.path).cloned();
    let added = to.files.iter().filter(|file| same_path(&from.files, file).is_none()).cloned().collect();
    let removed = from.files.iter().filter(|file| same_path(&to.files, file).is_none()).cloned().collect();
    let changed = from
        .files
        .iter()
        .filter_map(|before| same_path(&to.files, before).map(|after| (before.clone(), after)))
        .filter(|(before, after)| before.digest != after.digest)
        .collect();
    Ok(Difference { contract, added, removed, changed, from, to })
}
