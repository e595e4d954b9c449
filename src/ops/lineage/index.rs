//! Recording what a version is made of: in the transaction that makes it, when a model card says its licence, and later on
//! for what was made before there was an index.

use crate::{
    db::{
        Tx, evidence, lineage, manifests, namespaces,
        versions::{self, VersionRow},
    },
    error::{Error, Result},
    kinds::{Inspection, Safety},
    model::{
        artifact::{Artifact, File, is_weights},
        digest::Digest,
        evidence::{EvidenceKind, Statement},
        kind::{Kind, Tier},
        lineage::{Part, Relation, licence, names_of_base},
        manifest::Manifest,
        name::Workload,
        path::FilePath,
        reference::{Reference, Selector},
    },
    ops::Context,
};
use std::collections::BTreeSet;

/// Most bytes of a name: no index takes much more, and nobody asks for longer ones.
const VALUE_MAX: usize = 1024;

/// Records what a version is made of, in a transaction that has locked its repository.
pub(in crate::ops) async fn record(
    tx: &mut Tx,
    row: &VersionRow,
    manifest: &Manifest,
    inspection: &Inspection,
) -> Result<()> {
    let parts = parts_of(tx, row, manifest, inspection).await?;
    lineage::insert(tx, &row.workload, row.sequence, &parts).await?;
    lineage::link_to(tx, &row.workload, &row.version, &row.digest).await
}

async fn parts_of(
    tx: &mut Tx,
    row: &VersionRow,
    manifest: &Manifest,
    inspection: &Inspection,
) -> Result<Vec<Part>> {
    let recognised = Artifact::recognise(manifest)?
        .ok_or_else(|| Error::corrupt("manifests", &row.digest, "a version's manifest is not recognised"))?;
    let mut parts = BTreeSet::new();
    let finetuned = inspection.finetune.as_ref().map(|finetune| finetune.base.trim().to_owned());
    for base in recognised.base.iter().chain(&inspection.base).chain(&finetuned) {
        parts.extend(names_of_base(base).into_iter().map(|name| Part::new(Relation::Base, name)));
        if let Some(digest) = exactly(tx, base).await? {
            parts.insert(Part { body: true, ..Part::new(Relation::Base, digest.to_string()) });
        }
    }
    if let Some(base) = inspection.base.as_ref().filter(|base| is_hub_name(base)) {
        // Files name a model as its hub does.
        parts.insert(Part::new(Relation::Base, format!("hf:{base}")));
    }
    for dataset in &recognised.datasets {
        parts.insert(Part::new(Relation::Dataset, dataset.digest.to_string()));
        parts.insert(Part::new(Relation::Dataset, dataset.name.clone()));
    }
    if let Some(finetune) = &inspection.finetune {
        for file in &finetune.training_files {
            parts.insert(Part::new(Relation::Dataset, format!("sha256:{}", file.sha256)));
            parts.insert(Part::new(Relation::Dataset, file.name.clone()));
        }
    }
    if let Some(prompt) = recognised.prompt.as_ref().filter(|_| row.tier != Tier::Prompt) {
        parts.insert(Part::new(Relation::Prompt, prompt.digest.to_string()));
        parts.insert(Part::new(Relation::File, prompt.digest.to_string()));
    }
    parts.extend(files(row.kind, &recognised.files));
    parts.extend(flags(inspection).into_iter().map(|flag| Part::new(Relation::Flag, flag)));
    let licence = licence_of(tx, &row.workload, &row.digest, inspection).await?;
    parts.extend(licence.map(|licence| Part::new(Relation::Licence, licence)));
    parts.retain(|part| (1..=VALUE_MAX).contains(&part.value.len()));
    Ok(parts.into_iter().collect())
}

/// What a version is made of, also where that is not recorded yet; `None`: it cannot be read, or not in full.
pub(super) async fn own(tx: &mut Tx, row: &VersionRow) -> Result<Option<Vec<Part>>> {
    let parts = lineage::of_version(tx, &(row.workload.clone(), row.sequence)).await?;
    // Every version has a file.
    if !parts.is_empty() {
        return Ok(Some(parts).filter(|parts| (parts.len() as i64) < lineage::PARTS_MAX));
    }
    match stored(tx, row).await? {
        Some((manifest, inspection)) => Ok(Some(parts_of(tx, row, &manifest, &inspection).await?)),
        None => Ok(None),
    }
}

/// The content that a base names by a version of this registry, which never changes.
async fn exactly(tx: &mut Tx, base: &str) -> Result<Option<Digest>> {
    match base.parse() {
        Ok(Reference { workload, selector: Selector::Version(version) }) => {
            Ok(versions::find(tx, &workload, &version).await?.map(|row| row.digest))
        }
        _ => Ok(None),
    }
}

/// `org/model`, as hubs name models.
fn is_hub_name(name: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic());
    !name.contains([':', '@'])
        && name.split_once('/').is_some_and(|(org, model)| plain(org) && plain(model) && !model.contains('/'))
}

/// Smaller files say nothing of where a version comes from: many have the same.
const BODY_MIN: u64 = 1024;

/// Whether a file is known, by its name, to come along with models of any kind.
fn is_beside(path: &FilePath) -> bool {
    let name = path.file_name().to_ascii_lowercase();
    let ends = [".md", ".txt", ".json", ".yaml", ".yml", ".py"];
    ["license", "licence", "readme", "tokenizer", ".git"].iter().any(|start| name.starts_with(start))
        || ends.iter().any(|end| name.ends_with(end))
}

/// All files, and which of them the version is itself: its weights, or a prompt's template. Where none is known as weights, all
/// may be that are neither small nor known to be something else.
fn files(kind: Kind, files: &[File]) -> Vec<Part> {
    let is_body = |file: &&File| kind == Kind::Prompt || is_weights(&file.path);
    let any = files.iter().any(|file| is_body(&file));
    let may_be = |file: &&File| !any && file.size >= BODY_MIN && !is_beside(&file.path);
    // A digest that is there twice is the body if it is so once.
    let bodies: BTreeSet<&Digest> =
        files.iter().filter(|file| is_body(file) || may_be(file)).map(|file| &file.digest).collect();
    let part = |file: &File| Part {
        relation: Relation::File,
        value: file.digest.to_string(),
        body: bodies.contains(&file.digest),
    };
    files.iter().map(part).collect()
}

fn flags(inspection: &Inspection) -> BTreeSet<&'static str> {
    let of = |what: &str| match what {
        keras if keras.starts_with("Keras") => "keras",
        python if python.starts_with("compiled Python") => "python",
        _ => "pickle",
    };
    let mut flags: BTreeSet<&str> = inspection.findings.iter().map(|finding| of(&finding.what)).collect();
    match inspection.safety {
        Safety::Safe => {}
        Safety::Unsafe => {
            flags.insert("unsafe");
        }
        Safety::Unknown => {
            flags.insert("unverified");
        }
    }
    if !inspection.problems.is_empty() {
        flags.insert("unverified");
    }
    flags
}

/// What the newest model card says, or the file itself.
async fn licence_of(
    tx: &mut Tx,
    workload: &Workload,
    digest: &Digest,
    inspection: &Inspection,
) -> Result<Option<String>> {
    let cards = evidence::of_kind(tx, workload, digest, EvidenceKind::ModelCard).await?;
    let said = cards.iter().rev().find_map(|card| match &card.statement {
        Statement::ModelCard(card) => Some(card.parts.get("license").and_then(|text| licence(text))),
        _ => None,
    });
    let own = || inspection.facts.get("gguf.general.license").and_then(|text| licence(text));
    Ok(said.flatten().or_else(own))
}

/// Notes what a model card that was just attached says of the licence of content.
pub(in crate::ops) async fn licensed(tx: &mut Tx, workload: &Workload, digest: &Digest) -> Result<()> {
    let report = manifests::find_inspection(tx, digest).await?;
    let inspection = report.and_then(|report| serde_json::from_str(&report).ok()).unwrap_or_default();
    let licence = licence_of(tx, workload, digest, &inspection).await?;
    lineage::set_licence(tx, workload, digest, licence.as_deref()).await
}

/// Versions that are recorded in one transaction, and transactions that one call makes while somebody waits for it.
const BATCH: i64 = 200;
const WAITED_FOR: usize = 20;

/// Records what was made before there was an index, or by a replica that does not know of it, in at most so many
/// transactions. Answers whether nothing is left. Any number of replicas may do so at once, and begin again anywhere.
pub async fn catch_up(cx: &Context, most: usize) -> Result<bool> {
    for _ in 0..most {
        let Some((workload, _)) = lineage::behind(&mut cx.db.read().await?, "").await? else {
            return Ok(true);
        };
        let mut tx = cx.db.write().await?;
        namespaces::lock_repository(&mut tx, &workload).await?;
        // Somebody else may have done so meanwhile.
        let Some(from) = lineage::behind_in(&mut tx, &workload).await? else { continue };
        let numbers = lineage::numbers(&mut tx, &workload, from, BATCH).await?;
        let mut to = from + BATCH;
        for (sequence, version) in &numbers {
            if let Some(row) = versions::find(&mut tx, &workload, version).await? {
                record_stored(&mut tx, &row).await?;
            }
            to = *sequence;
        }
        if i64::try_from(numbers.len()).unwrap_or(0) < BATCH {
            to = namespaces::lock_repository(&mut tx, &workload).await?.unwrap_or(to);
        }
        lineage::caught_up(&mut tx, &workload, to).await?;
        tx.commit().await?;
    }
    Ok(lineage::behind(&mut cx.db.read().await?, "").await?.is_none())
}

async fn stored(tx: &mut Tx, row: &VersionRow) -> Result<Option<(Manifest, Inspection)>> {
    let stored = manifests::find(tx, &row.workload, &row.digest).await?;
    let report = manifests::find_inspection(tx, &row.digest).await?;
    Ok(stored.zip(report).and_then(|(stored, report)| {
        let manifest = Manifest::parse(&stored.bytes, Some(&stored.media_type)).ok()?;
        Some((manifest, serde_json::from_str::<Inspection>(&report).ok()?))
    }))
}

async fn record_stored(tx: &mut Tx, row: &VersionRow) -> Result<()> {
    match stored(tx, row).await? {
        Some((manifest, inspection)) => record(tx, row, &manifest, &inspection).await,
        // One that cannot be read must not keep the others from being found.
        None => {
            tracing::error!(workload = %row.workload, version = %row.version, "what a version is made of cannot be read");
            Ok(())
        }
    }
}

/// What is asked of the index must not leave anything out.
pub(in crate::ops) async fn require_whole(cx: &Context) -> Result<()> {
    let most = if cx.local.is_some() { usize::MAX } else { WAITED_FOR };
    if catch_up(cx, most).await? {
        return Ok(());
    }
    Err(Error::unavailable(
        "lineage_incomplete",
        "it is still being recorded what versions are made of that were there before this was asked for",
    )
    .hint("try again in some minutes; the server goes on with it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Finding;

    #[test]
    fn weights_are_the_body_and_what_is_beside_them_is_not() {
        let file = |path: &str| File {
            path: path.parse().unwrap(),
            digest: Digest::sha256(path.as_bytes()),
            size: if path.starts_with("small") { BODY_MIN - 1 } else { BODY_MIN },
        };
        let bodies = |kind, paths: &[&str]| {
            let all: Vec<File> = paths.iter().map(|path| file(path)).collect();
            files(kind, &all).iter().map(|part| part.body).collect::<Vec<_>>()
        };
        assert_eq!(bodies(Kind::Safetensors, &["config.json", "model.safetensors"]), [false, true]);
        assert_eq!(bodies(Kind::Prompt, &["a.prompt.yaml"]), [true]);
        assert_eq!(
            bodies(
                Kind::Files,
                &["a.dat", "b.json", "LICENSE", "docs/Readme.rst", "small.dat", ".gitignore"]
            ),
            [true, false, false, false, false, false],
            "what is not known may be weights"
        );
    }

    #[test]
    fn flags_follow_from_what_was_found() {
        let mut found = Inspection::default();
        assert_eq!(flags(&found), ["unverified"].into());
        found.safety = Safety::Unsafe;
        found.findings = vec![
            Finding { path: "a".into(), what: "pickle: os.system".into() },
            Finding { path: "b".into(), what: "Keras Lambda layer: marshalled Python code".into() },
        ];
        assert_eq!(flags(&found), ["keras", "pickle", "unsafe"].into());
    }

    #[test]
    fn only_what_looks_like_a_model_of_a_hub_is_one() {
        for (name, is_one) in [
            ("org/model", true),
            ("model", false),
            ("a/b/c", false),
            ("/model", false),
            ("hf:org/model", false),
        ] {
            assert_eq!(is_hub_name(name), is_one, "{name}");
        }
    }
}
