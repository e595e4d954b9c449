//! Answers remembered while the log's length stays the same (see `db::epoch`). A change anywhere forgets
//! them all: right at every moment, and cheap because reads outnumber changes.

use crate::{
    error::Result,
    gates::Quarantine,
    model::{access::Actor, resolution::Resolution},
    ops::Context,
};
use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

/// Most entries of each kind.
const MAX: usize = 10_000;
/// Most bytes of JSON in all resolutions; each is kept as a tree too, which is some times as large.
const MAX_BYTES: usize = 16 << 20;

#[derive(Default)]
pub(crate) struct Memo(RwLock<Table>);

#[derive(Default)]
struct Table {
    length: i64,
    actors: HashMap<[u8; 32], Arc<Actor>>,
    resolutions: HashMap<String, Arc<Resolved>>,
    /// What in quarantine content of a workload is made of.
    quarantines: HashMap<String, Arc<[Quarantine]>>,
    bytes: usize,
}

/// A resolution with its JSON bytes, ready to send.
pub struct Resolved {
    pub resolution: Resolution,
    pub json: bytes::Bytes,
    /// The entity tag of the bytes.
    pub etag: String,
}

impl Memo {
    pub(super) fn actor(&self, length: i64, hash: &[u8; 32]) -> Option<Arc<Actor>> {
        self.look(length, |table| table.actors.get(hash).cloned())
    }

    pub(super) fn keep_actor(&self, length: i64, hash: [u8; 32], actor: &Arc<Actor>) {
        self.keep(length, |table| {
            if table.actors.len() < MAX {
                table.actors.insert(hash, actor.clone());
            }
        });
    }

    pub(super) fn resolution(&self, length: i64, reference: &str) -> Option<Arc<Resolved>> {
        self.look(length, |table| table.resolutions.get(reference).cloned())
    }

    pub(super) fn keep_resolution(&self, length: i64, reference: String, resolved: &Arc<Resolved>) {
        self.keep(length, |table| {
            let bytes = table.bytes + resolved.json.len();
            if table.resolutions.len() < MAX && bytes <= MAX_BYTES {
                table.resolutions.insert(reference, resolved.clone());
                table.bytes = bytes;
            }
        });
    }

    pub(super) fn quarantines(&self, length: i64, content: &str) -> Option<Arc<[Quarantine]>> {
        self.look(length, |table| table.quarantines.get(content).cloned())
    }

    pub(super) fn keep_quarantines(&self, length: i64, content: String, hits: &[Quarantine]) {
        self.keep(length, |table| {
            if table.quarantines.len() < MAX {
                table.quarantines.insert(content, hits.into());
            }
        });
    }

    fn look<T>(&self, length: i64, find: impl Fn(&Table) -> Option<T>) -> Option<T> {
        let table = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        if table.length == length { find(&table) } else { None }
    }

    /// Keeps an answer computed when the log was `length` long: not if the table is of a later time.
    fn keep(&self, length: i64, insert: impl FnOnce(&mut Table)) {
        let mut table = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if table.length < length {
            *table = Table { length, ..Table::default() };
        }
        if table.length == length {
            insert(&mut table);
        }
    }
}

impl Context {
    /// The log's length now, under which answers may be looked up and kept. Ask before reading: what is read
    /// later may be newer than the length says, and is then kept under an older length for a moment only
    /// if nothing changed meanwhile.
    pub(crate) async fn epoch(&self) -> Result<i64> {
        self.db.epoch().await
    }
}
