//! Restoring a backup into an empty registry, on whatever database and stores: the bytes first, each verified and under a
//! new key, then all facts in one transaction. Until that is committed there is no registry, and what was written goes again.

mod source;

use source::HEAD;
pub use source::Source;

use crate::{
    blobs::{Key, Resume, Store, Stores},
    db::{Db, Tx, facts},
    error::{Error, Kind, Result},
    model::digest::Digest,
};
use bytes::Bytes;
use chrono::{SecondsFormat, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    io::Read as _,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::mpsc;

/// Blobs written at a time.
const AT_A_TIME: usize = 4;
const PIECE: usize = 512 * 1024;

/// What whoever restores has decided.
#[derive(Default)]
pub struct Choices {
    /// Where the contents of a store of the original go: its name, and that of one that is configured here.
    pub stores: BTreeMap<String, String>,
    /// Go on without blobs whose bytes the backup does not have: they count as rotten until they are pushed again.
    pub accept_missing: bool,
    /// Write into stores that are the original's own, whose database is lost.
    pub reuse_stores: bool,
}

#[derive(Debug, serde::Serialize)]
pub struct Restored {
    pub facts: u64,
    pub blobs: u64,
    pub bytes: u64,
    /// Without bytes.
    pub missing: Vec<Digest>,
}

/// What was written of a blob: the object's key, or none where there are no bytes.
type Written = HashMap<(String, Digest), Option<Key>>;

/// Whether the database has no registry.
pub async fn check_empty(db: &Db) -> Result<()> {
    if super::start::is_new(db).await? {
        return Ok(());
    }
    Err(not_empty())
}

/// Restores into a database that is of the backup's schema and empty. `told`: of bytes written.
pub async fn restore(
    db: &Db,
    stores: &Stores,
    key_id: &str,
    source: Source,
    choices: &Choices,
    told: impl Fn(u64),
) -> Result<Restored> {
    check_empty(db).await?;
    let names = target_names(&source, stores, choices)?;
    for name in names.values().collect::<BTreeSet<_>>() {
        check_store(stores.get(name)?, key_id, choices).await?;
    }
    let (absent, rotten) = (source.absent(), source.rotten());
    let missing: Vec<Digest> = absent.difference(&rotten).cloned().collect();
    if !missing.is_empty() && !choices.accept_missing {
        return Err(incomplete(&missing));
    }
    // From here to the commit the place is ours: whoever else wants it waits for this row, and then finds a registry.
    let mut tx = db.write().await?;
    if let Some(head) = facts::table(&mut tx, HEAD).await? {
        let row = std::slice::from_ref(&source.log_head);
        facts::write(&mut tx, &head, row).await.map_err(|error| match error.kind {
            Kind::Internal => not_empty().source(error),
            _ => error,
        })?;
    }
    let source = Arc::new(source);
    let written = Mutex::new(Written::new());
    let outcome = async {
        let bad = copy_blobs(stores, &source, &names, &absent, &written, &told).await?;
        let missing: Vec<Digest> = bad.difference(&rotten).cloned().collect();
        if !missing.is_empty() && !choices.accept_missing {
            return Err(incomplete(&missing));
        }
        write_facts(&mut tx, &source, &names, &written).await?;
        commit(db, tx).await
    };
    let outcome = outcome.await;
    let written = written.into_inner().unwrap_or_else(PoisonError::into_inner);
    match outcome {
        Ok(()) => {
            let of = |digest: &Digest| written.iter().any(|((_, of), key)| of == digest && key.is_some());
            let digests: BTreeSet<&Digest> = source.blobs.iter().map(|blob| &blob.digest).collect();
            let (there, missing): (Vec<&Digest>, Vec<&Digest>) =
                digests.into_iter().partition(|digest| of(digest));
            let is_there: BTreeSet<&Digest> = there.into_iter().collect();
            let sizes = source.blobs.iter().filter(|blob| is_there.contains(&blob.digest));
            Ok(Restored {
                facts: source.facts,
                blobs: is_there.len() as u64,
                bytes: sizes.map(|blob| (&blob.digest, blob.size)).collect::<BTreeMap<_, _>>().values().sum(),
                missing: missing.into_iter().cloned().collect(),
            })
        }
        // Nobody can tell whether the facts need the objects. If they do not, garbage collection takes them.
        Err(error) if error.code == UNKNOWN => Err(error),
        Err(error) => {
            for ((store, _), key) in written {
                let (Some(key), Ok(store)) = (key, stores.get(&store)) else { continue };
                if let Err(error) = store.delete(key).await {
                    tracing::warn!(%key, %error, "an object that was restored is left behind");
                }
            }
            Err(error)
        }
    }
}

const UNKNOWN: &str = "restore_unknown";

/// Commits. Where the answer is lost, the database is asked what came of it.
async fn commit(db: &Db, tx: Tx) -> Result<()> {
    let Err(error) = tx.commit().await else { return Ok(()) };
    tokio::time::sleep(Duration::from_secs(1)).await;
    match super::start::is_new(db).await {
        Ok(false) => Ok(()),
        Ok(true) => Err(error),
        Err(_) => Err(Error::unavailable(UNKNOWN, "the database went away while the facts were committed")
            .source(error)
            .hint("look what is there once it answers: gradus doctor, then gradus list; if it is empty, restore again")),
    }
}

fn not_empty() -> Error {
    Error::conflict("registry_not_empty", "there is a registry in this database already")
        .hint("restore into an empty data directory or a new database; nothing was changed")
}

fn incomplete(missing: &[Digest]) -> Error {
    let some: Vec<&str> = missing.iter().take(5).map(Digest::as_str).collect();
    let count = missing.len();
    Error::integrity(
        "backup_incomplete",
        format!("{} missing, cut short or rotten: {}", if count == 1 { "a blob of the backup is".to_owned() } else { format!("{count} blobs of the backup are") }, some.join(", ")),
    )
    .details(serde_json::json!({ "missing": missing }))
    .hint("nothing was changed. Back up again into the same folder with --verify while the original is there; or go on without them: --accept-missing")
}

/// Where each store of the original goes.
fn target_names(source: &Source, stores: &Stores, choices: &Choices) -> Result<BTreeMap<String, String>> {
    let configured: Vec<&str> = stores.all().iter().map(|store| store.name.as_str()).collect();
    if let Some(unknown) = choices.stores.keys().find(|name| !source.stores.contains(*name)) {
        let known: Vec<&str> = source.stores.iter().map(String::as_str).collect();
        return Err(Error::invalid(
            "store_unknown",
            format!("the backup has no store of this name: {unknown}"),
        )
        .hint(format!("it has: {}", known.join(", "))));
    }
    let target = |name: &String| {
        let to = choices.stores.get(name).unwrap_or(name);
        match configured.contains(&to.as_str()) {
            true => Ok((name.clone(), to.clone())),
            false => {
                Err(Error::invalid("store_unknown", format!("no store of this name is configured: {to}"))
                    .hint(format!(
                        "say where the contents of {name} go: --store {name}=NAME, with one of: {}",
                        configured.join(", ")
                    )))
            }
        }
    };
    source.stores.iter().map(target).collect()
}

/// A store that is marked belongs to a registry, and its objects would be garbage to this one.
async fn check_store(store: &Store, key_id: &str, choices: &Choices) -> Result<()> {
    match store.owner().await? {
        None => Ok(()),
        Some(owner) if owner == key_id && choices.reuse_stores => Ok(()),
        Some(_) => Err(Error::conflict("store_in_use", format!("the store belongs to a registry already: {}", store.name))
            .hint("give the copy a place of its own: another bucket, prefix or directory. If it is the original's and the original is gone for good: --reuse-stores")),
    }
}

/// Writes the bytes of all blobs that are in the folder. Answers those that have none, or others.
async fn copy_blobs(
    stores: &Stores,
    source: &Arc<Source>,
    names: &BTreeMap<String, String>,
    absent: &BTreeSet<Digest>,
    written: &Mutex<Written>,
    told: &impl Fn(u64),
) -> Result<BTreeSet<Digest>> {
    let note = |store: &str, digest: &Digest, key| {
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        written.insert((store.to_owned(), digest.clone()), key);
    };
    // Two stores may become one.
    let wanted: BTreeSet<(&str, &Digest)> =
        source.blobs.iter().map(|blob| (names[&blob.store].as_str(), &blob.digest)).collect();
    let work = wanted.into_iter().map(|(name, digest)| async move {
        if absent.contains(digest) {
            note(name, digest, None);
            return Ok(Some(digest.clone()));
        }
        let key = Key::new(uuid::Uuid::now_v7());
        note(name, digest, Some(key));
        match copy_blob(stores.get(name)?, key, source.blob(digest), digest, told).await {
            Ok(()) => Ok(None),
            Err(error) if error.code == "digest_mismatch" => {
                stores.get(name)?.delete(key).await?;
                note(name, digest, None);
                Ok(Some(digest.clone()))
            }
            Err(error) => Err(error),
        }
    });
    let bad: Vec<Option<Digest>> = stream::iter(work).buffer_unordered(AT_A_TIME).try_collect().await?;
    Ok(bad.into_iter().flatten().collect())
}

async fn copy_blob(
    store: &Store,
    key: Key,
    file: PathBuf,
    digest: &Digest,
    told: &impl Fn(u64),
) -> Result<()> {
    let mut writer = store.writer(key, Resume::new(digest.algorithm())).await?;
    let (pieces, mut read) = mpsc::channel::<Result<Bytes>>(4);
    let reader = tokio::task::spawn_blocking(move || {
        let send = |piece| pieces.blocking_send(piece).is_ok();
        let outcome = File::open(file).and_then(|mut file| {
            loop {
                let mut piece = vec![0; PIECE];
                let count = file.read(&mut piece)?;
                piece.truncate(count);
                if count == 0 || !send(Ok(piece.into())) {
                    return Ok(());
                }
            }
        });
        if let Err(error) = outcome {
            send(Err(error.into()));
        }
    });
    let mut copied = async || {
        while let Some(piece) = read.recv().await {
            let piece = piece?;
            told(piece.len() as u64);
            writer.write(piece).await?;
        }
        match writer.digest() == *digest {
            true => Ok(()),
            false => Err(Error::integrity("digest_mismatch", "the bytes of a blob do not have its digest")),
        }
    };
    let copied = copied().await;
    drop(read);
    let _ = reader.await;
    match copied {
        Ok(()) => writer.finish().await,
        Err(error) => {
            let _ = writer.close().await;
            Err(error)
        }
    }
}

async fn write_facts(
    tx: &mut Tx,
    source: &Arc<Source>,
    names: &BTreeMap<String, String>,
    written: &Mutex<Written>,
) -> Result<()> {
    let mut tables = HashMap::new();
    for name in facts::TABLES {
        if let Some(table) = facts::table(tx, name).await? {
            tables.insert((*name).to_owned(), table);
        }
    }
    let most: HashMap<String, usize> =
        tables.iter().map(|(name, table)| (name.clone(), table.rows_at_once())).collect();
    let (rows, mut batches) = mpsc::channel(2);
    let read = source.clone();
    let reading =
        tokio::task::spawn_blocking(move || read.send(|table| most.get(table).copied().unwrap_or(1), &rows));
    let mut adapt = Adapt {
        names,
        written,
        seen: BTreeSet::new(),
        now: Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true),
    };
    let outcome = write_batches(tx, &tables, &mut batches, &mut adapt).await;
    drop(batches);
    let digest = reading
        .await
        .map_err(|error| Error::internal("reading_stopped", "reading the facts has stopped").source(error))?;
    outcome?;
    if digest? != source.digest {
        return Err(Error::integrity(
            "backup_invalid",
            "the facts of the backup were changed while they were read",
        )
        .hint("nothing was changed; run it again when nobody writes to the folder"));
    }
    Ok(())
}

async fn write_batches(
    tx: &mut Tx,
    tables: &HashMap<String, facts::Table>,
    batches: &mut mpsc::Receiver<(String, Vec<facts::Row>)>,
    adapt: &mut Adapt<'_>,
) -> Result<()> {
    while let Some((name, mut rows)) = batches.recv().await {
        // That came first of all.
        if name == HEAD {
            continue;
        }
        let table = tables.get(&name).ok_or_else(|| {
            let name = crate::model::digest::shorten(&name);
            Error::invalid("backup_invalid", format!("the backup has facts of an unknown table: {name}"))
        })?;
        adapt.rows(&name, &mut rows)?;
        facts::write(tx, table, &rows).await?;
    }
    Ok(())
}

/// What differs in the copy: names of stores, keys of objects, and who is at work.
struct Adapt<'a> {
    names: &'a BTreeMap<String, String>,
    written: &'a Mutex<Written>,
    /// Blobs by their store here: two stores may have become one.
    seen: BTreeSet<(String, String)>,
    now: String,
}

impl Adapt<'_> {
    fn rows(&mut self, table: &str, rows: &mut Vec<facts::Row>) -> Result<()> {
        match table {
            "namespaces" | "blob_links" => rows.iter_mut().try_for_each(|row| self.store(row).map(drop)),
            "blobs" => {
                let mut kept = Vec::with_capacity(rows.len());
                for mut row in std::mem::take(rows) {
                    if self.blob(&mut row)? {
                        kept.push(row);
                    }
                }
                *rows = kept;
                Ok(())
            }
            "lanes" | "drift_runs" => {
                rows.iter_mut().for_each(|row| drop(row.insert("lease".into(), Value::Null)));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn store(&self, row: &mut facts::Row) -> Result<String> {
        let name = row.get("store").and_then(Value::as_str).and_then(|name| self.names.get(name));
        let name =
            name.ok_or_else(|| Error::invalid("backup_invalid", "a row names no store of the backup"))?;
        row.insert("store".into(), name.clone().into());
        Ok(name.clone())
    }

    /// Answers false for a blob that is there already.
    fn blob(&mut self, row: &mut facts::Row) -> Result<bool> {
        let store = self.store(row)?;
        let digest = row.get("digest").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !self.seen.insert((store.clone(), digest.clone())) {
            return Ok(false);
        }
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let key = written.get(&(store, digest.parse()?)).copied().flatten();
        row.insert("key".into(), key.unwrap_or_else(|| Key::new(uuid::Uuid::now_v7())).to_string().into());
        // Without bytes it counts as rotten: whoever pushes it again heals it.
        let set_aside = if key.is_some() { Value::Null } else { self.now.clone().into() };
        row.insert("quarantined_at".into(), set_aside);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::facts::TABLES;

    #[tokio::test]
    async fn every_table_is_backed_up_or_left_out_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::sqlite(&directory.path().join("gradus.db")).await.unwrap();
        let mut known = TABLES.to_vec();
        known.sort_unstable();
        assert_eq!(facts::names(&mut db.read().await.unwrap()).await.unwrap(), known);
    }
}
