//! Going through the whole log: every entry, what is kept beside the entries, and the documents they name.

use super::{
    Context,
    audit::signer,
    blame::{blame, fraction},
    named::{Lost, Named},
    told::{Baseline, Told},
    walk::{Accepted, Found, Mention, Walk},
};
use crate::{
    db::{
        Tx, audit, documents,
        log::{self, Head},
    },
    error::{Error, Result},
    model::{
        digest::Digest,
        entry,
        event::{Change, Event, LogDamage, LogState},
        merkle::{Frontier, Hash},
        note::{Checkpoint, Signer},
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// What going through the whole log found.
#[derive(Debug)]
pub struct Report {
    pub size: u64,
    pub root: Hash,
    /// Epochs after the first, by the entries that began them.
    pub epochs: Vec<Recovery>,
    /// The first entry that is not what it was, and what is wrong with it.
    pub first_bad: Option<(u64, String)>,
}

/// An entry that began an epoch.
#[derive(Clone, Debug)]
pub struct Recovery {
    pub event: Event,
    pub epoch: u64,
    pub position: u64,
    pub known: LogState,
    /// `None`: the log went another way before the known state, and nobody can tell where.
    pub gap: Option<u64>,
    pub damage: Option<LogDamage>,
    pub reason: String,
}

impl Recovery {
    /// Whether a state that the log has not been in was given up by this: it is beyond what there was, or the very one
    /// that was named.
    pub(super) fn gives_up(&self, known: &Checkpoint) -> bool {
        let is_named = self.known.size == known.size && self.known.root == BASE64.encode(known.root);
        self.epoch > known.epoch() && (self.position < known.size || is_named)
    }
}

/// All of the damage that was accepted at once, as a document.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Damage {
    pub from: u64,
    pub found: String,
    /// A hash over the checkpoints that are kept with the entries from there on.
    pub kept: String,
    /// Positions where no entry was.
    pub missing: u64,
    pub documents: Vec<Lost>,
    /// What the tables said then; not of damage that an earlier version of the program accepted.
    #[serde(default)]
    pub tables: Option<Baseline>,
}

pub(super) struct Examined {
    pub head: Head,
    pub tree: Frontier,
    /// The latest time of an entry.
    pub latest: Option<DateTime<Utc>>,
    pub recoveries: Vec<Recovery>,
    pub forgiven: Forgiven,
    /// What is wrong inside: the first place.
    pub damage: Option<(u64, String)>,
    /// Where the log is not what the kept checkpoint says.
    pub differs: Option<(u64, String)>,
}

/// Goes through every entry: positions without gaps, bytes as they were hashed, the root as it was signed, what is kept
/// beside them, and the `known` checkpoint, which somebody kept elsewhere, a state that the log has been in.
pub async fn verify(cx: &Context, known: Option<&str>) -> Result<Report> {
    let signer = signer(cx)?;
    let known = known.map(|note| signer.verifier(1).open(note)).transpose()?;
    let mut tx = cx.db.read().await?;
    let mut readers = Vec::new();
    for _ in 1..std::thread::available_parallelism().map_or(1, usize::from).min(READERS) {
        // Only what is free: two that go through the log at once must not wait for each other's connections.
        let Ok(reader) = tokio::time::timeout(FREE, cx.db.read()).await else { break };
        readers.push(reader?);
    }
    let found = examine(&mut tx, &mut readers, &signer, known).await?;
    Ok(Report {
        size: found.tree.size(),
        root: found.tree.root(),
        epochs: found.recoveries,
        first_bad: found.damage.or(found.differs),
    })
}

/// Goes through the log on a connection, with the help of others.
pub(super) async fn examine(
    tx: &mut Tx,
    readers: &mut [Tx],
    signer: &Arc<Signer>,
    known: Option<Checkpoint>,
) -> Result<Examined> {
    let head = log::stored_head(tx).await?;
    let recoveries = recoveries(tx, head.size).await?;
    let forgiven = forgiven(tx, &recoveries).await?;
    let begins = recoveries.iter().map(|recovery| recovery.position);
    let walk = Walk::new(signer.clone(), known.clone(), forgiven.ranges.clone(), begins);
    let (mut named, mut told) = (Named::default(), Told::new(&forgiven));
    let mut walk = go_through(tx, readers, walk, head.size, Some((&mut named, &mut told))).await?;
    let epoch = recoveries.last().map_or(1, |recovery| recovery.epoch);
    let is_signed = walk.end(&head, epoch);
    let lost = forgiven.unforgiven(lost(tx, named, head.size).await?);
    let beside = lost.first().map(|lost| (lost.position, describe(lost)));
    let stray = stray(tx).await?;
    let told = told.end(tx, head.size).await?;
    let first = |one: Option<(u64, String)>, other: Option<(u64, String)>| {
        one.into_iter().chain(other).min_by_key(|(position, _)| *position)
    };
    let damage = match is_signed {
        true => first(stray, first(walk.bad.take(), first(beside, told))),
        // The root is only compared at the end; where it went wrong, the checkpoints on the way tell.
        false => Some(blame(tx, signer, &forgiven.ranges, head.size).await?),
    };
    let differs = known.and_then(|known| differs(&known, &walk, &recoveries));
    Ok(Examined { tree: walk.tree(), latest: walk.latest(), head, recoveries, forgiven, damage, differs })
}

/// Blocks that are read ahead of the one being hashed.
const AHEAD: usize = 32;
/// Connections that read at once: reading takes longer than hashing, and others need connections too.
const READERS: usize = 2;
/// How long to wait for one that is free.
const FREE: Duration = Duration::from_millis(20);

/// Hands all entries to a walk, which hashes them in a thread of its own while the next are read. Without `beside` it is a
/// walk that makes all tiles anew.
pub(super) async fn go_through(
    tx: &mut Tx,
    readers: &mut [Tx],
    mut walk: Walk,
    size: u64,
    mut beside: Option<(&mut Named, &mut Told)>,
) -> Result<Walk> {
    let (to_walk, mut blocks) = mpsc::channel::<audit::Block>(AHEAD);
    // Not many: what comes back is taken with each block that is handed over.
    let (to_reader, mut found) = mpsc::unbounded_channel();
    let hashing = tokio::task::spawn_blocking(move || {
        while let Some(block) = blocks.blocking_recv() {
            walk.take(&block);
            if to_reader.send(walk.found()).is_err() || walk.is_cut {
                break;
            }
        }
        walk
    });
    let mut bad = Vec::new();
    let mut first = 0;
    'reading: while first < size {
        let mut reading = Vec::new();
        for reader in std::iter::once(&mut *tx).chain(readers.iter_mut()) {
            let end = first.saturating_add(audit::BATCH).min(size);
            if first < end {
                reading.push(audit::blocks(reader, first, end));
            }
            first = end;
        }
        for block in try_join_all(reading).await?.into_iter().flatten() {
            if to_walk.send(block).await.is_err() {
                break 'reading;
            }
        }
        while let Ok(found) = found.try_recv() {
            bad.extend(look_into(tx, found, &mut beside).await?);
        }
    }
    drop(to_walk);
    while let Some(found) = found.recv().await {
        bad.extend(look_into(tx, found, &mut beside).await?);
    }
    let mut walk = hashing
        .await
        .map_err(|error| Error::internal("hashing_stopped", "hashing has stopped").source(error))?;
    for (level, number, is_there) in bad {
        walk.bad_tile(level, number, is_there);
    }
    Ok(walk)
}

/// Looks up what a walk has found. Answers tiles that are not what they must be.
async fn look_into(
    tx: &mut Tx,
    found: Found,
    beside: &mut Option<(&mut Named, &mut Told)>,
) -> Result<Vec<(u32, u64, bool)>> {
    let mut bad = Vec::new();
    let Some((named, told)) = beside else {
        for (level, number, hashes) in found.tiles {
            log::put_tile(tx, level, number, &hashes).await?;
        }
        return Ok(bad);
    };
    for (level, number, hashes) in found.tiles {
        let stored = audit::raw_tile(tx, level, number).await?;
        if stored.as_deref() != Some(hashes.as_flattened()) {
            bad.push((level, number, stored.is_some()));
        }
    }
    if !found.mentions.is_empty() {
        named.take(tx, found.mentions).await?;
    }
    if !found.told.is_empty() {
        told.take(tx, found.told).await?;
    }
    Ok(bad)
}

async fn recoveries(tx: &mut Tx, size: u64) -> Result<Vec<Recovery>> {
    let rows = audit::recoveries(tx).await?;
    let read = |(position, bytes): (i64, Vec<u8>)| {
        let position = u64::try_from(position).ok().filter(|position| *position < size)?;
        let event = Event::from_bytes(&bytes).ok()?;
        let Change::LogRecovered { epoch, known, gap, damage, reason, .. } = event.change.clone() else {
            return None;
        };
        Some(Recovery { event, epoch, position, known, gap, damage, reason })
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// What was accepted: ranges of damaged entries, documents that are lost, and what the tables said then.
#[derive(Default)]
pub(super) struct Forgiven {
    pub ranges: Vec<Accepted>,
    documents: Vec<Lost>,
    /// The last entry that accepted damage, and what the tables said then; `None`: it was not noted.
    pub accepted: Option<(u64, Option<Baseline>)>,
}

impl Forgiven {
    /// Documents whose loss was not accepted.
    pub fn unforgiven(&self, mut lost: Vec<Lost>) -> Vec<Lost> {
        let is_forgiven = |lost: &Lost| {
            self.documents.iter().any(|one| one.digest == lost.digest && one.found == lost.found)
        };
        lost.retain(|lost| !is_forgiven(lost));
        lost
    }
}

async fn forgiven(tx: &mut Tx, recoveries: &[Recovery]) -> Result<Forgiven> {
    let mut all = Forgiven::default();
    for recovery in recoveries.iter().rev() {
        let Some(damage) = &recovery.damage else { continue };
        // Without the document, which is then found to be missing or changed, nothing is known of the rest.
        let bytes = documents::read(tx, &damage.document).await.ok();
        let bytes = bytes.filter(|bytes| Digest::sha256(bytes) == damage.document);
        let document = bytes.and_then(|bytes| serde_json::from_slice::<Damage>(&bytes).ok());
        let range = Accepted {
            from: damage.position,
            to: recovery.position,
            kept: document.as_ref().map(|document| document.kept.clone()),
        };
        // The last one has all in it that was accepted before.
        if all.accepted.is_none() {
            let (documents, tables) =
                document.map(|document| (document.documents, document.tables)).unwrap_or_default();
            all.documents = documents;
            all.accepted = Some((recovery.position, tables));
        }
        // A later one that reaches back over it has taken it in.
        if !all.ranges.iter().any(|later| later.from <= range.from) {
            all.ranges.push(range);
        }
    }
    Ok(all)
}

fn describe(lost: &Lost) -> String {
    match &lost.found {
        Some(_) => format!("the document that the entry names was changed: {}", lost.digest),
        None => format!("the document that the entry names is missing: {}", lost.digest),
    }
}

/// Documents that are lost still, after what was deleted while the log was gone through.
pub(super) async fn lost(tx: &mut Tx, mut named: Named, from: u64) -> Result<Vec<Lost>> {
    let mut at = from;
    while !named.is_whole() {
        let entries = log::entries(tx, at, 1000).await?;
        let Some((last, ..)) = entries.last() else { break };
        at = u64::try_from(*last).unwrap_or(u64::MAX).saturating_add(1);
        let deleted = entries.iter().filter(|(_, bytes, _)| entry::kind(bytes) == Some(b"manifest_deleted"));
        let deleted = deleted.filter_map(|(_, bytes, _)| match Event::from_bytes(bytes).ok()?.change {
            Change::ManifestDeleted { repository, digest } => {
                Some(Mention::Deleted { repository: repository.to_string(), digest })
            }
            _ => None,
        });
        named.take(tx, deleted.collect()).await?;
    }
    Ok(named.lost())
}

/// Entries and tiles where none can be: before the first position, or after the end.
async fn stray(tx: &mut Tx) -> Result<Option<(u64, String)>> {
    if let Some(fraction) = fraction(tx).await? {
        return Ok(Some(fraction));
    }
    let ends = audit::ends(tx).await?;
    let stray = audit::stray_tile(tx).await?;
    // Read after them: what others append meanwhile only makes it longer.
    let size = log::stored_head(tx).await?.size;
    if let Some((level, number)) = stray {
        return Ok(Some((size, format!("there is a tile that the log is too short for: {level}/{number}"))));
    }
    let Some((least, most)) = ends else { return Ok(None) };
    Ok(match u64::try_from(most) {
        _ if least < 0 => Some((0, format!("there is an entry before the first one, at {least}"))),
        Ok(most) if most >= size => Some((
            size,
            format!("there are entries after the end that log_head.position names, up to {most}"),
        )),
        _ => None,
    })
}

/// What the log says to a kept checkpoint that it does not fit.
fn differs(known: &Checkpoint, walk: &Walk, recoveries: &[Recovery]) -> Option<(u64, String)> {
    if walk.saw_known && walk.differs.is_none() {
        return None;
    }
    if let Some(one) = recoveries.iter().find(|one| one.gives_up(known)) {
        let what = format!(
            "epoch {} begins here: what the kept checkpoint knew beyond was given up by {}: {}",
            one.epoch, one.event.actor, one.reason
        );
        return Some((one.position, what));
    }
    let ends = || format!("the log ends here; the kept checkpoint has {} entries", known.size);
    walk.differs.clone().or_else(|| Some((walk.size(), ends())))
}
