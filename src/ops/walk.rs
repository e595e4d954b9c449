//! One pass over all entries: their hashes, the tree over them, the tiles and the checkpoints that were kept on the way.
//! No database here: entries come in blocks, so that one is hashed while the next is read.

use crate::{
    db::{
        audit::Block,
        log::{Head, tile_root},
    },
    model::{
        digest::{Digest, hex},
        entry,
        event::{Change, Event, Names, time_text},
        merkle::{Frontier, Hash, TILE, TILE_LEVELS, leaf},
        note::{Checkpoint, Kept, Signer},
    },
};
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeSet, sync::Arc};

/// Kinds of events that are about a workload and name no documents, so that they need not be read. One that is not listed
/// is read.
const SILENT: &[&str] = &[
    "alias_set",
    "alias_removed",
    "tagged",
    "untagged",
    "blob_unlinked",
    "promotion_ended",
    "ratified",
    "monitor_added",
    "monitor_removed",
    "monitor_muted",
    "monitor_armed",
    "monitor_failed",
    "review_overdue",
    "purge_withdrawn",
    "deletion_requested",
    "deletion_withdrawn",
];

/// What an entry says of documents.
pub(super) enum Mention {
    Named { position: u64, place: Names, repository: String, digest: Digest },
    Deleted { repository: String, digest: Digest },
}

/// Where damage was accepted: checkpoints kept there are not judged one by one, but must all stay as they were then.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pub from: u64,
    /// The entry that accepted it.
    pub to: u64,
    /// Over all that is kept from `from` on and before `to`; `None` while it is being found out.
    pub kept: Option<String>,
}

/// What is to be looked up in the database.
#[derive(Default)]
pub(super) struct Found {
    /// Full tiles above the lowest, to be compared with what is stored; all of them where they are made anew.
    pub tiles: Vec<(u32, u64, Vec<Hash>)>,
    pub mentions: Vec<Mention>,
    /// What entries tell that were read whole, with their positions and times.
    pub told: Vec<(u64, DateTime<Utc>, Change)>,
}

pub(super) struct Walk {
    signer: Arc<Signer>,
    known: Option<Checkpoint>,
    accepted: Vec<Accepted>,
    /// Entries that begin an epoch and were not come to yet.
    recoveries: BTreeSet<u64>,
    /// Full tiles only; `leaves` come after them.
    tree: Frontier,
    leaves: Vec<Hash>,
    /// All of the tree, while no checkpoint with a seal was come to: before it there may be bare ones, which are compared
    /// with the root. After it a bare one is none of ours.
    bare: Option<Frontier>,
    /// Of the tiles above the lowest: the hashes of the one that is being filled.
    rows: Vec<Vec<Hash>>,
    found: Found,
    /// The first entry of the transaction.
    first: u64,
    /// The latest time of an entry.
    latest: Vec<u8>,
    /// The same of those after the last bare checkpoint: programs that went on from one kept only that.
    latest_since_bare: Vec<u8>,
    last: Option<Kept>,
    kept_hash: Sha256,
    /// No entry here, or one that cannot be read as what it must be.
    pub is_cut: bool,
    /// What does not fit beside the entries: the first place.
    pub bad: Option<(u64, String)>,
    pub differs: Option<(u64, String)>,
    pub saw_known: bool,
    /// The first entry that is no event.
    pub unreadable: Option<u64>,
    /// Tiles are made anew, not compared.
    is_rebuilding: bool,
}

impl Walk {
    pub fn new(
        signer: Arc<Signer>,
        known: Option<Checkpoint>,
        accepted: Vec<Accepted>,
        recoveries: impl Iterator<Item = u64>,
    ) -> Self {
        Self {
            signer,
            saw_known: known.as_ref().is_none_or(|known| known.size == 0),
            known,
            accepted,
            recoveries: recoveries.collect(),
            tree: Frontier::default(),
            leaves: Vec::new(),
            bare: Some(Frontier::default()),
            rows: Vec::new(),
            found: Found::default(),
            first: 0,
            latest: Vec::new(),
            latest_since_bare: Vec::new(),
            last: None,
            kept_hash: Sha256::new(),
            is_cut: false,
            bad: None,
            differs: None,
            unreadable: None,
            is_rebuilding: false,
        }
    }

    /// For making all tiles anew over entries that are accepted as they are in a range.
    pub fn rebuilding(signer: Arc<Signer>, range: Accepted) -> Self {
        Self { is_rebuilding: true, ..Self::new(signer, None, vec![range], std::iter::empty()) }
    }

    pub fn size(&self) -> u64 {
        self.tree.size() + self.leaves.len() as u64
    }

    pub fn tree(&self) -> Frontier {
        let mut tree = self.tree.clone();
        self.leaves.iter().for_each(|leaf| tree.push(*leaf));
        tree
    }

    /// The latest time of an entry.
    pub fn latest(&self) -> Option<DateTime<Utc>> {
        let text = std::str::from_utf8(&self.latest).ok()?;
        Some(DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc))
    }

    pub fn found(&mut self) -> Found {
        std::mem::take(&mut self.found)
    }

    fn is_bad(&mut self, position: u64, what: impl Into<String>) {
        if self.bad.as_ref().is_none_or(|(before, _)| position < *before) {
            self.bad = Some((position, what.into()));
        }
    }

    pub fn take(&mut self, block: &Block) {
        let (mut checkpoints, mut filed) = (block.checkpoints(), block.filed());
        for entry in block.entries() {
            let position = self.size();
            let leaf = leaf(entry);
            self.leaves.push(leaf);
            if let Some(tree) = &mut self.bare {
                tree.push(leaf);
            }
            self.read(position, entry, filed.next().unwrap_or_default());
            self.check_kept(position, checkpoints.next().unwrap_or_default());
            self.check_known();
            if self.leaves.len() as u64 == TILE {
                self.end_tile(block);
            }
        }
        // Else one of them was read as if it were of another entry.
        if let Some(last) = block.count.checked_sub(1)
            && (checkpoints.next().is_some() || filed.next().is_some())
        {
            self.is_bad(
                block.first + last,
                "more is kept beside the entries up to here than there are entries",
            );
        }
        let dense = |(least, most): (i64, i64)| {
            u64::try_from(least) == Ok(block.first) && u64::try_from(most) == Ok(self.size() - 1)
        };
        self.is_cut |= block.count + block.first != self.size() || !block.ends.is_some_and(dense);
    }

    fn read(&mut self, position: u64, entry: &[u8], filed: &str) {
        let time = entry::time(entry).unwrap_or_default();
        for latest in [&mut self.latest, &mut self.latest_since_bare] {
            if time > &latest[..] {
                latest.clear();
                latest.extend_from_slice(time);
            }
        }
        let text = |bytes| std::str::from_utf8(bytes).ok();
        let kind = entry::kind(entry).and_then(text);
        if let Some(kind) = kind
            && let Some(workload) = entry::workload(entry).and_then(text)
            && SILENT.contains(&kind)
        {
            let namespace = workload.split('/').next().unwrap_or_default();
            return self.check_filed(position, filed, [kind, namespace, workload]);
        }
        let Ok(event) = Event::from_bytes(entry) else {
            self.unreadable.get_or_insert(position);
            return self.is_bad(position, "the entry is no event");
        };
        let repository = event.change.workload().map(ToString::to_string).unwrap_or_default();
        let namespace = event.change.namespace().unwrap_or_default();
        self.check_filed(position, filed, [kind.unwrap_or_default(), &namespace, &repository]);
        if matches!(event.change, Change::LogRecovered { .. }) && !self.recoveries.remove(&position) {
            self.is_bad(
                position,
                "an epoch begins here, and the entry is kept as if it were of another kind",
            );
        }
        match &event.change {
            Change::ManifestDeleted { digest, .. } => {
                self.found.mentions.push(Mention::Deleted { repository, digest: digest.clone() });
            }
            change => self.found.mentions.extend(change.names().into_iter().map(|(place, digest)| {
                Mention::Named { position, place, repository: repository.clone(), digest: digest.clone() }
            })),
        }
        self.found.told.push((position, event.at, event.change));
    }

    fn is_accepted(&self, position: u64) -> bool {
        self.accepted.iter().any(|one| (one.from..one.to).contains(&position))
    }

    /// What lists of events go by must be what the entry says.
    fn check_filed(&mut self, position: u64, filed: &str, says: [&str; 3]) {
        if !filed.split('\t').eq(says) && !self.is_accepted(position) {
            let what = "the entry is kept under another kind, namespace or workload than it says";
            self.is_bad(position, what);
        }
    }

    /// What is kept with an entry: a checkpoint with the last of each transaction.
    fn check_kept(&mut self, position: u64, bytes: &[u8]) {
        if let Some(accepted) = self.accepted.iter().find(|one| one.to == position) {
            let (from, same) = (accepted.from, accepted.kept.as_ref());
            let found = hex(&std::mem::take(&mut self.kept_hash).finalize());
            if same.is_some_and(|same| *same != found) {
                self.is_bad(from, "a checkpoint kept with this entry or one after it was changed");
            }
            self.first = position;
        }
        if self.is_accepted(position) {
            self.kept_hash.update(position.to_be_bytes());
            self.kept_hash.update((bytes.len() as u64).to_be_bytes());
            self.kept_hash.update(bytes);
            self.last = None;
            return;
        }
        let size = position + 1;
        self.last = None;
        if bytes.is_empty() {
            return;
        }
        match Kept::read(bytes) {
            Some(kept) if self.signer.sealed(self.first, size, &kept) => {
                self.bare = None;
                self.last = Some(kept);
            }
            Some(kept) if self.is_ours_bare(size, &kept) => {
                self.latest_since_bare.clear();
                self.last = Some(kept);
            }
            _ => self.is_bad(position, "the checkpoint kept with this entry, or one before it, was changed"),
        }
        self.first = size;
    }

    fn is_ours_bare(&self, size: u64, kept: &Kept) -> bool {
        self.bare.as_ref().is_some_and(|tree| tree.root() == kept.root) && self.signer.signed(size, kept)
    }

    /// The hash over what is kept in a range that is being accepted.
    pub fn kept_hash(&self) -> String {
        hex(&self.kept_hash.clone().finalize())
    }

    fn check_known(&mut self) {
        let Some(known) = &self.known else { return };
        if known.size != self.size() {
            return;
        }
        self.saw_known = true;
        if known.root != self.tree().root() {
            let what = "the log up to here is signed, and not what the kept checkpoint says it was";
            self.differs = Some((known.size - 1, what.to_owned()));
        }
    }

    fn end_tile(&mut self, block: &Block) {
        let number = self.tree.size() / TILE;
        if self.is_rebuilding {
            self.found.tiles.push((0, number, self.leaves.clone()));
        } else {
            let stored = block.tile.as_deref();
            if stored != Some(self.leaves.as_flattened()) {
                self.bad_tile(0, number, stored.is_some());
            }
        }
        let mut root = tile_root(&self.leaves);
        self.leaves.clear();
        self.tree.push_subtree(TILE_LEVELS, root);
        for level in 1u32.. {
            let at = level as usize - 1;
            if self.rows.len() == at {
                self.rows.push(Vec::new());
            }
            self.rows[at].push(root);
            if (self.rows[at].len() as u64) < TILE {
                break;
            }
            let hashes = std::mem::take(&mut self.rows[at]);
            root = tile_root(&hashes);
            let number = (self.tree.size() >> (TILE_LEVELS * (level + 1))) - 1;
            self.found.tiles.push((level, number, hashes));
        }
    }

    pub fn bad_tile(&mut self, level: u32, number: u64, is_there: bool) {
        let first = number << (TILE_LEVELS * (level + 1));
        let what = if is_there { "was changed" } else { "is missing" };
        self.is_bad(first, format!("the tile {level}/{number} over the entries from here on {what}"));
    }

    /// What the head says of the end, and whether the end is signed.
    pub fn end(&mut self, head: &Head, epoch: u64) -> bool {
        let tree = self.tree();
        let is_whole = !self.is_cut && tree.size() == head.size;
        let verifier = self.signer.verifier(epoch);
        let signs = |kept: &Kept| {
            let said = Checkpoint { origin: verifier.name(), size: tree.size(), root: kept.root };
            kept.root == tree.root() && verifier.accepts(&said, &kept.signature)
        };
        let is_signed = is_whole && (tree.size() == 0 || self.last.as_ref().is_some_and(signs));
        if is_signed {
            if tree.to_bytes() != head.frontier {
                self.is_bad(head.size, "the log's right edge, log_head.frontier, was changed");
            }
            let latest = head.latest.map(|at| time_text(&at)).unwrap_or_default();
            let (latest, after) = (latest.as_bytes(), &self.latest_since_bare);
            if latest != self.latest && (after.is_empty() || latest != after) {
                self.is_bad(head.size, "the time of the last event, log_head.latest, was changed");
            }
            if epoch != head.epoch {
                self.is_bad(
                    head.size,
                    format!("the log is in epoch {epoch}, and log_head.epoch was changed"),
                );
            }
            if let Some(position) = self.recoveries.pop_first() {
                self.is_bad(position, "the entry is kept as if it began an epoch");
            }
        }
        is_signed
    }
}
