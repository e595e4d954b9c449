//! One transaction on either database, and `on!`, which runs one body on whichever it is.
//!
//! Rules that keep one text valid on both: `$1` placeholders; no `= ANY`, arrays or ILIKE; sums cast to
//! BIGINT; times are parameters; duplicates by `ON CONFLICT DO NOTHING` and counting rows.

use crate::error::Result;
use sqlx::{PgConnection, Postgres, Sqlite, Transaction, pool::PoolConnection};
use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

pub(super) enum Inner {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(PgHandle),
}

/// A PostgreSQL connection: in a transaction for writing, without one for reading, which saves two round trips
/// and, statement by statement, sees the same as `READ COMMITTED` does.
pub(super) enum PgHandle {
    Transaction(Transaction<'static, Postgres>),
    Connection(PoolConnection<Postgres>),
}

impl Deref for PgHandle {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Self::Transaction(tx) => tx,
            Self::Connection(connection) => connection,
        }
    }
}

impl DerefMut for PgHandle {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Transaction(tx) => tx,
            Self::Connection(connection) => connection,
        }
    }
}

/// An open transaction. Dropped without [`Tx::commit`] it is rolled back.
pub struct Tx {
    pub(super) inner: Inner,
    /// The log's length once this transaction is committed, if it appended.
    pub(super) length: Option<i64>,
    /// The log's length as the process knows it (see `epoch`).
    pub(super) known: Arc<AtomicI64>,
}

impl Tx {
    pub(super) fn new(inner: Inner, known: Arc<AtomicI64>) -> Self {
        Self { inner, length: None, known }
    }

    /// Makes the change durable and visible.
    pub async fn commit(self) -> Result<()> {
        match self.inner {
            Inner::Sqlite(tx) => tx.commit().await?,
            Inner::Postgres(PgHandle::Transaction(tx)) => tx.commit().await?,
            Inner::Postgres(PgHandle::Connection(_)) => {}
        }
        if let Some(length) = self.length {
            self.known.fetch_max(length, Ordering::SeqCst);
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
