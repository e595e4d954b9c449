//! One transaction on either database, and `on!`, which runs one body on whichever it is.
//!
//! Rules that keep one text valid on both: `$1` placeholders; no `= ANY`, arrays or ILIKE; sums cast to
//! BIGINT; times are parameters; duplicates by `ON CONFLICT DO NOTHING` and counting rows.

use super::{
    connect::Db,
    outbox::{self, Remembered},
};
use crate::{
    error::Result,
    model::{merkle::Frontier, note::Signer},
};
use chrono::{DateTime, Utc};
use sqlx::{Database, Postgres, Sqlite, Transaction, pool::PoolConnection};
use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};
use tokio::sync::watch;

pub(super) enum Inner {
    Sqlite(Handle<Sqlite>),
    Postgres(Handle<Postgres>),
}

/// A connection: in a transaction for writing, without one for reading, which saves two round trips (on SQLite: to
/// the connection's thread). Statements then see commits between them, on both databases.
pub(super) enum Handle<D: Database> {
    Transaction(Transaction<'static, D>),
    Connection(PoolConnection<D>),
}

impl<D: Database> Deref for Handle<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        match self {
            Self::Transaction(tx) => tx,
            Self::Connection(connection) => connection,
        }
    }
}

impl<D: Database> DerefMut for Handle<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        match self {
            Self::Transaction(tx) => tx,
            Self::Connection(connection) => connection,
        }
    }
}

impl<D: Database> Handle<D> {
    async fn commit(self) -> Result<()> {
        match self {
            Self::Transaction(tx) => Ok(tx.commit().await?),
            Self::Connection(_) => Ok(()),
        }
    }
}

/// An open transaction. Dropped without [`Tx::commit`] it is rolled back.
pub struct Tx {
    pub(super) inner: Inner,
    /// The log's length once this transaction is committed, if it appended.
    pub(super) length: Option<i64>,
    /// The log's length as the process knows it (see `epoch`), and who waits for it to grow.
    known: Arc<AtomicI64>,
    grown: Arc<watch::Sender<i64>>,
    signer: Option<Arc<Signer>>,
    /// The hooks that events are queued for (see `outbox`), and whether this transaction changes them.
    pub(super) hooks: Arc<Remembered>,
    pub(super) hooks_changed: bool,
    /// The lanes of what was queued, which are opened last of all, with when they are due.
    pub(super) lanes: BTreeMap<(String, String), DateTime<Utc>>,
}

impl Tx {
    pub(super) fn new(inner: Inner, db: &Db) -> Self {
        Self {
            inner,
            length: None,
            known: db.epoch.known.clone(),
            grown: db.grown.clone(),
            signer: db.signer().cloned(),
            hooks: db.hooks.clone(),
            hooks_changed: false,
            lanes: BTreeMap::new(),
        }
    }

    /// The root of the log and its signature after a transaction that began with entry `first`, as stored.
    pub(super) fn checkpoint(&self, epoch: u64, first: u64, frontier: &Frontier) -> Option<Vec<u8>> {
        Some(self.signer.as_ref()?.keep(epoch, first, frontier.size(), &frontier.root()))
    }

    /// Makes the change durable and visible.
    pub async fn commit(mut self) -> Result<()> {
        outbox::open_lanes(&mut self).await?;
        match self.inner {
            Inner::Sqlite(handle) => handle.commit().await?,
            Inner::Postgres(handle) => handle.commit().await?,
        }
        if let Some(length) = self.length {
            self.known.fetch_max(length, Ordering::SeqCst);
            self.grown.send_if_modified(|known| {
                let is_news = length > *known;
                *known = length.max(*known);
                is_news
            });
        }
        Ok(())
    }
}

/// Runs `$body` with `$c` as the connection of whichever database the transaction is on. The body is
/// type-checked once for each.
macro_rules! on {
    ($tx:expr, $c:ident => $body:expr) => {
        match &mut $tx.inner {
            $crate::db::tx::Inner::Sqlite(tx) => {
                let $c = &mut **tx;
                $body
            }
            $crate::db::tx::Inner::Postgres(tx) => {
                let $c = &mut **tx;
                $body
            }
        }
    };
}
pub(super) use on;

/// Runs a statement with its binds and answers how many rows it touched.
macro_rules! execute {
    ($tx:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::db::tx::on!($tx, c => sqlx::query($sql)$(.bind($bind))*.execute(c).await?.rows_affected())
    };
}
pub(super) use execute;

/// Reads one row, or none.
macro_rules! optional {
    ($tx:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::db::tx::on!($tx, c => sqlx::query_as($sql)$(.bind($bind))*.fetch_optional(c).await?)
    };
}
pub(super) use optional;

/// Reads all rows; the statement has a LIMIT.
macro_rules! all {
    ($tx:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::db::tx::on!($tx, c => sqlx::query_as($sql)$(.bind($bind))*.fetch_all(c).await?)
    };
}
pub(super) use all;
